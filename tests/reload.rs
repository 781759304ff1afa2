//! A configuration that changes while the bridge serves: by SIGHUP, and by `footbridge reload`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
};

use harness::{
    PATIENCE,
    bridge::Bridge,
    cli::{Cli, Ended},
    client::Client,
    config::Config,
    world::{ANN, BOB, PASSWORD, World},
};
use tokio::net::TcpStream;

const CARL: &str = "carl@example.com";

/// Writes another configuration where the first one is.
fn rewrite(world: &World, write: impl FnOnce(Config) -> Config) {
    write(Config::new(&world.authority, &world.exchange)).write_to(world.folder.path(), &world.certs);
}

/// Changes the text of a file.
fn edit(world: &World, file: &str, change: impl FnOnce(String) -> String) {
    let path = world.folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

/// Reloads by signal, and waits until the log says that it is done.
fn hang_up(world: &World, outcome: &str) {
    let before = world.bridge.logged(outcome).len();
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged(outcome, before + 1);
}

fn reload(world: &World) -> Ended {
    Cli::run(world.folder.path(), ["reload"])
}

fn assert_reloaded(ended: &Ended) {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("configuration reloaded: "), "{ended:?}");
}

fn assert_refused(ended: &Ended, why: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(why) && ended.stderr.contains("not reloaded"), "{ended:?}");
}

/// What a login is answered.
async fn log_in(world: &World, login: &str, password: &str) -> String {
    world.connect("imap").await.imap_login(login, password).await
}

/// Whether a session still reaches its mailbox.
async fn assert_alive(session: &mut Client) {
    session.say("alive NOOP").await;
    session.until("alive OK {…}").await;
}

/// A password that is kept in plain elsewhere gets the hash that it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_password_is_kept_elsewhere_has_not_changed_until_that_does() {
    let world = World::start();
    let kept = world.folder.path().join("ann.password");
    let write = |password: &str| std::fs::write(&kept, password).unwrap();
    write("first");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).unwrap();
    edit(&world, "mappings.toml", |_| {
        format!(
            "[[account]]\nlogin = \"{ANN}\"\napp = \"contoso\"\ngrant = \"client_credentials\"\n\
             password = {{ file = \"ann.password\" }}\n"
        )
    });
    for (password, expected) in [
        ("first", format!("account changed: {ANN}\n")),
        ("first", "no account and no listener has changed".to_owned()),
        ("second", format!("account changed: {ANN}\n")),
    ] {
        write(password);
        let ended = reload(&world);
        assert!(ended.stdout.contains(&expected), "wanted {expected}: {ended:?}");
        let reply = log_in(&world, ANN, password).await;
        assert!(reply.starts_with("in OK "), "{reply}");
    }
}

