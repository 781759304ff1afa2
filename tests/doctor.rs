//! `footbridge doctor`: every hop tried, the first that fails explained, with a running bridge and without one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{fs, path::Path};

use harness::{
    authority::{Answer, Authority, Gate, Person, Registration, ServiceAccount},
    cli::{Cli, Ended},
    config::{Config, Keys},
    door::Door,
    exchange::Exchange,
    proxy::{Kind, Proxy},
    world::{ANN, BOB, PASSWORD, World},
};
use serde_json::Value;

const CARL: &str = "carl@example.com";

/// An app registration of the test's own.
const APP: &str = "44444444-4444-4444-8444-444444444444";

/// What every account shares.
const COMMON: [&str; 3] = ["configuration", "token", "claims"];

/// The hops of a protocol, but for its last.
const WAY: [&str; 4] = ["name_lookup", "tcp", "tls", "login"];

/// Runs the doctor in a world's folder, as talkative as it can be, and sees that it keeps what is confidential.
#[track_caller]
fn doctor(folder: &Path, authority: &Authority, arguments: &[&str]) -> Ended {
    let ended = Cli::run(folder, ["doctor", "--log", "trace"].iter().chain(arguments));
    for secret in authority.confidential().iter().filter(|secret| !secret.is_empty()) {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "it tells {secret}");
    }
    ended
}

/// What it says of one account.
#[track_caller]
fn examined(folder: &Path, authority: &Authority, login: &str, status: i32) -> Value {
    let report = doctor(folder, authority, &["--json", login]).expect(status).json();
    assert_eq!(report["ok"], status == 0, "{report:#}");
    let account = report["accounts"][0].clone();
    assert_eq!((&account["login"], &account["ok"]), (&login.into(), &report["ok"]), "{report:#}");
    account
}

/// The hops of an account: protocol or nothing, name, outcome.
fn hops(account: &Value) -> Vec<[&str; 3]> {
    let text = |hop: &'_ Value, key: &str| hop[key].as_str().map(str::to_owned).unwrap_or_default();
    let all = account["hops"].as_array().unwrap();
    let hops = all.iter().map(|hop| ["protocol", "hop", "outcome"].map(|key| text(hop, key)));
    hops.map(|hop| hop.map(|text| &*text.leak())).collect()
}

/// The hop of a protocol, or of all.
#[track_caller]
fn hop<'a>(account: &'a Value, protocol: &str, name: &str) -> &'a Value {
    let hops = account["hops"].as_array().unwrap();
    let is_it = |hop: &&Value| hop["hop"] == name && hop["protocol"].as_str().unwrap_or_default() == protocol;
    hops.iter().find(is_it).unwrap_or_else(|| panic!("no {protocol} {name} in {account:#}"))
}

/// That the protocol's hops before this one are well, that it has failed, and that none behind it was tried.
#[track_caller]
fn fails_at(account: &Value, protocol: &str, name: &str, cause: &str, cure: &str) {
    let hops = hops(account);
    let mine: Vec<_> = hops.iter().filter(|hop| hop[0] == protocol && hop[2] != "warning").collect();
    let (last, before) = mine.split_last().unwrap_or_else(|| panic!("no {protocol} in {account:#}"));
    assert_eq!((last[1], last[2]), (name, "failed"), "{account:#}");
    assert!(before.iter().all(|hop| hop[2] == "ok"), "{account:#}");
    let failed = hop(account, protocol, name);
    let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
    assert!(text("cause").contains(cause), "{failed:#}");
    assert!(text("cure").contains(cure), "{failed:#}");
}

/// That every hop of a protocol is well.
#[track_caller]
fn is_well(account: &Value, protocol: &str, last: &str) {
    let hops = hops(account);
    let mine: Vec<_> = hops.iter().filter(|hop| hop[0] == protocol).map(|hop| (hop[1], hop[2])).collect();
    let expected: Vec<_> = WAY.into_iter().chain([last]).map(|name| (name, "ok")).collect();
    assert_eq!(mine, expected, "{account:#}");
}

/// Ends the bridge, so that the doctor works alone.
fn without_bridge(world: &World) {
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("stopped", 1);
}

