//! What a client is told about its login: the reply table of SMTP.
//!
//! Codes of RFC 4954 §6 and RFC 3463. Whatever is not the client's fault is `454`, which programs that
//! send by themselves try again; only a wrong password is `535`, which some of them remember.

use bytes::BytesMut;

use crate::{
    dialogue::{Afterwards, Dismissal, Violation, put},
    failure::{Failure, Refusal},
};

/// Answers refused credentials. The connection stays open: a `421` at this point is told to people as
/// a broken connection, without its text.
pub(super) fn refusal(refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
    let (code, generic) = words(refusal.failure);
    let text = refusal.line().unwrap_or_else(|| generic.to_owned());
    put(out, &[code, " ", &text]);
    Afterwards::StaysOpen
}

/// Answers a MAIL that was not let in. A program that sends without a login has no eyes that read a cause,
/// and whoever has its address none of the right to one: what is told is generic.
pub(super) fn no_mail(refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
    let reply = match refusal.failure {
        Failure::BadCredentials => "530 5.7.0 Authentication required",
        Failure::NotPermitted => return forbidden(refusal, out),
        Failure::Throttled => "451 4.7.0 Too many refused logins, try again later",
        Failure::TooManySessions => "451 4.7.0 Too many sessions, try again later",
        Failure::ConsentNeeded
        | Failure::AuthorityUnavailable
        | Failure::AuthorityRefused
        | Failure::UpstreamUnavailable
        | Failure::UpstreamRefused
        | Failure::UpstreamViolation => "451 4.7.0 No mail can be taken now, try again later",
        Failure::Internal => "451 4.3.0 Internal error, try again later",
    };
    put(out, &[reply]);
    Afterwards::StaysOpen
}

/// Answers a MAIL whose sender the account may not name: `550`, RFC 5321 §4.2.3, `5.7.1`, RFC 3463 §3.8.
pub(super) fn forbidden(refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
    let text = refusal.line().unwrap_or_else(|| "This sender is not allowed".to_owned());
    put(out, &["550 5.7.1 ", &text]);
    Afterwards::StaysOpen
}

/// The codes, and the text for who may not know more.
fn words(failure: Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::BadCredentials => ("535 5.7.8", "Username or password is wrong"),
        Failure::NotPermitted => ("525 5.7.13", "This login may not do that"),
        Failure::Throttled => ("454 4.7.0", "Too many refused logins, try again later"),
        Failure::TooManySessions => ("454 4.7.0", "Too many sessions of this account, try again later"),
        Failure::ConsentNeeded => ("454 4.7.0", "The account is not authorized"),
        Failure::AuthorityUnavailable => ("454 4.7.0", "No access token can be had, try again later"),
        Failure::AuthorityRefused => ("454 4.7.0", "No access token was granted"),
        Failure::UpstreamUnavailable => ("454 4.7.0", "The mailbox cannot be reached, try again later"),
        Failure::UpstreamRefused => ("454 4.7.0", "The mailbox refused the access token"),
        Failure::UpstreamViolation => ("454 4.7.0", "The mailbox cannot be understood, try again later"),
        Failure::Internal => ("454 4.3.0", "Internal error, try again later"),
    }
}

/// Says goodbye to a client that has not logged in: `421`, RFC 5321 §3.8.
pub(super) fn dismissal(reason: Dismissal, out: &mut BytesMut) {
    match reason {
        Dismissal::BridgeFull => put(out, &["421 4.7.0 Too many connections, try again later"]),
        Dismissal::ClientFull => {
            put(out, &["421 4.7.0 Too many connections from your address, try again later"]);
        }
        Dismissal::ShuttingDown => put(out, &["421 4.3.2 Shutting down, try again later"]),
        Dismissal::TimedOut => put(out, &["421 4.4.2 No login in time"]),
        Dismissal::TooManyAttempts => put(out, &["421 4.7.0 Too many refused logins"]),
        Dismissal::Violation(violation) => match violation {
            // The line has a reply of its own (RFC 5321 §4.5.3.1.9) before the connection has.
            Violation::LineTooLong(_) => {
                put(out, &["500 5.5.6 Line too long"]);
                put(out, &["421 4.7.0 ", &violation.to_string()]);
            }
            // What IMAP calls a literal is here the chunk of a BDAT (RFC 3030 §2).
            Violation::LiteralTooLong(most) => {
                put(out, &[&format!("421 4.7.0 chunk longer than {most} bytes")]);
            }
            Violation::TooMuchBeforeLogin(_)
            | Violation::TooManyErrors(_)
            | Violation::TooManyCommands(_) => {
                put(out, &["421 4.7.0 ", &violation.to_string()]);
            }
            Violation::AmbiguousEnd => put(out, &["521 5.5.2 ", &violation.to_string()]),
            // It would not be understood, and in HTTP it could pass for an answer.
            Violation::WrongProtocol(_) => {}
        },
    }
}

