//! What a thousand clients that mean ill cost the bridge, in memory and in processor time.
//!
//! `cargo bench --bench hostile [CONNECTIONS]`, on Linux. A measurement and not a test: it fails where the
//! bridge does not survive, and judges no figure.

#![allow(clippy::unwrap_used, reason = "a measurement that breaks has nothing to measure")]
#![allow(clippy::disallowed_methods, reason = "time is what it measures")]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::time::{Duration, Instant};

use harness::{
    bridge::Bridge,
    world::{ANN, World},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Connections at the same time where nobody says otherwise.
const CONNECTIONS: usize = 1000;

/// How long they are held before a figure is taken.
const HELD: Duration = Duration::from_secs(10);

/// A way to mean ill: what it is, in which protocol, and what is sent first.
type Kind = (&'static str, &'static str, fn() -> Vec<u8>);

const KINDS: [Kind; 7] = [
    ("half a line of 15 KB", "imap", || b"x".repeat(15_000)),
    ("half a literal", "imap", || [&b"a LOGIN {8000+}\r\n"[..], &b"x".repeat(4000)].concat()),
    ("half a chunk", "smtp", || [&b"BDAT 8000\r\n"[..], &b"x".repeat(4000)].concat()),
    ("a byte a second", "smtp", Vec::new),
    ("replies that nobody reads", "smtp", || b"EHLO somebody\r\n".repeat(90)),
    ("half a TLS hello", "pop3", || b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ("wrong passwords", "imap", || format!("a LOGIN {ANN} wrong\r\n").into_bytes()),
];

/// The last of them.
const GUESSING: usize = KINDS.len() - 1;

#[tokio::main]
async fn main() {
    let connections = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(CONNECTIONS);
    let world =
        World::with(|config, _, _| config.encrypted("pop3", "implicit", "").limit("login_timeout = \"1h\""));
    let idle = Figures::of(&world.bridge);
    println!("idle: {idle}");
    let mut strangers = JoinSet::new();
    // Who guesses makes the bridge hash, which takes 19 MiB for each core: told by itself.
    let (guessing, others): (Vec<_>, Vec<_>) =
        (0..connections).map(|number| number % KINDS.len()).partition(|kind| *kind == GUESSING);
    for (what, kinds) in [("without guesses", others), ("with guesses", guessing)] {
        for kind in kinds {
            let (_, protocol, first) = KINDS[kind];
            let stream = TcpStream::connect(world.bridge.addr(protocol)).await.unwrap();
            strangers.spawn(annoy(stream, kind, first()));
        }
        sleep(HELD).await;
        let busy = Figures::of(&world.bridge);
        println!("{} connections, {what}: {busy}", strangers.len());
        let more = busy.peak.saturating_sub(idle.peak);
        println!("  at most {more} KiB more than idle, {} KiB for each", more / strangers.len() as u64);
    }
    let began = Instant::now();
    let reply = timeout(Duration::from_mins(1), async {
        world.connect("imap").await.imap_login(ANN, harness::world::PASSWORD).await
    });
    let reply = reply.await.unwrap();
    assert!(reply.starts_with("in OK "), "a good login meanwhile: {reply}");
    println!("a good login meanwhile: {:?}; {}", began.elapsed(), Figures::of(&world.bridge));
    strangers.shutdown().await;
    let began = Instant::now();
    world.bridge.wait_for_logged("session closed", connections + 1);
    println!("after all have left, for {:?}: {}", began.elapsed(), Figures::of(&world.bridge));
}

/// Holds a connection as long as it lives, in one of the ways.
async fn annoy(mut stream: TcpStream, kind: usize, first: Vec<u8>) {
    let _ = stream.write_all(&first).await;
    let mut reply = [0; 512];
    match KINDS[kind].0 {
        "a byte a second" => {
            while stream.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        }
        "wrong passwords" => {
            while let Ok(1..) = stream.read(&mut reply).await {
                let _ = stream.write_all(&first).await;
            }
        }
        _ => std::future::pending().await,
    }
}

/// What the system says of the bridge.
struct Figures {
    /// Largest resident memory so far, in KiB.
    peak: u64,
    /// Resident memory, in KiB.
    resident: u64,
    /// Processor time, in hundredths of a second.
    ticks: u64,
}

impl Figures {
    fn of(bridge: &Bridge) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", bridge.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
        Self { peak: field("VmHWM:"), resident: field("VmRSS:"), ticks: ticks(11) + ticks(12) }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (peak, resident) = (self.peak, self.resident);
        let seconds = std::time::Duration::from_millis(self.ticks * 10);
        write!(f, "{resident} KiB resident, {peak} KiB at most, {seconds:?} of processor time")
    }
}
