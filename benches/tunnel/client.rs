//! A mail program that knows as much as a measurement takes: to log in, to fetch, to send.

use std::{
    io::{Error, Result},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What a line is read through: small, because thousands are held.
const BUFFER: usize = 512;

/// What a message is read through.
const SCRATCH: usize = 64 * 1024;

/// A line, in clear or encrypted.
trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<L: AsyncRead + AsyncWrite + Unpin + Send> Line for L {}

/// Where a program connects to, and how.
#[derive(Clone)]
pub struct Door {
    addr: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Door {
    /// In clear, or by TLS where the file with the trust anchor is named.
    pub fn new(addr: SocketAddr, ca: Option<&Path>) -> Self {
        Self { addr, tls: ca.map(connector) }
    }

    /// A program that has connected and read nothing.
    pub async fn connect(&self) -> Result<Client> {
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        let line: Box<dyn Line> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(tls.connect(name, stream).await?)
            }
        };
        Ok(Client { stream: BufReader::with_capacity(BUFFER, line), line: Vec::new() })
    }
}

fn connector(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A mail program and its connection.
pub struct Client {
    stream: BufReader<Box<dyn Line>>,
    line: Vec<u8>,
}

impl Client {
    /// Logs in by IMAP's LOGIN, from the greeting to the tagged OK.
    pub async fn imap_login(&mut self, user: &str, password: &str) -> Result<()> {
        self.read_line().await?;
        self.say(&format!("a LOGIN {user} {password}\r\n")).await?;
        while !self.read_line().await?.starts_with(b"a ") {}
        self.must_begin("a OK ")
    }

    /// Fetches a message of so many bytes and forgets it.
    pub async fn fetch(&mut self, bytes: u64) -> Result<()> {
        self.say(&format!("f FETCH {bytes} BODY[]\r\n")).await?;
        self.read_line().await?;
        self.must_begin("* ")?;
        let mut scratch = vec![0; SCRATCH];
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(SCRATCH).min(SCRATCH);
            let read = self.stream.read(&mut scratch[..most]).await?;
            if read == 0 {
                return Err(Error::other(format!("the connection ended {left} bytes early")));
            }
            left -= read as u64;
        }
        self.read_line().await?;
        self.must_begin(")")?;
        self.read_line().await?;
        self.must_begin("f OK ")
    }

    /// Logs in by SMTP's AUTH PLAIN, from the greeting to the 235.
    pub async fn smtp_login(&mut self, user: &str, password: &str) -> Result<()> {
        self.smtp_reply("220").await?;
        self.say("EHLO measurement.example.com\r\n").await?;
        self.smtp_reply("250").await?;
        let response = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {response}\r\n")).await?;
        self.smtp_reply("235").await
    }

    /// Hands in a message, a command after the other, as old programs do.
    pub async fn send(&mut self, user: &str, message: &str) -> Result<()> {
        for (command, reply) in [
            (format!("MAIL FROM:<{user}>\r\n").as_str(), "250"),
            ("RCPT TO:<somebody@example.com>\r\n", "250"),
            ("DATA\r\n", "354"),
            (message, "250"),
        ] {
            self.say(command).await?;
            self.smtp_reply(reply).await?;
        }
        Ok(())
    }

    async fn smtp_reply(&mut self, code: &str) -> Result<()> {
        while self.read_line().await?.get(3) == Some(&b'-') {}
        self.must_begin(code)
    }

    async fn say(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn read_line(&mut self) -> Result<&[u8]> {
        self.line.clear();
        self.stream.read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Err(Error::other("the connection ended"));
        }
        Ok(&self.line)
    }

    fn must_begin(&self, with: &str) -> Result<()> {
        if self.line.starts_with(with.as_bytes()) {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&self.line);
        Err(Error::other(format!("{:?} in the place of {with:?}", line.trim_end())))
    }
}
