//! What the mailbox's server said instead of letting us in, and after it has.
//!
//! The replies are those that are documented and those that users of Exchange Online and of Gmail have posted; an
//! unknown one is quoted.

mod login;
mod session;

use super::{
    claims::Claims,
    entry::{Entry, Sign},
    network,
};
use crate::{
    failure::{Explanation, Failure, Fault, Refusal, printable},
    ids::ProtocolKind,
    secret::Secret,
};

const PRINTERS: &str =
    "Microsoft, \"Fix issues with printers, scanners, and LOB applications that send email\"";

const SUBMISSION: &str = "Microsoft, \"Improvements in the SMTP AUTH client submission protocol\"";

/// Every entry of the mail servers.
pub(super) const TABLES: [&[Entry]; 5] =
    [login::SETTINGS, login::TOKEN, login::TROUBLE, login::STRANGERS, session::TABLE];

/// What follows from an upstream's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For the client and the log.
    pub refusal: Refusal,
    /// A new token may help: nothing says that the mailbox or its tenant is at fault.
    pub token_may_help: bool,
    /// The same attempt may succeed in a moment.
    pub try_again: bool,
}

impl Verdict {
    /// The same with what the refused token itself says that it lacks for `kind`, where nothing else is known to be
    /// the reason. A server says no more of a permission that is missing than of a mailbox that is closed.
    #[must_use]
    pub fn knowing(self, asked: Asked<'_>, token: &Secret, kind: ProtocolKind) -> Self {
        if !self.token_may_help {
            return self;
        }
        let Some(lack) = Claims::read(token).and_then(|claims| claims.lacks(kind)) else { return self };
        let said = self.refusal.explanation.map(|why| why.cause).unwrap_or_default();
        let said = said.strip_prefix(&asked.refuses("")).unwrap_or_default();
        let cause = format!("{}: {said}: {}", asked.endpoint, lack.cause);
        let refusal = Refusal::explained(self.refusal.failure, Explanation { cause, ..lack });
        Self { refusal, ..self }
    }
}

/// Which login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The mail server: `outlook.office365.com:993`.
    pub endpoint: &'a str,
    /// The mailbox that was to be opened.
    pub mailbox: &'a str,
    /// Whether the token is a person's, and not the app's own.
    pub is_delegated: bool,
}

impl Asked<'_> {
    fn refuses(&self, what: &str) -> String {
        format!("{} refuses mailbox {}: {what}", self.endpoint, self.mailbox)
    }
}

/// Explains why a mail server did not let us in.
///
/// `failure` is what its protocol room made of the reply, `said` the reply itself. Trouble that is known to pass is
/// [`Failure::UpstreamUnavailable`] even where the upstream says it in the words of a refusal, as Gmail does.
#[must_use]
pub fn rejected(asked: Asked<'_>, failure: Failure, said: &str) -> Verdict {
    let Asked { endpoint, is_delegated, .. } = asked;
    let said = &scrubbed(said);
    let refused = |what: &str| asked.refuses(what);
    if failure != Failure::UpstreamRefused {
        return troubled(endpoint, failure, said);
    }
    for (table, token_may_help) in [(login::SETTINGS, false), (login::TOKEN, true)] {
        if let Some(entry) = Entry::of_reply(said, table) {
            let explanation = entry.fitting(is_delegated).explains(refused(entry.cause), None);
            let refusal = Refusal::explained(failure, explanation);
            return Verdict { refusal, token_may_help, try_again: false };
        }
    }
    if Entry::of_reply(said, login::TROUBLE).is_some() {
        return Verdict { try_again: false, ..troubled(endpoint, Failure::UpstreamUnavailable, said) };
    }
    let cure = if is_delegated {
        "check that sign_in may open the mailbox"
    } else {
        "check the app's permissions on the mailbox"
    };
    let explanation = Explanation::new(refused(said), cure);
    let token_may_help = !is_beyond_credentials(said);
    Verdict { refusal: Refusal::explained(failure, explanation), token_may_help, try_again: false }
}

/// The entry of an answer to a login.
#[cfg(test)]
pub(super) fn of_login(said: &str) -> Option<&'static Entry> {
    let tables = [login::SETTINGS, login::TOKEN, login::TROUBLE, login::STRANGERS];
    tables.into_iter().find_map(|table| Entry::of_reply(said, table))
}

