//! A line that is logged in, as mail libraries want to find it.
//!
//! The login is the bridge's own dialogue, so that it is what `serve` would do, to the letter. async-imap and lettre take
//! the line over behind it; both insist on a beginning that has been, which is played to them here: async-imap sends a
//! login, lettre reads a greeting and sends an EHLO, which after a login not every server expects.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::conn::{Conn, Stream};

/// The most that a server may say to an examination, in bytes: some lines, and whatever notices it has.
const MOST: usize = 4 * 1024 * 1024;

/// How much of the server's last words is kept for an explanation.
const KEPT: usize = 2048;

/// The line.
#[derive(Debug)]
pub(super) struct Handover {
    stream: Stream,
    /// What is read before anything of the stream.
    prelude: BytesMut,
    /// The first line that is written goes nowhere: what of it was written, and what answers it.
    swallowed: Option<(Vec<u8>, Answer)>,
    read: usize,
    heard: Heard,
}

/// What answers the first line.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its first word, which is its tag, and this.
    Tagged(&'static str),
    /// This.
    Plain(String),
}

/// The server's last words.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// The last whole line.
    pub(super) fn last_line(&self) -> String {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&heard);
        text.trim_end().rsplit('\n').next().unwrap_or_default().trim().to_owned()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(bytes);
        let excess = heard.len().saturating_sub(KEPT);
        heard.drain(..excess);
    }
}

impl Handover {
    /// Takes a line over from its login. The library reads the greeting, empty where it does not want one; its first
    /// line is answered here.
    pub(super) fn new(conn: Conn, greeting: &str, answer: Answer) -> Self {
        let (stream, early) = conn.into_parts();
        let mut prelude = BytesMut::from(greeting);
        prelude.extend_from_slice(&early);
        let swallowed = Some((Vec::new(), answer));
        Self { stream, prelude, swallowed, read: 0, heard: Heard::default() }
    }

    /// The server's last words, from here on.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Takes what is written of the first line; how much that is.
    fn swallow(&mut self, bytes: &[u8]) -> Option<usize> {
        let (line, answer) = self.swallowed.as_mut()?;
        let end = bytes.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        line.extend_from_slice(&bytes[..taken]);
        if end.is_some() {
            match answer {
                Answer::Tagged(answer) => {
                    let tag = line.split(|&byte| byte == b' ').next().unwrap_or_default();
                    self.prelude.extend_from_slice(tag);
                    self.prelude.extend_from_slice(answer.as_bytes());
                }
                Answer::Plain(answer) => self.prelude.extend_from_slice(answer.as_bytes()),
            }
            self.swallowed = None;
        }
        Some(taken)
    }
}

impl AsyncRead for Handover {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.prelude.is_empty() {
            let most = this.prelude.len().min(buf.remaining());
            buf.put_slice(&this.prelude[..most]);
            this.prelude.advance(most);
            return Poll::Ready(Ok(()));
        }
        if this.read >= MOST {
            return Poll::Ready(Err(io::Error::other(format!("it says more than {MOST} bytes"))));
        }
        let before = buf.filled().len();
        match ready!(Pin::new(&mut this.stream).poll_read(cx, buf)) {
            // A peer that closes TCP without TLS's own goodbye has ended all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
            Ok(()) => (),
        }
        let news = &buf.filled()[before..];
        this.read += news.len();
        this.heard.keep(news);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Handover {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.swallow(bytes) {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut this.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Handover {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A connection, as it is before a login, and the server's end of it.
    async fn line(early: &str) -> (Conn, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut conn = Conn::new(Stream::Plain(client));
        conn.input.extend_from_slice(early.as_bytes());
        (conn, listener.accept().await.unwrap().0)
    }

    async fn read(line: &mut Handover, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        line.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_first_command_is_answered_here_however_it_is_cut_and_the_next_goes_out() {
        let (conn, mut server) = line("* OK early\r\n").await;
        let mut line = Handover::new(conn, "", Answer::Tagged(" OK logged in\r\n"));
        for piece in ["A00", "01 LOGIN - -\r", "\nA0002 NO", "OP\r\n"] {
            line.write_all(piece.as_bytes()).await.unwrap();
        }
        let mut heard = [0; 12];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"A0002 NOOP\r\n");
        server.write_all(b"* 1 EXISTS\r\nA0002 OK done\r\n").await.unwrap();
        read(&mut line, "* OK early\r\nA0001 OK logged in\r\n* 1 EXISTS\r\nA0002 OK done\r\n").await;
        assert_eq!(line.heard().last_line(), "A0002 OK done");
    }

    #[tokio::test]
    async fn a_greeting_that_has_been_is_said_again_and_an_ehlo_is_not() {
        let (conn, mut server) = line("").await;
        let ehlo = Answer::Plain("250 localhost\r\n".to_owned());
        let mut line = Handover::new(conn, "220 logged in\r\n", ehlo);
        read(&mut line, "220 logged in\r\n").await;
        line.write_all(b"EHLO localhost\r\n").await.unwrap();
        read(&mut line, "250 localhost\r\n").await;
        line.write_all(b"NOOP\r\n").await.unwrap();
        let mut heard = [0; 6];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"NOOP\r\n");
    }

    #[tokio::test]
    async fn a_server_that_does_not_stop_talking_is_not_listened_to_for_ever() {
        let (conn, mut server) = line("").await;
        let mut line = Handover::new(conn, "", Answer::Plain(String::new()));
        let talking = async move { while server.write_all(&[b'x'; 4096]).await.is_ok() {} };
        let listening = async move { line.read_to_end(&mut Vec::new()).await };
        let (heard, ()) = tokio::join!(listening, talking);
        assert!(heard.unwrap_err().to_string().contains("more than"));
    }
}
