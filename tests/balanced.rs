//! Clients that come through a load balancer, which tells of them by the PROXY protocol.

mod harness;

use harness::{
    client::Client,
    world::{ANN, PASSWORD, World},
};
use serde_json::Value;

const HEADER: &str = "PROXY TCP4 192.0.2.7 127.0.0.1 40000 143\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 for 192.0.2.7, with what some balancers add.
fn binary() -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 127, 0, 0, 1, 0x9c, 0x40, 0, 143];
    let more = [0x03, 0, 4, 0, 0, 0, 0, 0x04, 0, 2, 0, 0];
    [SIGNATURE, &[0x21, 0x11, 0, 24], &addresses, &more].concat()
}

fn world(networks: &str) -> World {
    World::with(|config, _, _| {
        let more = "from_networks = [\"192.0.2.0/24\"]";
        config.every_listener(&format!("proxy_protocol = [\"{networks}\"]")).account_of(
            "contoso",
            "office@example.com",
            PASSWORD,
            more,
        )
    })
}

fn address(line: &Value) -> String {
    line["span"]["client.addr"].as_str().unwrap_or_else(|| panic!("no address: {line}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_is_whom_the_balancer_names_and_no_byte_of_it_is_lost() {
    let world = world("127.0.0.0/8");
    world.exchange.mailboxes().create("office@example.com");
    for header in [HEADER.as_bytes().to_vec(), binary()] {
        let mut client = world.connect("imap").await;
        let login = format!("a LOGIN office@example.com \"{PASSWORD}\"\r\nb NOOP\r\n");
        client.send([&header[..], login.as_bytes()].concat()).await;
        client.expect("* OK {…}").await;
        client.expect("a OK {…}").await;
        client.until("b OK {…}").await;
    }
    // In pieces, and for SMTP.
    let mut client = world.connect("smtp").await;
    for byte in HEADER.as_bytes() {
        client.send([*byte]).await;
    }
    let reply = client.smtp_login("office@example.com", PASSWORD).await;
    assert!(reply.starts_with("235 "), "{reply}");
    drop(client);
    for line in world.bridge.wait_for_logged("session closed", 3) {
        assert_eq!(address(&line), "192.0.2.7:40000");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_from_elsewhere_is_garbage_and_is_not_believed() {
    let world = world("192.0.2.0/24");
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.send(HEADER).await;
    client.expect("PROXY BAD {…}").await;
    client.say(&format!("a LOGIN office@example.com \"{PASSWORD}\"")).await;
    client.expect("a NO [AUTHENTICATIONFAILED] {…}").await;
    drop(client);
    let line = &world.bridge.wait_for_logged("session closed", 1)[0];
    assert!(address(line).starts_with("127.0.0.1:"), "{line}");
    assert_eq!(world.exchange.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_without_a_header_is_hung_up_and_told_once_to_the_log() {
    let world = world("127.0.0.0/8");
    let wrong: [&[u8]; 5] = [
        b"a1 LOGIN ann@example.com secret\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0",
        &[SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
        &[b'x'; 100],
    ];
    for bytes in wrong {
        let mut client = world.connect("imap").await;
        client.send(bytes).await;
        client.expect_end().await;
    }
    let said = world.bridge.wait_for_logged("connection refused", 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["cure"].as_str().unwrap().contains("proxy_protocol"), "{said:?}");
    assert!(said[0]["peer.addr"].as_str().unwrap().starts_with("127.0.0.1:"), "{said:?}");
    assert!(!world.bridge.log().contains("secret"), "what it sent instead is nobody's business");
    // One that begins and does not go on is waited for no longer than a packet takes.
    let mut slow = world.connect("imap").await;
    slow.send(&HEADER[..20]).await;
    slow.expect_end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_whether_the_bridge_is_there_is_no_noise() {
    let world = world("127.0.0.0/8");
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    for look in [&b""[..], b"PROXY UNKNOWN\r\n", &local] {
        for _ in 0..3 {
            let mut client = world.connect("imap").await;
            client.send(look).await;
            if !look.is_empty() {
                client.expect("* OK {…}").await;
            }
            client.finish().await;
            client.expect_end().await;
        }
    }
    // One that says more than that is a client like any other, at the balancer's own address.
    let mut client = world.connect("imap").await;
    client.send(&local).await;
    let reply = client.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    drop(client);
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert!(address(&closed[0]).starts_with("127.0.0.1:"), "{closed:?}");
    world.bridge.wait_for_logged("nobody came", 9);
    assert!(world.bridge.logged("connection refused").is_empty());
    let looks = world.bridge.logged("nobody came");
    assert!(looks.iter().all(|line| line["level"] == "DEBUG"), "{looks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_stands_before_the_handshake_of_a_line_that_is_encrypted_at_once() {
    let world = World::with(|config, _, _| {
        config.encrypted("imap", "implicit", "").every_listener("proxy_protocol = [\"127.0.0.0/8\"]")
    });
    let mut client = world.connect("imap").await;
    client.send(binary()).await;
    let mut client = client.start_tls(&world.certs.connector()).await;
    let reply = client.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    drop(client);
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(address(&closed[0]), "192.0.2.7:40000");
}

/// What stands before the header of a client cannot be another header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_header_is_what_the_client_sends() {
    let world = world("127.0.0.0/8");
    let mut client = Client::connect(world.bridge.addr("imap")).await;
    client.send(format!("PROXY TCP4 203.0.113.9 127.0.0.1 1 143\r\n{HEADER}")).await;
    client.expect("* OK {…}").await;
    client.expect("PROXY BAD {…}").await;
    client.say(&format!("a LOGIN office@example.com \"{PASSWORD}\"")).await;
    client.expect("a NO [AUTHENTICATIONFAILED] {…}").await;
}
