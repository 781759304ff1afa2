//! The commands that talk to a running bridge, or do without it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use harness::{
    authority::Registration,
    bridge::Bridge,
    cli::{Cli, Ended},
    config::{Config, Keys},
    world::{ANN, BOB, PASSWORD, World},
};
use serde_json::Value;

const CARL: &str = "carl@example.com";

/// Asks whether the bridge of a world's folder is ready.
fn healthcheck(world: &World) -> Ended {
    Cli::run(world.folder.path(), ["healthcheck"])
}

fn assert_sick(ended: &Ended, why: &str) {
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(why), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthcheck_succeeds_while_the_bridge_serves_and_fails_while_it_drains_and_after_it() {
    let world = World::start();
    let healthy = healthcheck(&world);
    assert_eq!((healthy.status, healthy.stderr.as_str()), (Some(0), ""));

    let session = world.imap(ANN).await;
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("draining", 1);
    assert_sick(&healthcheck(&world), "draining");

    drop(session);
    world.bridge.wait_for_logged("stopped", 1);
    assert_sick(&healthcheck(&world), "no footbridge serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_is_its_owners_alone_and_goes_with_the_bridge() {
    let world = World::start();
    let state = world.folder.path().join("state");
    let socket = state.join("control.sock");
    let made = std::fs::metadata(&socket).unwrap();
    assert!(made.file_type().is_socket());
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    let World { bridge, folder: _folder, .. } = world;
    assert!(bridge.terminate().0.success());
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_a_killed_bridge_left_is_told_apart_and_replaced() {
    let world = World::start();
    let World { bridge, folder, .. } = world;
    bridge.signal("KILL");
    bridge.wait();
    assert!(folder.path().join("state/control.sock").exists(), "nobody was there to remove it");
    assert_sick(&Cli::run(folder.path(), ["healthcheck"]), "cure: start it with `footbridge serve`");
    let next = Bridge::start(folder.path());
    assert_eq!(Cli::run(folder.path(), ["healthcheck"]).status, Some(0));
    drop(next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthcheck_does_not_mind_a_configuration_that_is_being_changed() {
    let world = World::start();
    let mut text = std::fs::read_to_string(world.folder.path().join("footbridge.toml")).unwrap();
    text.push_str("\n[app.half\nnonsense = 1\n");
    std::fs::write(world.folder.path().join("footbridge.toml"), text).unwrap();
    let healthy = healthcheck(&world);
    assert_eq!(healthy.status, Some(0), "{healthy:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_with_too_long_a_path_costs_the_commands_and_not_the_bridge() {
    let long = format!("state_dir = \"{}\"", "s".repeat(120));
    let world = World::start();
    let config = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("state_dir = \"state\"", &long);
    std::fs::write(&config, text).unwrap();
    let second = Bridge::start(world.folder.path());
    let warned = second.logged("other commands cannot talk to this bridge");
    assert_eq!(warned.len(), 1);
    assert!(warned[0]["cause"].as_str().unwrap().contains("state_dir"), "{warned:?}");
    assert_sick(&healthcheck(&world), "choose a shorter state_dir");
}

/// What `accounts --json` says of one account.
fn account(dir: &std::path::Path, login: &str) -> Value {
    let ended = Cli::run(dir, ["accounts", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let ill = rows.iter().filter(|row| row["state"] == "consent_needed" || row["state"] == "failing");
    let (ill, is_told) = (ill.count(), ended.stderr.contains("cannot get a token; try: footbridge doctor "));
    assert_eq!((ended.status, is_told), (Some(i32::from(ill > 0)), ill > 0), "{ended:?}");
    rows.into_iter().find(|row| row["login"] == login).unwrap()
}

fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let form = text.len() == "2026-11-20T12:00:00Z".len() && text.starts_with("20") && text.ends_with('Z');
    assert!(form, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_tells_of_tokens_and_logins_while_the_bridge_serves() {
    let world = World::with(|config, _, _| config.account(CARL, PASSWORD));
    let dir = world.folder.path();
    let fresh = account(dir, ANN);
    assert_eq!(fresh["logins"], serde_json::json!([ANN]));
    for (key, expected) in
        [("mailbox", ANN), ("app", "contoso"), ("grant", "client_credentials"), ("state", "unused")]
    {
        assert_eq!(fresh[key], expected, "{key}");
    }
    for key in ["expires_at", "last_login", "last_failure", "credential_expires", "trouble"] {
        assert_eq!(fresh.get(key), Some(&Value::Null), "{key}");
    }

    let _session = world.imap(ANN).await;
    let mut wrong = world.connect("imap").await;
    wrong.imap_login(BOB, "wrong").await;
    // The token, and the one that it is renewed by.
    world.exchange.refuse_next(2);
    let refused = world.connect("imap").await.imap_login(CARL, PASSWORD).await;
    assert!(refused.starts_with("in NO "), "{refused}");
    let ann = account(dir, ANN);
    assert_eq!(ann["state"], "ready");
    assert_time(&ann["expires_at"]);
    assert_time(&ann["last_login"]);
    assert_eq!(ann["last_failure"], Value::Null);
    let bob = account(dir, BOB);
    assert_eq!(
        (&bob["last_login"], &bob["last_failure"]),
        (&Value::Null, &Value::Null),
        "strangers write nothing"
    );
    let failure = &account(dir, CARL)["last_failure"];
    assert_eq!(failure["failure"], "upstream_refused");
    assert_time(&failure["at"]);
    for key in ["cause", "cure"] {
        assert!(!failure[key].as_str().unwrap().is_empty(), "{failure}");
    }

    // It is remembered beyond a reload.
    assert_eq!(Cli::run(dir, ["reload"]).status, Some(0));
    assert_eq!(account(dir, ANN)["last_login"], ann["last_login"]);
    let table = Cli::run(dir, ["accounts"]);
    assert_eq!(table.status, Some(0));
    let lines: Vec<_> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("LOGIN "), "{table:?}");
    assert!(
        lines[1].starts_with(ANN) && lines[1].contains(" in ") && lines[1].ends_with(" ago"),
        "{table:?}"
    );
    assert!(
        table.stdout.contains("\n    last failure ") && table.stdout.contains("\n    cure: "),
        "{table:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_tells_of_what_is_stored_where_no_bridge_serves() {
    let world = World::with(|config, _, _| config.more("[store]\nkey = { file = \"contoso.secret\" }"));
    drop(world.imap(ANN).await);
    let World { bridge, folder, .. } = world;
    let running = account(folder.path(), ANN);
    assert!(bridge.terminate().0.success());
    let stored = account(folder.path(), ANN);
    for key in ["login", "logins", "mailbox", "app", "grant", "state", "expires_at"] {
        assert_eq!(stored[key], running[key], "{key}");
    }
    assert_eq!(stored["last_login"], Value::Null, "a token that two share says nothing of one's logins");
}

const PUBLIC: &str = "33333333-3333-4333-8333-333333333333";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_waits_for_a_consent_says_so_with_a_bridge_and_without() {
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(PUBLIC));
        let config = Config::empty().delegated_app("people", authority, exchange, Keys::of(PUBLIC));
        config.account_with("people", ANN, Some(PASSWORD), "device_code", "")
    });
    let running = account(world.folder.path(), ANN);
    assert_eq!(running["state"], "consent_needed");
    assert!(running["trouble"].as_str().unwrap().contains("footbridge authorize"), "{running}");
    let forgotten = Cli::run(world.folder.path(), ["accounts", "--forget", ANN]);
    assert!(forgotten.stdout.contains("nothing was kept"), "{forgotten:?}");
    let again = format!("must sign in again before the next login: footbridge authorize {ANN}\n");
    assert!(forgotten.stdout.ends_with(&again), "{forgotten:?}");
    let World { bridge, folder, .. } = world;
    assert!(bridge.terminate().0.success());
    assert_eq!(account(folder.path(), ANN), running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_ends_soon_is_warned_of_at_the_start_at_a_reload_and_by_accounts() {
    let soon = time::OffsetDateTime::now_utc().date() + time::Duration::days(10);
    let world = World::built(|_, authority, exchange| {
        let keys = Keys::contoso().line(&format!("secret_expires = {soon}"));
        let config = Config::empty().delegated_app("contoso", authority, exchange, keys);
        config.account(ANN, PASSWORD)
    });
    let warned = world.bridge.wait_for_logged("credential ends", 1).remove(0);
    assert_eq!((&warned["level"], &warned["app"]), (&"WARN".into(), &"contoso".into()));
    let cause = warned["cause"].as_str().unwrap();
    assert!(cause.contains(&format!("ends on {soon}")), "{cause}");
    assert_eq!(Cli::run(world.folder.path(), ["reload"]).status, Some(0));
    world.bridge.wait_for_logged("credential ends", 2);

    let ended = Cli::run(world.folder.path(), ["accounts"]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.stderr.contains(&format!("warning: {cause}\n  cure: ")), "{ended:?}");
    let row = account(world.folder.path(), ANN);
    assert!(row["credential_expires"].as_str().unwrap().starts_with(&soon.to_string()), "{row}");
}

#[test]
fn a_configuration_with_mistakes_is_told_of_by_accounts_as_by_doctor() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("footbridge.toml"), "state_dir = \"state\"\n").unwrap();
    let said = ["accounts", "doctor"].map(|command| Cli::run(folder.path(), [command]).expect(1).stderr);
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains("there is no [[listener]]"), "{}", said[0]);
    assert!(said[0].ends_with(" mistakes\nerror: the configuration has mistakes\n"), "{}", said[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_makes_nothing_where_there_is_no_state_folder_yet() {
    let world = World::start();
    let World { bridge, folder, .. } = world;
    assert!(bridge.terminate().0.success());
    let state = folder.path().join("state");
    std::fs::remove_dir_all(&state).unwrap();
    assert_eq!(account(folder.path(), ANN)["state"], "unused");
    assert!(!state.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_token_is_asked_for_again_and_those_who_shared_it_are_named() {
    let world = World::start();
    drop(world.imap(ANN).await);
    assert_eq!(world.authority.requests().get(), 1);
    let forget = |login: &str| Cli::run(world.folder.path(), ["accounts", "--forget", login]);

    let ended = forget("ANN@example.com");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let expected = format!(
        "{ANN}: its tokens are deleted\nthe same tokens were used by: {BOB}\nthe next login gets a new one\n"
    );
    assert_eq!(ended.stdout, expected);
    assert_eq!(account(world.folder.path(), ANN)["state"], "unused");
    drop(world.imap(ANN).await);
    assert_eq!(world.authority.requests().get(), 2);

    let unknown = forget("ann@exmaple.com");
    assert_eq!((unknown.status, unknown.stdout.as_str()), (Some(1), ""));
    assert!(unknown.stderr.contains(&format!("did you mean {ANN}?")), "{unknown:?}");

    // The same without a bridge.
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("stopped", 1);
    for expected in ["its tokens are deleted", "nothing was kept for it"] {
        let ended = forget(ANN);
        assert!(ended.stdout.starts_with(&format!("{ANN}: {expected}\n")), "{ended:?}");
    }
    assert_eq!(forget("nobody at all").status, Some(1));
    assert_eq!(account(world.folder.path(), ANN)["state"], "unused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_cannot_answer_for_a_broken_configuration() {
    let world = World::start();
    let World { bridge, folder, .. } = world;
    assert!(bridge.terminate().0.success());
    std::fs::write(folder.path().join("mappings.toml"), "nonsense").unwrap();
    let ended = Cli::run(folder.path(), ["accounts"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("mappings.toml:1"), "{ended:?}");
}

/// Whoever connects and says nothing keeps neither other commands from their answer nor the bridge from
/// its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_visitor_of_the_control_socket_holds_nobody_up() {
    let world = World::start();
    let socket = world.folder.path().join("state/control.sock");
    let silent: Vec<_> = (0..8).map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap()).collect();
    assert_eq!(healthcheck(&world).status, Some(0));
    let (status, log) = world.bridge.terminate();
    assert!(status.success(), "{log}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_bridge_that_does_not_answer_is_told_from_none() {
    let world = World::start();
    world.bridge.signal("STOP");
    let ended = healthcheck(&world);
    world.bridge.signal("CONT");
    assert_sick(&ended, "does not answer");
}
