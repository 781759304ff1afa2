//! What a client is told about its login: the reply table of POP3.
//!
//! Response codes of RFC 2449 §8.1 and RFC 3206. Temporary failures say "Service unavailable" beside their code:
//! fetchmail knows no `SYS/TEMP` and takes any other `-ERR` for a wrong password.

use bytes::BytesMut;

use crate::{
    dialogue::{Afterwards, Dismissal, Violation, Welcome, put},
    failure::{Failure, LONGEST_LINE, Refusal, printable},
};

/// Before every trouble that passes.
const TEMPORARY: &str = "[SYS/TEMP] Service unavailable: ";

/// Answers refused credentials. The connection stays open: the client says QUIT.
pub(super) fn refusal(refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
    let (code, generic) = words(refusal.failure);
    let text = refusal.line().unwrap_or_else(|| generic.to_owned());
    put(out, &["-ERR ", code, &text]);
    Afterwards::StaysOpen
}

/// The response code, and the text for who may not know more.
fn words(failure: Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::BadCredentials => ("[AUTH] ", "username or password is wrong"),
        Failure::NotPermitted => ("[SYS/PERM] ", "this login may not do that"),
        Failure::Throttled => (TEMPORARY, "too many refused logins, try again later"),
        Failure::TooManySessions => (TEMPORARY, "too many sessions of this account, try again later"),
        Failure::ConsentNeeded => ("[SYS/PERM] ", "the account is not authorized"),
        Failure::AuthorityUnavailable => (TEMPORARY, "no access token can be had, try again later"),
        Failure::AuthorityRefused => ("[SYS/PERM] ", "no access token was granted"),
        Failure::UpstreamUnavailable => (TEMPORARY, "the mailbox cannot be reached, try again later"),
        Failure::UpstreamRefused => ("[SYS/PERM] ", "the mailbox refused the access token"),
        Failure::UpstreamViolation => (TEMPORARY, "the mailbox cannot be understood, try again later"),
        Failure::Internal => (TEMPORARY, "internal error, try again later"),
    }
}

/// Says goodbye to a client that has not logged in.
pub(super) fn dismissal(reason: Dismissal, out: &mut BytesMut) {
    match reason {
        Dismissal::BridgeFull => put(out, &["-ERR ", TEMPORARY, "too many connections, try again later"]),
        Dismissal::ClientFull => {
            put(out, &["-ERR ", TEMPORARY, "too many connections from your address, try again later"]);
        }
        Dismissal::ShuttingDown => put(out, &["-ERR ", TEMPORARY, "shutting down, try again later"]),
        // "The server should close the TCP connection without … sending any response" (RFC 1939 §3): the client
        // would take it for the answer to its next command.
        // The last of too many attempts has had its reply.
        Dismissal::TimedOut | Dismissal::TooManyAttempts => {}
        Dismissal::Violation(violation) => match violation {
            Violation::LineTooLong(_)
            | Violation::LiteralTooLong(_)
            | Violation::TooMuchBeforeLogin(_)
            | Violation::TooManyErrors(_)
            | Violation::TooManyCommands(_)
            | Violation::AmbiguousEnd => put(out, &["-ERR ", &violation.to_string()]),
            // It would not be understood, and in HTTP it could pass for an answer.
            Violation::WrongProtocol(_) => {}
        },
    }
}

