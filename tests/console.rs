//! The console: who is let in, what it shows, and a consent that is given from there.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]
#![allow(unreachable_pub, reason = "nothing here is a library")]

mod harness;
#[path = "console/house.rs"]
mod house;
#[path = "console/https.rs"]
mod https;
#[path = "console/visitor.rs"]
mod visitor;

use std::os::unix::fs::PermissionsExt as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::{
    authority::{Authority, Registration},
    cli::Cli,
    config::{Config, Keys},
    door::Reserved,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};
use visitor::{PUBLIC, Visitor, between, hidden_token, made_password, redirecting, says, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_there_is_nothing_but_the_door() {
    let world = world("");
    let stranger = Visitor::of(&world);
    for path in [
        "/",
        "/accounts",
        "/account",
        "/sessions",
        "/sessions/end",
        "/failures",
        "/authorize/abc",
        "/doctor/abc",
    ] {
        let page = stranger.get(path).await;
        assert_eq!((page.status, page.body.as_str()), (303, ""));
        assert_eq!(stranger.leads_to(&page), "/login");
    }
    for path in ["/authorize", "/authorize/abc/address", "/doctor", "/sessions/end", "/logout"] {
        let page = stranger.post(path, &[("login", ANN), ("way", "device"), ("token", "")]).await;
        assert_eq!((page.status, stranger.leads_to(&page).as_str()), (303, "/login"));
    }
    assert_eq!(world.authority.devices_asked().get(), 0);
    let door = stranger.get("/login").await;
    says(&door, 200, &["type=\"password\""]);
    assert!(!door.body.contains(ANN));
    says(&stranger.get("/healthz").await, 200, &["alive"]);
    says(&stranger.get("/readyz").await, 200, &["ready"]);
    // Where browsers land, whatever the path.
    for path in ["/?state=x&code=y", "/login?state=x&code=y", "/any/path?state=x"] {
        says(&stranger.get(path).await, 400, &["No such sign-in"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_made_where_none_is_written_and_only_its_place_is_told() {
    let world = world("");
    let file = world.folder.path().join("state/console.password");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let password = made_password(&world);
    assert_eq!(password.len(), 24);
    let line = world.bridge.wait_for_logged("the console's password is in a file", 1).remove(0);
    assert!(line["path"].as_str().unwrap().ends_with("state/console.password"));
    let World { bridge, folder, .. } = world;
    let (_, log) = bridge.terminate();
    assert!(!log.contains(&password));
    let bridge = harness::bridge::Bridge::start(folder.path());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), password, "it is made once");
    drop(bridge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_written_is_the_one_and_none_is_made() {
    let world = World::with_environment(
        |config, _, _| config.console_with("127.0.0.1:0", "password = { env = \"CONSOLE_PASSWORD\" }"),
        |_| vec![("CONSOLE_PASSWORD", "from a vault".to_owned())],
    );
    assert!(!world.folder.path().join("state/console.password").exists());
    let visitor = Visitor::of(&world);
    assert_eq!(visitor.post("/login", &[("password", "from a vault")]).await.status, 303);
    says(&visitor.post("/login", &[("password", "")]).await, 403, &["That is not the password"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_wrong_passwords_the_form_rests_and_says_how_long() {
    let world = world("");
    let (stranger, owner) = (Visitor::of(&world), Visitor::signed_in(&world).await);
    for wrong in ["one", "two", "three", "four", "four"] {
        let page = stranger.post("/login", &[("password", wrong)]).await;
        says(&page, 403, &["That is not the password", "type=\"password\""]);
        assert!(!page.headers.contains_key("set-cookie"));
    }
    for password in ["five", &made_password(&world)] {
        let page = stranger.post("/login", &[("password", password)]).await;
        says(&page, 429, &["Too many wrong passwords", "in 5 minutes"]);
        assert!(page.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 300);
        assert!(!page.headers.contains_key("set-cookie"));
    }
    says(&stranger.get("/login").await, 429, &["in 5 minutes"]);
    says(&owner.get("/accounts").await, 200, &[ANN]);
    assert!(!world.bridge.log().contains(&made_password(&world)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_a_strict_cookie_that_ends_with_it() {
    let world = world("");
    let mut visitor = Visitor::of(&world);
    let page = visitor.post("/login", &[("password", &made_password(&world))]).await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    visitor.take_cookie(&page);
    assert!(visitor.cookie.split_once('=').unwrap().1.len() >= 43, "256 bits");
    let overview = visitor.get("/").await;
    says(&overview, 200, &[ANN]);
    let value = visitor.cookie.split_once('=').unwrap().1;
    assert!(!overview.body.contains(value) && !world.bridge.log().contains(value));
    let left = visitor.post("/logout", &[("token", &hidden_token(&overview))]).await;
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(visitor.get("/").await.status, 303, "the old cookie is worth nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_signs_in_once() {
    let world = world("");
    let ended = Cli::run(world.folder.path(), ["console"]).expect(0);
    let link = ended.stdout.trim();
    let mut visitor = Visitor::of(&world);
    let port = visitor.home.rsplit_once(':').unwrap().1.to_owned();
    assert!(link.starts_with(&format!("http://localhost:{port}/login?link=")), "{link}");
    let path = link.split_once(&format!(":{port}")).unwrap().1;
    let page = visitor.get(path).await;
    says(&page, 200, &["Signed in", "http-equiv=\"refresh\" content=\"0;url=/\""]);
    visitor.take_cookie(&page);
    says(&visitor.get("/accounts").await, 200, &[ANN]);
    let again = Visitor::of(&world).get(path).await;
    says(&again, 403, &["No such link", "footbridge console"]);
    assert!(!again.headers.contains_key("set-cookie"));
    assert!(!world.bridge.log().contains(path.split_once("link=").unwrap().1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_needs_a_bridge_with_a_console() {
    let world = World::start();
    let ended = Cli::run(world.folder.path(), ["console"]).expect(1);
    assert!(ended.stderr.contains("has no console") && ended.stderr.contains("[console]"), "{ended:?}");
    let World { bridge, folder, .. } = world;
    assert!(bridge.terminate().0.success());
    let ended = Cli::run(folder.path(), ["console"]).expect(1);
    assert!(ended.stderr.contains("no footbridge serves"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_is_known_by_its_own_names_alone() {
    let world = world("public_url = \"https://mail.example.com\"");
    let visitor = Visitor::of(&world);
    let at = |path: &str| format!("{}{path}", visitor.home);
    let port = visitor.home.rsplit_once(':').unwrap().1;
    let (local, rebound) = (format!("localhost:{port}"), format!("rebound.example.net:{port}"));
    for known in [local.as_str(), "mail.example.com"] {
        assert_eq!(visitor.browser.get_with(&at("/login"), &[("host", known)]).await.status, 200, "{known}");
    }
    for foreign in [rebound.as_str(), "localhost", "mail.example.com:8025"] {
        for path in ["/", "/login", "/authorize/x", "/elsewhere"] {
            let page = visitor.browser.get_with(&at(path), &[("host", foreign)]).await;
            says(&page, 421, &["public_url", "https://mail.example.com"]);
            assert_eq!(page.headers["content-type"], "text/plain; charset=utf-8");
        }
        for path in ["/healthz", "/readyz"] {
            let page = visitor.browser.get_with(&at(path), &[("host", foreign)]).await;
            assert_eq!(page.status, 200, "{path}");
        }
        let landed = visitor.browser.get_with(&at("/?state=x"), &[("host", foreign)]).await;
        says(&landed, 400, &["No such sign-in"]);
    }
    let password = made_password(&world);
    let page = visitor.post("/login", &[("password", &password)]).await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-footbridge=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_another_site_sends_does_nothing() {
    let world = world("");
    let (visitor, other) = (Visitor::signed_in(&world).await, Visitor::signed_in(&world).await);
    let token = hidden_token(&visitor.get("/").await);
    let form = [("token", token.as_str()), ("login", BOB), ("way", "device")];
    for header in [
        ("origin", "https://evil.example.net"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        says(&visitor.post_from("/authorize", &form, &[header]).await, 403, &["another site"]);
    }
    let foreign = hidden_token(&other.get("/").await);
    for token in ["", "x", &foreign] {
        let page = visitor.post("/authorize", &[("token", token), ("login", BOB), ("way", "device")]).await;
        says(&page, 403, &["another session"]);
    }
    let page = visitor.post("/authorize", &[("login", BOB), ("way", "device")]).await;
    says(&page, 403, &["another session"]);
    let password = made_password(&world);
    let evil = ("origin", "https://evil.example.net");
    says(&visitor.post_from("/login", &[("password", &password)], &[evil]).await, 403, &["another site"]);
    assert_eq!(world.authority.devices_asked().get(), 0);
    let own = [("origin", visitor.home.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(visitor.post_from("/authorize", &form, &own).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_leads_to_a_consent_that_lets_the_mail_program_in() {
    let world = world("");
    let visitor = Visitor::signed_in(&world).await;
    let overview = visitor.get("/").await;
    says(&overview, 200, &[env!("CARGO_PKG_VERSION"), "ready", "a person has to sign in"]);
    let policy = overview.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("script-src 'self'; connect-src 'self'; base-uri 'none'"), "{policy}");
    assert!(policy.contains("form-action 'self'; frame-ancestors 'none'"), "{policy}");
    // With no-referrer a browser would say that the form comes from nowhere.
    assert_eq!(overview.headers["referrer-policy"], "same-origin");
    for (login, has_browser) in [(ANN, true), (BOB, false)] {
        let page = visitor.get(&format!("/account?login={login}")).await;
        says(&page, 200, &["Use a device code"]);
        assert_eq!(page.body.contains("in the browser"), has_browser, "his grant is a device code");
    }

    let page = visitor.authorize(ANN, "browser").await;
    says(&page, 200, &["Sign in at the authority", ANN]);
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    let landed = visitor.browser.open(&url).await;
    says(&landed, 200, &["Authorized", ANN, "href=\"/\""]);
    assert!(!landed.headers["content-security-policy"].to_str().unwrap().contains("script-src"));
    assert!(landed.url.as_str().contains("state="), "{}", landed.url);
    says(&visitor.get(page.url.path()).await, 200, &["Authorized", ANN]);
    drop(world.imap(ANN).await);
    says(&visitor.get("/accounts").await, 200, &["token expires in 5", "last login"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_is_shown_with_a_picture_until_it_is_entered() {
    let world = world("");
    world.authority.set_device(Some(1), std::time::Duration::from_mins(15));
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(BOB, "device").await;
    let code = world.authority.device_codes()[0].user_code.clone();
    says(&page, 200, &[&code, "<svg ", BOB, "http-equiv=\"refresh\" content=\"3\""]);
    let stranger = Visitor::signed_in(&world).await.get(page.url.path()).await;
    says(&stranger, 404, &["No such sign-in"]);
    world.authority.approve_device(&code, BOB);
    world.bridge.wait_for_logged("consent stored", 1);
    let done = visitor.get(page.url.path()).await;
    says(&done, 200, &["Authorized", BOB]);
    assert!(!done.body.contains("http-equiv=\"refresh\""));
    drop(world.imap(BOB).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_that_is_declined_says_so_on_its_page() {
    let world = world("");
    world.authority.set_device(Some(1), std::time::Duration::from_mins(15));
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "device").await;
    world.authority.decline_device(&world.authority.device_codes()[0].user_code.clone());
    world.bridge.wait_for_logged("consent not stored", 1);
    says(&visitor.get(page.url.path()).await, 200, &["Not authorized", "was declined"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_comes_back_to_the_public_address() {
    let public = "https://mail.example.com";
    let world = redirecting(Some(public), None, &format!("public_url = \"{public}\""));
    let refused = world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    let cure = format!("open {public} or run footbridge authorize {ANN}");
    assert!(refused.starts_with("in NO ") && refused.ends_with(&cure), "{refused}");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "browser").await;
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    let answer = world.browser().leaves_for(&url).await;
    assert_eq!(answer.origin().ascii_serialization(), public);
    // Another site has sent the browser, so that it does not show its cookie.
    let back = format!("{}/?{}", visitor.home, answer.query().unwrap());
    says(&world.browser().get(&back).await, 200, &["Authorized", ANN]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_elsewhere_is_told_where_it_would_come_back_to_and_goes_nowhere_by_itself() {
    let reserved = Reserved::new();
    let own = format!("http://localhost:{}/", reserved.port());
    let world = redirecting(Some(&own), Some(&own), "public_url = \"https://mail.example.com\"");
    let visitor = Visitor::signed_in(&world).await;
    let here = visitor.authorize(ANN, "browser").await;
    assert!(here.body.contains("content=\"0;url=https://"), "{}", here.body);
    let headers = [("cookie", visitor.cookie.as_str()), ("host", "mail.example.com")];
    let elsewhere = visitor.browser.get_with(here.url.as_str(), &headers).await;
    says(&elsewhere, 200, &[&own, "use a device code", "data-live=\"2\"", "name=\"address\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_its_own_is_closed_after_the_consent_though_nobody_looks_at_the_page() {
    let reserved = Reserved::new();
    let own = format!("http://localhost:{}/", reserved.port());
    let world = redirecting(Some(&own), Some(&own), "");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "browser").await;
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    let landed = world.browser().open(&url).await;
    says(&landed, 200, &["Authorized", ANN]);
    assert!(landed.url.as_str().starts_with(&own), "{}", landed.url);
    let address = format!("127.0.0.1:{}", reserved.port());
    let closed = |line: &serde_json::Value| {
        line["message"] == "waiting for browsers no more" && line["listener.addr"] == address.as_str()
    };
    world.bridge.wait_for_log("the address closed", closed);
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_consented_to_is_explained() {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0"));
    let visitor = Visitor::signed_in(&world).await;
    let overview = visitor.get(&format!("/account?login={ANN}")).await;
    says(&overview, 200, &[ANN, "not needed"]);
    assert!(!overview.body.contains("in the browser"));
    let token = hidden_token(&overview);
    for (login, why) in [(ANN, "needs nobody"), ("<script>", "no account has the login")] {
        let page = visitor.post("/authorize", &[("token", &token), ("login", login)]).await;
        says(&page, 400, &["Not begun", why]);
        assert!(!page.body.contains("<script>"), "{}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_failed_is_explained_and_nothing_secret_is_shown() {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0"));
    drop(world.imap(BOB).await);
    // The token, and the one that it is renewed by.
    world.exchange.refuse_next(2);
    let refused = world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    assert!(refused.starts_with("in NO "), "{refused}");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.get(&format!("/account?login={ANN}")).await;
    says(&page, 200, &["Last failure", "client credentials", "ready"]);
    says(
        &visitor.get("/failures").await,
        200,
        &[ANN, "IMAP from 127.0.0.1", "What to do:", "upstream_refused"],
    );
    let client_secret = std::fs::read_to_string(world.folder.secret("contoso")).unwrap();
    for secret in [PASSWORD, client_secret.trim(), &made_password(&world)] {
        assert!(!page.body.contains(secret), "{secret}");
    }
    assert!(!page.body.contains("eyJ"), "a token is a JWT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_secret_is_measured_for_this_machine_and_elsewhere_for_who_knows_the_password() {
    let ends = |keys: Keys| keys.secret("s").line("secret_expires = 2099-04-05");
    for (public, status) in [("", 200), ("public_url = \"https://mail.example.com\"", 401)] {
        let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
            authority.register_app(Registration::confidential(PUBLIC).secret("s"));
            exchange.mailboxes().create(ANN);
            let config = Config::empty().delegated_app("people", authority, exchange, ends(Keys::of(PUBLIC)));
            config
                .account_with("people", ANN, Some(PASSWORD), "client_credentials", "")
                .console_with("127.0.0.1:0", public)
        });
        let visitor = Visitor::of(&world);
        let page = visitor.browser.get(&format!("{}/metrics", visitor.home)).await;
        assert_eq!(page.status, status, "{}", page.body);
        let line = "footbridge_credential_expires_timestamp_seconds{app=\"people\"} 4079";
        assert_eq!(page.body.contains(line), status == 200, "{}", page.body);
        let at = format!("{}/metrics", visitor.home);
        for (shown, right) in [
            (format!("Bearer {}", made_password(&world)), true),
            (basic(&format!("prometheus:{}", made_password(&world))), true),
            (basic("prometheus:wrong"), false),
        ] {
            let page = visitor.browser.get_with(&at, &[("authorization", &shown)]).await;
            assert_eq!(page.status, if right { 200 } else { status }, "{}", page.body);
        }
        let rebound = visitor.browser.get_with(&at, &[("host", "rebound.example.net")]).await;
        assert_eq!(rebound.status, 401);
        assert!(rebound.headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
    }
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}
