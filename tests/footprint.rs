//! What an idle session costs: with a real bridge, of which the system says how much memory it has.
//!
//! The bounds are of an unoptimised build, with a margin for what an allocator keeps at its own discretion.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use harness::{
    client::Client,
    config::Config,
    world::{ANN, PASSWORD, World},
};

/// How many sessions come before anything is measured, so that what all share is there.
const EARLY: usize = 100;

/// How many are measured.
const MEASURED: usize = 300;

/// A message of several TLS records.
const MESSAGE: usize = 200_000;

/// What the bridge has in memory that is of no file, in bytes.
fn memory(world: &World) -> usize {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", world.bridge.pid())).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

async fn log_in(world: &World, encrypted: bool) -> Client {
    let addr = world.bridge.addr("imap");
    let mut client = if encrypted {
        Client::connect_tls(addr, &world.certs.connector()).await
    } else {
        Client::connect(addr).await
    };
    let reply = client.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    client
}

async fn fetch(client: &mut Client) {
    client.say("a EXAMINE INBOX").await;
    client.until("a OK {…}").await;
    client.say("b FETCH 1 BODY.PEEK[]").await;
    client.until("b OK {…}").await;
}

/// Holds sessions and checks what each costs, before and after a message went through all.
async fn costs_at_most(encrypted: bool, most_idle: usize, most_used: usize) {
    let encrypt = |config: Config| config.encrypted("imap", "implicit", "");
    let world = World::with(|config, _, _| if encrypted { encrypt(config) } else { config });
    world.exchange.mailboxes().deliver(ANN, format!("Subject: large\r\n\r\n{}\r\n", mail(MESSAGE)));
    let mut held = Vec::new();
    for _ in 0..EARLY {
        held.push(log_in(&world, encrypted).await);
        fetch(held.last_mut().unwrap()).await;
    }
    let before = memory(&world);
    for _ in 0..MEASURED {
        held.push(log_in(&world, encrypted).await);
    }
    let each = |after: usize| after.saturating_sub(before) / MEASURED;
    let idle = each(memory(&world));
    for client in &mut held[EARLY..] {
        fetch(client).await;
    }
    let used = each(memory(&world));
    assert!(idle <= most_idle, "an idle session costs {idle} bytes");
    assert!(used <= most_used, "a session that is idle after a message costs {used} bytes");
}

/// So many bytes of mail.
fn mail(bytes: usize) -> String {
    format!("{}\r\n", "x".repeat(62)).repeat(bytes / 64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_in_clear_costs_some_kibibytes() {
    costs_at_most(false, 9 * 1024, 9 * 1024).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_by_tls_costs_some_more() {
    costs_at_most(true, 13 * 1024, 13 * 1024).await;
}