/// A port that nobody has.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A changed password and a new account, and a session from before.
async fn takes_up_a_change(take_up: impl Fn(&World)) {
    let world = World::start();
    world.exchange.mailboxes().create(CARL);
    let mut session = world.imap(ANN).await;
    rewrite(&world, |config| config.account(ANN, "another").account(BOB, PASSWORD).account(CARL, PASSWORD));
    let reply = log_in(&world, ANN, "another").await;
    assert!(reply.starts_with("in NO "), "the file alone changes nothing: {reply}");
    take_up(&world);
    for (login, password, expected) in [
        (ANN, "another", "in OK "),
        (ANN, PASSWORD, "in NO "),
        (BOB, PASSWORD, "in OK "),
        (CARL, PASSWORD, "in OK "),
    ] {
        let reply = log_in(&world, login, password).await;
        assert!(reply.starts_with(expected), "{login} with {password}: {reply}");
    }
    assert_alive(&mut session).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_and_a_new_account_work_after_sighup() {
    takes_up_a_change(|world| {
        hang_up(world, "configuration reloaded");
        let line = &world.bridge.logged("configuration reloaded")[0];
        let counted = |name: &str| line[name].as_u64().unwrap();
        assert_eq!(counted("accounts"), 3);
        assert_eq!(counted("accounts.added"), 1);
        assert_eq!(counted("accounts.changed"), 1);
        assert_eq!(counted("accounts.removed"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_and_a_new_account_work_after_footbridge_reload() {
    takes_up_a_change(|world| {
        let ended = reload(world);
        assert_reloaded(&ended);
        let expected =
            format!("configuration reloaded: 3 accounts\naccount added: {CARL}\naccount changed: {ANN}\n");
        assert_eq!(ended.stdout, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_and_every_mistake_is_told() {
    let world = World::start();
    rewrite(&world, |config| {
        let config = config.limit("login_timeout = 7");
        config.account_of("contosso", ANN, "another", "").account_of("contoso", BOB, "another", "logn = 1")
    });
    let ended = reload(&world);
    assert_refused(&ended, "login_timeout");
    for mistake in ["contosso", "logn"] {
        assert!(ended.stderr.contains(mistake), "{mistake} in {}", ended.stderr);
    }
    world.bridge.signal("HUP");
    let told = world.bridge.wait_for_logged("configuration not reloaded", 6);
    let places: Vec<_> = told.iter().map(|line| line["place"].as_str().unwrap()).collect();
    assert!(places.iter().all(|place| place.contains(".toml:")), "{places:?}");
    assert!(world.bridge.logged("configuration reloaded").is_empty());
    for login in [ANN, BOB] {
        let reply = log_in(&world, login, PASSWORD).await;
        assert!(reply.starts_with("in OK "), "{login}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_mappings_file_is_a_mistake_and_no_wish() {
    let world = World::start();
    let mut session = world.imap(ANN).await;
    edit(&world, "mappings.toml", |_| String::new());
    assert_refused(&reload(&world), "mappings.toml");
    assert_alive(&mut session).await;
    world.smtp(BOB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sessions_of_a_removed_account_end_and_its_token_is_kept() {
    let world = World::with(|config, _, _| config);
    let two_apps = |config: Config, with_bob: bool| {
        let (authority, exchange) = (&world.authority, &world.exchange);
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        let config = config.account(ANN, PASSWORD);
        if !with_bob {
            return config;
        }
        config.app("second", authority, imap, smtp).account_of("second", BOB, PASSWORD, "")
    };
    rewrite(&world, |config| two_apps(config, true));
    assert_reloaded(&reload(&world));
    let (mut ann, mut bob) = (world.imap(ANN).await, world.imap(BOB).await);
    let asked = world.authority.requests().get();

    rewrite(&world, |config| two_apps(config, false));
    let ended = reload(&world);
    assert_reloaded(&ended);
    assert!(ended.stdout.contains(&format!("account removed, its sessions end: {BOB}")), "{ended:?}");
    assert!(ended.stdout.contains("app removed: second"), "{ended:?}");
    bob.expect_end().await;
    let closing = world.bridge.wait_for_log("the end of bob's session", |line| {
        line["message"] == "session closed" && line["interrupted"] == "account_removed"
    });
    assert_eq!((&closing["account"], &closing["outcome"]), (&BOB.into(), &"cut".into()));
    assert_alive(&mut ann).await;
    let reply = log_in(&world, BOB, PASSWORD).await;
    assert!(reply.starts_with("in NO "), "{reply}");

    rewrite(&world, |config| two_apps(config, true));
    hang_up(&world, "configuration reloaded");
    world.imap(BOB).await;
    assert_eq!(world.authority.requests().get(), asked, "the token from before is still good");
}

/// A client that was greeted before has the house of before, and gets no further in it than those who
/// had logged in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_account_is_no_way_in_for_a_client_that_was_greeted_before() {
    let world = World::start();
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    rewrite(&world, |config| config.account(ANN, PASSWORD));
    assert_reloaded(&reload(&world));
    client.say(&format!("a LOGIN {BOB} \"{PASSWORD}\"")).await;
    world.bridge.wait_for_log("the end of the session", |line| {
        line["message"] == "session closed" && line["interrupted"] == "account_removed"
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_secret_is_used_at_the_next_token() {
    let world = World::start();
    let secret = world.folder.secret("contoso");
    std::fs::copy(&secret, world.folder.path().join("new.secret")).unwrap();
    std::fs::write(&secret, "what the secret was last year").unwrap();
    let mut client = world.connect("imap").await;
    let refused = client.imap_login(ANN, PASSWORD).await;
    assert!(refused.starts_with("in NO [CONTACTADMIN] "), "{refused}");
    edit(&world, "footbridge.toml", |text| text.replace("\"contoso.secret\"", "\"new.secret\""));
    hang_up(&world, "configuration reloaded");
    world.imap(ANN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_listener_opens_and_a_removed_one_closes_without_its_sessions() {
    let world = World::start();
    let (old, new) = (world.bridge.addr("imap"), free());
    let mut session = world.imap(ANN).await;
    rewrite(&world, |config| {
        config.bind("imap", &new.to_string()).account(ANN, PASSWORD).account(BOB, PASSWORD)
    });
    let ended = reload(&world);
    assert_reloaded(&ended);
    assert!(ended.stdout.contains(&format!("listener opened: imap on {new}\n")), "{ended:?}");
    assert!(ended.stdout.contains("listener closed: imap on 127.0.0.1:0\n"), "{ended:?}");
    let reply = Client::connect(new).await.imap_login(BOB, PASSWORD).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    let refused = async {
        // It is closed by a task of its own, a moment later.
        while TcpStream::connect(old).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("nobody listens there any more");
    assert_alive(&mut session).await;
    world.smtp(BOB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_in_use_refuses_the_whole() {
    let world = World::start();
    let (taken, new) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), free());
    let taken_addr = taken.local_addr().unwrap();
    rewrite(&world, |config| {
        let config = config.bind("imap", &new.to_string()).bind("smtp", &taken_addr.to_string());
        config.account(ANN, "another")
    });
    assert_refused(&reload(&world), &format!("cannot listen on {taken_addr}"));
    assert!(TcpStream::connect(new).await.is_err(), "the listener that could be bound is closed again");
    world.imap(ANN).await;
    world.smtp(BOB).await;
    drop(taken);
    assert_reloaded(&reload(&world));
    let reply = Client::connect(new).await.imap_login(ANN, "another").await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_of_its_own_is_not_called_another_programs() {
    let addr = free();
    let world = World::with(|config, _, _| config.bind("imap", &addr.to_string()));
    let everywhere = format!("0.0.0.0:{}", addr.port());
    edit(&world, "footbridge.toml", |text| {
        let own = format!("bind = \"{addr}\"");
        text.replace(&own, &format!("bind = \"{everywhere}\"\nallow_plaintext = true"))
    });
    assert_refused(&reload(&world), "this bridge listens on that port already");
    world.imap(ANN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_speaks_another_protocol_keeps_its_socket() {
    let addr = free();
    let world = World::with(|config, _, _| config.bind("imap", &addr.to_string()));
    edit(&world, "footbridge.toml", |text| {
        let (before, after) = text.split_once(&format!("protocol = \"imap\"\nbind = \"{addr}\"")).unwrap();
        format!("{before}protocol = \"smtp\"\nbind = \"{addr}\"{after}")
    });
    let ended = reload(&world);
    assert_reloaded(&ended);
    assert!(ended.stdout.contains(&format!("listener changed: smtp on {addr}\n")), "{ended:?}");
    let reply = Client::connect(addr).await.smtp_login(ANN, PASSWORD).await;
    assert!(reply.starts_with("235 "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_refused_by_name() {
    let world = World::start();
    edit(&world, "footbridge.toml", |text| {
        text.replace("state_dir = \"state\"", "state_dir = \"elsewhere\"")
    });
    hang_up(&world, "configuration not reloaded");
    let cause = world.bridge.logged("configuration not reloaded")[0]["cause"].as_str().unwrap().to_owned();
    assert!(cause.starts_with("state_dir has changed"), "{cause}");
    edit(&world, "footbridge.toml", |text| {
        text.replace("state_dir = \"elsewhere\"", "state_dir = \"state\"")
            + "\n[store]\nkey = { file = \"contoso.secret\" }\n"
    });
    assert_refused(&reload(&world), "[store] has changed");
    assert!(!world.folder.path().join("elsewhere").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_at_once_are_done_one_after_the_other() {
    let world = World::start();
    rewrite(&world, |config| config.account(ANN, "another"));
    let asked: Vec<_> = (0..4).map(|_| Cli::spawn(world.folder.path(), ["reload"])).collect();
    world.bridge.signal("HUP");
    for running in asked {
        assert_reloaded(&running.wait());
    }
    world.bridge.wait_for_logged("configuration reloaded", 5);
    let reply = log_in(&world, ANN, "another").await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_without_a_running_bridge_says_so() {
    let world = World::start();
    let World { bridge, folder, .. } = world;
    assert!(bridge.terminate().0.success());
    let ended = Cli::run(folder.path(), ["reload"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("no footbridge serves from state_dir"), "{ended:?}");
    let next = Bridge::start(folder.path());
    assert_eq!(Cli::run(folder.path(), ["reload"]).status, Some(0));
    drop(next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_of_a_reload_and_of_its_end() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let world = World::with_environment(
        |config, _, _| config,
        |_| vec![("NOTIFY_SOCKET", path.to_string_lossy().into_owned())],
    );
    assert_eq!(told(&socket), "READY=1");
    for broken in [false, true] {
        if broken {
            edit(&world, "mappings.toml", |_| "nonsense".to_owned());
        }
        world.bridge.signal("HUP");
        let reloading = told(&socket);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(since.parse::<u64>().unwrap() > 0);
        assert_eq!(told(&socket), "READY=1", "broken: {broken}");
    }
}

fn told(socket: &UnixDatagram) -> String {
    let mut datagram = [0; 1024];
    let length = socket.recv(&mut datagram).unwrap();
    String::from_utf8_lossy(&datagram[..length]).trim().to_owned()
}