/// Answers accepted credentials.
pub(super) fn welcome(out: &mut BytesMut) {
    put(out, &["235 2.7.0 Authentication successful"]);
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
            (Failure::BadCredentials, "535 5.7.8 Username or password is wrong\r\n"),
            (Failure::NotPermitted, "525 5.7.13 This login may not do that\r\n"),
            (Failure::Throttled, "454 4.7.0 Too many refused logins, try again later\r\n"),
            (Failure::TooManySessions, "454 4.7.0 Too many sessions of this account, try again later\r\n"),
            (Failure::ConsentNeeded, "454 4.7.0 The account is not authorized\r\n"),
            (Failure::AuthorityUnavailable, "454 4.7.0 No access token can be had, try again later\r\n"),
            (Failure::AuthorityRefused, "454 4.7.0 No access token was granted\r\n"),
            (Failure::UpstreamUnavailable, "454 4.7.0 The mailbox cannot be reached, try again later\r\n"),
            (Failure::UpstreamRefused, "454 4.7.0 The mailbox refused the access token\r\n"),
            (Failure::UpstreamViolation, "454 4.7.0 The mailbox cannot be understood, try again later\r\n"),
            (Failure::Internal, "454 4.3.0 Internal error, try again later\r\n"),
        ];
        assert_eq!(cases.map(|(failure, _)| failure), Failure::ALL);
        for (failure, expected) in cases {
            let out = written(|out| assert_eq!(refusal(&failure.into(), out), Afterwards::StaysOpen));
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn mail_that_is_not_let_in_by_its_address_is_told_nothing_but_whether_to_come_again() {
        let later = "451 4.7.0 No mail can be taken now, try again later\r\n";
        let cases = [
            (Failure::BadCredentials, "530 5.7.0 Authentication required\r\n"),
            (Failure::NotPermitted, "550 5.7.1 This sender is not allowed\r\n"),
            (Failure::Throttled, "451 4.7.0 Too many refused logins, try again later\r\n"),
            (Failure::TooManySessions, "451 4.7.0 Too many sessions, try again later\r\n"),
            (Failure::ConsentNeeded, later),
            (Failure::AuthorityUnavailable, later),
            (Failure::AuthorityRefused, later),
            (Failure::UpstreamUnavailable, later),
            (Failure::UpstreamRefused, later),
            (Failure::UpstreamViolation, later),
            (Failure::Internal, "451 4.3.0 Internal error, try again later\r\n"),
        ];
        assert_eq!(cases.map(|(failure, _)| failure), Failure::ALL);
        for (failure, expected) in cases {
            let explained = Refusal::explained(failure, Explanation::new("why", "cure")).for_the_log_alone();
            let out = written(|out| assert_eq!(no_mail(&explained, out), Afterwards::StaysOpen));
            assert_eq!(out, expected);
        }
        let explained = Refusal::explained(Failure::NotPermitted, Explanation::new("why", "cure"));
        assert_eq!(written(|out| _ = forbidden(&explained, out)), "550 5.7.1 why: cure\r\n");
    }

    #[test]
    fn goodbyes_close_with_421() {
        let cases = [
            (Dismissal::BridgeFull, "421 4.7.0 Too many connections, try again later\r\n"),
            (Dismissal::ClientFull, "421 4.7.0 Too many connections from your address, try again later\r\n"),
            (Dismissal::ShuttingDown, "421 4.3.2 Shutting down, try again later\r\n"),
            (Dismissal::TimedOut, "421 4.4.2 No login in time\r\n"),
            (Dismissal::TooManyAttempts, "421 4.7.0 Too many refused logins\r\n"),
            (
                Dismissal::Violation(Violation::LineTooLong(200)),
                "500 5.5.6 Line too long\r\n421 4.7.0 line longer than 200 bytes\r\n",
            ),
            (Dismissal::Violation(Violation::LiteralTooLong(40)), "421 4.7.0 chunk longer than 40 bytes\r\n"),
            (
                Dismissal::Violation(Violation::TooManyErrors(4)),
                "421 4.7.0 more than 4 commands in error\r\n",
            ),
            (
                Dismissal::Violation(Violation::AmbiguousEnd),
                "521 5.5.2 a dot alone between line ends that are not CR LF\r\n",
            ),
            (Dismissal::Violation(Violation::WrongProtocol("HTTP")), ""),
        ];
        for (reason, out) in cases {
            assert_eq!(written(|out| dismissal(reason, out)), out);
        }
    }

    #[test]
    fn an_explanation_cannot_start_a_reply_of_its_own() {
        let explanation = Explanation::new("said\r\n235 2.7.0", "x");
        let explained = Refusal::explained(Failure::UpstreamRefused, explanation);
        let out = written(|out| {
            refusal(&explained, out);
        });
        assert_eq!(out, "454 4.7.0 said 235 2.7.0: x\r\n");
    }
}
