//! What stands in a mail is the word of whoever has sent it, and of nobody else.

use std::fmt::Write as _;

use crate::harness::world::{ANN, World};

/// A mail whose lines read like replies, in every position that the beginning of a TLS record can have.
fn letter() -> String {
    const LINE: &str = "a NO [OVERQUOTA] gone, all gone\n";
    let mut text = "Subject: hello\r\n\r\n".to_owned();
    for _ in 0..=LINE.len() {
        for _ in 0..3 * 16 * 1024 / (LINE.len() + 1) {
            let _ = write!(text, "{}\r\n", LINE.trim_end());
        }
        text.push_str(".\r\n");
        text.push_str(" \r\n\r\n".repeat(2).as_str());
    }
    text
}

/// Anybody may send Ann a mail. That her program reads it must not tell the operator that her mailbox is full, nor put
/// that on the console as what went wrong with her account, nor fill the log: what is carried inside a literal is no
/// reply, wherever a piece of it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_reads_like_replies_makes_the_upstream_complain_of_nothing() {
    let world = World::start();
    let letter = letter();
    assert!(world.exchange.mailboxes().deliver(ANN, letter.clone()));
    let mut client = world.imap(ANN).await;
    client.say("s SELECT INBOX").await;
    client.until("s OK {…}").await;
    client.say("f FETCH 1 (BODY.PEEK[])").await;
    client.expect("* 1 FETCH {…}").await;
    assert!(client.exactly(letter.len()).await == letter.as_bytes());
    client.until("f OK {…}").await;
    client.say("q LOGOUT").await;
    client.until("q OK {…}").await;
    client.finish().await;
    world.bridge.wait_for_logged("session closed", 1);
    let complaints = world.bridge.logged("upstream ends or limits the session");
    assert!(complaints.is_empty(), "{} of them, as {}", complaints.len(), complaints[0]);
}
