//! What must hold though two things happen at once, or one at the wrong time.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{path::Path, sync::Arc, time::Duration};

use footbridge::{
    account::Account,
    clock::{Clock as _, System},
    config,
    ids::{ProtocolKind, SlotId},
    oauth::{Landing, Standing, Tokens},
    policy::throttle::{Guess, Guesses},
    store::{Record, Store},
};
use futures::future::join_all;
use harness::{
    authority::{Answer, Authority, Gate, Person, Registration, Rotation},
    bridge::Bridge,
    browser::Browser,
    certs::{Certs, Identity},
    cli::Cli,
    client::Client,
    config::{Config, Folder, Keys},
    door::Reserved,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";
const OWN: &str = "Tr0ub4dor&3";

/// Delegated scopes by protocol, in TOML.
const SCOPES: &str = "{ imap = [\"https://outlook.office.com/IMAP.AccessAsUser.All\"], \
                       smtp = [\"https://outlook.office.com/SMTP.Send\"] }";

struct Home {
    certs: Arc<Certs>,
    authority: Authority,
    _exchange: Exchange,
    folder: Folder,
}

impl Home {
    fn of(people: &[&str], lifetime: Duration) -> Self {
        Self::with(people, lifetime, |keys| keys)
    }

    fn with(people: &[&str], lifetime: Duration, keys: impl FnOnce(Keys) -> Keys) -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let exchange = Exchange::start(&certs, &authority);
        authority.set_lifetime(lifetime);
        authority.register_app(Registration::public(PUBLIC).redirect("http://localhost"));
        let mut config =
            Config::empty().delegated_app("people", &authority, &exchange, keys(Keys::of(PUBLIC)));
        for person in people {
            exchange.mailboxes().create(person);
            config = config.account_with("people", person, Some(PASSWORD), "authorization_code", "");
        }
        let folder = config.write(&certs);
        Self { certs, authority, _exchange: exchange, folder }
    }

    async fn consent(&self, person: &str) -> Landing {
        let (tokens, accounts) = library(self.folder.path()).await;
        let account = accounts.iter().find(|account| account.name() == person).unwrap();
        let consenting = tokens.begin_consent(account, "http://localhost:1", ()).unwrap();
        let back = Browser::new(&self.certs).leaves_for(consenting.url.as_str()).await;
        let query: Vec<_> = back.query_pairs().into_owned().collect();
        tokens.redirected(&query).await
    }

    fn kept(&self, person: &str) -> Record {
        let store = Store::open(&self.folder.path().join("state"), &[]).unwrap();
        let all = store.all().unwrap();
        all.into_iter().map(|(_, record)| record).find(|record| record.account == person).expect("a record")
    }

    async fn outlived(&self, person: &str) {
        let expiry = self.kept(person).access.expect("an access token").expires_at;
        tokio::time::sleep(expiry.duration_since(System.now()).unwrap_or_default()).await;
    }
}

async fn configured(tokens: &Tokens, folder: &Path) -> Vec<Arc<Account>> {
    let loaded = config::load(&folder.join("footbridge.toml")).unwrap();
    let (config, _) = loaded.hash_plain_passwords().await.unwrap();
    tokens.configure(config.apps, &config.accounts, &ProtocolKind::ALL).await.unwrap();
    config.accounts.iter().cloned().collect()
}

async fn library(folder: &Path) -> (Arc<Tokens>, Vec<Arc<Account>>) {
    let store = Arc::new(Store::open(&folder.join("state"), &[]).unwrap());
    let tokens = Arc::new(Tokens::new(store, Arc::new(System)));
    let accounts = configured(&tokens, folder).await;
    (tokens, accounts)
}

