//! Why a login did not reach the mailbox, whose fault that is, and what to tell a person.
//!
//! One enum for all protocols. Each protocol room turns it into its own words in its `reply.rs`,
//! without a wildcard arm, so that a new failure does not compile until every room has an answer.

use std::fmt;

/// The most characters of explanation in one reply line: SMTP and POP3 lines end at 512 octets
/// (RFC 5321 §4.5.3.1.5), and clients show one line in a small window.
pub const LONGEST_LINE: usize = 200;

/// Why a login did not reach the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Unknown login, wrong password, or a login that may not come from here or use this protocol.
    /// The only failure that may look like a wrong password: clients forget passwords over it.
    BadCredentials,
    /// The password was right, and the configuration forbids what was asked for with it.
    NotPermitted,
    /// Too many refused logins of late; the password has not been looked at.
    Throttled,
    /// The account has as many sessions as it may.
    TooManySessions,
    /// A person has to consent at the authority before there can be a token.
    ConsentNeeded,
    /// The token authority could not be reached, or said to come back later.
    AuthorityUnavailable,
    /// The token authority refused for good: a person must change something.
    AuthorityRefused,
    /// The mailbox's server could not be reached, or said to come back later.
    UpstreamUnavailable,
    /// The mailbox's server refused the access token.
    UpstreamRefused,
    /// The mailbox's server said something that its protocol does not allow.
    UpstreamViolation,
    /// The bridge itself is at fault.
    Internal,
}

impl Failure {
    /// Every failure, in the order of the reply tables.
    pub const ALL: [Self; 11] = [
        Self::BadCredentials,
        Self::NotPermitted,
        Self::Throttled,
        Self::TooManySessions,
        Self::ConsentNeeded,
        Self::AuthorityUnavailable,
        Self::AuthorityRefused,
        Self::UpstreamUnavailable,
        Self::UpstreamRefused,
        Self::UpstreamViolation,
        Self::Internal,
    ];

    /// Whose fault it is: the word that operators route alerts by.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::BadCredentials | Self::NotPermitted | Self::Throttled | Self::TooManySessions => {
                Fault::Client
            }
            Self::AuthorityUnavailable => Fault::Authority,
            Self::ConsentNeeded | Self::AuthorityRefused | Self::UpstreamRefused => Fault::Operator,
            Self::UpstreamUnavailable | Self::UpstreamViolation => Fault::Upstream,
            Self::Internal => Fault::Bridge,
        }
    }

    /// Whether the same login may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Throttled
            | Self::TooManySessions
            | Self::AuthorityUnavailable
            | Self::UpstreamUnavailable
            | Self::UpstreamViolation
            | Self::Internal => true,
            Self::BadCredentials
            | Self::NotPermitted
            | Self::ConsentNeeded
            | Self::AuthorityRefused
            | Self::UpstreamRefused => false,
        }
    }

    /// The name in logs: `upstream_unavailable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadCredentials => "bad_credentials",
            Self::NotPermitted => "not_permitted",
            Self::Throttled => "throttled",
            Self::TooManySessions => "too_many_sessions",
            Self::ConsentNeeded => "consent_needed",
            Self::AuthorityUnavailable => "authority_unavailable",
            Self::AuthorityRefused => "authority_refused",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamViolation => "upstream_violation",
            Self::Internal => "internal",
        }
    }
}

/// Who has to do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The legacy mail program, or the person who typed its password.
    Client,
    /// The person whose mailbox it is.
    User,
    /// Whoever keeps the bridge's configuration and the app registration.
    Operator,
    /// Whoever administers the tenant or the Workspace.
    Administrator,
    /// The token authority.
    Authority,
    /// The mailbox's server.
    Upstream,
    /// The bridge.
    Bridge,
}

impl Fault {
    /// Everybody.
    pub const ALL: [Self; 7] = [
        Self::Client,
        Self::User,
        Self::Operator,
        Self::Administrator,
        Self::Authority,
        Self::Upstream,
        Self::Bridge,
    ];

    /// The name in logs: `authority`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Authority => "authority",
            Self::Upstream => "upstream",
            Self::Bridge => "bridge",
        }
    }
}

/// A cause and its cure, in words for a person.
///
/// The parts may quote an authority or an upstream. Each is one line without a control character, fit for a log and a
/// terminal; [`Explanation::line`] makes them safe to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is wrong, with the other side's own code where it gave one.
    pub cause: String,
    /// What to do about it; empty where nothing but waiting helps.
    pub cure: String,
    /// Who has to act, and whether waiting helps, where more is known of it than its [`Failure`] tells.
    pub blame: Option<Blame>,
}

/// Whose fault a known trouble is, and whether it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blame {
    /// Who has to act.
    pub fault: Fault,
    /// Whether trying again helps: it passes without anybody changing anything.
    pub passes: bool,
}

