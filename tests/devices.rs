//! Devices that cannot log in, known by their address: with a real bridge, and a balancer that tells the addresses.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use harness::{
    cli::Cli,
    client::Client,
    world::{ANN, PASSWORD, World},
};

const PRINTER: &str = "printer@example.com";
const AT: &str = "192.0.2.7";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A world in which everybody comes through a balancer, with a printer and what more lines say.
fn world(more: &str, limits: &[&str]) -> World {
    World::with(|config, _, exchange| {
        exchange.mailboxes().create(PRINTER);
        let more = format!("senders = [\"*@example.com\"]\n{more}");
        let config = config.every_listener("proxy_protocol = [\"127.0.0.0/8\"]").account_with(
            "contoso",
            PRINTER,
            None,
            "client_credentials",
            &more,
        );
        limits.iter().fold(config, |config, limit| config.limit(limit))
    })
}

/// A printer at [`AT`], with no password.
fn at_its_address(limits: &[&str]) -> World {
    world(&format!("no_password_from = [\"{AT}\"]"), limits)
}

/// A client at an address that the balancer tells, after its EHLO.
async fn client_at(world: &World, from: &str) -> Client {
    let family = if from.contains(':') { 6 } else { 4 };
    greeted(world, format!("PROXY TCP{family} {from} {from} 40000 25\r\n").as_bytes()).await
}

async fn greeted(world: &World, header: &[u8]) -> Client {
    let mut client = world.connect("smtp").await;
    client.send(header).await;
    client.expect("220 {…}").await;
    client.say("EHLO printer").await;
    client.until("250 {…}").await;
    client
}

async fn send(client: &mut Client, message: &[u8]) {
    client.send(b"MAIL FROM:<scan@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n").await;
    client.expect("250 2.1.0 {…}").await;
    client.expect("250 2.1.5 {…}").await;
    client.expect("354 {…}").await;
    client.send([message, b".\r\n"].concat()).await;
    client.expect("250 2.0.0 {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_sends_large_messages_one_after_the_other_and_nobody_else_does() {
    let world = at_its_address(&[]);
    let message = b"Subject: scan\r\n\r\n0123456789 and so on, some bytes\r\n".repeat(40_000);
    let mut printer = client_at(&world, AT).await;
    for _ in 0..2 {
        send(&mut printer, &message).await;
    }
    printer.say("QUIT").await;
    printer.expect("221 {…}").await;
    printer.expect_end().await;
    let sent = world.exchange.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.user == PRINTER && sent.from == "scan@example.com"));
    assert!(sent.iter().all(|sent| sent.message == message));
    let closed = &world.bridge.wait_for_logged("session closed", 1)[0];
    assert_eq!((closed["account"].as_str(), closed["by_address"].as_bool()), (Some(PRINTER), Some(true)));
    assert_eq!((closed["outcome"].as_str(), closed["login"].as_str()), (Some("spliced"), None));
    assert!(closed["bytes.up"].as_u64().unwrap() > 2 * message.len() as u64, "{closed}");

    let asked = world.exchange.connections();
    for stranger in [greeted(&world, LOCAL).await, client_at(&world, "192.0.2.8").await] {
        let mut stranger = stranger;
        stranger.say("MAIL FROM:<scan@example.com>").await;
        stranger.expect("530 5.7.0 Authentication required").await;
    }
    assert_eq!(world.exchange.connections(), asked);
    world.log_is_discreet();
}

