//! A connection read line by line, which can be encrypted half way.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{HandshakeKind, pki_types::ServerName},
};

/// A line longer than this is a broken test, not a message.
const LONGEST: usize = 64 * 1024 * 1024;

/// A stream of bytes in both directions, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection with what was read from it and not yet taken.
pub struct Wire {
    stream: Box<dyn Duplex>,
    input: BytesMut,
}

impl Wire {
    /// Takes a connection.
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), input: BytesMut::new() }
    }

    /// Takes one line without its line end; `None` where the other side has ended.
    pub async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.raw_line().await?;
        Ok(line.map(|mut line| {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
            line
        }))
    }

    /// Takes one line with its line end; `None` where the other side has ended.
    pub async fn raw_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.input.split_to(end + 1).to_vec()));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes exactly `count` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where the other side ends before.
    pub async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.input.split_to(count).to_vec())
    }

    /// Reads once more and returns how many bytes came; 0 is the end.
    pub async fn fill(&mut self) -> io::Result<usize> {
        if self.input.len() > LONGEST {
            return Err(io::Error::other("too much to read"));
        }
        match self.stream.read_buf(&mut self.input).await {
            // A peer that closes without TLS's own goodbye has closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// What was read and not yet taken.
    pub fn waiting(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Says that nothing more will be sent; reading goes on.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the connection as a careful server does: what is unread when a socket is closed resets it, and a reset
    /// destroys what the other side has not read yet.
    pub async fn part(mut self) -> io::Result<()> {
        self.finish().await?;
        while self.fill().await? > 0 {
            self.input.clear();
        }
        Ok(())
    }

    /// Encrypts the line as the side that has the certificate.
    pub async fn accept_tls(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        Ok(self.shake_hands(acceptor).await?.0)
    }

    /// As [`Wire::accept_tls`]; says whether the handshake was a full one, or that of a resumed session.
    pub async fn shake_hands(self, acceptor: &TlsAcceptor) -> io::Result<(Self, HandshakeKind)> {
        let stream = acceptor.accept(self.stream).await?;
        let kind = stream.get_ref().1.handshake_kind().expect("it is over");
        Ok((Self::new(stream), kind))
    }

    /// Encrypts the line as the side that checks the certificate, which must be for `localhost`.
    pub async fn connect_tls(self, connector: &TlsConnector) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        Ok(Self::new(connector.connect(name, self.stream).await?))
    }
}
