//! A TLS connection that keeps no buffer while it is idle.
//!
//! What comes is read into memory of the thread, decrypted there and put into the reader's buffer; what goes is encrypted
//! there and written from there. Kept for the connection is what somebody has to be waited for with: the piece of a
//! record whose end has not come, what the reader had no room for, and what the socket would not take. Each is given
//! back as soon as it is gone, and while there is some of it no more is read or accepted. What TLS says, and when, is
//! rustls' part (its unbuffered API); this is the reading and writing around it.

mod end;
mod frame;

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use rustls::{
    ClientConfig, CommonState, Error, InvalidMessage, ServerConfig,
    client::UnbufferedClientConnection,
    pki_types::ServerName,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::end::End;
use self::frame::{HEADER, missing, whole};
use super::scratch::{READ, with_scratch};

/// What a record holds at most, in bytes (RFC 8446 §5.1).
const CONTENT: usize = 16 * 1024;

/// A full record of TLS 1.3 on the wire: its header, its content and the content's type, and what proves it
/// (RFC 8446 §5.2).
pub(super) const RECORD: usize = HEADER + CONTENT + 1 + 16;

/// How much is accepted at once: four records.
const WRITE: usize = 4 * CONTENT;

/// How much is asked for beyond the piece of a record, however long the record is.
const LEAST: usize = 4096;

/// How often the socket is read without a byte for the reader before others get their turn: records may be empty, or
/// the libraries' own.
const ROUNDS: usize = 8;

/// A TLS connection to a server.
pub type ClientLine<S> = Line<UnbufferedClientConnection, S>;

/// A TLS connection to a client.
pub type ServerLine<S> = Line<UnbufferedServerConnection, S>;

/// A TLS connection over `S`, of which `E` is our end.
///
/// Trouble with TLS is an error of kind [`io::ErrorKind::InvalidData`] that holds a [`rustls::Error`]; an end of `S`
/// without TLS's own goodbye is one of kind [`io::ErrorKind::UnexpectedEof`].
pub struct Line<E, S> {
    io: S,
    end: E,
    /// What was read and not yet decrypted, or is of a message whose end has not come.
    sealed: BytesMut,
    /// Where in `sealed` the record begins whose end has not come.
    piece: usize,
    /// Whether whole records may be in `sealed`, because the reader had no more room.
    is_behind: bool,
    /// What was decrypted and had no room.
    opened: Bytes,
    /// What was encrypted and not yet taken by `io`.
    unsent: BytesMut,
    /// What is wrong, for good.
    failed: Option<Error>,
    /// The peer has said that nothing more comes.
    is_over: bool,
    /// We have said so.
    is_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientLine<S> {
    /// Shakes hands with the server `name`.
    ///
    /// # Errors
    /// What the handshake failed with; the server has been told where TLS wants that.
    pub async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        io: S,
    ) -> io::Result<Box<Self>> {
        let end = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        Line::shake_hands(end, io).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerLine<S> {
    /// Shakes hands with a client.
    ///
    /// # Errors
    /// What the handshake failed with; the client has been told where TLS wants that.
    pub async fn accept(config: Arc<ServerConfig>, io: S) -> io::Result<Box<Self>> {
        let end = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Line::shake_hands(end, io).await
    }
}

impl<E: End, S> Line<E, S> {
    /// What was agreed on in the handshake.
    #[must_use]
    pub fn agreed(&self) -> &CommonState {
        self.end.common()
    }

    /// What the connection goes over.
    #[must_use]
    pub fn io(&self) -> &S {
        &self.io
    }

    /// Decrypts records until `buffer` is full or no whole one is left. How much of `sealed` is done with.
    fn open(&mut self, sealed: &mut [u8], buffer: &mut ReadBuf<'_>) -> usize {
        let mut done = 0;
        self.is_behind = false;
        while self.failed.is_none() && !self.is_over {
            let UnbufferedStatus { discard, state } = self.end.process(&mut sealed[done..]);
            done += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => match traffic.next_record() {
                    Some(Ok(record)) => {
                        let room = record.payload.len().min(buffer.remaining());
                        buffer.put_slice(&record.payload[..room]);
                        self.opened = Bytes::copy_from_slice(&record.payload[room..]);
                        done += record.discard;
                        if buffer.remaining() == 0 {
                            self.is_behind = true;
                            return done;
                        }
                    }
                    Some(Err(error)) => self.failed = Some(error),
                    None => (),
                },
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => return done,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => self.is_over = true,
                // Nobody is offered early data, and there is nothing else.
                Ok(_) => self.failed = Some(Error::HandshakeNotComplete),
                Err(error) => self.failed = Some(error),
            }
        }
        self.encode_alerts();
        sealed.len()
    }

    /// What the peer has to be told of a failure. Nothing more may be decrypted behind one.
    fn encode_alerts(&mut self) {
        while self.end.common().wants_write() {
            match self.end.process(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Says something where rustls is ready for it, which it is at any time after the handshake. What it wants to say
    /// before is in `unsent` then.
    fn say<T>(
        &mut self,
        words: impl FnOnce(&mut WriteTraffic<'_, E::Data>) -> Result<T, EncryptError>,
    ) -> io::Result<T> {
        loop {
            // It counts on finding the beginning of a message where it has left it, and would decrypt a whole record.
            let sealed = if self.is_behind { &mut [] } else { &mut self.sealed[..] };
            match self.end.process(sealed).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return words(&mut traffic).map_err(io::Error::other);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_over = true,
                Ok(_) => return Err(io::ErrorKind::NotConnected.into()),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }

    /// Decrypts what was kept because the reader had no room.
    fn open_kept(&mut self, buffer: &mut ReadBuf<'_>) {
        let mut sealed = std::mem::take(&mut self.sealed);
        let done = self.open(&mut sealed, buffer);
        sealed.advance(done);
        self.piece -= done.min(self.piece);
        self.sealed = if self.is_behind { sealed } else { BytesMut::from(&sealed[..]) };
    }

    /// Fails, where something has.
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
            None => Ok(()),
        }
    }
}

impl<E: End, S: AsyncRead + AsyncWrite + Unpin> Line<E, S> {
    async fn shake_hands(end: E, io: S) -> io::Result<Box<Self>> {
        let mut line = Box::new(Self {
            io,
            end,
            sealed: BytesMut::new(),
            piece: 0,
            is_behind: false,
            opened: Bytes::new(),
            unsent: BytesMut::new(),
            failed: None,
            is_over: false,
            is_closed: false,
        });
        // A client speaks first.
        line.open(&mut [], &mut ReadBuf::new(&mut []));
        poll_fn(|cx| line.poll_handshake(cx)).await?;
        Ok(line)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.failed.is_some() {
                let _ = self.poll_send(cx);
            }
            self.check()?;
            // A peer that is not done itself may read nothing before it is read from.
            let sent = self.poll_flush_all(cx)?;
            if !self.end.common().is_handshaking() {
                return sent.map(Ok);
            }
            if ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))? == 0 {
                let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
                return Poll::Ready(Err(eof));
            }
        }
    }

    /// Reads once, as much as there is room for or a piece is short of, and decrypts it. How much was read.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let kept = self.sealed.len();
        if kept >= READ {
            // rustls knows no message that is as long.
            self.failed = Some(InvalidMessage::HandshakePayloadTooLarge.into());
            return Poll::Ready(self.check().map(|()| 0));
        }
        let records = buffer.remaining().div_ceil(CONTENT).max(1);
        let most = records.saturating_mul(RECORD).max(kept + LEAST).min(READ);
        with_scratch(|scratch| {
            let mut fresh = ReadBuf::new(&mut scratch[kept..most]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut fresh))?;
            let read = fresh.filled().len();
            if read < missing(&self.sealed[self.piece..]) {
                // rustls has seen the header, and can do nothing with less than the end.
                self.sealed.extend_from_slice(fresh.filled());
            } else {
                let sealed = &mut scratch[..kept + read];
                sealed[..kept].copy_from_slice(&self.sealed);
                let piece = self.piece + whole(&sealed[self.piece..]);
                let done = self.open(sealed, buffer);
                self.piece = piece - done.min(piece);
                self.sealed = BytesMut::from(&sealed[done..]);
            }
            Poll::Ready(Ok(read))
        })
    }

    /// Writes what was encrypted before.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        // Even an empty one would keep the memory.
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Writes `sealed` behind what was encrypted before, and keeps what is not taken.
    fn send(&mut self, cx: &mut Context<'_>, mut sealed: &[u8]) -> io::Result<()> {
        if self.poll_send(cx)?.is_ready() {
            while let Poll::Ready(sent) = Pin::new(&mut self.io).poll_write(cx, sealed)? {
                sealed = &sealed[sent..];
                if sealed.is_empty() {
                    return Ok(());
                }
                if sent == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
        }
        self.unsent.extend_from_slice(sealed);
        Ok(())
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<E: End + Unpin, S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Line<E, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if !this.opened.is_empty() || buffer.remaining() == 0 {
            let room = this.opened.len().min(buffer.remaining());
            buffer.put_slice(&this.opened.split_to(room));
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            // Who writes waits for the socket then, and tells the peer.
            let is_free = this.unsent.is_empty();
            if this.is_behind {
                this.open_kept(buffer);
            } else if this.is_over {
                return Poll::Ready(Ok(()));
            } else {
                this.check()?;
                if ready!(this.poll_receive(cx, buffer))? == 0 {
                    let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "the peer ended TCP, but not TLS");
                    return Poll::Ready(Err(eof));
                }
            }
            if this.failed.is_some() && is_free {
                let _ = this.poll_send(cx);
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<E: End + Unpin, S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Line<E, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        this.check()?;
        if this.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let some = &bytes[..bytes.len().min(WRITE)];
        with_scratch(|scratch| {
            let sealed = this.say(|traffic| traffic.encrypt(some, scratch))?;
            this.send(cx, &scratch[..sealed])
        })?;
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        /// More than a `close_notify` takes, and an update of keys before it.
        const GOODBYE: usize = 256;
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        if !this.is_closed && this.failed.is_none() {
            let mut goodbye = [0; GOODBYE];
            let said = this.say(|traffic| traffic.queue_close_notify(&mut goodbye))?;
            this.unsent.extend_from_slice(&goodbye[..said]);
        }
        this.is_closed = true;
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.io).poll_shutdown(cx)) {
            // A peer that is gone needs no goodbye.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            shut => Poll::Ready(shut),
        }
    }
}

impl<E, S> fmt::Debug for Line<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// Puts a message of rustls' own behind what is unsent.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, unsent: &mut BytesMut) {
    if let Err(EncodeError::InsufficientSize(short)) = data.encode(&mut []) {
        let before = unsent.len();
        unsent.resize(before + short.required_size, 0);
        let _ = data.encode(&mut unsent[before..]);
    }
}

#[cfg(test)]
mod tests;
