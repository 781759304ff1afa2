//! Clients that mean ill, or nothing: what they cost, and what they are told.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod harness;

use std::time::Duration;

use harness::{
    PATIENCE,
    authority::Authority,
    bridge::Bridge,
    certs::Certs,
    door::Door,
    wire::Wire,
    world::{ANN, PASSWORD, World},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

/// The largest resident memory so far, in KiB.
#[cfg(target_os = "linux")]
fn peak(bridge: &Bridge) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The processor time used so far, in hundredths of a second.
#[cfg(target_os = "linux")]
fn ticks(bridge: &Bridge) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bridge.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Sends as much as is taken, reads until the end, and returns what was said.
async fn flood(world: &World, protocol: &str, piece: &[u8], times: usize) -> String {
    let stream = TcpStream::connect(world.bridge.addr(protocol)).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let sending = async {
        for _ in 0..times {
            if to.write_all(piece).await.is_err() {
                break;
            }
        }
    };
    let listening = async {
        let mut said = Vec::new();
        // Whoever floods is reset in the end; what came before is there.
        let _ = from.read_to_end(&mut said).await;
        String::from_utf8(said).unwrap()
    };
    let both = async { tokio::join!(sending, listening).1 };
    timeout(PATIENCE, both).await.expect("the connection ended in time")
}

/// How the only session so far has ended.
fn interrupted(world: &World) -> Value {
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert!(closed[0]["session.ms"].as_u64().unwrap() < 10_000, "{closed:?}");
    closed[0]["interrupted"].clone()
}

fn nothing_left_the_machine(world: &World) {
    assert_eq!(world.exchange.connections(), 0, "nobody was dialled");
    assert_eq!(world.authority.requests().get(), 0, "nobody was asked for a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_ports_is_a_line_in_the_log_and_nothing_else() {
    let world = World::with_pop3();
    for protocol in ["imap", "smtp", "pop3"].repeat(20) {
        drop(world.connect(protocol).await);
    }
    for line in world.bridge.wait_for_logged("session closed", 60) {
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["session.ms"].as_u64().unwrap() < 10_000, "{line}");
    }
    nothing_left_the_machine(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_without_an_end_is_cut_off_at_the_ceiling() {
    let megabyte = vec![b'x'; 1024 * 1024];
    for (protocol, greeting, goodbye) in [
        ("imap", "* OK ", "* BYE line longer than 16384 bytes\r\n"),
        ("smtp", "220 ", "500 5.5.6 Line too long\r\n421 4.7.0 line longer than 16384 bytes\r\n"),
        ("pop3", "+OK ", "-ERR line longer than 16384 bytes\r\n"),
    ] {
        let world = World::with_pop3();
        #[cfg(target_os = "linux")]
        let before = peak(&world.bridge);
        let said = flood(&world, protocol, &megabyte, 64).await;
        assert!(said.starts_with(greeting) && said.ends_with(goodbye), "{said}");
        assert_eq!(interrupted(&world), "line_too_long");
        nothing_left_the_machine(&world);
        #[cfg(target_os = "linux")]
        assert!(peak(&world.bridge) - before < 4096, "{} KiB more", peak(&world.bridge) - before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_commands_at_once_are_answered_a_hundred_times() {
    for (protocol, command, answer, goodbye) in [
        ("imap", "a NOOP\r\n", "a OK NOOP completed\r\n", "* BYE more than 100 commands before login\r\n"),
        ("smtp", "NOOP\r\n", "250 2.0.0 OK\r\n", "421 4.7.0 more than 100 commands before login\r\n"),
        ("pop3", "USER ann\r\n", "+OK ", "-ERR more than 100 commands before login\r\n"),
    ] {
        let world = World::with_pop3();
        let said = flood(&world, protocol, command.repeat(10_000).as_bytes(), 1).await;
        assert!(said.ends_with(goodbye), "{said}");
        let greetings = usize::from(protocol == "pop3");
        assert_eq!(said.matches(answer).count() - greetings, 100);
        assert_eq!(interrupted(&world), "too_many_commands");
        nothing_left_the_machine(&world);
    }
}

/// The replies to a hundred commands fit into what the system keeps for a connection: nobody waits for the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_its_replies_is_not_waited_for() {
    let world = World::start();
    let mut stream = TcpStream::connect(world.bridge.addr("smtp")).await.unwrap();
    stream.write_all("EHLO a-client-that-does-not-listen\r\n".repeat(150).as_bytes()).await.unwrap();
    assert_eq!(interrupted(&world), "too_many_commands");
    nothing_left_the_machine(&world);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_a_byte_now_and_then_has_no_more_time_than_others() {
    for (protocol, goodbye) in
        [("imap", "* BYE no login in time\r\n"), ("smtp", "421 4.4.2 No login in time\r\n"), ("pop3", "")]
    {
        let world = World::with(|config, _, exchange| {
            config.pop3(exchange.endpoint("pop3", false)).limit("login_timeout = \"2s\"")
        });
        let stream = TcpStream::connect(world.bridge.addr(protocol)).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let trickle = async {
            while to.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let mut said = String::new();
        let listening =
            async { _ = timeout(PATIENCE, from.read_to_string(&mut said)).await.expect("an end") };
        tokio::select! { () = listening => (), () = trickle => () }
        assert!(said.ends_with(goodbye), "{said}");
        assert_eq!(interrupted(&world), "login_timed_out");
        nothing_left_the_machine(&world);
    }
}

/// How many lines an upstream says in one breath with its OK, of [`LINE`] bytes: together more than systems keep for
/// two connections.
const LINES: usize = 8192;

/// The length of such a line with its line end.
const LINE: usize = 8192;

/// A mail server that says far more than it is asked, as soon as the token is accepted. Counts what was taken.
fn talkative(certs: &Certs) -> (Door, mpsc::UnboundedReceiver<usize>) {
    let (acceptor, (taken, counted)) = (certs.acceptor(), mpsc::unbounded_channel());
    let door = Door::open(move |stream, _| {
        let (acceptor, taken) = (acceptor.clone(), taken.clone());
        async move {
            let Ok(mut wire) = Wire::new(stream).accept_tls(&acceptor).await else { return };
            wire.send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n").await.unwrap();
            let command = wire.line().await.unwrap().expect("a command");
            let tag = String::from_utf8(command).unwrap().split(' ').next().unwrap().to_owned();
            let ok = format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE] done\r\n");
            let line = format!("* OK {}\r\n", "x".repeat(LINE - 7));
            let mut piece = [ok, line.clone()].concat();
            for _ in 0..LINES {
                if wire.send(&piece).await.is_err() {
                    return;
                }
                let _ = taken.send(piece.len());
                piece.clone_from(&line);
            }
            let _ = wire.line().await;
        }
    });
    (door, counted)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_costs_no_processor_time_and_little_memory() {
    let mut upstream = None;
    let world = World::with(|config, certs, _| {
        let authority = Authority::start(certs);
        let (door, counted) = talkative(certs);
        let addr = door.addr();
        let config = config.app("flood", &authority, (addr, "implicit"), (addr, "implicit"));
        upstream = Some((authority, door, counted));
        config.account_of("flood", "flood@example.com", PASSWORD, "")
    });
    let (_authority, _door, mut counted) = upstream.expect("it was started");
    // Hashing takes its memory once, for whatever login.
    drop(world.imap(ANN).await);
    let before = peak(&world.bridge);
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.say(&format!("a LOGIN flood@example.com \"{PASSWORD}\"")).await;
    // Until nothing more is taken of what the upstream says: buffers of the system, and no more of the bridge's.
    let mut taken = 0;
    while let Ok(Some(more)) = timeout(Duration::from_secs(1), counted.recv()).await {
        taken += more;
    }
    assert!(taken < LINES * LINE, "the bridge took all {taken} bytes");
    // Pages of the program that are touched for the first time count, too.
    let grown = peak(&world.bridge) - before;
    assert!(grown < 4096, "{grown} KiB for one client that does not read");
    // Nothing happens from here on, which can only be seen by letting time pass.
    let used = ticks(&world.bridge);
    sleep(Duration::from_secs(2)).await;
    let idle = ticks(&world.bridge) - used;
    assert!(idle <= 5, "{idle} hundredths of a second of processor time in two seconds of nothing");
    // It is all there for a client that reads after all.
    client.expect("a OK {…}").await;
    for _ in 0..LINES {
        assert_eq!(client.line().await.len(), LINE - 2);
    }
}
