//! How many may come, from where, and how often they may guess: with a real bridge.

mod harness;

use std::time::Duration;

use harness::{
    client::Client,
    world::{ANN, BOB, PASSWORD, World},
};

/// What a balancer sends on behalf of a client at this address.
fn header(from: &str) -> String {
    let family = if from.contains(':') { 6 } else { 4 };
    format!("PROXY TCP{family} {from} {from} 40000 143\r\n")
}

/// A world in which everybody comes through a balancer.
fn balanced(limits: &[&str]) -> World {
    World::with(|config, _, _| {
        let config = config.every_listener("proxy_protocol = [\"127.0.0.0/8\"]");
        limits.iter().fold(config, |config, limit| config.limit(limit))
    })
}

/// A client at an address that a balancer tells.
async fn client_at(world: &World, protocol: &str, from: &str) -> Client {
    let mut client = world.connect(protocol).await;
    client.send(header(from)).await;
    client
}

/// Tries a login until it is let in: what another session gives back is free in a moment, not at once.
async fn let_in(world: &World) -> Client {
    loop {
        let mut client = world.connect("imap").await;
        let greeting = client.line().await;
        if greeting.starts_with("* OK ") {
            return client;
        }
        assert!(greeting.starts_with("* BYE [UNAVAILABLE] "), "{greeting}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_told_so_in_the_place_of_a_greeting() {
    let world = World::with(|config, _, _| config.limit("max_connections = 2"));
    let (mut first, mut second) = (world.connect("imap").await, world.imap(ANN).await);
    first.expect("* OK {…}").await;
    for _ in 0..20 {
        let (mut imap, mut smtp) = (world.connect("imap").await, world.connect("smtp").await);
        imap.expect("* BYE [UNAVAILABLE] too many connections, try again later").await;
        imap.expect_end().await;
        smtp.expect("421 4.7.0 Too many connections, try again later").await;
        smtp.expect_end().await;
    }
    let said = world.bridge.wait_for_logged("connection refused", 1);
    assert_eq!(said.len(), 1, "forty refusals are one line: {said:?}");
    assert_eq!(said[0]["level"], "WARN");
    assert!(said[0]["cause"].as_str().unwrap().contains("2 connections"), "{said:?}");
    assert!(said[0]["cure"].as_str().unwrap().contains("max_connections"), "{said:?}");
    assert_eq!(world.bridge.logged("session closed").len(), 0, "they were no sessions");
    // Those who are there are none the worse for it.
    second.say("a NOOP").await;
    second.expect("a OK {…}").await;
    drop(first);
    let_in(&world).await;
}

/// There is nobody yet who could read a word, and a handshake is what a full bridge has no time for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tls_comes_first_one_connection_too_many_is_closed_without_a_word() {
    let world =
        World::with(|config, _, _| config.encrypted("smtp", "implicit", "").limit("max_connections = 1"));
    let mut first = world.connect("imap").await;
    first.expect("* OK {…}").await;
    world.connect("smtp").await.expect_end().await;
    world.bridge.wait_for_logged("connection refused", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_the_ceiling_for_those_who_come_then() {
    let world = World::with(|config, _, _| config.limit("max_connections = 1"));
    let mut first = world.imap(ANN).await;
    world.connect("imap").await.expect("* BYE [UNAVAILABLE] {…}").await;
    let path = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("max_connections = 1", "max_connections = 2")).unwrap();
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration reloaded", 1);
    let _second = world.imap(BOB).await;
    world.connect("imap").await.expect("* BYE [UNAVAILABLE] {…}").await;
    first.say("a NOOP").await;
    first.expect("a OK {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_too_many_connections_is_turned_away_and_others_are_not() {
    let world = balanced(&["max_connections_per_client = 2"]);
    let mut here = Vec::new();
    for (from, greeting) in [
        ("192.0.2.1", "* OK {…}"),
        ("192.0.2.1", "* OK {…}"),
        ("192.0.2.1", "* BYE [LIMIT] too many connections from your address, try again later"),
        ("192.0.2.2", "* OK {…}"),
        ("2001:db8::1", "* OK {…}"),
        ("2001:db8::2", "* OK {…}"),
        ("2001:db8::3", "* BYE [LIMIT] {…}"),
        ("2001:db8:0:1::3", "* OK {…}"),
        // Programs of this machine have one address together.
        ("127.0.0.1", "* OK {…}"),
        ("127.0.0.1", "* OK {…}"),
        ("127.0.0.1", "* OK {…}"),
    ] {
        let mut client = client_at(&world, "imap", from).await;
        client.expect(greeting).await;
        here.push(client);
    }
    let mut smtp = client_at(&world, "smtp", "192.0.2.1").await;
    smtp.expect("421 4.7.0 Too many connections from your address, try again later").await;
    smtp.expect_end().await;
    assert_eq!(world.bridge.wait_for_logged("connection refused", 1).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_too_many_sessions_is_told_so_after_its_password() {
    let world = World::with(|config, _, _| config.limit("max_connections_per_account = 1"));
    let mut first = world.imap(ANN).await;
    let told = world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
    assert!(
        told.starts_with("* BYE [LIMIT] account ann@example.com has reached max_connections_per_account, 1"),
        "{told}"
    );
    let told = world.connect("smtp").await.smtp_login(ANN, PASSWORD).await;
    assert!(
        told.starts_with("454 4.7.0 account ann@example.com has reached max_connections_per_account, 1"),
        "{told}"
    );
    let told = world.connect("smtp").await.smtp_login(ANN, "wrong").await;
    assert!(told.starts_with("535 5.7.8 "), "{told}");
    let _other = world.imap(BOB).await;
    let connections = world.exchange.connections();
    assert_eq!(connections, 2, "nobody else has reached the mail server");
    // However a session ends, it gives back its seat.
    first.say("a LOGOUT").await;
    first.until("a OK {…}").await;
    drop(first);
    world.bridge.wait_for_logged("session closed", 4);
    let mut cut = world.imap(ANN).await;
    world.exchange.cut();
    cut.expect_end().await;
    drop(cut);
    world.bridge.wait_for_logged("session closed", 5);
    let _again = world.smtp(ANN).await;
    let failures: Vec<_> =
        world.bridge.wait_for_logged("login refused", 3).iter().map(|line| line["failure"].clone()).collect();
    assert_eq!(failures, ["too_many_sessions", "too_many_sessions", "bad_credentials"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_whose_logins_fail_is_refused_without_a_look_at_the_password() {
    let world = balanced(&["auth_failures = 3", "auth_failure_window = \"24h\""]);
    // A program that was given a wrong password guesses nothing, however often it says it.
    let said = [(ANN, "one"), (ANN, "one"), (ANN, "one"), ("nobody@example.com", "two"), (BOB, "three")];
    for (login, password) in said {
        let reply = client_at(&world, "imap", "192.0.2.1").await.imap_login(login, password).await;
        assert!(reply.starts_with("in NO [AUTHENTICATIONFAILED]"), "{reply}");
    }
    for _ in 0..2 {
        let mut imap = client_at(&world, "imap", "192.0.2.1").await;
        let told = imap.imap_login_refused(ANN, PASSWORD).await;
        assert_eq!(told, "* BYE [LIMIT] too many refused logins, try again later");
        imap.expect_end().await;
        let told = client_at(&world, "smtp", "192.0.2.1").await.smtp_login(ANN, PASSWORD).await;
        assert_eq!(told, "454 4.7.0 Too many refused logins, try again later");
    }
    let said = world.bridge.wait_for_logged("logins are refused without a look at them", 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["client.network"], "192.0.2.1");
    assert!(
        said[0]["cause"].as_str().unwrap().contains("3 different logins or passwords from 192.0.2.1"),
        "{said:?}"
    );
    // Nobody else has to suffer, nor do the programs of this machine.
    let reply = client_at(&world, "imap", "192.0.2.2").await.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    for _ in 0..4 {
        client_at(&world, "imap", "127.0.0.1").await.imap_login(ANN, "wrong").await;
    }
    let reply = client_at(&world, "imap", "127.0.0.1").await.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_over_after_a_while_and_a_good_login_takes_back_its_own() {
    let world = balanced(&["auth_failures = 2", "auth_failure_window = \"4s\""]);
    let login = async |login: &str, password: &str| {
        let mut client = client_at(&world, "imap", "192.0.2.1").await;
        client.expect("* OK {…}").await;
        client.say(&format!("in LOGIN \"{login}\" \"{password}\"")).await;
        client.line().await
    };
    login(ANN, "wrong").await;
    assert!(login(ANN, PASSWORD).await.starts_with("in OK "));
    login(ANN, "wrong").await;
    login(BOB, "wrong").await;
    let refused = tokio::time::Instant::now();
    let mut replies = Vec::new();
    while refused.elapsed() < Duration::from_secs(20) {
        let reply = login(BOB, PASSWORD).await;
        if reply.starts_with("in OK ") {
            break;
        }
        assert!(reply.starts_with("* BYE [LIMIT] "), "{reply}");
        replies.push(reply);
    }
    assert!(!replies.is_empty(), "it was refused at first");
    assert!(refused.elapsed() < Duration::from_secs(20), "and let in after the window");
}
