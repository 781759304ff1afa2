//! Every grant that needs no browser, and every credential of an app, from a mail program's login on.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use futures::future::join_all;
use harness::{
    authority::{Answer, Authority, Person, Registration, ServiceAccount},
    bridge::Bridge,
    certs::Identity,
    client::Client,
    config::{Config, Keys},
    world::{ANN, BOB, PASSWORD, World},
};

/// An app registration of the test's own.
const APP: &str = "44444444-4444-4444-8444-444444444444";

/// What people sign in with at the authority: nobody else knows it.
const OWN: &str = "Tr0ub4dor&3";

async fn imap(world: &World, login: &str, password: &str) -> String {
    let mut client = world.connect("imap").await;
    client.imap_login(login, password).await
}

#[track_caller]
fn let_in(reply: &str) {
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[track_caller]
fn wrong_password(reply: &str) {
    assert_eq!(reply, "in NO [AUTHENTICATIONFAILED] username or password is wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_secret_of_a_roll_over_is_tried_where_the_first_is_wrong_or_expired() {
    for first in ["expired", "unknown"] {
        let world = World::granted(
            "client_credentials",
            Some(PASSWORD),
            |_| Registration::confidential(APP).expired_secret("expired").secret("new"),
            |_| Keys::of(APP).secret(first).secret("new"),
        );
        let_in(&imap(&world, ANN, PASSWORD).await);
        let shown: Vec<_> = world.authority.token_requests().len().to_string().chars().collect();
        assert_eq!(shown, ['2'], "{first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trouble_that_is_not_the_secrets_does_not_cost_the_second_one() {
    let world = World::granted(
        "client_credentials",
        Some(PASSWORD),
        |_| Registration::confidential(APP).secret("one").secret("two"),
        |_| Keys::of(APP).secret("one").secret("two"),
    );
    world.authority.next(Answer::Refuse(7_000_112));
    let reply = imap(&world, ANN, PASSWORD).await;
    assert!(reply.contains("7000112"), "{reply}");
    assert_eq!(world.authority.requests().get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_signs_for_its_app_by_either_algorithm() {
    for algorithm in ["PS256", "RS256"] {
        let identity = Identity::generate("app");
        let world = World::granted(
            "client_credentials",
            Some(PASSWORD),
            |_| Registration::confidential(APP).certificate(&identity),
            |_| Keys::of(APP).certificate(&identity).line(&format!("assertion_alg = \"{algorithm}\"")),
        );
        let_in(&imap(&world, ANN, PASSWORD).await);
        world.log_is_discreet();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_registered_is_the_operators_to_mend() {
    let (ours, theirs) = (Identity::generate("ours"), Identity::generate("theirs"));
    let world = World::granted(
        "client_credentials",
        Some(PASSWORD),
        |_| Registration::confidential(APP).certificate(&theirs),
        |_| Keys::of(APP).certificate(&ours),
    );
    let reply = imap(&world, ANN, PASSWORD).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] ") && reply.contains("700027"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_token_is_read_again_for_each_request() {
    let world = World::granted(
        "client_credentials",
        Some(PASSWORD),
        |_| Registration::confidential(APP).federated("eyJh.first.sig"),
        |_| Keys::of(APP).federated_token_file("eyJh.first.sig"),
    );
    let_in(&imap(&world, ANN, PASSWORD).await);
    let (jti, _) = world.authority.issuer().issued().last().unwrap().clone();
    world.authority.issuer().revoke(&jti);
    world.authority.set_federated(APP, "eyJh.second.sig");
    std::fs::write(world.folder.path().join("app.token"), "eyJh.second.sig\n").unwrap();
    let_in(&imap(&world, ANN, PASSWORD).await);
    assert_eq!(world.authority.requests().get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_acts_for_each_mailbox_with_a_token_of_its_own() {
    let world = World::built(|_, authority, exchange| {
        let account = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ANN, BOB]);
        authority.add_service_account(&account);
        let keys = Keys::of("1").service_account(authority, &authority.service_account_key(&account));
        let mut config = Config::empty().delegated_app("app", authority, exchange, keys);
        for login in [ANN, BOB] {
            exchange.mailboxes().create(login);
            config = config.account_with("app", login, Some(PASSWORD), "service_account", "");
        }
        config
    });
    for login in [ANN, BOB, ANN] {
        let_in(&imap(&world, login, PASSWORD).await);
    }
    assert_eq!(world.authority.requests_of("jwt-bearer").get(), 2);
    world.log_is_discreet();
}

/// A world in which ANN and BOB show the authority their own passwords.
fn by_password(keys: impl FnOnce(&Authority) -> Keys) -> World {
    World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(APP));
        let mut config = Config::empty().delegated_app("app", authority, exchange, keys(authority));
        for login in [ANN, BOB] {
            authority.add_person(Person::new(login).password(OWN));
            exchange.mailboxes().create(login);
        }
        config = config.account_with("app", "*@example.com", None, "password", "");
        config
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_checks_the_password_once_and_its_token_is_released_to_that_password_alone() {
    let world = by_password(|_| Keys::of(APP));
    let_in(&imap(&world, ANN, OWN).await);
    let_in(&imap(&world, ANN, OWN).await);
    assert_eq!(world.authority.requests_of("password").get(), 1);
    wrong_password(&imap(&world, ANN, "guess").await);
    assert_eq!(world.authority.requests_of("password").get(), 2, "the authority was asked");
    wrong_password(&imap(&world, ANN, "guess").await);
    assert_eq!(world.authority.requests_of("password").get(), 2, "once for the same wrong one");
    let_in(&imap(&world, ANN, OWN).await);
    wrong_password(&imap(&world, ANN, "").await);
    assert_eq!(world.authority.requests_of("password").get(), 2);
    world.log_is_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_form_of_21vianet_names_a_resource_and_takes_lifetimes_as_text() {
    let world = by_password(|authority| Keys::of(APP).resource(authority, "https://outlook.office365.com"));
    let_in(&imap(&world, BOB, OWN).await);
    let request = &world.authority.token_requests()[0];
    assert_eq!(request.form.get("resource").map(String::as_str), Some("https://outlook.office365.com"));
    assert_eq!(request.form.get("scope"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_logins_with_one_password_ask_the_authority_once() {
    let world = by_password(|_| Keys::of(APP));
    let replies = join_all((0..20).map(|_| imap(&world, ANN, OWN))).await;
    for reply in &replies {
        let_in(reply);
    }
    assert_eq!(world.authority.requests_of("password").get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_wrong_passwords_the_authority_is_left_alone() {
    let world = by_password(|_| Keys::of(APP));
    let_in(&imap(&world, BOB, OWN).await);
    for guess in 0..5 {
        wrong_password(&imap(&world, ANN, &format!("guess{guess}")).await);
    }
    let mut client = world.connect("imap").await;
    let reply = client.imap_login_refused(ANN, OWN).await;
    assert!(reply.starts_with("* BYE [LIMIT] too many refused logins"), "{reply}");
    let mut client = world.connect("smtp").await;
    let reply = client.smtp_login(ANN, "another guess").await;
    assert!(reply.starts_with("454 4.7.0 Too many refused logins"), "{reply}");
    let_in(&imap(&world, BOB, OWN).await);
    assert_eq!(world.authority.requests_of("password").get(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_verified_yet_is_told_nothing_of_what_is_wrong() {
    let world = by_password(|_| Keys::of(APP));
    world.authority.add_person(Person::new(ANN).password(OWN).mfa());
    let reply = imap(&world, ANN, OWN).await;
    assert_eq!(reply, "in NO [CONTACTADMIN] no access token was granted");
    let logged = world.bridge.wait_for_logged("login refused", 1);
    assert!(logged[0]["cause"].as_str().unwrap().contains("50076"), "{:?}", logged[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_asks_the_authority_about_the_password_again() {
    let world = by_password(|_| Keys::of(APP));
    let_in(&imap(&world, ANN, OWN).await);
    let World { authority, folder, bridge, .. } = world;
    assert!(bridge.terminate().0.success());
    let bridge = Bridge::start(folder.path());
    let mut client = Client::connect(bridge.addr("imap")).await;
    wrong_password(&client.imap_login(ANN, "guess").await);
    let_in(&{
        client.say(&format!("b LOGIN {ANN} \"{OWN}\"")).await;
        client.expect("b OK {…}").await.replacen("b ", "in ", 1)
    });
    assert_eq!(authority.requests_of("password").get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_login_password_is_the_apps_secret() {
    let world = World::granted(
        "client_credentials",
        None,
        |_| Registration::confidential(APP).secret("the app's own"),
        |_| Keys::of(APP).login_password(),
    );
    wrong_password(&imap(&world, ANN, "guess").await);
    let_in(&imap(&world, ANN, "the app's own").await);
    let_in(&imap(&world, ANN, "the app's own").await);
    wrong_password(&imap(&world, ANN, "guess").await);
    assert_eq!(world.authority.requests().get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_the_permission_of_a_protocol_is_named_before_a_login_fails() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(APP));
        authority.shape(|shape| shape.scp = Some(vec!["IMAP.AccessAsUser.All".to_owned()]));
        authority.add_person(Person::new(ANN).password(OWN));
        exchange.mailboxes().create(ANN);
        let config = Config::empty().delegated_app("app", authority, exchange, Keys::of(APP));
        config.account_with("app", ANN, None, "password", "")
    });
    let_in(&imap(&world, ANN, OWN).await);
    let line = world.bridge.wait_for_log("what is missing", |line| {
        line["message"] == "the token will not open the mailbox" && line["protocol"] == "smtp"
    });
    assert!(line["cause"].as_str().unwrap().contains("SMTP.Send"), "{line}");
}
