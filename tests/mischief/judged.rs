//! Accounts whose passwords the authority judges.

use crate::{
    harness::{
        authority::{Authority, Registration},
        config::{Config, Keys},
        exchange::Exchange,
        world::{ANN, PASSWORD, World},
    },
    visitor::{Visitor, says},
};

const APP: &str = "44444444-4444-4444-8444-444444444444";

/// Whoever guesses at a login of the wildcard has proven nothing, though the password was not looked at here but by the
/// authority. The troubles of accounts are kept apart from those of strangers, so that strangers push nothing out; and so
/// they have to be where the authority is the check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_whom_the_authority_turns_away_hide_no_trouble_of_an_account() {
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::public(APP));
        exchange.mailboxes().create(ANN);
        Config::new(authority, exchange)
            .account(ANN, PASSWORD)
            .delegated_app("app", authority, exchange, Keys::of(APP))
            .account_with("app", "*@example.org", None, "password", "")
            .console("127.0.0.1:0")
    });
    world.exchange.refuse_next(2);
    world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    let visitor = Visitor::signed_in(&world).await;
    let ann = "Add-MailboxPermission";
    says(&visitor.get("/failures").await, 200, &[ann]);
    for number in 0..31 {
        let login = format!("guess{number}@example.org");
        let told = world.connect("imap").await.imap_login(&login, "a guess").await;
        assert!(told.contains("username or password is wrong"), "{told}");
    }
    says(&visitor.get("/failures").await, 200, &["guess30@example.org", ann]);
}