/// Answers accepted credentials, in the upstream's own words: some count the mail in them.
pub(super) fn welcome(welcome: &Welcome, out: &mut BytesMut) {
    let mut text = printable(&welcome.text);
    text.truncate(LONGEST_LINE);
    put(out, &["+OK ", if text.is_empty() { "logged in" } else { &text }]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Explanation;

    /// The longest line of a response, its line end included (RFC 2449 §4).
    const LONGEST_RESPONSE: usize = 512;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_failure_has_its_reply_and_only_a_wrong_password_looks_like_one() {
        const BUSY: &str = "-ERR [SYS/TEMP] Service unavailable:";
        let cases = [
            (Failure::BadCredentials, "-ERR [AUTH] username or password is wrong\r\n".to_owned()),
            (Failure::NotPermitted, "-ERR [SYS/PERM] this login may not do that\r\n".to_owned()),
            (Failure::Throttled, format!("{BUSY} too many refused logins, try again later\r\n")),
            (
                Failure::TooManySessions,
                format!("{BUSY} too many sessions of this account, try again later\r\n"),
            ),
            (Failure::ConsentNeeded, "-ERR [SYS/PERM] the account is not authorized\r\n".to_owned()),
            (
                Failure::AuthorityUnavailable,
                format!("{BUSY} no access token can be had, try again later\r\n"),
            ),
            (Failure::AuthorityRefused, "-ERR [SYS/PERM] no access token was granted\r\n".to_owned()),
            (
                Failure::UpstreamUnavailable,
                format!("{BUSY} the mailbox cannot be reached, try again later\r\n"),
            ),
            (Failure::UpstreamRefused, "-ERR [SYS/PERM] the mailbox refused the access token\r\n".to_owned()),
            (
                Failure::UpstreamViolation,
                format!("{BUSY} the mailbox cannot be understood, try again later\r\n"),
            ),
            (Failure::Internal, format!("{BUSY} internal error, try again later\r\n")),
        ];
        assert_eq!(cases.each_ref().map(|(failure, _)| *failure), Failure::ALL);
        for (failure, expected) in cases {
            let out = written(|out| assert_eq!(refusal(&failure.into(), out), Afterwards::StaysOpen));
            assert_eq!(out, expected);
            assert_eq!(out.starts_with(BUSY), failure.is_temporary(), "{failure:?}");
        }
    }

    #[test]
    fn goodbyes_answer_a_command_or_say_nothing() {
        let cases = [
            (
                Dismissal::BridgeFull,
                "-ERR [SYS/TEMP] Service unavailable: too many connections, try again later\r\n",
            ),
            (
                Dismissal::ClientFull,
                "-ERR [SYS/TEMP] Service unavailable: too many connections from your address, try again later\r\n",
            ),
            (
                Dismissal::ShuttingDown,
                "-ERR [SYS/TEMP] Service unavailable: shutting down, try again later\r\n",
            ),
            (Dismissal::TimedOut, ""),
            (Dismissal::TooManyAttempts, ""),
            (Dismissal::Violation(Violation::LineTooLong(200)), "-ERR line longer than 200 bytes\r\n"),
            (Dismissal::Violation(Violation::TooManyErrors(4)), "-ERR more than 4 commands in error\r\n"),
            (Dismissal::Violation(Violation::WrongProtocol("HTTP")), ""),
        ];
        for (reason, out) in cases {
            assert_eq!(written(|out| dismissal(reason, out)), out);
        }
    }

    #[test]
    fn an_explanation_can_neither_start_a_reply_of_its_own_nor_outgrow_a_line() {
        let explained = |cause: String| {
            let refused = Refusal::explained(Failure::UpstreamUnavailable, Explanation::new(cause, "x"));
            written(|out| _ = refusal(&refused, out))
        };
        let out = explained("said\r\n+OK".to_owned());
        assert_eq!(out, "-ERR [SYS/TEMP] Service unavailable: said +OK: x\r\n");
        assert!(explained("long ".repeat(400)).len() <= LONGEST_RESPONSE);
    }

    #[test]
    fn the_upstream_welcomes_in_its_own_words_as_far_as_they_fit_on_a_line() {
        let told = |text: String| written(|out| welcome(&Welcome { text, capabilities: None }, out));
        assert_eq!(told("2 messages\r\n-ERR".to_owned()), "+OK 2 messages -ERR\r\n");
        assert_eq!(told(String::new()), "+OK logged in\r\n");
        assert!(told("long ".repeat(400)).len() <= LONGEST_RESPONSE);
    }
}
