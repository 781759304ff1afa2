//! The role that is the mail server: IMAP and SMTP by TLS, as Exchange Online words it, for whoever shows anything; a
//! message has as many bytes as its number says.
//!
//! It notes how each connection by TLS came to be, so that what is compared can be seen to do the same.
//!
//! The door `far` leads to IMAP by a way that takes 50 ms in each direction, and counts how often a client has to wait
//! for it. TCP's own handshake is the kernel's and neither delayed nor counted.

use std::{
    collections::BTreeSet,
    io::stdin,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{
    HandshakeKind, ServerConfig, ServerConnection,
    crypto::aws_lc_rs::Ticketer,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime,
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long the far way takes in each direction.
pub const DELAY: Duration = Duration::from_millis(50);

/// What a message is written from: lines as mail has them.
const LINES: usize = 64 * 1024 / 64;

const CAPABILITIES: &str = "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT \
                            CHILDREN IDLE NAMESPACE LITERAL+\r\n";

const EHLO: &str = "250-fake.example.com Hello [127.0.0.1]\r\n250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n\
                    250-ENHANCEDSTATUSCODES\r\n250-AUTH LOGIN PLAIN XOAUTH2\r\n250-8BITMIME\r\n250-BINARYMIME\r\n\
                    250-CHUNKING\r\n250 SMTPUTF8\r\n";

/// Where the server is.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub struct Doors {
    /// IMAP.
    pub imap: SocketAddr,
    /// SMTP.
    pub smtp: SocketAddr,
    /// IMAP, far away.
    pub far: SocketAddr,
}

/// What the server has seen since it was asked last.
#[derive(Serialize, Deserialize, Default)]
pub struct Seen {
    /// TLS handshakes that came to their end.
    pub handshakes: u32,
    /// Those of them that took an earlier session up again.
    pub resumed: u32,
    /// The ways to encrypt, each once: version, cipher suite, key exchange.
    pub ways: BTreeSet<String>,
    /// How often the client of the newest connection by the far way has waited for an answer.
    pub trips: u32,
}

type Notes = Arc<Mutex<Seen>>;

/// Serves with the certificate `upstream.pem` of a folder until nothing more is heard. Prints [`Doors`], and for every
/// line that it hears what it has [`Seen`].
pub fn run(folder: &str) {
    footbridge::net::tls::install_cryptography();
    footbridge::net::descriptors::raise(u64::MAX).unwrap();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let notes = Notes::default();
    let doors = runtime.block_on(open(Path::new(folder), &notes));
    println!("{}", serde_json::to_string(&doors).unwrap());
    for _ in stdin().lines().map_while(Result::ok) {
        let seen = std::mem::take(&mut *notes.lock().unwrap());
        println!("{}", serde_json::to_string(&seen).unwrap());
    }
    runtime.shutdown_background();
}

/// Opens for business.
async fn open(folder: &Path, notes: &Notes) -> Doors {
    let tls = acceptor(folder);
    let [imap, smtp, far] = [listener().await, listener().await, listener().await];
    let [imap_addr, smtp_addr, far_addr] = [&imap, &smtp, &far].map(|door| door.local_addr().unwrap());
    let doors = Doors { imap: imap_addr, smtp: smtp_addr, far: far_addr };
    tokio::spawn(accept(imap, tls.clone(), Arc::clone(notes), speak_imap));
    tokio::spawn(accept(smtp, tls, Arc::clone(notes), speak_smtp));
    tokio::spawn(accept_far(far, imap_addr, Arc::clone(notes)));
    doors
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("upstream.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("upstream.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let mut config = config.unwrap();
    // Many thousands come, and each is to be known again.
    config.ticketer = Ticketer::new().unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

async fn accept<F>(door: TcpListener, tls: TlsAcceptor, notes: Notes, speak: fn(TlsStream<TcpStream>) -> F)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    while let Ok((stream, _)) = door.accept().await {
        stream.set_nodelay(true).unwrap();
        let (tls, notes) = (tls.clone(), Arc::clone(&notes));
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                notes.lock().unwrap().note(stream.get_ref().1);
                // Who leaves in the middle has what it came for.
                let _ = speak(stream).await;
            }
        });
    }
}