/// The header of a balancer for itself names no client, even where its own address is a device's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_on_its_own_behalf_is_no_device() {
    let world = world("no_password_from = [\"127.0.0.1\"]", &[]);
    let mut balancer = greeted(&world, LOCAL).await;
    balancer.say("MAIL FROM:<scan@example.com>").await;
    balancer.expect("530 5.7.0 Authentication required").await;
    let mut client = client_at(&world, "127.0.0.1").await;
    client.say("MAIL FROM:<scan@example.com>").await;
    client.expect("250 2.1.0 {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ceilings_hold_for_devices_by_address_and_by_account() {
    let world = at_its_address(&["max_connections_per_account = 1", "auth_failures = 2"]);
    let mut first = client_at(&world, AT).await;
    first.say("MAIL FROM:<scan@example.com>").await;
    first.expect("250 2.1.0 {…}").await;
    let mut second = client_at(&world, AT).await;
    second.say("MAIL FROM:<scan@example.com>").await;
    second.expect("451 4.7.0 Too many sessions, try again later").await;
    // Whoever guesses passwords from there is looked at no more, nor is the printer.
    for guess in ["one", "two"] {
        second.say(&format!("AUTH PLAIN {}", harness::client::plain("", ANN, guess))).await;
        second.expect("535 {…}").await;
    }
    second.say("MAIL FROM:<scan@example.com>").await;
    second.expect("451 4.7.0 Too many refused logins, try again later").await;
    drop((first, second));
    let failures: Vec<_> = world.bridge.wait_for_logged("login refused", 4);
    let named: Vec<_> = failures.iter().map(|line| line["failure"].as_str().unwrap()).collect();
    assert_eq!(named, ["too_many_sessions", "bad_credentials", "bad_credentials", "throttled"]);
    assert_eq!(failures[0]["account"], PRINTER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_printer_is_explained_to_people_and_not_on_the_wire() {
    let world = at_its_address(&[]);
    world.exchange.disable_smtp_auth();
    let mut printer = client_at(&world, AT).await;
    printer.say("MAIL FROM:<scan@example.com>").await;
    printer.expect("451 4.7.0 No mail can be taken now, try again later").await;
    printer.say("MAIL FROM:<boss@elsewhere.example>").await;
    printer.expect("550 5.7.1 This sender is not allowed").await;
    let refused = world.bridge.wait_for_logged("login refused", 2);
    assert!(refused[0]["cause"].as_str().unwrap().contains("5.7.139"), "{}", refused[0]);
    assert!(refused[1]["cause"].as_str().unwrap().contains("<boss@elsewhere.example>"), "{}", refused[1]);
    assert!(refused[1]["cure"].as_str().unwrap().contains("senders"), "{}", refused[1]);
}

/// What `accounts --json` says of the printer's last failure.
fn last_failure(world: &World) -> serde_json::Value {
    let rows = Cli::run(world.folder.path(), ["accounts", "--json"]).expect(0).json();
    let row = rows.as_array().unwrap().iter().find(|row| row["login"] == PRINTER).unwrap();
    row["last_failure"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_refused_after_the_login_is_a_failure_of_the_account() {
    let world = at_its_address(&[]);
    let mut printer = client_at(&world, AT).await;
    send(&mut printer, b"Subject: x\r\n\r\n").await;
    assert!(last_failure(&world).is_null());
    printer.say("MAIL FROM:<boss@elsewhere.example>").await;
    printer.expect("550 5.7.1 This sender is not allowed").await;
    let refused = &world.bridge.wait_for_logged("sender refused", 1)[0];
    assert_eq!(
        (refused["account"].as_str(), refused["failure"].as_str()),
        (Some(PRINTER), Some("not_permitted"))
    );
    let failure = last_failure(&world);
    assert_eq!(
        (&failure["failure"], &failure["cause"]),
        (&refused["failure"], &refused["cause"]),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_stands_for_its_account_in_smtp_alone() {
    let world = world(&format!("no_password_from = [\"{AT}\"]\nfrom_networks = [\"192.0.2.0/24\"]"), &[]);
    let mut printer = client_at(&world, AT).await;
    send(&mut printer, b"Subject: x\r\n\r\n").await;
    let mut reader = world.connect("imap").await;
    reader.send(format!("PROXY TCP4 {AT} {AT} 40000 143\r\n")).await;
    reader.expect("* OK {…}").await;
    reader.say("a SELECT INBOX").await;
    reader.expect("a BAD {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_leaves_or_is_cut_in_the_middle_of_a_message_has_sent_nothing() {
    let world = at_its_address(&[]);
    let mut printer = client_at(&world, AT).await;
    printer.send(b"MAIL FROM:<scan@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n").await;
    printer.until("354 {…}").await;
    printer.send(b"Subject: half\r\n").await;
    drop(printer);
    let mut other = client_at(&world, AT).await;
    other.send(b"MAIL FROM:<scan@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n").await;
    other.until("354 {…}").await;
    other.send(b"Subject: hidden\n.\r\nMAIL FROM:<boss@elsewhere.example>\r\n").await;
    other.expect("521 5.5.2 {…}").await;
    other.expect_end().await;
    let closed = world.bridge.wait_for_logged("session closed", 2);
    assert!(closed.iter().any(|line| line["interrupted"] == "ambiguous_end"), "{closed:?}");
    assert!(world.exchange.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_may_use_the_address_of_a_device_as_before() {
    let world = at_its_address(&[]);
    let mut client = client_at(&world, AT).await;
    client.say(&format!("AUTH PLAIN {}", harness::client::plain("", ANN, PASSWORD))).await;
    client.expect("235 {…}").await;
    client.say("MAIL FROM:<anybody@elsewhere.example>").await;
    client.expect("250 2.1.0 {…}").await;
}