impl Explanation {
    /// Joins what is wrong and what to do about it.
    #[must_use]
    pub fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cause: visible(&cause.into()), cure: visible(&cure.into()), blame: None }
    }

    /// The same with who has to act, and whether trying again helps.
    #[must_use]
    pub fn blaming(self, fault: Fault, passes: bool) -> Self {
        Self { blame: Some(Blame { fault, passes }), ..self }
    }

    /// One line of printable ASCII, at most [`LONGEST_LINE`] characters: `cause: cure`.
    ///
    /// The cure is kept whole and the cause is cut, because the cause may quote a stranger at any
    /// length and the cure is what the reader needs.
    #[must_use]
    pub fn line(&self) -> String {
        let cause = printable(&self.cause);
        let cure = printable(&self.cure);
        if cure.is_empty() {
            return cut(cause, LONGEST_LINE);
        }
        let room = LONGEST_LINE.saturating_sub(cure.len() + 2);
        cut(format!("{}: {cure}", cut(cause, room)), LONGEST_LINE)
    }
}

/// Replaces by a space what ends a line, moves a cursor, or shows text in another order than it is written in.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

/// Replaces everything but printable ASCII by a space, and runs of spaces by one.
///
/// Nothing that a stranger said can then end a reply line or start another one.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_ascii_graphic()).filter(|word| !word.is_empty()) {
        if !printable.is_empty() {
            printable.push(' ');
        }
        printable.push_str(word);
    }
    printable
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(most.saturating_sub(3));
        text.push_str("...");
        text.truncate(most);
    }
    text
}

/// A failed login on its way to the client and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What happened.
    pub failure: Failure,
    /// Why, and what to do. `None` until the local password is verified, unless it is true of everybody:
    /// a stranger learns nothing.
    pub explanation: Option<Explanation>,
    /// Whether the explanation is for the log alone: the password has not been verified, because that is
    /// what failed.
    private: bool,
}

impl Refusal {
    /// A refusal that tells its cause and its cure.
    #[must_use]
    pub fn explained(failure: Failure, explanation: Explanation) -> Self {
        Self { failure, explanation: Some(explanation), private: false }
    }

    /// The same with its explanation kept from the wire.
    #[must_use]
    pub fn for_the_log_alone(self) -> Self {
        Self { private: true, ..self }
    }

    /// Who has to act: by what is known of this very trouble, else by the kind of failure.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.blame().fault
    }

    /// Whether trying again helps, likewise.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.blame().passes
    }

    fn blame(&self) -> Blame {
        let by_kind = Blame { fault: self.failure.fault(), passes: self.failure.is_temporary() };
        self.explanation.as_ref().and_then(|why| why.blame).unwrap_or(by_kind)
    }

    /// The explanation as one line fit for the wire, if there is one.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        self.explanation.as_ref().filter(|_| !self.private).map(Explanation::line)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, explanation: None, private: false }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.explanation {
            Some(explanation) if explanation.cure.is_empty() => f.write_str(&explanation.cause),
            Some(explanation) => write!(f, "{}: {}", explanation.cause, explanation.cure),
            None => f.write_str(self.failure.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_cause_is_cut_and_the_cure_kept() {
        let line = Explanation::new("x".repeat(900), "renew the secret").line();
        assert_eq!(line.len(), LONGEST_LINE);
        assert!(line.ends_with("...: renew the secret"), "{line}");
    }

    #[test]
    fn what_is_not_printable_ascii_becomes_one_space_between_words() {
        let cases =
            [("", ""), (" \r\n", ""), ("a", "a"), ("\ta  b\r\nc\u{fc}d\0", "a b c d"), ("\u{fc}", "")];
        for (said, printed) in cases {
            assert_eq!(printable(said), printed, "{said:?}");
        }
    }

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_around_is_kept_for_the_log() {
        let said = "a\r\nb\0c\u{1b}[31md\u{85}e\u{202e}f\u{2028}g\u{200f}h\u{2066}i\u{fc}";
        assert_eq!(Explanation::new(said, "").cause, "a  b c [31md e f g h i\u{fc}");
    }

    #[test]
    fn who_acts_by_what_is_known_goes_before_who_acts_by_the_kind() {
        let unknown = Refusal::explained(Failure::UpstreamRefused, Explanation::new("x", "y"));
        assert_eq!((unknown.fault(), unknown.may_pass()), (Fault::Operator, false));
        let known = Explanation::new("x", "y").blaming(Fault::Administrator, true);
        let known = Refusal::explained(Failure::UpstreamRefused, known);
        assert_eq!((known.fault(), known.may_pass()), (Fault::Administrator, true));
        let names: std::collections::HashSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }

    proptest! {
        #[test]
        fn a_line_cannot_be_broken_by_what_a_stranger_said(cause in "\\PC*|[\\x00-\\xff]*", cure in ".*") {
            let line = Explanation::new(cause, cure).line();
            prop_assert!(line.len() <= LONGEST_LINE);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
        }
    }
}
