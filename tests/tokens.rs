//! Access tokens as logins meet them: shared, renewed ahead of time, waited for, and replaced.

mod harness;

use std::time::Duration;

use futures::future::join_all;
use harness::{
    authority::{Answer, Authority, Gate},
    certs::Certs,
    client::{Client, plain},
    config::Config,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_logins_at_once_cause_one_token_request() {
    let world = World::start();
    let gate = Gate::default();
    world.authority.next(Answer::Held(gate.clone()));
    let mut imap = join_all((0..25).map(async |_| world.connect("imap").await)).await;
    let mut smtp = join_all((0..25).map(async |_| world.connect("smtp").await)).await;
    for client in &mut imap {
        client.expect("* OK {…}").await;
        client.say(&format!("a LOGIN {ANN} \"{PASSWORD}\"")).await;
    }
    for client in &mut smtp {
        client.expect("220 {…}").await;
        client.say(&format!("AUTH PLAIN {}", plain("", BOB, PASSWORD))).await;
    }
    world.bridge.wait_for_logged("read from client", 50);
    world.authority.requests().reached(1).await;
    gate.open();
    for client in &mut imap {
        client.expect("a OK {…}").await;
    }
    for client in &mut smtp {
        client.expect("235 {…}").await;
    }
    assert_eq!(world.authority.requests().get(), 1);
    assert_eq!(world.exchange.attempted().get(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_ahead_of_time_without_a_login() {
    let world = World::start();
    world.authority.set_lifetime(Duration::from_secs(10));
    let _first = world.imap(ANN).await;
    world.authority.requests().reached(2).await;
    world.bridge.wait_for_log("the second token", |line| {
        line["message"] == "token obtained" && line["generation"] == 2
    });
    let _second = world.smtp(BOB).await;
    let shown: Vec<String> = world.exchange.attempts().into_iter().map(|attempt| attempt.jti).collect();
    assert_eq!(shown, ["token-1", "token-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_outlasts_every_trouble_of_the_authority_that_passes() {
    let troubles = [
        Answer::Status(503, None),
        Answer::Status(429, Some(1)),
        Answer::Garbage,
        Answer::Empty,
        Answer::Reset,
        Answer::Refuse(90033),
    ];
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let exchange = Exchange::start(&certs, &authority);
    exchange.mailboxes().create(ANN);
    let mut config = Config::empty();
    for number in 0..troubles.len() {
        let (imap, smtp) = (exchange.endpoint("imap", true), exchange.endpoint("smtp", false));
        let (app, login) = (format!("app{number}"), format!("login{number}"));
        config = config.app(&app, &authority, imap, smtp);
        config = config.account_of(&app, &login, PASSWORD, &format!("mailbox = \"{ANN}\""));
    }
    let folder = config.write(&certs);
    let bridge = harness::bridge::Bridge::start(folder.path());
    for (number, trouble) in troubles.into_iter().enumerate() {
        authority.next(trouble.clone());
        let mut client = Client::connect(bridge.addr("imap")).await;
        let reply = client.imap_login(&format!("login{number}"), PASSWORD).await;
        assert!(reply.starts_with("in OK "), "{trouble:?}: {reply}");
        assert_eq!(authority.requests().get(), 2 * (number + 1), "{trouble:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_waits_for_an_authority_that_comes_back() {
    let world = World::start();
    world.authority.go_down().await;
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.say(&format!("a LOGIN {ANN} \"{PASSWORD}\"")).await;
    world.bridge.wait_for_logged("token not obtained", 1);
    world.authority.come_up();
    client.expect("a OK {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_authority_delays_nobody_who_does_not_need_it() {
    let mut slow = None;
    let world = World::with(|config, certs, exchange| {
        let slow = slow.insert(Authority::start(certs));
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        config.app("slow", slow, imap, smtp).account_of("slow", "waiting@example.com", PASSWORD, "")
    });
    let slow = slow.expect("it was started");
    let mut before = world.imap(ANN).await;
    let gate = Gate::default();
    slow.next(Answer::Held(gate.clone()));
    let mut waiting = world.connect("imap").await;
    waiting.expect("* OK {…}").await;
    waiting.say(&format!("w LOGIN waiting@example.com \"{PASSWORD}\"")).await;
    slow.requests().reached(1).await;

    before.say("n NOOP").await;
    before.expect("n OK {…}").await;
    let _new = world.smtp(BOB).await;
    gate.open();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_has_waited_in_vain_may_be_tried_again_and_is_not_told_a_wrong_password() {
    let world = World::with(|config, _, _| config.limit("login_timeout = \"3s\""));
    world.authority.always(Answer::Status(503, Some(2)));
    let (mut imap, mut smtp) = (world.connect("imap").await, world.connect("smtp").await);
    let (told_by_imap, told_by_smtp) =
        tokio::join!(imap.imap_login_refused(ANN, PASSWORD), smtp.smtp_login(ANN, PASSWORD));
    assert!(told_by_imap.starts_with("* BYE [UNAVAILABLE] "), "{told_by_imap}");
    imap.expect_end().await;
    assert!(told_by_smtp.starts_with("454 4.7.0 "), "{told_by_smtp}");

    world.authority.always(Answer::Issue);
    smtp.say(&format!("AUTH PLAIN {}", plain("", ANN, PASSWORD))).await;
    smtp.expect("235 {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_token_serves_while_the_authority_is_away() {
    let world = World::start();
    world.authority.set_lifetime(Duration::from_secs(24));
    let _before = world.imap(ANN).await;
    world.authority.go_down().await;
    world.bridge.wait_for_logged("token not obtained", 1);
    let _meanwhile = world.smtp(BOB).await;
    world.authority.come_up();
    world.authority.requests().reached(2).await;
    let shown: Vec<String> = world.exchange.attempts().into_iter().map(|attempt| attempt.jti).collect();
    assert_eq!(shown, ["token-1", "token-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_taken_back_is_replaced_unseen() {
    let world = World::start();
    let _before = world.imap(ANN).await;
    world.authority.issuer().revoke("token-1");
    let _after = world.smtp(BOB).await;
    let shown: Vec<(String, bool)> =
        world.exchange.attempts().into_iter().map(|attempt| (attempt.jti, attempt.accepted)).collect();
    // The pretend Exchange knows no jti of a token that is none.
    assert_eq!(shown, [("token-1".to_owned(), true), (String::new(), false), ("token-2".to_owned(), true)]);
    assert_eq!(world.authority.requests().get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_refuses_every_token_does_not_cost_one_each_time() {
    let world = World::start();
    world.exchange.refuse_next(usize::MAX);
    let mut client = world.connect("imap").await;
    let reply = client.imap_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] "), "{reply}");
    for attempt in 0..3 {
        client.say(&format!("t{attempt} LOGIN {ANN} \"{PASSWORD}\"")).await;
        client.expect(&format!("t{attempt} NO [CONTACTADMIN] {{…}}")).await;
    }
    assert_eq!(world.authority.requests().get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_put_right_works_at_the_next_login() {
    let world = World::start();
    let good = std::fs::read_to_string(world.folder.secret("contoso")).unwrap();
    std::fs::write(world.folder.secret("contoso"), "wrong-secret").unwrap();
    let mut client = world.connect("smtp").await;
    let reply = client.smtp_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("454 4.7.0 ") && reply.contains("AADSTS7000215"), "{reply}");
    std::fs::write(world.folder.secret("contoso"), good).unwrap();
    client.say(&format!("AUTH PLAIN {}", plain("", ANN, PASSWORD))).await;
    client.expect("235 {…}").await;
}
