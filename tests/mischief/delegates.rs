//! What a person is told whose own consent opens the mailbox.

use crate::{
    harness::world::{ANN, PASSWORD},
    visitor::{Visitor, between, says, world},
};

/// Ann has signed in herself; no app opens her mailbox as itself. That the server refuses has to do with her licence,
/// with IMAP of her mailbox, or with `sign_in` and mailbox. Permissions of an app that logs in as itself, and a service
/// principal in Exchange, are nothing that she or her administrator could mend it by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_signed_in_herself_is_not_sent_to_the_permissions_of_an_app() {
    let world = world("");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "browser").await;
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    says(&visitor.browser.open(&url).await, 200, &["Authorized"]);
    world.exchange.refuse_next(2);
    let told = world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    assert!(told.starts_with("in NO "), "{told}");
    assert!(!told.contains("AccessAsApp") && !told.contains("New-ServicePrincipal"), "{told}");
}
