//! What a client is told about its login: the reply table of IMAP.
//!
//! Response codes of RFC 5530. A temporary failure is `* BYE` and never a tagged NO, which fetchmail,
//! getmail, curl and mbsync take for a wrong password; they keep the password when the connection ends.

use bytes::BytesMut;

use crate::{
    dialogue::{Afterwards, Capabilities, Dismissal, Violation, Welcome, put},
    failure::{Failure, Refusal, printable},
};

/// Answers refused credentials.
pub(super) fn refusal(tag: &str, refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
    let (code, generic, afterwards) = words(refusal.failure);
    let text = refusal.line().unwrap_or_else(|| generic.to_owned());
    let (tag, status) = match afterwards {
        Afterwards::StaysOpen => (tag, "NO"),
        Afterwards::Closes => ("*", "BYE"),
    };
    put(out, &[tag, " ", status, " [", code, "] ", &text]);
    afterwards
}

/// The response code, the text for who may not know more, and what happens to the connection.
fn words(failure: Failure) -> (&'static str, &'static str, Afterwards) {
    use Afterwards::{Closes, StaysOpen};
    match failure {
        Failure::BadCredentials => ("AUTHENTICATIONFAILED", "username or password is wrong", StaysOpen),
        Failure::NotPermitted => ("AUTHORIZATIONFAILED", "this login may not do that", StaysOpen),
        Failure::Throttled => ("LIMIT", "too many refused logins, try again later", Closes),
        Failure::TooManySessions => ("LIMIT", "too many sessions of this account, try again later", Closes),
        Failure::ConsentNeeded => ("CONTACTADMIN", "the account is not authorized", StaysOpen),
        Failure::AuthorityUnavailable => {
            ("UNAVAILABLE", "no access token can be had, try again later", Closes)
        }
        Failure::AuthorityRefused => ("CONTACTADMIN", "no access token was granted", StaysOpen),
        Failure::UpstreamUnavailable => {
            ("UNAVAILABLE", "the mailbox cannot be reached, try again later", Closes)
        }
        Failure::UpstreamRefused => ("CONTACTADMIN", "the mailbox refused the access token", StaysOpen),
        Failure::UpstreamViolation => {
            ("UNAVAILABLE", "the mailbox cannot be understood, try again later", Closes)
        }
        Failure::Internal => ("SERVERBUG", "internal error, try again later", Closes),
    }
}

/// Says goodbye to a client that has not logged in.
pub(super) fn dismissal(reason: Dismissal, out: &mut BytesMut) {
    match reason {
        Dismissal::BridgeFull => put(out, &["* BYE [UNAVAILABLE] too many connections, try again later"]),
        Dismissal::ClientFull => {
            put(out, &["* BYE [LIMIT] too many connections from your address, try again later"]);
        }
        Dismissal::ShuttingDown => put(out, &["* BYE [UNAVAILABLE] shutting down, try again later"]),
        Dismissal::TimedOut => put(out, &["* BYE no login in time"]),
        Dismissal::TooManyAttempts => put(out, &["* BYE too many refused logins"]),
        Dismissal::Violation(violation) => match violation {
            Violation::LineTooLong(_)
            | Violation::LiteralTooLong(_)
            | Violation::TooMuchBeforeLogin(_)
            | Violation::TooManyErrors(_)
            | Violation::TooManyCommands(_)
            | Violation::AmbiguousEnd => put(out, &["* BYE ", &violation.to_string()]),
            // It would not be understood, and in HTTP it could pass for an answer.
            Violation::WrongProtocol(_) => {}
        },
    }
}

/// Answers accepted credentials, with the upstream's capabilities where it told them.
///
/// A client that is told some does not ask again (RFC 3501 §6.2.3), so that it gets all or none.
pub(super) fn welcome(tag: &str, welcome: &Welcome, out: &mut BytesMut) {
    let told = welcome.capabilities.as_ref().map(for_clients).unwrap_or_default();
    let text = printable(&welcome.text);
    let text = if text.is_empty() { "logged in" } else { &text };
    if told.is_empty() {
        put(out, &[tag, " OK ", text]);
    } else {
        put(out, &[tag, " OK [CAPABILITY ", &told.join(" "), "] ", text]);
    }
}

