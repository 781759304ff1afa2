//! Explanations that name the wrong cause, the wrong person or a cure that cures nothing.

use footbridge::{explain::upstream::declined, failure::Explanation};

/// Why a mail server did not take the test message of `doctor`.
fn declines(said: &str) -> Explanation {
    declined("smtp.office365.com:587", "take the message from ann@contoso.com to x@example.com", said, None)
}

/// The test message of `doctor` is refused for its recipient, or for what is in it. Nobody has
/// logged in a second time. As the first code may be told apart, `535 5.7` is looked for as `5.7` anywhere, which every
/// refusal for a reason of security or policy has (RFC 3463 §3.8).
#[test]
fn a_relay_that_is_refused_is_no_second_login() {
    for said in [
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "550 5.7.1 Unable to relay",
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated",
        "554 5.7.0 Message rejected as spam",
    ] {
        let why = declines(said);
        assert!(!why.cause.contains("second time"), "{}", why.line());
    }
}

/// The whole number counts, and a part of an address is none.
#[test]
fn a_code_is_no_part_of_an_address_or_of_a_longer_code() {
    for said in ["554 5.4.14 Service unavailable; client host 10.4.4.2 is blocked", "550 5.1.80 no such user"]
    {
        let why = declines(said);
        assert!(why.cure.contains("own words"), "{}", why.line());
    }
}

/// A word in the name of the recipient, or in what the server says of it, is no lost connection.
#[test]
fn a_recipient_that_does_not_exist_is_no_trouble_of_the_mail_server() {
    let why = declines("550 5.1.1 <lost.property@example.com>: no such user");
    assert!(!why.cure.contains("try later"), "{}", why.line());
}