async fn imap(bridge: &Bridge, login: &str, password: &str) -> String {
    Client::connect(bridge.addr("imap")).await.imap_login(login, password).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_another_process_has_stored_lets_people_in() {
    let home = Home::of(&[ANN], Duration::from_mins(59));
    let bridge = Bridge::start(home.folder.path());
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in NO "), "{reply}");
    assert!(matches!(home.consent(ANN).await, Landing::Ended(Ok(_))));
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_survives_a_slip_in_the_mappings_while_the_person_signs_in() {
    let home = Home::of(&[ANN, BOB], Duration::from_mins(59));
    let folder = home.folder.path();
    let (tokens, accounts) = library(folder).await;
    let ann = accounts.iter().find(|account| account.name() == ANN).unwrap();
    let consenting = tokens.begin_consent(ann, "http://localhost:1", ()).unwrap();
    let mappings = folder.join("mappings.toml");
    let whole = std::fs::read_to_string(&mappings).unwrap();
    let at = whole.rfind("[[account]]").unwrap();
    let (first, second) = whole.split_at(at);
    let without = if first.contains(ANN) { second } else { first };
    std::fs::write(&mappings, without).unwrap();
    configured(&tokens, folder).await;
    std::fs::write(&mappings, &whole).unwrap();
    let accounts = configured(&tokens, folder).await;
    let back = Browser::new(&home.certs).leaves_for(consenting.url.as_str()).await;
    let query: Vec<_> = back.query_pairs().into_owned().collect();
    assert!(matches!(tokens.redirected(&query).await, Landing::Ended(Ok(_))));
    assert!(home.kept(ANN).refresh_token.is_some());
    let ann = accounts.iter().find(|account| account.name() == ANN).unwrap();
    assert_eq!(tokens.status(ann).unwrap().standing, Standing::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_in_flight_at_sigterm_is_finished() {
    let home = Home::of(&[ANN], Duration::from_secs(1));
    home.consent(ANN).await;
    home.outlived(ANN).await;
    let before = home.kept(ANN).refresh_token;
    home.authority.set_rotation(Rotation::DetectsReuse);
    let gate = Gate::default();
    home.authority.next(Answer::Held(gate.clone()));
    let bridge = Bridge::start(home.folder.path());
    home.authority.requests_of("refresh_token").reached(1).await;
    bridge.signal("TERM");
    tokio::time::sleep(Duration::from_secs(3)).await;
    gate.open();
    let (status, _) = bridge.wait();
    assert!(status.success());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(home.kept(ANN).refresh_token, before, "the rotated token is lost");
}

fn by_password() -> World {
    World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(PUBLIC));
        let mut config = Config::empty().delegated_app("app", authority, exchange, Keys::of(PUBLIC));
        for login in [ANN, BOB] {
            authority.add_person(Person::new(login).password(OWN));
            exchange.mailboxes().create(login);
        }
        config = config.account_with("app", "*@example.com", None, "password", "");
        config
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_guesses_does_not_lock_out_whose_token_is_at_hand() {
    let world = by_password();
    let reply = imap(&world.bridge, ANN, OWN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    for guess in 0..5 {
        imap(&world.bridge, ANN, &format!("guess{guess}")).await;
    }
    let mut client = Client::connect(world.bridge.addr("imap")).await;
    let reply = client.imap_login_refused(ANN, OWN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_that_come_at_once_are_no_more_than_those_one_after_the_other() {
    let world = by_password();
    let guesses: Vec<_> = (0..40).map(|guess| format!("guess{guess}")).collect();
    join_all(guesses.iter().map(|guess| async {
        let mut client = Client::connect(world.bridge.addr("imap")).await;
        client.imap_login_refused(ANN, guess).await
    }))
    .await;
    let asked = world.authority.requests_of("password").get();
    assert!(asked <= 5, "the authority was asked about {asked} guesses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_grant_asks_for_scopes_of_protocols_that_have_a_listener() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(PUBLIC));
        authority.add_person(Person::new(ANN).password(OWN));
        exchange.mailboxes().create(ANN);
        let keys = Keys::of(PUBLIC).provider_delegated(SCOPES);
        let config = Config::empty().delegated_app("app", authority, exchange, keys);
        config.account_with("app", ANN, None, "password", "")
    });
    let path = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find("[[listener]]\nprotocol = \"smtp\"").unwrap();
    let end = text[start + 5..].find("\n[").map(|at| start + 5 + at).unwrap();
    std::fs::write(&path, format!("{}{}", &text[..start], &text[end..])).unwrap();
    let ended = Cli::run(world.folder.path(), ["reload"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    imap(&world.bridge, ANN, OWN).await;
    let scope = world.authority.token_requests()[0].form["scope"].clone();
    assert!(!scope.contains("SMTP.Send"), "{scope}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_secret_is_used_for_a_password_that_was_shown_before() {
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.set_lifetime(Duration::from_secs(2));
        authority.register_app(Registration::confidential(PUBLIC).secret("old").secret("new"));
        authority.add_person(Person::new(ANN).password(OWN));
        exchange.mailboxes().create(ANN);
        Config::empty()
            .delegated_app("app", authority, exchange, Keys::of(PUBLIC).secret("old"))
            .account_with("app", ANN, None, "password", "")
    });
    let reply = imap(&world.bridge, ANN, OWN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    // The operator points to another file, and the old secret is withdrawn at the authority.
    std::fs::write(world.folder.path().join("new.secret"), "new").unwrap();
    let path = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let old = std::fs::read_dir(world.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with(".secret") && name != "new.secret")
        .unwrap();
    std::fs::write(&path, text.replace(&old, "new.secret")).unwrap();
    world.authority.register_app(Registration::confidential(PUBLIC).secret("new"));
    let ended = Cli::run(world.folder.path(), ["reload"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let reply = imap(&world.bridge, ANN, OWN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_secret_that_has_ended_is_not_the_fault_of_a_persons_password() {
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::confidential(PUBLIC).secret("new"));
        authority.add_person(Person::new(ANN).password(OWN));
        exchange.mailboxes().create(ANN);
        Config::empty()
            .delegated_app("app", authority, exchange, Keys::of(PUBLIC).secret("old"))
            .account_with("app", ANN, None, "password", "")
    });
    let reply = imap(&world.bridge, ANN, OWN).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] "), "{reply}");
    world.authority.register_app(Registration::confidential(PUBLIC).secret("old"));
    let reply = imap(&world.bridge, ANN, OWN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_closes_when_the_consent_ends_though_nobody_asks() {
    let reserved = Reserved::new();
    let uri = format!("http://localhost:{}/", reserved.port());
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::public(PUBLIC).redirect(&uri));
        exchange.mailboxes().create(ANN);
        Config::empty()
            .delegated_app("people", authority, exchange, Keys::of(PUBLIC).redirect_uri(&uri))
            .account_with("people", ANN, Some(PASSWORD), "authorization_code", "")
    });
    let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    running.signal("KILL");
    drop(running);
    let page = world.browser().open(&url).await;
    assert_eq!(page.status, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let closed = tokio::net::TcpStream::connect(("127.0.0.1", reserved.port())).await;
    assert!(closed.is_err(), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_over_a_good_token_where_nobody_knows_who_signed_in() {
    let home = Home::of(&[ANN], Duration::from_mins(59));
    home.consent(ANN).await;
    let before = home.kept(ANN).refresh_token;
    home.authority.shape(|shape| {
        shape.opaque = true;
        shape.id_token = false;
    });
    home.authority.signs_in(BOB);
    let landing = home.consent(ANN).await;
    assert!(matches!(landing, Landing::Ended(Err(_))), "{landing:?}");
    assert_eq!(home.kept(ANN).refresh_token, before, "Bob's token has taken the place of Ann's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_added_does_not_cost_the_protocols_that_were_consented_to() {
    let home = Home::with(&[ANN], Duration::from_secs(1), |keys| keys.provider_delegated(SCOPES));
    let store = Arc::new(Store::open(&home.folder.path().join("state"), &[]).unwrap());
    let tokens = Arc::new(Tokens::new(store, Arc::new(System)));
    let loaded = config::load(&home.folder.path().join("footbridge.toml")).unwrap();
    let (config, _) = loaded.hash_plain_passwords().await.unwrap();
    tokens.configure(config.apps, &config.accounts, &[ProtocolKind::Imap]).await.unwrap();
    let account = config.accounts.iter().next().unwrap();
    let consenting = tokens.begin_consent(account, "http://localhost:1", ()).unwrap();
    let back = Browser::new(&home.certs).leaves_for(consenting.url.as_str()).await;
    let query: Vec<_> = back.query_pairs().into_owned().collect();
    assert!(matches!(tokens.redirected(&query).await, Landing::Ended(Ok(_))));
    home.outlived(ANN).await;
    home.authority.set_lifetime(Duration::from_mins(59));
    let bridge = Bridge::start(home.folder.path());
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_question_about_a_device_code_has_an_assertion_of_its_own() {
    let identity = Identity::generate("app");
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::confidential(PUBLIC).certificate(&identity));
        authority.set_device(Some(1), Duration::from_mins(10));
        exchange.mailboxes().create(ANN);
        Config::empty()
            .delegated_app("people", authority, exchange, Keys::of(PUBLIC).certificate(&identity))
            .account_with("people", ANN, Some(PASSWORD), "device_code", "")
    });
    let _running = Cli::spawn(world.folder.path(), ["authorize", ANN]);
    let polls = world.authority.requests_of("device_code");
    polls.reached(2).await;
    let asked = world.authority.token_requests();
    let assertions: Vec<_> = asked.iter().filter_map(|asked| asked.form.get("client_assertion")).collect();
    assert!(assertions.len() >= 2, "{asked:?}");
    assert_ne!(assertions[0], assertions[1], "one that lives five minutes is shown for fifteen");
}

#[test]
fn guesses_at_many_names_do_not_free_the_guesses_at_one() {
    let now = System.now();
    let mut guesses = Guesses::default();
    for name in 0..10_000 {
        guesses.judge(&SlotId::of(&[&name.to_string()]), "wrong", now);
    }
    let ann = SlotId::of(&[ANN]);
    for guess in 0..5 {
        guesses.judge(&ann, &guess.to_string(), now);
    }
    assert_ne!(guesses.judge(&ann, "another", now), Guess::MayBeRight);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_token_that_the_disk_would_not_take_survives_a_slip_in_the_mappings() {
    let home = Home::of(&[ANN, BOB], Duration::from_secs(1));
    home.consent(ANN).await;
    home.outlived(ANN).await;
    home.authority.set_rotation(Rotation::DetectsReuse);
    home.authority.set_lifetime(Duration::from_mins(59));
    let gate = Gate::default();
    home.authority.next(Answer::Held(gate.clone()));
    let folder = home.folder.path();
    let bridge = Bridge::start(folder);
    home.authority.requests_of("refresh_token").reached(1).await;
    let other = rusqlite::Connection::open(folder.join("state/tokens.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.open();
    bridge.wait_for_log("the trouble", |line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("tokens cannot be kept"))
    });
    let mappings = folder.join("mappings.toml");
    let whole = std::fs::read_to_string(&mappings).unwrap();
    let (first, second) = whole.split_at(whole.rfind("[[account]]").unwrap());
    std::fs::write(&mappings, if first.contains(ANN) { second } else { first }).unwrap();
    let _ = Cli::run(folder, ["reload"]).expect(0);
    other.execute_batch("ROLLBACK").unwrap();
    std::fs::write(&mappings, &whole).unwrap();
    let _ = Cli::run(folder, ["reload"]).expect(0);
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_taken_away_again_brings_back_what_was_consented_to() {
    let home = Home::with(&[ANN], Duration::from_secs(1), |keys| keys.provider_delegated(SCOPES));
    let folder = home.folder.path();
    let path = folder.join("footbridge.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    let start = whole.find("[[listener]]\nprotocol = \"smtp\"").unwrap();
    let end = whole[start + 5..].find("\n[").map(|at| start + 5 + at).unwrap();
    let imap_only = format!("{}{}", &whole[..start], &whole[end..]);
    std::fs::write(&path, &imap_only).unwrap();
    let bridge = Bridge::start(folder);
    let running = Cli::spawn(folder, ["authorize", ANN, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    assert_eq!(Browser::new(&home.certs).open(&url).await.status, 200);
    let _ = running.wait().expect(0);
    home.outlived(ANN).await;
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(Cli::run(folder, ["reload"]).status, Some(0));
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    std::fs::write(&path, &imap_only).unwrap();
    assert_eq!(Cli::run(folder, ["reload"]).status, Some(0));
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    drop(bridge);
    home.authority.set_lifetime(Duration::from_mins(59));
    let bridge = Bridge::start(folder);
    let reply = imap(&bridge, ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_nobody_writes_holds_its_slot_up_no_longer_than_it_lasts() {
    let world = World::with(|config, _, _| config.limit("login_timeout = \"3s\""));
    let secret = world.folder.secret("contoso");
    let good = std::fs::read(&secret).unwrap();
    std::fs::remove_file(&secret).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&secret).status().unwrap().success());
    let mut client = Client::connect(world.bridge.addr("imap")).await;
    let reply = client.imap_login_refused(ANN, PASSWORD).await;
    assert!(reply.starts_with("* BYE [UNAVAILABLE] "), "{reply}");
    std::fs::remove_file(&secret).unwrap();
    std::fs::write(&secret, good).unwrap();
    let mut client = Client::connect(world.bridge.addr("imap")).await;
    let reply = client.imap_login_refused(ANN, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}
