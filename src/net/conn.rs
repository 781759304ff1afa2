//! One connection: a stream and the bytes that were read from it and not yet understood.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use super::{
    accept::{Acceptor, HandshakeError},
    line::{ClientLine, ServerLine},
};

/// How much one read asks for before the splice: a login fits, and a capability list.
const READ: usize = 4096;

/// A TCP connection, in clear or encrypted.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Plain(TcpStream),
    /// TLS with an upstream, whose certificate was verified.
    Upstream(Box<ClientLine<TcpStream>>),
    /// TLS with a client, who was shown a certificate of ours.
    Client(Box<ServerLine<TcpStream>>),
    /// Given up in a handshake that failed.
    Closed,
}

impl Stream {
    /// The version of TLS that is spoken, as RFC 8446 writes it: `TLSv1.3`. `None` in clear.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        let version = match self {
            Self::Plain(_) | Self::Closed => return None,
            Self::Upstream(stream) => stream.agreed().protocol_version(),
            Self::Client(stream) => stream.agreed().protocol_version(),
        };
        Some(if version == Some(rustls::ProtocolVersion::TLSv1_3) { "TLSv1.3" } else { "TLSv1.2" })
    }

    /// The certificate that an upstream has shown, in DER form. `None` in clear and for clients.
    #[must_use]
    pub fn upstream_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Upstream(stream) => stream.agreed().peer_certificates()?.first().map(AsRef::as_ref),
            Self::Plain(_) | Self::Client(_) | Self::Closed => None,
        }
    }

    /// The address of the other side: the proxy's, where one is on the way.
    ///
    /// # Errors
    /// What the system says; a connection that is given up has none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Upstream(stream) => stream.io().peer_addr(),
            Self::Client(stream) => stream.io().peer_addr(),
            Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Upstream(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Client(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Upstream(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Self::Client(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Upstream(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Client(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Upstream(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Client(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

/// A stream before the splice: read into [`Conn::input`], written a reply at a time.
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    /// Bytes that were received and not yet understood.
    pub input: BytesMut,
}

impl Conn {
    /// Takes a stream of which nothing has been read.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    /// Encrypts the line as the server. What has come in clear and was not understood is dropped: it
    /// may have been put there by somebody else (RFC 3207 §4.2, RFC 3501 §6.2.1, RFC 2595 §4).
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is closed then.
    pub async fn accept_tls(&mut self, acceptor: &Acceptor) -> Result<(), HandshakeError> {
        self.input = BytesMut::new();
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return Err(HandshakeError::Failed("the line is encrypted already".to_owned()));
        };
        self.stream = Stream::Client(acceptor.accept(stream).await?);
        Ok(())
    }

    /// As [`Stream::upstream_certificate`].
    #[must_use]
    pub fn upstream_certificate(&self) -> Option<&[u8]> {
        self.stream.upstream_certificate()
    }

    /// The version of TLS that is spoken; `None` in clear.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        self.stream.tls_version()
    }

    /// Reads once, at most `most` bytes, and appends them to the input. 0 is the end of the stream.
    ///
    /// # Errors
    /// What the stream failed with.
    ///
    /// # Cancel safety
    /// Safe: a cancelled read has read nothing.
    pub async fn fill(&mut self, most: usize) -> io::Result<usize> {
        let most = most.min(READ);
        self.input.reserve(most);
        match self.stream.read_buf(&mut (&mut self.input).limit(most)).await {
            // A peer that closes TCP without TLS's own goodbye has ended all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Sends all of `out` and empties it.
    ///
    /// # Errors
    /// What the stream failed with.
    ///
    /// # Cancel safety
    /// Not safe: a part may have been sent.
    pub async fn send(&mut self, out: &mut BytesMut) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        self.stream.write_all(out).await?;
        out.clear();
        self.stream.flush().await
    }

    /// Says that nothing more will be sent, and reads what the peer still sends, for at most `time`
    /// and 64 KiB: closing a socket with unread input resets the connection, and a reset overtakes
    /// the reply that the peer has not read yet.
    pub async fn close(&mut self, time: Duration) {
        const MOST: usize = 64 * 1024;
        let drained = async {
            self.stream.shutdown().await?;
            let mut read = 0;
            while read < MOST {
                self.input.clear();
                match self.fill(READ).await? {
                    0 => break,
                    more => read += more,
                }
            }
            io::Result::Ok(())
        };
        // Whether the peer was there to the last is of no consequence.
        let _ = timeout(time, drained).await;
    }

    /// Gives up the stream and what was received early.
    #[must_use]
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }
}
