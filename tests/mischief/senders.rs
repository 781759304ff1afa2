//! Senders that look like those that an account may name, and what is kept of who sent.

use crate::harness::{
    client::{Client, plain},
    world::{ANN, PASSWORD, World},
};

const PRINTER: &str = "kiosk@example.com";

fn world() -> World {
    World::with(|config, _, exchange| {
        exchange.mailboxes().create(PRINTER);
        let keys = format!("senders = [\"{PRINTER}\"]\nno_password_from = [\"127.0.0.1\"]");
        config.account_with("contoso", PRINTER, None, "client_credentials", &keys)
    })
}

async fn greeted(world: &World) -> Client {
    let mut client = world.connect("smtp").await;
    client.expect("220 {…}").await;
    client.say("EHLO printer").await;
    client.until("250 {…}").await;
    client
}

/// `senders` has `kiosk@example.com`. U+212A KELVIN SIGN is another character than `k`, in another mailbox
/// (RFC 6532 §3.1: no normalization beyond NFC is to be counted on): Unicode's lower case makes it a `k`, so that what
/// is compared is not what goes up. Only ASCII letters have a case that mail servers agree on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_with_a_letter_that_only_lower_case_makes_the_allowed_one_is_refused() {
    let world = world();
    let mut client = greeted(&world).await;
    client.say("MAIL FROM:<\u{212a}iosk@example.com> SMTPUTF8").await;
    client.expect("550 5.7.1 {…}").await;
}

/// Who fails to log in as somebody, and then sends from an address that needs no password, has not sent as that
/// somebody: the lines about the mail must not name the login of the failed attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_by_an_address_is_not_laid_at_the_door_of_a_login_that_failed_before() {
    let world = world();
    let mut client = greeted(&world).await;
    client.say(&format!("AUTH PLAIN {}", plain("", ANN, &format!("not {PASSWORD}")))).await;
    client.expect("535 {…}").await;
    client.say(&format!("MAIL FROM:<{PRINTER}>")).await;
    client.expect("250 2.1.0 {…}").await;
    client.say("QUIT").await;
    client.until("221 {…}").await;
    let closed = &world.bridge.wait_for_logged("session closed", 1)[0];
    assert_eq!((closed["account"].as_str(), closed["by_address"].as_bool()), (Some(PRINTER), Some(true)));
    assert_eq!(closed["login"].as_str(), None, "{closed}");
}

/// `AUTH=` names who handed the mail in first (RFC 4954 §5), and an upstream that trusts whoever has logged in hands that
/// name on. It is a second sender of the envelope, which `senders` does not have: only `<>`, nobody in particular, or the
/// sender itself may go up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_submitter_that_a_mail_names_beside_its_sender_is_one_of_the_senders_too() {
    let world = world();
    let mut client = greeted(&world).await;
    client.say(&format!("MAIL FROM:<{PRINTER}> AUTH=ceo@example.com")).await;
    let reply = client.line().await;
    assert!(reply.starts_with('5'), "another submitter is let by: {reply}");
}
