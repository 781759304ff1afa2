//! What the log is told of wrong passwords for the console.

use crate::{harness::world::World, visitor::Visitor};

/// As it is behind a proxy that ends TLS.
const PUBLIC: &str = "public_url = \"https://mail.example.com\"";

/// How many lines of the log say something of the console's password.
fn lines_of_passwords(world: &World) -> usize {
    ["wrong password for the console", "too many wrong passwords for the console"]
        .map(|message| world.bridge.logged(message).len())
        .iter()
        .sum()
}

/// One wrong password again and again is one guess, and never rests: each is a line of the log, twenty a second and
/// client, for as long as the stranger likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_password_again_and_again_fills_no_log() {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0"));
    let stranger = Visitor::of(&world);
    for _ in 0..100 {
        let said = stranger.post("/login", &[("password", "wrong")]).await;
        assert!(said.status == 403 || said.status == 429, "{}", said.body);
    }
    let lines = lines_of_passwords(&world);
    assert!((1..20).contains(&lines), "{lines} lines for 100 requests");
}

/// The form tells the log once that a client rests. `/metrics` tells it of every request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_rests_and_asks_for_metrics_fills_no_log() {
    let world = World::with(|config, _, _| config.console_with("127.0.0.1:0", PUBLIC));
    let stranger = Visitor::of(&world);
    let at = format!("{}/metrics", stranger.home);
    for number in 0..100 {
        let shown = format!("Bearer wrong{number}");
        let said = stranger.browser.get_with(&at, &[("authorization", &shown)]).await;
        assert!(said.status == 401 || said.status == 429, "{}", said.body);
    }
    let lines = lines_of_passwords(&world);
    assert!((5..20).contains(&lines), "{lines} lines for 100 requests");
}
