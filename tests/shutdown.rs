//! Starting and stopping as a service manager sees it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{os::unix::net::UnixDatagram, time::Duration};

use harness::{
    PATIENCE,
    authority::{Answer, Gate},
    bridge::Bridge,
    world::{ANN, BOB, PASSWORD, World},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_sends_newcomers_away_and_lets_sessions_finish() {
    ends_gently_on("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_does_the_same() {
    ends_gently_on("INT").await;
}

async fn ends_gently_on(signal: &str) {
    let world = World::with_pop3();
    let addrs = ["imap", "smtp", "pop3"].map(|protocol| world.bridge.addr(protocol));
    let mut session = world.imap(ANN).await;
    let (mut imap, mut smtp) = (world.connect("imap").await, world.connect("smtp").await);
    imap.expect("* OK {…}").await;
    smtp.expect("220 {…}").await;
    let mut pop3 = world.connect("pop3").await;
    pop3.expect("+OK {…}").await;

    world.bridge.signal(signal);
    imap.expect("* BYE {…}").await;
    imap.expect_end().await;
    smtp.expect("421 {…}").await;
    smtp.expect_end().await;
    pop3.expect("-ERR [SYS/TEMP] Service unavailable: {…}").await;
    pop3.expect_end().await;
    for addr in addrs {
        assert!(TcpStream::connect(addr).await.is_err(), "{addr} still listens");
    }

    session.say("a STATUS INBOX (MESSAGES)").await;
    session.expect("* STATUS {…}").await;
    session.expect("a OK {…}").await;
    session.say("b LOGOUT").await;
    session.expect("* BYE {…}").await;
    session.expect("b OK {…}").await;
    session.expect_end().await;
    drop(session);
    let (status, log) = world.bridge.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_does_not_finish_is_cut_when_its_grace_is_over() {
    let world = World::with(|config, _, _| config.limit("drain_grace = \"1s\""));
    let mut session = world.imap(ANN).await;
    let (status, log) = world.bridge.terminate();
    session.expect_end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let closing = log.lines().find(|line| line.contains("session closed")).unwrap();
    assert!(closing.contains("\"outcome\":\"cut\"") && closing.contains("shutting_down"), "{closing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_means_now() {
    let world = World::with(|config, _, _| config.limit("drain_grace = \"10m\""));
    let mut session = world.imap(ANN).await;
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("draining", 1);
    let (status, log) = world.bridge.terminate();
    session.expect_end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_waits_for_a_token_is_sent_away() {
    let world = World::start();
    let gate = Gate::default();
    world.authority.always(Answer::Held(gate.clone()));
    let mut imap = world.connect("imap").await;
    imap.expect("* OK {…}").await;
    imap.say(&format!("a LOGIN {ANN} \"{PASSWORD}\"")).await;
    world.authority.requests().reached(1).await;
    world.bridge.signal("TERM");
    imap.expect("* BYE {…}").await;
    imap.expect_end().await;
    gate.open();
    let (status, log) = world.bridge.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_of_the_start_and_of_the_stop() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let world = World::with_environment(
        |config, _, _| config,
        |_| vec![("NOTIFY_SOCKET", path.to_string_lossy().into_owned())],
    );
    assert_eq!(told(&socket), "READY=1");
    let (status, _) = world.bridge.terminate();
    assert_eq!(told(&socket), "STOPPING=1");
    assert!(status.success());
}

fn told(socket: &UnixDatagram) -> String {
    let mut datagram = [0; 1024];
    let length = socket.recv(&mut datagram).unwrap();
    String::from_utf8_lossy(&datagram[..length]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_bridge_on_one_state_folder_is_refused_with_the_reason() {
    let world = World::start();
    let second = Bridge::spawn(world.folder.path(), &[], &[]);
    let (status, log) = second.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("another footbridge") && log.contains("state_dir"), "{log}");
    // The first one does not mind, and the folder is free again after it.
    let session = world.smtp(BOB).await;
    world.bridge.signal("TERM");
    drop(session);
    assert!(world.bridge.wait().0.success());
    let third = Bridge::start(world.folder.path());
    assert!(third.terminate().0.success());
}

/// Nothing is left of a bridge that was killed: its lock is gone with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_bridge_does_not_lock_its_successor_out() {
    let world = World::start();
    world.bridge.signal("KILL");
    assert!(!world.bridge.wait().0.success());
    let next = Bridge::start(world.folder.path());
    assert!(next.terminate().0.success());
}

/// Bytes that a client still sends while it is sent away must not turn the goodbye into a reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_arrives_even_where_the_client_goes_on_talking() {
    let world = World::start();
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.send("a LOGIN {200000+}\r\n").await;
    client.send(vec![b'x'; 200_000]).await;
    client.expect("* BYE {…}").await;
    client.expect_end().await;
}

/// A vault may take its time, and the first process of a container gets no signal that it does not
/// ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_passwords_are_fetched_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let config = "[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n\
        [app.contoso]\nprovider = \"microsoft365\"\ntenant = \"contoso.onmicrosoft.com\"\n\
        client_id = \"22222222-2222-2222-2222-222222222222\"\nsecret = { env = \"PATH\" }\n";
    std::fs::write(folder.path().join("footbridge.toml"), format!("state_dir = \"state\"\n{config}"))
        .unwrap();
    let vault = format!("touch {}; exec sleep 9", started.display());
    let account = format!(
        "[[account]]\nlogin = \"{ANN}\"\npassword = {{ command = [\"sh\", \"-c\", \"{vault}\"] }}\n\
        app = \"contoso\"\ngrant = \"client_credentials\"\n"
    );
    std::fs::write(folder.path().join("mappings.toml"), account).unwrap();
    let bridge = Bridge::spawn(folder.path(), &[], &[]);
    let asked = async {
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the vault is asked");
    let (status, log) = bridge.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Whoever reads the log may stall; nobody's mail shall wait for that, nor the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_reader_of_the_log_holds_nobody_up() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::with(|config, _, _| config.bind("imap", &free.to_string()));
    let folder = world.folder.path();
    world.bridge.signal("TERM");
    world.bridge.wait_for_logged("stopped", 1);
    let mut bridge = std::process::Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .args(["serve", "--log", "trace", "--config"])
        .arg(folder.join("footbridge.toml"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let served = async {
        // Several pipes full of lines, of which nobody reads one.
        for _ in 0..1000 {
            let mut stream = connect(free).await;
            stream.write_all(b"a NOOP\r\nb NOOP\r\nc LOGOUT\r\n").await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert!(heard.ends_with(b"c OK LOGOUT completed\r\n"), "{}", String::from_utf8_lossy(&heard));
        }
    };
    let served = tokio::time::timeout(PATIENCE, served).await;
    let killed = std::process::Command::new("kill").arg(bridge.id().to_string()).status().unwrap();
    assert!(killed.success());
    let ended = tokio::task::spawn_blocking(move || bridge.wait());
    let status = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap().unwrap();
    assert!(served.is_ok(), "clients waited for the reader of the log");
    assert_eq!(status.code(), Some(0));
}

/// Connects as soon as somebody listens.
async fn connect(addr: std::net::SocketAddr) -> TcpStream {
    let trying = async {
        loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("somebody listens")
}
