//! What to tell a person about signing in: why it is needed, and what went wrong with it.
//!
//! `login` is the account's name in the mappings, which `footbridge authorize` takes; an address is
//! whom the authority knows. Neither is a secret; each text is safe to send by [`Explanation::line`].

use std::time::Duration;

use super::authority::{self, Class, ErrorBody, Flow};
use crate::{
    failure::{Explanation, LONGEST_LINE},
    ids::ProtocolKind,
};

/// Nobody has signed in for the account yet. `console` is the address of the page where one may; it is
/// left out where the line would be too long.
#[must_use]
pub fn not_given(login: &str, console: Option<&str>) -> Explanation {
    let (cause, run) = (format!("account {login} is not authorized yet"), authorize("run", login));
    let both = console.map(|address| format!("open {address} or {run}"));
    let cure = both.filter(|cure| cause.len() + 2 + cure.len() <= LONGEST_LINE);
    Explanation::new(cause, cure.unwrap_or(run))
}

/// The authority takes the refresh token no more, or wants a person for another reason.
///
/// For an answer whose class is [`Class::Consent`].
#[must_use]
pub fn needed(app: &str, login: &str, body: &ErrorBody) -> Explanation {
    let mut explanation = authority::explained(Flow::Refresh, app, Some(login), body);
    let ended = body.class(Flow::Refresh) == Class::Consent { known: true };
    // An administrator's act alone brings no ended sign-in back.
    if ended && !explanation.cure.contains("footbridge authorize") {
        explanation.cure = format!("{}, {}", explanation.cure, authorize("then", login));
    }
    explanation
}

/// A refresh was cut off after it was sent. Authorities that rotate refresh tokens take the old one's
/// return for theft and end the sign-in (RFC 9700 §4.14.2).
#[must_use]
pub fn cut_off(login: &str) -> Explanation {
    let cause = format!("a renewal for account {login} was cut off, and its repetition taken for theft");
    Explanation::new(cause, authorize("sign in again:", login))
}

/// Another person signed in than the account's. `expected` is its `sign_in`, the first of several
/// spellings.
#[must_use]
pub fn someone_else(signed_in: &str, expected: &str) -> Explanation {
    Explanation::new(
        format!("{signed_in} signed in instead of {expected}"),
        "nothing was stored: sign in as that account, or correct sign_in",
    )
}

/// Nothing that the authority sent says who signed in.
#[must_use]
pub fn nobody_named(expected: &str) -> Explanation {
    Explanation::new(
        format!("the authority does not say who signed in; {expected} should have"),
        "nothing was stored: add the scope openid to the app",
    )
}

/// The authority has granted a token for an hour and none to renew it with (RFC 6749 §6).
#[must_use]
pub fn no_refresh_token(app: &str) -> Explanation {
    Explanation::new(
        format!("the authority gave no refresh token to app {app}"),
        "nothing was stored: let the app ask for offline access at the authority",
    )
}

/// The person declined.
#[must_use]
pub fn declined(login: &str) -> Explanation {
    let cause = format!("consent for account {login} was declined");
    Explanation::new(cause, authorize("to try again, run", login))
}

/// Nobody entered the device code in time (RFC 8628 §3.5, `expired_token`).
#[must_use]
pub fn device_code_expired(login: &str) -> Explanation {
    let cause = format!("nobody entered the code for account {login} in time");
    Explanation::new(cause, authorize("for a new one, run", login))
}

/// What ended a device flow, RFC 8628 §3.5; `authorization_declined` and 70019 are Entra's.
#[must_use]
pub fn device_flow_ended(app: &str, login: &str, body: &ErrorBody) -> Explanation {
    /// Entra: the device code has expired.
    const EXPIRED: u64 = 70_019;
    match body.error.as_str() {
        "access_denied" | "authorization_declined" => declined(login),
        "expired_token" => device_code_expired(login),
        _ if body.code() == Some(EXPIRED) => device_code_expired(login),
        _ => authority::explained(Flow::Device, app, Some(login), body),
    }
}

/// For the page: the redirect's `state` is none that we wait for. It names no account, because anybody
/// can open that page.
#[must_use]
pub fn unknown_state() -> Explanation {
    Explanation::new(
        "this sign-in is unknown here, has been finished, or is too old",
        "close this page and begin the sign-in again",
    )
}

/// The consent does not reach as far as the protocol that the client wants.
#[must_use]
pub fn does_not_cover(login: &str, kind: ProtocolKind) -> Explanation {
    let kind = kind.name().to_ascii_uppercase();
    let cause = format!("the sign-in of {login} does not cover {kind}");
    Explanation::new(cause, authorize("authorize again:", login))
}