/// Explains an upstream that did not come as far as to look at the token.
fn troubled(endpoint: &str, failure: Failure, said: &str) -> Verdict {
    let stranger = Entry::of_reply(said, login::STRANGERS).filter(|_| failure == Failure::UpstreamViolation);
    let explanation = match stranger.or_else(|| Entry::of_reply(said, login::TROUBLE)) {
        Some(entry) => entry.explains(format!("{endpoint}: {said} ({})", entry.cause), None),
        None => Explanation::new(format!("{endpoint}: {said}"), "the mail server is in trouble; try later"),
    };
    let is_paced = ["throttled", "[LOGIN-DELAY]", "Too many"].iter().any(|word| said.contains(word));
    let try_again = failure == Failure::UpstreamUnavailable && !is_paced;
    Verdict { refusal: Refusal::explained(failure, explanation), token_may_help: false, try_again }
}

/// Whether the upstream says that somebody must change something there, and that credentials are not what it is about:
/// `SYS/PERM`, RFC 3206 §4.
fn is_beyond_credentials(said: &str) -> bool {
    Sign::Begins(&["-ERR [SYS/PERM]"]).is_in(said)
}

/// What is known of what an upstream says after the login; `said` is the beginning of a reply without its tag.
#[must_use]
pub fn afterwards(said: &str) -> Option<&'static Entry> {
    Entry::of_reply(said, session::TABLE)
}

/// Something an upstream said after the login that a person should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark {
    /// The name in logs: `access_token_expired`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub cure: &'static str,
    /// Who has to.
    pub fault: Fault,
}

impl Remark {
    /// What is known of `said`, the beginning of a reply without its tag. What comes behind its first line is not
    /// looked at.
    #[must_use]
    pub fn of(said: &[u8]) -> Option<Self> {
        /// A reply line of SMTP has 512 octets (RFC 5321 §4.5.3.1.5).
        const LONGEST: usize = 512;
        let line = said[..said.len().min(LONGEST)].split(|&byte| byte == b'\r').next().unwrap_or_default();
        let mut line = String::from_utf8_lossy(line).into_owned();
        // The first of several lines has a hyphen behind its code (RFC 5321 §4.2.1).
        if line
            .get(..4)
            .is_some_and(|code| code.ends_with('-') && code[..3].bytes().all(|c| c.is_ascii_digit()))
        {
            line.replace_range(3..4, " ");
        }
        let entry = afterwards(&line)?;
        Some(Self { name: entry.name, meaning: entry.cause, cure: entry.cure, fault: entry.fault })
    }
}

/// Explains why `endpoint`, which has accepted the login, does not do `what`: `open INBOX`.
///
/// `said` may be the words of the reply or of an error that holds them.
#[must_use]
pub fn declined(endpoint: &str, what: &str, said: &str, meaning: Option<&str>) -> Explanation {
    let said = printable(&scrubbed(said));
    let cause = |meaning: &str| format!("{endpoint} does not {what}: {said}{meaning}");
    let known = session::TABLE.iter().find(|entry| entry.sign.is_told_in(&said));
    match known {
        Some(entry) => entry.explains(cause(&format!(" ({})", entry.cause)), None),
        None if said.contains("connection lost") => {
            Explanation::new(cause(""), "the mail server is in trouble; try later")
        }
        None => {
            let meaning = meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default();
            Explanation::new(cause(&meaning), "the mail server's own words say why")
        }
    }
}

