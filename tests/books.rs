//! The books that the bridge keeps of its sessions: what the console shows, and monitoring is told.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use harness::{
    browser::Browser,
    world::{ANN, World},
};

/// A world with a console on loopback, whose numbers anybody there may know.
fn world() -> World {
    World::with(|config, _, _| config.console("127.0.0.1:0"))
}

/// What monitoring is told.
async fn metrics(world: &World) -> String {
    let line = world.bridge.wait_for_log("the console", |line| line["message"] == "console");
    let browser: Browser = world.browser();
    browser.get(&format!("http://{}/metrics", line["listener.addr"].as_str().unwrap())).await.body
}

#[track_caller]
fn tells(metrics: &str, line: &str) {
    assert!(metrics.lines().any(|known| known == line), "no {line}\n{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_logins_and_bytes_are_counted_by_protocol_and_outcome() {
    let world = world();
    let mut client = world.imap(ANN).await;
    let mut stranger = world.connect("imap").await;
    stranger.imap_login_refused(ANN, "not it").await;
    let during = metrics(&world).await;
    tells(&during, "footbridge_ready 1");
    tells(&during, "footbridge_connections 2");
    tells(&during, "footbridge_sessions{protocol=\"imap\"} 1");
    tells(&during, "footbridge_sessions{protocol=\"smtp\"} 0");
    tells(&during, "footbridge_logins_total{protocol=\"imap\",outcome=\"ok\"} 1");
    tells(&during, "footbridge_logins_total{protocol=\"imap\",outcome=\"bad_credentials\"} 1");
    tells(&during, "footbridge_accounts{token=\"ready\"} 2");
    tells(&during, "footbridge_carried_bytes_total{protocol=\"imap\",direction=\"down\"} 0");
    client.say("z LOGOUT").await;
    client.finish().await;
    stranger.say("z LOGOUT").await;
    stranger.finish().await;
    let closed = world.bridge.wait_for_logged("session closed", 2);
    let carried: u64 = closed.iter().filter_map(|line| line["bytes.down"].as_u64()).sum();
    assert!(carried > 0);
    let after = metrics(&world).await;
    tells(&after, "footbridge_sessions{protocol=\"imap\"} 0");
    tells(&after, "footbridge_accepted_connections_total{protocol=\"imap\"} 2");
    tells(
        &after,
        &format!("footbridge_carried_bytes_total{{protocol=\"imap\",direction=\"down\"}} {carried}"),
    );
    world.log_is_discreet();
}
