//! A bare mail program: sends what it is told and compares what comes back.

use std::net::SocketAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{PATIENCE, pattern, wire::Wire};

/// A connection to the bridge, or to a server in its stead.
pub struct Client {
    wire: Wire,
}

impl Client {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::on(TcpStream::connect(addr).await.unwrap())
    }

    /// On a connection that was made elsewhere.
    pub fn on(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { wire: Wire::new(stream) }
    }

    /// Connects and encrypts at once.
    pub async fn connect_tls(addr: SocketAddr, connector: &TlsConnector) -> Self {
        Self::connect(addr).await.start_tls(connector).await
    }

    /// Encrypts the line.
    pub async fn start_tls(self, connector: &TlsConnector) -> Self {
        Self { wire: self.wire.connect_tls(connector).await.unwrap() }
    }

    /// Sends one line, adding its line end.
    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n")).await;
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes).await.unwrap();
    }

    /// The next line without its line end.
    pub async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.wire.line()).await.expect("a line came in time").unwrap();
        String::from_utf8_lossy(&line.expect("a line came before the end")).into_owned()
    }

    /// The next line, which must match: `{…}` stands for anything.
    pub async fn expect(&mut self, wanted: &str) -> String {
        let line = self.line().await;
        assert!(pattern::matches(wanted.as_bytes(), line.as_bytes()), "wanted {wanted}\n   got {line}");
        line
    }

    /// Reads on to the first line that matches and returns all, that one included.
    pub async fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let found = pattern::matches(wanted.as_bytes(), line.as_bytes());
            lines.push(line);
            if found {
                return lines;
            }
        }
    }

    /// Exactly so many bytes.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        timeout(PATIENCE, self.wire.exactly(count)).await.expect("the bytes came in time").unwrap()
    }

    /// Waits for the end of the connection, before which nothing more may come.
    pub async fn expect_end(&mut self) {
        let line = timeout(PATIENCE, self.wire.line()).await.expect("the connection ended in time");
        // A connection that is reset has ended, too.
        let line = line.unwrap_or_default().map(|line| String::from_utf8_lossy(&line).into_owned());
        assert_eq!(line, None, "nothing comes before the end");
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        self.wire.finish().await.unwrap();
    }

    /// IMAP: reads the greeting, logs in and returns the tagged reply.
    pub async fn imap_login(&mut self, login: &str, password: &str) -> String {
        self.expect("* OK {…}").await;
        self.say(&format!("in LOGIN \"{login}\" \"{password}\"")).await;
        self.until("in {…}").await.pop().unwrap()
    }

    /// IMAP: as [`Client::imap_login`], for a login that ends the connection.
    pub async fn imap_login_refused(&mut self, login: &str, password: &str) -> String {
        self.expect("* OK {…}").await;
        self.say(&format!("in LOGIN \"{login}\" \"{password}\"")).await;
        self.line().await
    }

    /// POP3: reads the greeting, logs in and returns the reply to the password.
    pub async fn pop3_login(&mut self, login: &str, password: &str) -> String {
        self.expect("+OK {…}").await;
        self.say(&format!("USER {login}")).await;
        self.expect("+OK {…}").await;
        self.say(&format!("PASS {password}")).await;
        self.line().await
    }

    /// SMTP: reads the greeting, says EHLO, logs in and returns the reply.
    pub async fn smtp_login(&mut self, login: &str, password: &str) -> String {
        self.expect("220 {…}").await;
        self.say("EHLO client.test").await;
        self.until("250 {…}").await;
        self.say(&format!("AUTH PLAIN {}", plain("", login, password))).await;
        self.line().await
    }
}

/// The message of SASL PLAIN in base64.
pub fn plain(authzid: &str, login: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{authzid}\0{login}\0{password}"))
}

/// The response of XOAUTH2 in base64.
pub fn xoauth2(user: &str, access_token: &str) -> String {
    BASE64_STANDARD.encode(format!("user={user}\x01auth=Bearer {access_token}\x01\x01"))
}
