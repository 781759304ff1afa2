//! What sessions and logins notice when the mail server goes away, and what they do not.

mod harness;

use harness::{
    certs::Certs,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_waits_for_a_mail_server_that_comes_back() {
    let world = World::start();
    world.exchange.go_down().await;
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.say(&format!("a LOGIN {ANN} \"{PASSWORD}\"")).await;
    world.bridge.wait_for_logged("upstream is tried again", 1);
    world.exchange.come_up();
    client.expect("a OK {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_stays_away_is_told_as_a_connection_trouble() {
    let world = World::with(|config, _, exchange| {
        config.pop3(exchange.endpoint("pop3", false)).limit("login_timeout = \"1s\"")
    });
    world.exchange.go_down().await;
    let (mut imap, mut smtp) = (world.connect("imap").await, world.connect("smtp").await);
    let mut pop3 = world.connect("pop3").await;
    let (told_by_imap, told_by_smtp, told_by_pop3) = tokio::join!(
        imap.imap_login_refused(ANN, PASSWORD),
        smtp.smtp_login(ANN, PASSWORD),
        pop3.pop3_login(ANN, PASSWORD)
    );
    assert!(told_by_imap.starts_with("* BYE [UNAVAILABLE] "), "{told_by_imap}");
    imap.expect_end().await;
    assert!(told_by_smtp.starts_with("454 4.7.0 "), "{told_by_smtp}");
    assert!(told_by_pop3.starts_with("-ERR [SYS/TEMP] Service unavailable: "), "{told_by_pop3}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_mail_server_cuts_is_cut_for_the_client() {
    let world = World::start();
    let (mut imap, mut smtp) = (world.imap(ANN).await, world.smtp(BOB).await);
    world.exchange.cut();
    imap.expect_end().await;
    smtp.expect_end().await;
    drop((imap, smtp));
    world.bridge.wait_for_logged("session closed", 2);
    // The next ones are none the worse for it.
    let _again = world.imap(ANN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_is_hung_up_for_the_mail_server() {
    let world = World::start();
    drop(world.imap(ANN).await);
    let closing = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closing[0]["account"], ANN);
}

/// Whom a mail server is, its certificate must say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_with_another_certificate_is_shown_no_token() {
    let strangers = [Certs::self_signed(), Certs::new().leaf()];
    for leaf in strangers {
        let mut stranger = None;
        let world = World::with(|config, certs, _| {
            let authority = harness::authority::Authority::start(certs);
            let exchange = Exchange::start_as(leaf, &authority);
            let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
            let config = config.app("strange", &authority, imap, smtp);
            stranger = Some((authority, exchange));
            config.account_of("strange", "strange@example.com", PASSWORD, "")
        });
        let (_authority, exchange) = stranger.expect("it was started");
        let mut imap = world.connect("imap").await;
        let told = imap.imap_login_refused("strange@example.com", PASSWORD).await;
        assert!(told.starts_with("* BYE [UNAVAILABLE] ") && told.contains("certificate"), "{told}");
        let mut smtp = world.connect("smtp").await;
        let told = smtp.smtp_login("strange@example.com", PASSWORD).await;
        assert!(told.starts_with("454 4.7.0 ") && told.contains("certificate"), "{told}");
        assert_eq!(exchange.attempted().get(), 0);
    }
}

/// The right authority vouches for a wrong name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_host_is_not_enough() {
    let mut stranger = None;
    let world = World::with(|config, certs, _| {
        let authority = harness::authority::Authority::start(certs);
        let exchange = Exchange::start_as(certs.leaf_for(&["mail.example.com"]), &authority);
        let (imap, smtp) = (exchange.endpoint("imap", true), exchange.endpoint("smtp", false));
        let config = config.app("strange", &authority, imap, smtp);
        stranger = Some((authority, exchange));
        config.account_of("strange", "strange@example.com", PASSWORD, "")
    });
    let (_authority, exchange) = stranger.expect("it was started");
    let mut imap = world.connect("imap").await;
    let told = imap.imap_login_refused("strange@example.com", PASSWORD).await;
    assert!(told.starts_with("* BYE [UNAVAILABLE] ") && told.contains("certificate"), "{told}");
    assert_eq!(exchange.attempted().get(), 0);
}