/// What a client may see of the upstream's capabilities: not how to log in, which is behind it, not
/// what only another proxy can use, and not IMAP4rev2, in which Exchange Online's SEARCH is broken.
fn for_clients(capabilities: &Capabilities) -> Vec<&str> {
    const WITHHELD: [&str; 7] = [
        "AUTH=",
        "SASL-IR",
        "LOGINDISABLED",
        "STARTTLS",
        "UNAUTHENTICATE",
        "IMAP4REV2",
        "BACKENDAUTHENTICATE",
    ];
    let begins = |name: &str, head: &str| {
        name.as_bytes().get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head.as_bytes()))
    };
    let withheld = |name: &str| WITHHELD.iter().any(|head| begins(name, head));
    capabilities.0.iter().map(String::as_str).filter(|name| !withheld(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Explanation;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_failure_has_its_reply_and_only_a_wrong_password_looks_like_one() {
        let cases = [
            (Failure::BadCredentials, "a1 NO [AUTHENTICATIONFAILED] username or password is wrong\r\n"),
            (Failure::NotPermitted, "a1 NO [AUTHORIZATIONFAILED] this login may not do that\r\n"),
            (Failure::Throttled, "* BYE [LIMIT] too many refused logins, try again later\r\n"),
            (
                Failure::TooManySessions,
                "* BYE [LIMIT] too many sessions of this account, try again later\r\n",
            ),
            (Failure::ConsentNeeded, "a1 NO [CONTACTADMIN] the account is not authorized\r\n"),
            (
                Failure::AuthorityUnavailable,
                "* BYE [UNAVAILABLE] no access token can be had, try again later\r\n",
            ),
            (Failure::AuthorityRefused, "a1 NO [CONTACTADMIN] no access token was granted\r\n"),
            (
                Failure::UpstreamUnavailable,
                "* BYE [UNAVAILABLE] the mailbox cannot be reached, try again later\r\n",
            ),
            (Failure::UpstreamRefused, "a1 NO [CONTACTADMIN] the mailbox refused the access token\r\n"),
            (
                Failure::UpstreamViolation,
                "* BYE [UNAVAILABLE] the mailbox cannot be understood, try again later\r\n",
            ),
            (Failure::Internal, "* BYE [SERVERBUG] internal error, try again later\r\n"),
        ];
        assert_eq!(cases.map(|(failure, _)| failure), Failure::ALL);
        for (failure, out) in cases {
            let mut afterwards = Afterwards::StaysOpen;
            assert_eq!(written(|out| afterwards = refusal("a1", &failure.into(), out)), out);
            assert_eq!(afterwards == Afterwards::Closes, failure.is_temporary(), "{failure:?}");
        }
    }

    #[test]
    fn goodbyes_are_untagged() {
        let cases = [
            (Dismissal::BridgeFull, "* BYE [UNAVAILABLE] too many connections, try again later\r\n"),
            (
                Dismissal::ClientFull,
                "* BYE [LIMIT] too many connections from your address, try again later\r\n",
            ),
            (Dismissal::ShuttingDown, "* BYE [UNAVAILABLE] shutting down, try again later\r\n"),
            (Dismissal::TimedOut, "* BYE no login in time\r\n"),
            (Dismissal::TooManyAttempts, "* BYE too many refused logins\r\n"),
            (Dismissal::Violation(Violation::LineTooLong(200)), "* BYE line longer than 200 bytes\r\n"),
            (Dismissal::Violation(Violation::WrongProtocol("HTTP")), ""),
        ];
        for (reason, out) in cases {
            assert_eq!(written(|out| dismissal(reason, out)), out);
        }
    }

    #[test]
    fn the_client_sees_the_capabilities_of_the_mailbox_and_no_way_to_log_in_to_it() {
        let told = "IMAP4 IMAP4rev1 IMAP4rev2 AUTH=PLAIN auth=XOAUTH2 SASL-IR LOGINDISABLED UIDPLUS MOVE \
                    BACKENDAUTHENTICATE BACKENDAUTHENTICATE-IR LITERAL+ ENABLE";
        let cases = [
            ("AUTHENTICATE completed.", None, "a1 OK AUTHENTICATE completed.\r\n"),
            ("done", Some(told), "a1 OK [CAPABILITY IMAP4 IMAP4rev1 UIDPLUS MOVE LITERAL+ ENABLE] done\r\n"),
            ("", Some("AUTH=PLAIN"), "a1 OK logged in\r\n"),
            ("two\r\nlines", None, "a1 OK two lines\r\n"),
        ];
        for (text, told, out) in cases {
            let capabilities = told.map(|list| Capabilities(list.split(' ').map(str::to_owned).collect()));
            let answer = Welcome { text: text.to_owned(), capabilities };
            assert_eq!(written(|out| welcome("a1", &answer, out)), out);
        }
    }

    #[test]
    fn an_explanation_cannot_start_a_reply_of_its_own() {
        let explanation = Explanation::new("said\r\na1 OK", "x");
        let explained = Refusal::explained(Failure::UpstreamRefused, explanation);
        let out = written(|out| {
            refusal("a1", &explained, out);
        });
        assert_eq!(out, "a1 NO [CONTACTADMIN] said a1 OK: x\r\n");
    }
}