/// So many wrong passwords came that the authority is not asked for `wait`. True of any login, known
/// or not, so that it tells a stranger nothing.
#[must_use]
pub fn throttled(login: &str, wait: Duration) -> Explanation {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    Explanation::new(
        format!("too many wrong passwords for {login}"),
        format!("correct the password in the client, and wait {minutes} {unit}"),
    )
}

fn authorize(verb: &str, login: &str) -> String {
    format!("{verb} footbridge authorize {login}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(error: &str, codes: &[u64]) -> ErrorBody {
        ErrorBody { error: error.to_owned(), error_codes: codes.to_vec(), ..ErrorBody::default() }
    }

    /// Every text.
    fn all(login: &str, address: &str) -> Vec<Explanation> {
        let wait = Duration::from_mins(15);
        let mut all = vec![
            not_given(login, None),
            not_given(login, Some("http://localhost:8025")),
            needed("contoso", login, &body("invalid_grant", &[700_082])),
            cut_off(login),
            someone_else(address, login),
            nobody_named(login),
            declined(login),
            device_code_expired(login),
            device_flow_ended("contoso", login, &body("authorization_declined", &[])),
            unknown_state(),
            throttled(login, wait),
        ];
        all.extend(ProtocolKind::ALL.map(|kind| does_not_cover(login, kind)));
        all
    }

    #[test]
    fn every_text_fits_on_one_line_whole_with_addresses_of_forty_characters() {
        let (login, address) =
            ("ann.ottilie.long@accounts.contoso.com.xx", "bob.ottilie.long@accounts.contoso.com.xx");
        assert_eq!((login.len(), address.len()), (40, 40));
        for explanation in all(login, address) {
            let line = explanation.line();
            assert_eq!(line, explanation.cause + ": " + &explanation.cure);
            assert!(line.len() <= LONGEST_LINE, "{line}");
        }
    }

    #[test]
    fn a_missing_consent_names_the_account_and_the_command() {
        assert_eq!(
            not_given("ann@contoso.com", None).line(),
            "account ann@contoso.com is not authorized yet: run footbridge authorize ann@contoso.com"
        );
        assert_eq!(
            needed("contoso", "ann", &body("invalid_grant", &[700_082])).line(),
            "account ann: the sign-in was unused for too long (AADSTS700082): \
             sign in again: footbridge authorize ann"
        );
    }

    #[test]
    fn an_ended_consent_asks_for_a_sign_in_after_the_administrators_act() {
        assert_eq!(
            needed("contoso", "ann", &body("invalid_grant", &[90_094])).line(),
            "account ann: only an administrator may consent (AADSTS90094): \
             grant admin consent in Entra, then footbridge authorize ann"
        );
        let unassigned = needed("contoso", "ann", &body("invalid_grant", &[50_105])).line();
        assert!(!unassigned.contains("authorize"), "{unassigned}");
    }

    #[test]
    fn who_signed_in_and_who_should_have_are_both_named() {
        assert_eq!(
            someone_else("bob@contoso.com", "ann@contoso.com").line(),
            "bob@contoso.com signed in instead of ann@contoso.com: \
             nothing was stored: sign in as that account, or correct sign_in"
        );
    }

    #[test]
    fn the_end_of_a_device_flow_is_told_apart() {
        let ended = |error, codes: &[u64]| device_flow_ended("contoso", "ann", &body(error, codes)).cause;
        assert_eq!(ended("access_denied", &[]), declined("ann").cause);
        assert_eq!(ended("authorization_declined", &[]), declined("ann").cause);
        assert_eq!(ended("expired_token", &[]), device_code_expired("ann").cause);
        assert_eq!(ended("invalid_grant", &[70_019]), device_code_expired("ann").cause);
        assert!(ended("invalid_grant", &[53_003]).contains("Conditional Access"));
    }

    #[test]
    fn a_wait_is_told_in_whole_minutes() {
        for (seconds, told) in [(0, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes")] {
            assert!(throttled("ann", Duration::from_secs(seconds)).cure.ends_with(told), "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn no_name_breaks_or_begins_a_reply_line(
            login in "[\\x00-\\xff]{0,80}\r\n\\PC*",
            address in "\\PC*\r\n[\\x00-\\x1f]*",
        ) {
            for explanation in all(&login, &address) {
                let line = explanation.line();
                prop_assert!(line.len() <= LONGEST_LINE);
                prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            }
        }
    }

    #[test]
    fn the_console_is_named_where_there_is_room() {
        let told = |address: &str| not_given("ann@contoso.com", Some(address)).line();
        assert_eq!(
            told("http://localhost:8025"),
            "account ann@contoso.com is not authorized yet: \
             open http://localhost:8025 or run footbridge authorize ann@contoso.com"
        );
        let long = format!("https://{}.example.com", "x".repeat(100));
        assert!(told(&long).ends_with(" yet: run footbridge authorize ann@contoso.com"));
    }
}
