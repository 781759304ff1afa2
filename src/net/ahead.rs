//! Reading a socket in large pieces for a TLS library that asks for small ones.
//!
//! rustls asks for 4 KiB at a time, a quarter of a record. Where more has come, the rest is kept until it asks again;
//! where it has not, which is how an idle session ends up, nothing is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::scratch::with_scratch;

/// A TCP connection, and what has been read from it before it was asked for.
#[derive(Debug)]
pub struct Ahead {
    tcp: TcpStream,
    rest: Bytes,
}

impl Ahead {
    /// Takes a connection whose next byte is the first of TLS.
    #[must_use]
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, rest: Bytes::new() }
    }

    /// The connection, for its addresses.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let some = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..some]);
        self.rest.advance(some);
        if self.rest.is_empty() {
            // Even an empty one would keep the memory.
            self.rest = Bytes::new();
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            this.take(buffer);
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let mut ahead = ReadBuf::new(scratch);
            ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut ahead))?;
            let (wanted, rest) = ahead.filled().split_at(ahead.filled().len().min(buffer.remaining()));
            buffer.put_slice(wanted);
            this.rest = Bytes::copy_from_slice(rest);
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn small_reads_get_every_byte_in_its_order_and_leave_nothing_behind() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut ahead = Ahead::new(listener.accept().await.unwrap().0);
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let sending = async {
            sender.write_all(&sent).await.unwrap();
            sender.shutdown().await.unwrap();
        };
        let reading = async {
            let (mut heard, mut piece, mut kept) = (Vec::new(), [0; 1000], false);
            while let read @ 1.. = ahead.read(&mut piece).await.unwrap() {
                heard.extend_from_slice(&piece[..read]);
                kept |= !ahead.rest.is_empty();
            }
            (heard, kept)
        };
        let ((), (heard, kept)) = tokio::join!(sending, reading);
        assert!(heard == sent, "{} of {} bytes arrived", heard.len(), sent.len());
        assert!(kept, "the socket was read a piece at a time");
        assert!(ahead.rest.is_empty());
    }
}