/// Changes the configuration, which no bridge serves.
fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("footbridge.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hop_of_three_protocols_is_well_with_a_bridge_and_without() {
    let world = World::with_pop3();
    world.exchange.mailboxes().deliver(ANN, "Subject: one\r\n\r\nhello\r\n");
    let folder = world.folder.path();
    for (run, token) in
        ["fetched, expires in 58 min", "at hand, expires in 58 min", "at hand"].iter().enumerate()
    {
        if run == 2 {
            without_bridge(&world);
        }
        let ann = examined(folder, &world.authority, ANN, 0);
        assert!(hop(&ann, "", "token")["found"].as_str().unwrap().starts_with(token), "{ann:#}");
        let common: Vec<_> = hops(&ann).into_iter().filter(|hop| hop[0].is_empty()).collect();
        assert_eq!(common, COMMON.map(|name| ["", name, "ok"]));
        is_well(&ann, "imap", "mailbox");
        is_well(&ann, "pop3", "mailbox");
        is_well(&ann, "smtp", "session");
        for (key, expected) in [
            ("mailbox", ANN),
            ("app", "contoso"),
            ("provider", "contoso-lab"),
            ("grant", "client_credentials"),
        ] {
            assert_eq!(ann[key], expected, "{key}");
        }
        let found = |protocol, name| hop(&ann, protocol, name)["found"].as_str().unwrap().to_owned();
        let claims = found("", "claims");
        let parts =
            ["for https://outlook.office365.com; tenant ", "; app 22222222", "; roles IMAP.AccessAsApp"];
        for part in parts {
            assert!(claims.contains(part), "{claims}");
        }
        assert_eq!(found("imap", "mailbox"), "opens, 1 message");
        assert_eq!(found("pop3", "mailbox"), "opens, 1 message in 23 bytes");
        assert!(found("imap", "name_lookup").starts_with("localhost: "), "{ann:#}");
        let addr = world.exchange.imaps.addr();
        assert_eq!(found("imap", "tcp"), addr.to_string());
        assert!(found("imap", "tls").starts_with("TLSv1.3, certificate by CN=Throw-away test CA"), "{ann:#}");
        assert!(found("smtp", "tls").starts_with("TLSv1.3 by STARTTLS, certificate by "), "{ann:#}");
        for protocol in ["imap", "smtp", "pop3"] {
            let ends = found(protocol, "tls").rsplit_once(", until ").unwrap().1.to_owned();
            let today = time::OffsetDateTime::now_utc().date().to_string();
            assert!(ends.len() == today.len() && ends > today, "{ends} is no day to come");
        }
        assert_eq!(found("smtp", "login"), format!("XOAUTH2 as {ANN}"));
        assert!(
            found("smtp", "session").starts_with("takes commands: SIZE 157286400, PIPELINING"),
            "{ann:#}"
        );
    }
    assert_eq!(world.authority.requests().get(), 1, "one token serves all, and is kept");
    world.log_is_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_read_aligned_lines_with_marks_and_no_colours_in_a_pipe() {
    let world = World::start();
    let ended = doctor(world.folder.path(), &world.authority, &[]).expect(0);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[0], ANN);
    assert!(
        lines[1].starts_with(&format!("  ✓ configuration mailbox {ANN}, app contoso at ")),
        "{}",
        ended.stdout
    );
    for expected in ["  IMAP", "  SMTP", BOB, "2 accounts: no hop failed"] {
        assert!(lines.contains(&expected), "{}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);

    world.exchange.disable_smtp_auth();
    let ended = doctor(world.folder.path(), &world.authority, &[ANN]).expect(1);
    let failed = "  ✗ login         (";
    assert!(ended.stdout.lines().any(|line| line.starts_with(failed)), "{}", ended.stdout);
    assert!(ended.stdout.contains("\n      cure: Set-CASMailbox -SmtpClientAuthenticationDisabled $false\n"));
    assert!(ended.stdout.ends_with("\n1 of 1 account failed at a hop\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(BOB));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_none_and_a_port_that_is_closed_are_named_and_smtp_is_tried_all_the_same() {
    let world = World::start();
    let folder = world.folder.path();
    without_bridge(&world);
    world.exchange.imaps.close().await;
    let port = world.exchange.imaps.addr().port();
    let ann = examined(folder, &world.authority, ANN, 1);
    let refused = format!("cannot connect to 127.0.0.1:{port}: Connection refused");
    fails_at(&ann, "imap", "tcp", &refused, "try later");
    is_well(&ann, "smtp", "session");
    let host = format!("host = \"localhost\", port = {port}");
    edit(folder, &host, &host.replace("localhost", "nowhere.invalid"));
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(
        &ann,
        "imap",
        "name_lookup",
        "cannot look up nowhere.invalid",
        "check the host in the configuration",
    );
    is_well(&ann, "smtp", "session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_host_is_refused_behind_the_first_byte_and_behind_starttls() {
    let mut elsewhere = None;
    let world = World::built(|certs, authority, _| {
        let exchange = Exchange::start_as(certs.leaf_for(&["mail.example.org"]), authority);
        Config::new(authority, elsewhere.insert(exchange)).account(ANN, PASSWORD)
    });
    let ann = examined(world.folder.path(), &world.authority, ANN, 1);
    for protocol in ["imap", "smtp"] {
        let cure = "name the host in the configuration as its certificate does";
        fails_at(&ann, protocol, "tls", "it is for mail.example.org, not for localhost", cure);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_down_and_a_secret_that_is_wrong_end_it_at_the_token() {
    let world = World::start();
    let folder = world.folder.path();
    fs::write(world.folder.secret("contoso"), "another").unwrap();
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(&ann, "", "token", "AADSTS7000215", "");
    assert_eq!(hops(&ann).len(), 2, "what is behind it is not tried: {ann:#}");
    without_bridge(&world);
    world.authority.go_down().await;
    edit(folder, "[limits]", "[limits]\nlogin_timeout = \"5s\"\nconnect_timeout = \"2s\"");
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(&ann, "", "token", "Connection refused", "");
    assert_eq!(world.exchange.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_tried_once_more_with_a_renewed_token() {
    let world = World::start();
    let folder = world.folder.path();
    world.exchange.refuse_next(1);
    let ann = examined(folder, &world.authority, ANN, 0);
    is_well(&ann, "imap", "mailbox");
    assert_eq!(hop(&ann, "imap", "login")["found"], format!("XOAUTH2 as {ANN}, with a renewed token"));
    assert_eq!(world.authority.requests().get(), 2);
    world.exchange.refuse_next(2);
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(
        &ann,
        "imap",
        "login",
        "refuses mailbox ann@example.com: NO AUTHENTICATE failed",
        "check IMAP.AccessAsApp",
    );
    fails_at(&ann, "smtp", "login", "535 5.7.3", "check SMTP.SendAsApp");
    // The same words as the log's.
    world.exchange.refuse_next(2);
    world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    let logged = world.bridge.wait_for_logged("login refused", 1).remove(0);
    let told = hop(&ann, "imap", "login");
    assert_eq!((&told["cause"], &told["cure"]), (&logged["cause"], &logged["cure"]));
    world.log_is_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_does_not_open_behind_a_good_login_is_a_failure_with_its_meaning() {
    let world = World::with(|config, _, exchange| {
        config.account(CARL, PASSWORD).pop3(exchange.endpoint("pop3", true))
    });
    let carl = examined(world.folder.path(), &world.authority, CARL, 1);
    fails_at(&carl, "imap", "mailbox", "User is authenticated but not connected", "Add-MailboxPermission");
    let cause = hop(&carl, "imap", "mailbox")["cause"].as_str().unwrap();
    assert!(cause.contains("it may not open this mailbox"), "{cause}");
    fails_at(&carl, "pop3", "login", "-ERR Authentication failure", "PopEnabled");
    fails_at(&carl, "smtp", "login", "535 5.7.3", "check SMTP.SendAsApp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_auth_that_is_disabled_is_told_with_the_command_that_enables_it() {
    let world = World::start();
    world.exchange.disable_smtp_auth();
    let ann = examined(world.folder.path(), &world.authority, ANN, 1);
    let cure = "Set-CASMailbox -SmtpClientAuthenticationDisabled $false";
    fails_at(&ann, "smtp", "login", "SMTP AUTH is off for the mailbox (5.7.139)", cure);
    assert_eq!(hop(&ann, "smtp", "login")["fault"], "administrator");
    assert_eq!(hop(&ann, "smtp", "login")["retry_helps"], false);
    is_well(&ann, "imap", "mailbox");
    assert_eq!(world.authority.requests().get(), 1, "no token helps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_that_nobody_listens_for_is_tried_and_its_failure_is_a_warning() {
    let world = World::start();
    let folder = world.folder.path();
    without_bridge(&world);
    let pop3 = world.exchange.pop3s.addr().port();
    world.exchange.pop3s.close().await;
    let endpoint = format!(
        "[provider.contoso-lab]\npop3 = {{ host = \"localhost\", port = {pop3}, tls = \"implicit\" }}"
    );
    edit(folder, "[provider.contoso-lab]", &endpoint);
    let ann = examined(folder, &world.authority, ANN, 0);
    let tcp = hop(&ann, "pop3", "tcp");
    assert_eq!(
        (&tcp["outcome"], &tcp["found"]),
        (&"warning".into(), &"nobody meets it: no listener speaks this protocol".into())
    );
    world.exchange.pop3s.reopen();
    is_well(&examined(folder, &world.authority, ANN, 0), "pop3", "mailbox");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_its_step_may_take() {
    let world = World::start();
    let folder = world.folder.path();
    without_bridge(&world);
    let silent = Door::open(|stream, cut| async move {
        cut.cancelled().await;
        drop(stream);
    });
    let (from, to) = (world.exchange.imaps.addr().port(), silent.addr().port());
    edit(folder, &format!("port = {from},"), &format!("port = {to},"));
    edit(folder, "[limits]", "[limits]\nconnect_timeout = \"500ms\"");
    let ann = examined(folder, &world.authority, ANN, 1);
    let cause = format!("the TLS handshake with localhost:{to} took longer than 0.5 s");
    fails_at(&ann, "imap", "tls", &cause, "check port and tls");
    is_well(&ann, "smtp", "session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_ends_and_a_person_who_has_seen_enough_end_an_examination() {
    let world = World::start();
    let folder = world.folder.path();
    let gate = Gate::default();
    world.authority.always(Answer::Held(gate.clone()));
    let beside = Cli::spawn(folder, ["doctor", ANN]);
    world.authority.requests().reached(1).await;
    without_bridge(&world);
    let ended = beside.wait().expect(1);
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");

    let alone = Cli::spawn(folder, ["doctor", ANN]);
    world.authority.requests().reached(2).await;
    let waits = alone.wait_for_stderr(|line| line.contains("waiting for the token: "));
    assert!(waits.ends_with(" s of at most 60 s"), "{waits}");
    alone.signal("INT");
    gate.open();
    let ended = alone.wait().expect(1);
    assert!(ended.stderr.contains("interrupted"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_takes_long_holds_up_no_others_and_is_told_of_in_its_turn() {
    let mut slow = None;
    let world = World::with(|config, certs, exchange| {
        let authority = slow.insert(Authority::start(certs));
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        config.app("slow", authority, imap, smtp).account_of("slow", CARL, PASSWORD, "")
    });
    let slow = slow.unwrap();
    for is_beside in [true, false] {
        if !is_beside {
            without_bridge(&world);
        }
        let gate = Gate::default();
        slow.always(Answer::Held(gate.clone()));
        let (tried, asked) = (world.exchange.attempted().get(), slow.requests().get());
        let doctor = Cli::spawn(world.folder.path(), ["doctor", "--json", CARL, ANN, BOB]);
        slow.requests().reached(asked + 1).await;
        // Two protocols of each of the others, while the first is still waited for.
        world.exchange.attempted().reached(tried + 4).await;
        gate.open();
        let report = doctor.wait().json();
        let accounts = report["accounts"].as_array().unwrap();
        let told: Vec<_> = accounts.iter().map(|account| account["login"].clone()).collect();
        assert_eq!(told, [CARL, ANN, BOB], "{report:#}");
        for account in &accounts[1..] {
            is_well(account, "imap", "mailbox");
            is_well(account, "smtp", "session");
        }
    }
}

/// ANN consents in a browser.
async fn consent(world: &World) {
    let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    assert_eq!(world.browser().open(&url).await.status, 200);
    let _ = running.wait().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_is_missing_is_told_with_the_command_that_gives_it_and_then_all_is_well() {
    let world = World::granted(
        "authorization_code",
        Some(PASSWORD),
        |_| Registration::public(APP),
        |_| Keys::of(APP),
    );
    let folder = world.folder.path();
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(&ann, "", "token", "not authorized yet", "run footbridge authorize ann@example.com");
    consent(&world).await;
    let ann = examined(folder, &world.authority, ANN, 0);
    is_well(&ann, "imap", "mailbox");
    is_well(&ann, "smtp", "session");
    let claims = hop(&ann, "", "claims")["found"].as_str().unwrap();
    assert!(claims.contains(&format!("user {ANN}; scopes IMAP.AccessAsUser.All SMTP.Send")), "{claims}");

    // A refresh token that is used up by the doctor alone is replaced on the disk.
    without_bridge(&world);
    world.authority.issuer().issued().iter().for_each(|(jti, _)| world.authority.issuer().revoke(jti));
    for _ in 0..2 {
        let ann = examined(folder, &world.authority, ANN, 0);
        is_well(&ann, "smtp", "session");
    }
    assert_eq!(world.authority.requests_of("refresh_token").get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_the_token_lacks_is_named_before_the_login_that_fails_for_it() {
    let world = World::granted(
        "authorization_code",
        Some(PASSWORD),
        |_| Registration::public(APP),
        |_| Keys::of(APP),
    );
    world.authority.shape(|shape| shape.scp = Some(vec!["IMAP.AccessAsUser.All".to_owned()]));
    consent(&world).await;
    let ann = examined(world.folder.path(), &world.authority, ANN, 1);
    is_well(&ann, "imap", "mailbox");
    let warned = hop(&ann, "smtp", "claims");
    assert_eq!(warned["outcome"], "warning");
    assert_eq!(warned["cause"], "the token lacks the permission SMTP.Send");
    assert!(warned["cure"].as_str().unwrap().contains("give the app SMTP.Send"), "{warned}");
    fails_at(&ann, "smtp", "login", "535 5.7.3", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opaque_token_says_nothing_and_that_is_no_failure() {
    let world = World::granted(
        "authorization_code",
        Some(PASSWORD),
        |_| Registration::public(APP),
        |_| Keys::of(APP),
    );
    world.authority.shape(|shape| shape.opaque = true);
    consent(&world).await;
    let ann = examined(world.folder.path(), &world.authority, ANN, 0);
    assert!(hop(&ann, "", "claims")["found"].as_str().unwrap().contains("opaque"), "{ann:#}");
    is_well(&ann, "imap", "mailbox");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_authority_judges_passwords_everything_up_to_the_login_is_tried() {
    let password = World::granted(
        "password",
        None,
        |authority| {
            authority.add_person(Person::new(ANN).password("own"));
            Registration::public(APP)
        },
        |_| Keys::of(APP),
    );
    let secret = World::granted(
        "client_credentials",
        None,
        |_| Registration::confidential(APP).secret("own"),
        |_| Keys::of(APP).login_password(),
    );
    for world in [password, secret] {
        let ann = examined(world.folder.path(), &world.authority, ANN, 0);
        assert_eq!(hop(&ann, "", "token")["outcome"], "skipped");
        for protocol in ["imap", "smtp"] {
            assert_eq!(hop(&ann, protocol, "tls")["outcome"], "ok");
            assert_eq!(hop(&ann, protocol, "login")["outcome"], "skipped");
        }
        assert!(world.exchange.attempts().is_empty() && world.authority.requests().get() == 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_accounts_mailboxes_are_examined_one_by_one_and_a_wildcard_needs_one_of_its_names() {
    let world = World::built(|_, authority, exchange| {
        let account = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ANN, BOB]);
        authority.add_service_account(&account);
        let keys = Keys::of("1").service_account(authority, &authority.service_account_key(&account));
        exchange.mailboxes().create(ANN);
        exchange.mailboxes().create(BOB);
        let config = Config::empty().delegated_app("app", authority, exchange, keys);
        let mailboxes = format!("mailboxes = [\"{ANN}\", \"{BOB}\"]");
        config.account_with("app", "*@example.com", Some(PASSWORD), "service_account", &mailboxes)
    });
    let folder = world.folder.path();
    let all = examined(folder, &world.authority, "*@example.com", 0);
    assert_eq!(hops(&all), [["", "configuration", "skipped"]]);
    assert!(
        hop(&all, "", "configuration")["found"]
            .as_str()
            .unwrap()
            .ends_with("footbridge doctor ann@example.com")
    );
    assert_eq!(hops(&doctor(folder, &world.authority, &["--json"]).expect(0).json()["accounts"][0]).len(), 1);
    let bob = examined(folder, &world.authority, "BOB@example.com", 0);
    assert_eq!(bob["mailbox"], BOB);
    is_well(&bob, "imap", "mailbox");
    let carl = examined(folder, &world.authority, CARL, 0);
    assert_eq!(hops(&carl), [["", "configuration", "skipped"]]);
    assert_eq!(world.authority.requests().get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_on_the_way_is_named_and_blamed() {
    let proxy = Proxy::start(Kind::ALL[0]);
    let world =
        World::with(|config, _, _| config.provider_line(&format!("outbound_proxy = \"{}\"", proxy.url())));
    let folder = world.folder.path();
    let ann = examined(folder, &world.authority, ANN, 0);
    let found = |name| hop(&ann, "imap", name)["found"].as_str().unwrap().to_owned();
    assert!(found("name_lookup").starts_with(&format!("proxy {}: ", proxy.url())), "{ann:#}");
    let expected =
        format!("localhost:{} by way of proxy {}", world.exchange.imaps.addr().port(), proxy.url());
    assert_eq!(found("tcp"), expected);
    proxy.door.close().await;
    let ann = examined(folder, &world.authority, ANN, 1);
    fails_at(&ann, "imap", "tcp", &format!("proxy {} cannot be reached", proxy.url()), "check the proxy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_is_sent_and_seen_to_arrive_with_a_bridge_and_without() {
    let world = World::start();
    let folder = world.folder.path();
    for run in 0..2 {
        if run == 1 {
            without_bridge(&world);
        }
        let ended = doctor(folder, &world.authority, &[ANN, "--json", "--send-to", ANN]).expect(0);
        let ann = &ended.json()["accounts"][0];
        assert_eq!(hop(ann, "smtp", "send")["outcome"], "ok");
        let arrived = hop(ann, "imap", "arrival")["found"].as_str().unwrap();
        assert!(arrived.starts_with("in INBOX 0.") && arrived.ends_with(" s after it was sent"), "{arrived}");
    }
    let sent = world.exchange.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].from.as_str(), &sent[0].to[..]), (ANN, &[ANN.to_owned()][..]));
    let text = String::from_utf8(sent[0].message.clone()).unwrap();
    assert!(
        text.contains("Subject: Footbridge test message fb") && text.contains("footbridge doctor"),
        "{text}"
    );
    assert!(sent[0].message != sent[1].message, "each is known by a word of its own");

    // Somebody else's mailbox is not looked into.
    let ended = doctor(folder, &world.authority, &[ANN, "--json", "--send-to", BOB]).expect(0);
    assert!(hops(&ended.json()["accounts"][0]).iter().all(|hop| hop[1] != "arrival"));
    assert_eq!(world.exchange.mailboxes().messages(BOB, "INBOX").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_that_is_refused_is_explained() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(APP));
        exchange.mailboxes().create(ANN);
        exchange.mailboxes().create(BOB);
        exchange.mailboxes().share(BOB, ANN);
        let config = Config::empty().delegated_app("app", authority, exchange, Keys::of(APP));
        let more = format!(
            "mailbox = \"{CARL}\"\nsign_in = \"{ANN}\"\nsmtp_user = \"{ANN}\"\nprotocols = [\"smtp\"]"
        );
        config.account_with("app", ANN, Some(PASSWORD), "authorization_code", &more)
    });
    consent(&world).await;
    let ended = doctor(world.folder.path(), &world.authority, &[ANN, "--json", "--send-to", BOB]).expect(1);
    let ann = &ended.json()["accounts"][0];
    let cause = format!("does not take the message from {CARL} to {BOB}: 550 5.7.60");
    fails_at(ann, "smtp", "send", &cause, "SendAs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_login_is_no_examination_and_a_wrong_line_is_usage() {
    let world = World::start();
    let folder = world.folder.path();
    for run in 0..2 {
        if run == 1 {
            without_bridge(&world);
        }
        let ended = Cli::run(folder, ["doctor", "ann@exmaple.com"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(&format!("did you mean {ANN}?")), "{ended:?}");
    }
    for wrong in [&["doctor", "--send-to", "nobody"][..], &["doctor", "--jason"]] {
        assert_eq!(Cli::run(folder, wrong).status, Some(2), "{wrong:?}");
    }
    assert_eq!(world.exchange.connections(), 0);
    fs::write(folder.join("mappings.toml"), "nonsense").unwrap();
    let ended = Cli::run(folder, ["doctor"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("mappings.toml:1"), "{ended:?}");
}
