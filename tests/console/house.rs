//! What the console shows of the house, and what is done from there: sessions that end, accounts that are tested.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

use crate::{
    harness::{
        authority::{Answer, Gate},
        browser::Page,
        config::{Config, Keys},
        world::{ANN, BOB, PASSWORD, World},
    },
    visitor::{Visitor, between, hidden_token, made_password, redirecting, says, world},
};

const PAGES: [&str; 5] = ["/", "/accounts", "/account?login=ann@example.com", "/sessions", "/failures"];

fn app_only() -> World {
    World::with(|config, _, _| config.console("127.0.0.1:0"))
}

/// Sends a request from an address of loopback of its own, and returns the answer.
async fn ask_from(last: u8, home: &str, request: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))).unwrap();
    let host = home.strip_prefix("http://").unwrap();
    let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
    stream.write_all(request.replace("{host}", host).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get_from(last: u8, home: &str, path: &str) -> String {
    ask_from(last, home, &format!("GET {path} HTTP/1.1\r\nhost: {{host}}\r\n\r\n")).await
}

async fn password_from(last: u8, home: &str, password: &str) -> String {
    let form = format!("password={password}");
    let length = form.len();
    let request = format!("POST /login HTTP/1.1\r\nhost: {{host}}\r\ncontent-length: {length}\r\n\r\n{form}");
    ask_from(last, home, &request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_kept_nowhere_and_runs_nothing_but_the_consoles_own_script() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    for path in PAGES {
        let page = visitor.get(path).await;
        says(
            &page,
            200,
            &["<html lang=\"en\">", "aria-current=\"page\"", "href=\"#main\"", "name=\"robots\""],
        );
        let header = |name: &str| page.headers[name].to_str().unwrap();
        assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store", "nosniff"));
        assert_eq!(header("x-robots-tag"), "noindex, nofollow");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(!page.body.contains("style=\""), "the policy forbids it");
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
        assert!(!page.body.contains("src=\"http") && !page.body.contains("url("), "{}", page.body);
    }
    let script = between(&visitor.get("/").await.body, "<script src=\"", "\"").to_owned();
    let script = visitor.get(&script).await;
    says(&script, 200, &["data-live"]);
    assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_counts_who_is_in_and_who_has_signed_in() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    says(&visitor.get("/").await, 200, &["Nobody has signed in within the last hour", "all are well"]);
    let _in = (world.imap(ANN).await, world.smtp(BOB).await);
    let _ = world.connect("imap").await.imap_login(ANN, "not it").await;
    let page = visitor.get("/").await;
    let said = "2 sign-ins were good and 1 were refused";
    says(&page, 200, &[env!("CARGO_PKG_VERSION"), "ready", "<svg class=\"chart\"", said, "Listeners"]);
    let imap = world.bridge.addr("imap").to_string();
    says(&page, 200, &[&imap, "<a href=\"/sessions\">2</a>"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_says_since_when_the_bridge_runs_and_warns_of_a_secret_that_ends_in_twelve_days() {
    let soon = time::OffsetDateTime::now_utc().date() + time::Duration::days(12);
    let world = World::built(|_, authority, exchange| {
        let keys = Keys::contoso().line(&format!("secret_expires = {soon}"));
        let config = Config::empty().delegated_app("contoso", authority, exchange, keys);
        config.account(ANN, PASSWORD).console("127.0.0.1:0")
    });
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.get("/").await;
    says(&page, 200, &[", started ", " ago.", "class=\"notice warn\"", &format!("ends on {soon}")]);
    let cause = world.bridge.wait_for_logged("credential ends", 1).remove(0)["cause"].clone();
    says(&page, 200, &[&cause.as_str().unwrap().replace('"', "&#34;")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_by_its_button_after_a_question_and_by_no_link() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    let mut client = world.imap(ANN).await;
    let page = visitor.get("/sessions").await;
    says(&page, 200, &[ANN, "IMAP from 127.0.0.1"]);
    let link = between(&page.body, "class=\"button\" href=\"", "\"").to_owned();
    let asked = visitor.get(&link).await;
    says(&asked, 200, &["End this session?", ANN]);
    let (token, number) = (hidden_token(&asked), between(&asked.body, "name=\"number\" value=\"", "\""));
    for token in ["", "x"] {
        says(&visitor.post("/sessions/end", &[("token", token), ("number", number)]).await, 403, &[]);
    }
    client.say("a NOOP").await;
    client.until("a OK {…}").await;
    let ended = visitor.post("/sessions/end", &[("token", &token), ("number", number)]).await;
    assert_eq!((ended.status, visitor.leads_to(&ended).as_str()), (303, "/sessions?ended"));
    client.expect_end().await;
    world.bridge.wait_for_logged("session closed", 1);
    says(&visitor.get("/sessions?ended").await, 200, &["is told to end", "Nobody is logged in"]);
    for number in [number, "", "4711", "-1"] {
        let page = visitor.post("/sessions/end", &[("token", &token), ("number", number)]).await;
        says(&page, 404, &["No such session"]);
    }
    says(&visitor.get(&link).await, 404, &["No such session"]);
}

/// The page of the one test of a world, when it is over.
async fn examined(world: &World, visitor: &Visitor, fields: &[(&str, &str)]) -> Page {
    let token = hidden_token(&visitor.get("/").await);
    let begun = visitor.post("/doctor", &[&[("token", token.as_str())], fields].concat()).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    world.bridge.wait_for_logged("test from the console is over", 1);
    visitor.get(&visitor.leads_to(&begun)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_tries_every_hop_and_sends_a_test_message() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    let page = examined(&world, &visitor, &[("login", ANN), ("send_to", ANN)]).await;
    for words in
        ["Test of ann@example.com", "token says", "name lookup", "INBOX", "test message", "<h2>SMTP</h2>"]
    {
        says(&page, 200, &[words]);
    }
    says(&page, 200, &["All is well: no hop failed.", "Test again", "/account?login=ann%40example.com"]);
    assert!(!page.body.contains("eyJ"), "a token is a JWT");
    assert!(!page.body.contains("http-equiv=\"refresh\"") && !page.body.contains("data-live"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_goes_on_is_shown_again_and_again_and_keeps_no_bridge_from_stopping() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    world.authority.always(Answer::Held(Gate::default()));
    let token = hidden_token(&visitor.get("/").await);
    let begun = visitor.post("/doctor", &[("token", &token), ("login", ANN)]).await;
    let page = visitor.get(&visitor.leads_to(&begun)).await;
    let again = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>";
    says(&page, 200, &["The test goes on.", "data-live=\"1\"", again]);
    // A bridge that stops does not wait for it.
    let (ended, log) = world.bridge.terminate();
    assert!(ended.success() && log.contains("BrokenOff"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_which_hop_failed_and_what_to_do() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    world.exchange.refuse_next(4);
    let page = examined(&world, &visitor, &[("login", BOB)]).await;
    says(
        &page,
        200,
        &[
            "failed",
            "What to do:",
            "class=\"verdict bad\"",
            "It is for the administrator of the tenant to put right.",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_is_begun_for_an_account_by_a_form_of_the_session_alone() {
    let world = app_only();
    let visitor = Visitor::signed_in(&world).await;
    let token = hidden_token(&visitor.get("/").await);
    for token in ["", "x"] {
        says(&visitor.post("/doctor", &[("token", token), ("login", ANN)]).await, 403, &["another session"]);
    }
    let evil = [("origin", "https://evil.example.net")];
    let form = [("token", token.as_str()), ("login", ANN)];
    says(&visitor.post_from("/doctor", &form, &evil).await, 403, &["another site"]);
    let nobody = visitor.post("/doctor", &[("token", &token), ("login", "nobody@example.com")]).await;
    says(&nobody, 400, &["Not tested", "no account has the login"]);
    let nowhere = visitor
        .post("/doctor", &[("token", &token), ("login", ANN), ("send_to", "a\r\nb@example.com")])
        .await;
    says(&nowhere, 400, &["Not tested", "no message can be sent"]);
    says(&visitor.get("/doctor/abc").await, 404, &["No such test"]);
    assert!(world.bridge.logged("test begun from the console").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_the_browser_ended_at_is_pasted_into_the_page() {
    let world = redirecting(None, None, "");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "browser").await;
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    // From a page of the account it leads nowhere by itself.
    let account = visitor.get(&format!("/account?login={ANN}")).await;
    let stays = between(&account.body, "href=\"/authorize/", "\"").to_owned();
    let waiting = visitor.get(&format!("/authorize/{stays}")).await;
    says(&waiting, 200, &["name=\"address\"", "data-live=\"2\""]);
    assert!(!waiting.body.contains("http-equiv=\"refresh\""));
    let answer = world.browser().leaves_for(&url).await;
    let (token, paste) = (hidden_token(&waiting), format!("{}/address", page.url.path()));
    for wrong in ["", "http://localhost/?state=x&code=y", "not an address", &"x".repeat(40_000)] {
        let page = visitor.post(&paste, &[("token", &token), ("address", wrong)]).await;
        says(&page, 400, &["role=\"alert\"", "name=\"address\""]);
    }
    says(&visitor.post(&paste, &[("token", "x"), ("address", answer.as_str())]).await, 403, &[]);
    let done = visitor.post(&paste, &[("token", &token), ("address", answer.as_str())]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    says(&visitor.get(&visitor.leads_to(&done)).await, 200, &["Authorized", ANN]);
    drop(world.imap(ANN).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_accounts_are_found_by_a_filter_and_in_pages() {
    let world = World::with(|config, _, _| {
        let many = |config: Config, number| config.account(&format!("box{number:03}@example.com"), PASSWORD);
        (0..498).fold(config, many).console("127.0.0.1:0")
    });
    let visitor = Visitor::signed_in(&world).await;
    let first = visitor.get("/accounts").await;
    says(&first, 200, &["1 to 50 of 500", "Page 1 of 10", "box047@example.com"]);
    assert!(!first.body.contains("box048@example.com") && !first.body.contains("rel=\"prev\""));
    let next = between(&first.body, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
    says(&visitor.get(&next).await, 200, &["51 to 100 of 500", "rel=\"prev\"", "box048@example.com"]);
    says(&visitor.get("/accounts?page=99999999999").await, 200, &["451 to 500 of 500"]);
    says(&visitor.get("/accounts?page=0").await, 200, &["1 to 50 of 500"]);
    let found = visitor.get("/accounts?q=BOX12&show=all").await;
    says(&found, 200, &["1 to 10 of 10, of 500 in all", "value=\"BOX12\""]);
    assert!(!found.body.contains("rel=\"next\""));
    says(&visitor.get("/accounts?show=attention").await, 200, &["None of 500 accounts is like that"]);
    says(
        &visitor.get("/account?login=box333@example.com").await,
        200,
        &["box333@example.com", "IMAP", "User name"],
    );
    says(&visitor.get("/account?login=other@example.com").await, 404, &["No such account"]);
    assert!(first.body.len() < 120_000, "{}", first.body.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_to_type_into_a_mail_program_stands_with_the_account() {
    let world = world("");
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.get(&format!("/account?login={ANN}")).await;
    for protocol in ["imap", "smtp"] {
        let addr = world.bridge.addr(protocol);
        let (title, port) = (protocol.to_uppercase(), format!("<code>{}</code>", addr.port()));
        says(&page, 200, &[&title, "<code>127.0.0.1</code>", &port, "mappings.toml"]);
    }
    assert!(!page.body.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_many_logins_is_tested_for_the_one_that_is_named() {
    let world = World::with(|config, _, _| {
        let mailboxes = "mailboxes = [\"cat@example.org\"]";
        config.account_of("contoso", "*@example.org", PASSWORD, mailboxes).console("127.0.0.1:0")
    });
    let visitor = Visitor::signed_in(&world).await;
    world.exchange.mailboxes().create("cat@example.org");
    let page = visitor.get("/account?login=*@example.org").await;
    says(&page, 200, &["name=\"login\" required", "the login of the person"]);
    let list = visitor.get("/accounts?q=*@").await;
    says(&list, 200, &["1 to 1 of 1"]);
    assert!(!list.body.contains("action=\"/doctor\""), "which of them?");
    let tested = examined(&world, &visitor, &[("login", "cat@example.org")]).await;
    says(&tested, 200, &["Test of cat@example.org", "All is well"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_passwords_rests_and_others_are_let_in() {
    let world = world("");
    let home = Visitor::of(&world).home;
    for guess in ["one", "two", "three", "four"] {
        assert!(password_from(9, &home, guess).await.starts_with("HTTP/1.1 403 "));
    }
    let right = made_password(&world);
    for shown in ["five", &right] {
        assert!(password_from(9, &home, shown).await.starts_with("HTTP/1.1 429 "));
    }
    assert!(password_from(10, &home, &right).await.starts_with("HTTP/1.1 303 "));
    let warned = world.bridge.wait_for_logged("too many wrong passwords for the console", 1);
    assert_eq!(warned.len(), 1);
    assert!(warned[0]["client.addr"].as_str().unwrap().starts_with("127.0.0.9:"), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_much_waits_and_others_and_probes_do_not() {
    let world = world("");
    let home = Visitor::of(&world).home;
    let mut answered = 0;
    let refused = loop {
        let answer = get_from(9, &home, "/login").await;
        if !answer.starts_with("HTTP/1.1 200 ") {
            break answer;
        }
        answered += 1;
        assert!(answered < 20_000, "nobody is ever refused");
    };
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(answered >= 300, "{answered}");
    assert!(get_from(9, &home, "/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(get_from(10, &home, "/login").await.starts_with("HTTP/1.1 200 "));
}
