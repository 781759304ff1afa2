//! What the mailbox's server said instead of letting us in.
//!
//! The replies are those that Microsoft documents and that users of Exchange Online have posted; an
//! unknown one is quoted.

use Sign::{Begins, Says};

use crate::failure::{Explanation, Failure, Refusal, printable};

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

/// What to find in a reply, what it means, and what to do.
type Entry = (Sign, &'static str, &'static str);

/// By what a reply is known.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// Its first words. A number elsewhere may be anything: a quota, a time, part of a name.
    Begins(&'static str),
    /// A sentence anywhere in it.
    Says(&'static str),
}

impl Sign {
    fn is_in(self, said: &str) -> bool {
        match self {
            Self::Begins(words) => said
                .strip_prefix(words)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric())),
            Self::Says(sentence) => said.contains(sentence),
        }
    }
}

/// Replies that no token will change: a switch of the tenant or the mailbox.
const SETTINGS: &[Entry] = &[
    (
        Says("not enabled for POP access"),
        "POP is switched off for the mailbox",
        "switch it on in the settings of the mailbox",
    ),
    (
        Says("SmtpClientAuthentication is disabled for the Tenant"),
        "SMTP AUTH is switched off for the tenant (5.7.139)",
        "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
    ),
    (
        Says("SmtpClientAuthentication is disabled for the Mailbox"),
        "SMTP AUTH is switched off for the mailbox (5.7.139)",
        "Set-CASMailbox -SmtpClientAuthenticationDisabled $false",
    ),
    (
        Says("security defaults policy"),
        "the tenant's security defaults lock the mailbox (5.7.139)",
        "ask the tenant's administrator",
    ),
    (
        Says("did not meet the criteria"),
        "a Conditional Access or authentication policy refuses (5.7.139)",
        "see Entra > Sign-in logs",
    ),
    (
        Begins("EHLO offers no AUTH"),
        "it does not offer the login by token",
        "check the provider's host and port, and SMTP AUTH of the mailbox",
    ),
    (
        Begins("AUTH XOAUTH2 refused"),
        "it does not take the login by token",
        "check POP of the mailbox, and the provider's host, port and sasl",
    ),
    (
        Begins("AUTH OAUTHBEARER refused"),
        "it does not take the login by token",
        "check POP of the mailbox, and the provider's host, port and sasl",
    ),
    (
        Begins("504"),
        "it does not take the login by token (504)",
        "check SMTP AUTH of the tenant and the mailbox, and the provider's sasl",
    ),
    (
        Begins("535 5.7.139"),
        "the tenant's settings refuse (5.7.139)",
        "see https://aka.ms/smtp_auth_disabled",
    ),
];

/// Replies to a token: the service principal or its permissions, seldom the token itself.
const TOKEN: &[Entry] = &[
    (
        Begins("NO AUTHENTICATE failed"),
        "NO AUTHENTICATE failed",
        "check IMAP.AccessAsApp, admin consent, New-ServicePrincipal and Add-MailboxPermission",
    ),
    (
        Begins("535 5.7.3"),
        "535 5.7.3 Authentication unsuccessful",
        "check SMTP.SendAsApp, admin consent, New-ServicePrincipal, and SMTP AUTH of the mailbox",
    ),
    (
        Begins("-ERR Authentication failure"),
        "-ERR Authentication failure",
        "check POP.AccessAsApp, admin consent, New-ServicePrincipal, Add-MailboxPermission and PopEnabled",
    ),
];

/// Explains why `endpoint` did not let us into `mailbox`.
///
/// `failure` is what its protocol room made of the reply, `said` the reply itself.
#[must_use]
pub fn rejected(endpoint: &str, mailbox: &str, failure: Failure, said: &str) -> Verdict {
    let said = &scrubbed(said);
    let found = |table: &'static [Entry]| table.iter().find(|(sign, ..)| sign.is_in(said));
    let cause = |what: &str| format!("{endpoint} refuses mailbox {mailbox}: {what}");
    let explained = |explanation| Refusal::explained(failure, explanation);
    if failure != Failure::UpstreamRefused {
        let throttled = said.contains("throttled") || said.contains("[LOGIN-DELAY]");
        let explanation = Explanation::new(format!("{endpoint}: {said}"), cure_for_stranger(failure, said));
        let try_again = failure == Failure::UpstreamUnavailable && !throttled;
        return Verdict { refusal: explained(explanation), token_may_help: false, try_again };
    }
    let (explanation, token_may_help) = match (found(SETTINGS), found(TOKEN)) {
        (Some((_, what, cure)), _) => (Explanation::new(cause(what), *cure), false),
        (None, Some((_, what, cure))) => (Explanation::new(cause(what), *cure), true),
        (None, None) => {
            let cure = "check the app's permissions on the mailbox";
            (Explanation::new(cause(said), cure), !is_beyond_credentials(said))
        }
    };
    Verdict { refusal: explained(explanation), token_may_help, try_again: false }
}

/// Whether the upstream says that somebody must change something there, and that credentials are not what it is about:
/// `SYS/PERM`, RFC 3206 §4.
fn is_beyond_credentials(said: &str) -> bool {
    Begins("-ERR [SYS/PERM]").is_in(said)
}

/// What an upstream says after it has let us in and does not do what it was asked, and what to do about it.
const AFTERWARDS: [(&str, &str); 7] = [
    (
        "authenticated but not connected",
        "check the mailbox's name, Add-MailboxPermission, New-ServicePrincipal, and that IMAP and POP are on for it",
    ),
    ("Connection closed. 14", "check the mailbox's name, Add-MailboxPermission and New-ServicePrincipal"),
    ("5.7.60", "grant the right to send as that sender: Add-RecipientPermission -AccessRights SendAs"),
    ("SendAsDenied", "grant the right to send as that sender: Add-RecipientPermission -AccessRights SendAs"),
    ("throttled", "the mail server wants fewer commands; try later"),
    ("[IN-USE]", "close the other session of the mailbox, and try again"),
    ("lost", "the mail server is in trouble; try later"),
];