/// Takes out every word that is long enough to be a token: some servers repeat the command that they
/// refuse.
#[must_use]
pub fn scrubbed(said: &str) -> String {
    /// Longer than any word of an explanation, shorter than any access token.
    const LONGEST_WORD: usize = 80;
    let word = |word| if str::len(word) > LONGEST_WORD { "[...]" } else { word };
    said.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Explains an upstream that could not be reached.
#[must_use]
pub fn unreachable(trouble: &str, failure: Failure) -> Refusal {
    let explanation = match network::of(trouble) {
        Some(entry) => entry.explains(trouble.to_owned(), None),
        None => Explanation::new(trouble, "the mail server cannot be reached; try later"),
    };
    Refusal::explained(failure, explanation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(endpoint: &str) -> Asked<'_> {
        Asked { endpoint, mailbox: "ann@contoso.com", is_delegated: false }
    }

    fn refused(said: &str) -> Verdict {
        rejected(asked("smtp.office365.com:587"), Failure::UpstreamRefused, said)
    }

    #[test]
    fn a_setting_of_the_tenant_is_not_blamed_on_the_token() {
        let said = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit …";
        let verdict = refused(said);
        assert!(!verdict.token_may_help);
        assert!(
            verdict
                .refusal
                .line()
                .unwrap()
                .ends_with("Set-TransportConfig -SmtpClientAuthenticationDisabled $false")
        );
    }

    #[test]
    fn a_refused_token_may_be_renewed_and_an_unknown_reply_is_quoted() {
        assert!(refused("535 5.7.3 Authentication unsuccessful [AM0PR01]").token_may_help);
        let verdict = refused("535 no\r\nway");
        assert!(verdict.token_may_help);
        assert!(verdict.refusal.line().unwrap().contains("ann@contoso.com: 535 no way: check"));
    }

    #[test]
    fn a_code_is_known_at_the_beginning_of_a_reply_only() {
        let settings = |said| !refused(said).token_may_help;
        for said in [
            "504",
            "504 5.7.4 Unrecognized authentication type",
            "EHLO offers no AUTH XOAUTH2 (none)",
            "AUTH XOAUTH2 refused: -ERR Protocol error. 14",
        ] {
            assert!(settings(said), "{said}");
        }
        assert!(settings("535 5.7.139 Authentication unsuccessful"));
        let others = [
            "NO Mailbox 504 is locked",
            "NO no AUTH for you",
            "NO AUTHENTICATE failed, see 5.7.139",
            "5040 x",
            "535 5.7.3 Authentication unsuccessful [504 5.7.139 ]",
            "535 5.7.1390 x",
        ];
        for said in others {
            assert!(!settings(said), "{said}");
        }
        let quoted = refused("535 5.7.30 no").refusal.to_string();
        assert!(quoted.contains("535 5.7.30 no: check the app's permissions"), "{quoted}");
    }

    #[test]
    fn a_pop3_server_says_whether_credentials_are_what_it_is_about() {
        let cases = [
            (
                "-ERR Authentication failure: unknown user name or bad password.",
                true,
                "Add-MailboxPermission",
            ),
            ("-ERR [AUTH] Username and password not accepted.", true, "check sign_in"),
            ("-ERR [SYS/PERM] Your account is not enabled for POP access.", false, "switch it on"),
            ("-ERR [SYS/PERM] The mailbox is damaged.", false, "is damaged.: check the app's permissions"),
            ("AUTH OAUTHBEARER refused: -ERR what", false, "host, port and sasl"),
        ];
        for (said, token_may_help, words) in cases {
            let verdict = refused(said);
            assert_eq!(verdict.token_may_help, token_may_help, "{said}");
            assert!(verdict.refusal.line().unwrap().contains(words), "{said}: {}", verdict.refusal);
        }
    }

    #[test]
    fn a_token_that_a_server_repeats_is_taken_out() {
        let token = "dXNlcj1".repeat(40);
        let verdict = refused(&format!("500 5.5.1 unknown command AUTHENTICATE XOAUTH2 {token}"));
        let line = verdict.refusal.to_string();
        assert!(line.contains("AUTHENTICATE XOAUTH2 [...]") && !line.contains("dXNlcj1dXNlcj1"), "{line}");
    }

    #[test]
    fn a_slip_in_the_configuration_is_told_from_trouble_that_passes() {
        let cases = [
            (
                "certificate of h refused: UnknownIssuer",
                "trust its issuer with ca_file in the provider; it may be a firewall that inspects TLS",
            ),
            (
                "TLS handshake with h failed: received corrupt message of type InvalidContentType",
                "check the port, with tls or in token_url: this one does not begin with TLS",
            ),
            ("cannot look up h: Name or service not known", "check the host in the configuration, and DNS"),
            (
                "cannot connect to [::1]:9: Connection refused",
                "check host and port in the configuration, and firewalls; try later",
            ),
            ("cannot connect to [::1]:9: the moon is full", "the mail server cannot be reached; try later"),
        ];
        for (trouble, cure) in cases {
            let refusal = unreachable(trouble, Failure::UpstreamUnavailable);
            assert_eq!(refusal.explanation.unwrap().cure, cure, "{trouble}");
        }
        let stranger = rejected(asked("h:993"), Failure::UpstreamViolation, "220 h ESMTP");
        assert!(
            stranger
                .refusal
                .line()
                .unwrap()
                .ends_with("that is an SMTP server: check imap and pop3 of the provider")
        );
    }

    #[test]
    fn trouble_that_passes_is_tried_again_but_for_throttling() {
        let troubled = |said| rejected(asked("h:993"), Failure::UpstreamUnavailable, said);
        assert!(troubled("* BYE try later").try_again);
        assert!(!troubled("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds").try_again);
        assert!(!troubled("-ERR [LOGIN-DELAY] minimum time between mail checks is 5 minutes").try_again);
        assert!(troubled("-ERR [IN-USE] do you have another POP session running?").try_again);
        let violation = rejected(asked("h:993"), Failure::UpstreamViolation, "GARBAGE");
        assert!(!violation.try_again);
    }
}