impl Seen {
    fn note(&mut self, line: &ServerConnection) {
        self.handshakes += 1;
        self.resumed += u32::from(line.handshake_kind() == Some(HandshakeKind::Resumed));
        let version = line.protocol_version().map(|version| format!("{version:?}"));
        let suite = line.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let exchange = line.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        let way: Vec<String> = [version, suite, exchange].into_iter().flatten().collect();
        self.ways.insert(way.join(" "));
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

async fn speak_imap(stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(1024, stream);
    say(&mut stream, "* OK The Microsoft Exchange IMAP4 service is ready.\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (tag, command) = (words.next().unwrap_or("*"), words.next().unwrap_or_default());
        let done = format!("{tag} OK {command} completed.\r\n");
        match command {
            "CAPABILITY" => say(&mut stream, &format!("{CAPABILITIES}{done}")).await?,
            "FETCH" => {
                let bytes = words.next().and_then(|number| number.parse().ok()).unwrap_or(0);
                send_message(&mut stream, bytes, &done).await?;
            }
            _ => say(&mut stream, &done).await?,
        }
    }
}

/// Sends a message of so many bytes, and that it was all.
async fn send_message(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: usize,
    done: &str,
) -> std::io::Result<()> {
    let text = format!("{}\r\n", "x".repeat(62)).repeat(LINES);
    say(stream, &format!("* {bytes} FETCH (BODY[] {{{bytes}}}\r\n")).await?;
    let mut left = bytes;
    while left > 0 {
        let some = left.min(text.len());
        stream.write_all(&text.as_bytes()[..some]).await?;
        left -= some;
    }
    say(stream, &format!(")\r\n{done}")).await
}

async fn speak_smtp(stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(8192, stream);
    say(&mut stream, "220 fake.example.com Microsoft ESMTP MAIL Service ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default() {
            "EHLO" => say(&mut stream, EHLO).await?,
            "AUTH" => {
                // Without an initial response it is asked for.
                if line.split_whitespace().count() < 3 {
                    say(&mut stream, "334 \r\n").await?;
                    stream.read_line(&mut line).await?;
                }
                say(&mut stream, "235 2.7.0 Authentication successful\r\n").await?;
            }
            "DATA" => {
                say(&mut stream, "354 Start mail input; end with <CRLF>.<CRLF>\r\n").await?;
                skip_message(&mut stream).await?;
                say(&mut stream, "250 2.0.0 OK Queued mail for delivery\r\n").await?;
            }
            _ => say(&mut stream, "250 2.1.0 OK\r\n").await?,
        }
    }
}

async fn skip_message(stream: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while line != b".\r\n" {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn accept_far(door: TcpListener, near: SocketAddr, notes: Notes) {
    while let Ok((client, _)) = door.accept().await {
        let server = TcpStream::connect(near).await.unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        notes.lock().unwrap().trips = 0;
        // What a client says before it has heard anything new belongs to what it said before.
        let waiting = Arc::new(AtomicBool::new(false));
        let (said, heard, notes) = (Arc::clone(&waiting), waiting, Arc::clone(&notes));
        // One comes at a time.
        let count = move || {
            if !said.swap(true, Ordering::Relaxed) {
                notes.lock().unwrap().trips += 1;
            }
        };
        tokio::spawn(carry(from_client, to_server, count, || ()));
        tokio::spawn(carry(from_server, to_client, || (), move || heard.store(false, Ordering::Relaxed)));
    }
}

/// Carries bytes one way, each as long as the way takes.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, came: impl Fn(), arrived: impl Fn()) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let setting_out = async move {
        let mut scratch = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut scratch).await {
            came();
            let _ = sender.send((Instant::now() + DELAY, scratch[..read].to_vec()));
        }
    };
    let arriving = async move {
        while let Some((when, bytes)) = under_way.recv().await {
            sleep_until(when).await;
            arrived();
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(setting_out, arriving);
}
