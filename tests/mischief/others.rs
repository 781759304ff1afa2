//! Explanations that blame somebody who has nothing to do with it.

use footbridge::{
    explain::upstream::{Asked, afterwards, rejected, unreachable},
    failure::{Explanation, Failure},
};

fn asked<'a>(endpoint: &'a str, mailbox: &'a str) -> Asked<'a> {
    Asked { endpoint, mailbox, is_delegated: false }
}

/// Why a mail server did not let an account in.
fn refuses(endpoint: &str, said: &str) -> Explanation {
    rejected(asked(endpoint, "ann@example.com"), Failure::UpstreamRefused, said).refusal.explanation.unwrap()
}

/// Yahoo, of which there is a preset, says it in nearly the same words.
#[test]
fn a_refusal_of_yahoo_is_not_blamed_on_google() {
    let why =
        refuses("imap.mail.yahoo.com:993", "NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials");
    let line = why.line();
    assert!(!line.contains("Google") && !line.contains("mail.google.com"), "{line}");
}

#[test]
fn a_mail_server_that_is_called_proxy_is_no_proxy_of_ours() {
    let said = "connecting to proxy.example.com:993 took longer than 10 s";
    let why = unreachable(said, Failure::UpstreamUnavailable).explanation.unwrap();
    assert!(!why.cure.contains("outbound_proxy"), "{}", why.line());
}

/// Office 365's front ends say `PRX4` and the like, in words of their own. In the name of a mailbox that the server
/// repeats it is nothing, and the refusal one for good: the client hears otherwise that it shall come again.
#[test]
fn a_mailbox_with_the_letters_of_a_front_end_in_its_name_is_refused_as_any_other() {
    let said = "535 5.7.8 Error: authentication failed: PRXSCAN@example.com";
    let refusal =
        rejected(asked("smtp.example.com:587", "PRXSCAN@example.com"), Failure::UpstreamRefused, said)
            .refusal;
    assert_eq!(refusal.failure, Failure::UpstreamRefused, "{refusal}");
}

/// 5.1.8 is any bad address of a sender (RFC 3463 §3.2), and this is what Postfix says of one whose domain is not
/// found. Microsoft Defender has nothing to release there.
#[test]
fn a_sender_whose_domain_is_not_found_is_not_released_in_microsoft_defender() {
    let known = afterwards("550 5.1.8 <ann@gone.example>: Sender address rejected: Domain not found");
    assert!(known.is_none_or(|entry| !entry.cure.contains("Defender")), "{known:?}");
}
