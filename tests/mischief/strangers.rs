//! What somebody can do who only has the address.

use crate::harness::{
    client::plain,
    world::{ANN, PASSWORD, World},
};

fn required() -> World {
    World::with(|config, _, exchange| {
        let config = config.pop3(exchange.endpoint("pop3", false)).limit("login_timeout = \"3s\"");
        ["imap", "smtp", "pop3"]
            .into_iter()
            .fold(config, |config, kind| config.encrypted(kind, "starttls", "require_tls = true"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_a_password_in_clear_opens_a_mailbox_where_tls_is_required() {
    let world = required();
    let base64 = plain("", ANN, PASSWORD);
    let forms = [
        ("imap", format!("a LOGIN {ANN} \"{PASSWORD}\"\r\n")),
        ("imap", format!("a LOGIN {{15+}}\r\n{ANN} {{13+}}\r\n{PASSWORD}\r\n")),
        ("imap", format!("a LOGIN {{15}}\r\n{ANN} {{13}}\r\n{PASSWORD}\r\n")),
        ("imap", format!("a AUTHENTICATE PLAIN {base64}\r\n")),
        ("imap", format!("a AUTHENTICATE PLAIN\r\n{base64}\r\n")),
        ("imap", format!("a AUTHENTICATE {{5+}}\r\nPLAIN {base64}\r\n")),
        ("smtp", format!("EHLO x\r\nAUTH PLAIN {base64}\r\n")),
        ("smtp", format!("AUTH PLAIN\r\n{base64}\r\n")),
        ("smtp", format!("BDAT 6\r\nSTARTTAUTH PLAIN {base64}\r\n")),
        ("pop3", format!("USER {ANN}\r\nPASS {PASSWORD}\r\n")),
        ("pop3", format!("AUTH PLAIN {base64}\r\n")),
        ("pop3", format!("AUTH PLAIN\r\n{base64}\r\n")),
    ];
    for (number, (protocol, form)) in (1..).zip(forms) {
        let mut client = world.connect(protocol).await;
        client.send(&form).await;
        client.finish().await;
        let closed = world.bridge.wait_for_logged("session closed", number);
        let last = closed.last().unwrap();
        assert!(last["login"].is_null() && last["failure"].is_null(), "{form}: {last}");
    }
    assert_eq!((world.exchange.connections(), world.exchange.attempts().len()), (0, 0));
    assert!(!world.bridge.log().contains(PASSWORD) && !world.bridge.log().contains(&base64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_behind_a_starttls_are_not_taken_however_many_reads_they_fill() {
    let world = required();
    for (number, (protocol, starttls, consent, login)) in (1..).zip([
        ("imap", "a STARTTLS\r\n", "a OK {…}", format!("b LOGIN {ANN} \"{PASSWORD}\"\r\n")),
        ("smtp", "STARTTLS\r\n", "220 2.0.0 {…}", format!("AUTH PLAIN {}\r\n", plain("", ANN, PASSWORD))),
        ("pop3", "STLS\r\n", "+OK begin{…}", format!("USER {ANN}\r\nPASS {PASSWORD}\r\n")),
    ]) {
        let mut client = world.connect(protocol).await;
        // More than one read brings: the rest is in the kernel when the handshake begins.
        client.send(format!("{starttls}{}", login.repeat(200))).await;
        client.until(consent).await;
        let closed = world.bridge.wait_for_logged("session closed", number);
        assert_eq!(closed[number - 1]["interrupted"], "tls_handshake", "{}", closed[number - 1]);
    }
    assert_eq!(world.exchange.connections(), 0);
    assert!(!world.bridge.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_starttls_and_falls_silent_is_gone_after_its_time() {
    let world = required();
    for (number, (protocol, starttls)) in
        (1..).zip([("imap", "a STARTTLS\r\n"), ("smtp", "STARTTLS\r\n"), ("pop3", "STLS\r\n")])
    {
        let mut client = world.connect(protocol).await;
        client.send(starttls).await;
        let closed = world.bridge.wait_for_logged("session closed", number);
        assert_eq!(closed[number - 1]["phase"], "client/tls-handshake", "{}", closed[number - 1]);
    }
}
