//! Authorities that repeat what they were sent.

use crate::{
    harness::{
        authority::{Answer, Authority, Registration},
        config::{Config, Keys},
        exchange::Exchange,
        world::{ANN, PASSWORD, World},
    },
    visitor::{Visitor, hidden_token},
};

const APP: &str = "44444444-4444-4444-8444-444444444444";

const SECRET: &str = "s3cr~t.of.the.app";

/// The answer of the token endpoint is rid of what was sent before it is shown. That of the endpoint for device codes,
/// which is sent the app's secret as well, has to be: it stands on a page of the console, and in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_repeated_where_device_codes_are_given_reaches_no_page_and_no_log() {
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::confidential(APP).secret(SECRET));
        exchange.mailboxes().create(ANN);
        Config::empty()
            .delegated_app("people", authority, exchange, Keys::of(APP).secret(SECRET))
            .account_with("people", ANN, Some(PASSWORD), "device_code", "")
            .console("127.0.0.1:0")
    });
    let said = format!("{{\"error\":\"invalid_request\",\"error_description\":\"what is {SECRET} for?\"}}");
    world.authority.next_device_code(Answer::Body(400, said));
    let visitor = Visitor::signed_in(&world).await;
    let token = hidden_token(&visitor.get("/").await);
    let form = [("token", token.as_str()), ("login", ANN), ("way", "device")];
    let page = visitor.post("/authorize", &form).await;
    assert!(page.body.contains("what is"), "the words of the authority: {}", page.body);
    assert!(!page.body.contains(SECRET), "{}", page.body.split("<body").nth(1).unwrap());
    assert!(!world.bridge.log().contains(SECRET));
}
