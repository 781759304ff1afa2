//! A proxy between the bridge and the pretend ends: SOCKS5 or HTTP CONNECT, obliging or not.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
};

use super::door::Door;

/// The user and the password that a proxy may ask for.
pub const CREDENTIALS: (&str, &str) = ("footbridge", "s3cret of the proxy");

/// How a proxy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Socks5,
    Http,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Socks5, Self::Http];
}

/// How the proxy treats those who want to connect to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// A reply of SOCKS (RFC 1928 §6) or a status of HTTP.
    Refuse(u16),
    /// Waits for what the upstream says first, and sends it in one packet with its own consent.
    Glue,
    /// Breaks off when it has carried the client's first bytes.
    Die,
    /// Says nothing.
    Hang,
}

/// A running proxy, ended when it is dropped.
pub struct Proxy {
    kind: Kind,
    pub door: Door,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<String>>,
    credentials: bool,
    treatments: Mutex<HashMap<u16, Treatment>>,
}

impl Proxy {
    /// A proxy for everybody.
    pub fn start(kind: Kind) -> Self {
        Self::with(kind, false)
    }

    /// A proxy for those who show [`CREDENTIALS`].
    pub fn guarded(kind: Kind) -> Self {
        Self::with(kind, true)
    }

    fn with(kind: Kind, credentials: bool) -> Self {
        let shared = Arc::new(Shared { credentials, ..Shared::default() });
        let serving = Arc::clone(&shared);
        let door = Door::open(move |stream, _| {
            let shared = Arc::clone(&serving);
            async move {
                let _: io::Result<()> = match kind {
                    Kind::Socks5 => socks(stream, &shared).await,
                    Kind::Http => connect(stream, &shared).await,
                };
            }
        });
        Self { kind, door, shared }
    }

    /// Its URL without credentials, as it is shown to people.
    pub fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Socks5 => "socks5",
            Kind::Http => "http",
        };
        format!("{scheme}://{}", self.door.addr())
    }

    /// Its URL with credentials.
    pub fn url_with(&self, (user, password): (&str, &str)) -> String {
        let password = password.replace(' ', "%20");
        self.url().replace("://", &format!("://{user}:{password}@"))
    }

    /// The targets that it was asked for so far: `localhost:993`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Treats those from now on who want to connect to a port.
    pub fn treat(&self, port: u16, treatment: Treatment) {
        self.shared.treatments.lock().unwrap().insert(port, treatment);
    }

    /// Treats those as everybody else.
    pub fn forgive(&self, port: u16) {
        self.shared.treatments.lock().unwrap().remove(&port);
    }
}

impl Shared {
    /// Notes who is wanted, and says how to treat that.
    fn treatment(&self, host: &str, port: u16) -> Option<Treatment> {
        self.asked.lock().unwrap().push(format!("{host}:{port}"));
        self.treatments.lock().unwrap().get(&port).copied()
    }
}

async fn socks(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let methods = [stream.read_u8().await?, stream.read_u8().await?];
    let mut offered = vec![0; methods[1].into()];
    stream.read_exact(&mut offered).await?;
    let method = if shared.credentials { 2 } else { 0 };
    if !offered.contains(&method) {
        return stream.write_all(b"\x05\xff").await;
    }
    stream.write_all(&[5, method]).await?;
    if shared.credentials {
        let _version = stream.read_u8().await?;
        let shown = (text(&mut stream).await?, text(&mut stream).await?);
        let good = (shown.0.as_str(), shown.1.as_str()) == CREDENTIALS;
        stream.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(());
        }
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 3], "a connection to a name is asked for");
    let (host, port) = (text(&mut stream).await?, stream.read_u16().await?);
    let consent = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let refusal = |code: u16| vec![5, u8::try_from(code).unwrap(), 0, 1, 0, 0, 0, 0, 0, 0];
    carry(stream, (&host, port), consent, refusal, shared).await
}

async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn connect(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let (user, password) = CREDENTIALS;
    let proof = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let lower = head.to_lowercase();
    let shown = lower.contains("proxy-authorization: basic ") && head.contains(&proof);
    if shared.credentials && !shown {
        let reply = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
        return stream.write_all(reply.as_bytes()).await;
    }
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
    let (host, port) = target.rsplit_once(':').unwrap();
    let consent = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let refusal = |status: u16| format!("HTTP/1.1 {status} No\r\n\r\n").into_bytes();
    carry(stream, (host, port.parse().unwrap()), consent, refusal, shared).await
}

async fn carry(
    mut stream: TcpStream,
    (host, port): (&str, u16),
    consent: &[u8],
    refusal: impl Fn(u16) -> Vec<u8>,
    shared: &Shared,
) -> io::Result<()> {
    let treatment = shared.treatment(host, port);
    match treatment {
        Some(Treatment::Refuse(code)) => return stream.write_all(&refusal(code)).await,
        Some(Treatment::Hang) => return std::future::pending().await,
        Some(Treatment::Glue | Treatment::Die) | None => (),
    }
    let mut upstream = TcpStream::connect((host, port)).await?;
    let mut reply = consent.to_vec();
    if treatment == Some(Treatment::Glue) {
        let mut first = vec![0; 4096];
        let read = upstream.read(&mut first).await?;
        reply.extend_from_slice(&first[..read]);
    }
    stream.write_all(&reply).await?;
    if treatment == Some(Treatment::Die) {
        let mut first = vec![0; 4096];
        let read = stream.read(&mut first).await?;
        return upstream.write_all(&first[..read]).await;
    }
    copy_bidirectional(&mut stream, &mut upstream).await?;
    Ok(())
}
