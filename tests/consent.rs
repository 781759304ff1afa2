//! A person's consent: in a browser and by device code, beside a running bridge and without one.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{io::Write as _, path::Path, time::Duration};

use footbridge::store::{Record, Store};
use futures::future::join_all;
use harness::{
    authority::{Answer, Authority, Registration, Rotation},
    bridge::Bridge,
    browser::{Browser, Page},
    cli::{Cli, Running},
    client::Client,
    config::{Config, Keys},
    door::Reserved,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";

/// A world with people who have not consented, and an app as `keys` says.
fn world(register: impl FnOnce(Registration) -> Registration, keys: impl FnOnce(Keys) -> Keys) -> World {
    built(register, keys, |config| config)
}

fn built(
    register: impl FnOnce(Registration) -> Registration,
    keys: impl FnOnce(Keys) -> Keys,
    more: impl FnOnce(Config) -> Config,
) -> World {
    World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(register(Registration::public(PUBLIC)));
        let mut config = Config::empty().delegated_app("people", authority, exchange, keys(Keys::of(PUBLIC)));
        for person in [ANN, BOB] {
            exchange.mailboxes().create(person);
            config = config.account_with("people", person, Some(PASSWORD), "authorization_code", "");
        }
        more(config)
    })
}

/// `footbridge authorize`, and the address that it prints.
fn begin(folder: &Path, login: &str) -> (Running, String) {
    let running = Cli::spawn(folder, ["authorize", login, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    (running, url)
}

async fn login(bridge: &Bridge, login: &str) -> String {
    Client::connect(bridge.addr("imap")).await.imap_login(login, PASSWORD).await
}

fn kept(folder: &Path) -> Vec<Record> {
    let store = Store::open_existing(&folder.join("state"), &[]).unwrap();
    store
        .map(|store| store.all().unwrap())
        .unwrap_or_default()
        .into_iter()
        .map(|(_, record)| record)
        .collect()
}

#[track_caller]
fn says(page: &Page, status: u16, words: &[&str]) {
    assert_eq!(page.status, status, "{}", page.body);
    for word in words {
        assert!(page.body.contains(word), "no {word:?} on the page:\n{}", page.body);
    }
    let header = |name: &str| page.headers[name].to_str().unwrap();
    assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert_eq!((header("referrer-policy"), header("cache-control")), ("no-referrer", "no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_given_while_a_client_keeps_polling_lets_it_in() {
    let world = world(|app| app, |keys| keys);
    let folder = world.folder.path();
    let reply = login(&world.bridge, ANN).await;
    assert_eq!(
        reply,
        "in NO [CONTACTADMIN] account ann@example.com is not authorized yet: run footbridge authorize ann@example.com"
    );
    let (running, url) = begin(folder, ANN);
    let page = world.browser().open(&url).await;
    says(&page, 200, &["Authorized", ANN]);
    let ended = running.wait().expect(0);
    assert!(ended.stdout.contains("ann@example.com: authorized; token expires in 5"), "{}", ended.stdout);
    let reply = login(&world.bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    assert_eq!(world.authority.requests().get(), 1, "the login needs no token of its own");

    let asked = &world.authority.authorizations()[0];
    let asked = |name: &str| asked.get(name).map(String::as_str);
    assert_eq!((asked("prompt"), asked("login_hint")), (Some("select_account"), Some(ANN)));
    assert_eq!(asked("code_challenge_method"), Some("S256"));
    let scope = asked("scope").unwrap();
    for wanted in ["openid", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send"] {
        assert!(scope.contains(wanted), "{scope}");
    }
    assert!(asked("state").unwrap().len() >= 43, "256 bits");
    assert_eq!(world.authority.token_requests()[0].form.get("client_secret"), None);
    world.log_is_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_needs_no_running_bridge() {
    let World { certs, authority: _authority, exchange: _exchange, folder, bridge } =
        world(|app| app, |keys| keys);
    assert!(bridge.terminate().0.success());
    let (running, url) = begin(folder.path(), ANN);
    let page = Browser::new(&certs).open(&url).await;
    says(&page, 200, &["Authorized", ANN]);
    let _ = running.wait().expect(0);
    let bridge = Bridge::start(folder.path());
    let reply = login(&bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_person_stores_nothing_and_both_addresses_are_named() {
    let world = world(|app| app, |keys| keys);
    world.authority.signs_in("mallory@example.com");
    let (running, url) = begin(world.folder.path(), ANN);
    let page = world.browser().open(&url).await;
    says(&page, 400, &["Not authorized", "mallory@example.com", ANN, "nothing was stored"]);
    let ended = running.wait().expect(1);
    assert!(ended.stderr.contains("mallory@example.com") && ended.stderr.contains(ANN), "{}", ended.stderr);
    let line = world.bridge.wait_for_logged("consent not stored", 1);
    assert!(line[0]["cause"].as_str().unwrap().contains("mallory@example.com"), "{line:?}");
    assert_eq!(kept(world.folder.path()), []);
    world.log_is_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_declines_changes_nothing() {
    let world = world(|app| app, |keys| keys);
    world.authority.declines();
    let (running, url) = begin(world.folder.path(), ANN);
    let page = world.browser().open(&url).await;
    says(&page, 400, &["Not authorized", "declined", "unchanged"]);
    let ended = running.wait().expect(1);
    assert!(
        ended.stderr.contains("was declined") && ended.stderr.contains("footbridge authorize"),
        "{ended:?}"
    );
    assert_eq!(kept(world.folder.path()), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_change_nothing_and_the_right_browser_still_lands() {
    let world = world(|app| app, |keys| keys);
    let (running, url) = begin(world.folder.path(), ANN);
    let browser = world.browser();
    let back = browser.leaves_for(&url).await;
    let at = |path: &str| format!("{}{path}", back.origin().ascii_serialization());
    for stray in ["/", "/favicon.ico", "/?code=abc", "/any/path?error=access_denied"] {
        says(&browser.get(&at(stray)).await, 404, &["Nothing here"]);
    }
    for foreign in ["/?state=&code=abc", "/?state=foreign&code=abc", "/?state=foreign&error=access_denied"] {
        says(&browser.get(&at(foreign)).await, 400, &["No such sign-in", "Nothing has changed"]);
    }
    assert_eq!(browser.post(&at("/?state=x"), &[("a", "b")]).await.status, 405);
    says(&browser.get(back.as_str()).await, 200, &["Authorized"]);
    let _ = running.wait().expect(0);
    assert_eq!(world.authority.requests().get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_serves_once() {
    let console = |config: Config| config.console("127.0.0.1:0");
    let world = built(|app| app, |keys| keys, console);
    let (running, url) = begin(world.folder.path(), ANN);
    let browser = world.browser();
    let back = browser.leaves_for(&url).await;
    says(&browser.get(back.as_str()).await, 200, &["Authorized"]);
    let _ = running.wait().expect(0);
    says(&browser.get(back.as_str()).await, 400, &["No such sign-in"]);
    assert_eq!(world.authority.requests().get(), 1, "a code that is shown twice would be taken for stolen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_says_whether_the_bridge_is_ready() {
    let world = built(|app| app, |keys| keys, |config| config.console("127.0.0.1:0"));
    let line = world.bridge.wait_for_log("the console", |line| line["message"] == "console");
    let at = |path: &str| format!("http://{}{path}", line["listener.addr"].as_str().unwrap());
    let browser = world.browser();
    assert_eq!(browser.get(&at("/healthz")).await.status, 200);
    assert_eq!(browser.get(&at("/readyz")).await.body, "ready\n");
    let _session = {
        let consented = begin(world.folder.path(), ANN);
        browser.open(&consented.1).await;
        let _ = consented.0.wait().expect(0);
        world.imap(ANN).await
    };
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("draining", 1);
    assert_eq!(browser.get(&at("/readyz")).await.status, 503);
    assert_eq!(browser.get(&at("/healthz")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_people_consent_on_one_fixed_address_at_once() {
    let reserved = Reserved::new();
    let uri = format!("http://localhost:{}/", reserved.port());
    let world = world(|app| app.redirect(&uri), |keys| keys.redirect_uri(&uri));
    let browser = world.browser();
    let begun: Vec<_> = [ANN, BOB].map(|person| begin(world.folder.path(), person)).into();
    let pages = join_all(begun.iter().map(|(_, url)| browser.open(url))).await;
    for (page, person) in pages.iter().zip([ANN, BOB]) {
        says(page, 200, &["Authorized", person]);
        assert!(page.url.as_str().starts_with(&uri), "{}", page.url);
    }
    for (running, _) in begun {
        let _ = running.wait().expect(0);
    }
    assert!(world.authority.authorizations().iter().all(|asked| asked["redirect_uri"] == uri));
    // Nobody waits any more: the address is closed.
    let closed = tokio::net::TcpStream::connect(("127.0.0.1", reserved.port())).await;
    assert!(closed.is_err(), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_another_program_has_is_named_with_the_cure() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://localhost:{}/", other.local_addr().unwrap().port());
    let world = world(|app| app.redirect(&uri), |keys| keys.redirect_uri(&uri));
    let ended = Cli::run(world.folder.path(), ["authorize", ANN, "--no-browser"]).expect(1);
    assert!(
        ended.stderr.contains(&other.local_addr().unwrap().to_string())
            && ended.stderr.contains("device code"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_bound_to_who_asked_as_far_as_the_authority_can() {
    for (pkce, method) in [("plain", Some("plain")), ("off", None)] {
        let world = world(|app| app, |keys| keys.pkce(pkce));
        let (running, url) = begin(world.folder.path(), ANN);
        says(&world.browser().open(&url).await, 200, &["Authorized"]);
        let _ = running.wait().expect(0);
        let asked = &world.authority.authorizations()[0];
        assert_eq!(asked.get("code_challenge_method").map(String::as_str), method);
        let shown = world.authority.token_requests()[0].form.contains_key("code_verifier");
        assert_eq!(shown, method.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confidential_client_shows_its_secret_and_keeps_its_token_by_it() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::confidential(PUBLIC).secret("the secret"));
        authority.set_rotation(Rotation::DetectsReuse);
        authority.set_lifetime(Duration::from_secs(1));
        exchange.mailboxes().create(ANN);
        let keys = Keys::of(PUBLIC).secret("the secret");
        let config = Config::empty().delegated_app("people", authority, exchange, keys);
        config.account_with("people", ANN, Some(PASSWORD), "authorization_code", "")
    });
    let (running, url) = begin(world.folder.path(), ANN);
    says(&world.browser().open(&url).await, 200, &["Authorized"]);
    let _ = running.wait().expect(0);
    world.authority.set_lifetime(Duration::from_mins(59));
    world.authority.requests_of("refresh_token").reached(1).await;
    let reply = login(&world.bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    let shown = |form: &std::collections::HashMap<String, String>| form["client_secret"] == "the secret";
    assert!(world.authority.token_requests().iter().all(|request| shown(&request.form)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_cannot_come_back_may_have_its_address_pasted() {
    let world = world(|app| app, |keys| keys);
    let (running, mut typed) = Cli::spawn_typing(world.folder.path(), ["authorize", ANN, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    writeln!(typed, "http://localhost/?state=foreign&code=1").unwrap();
    running.wait_for_stderr(|line| line.contains("that address is not the one"));
    let back = world.browser().leaves_for(&url).await;
    writeln!(typed, "{back}").unwrap();
    let ended = running.wait().expect(0);
    assert!(ended.stdout.contains("authorized"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_is_shown_with_a_picture_of_it_and_polled_as_seldom_as_asked() {
    let world = world(|app| app, |keys| keys);
    world.authority.set_device(Some(1), Duration::from_mins(15));
    world.authority.slow_down(1);
    let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--device"]);
    world.authority.devices_asked().reached(1).await;
    let code = world.authority.device_codes()[0].user_code.clone();
    running.wait_for_stdout(|line| line.trim() == code);
    running.wait_for_stdout(|line| line.contains('█'));
    // The first question, and the one that is told to slow down.
    world.authority.requests_of("device_code").reached(2).await;
    world.authority.approve_device(&code, ANN);
    let ended = running.wait().expect(0);
    assert!(ended.stdout.contains("ann@example.com: authorized"), "{ended:?}");
    let polls = &world.authority.device_codes()[0].polls;
    let pauses: Vec<_> = polls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses.iter().any(|pause| *pause >= Duration::from_secs(6)),
        "one second and five more: {pauses:?}"
    );
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(990)), "{pauses:?}");
    world.log_is_discreet();
    let reply = login(&world.bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_that_is_declined_or_runs_out_is_told_so() {
    let end = |world: &World, code: &str, declined: bool| {
        if declined { world.authority.decline_device(code) } else { world.authority.expire_device(code) }
    };
    for (declined, words) in [(true, "was declined"), (false, "in time")] {
        let world = world(|app| app, |keys| keys);
        world.authority.set_device(Some(1), Duration::from_mins(15));
        let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--device"]);
        world.authority.devices_asked().reached(1).await;
        end(&world, &world.authority.device_codes()[0].user_code, declined);
        let ended = running.wait().expect(1);
        assert!(ended.stderr.contains(words) && ended.stderr.contains("footbridge authorize"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_never_starts_a_device_flow() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(PUBLIC));
        exchange.mailboxes().create(ANN);
        let config = Config::empty().delegated_app("people", authority, exchange, Keys::of(PUBLIC));
        config.account_with("people", ANN, Some(PASSWORD), "device_code", "")
    });
    let reply = login(&world.bridge, ANN).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] ") && reply.contains("footbridge authorize"), "{reply}");
    assert_eq!(world.authority.devices_asked().get(), 0);
    // Its own grant is the device code, without --device.
    let running = Cli::spawn(world.folder.path(), ["authorize", ANN]);
    world.authority.devices_asked().reached(1).await;
    let code = world.authority.device_codes()[0].user_code.clone();
    world.authority.approve_device(&code, ANN);
    let _ = running.wait().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_needs_no_consent_or_is_not_there_is_told_so() {
    let world = World::start();
    let ended = Cli::run(world.folder.path(), ["authorize", ANN]).expect(1);
    assert!(
        ended.stderr.contains("needs nobody's consent")
            && ended.stderr.contains("client_credentials\" nobody signs in"),
        "{ended:?}"
    );
    let ended = Cli::run(world.folder.path(), ["authorize", "anne@example.com"]).expect(1);
    assert!(ended.stderr.contains("did you mean ann@example.com?"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_that_is_listened_for_later_ends_nothing_and_is_named() {
    let scopes = "{ imap = [\"https://outlook.office.com/IMAP.AccessAsUser.All\"], \
                    smtp = [\"https://outlook.office.com/SMTP.Send\"] }";
    let world = world(|app| app, |keys| keys.provider_delegated(scopes));
    let path = world.folder.path().join("footbridge.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    // Without the second listener, SMTP's scope is not asked a person for.
    let (before, smtp) = whole.split_once("\n[[listener]]\nprotocol = \"smtp\"").unwrap();
    let after = smtp.split_once("\n\n").unwrap().1;
    std::fs::write(&path, format!("{before}\n\n{after}")).unwrap();
    let _ = Cli::run(world.folder.path(), ["reload"]).expect(0);
    world.authority.set_lifetime(Duration::from_secs(4));
    let (running, url) = begin(world.folder.path(), ANN);
    says(&world.browser().open(&url).await, 200, &["Authorized"]);
    let _ = running.wait().expect(0);
    assert!(!world.authority.authorizations()[0]["scope"].contains("SMTP.Send"));

    std::fs::write(&path, whole).unwrap();
    let _ = Cli::run(world.folder.path(), ["reload"]).expect(0);
    let line = world.bridge.wait_for_logged("a consent does not cover a protocol", 1);
    assert_eq!(line[0]["protocol"], "smtp");
    world.authority.requests_of("refresh_token").reached(1).await;
    let refreshed = world.authority.token_requests().pop().unwrap().form["scope"].clone();
    assert!(refreshed.contains("IMAP.AccessAsUser.All") && !refreshed.contains("SMTP.Send"), "{refreshed}");
    let reply = login(&world.bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_connects_and_asks_nothing_holds_nobody_up() {
    let World { certs, authority: _authority, exchange: _exchange, folder, bridge } =
        world(|app| app, |keys| keys);
    assert!(bridge.terminate().0.success());
    let (running, url) = begin(folder.path(), ANN);
    let browser = Browser::new(&certs);
    let back = browser.leaves_for(&url).await;
    let _idle = tokio::net::TcpStream::connect(("127.0.0.1", back.port().unwrap())).await.unwrap();
    let landing = browser.get(back.as_str());
    let ended = tokio::task::spawn_blocking(move || running.wait());
    says(&landing.await, 200, &["Authorized"]);
    // A connection without a request would be given up after ten seconds.
    let ended = tokio::time::timeout(Duration::from_secs(8), ended).await.expect("it ends").unwrap();
    let _ = ended.expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_state_that_says_neither_yes_nor_no_ends_nothing() {
    let world = world(|app| app, |keys| keys);
    let (running, url) = begin(world.folder.path(), ANN);
    let browser = world.browser();
    let back = browser.leaves_for(&url).await;
    let state = back.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let bare = format!("{}/?state={state}", back.origin().ascii_serialization());
    for more in ["", "&code=", &format!("&code={}", "x".repeat(20_000))] {
        says(&browser.get(&format!("{bare}{more}")).await, 400, &["Nothing has changed"]);
    }
    says(&browser.get(back.as_str()).await, 200, &["Authorized"]);
    let _ = running.wait().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_interrupts_is_told_what_becomes_of_the_sign_in() {
    let world = world(|app| app, |keys| keys);
    let (running, _) = begin(world.folder.path(), ANN);
    running.signal("INT");
    let ended = running.wait().expect(1);
    assert!(ended.stderr.contains("the running bridge waits 15 minutes more"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_share_the_address_that_both_need() {
    let reserved = Reserved::new();
    let uri = format!("http://localhost:{}/", reserved.port());
    let world =
        World::built(|_, authority: &Authority, exchange: &Exchange| {
            authority.register_app(Registration::public(PUBLIC).redirect(&uri));
            let keys = || Keys::of(PUBLIC).redirect_uri(&uri);
            let listen = format!("127.0.0.1:{}", reserved.port());
            let mut config = Config::empty()
                .delegated_app("both", authority, exchange, keys())
                .delegated_app("one", authority, exchange, keys().redirect_listen(&listen));
            for (app, person) in [("both", ANN), ("one", BOB)] {
                exchange.mailboxes().create(person);
                config = config.account_with(app, person, Some(PASSWORD), "authorization_code", "");
            }
            config
        });
    let begun = [ANN, BOB].map(|person| begin(world.folder.path(), person));
    for (running, url) in begun {
        says(&world.browser().open(&url).await, 200, &["Authorized"]);
        let _ = running.wait().expect(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_writes_nothing_to_the_terminal_but_text() {
    let world = world(|app| app, |keys| keys);
    let hostile = serde_json::json!({
        "device_code": "d", "user_code": "\u{1b}[2J\u{7}ABC", "expires_in": 900, "interval": 5,
        "verification_uri": "https://localhost/device",
    });
    world.authority.next_device_code(Answer::Body(200, hostile.to_string()));
    let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--device"]);
    running.wait_for_stdout(|line| line.contains("ABC"));
    assert!(!running.stdout().contains(['\u{1b}', '\u{7}']), "{:?}", running.stdout());
}