/// Explains why `endpoint`, which has accepted the login, does not do `what`: `open INBOX`.
///
/// `meaning` is what its protocol room knows of the words, which may be those of the reply or of an error.
#[must_use]
pub fn declined(endpoint: &str, what: &str, said: &str, meaning: Option<&str>) -> Explanation {
    let said = printable(&scrubbed(said));
    let meaning = meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default();
    let known = AFTERWARDS.iter().find(|(sentence, _)| said.contains(sentence));
    let cure = known.map_or("the mail server's own words say why", |(_, cure)| cure);
    Explanation::new(format!("{endpoint} does not {what}: {said}{meaning}"), cure)
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

/// What to do about an upstream that did not come as far as to look at the token. Another protocol on
/// its port is a slip in the configuration.
fn cure_for_stranger(failure: Failure, said: &str) -> &'static str {
    const STRANGERS: [(&str, &str); 3] = [
        ("220", "that is an SMTP server: check imap and pop3 of the provider"),
        ("* OK", "that is an IMAP server: check smtp and pop3 of the provider"),
        ("+OK", "that is a POP3 server: check the provider"),
    ];
    let stranger = STRANGERS.iter().find(|(greeting, _)| said.starts_with(greeting));
    match stranger.filter(|_| failure == Failure::UpstreamViolation) {
        Some((_, cure)) => cure,
        None if said.starts_with("no greeting in time") => {
            "the mail server is in trouble, or waits for TLS: check host, port and tls of the provider"
        }
        None => "the mail server is in trouble; try later",
    }
}

/// What to do about a proxy on the way, by its trouble.
const PROXY: [(&str, &str); 7] = [
    (
        "wants a user and a password",
        "write them into outbound_proxy of the provider: http://user:password@host:port",
    ),
    ("refuses our user and password", "check those in outbound_proxy of the provider"),
    ("forbids connections to", "let the proxy connect there: its rules name hosts and ports"),
    ("cannot connect to", "check the provider's host and port, and the proxy's own way there"),
    ("does not speak", "check scheme and port of outbound_proxy of the provider"),
    ("cannot be reached", "check the proxy, and outbound_proxy of the provider"),
    ("broke off", "check the proxy, and scheme and port of outbound_proxy of the provider"),
];

/// Explains an upstream that could not be reached.
#[must_use]
pub fn unreachable(trouble: &str, failure: Failure) -> Refusal {
    const KNOWN: [(&str, &str); 8] = [
        ("UnknownIssuer", "trust its issuer with ca_file in the provider"),
        ("certificate of", "the host in the provider must be that of its certificate"),
        ("InvalidContentType", "its port does not begin with TLS: check port and tls in the provider"),
        (
            "the TLS handshake with",
            "the server is in trouble, or its port does not begin with TLS: check port and tls",
        ),
        ("looking up", "check the host in the provider, and DNS"),
        ("cannot look up", "check the host in the provider, and DNS"),
        ("asking proxy", "check the proxy, and its own way to the mail server"),
        ("connecting to proxy", "check the proxy, and outbound_proxy of the provider"),
    ];
    let table: &[(&str, &str)] = if trouble.starts_with("proxy ") { &PROXY } else { &KNOWN };
    let known = table.iter().find(|(text, _)| trouble.contains(text));
    let cure = known.map_or("the mail server cannot be reached; try later", |(_, cure)| cure);
    Refusal::explained(failure, Explanation::new(trouble, cure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::LONGEST_LINE;

    fn refused(said: &str) -> Verdict {
        rejected("smtp.office365.com:587", "ann@contoso.com", Failure::UpstreamRefused, said)
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
            ("-ERR [AUTH] Username and password not accepted.", true, "check the app's permissions"),
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
            ("certificate of h refused: UnknownIssuer", "trust its issuer with ca_file in the provider"),
            (
                "TLS handshake with h failed: received corrupt message of type InvalidContentType",
                "its port does not begin with TLS: check port and tls in the provider",
            ),
            ("cannot look up h: Name or service not known", "check the host in the provider, and DNS"),
            ("cannot connect to [::1]:9: Connection refused", "the mail server cannot be reached; try later"),
        ];
        for (trouble, cure) in cases {
            let refusal = unreachable(trouble, Failure::UpstreamUnavailable);
            assert_eq!(refusal.explanation.unwrap().cure, cure, "{trouble}");
        }
        let stranger = rejected("h:993", "ann@contoso.com", Failure::UpstreamViolation, "220 h ESMTP");
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
        let troubled = |said| rejected("h:993", "ann@contoso.com", Failure::UpstreamUnavailable, said);
        assert!(troubled("* BYE try later").try_again);
        assert!(!troubled("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds").try_again);
        assert!(!troubled("-ERR [LOGIN-DELAY] minimum time between mail checks is 5 minutes").try_again);
        assert!(troubled("-ERR [IN-USE] do you have another POP session running?").try_again);
        let violation = rejected("h:993", "ann@contoso.com", Failure::UpstreamViolation, "GARBAGE");
        assert!(!violation.try_again);
    }

    #[test]
    fn every_entry_fits_on_one_line_whole() {
        for (sign, _, cure) in SETTINGS.iter().chain(TOKEN) {
            let (Begins(said) | Says(said)) = sign;
            let line = refused(said).refusal.line().unwrap();
            assert!(line.ends_with(cure) && line.len() <= LONGEST_LINE && !line.contains("..."), "{line}");
        }
    }
}
