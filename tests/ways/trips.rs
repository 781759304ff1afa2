//! How often a login waits for the mail server: as often as protocols force it to, and no more.
//!
//! Far away each time costs as much as everything else together. TCP's own handshake is the system's, and not counted.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::harness::{
    authority::{APP, Answer},
    config::{Config, Upstream},
    door::Door,
    exchange::Exchange,
    world::{ANN, PASSWORD, World},
};

/// The turns of each connection so far: how often its client has said something since it had heard something new.
type Turns = Arc<Mutex<Vec<usize>>>;

/// A bridge whose mail server is reached by doors at which turns are counted.
struct Counted {
    world: World,
    turns: Turns,
    _exchange: Exchange,
    _doors: Vec<Door>,
}

impl Counted {
    fn start(starttls: bool) -> Self {
        let (turns, mut doors, mut opened) = (Turns::default(), Vec::new(), None);
        let world = World::built(|certs, authority, _| {
            // A ticket behind the handshake would be something new that nobody waits for.
            let exchange = Exchange::start_with(certs.leaf().acceptor_without_tickets(), authority);
            exchange.mailboxes().create(ANN);
            let [imap, smtp, pop3] = ["imap", "smtp", "pop3"].map(|protocol| {
                let (addr, tls) = exchange.endpoint(protocol, starttls);
                let turns = Arc::clone(&turns);
                let door = Door::open(move |stream, _| count(stream, addr, Arc::clone(&turns)));
                let upstream: Upstream = (door.addr(), tls);
                doors.push(door);
                upstream
            });
            opened = Some(exchange);
            Config::empty().app("counted", authority, imap, smtp).pop3(pop3).account(ANN, PASSWORD)
        });
        Self { world, turns, _exchange: opened.expect("it was opened"), _doors: doors }
    }

    /// The turns of one login.
    async fn of(&self, protocol: &str) -> usize {
        let client = match protocol {
            "imap" => self.world.imap(ANN).await,
            "smtp" => self.world.smtp(ANN).await,
            _ => self.world.pop3(ANN).await,
        };
        let turns = *self.turns.lock().unwrap().last().expect("the mail server was dialled");
        drop(client);
        turns
    }
}

async fn count(client: TcpStream, addr: SocketAddr, turns: Turns) {
    let server = TcpStream::connect(addr).await.unwrap();
    server.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let number = {
        let mut turns = turns.lock().unwrap();
        turns.push(0);
        turns.len() - 1
    };
    let waits = AtomicBool::new(false);
    let said = || {
        if !waits.swap(true, Ordering::SeqCst) {
            turns.lock().unwrap()[number] += 1;
        }
    };
    let heard = || waits.store(false, Ordering::SeqCst);
    tokio::join!(carry(from_client, to_server, said), carry(from_server, to_client, heard));
}

/// Carries bytes one way; `seen` is told before the other side has them.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: impl Fn()) {
    let mut scratch = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut scratch).await {
        seen();
        if to.write_all(&scratch[..read]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Two turns are TLS 1.3's own: its hello, and its Finished, behind which the greeting comes. The others are commands: for
/// IMAP AUTHENTICATE with its response, and CAPABILITY before and behind it for whom the bridge does not know yet; for
/// SMTP EHLO, AUTH and its response; for POP3 AUTH and its response. Each of those is too long for the line of its command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_implicit_tls_waits_only_where_it_must() {
    let counted = Counted::start(false);
    assert_eq!([counted.of("imap").await, counted.of("imap").await], [5, 3], "IMAP");
    assert_eq!([counted.of("smtp").await, counted.of("smtp").await], [5, 5], "SMTP");
    assert_eq!([counted.of("pop3").await, counted.of("pop3").await], [4, 4], "POP3");
}

/// The response of a short token goes along with AUTH.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_with_a_short_token_waits_once_less() {
    let counted = Counted::start(false);
    let authority = &counted.world.authority;
    authority.always(Answer::Token(authority.issuer().mint_short(APP.0, APP.1)));
    assert_eq!([counted.of("smtp").await, counted.of("smtp").await], [4, 4], "SMTP");
}

/// STARTTLS is one turn more, and for SMTP another EHLO; but then no greeting is waited for, and the first command goes along
/// with TLS's Finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_starttls_waits_only_where_it_must() {
    let counted = Counted::start(true);
    assert_eq!([counted.of("imap").await, counted.of("imap").await], [5, 3], "IMAP");
    assert_eq!([counted.of("smtp").await, counted.of("smtp").await], [6, 6], "SMTP");
    assert_eq!([counted.of("pop3").await, counted.of("pop3").await], [4, 4], "POP3");
}
