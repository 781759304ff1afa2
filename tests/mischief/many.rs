//! A console with more sessions than it shows.

use crate::{
    harness::world::{ANN, World},
    visitor::{Visitor, says},
};

/// Beyond the 200 sessions that are shown there are others, whose numbers stand in the log. They are there, can be
/// ended, and must not be said to have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_beyond_those_that_are_shown_has_not_ended() {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0"));
    let mut clients = Vec::new();
    for _ in 0..201 {
        clients.push(world.imap(ANN).await);
    }
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.get("/sessions").await;
    let shown = page.body.split("/sessions/end?number=").skip(1);
    let number = |rest: &str| rest.split('"').next().unwrap().parse::<u64>().unwrap();
    let last = shown.map(number).max().unwrap() + 1;
    let asked = visitor.get(&format!("/sessions/end?number={last}")).await;
    says(&asked, 200, &["End this session?", ANN]);
}
