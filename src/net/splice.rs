//! Carrying bytes both ways after a login, untouched.
//!
//! Nothing is allocated while a session is idle: a read goes through one scratch buffer of the
//! thread and straight into the other side; only what that side would not take is kept, and nothing
//! more is read until it has. Half a close is passed on as half a close.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// What one read may bring: a TLS record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// What is read until it is written: several records, so that a large message costs a few system calls.
const SCRATCH: usize = 4 * RECORD;

/// How long a session may be quiet once the upstream has said that it is done. What it sent before is
/// still delivered, however slowly the client reads.
const LINGER: Duration = Duration::from_mins(1);

thread_local! {
    static THREAD_SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// How many bytes a splice has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the client to the upstream.
    pub up: u64,
    /// From the upstream to the client.
    pub down: u64,
}

/// Why a splice ended.
#[derive(Debug)]
pub enum End {
    /// Both sides have said all they had.
    Finished,
    /// Nothing was said for the time given.
    Idle,
    /// The client's side broke.
    Client(io::Error),
    /// The upstream's side broke.
    Upstream(io::Error),
}

/// One side: its stream, and what was read from it before the splice.
#[derive(Debug)]
pub struct Side<S> {
    /// The stream.
    pub stream: S,
    /// Bytes that it has sent already.
    pub early: BytesMut,
}

/// Carries bytes until both sides have finished, one breaks, or nothing is said for `idle`.
///
/// `carried` counts as the bytes go; `glance` is shown every piece that the upstream sends.
pub async fn splice<C, U>(
    mut client: Side<C>,
    mut upstream: Side<U>,
    idle: Duration,
    carried: &mut Carried,
    mut glance: impl FnMut(&[u8]),
) -> End
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut up = Pump::new(std::mem::take(&mut client.early));
    let mut down = Pump::new(std::mem::take(&mut upstream.early));
    glance(&down.unsent);
    let mut quiet = Quiet::new(idle);
    let mut lost = None;
    poll_fn(|cx| {
        match up.poll(cx, &mut client.stream, &mut upstream.stream, |_| ()) {
            // Who has been told of the end and leaves without reading it resets the connection: many do.
            Poll::Ready(Err(Broken::Reading(_))) if down.is_done() => {
                return Poll::Ready(lost.take().map_or(End::Finished, End::Upstream));
            }
            Poll::Ready(Err(Broken::Reading(error))) => return Poll::Ready(End::Client(error)),
            // An upstream that listens no more may still have said something: read on.
            Poll::Ready(Err(Broken::Writing(_))) => {
                up.discard();
                cx.waker().wake_by_ref();
            }
            Poll::Ready(Ok(())) | Poll::Pending => (),
        }
        match down.poll(cx, &mut upstream.stream, &mut client.stream, &mut glance) {
            // What it said before it broke is on its way to the client, who is told of the end.
            Poll::Ready(Err(Broken::Reading(error))) => {
                lost = Some(error);
                up.discard();
                down.end();
                cx.waker().wake_by_ref();
            }
            Poll::Ready(Err(Broken::Writing(error))) => return Poll::Ready(End::Client(error)),
            Poll::Ready(Ok(())) | Poll::Pending => (),
        }
        *carried = Carried { up: up.carried, down: down.carried };
        if up.is_done() && down.is_done() {
            return Poll::Ready(lost.take().map_or(End::Finished, End::Upstream));
        }
        let limit = if down.is_done() { idle.min(LINGER) } else { idle };
        let idle = |()| lost.take().map_or(End::Idle, End::Upstream);
        quiet.poll(cx, up.carried + down.carried, limit).map(idle)
    })
    .await
}

/// One direction.
#[derive(Debug)]
struct Pump {
    /// What was read and not yet taken by the other side.
    unsent: Bytes,
    /// Written to the other side since it was last flushed.
    unflushed: bool,
    state: Flow,
    /// What the reading side broke with, behind what is unsent.
    failed: Option<io::Error>,
    /// The other side is gone: what is read is of no use.
    discards: bool,
    carried: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// The reading side has ended; the writing side is to be told.
    Ended,
    Done,
}

/// Which side of a pump broke.
#[derive(Debug)]
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

impl Pump {
    fn new(early: BytesMut) -> Self {
        Self {
            carried: early.len() as u64,
            unsent: early.freeze(),
            unflushed: false,
            state: Flow::Open,
            failed: None,
            discards: false,
        }
    }

    fn is_done(&self) -> bool {
        self.state == Flow::Done
    }

    /// Reads on and throws away: a socket that is closed with unread input is reset, and a reset
    /// overtakes what its peer has not read yet.
    fn discard(&mut self) {
        self.unsent = Bytes::new();
        self.unflushed = false;
        self.discards = true;
    }

    /// Takes the reading side for ended.
    fn end(&mut self) {
        self.state = Flow::Ended;
    }

    /// Moves what can be moved. Ready when this direction has ended for good.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        mut seen: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_write_unsent(cx, to)).map_err(Broken::Writing)?;
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Err(Broken::Reading(error)));
            }
            match self.state {
                Flow::Done => return Poll::Ready(Ok(())),
                Flow::Ended if self.discards => self.state = Flow::Done,
                Flow::Ended => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Broken::Writing)?;
                    self.state = Flow::Done;
                }
                Flow::Open => match self.poll_move(cx, from, to, &mut seen) {
                    Poll::Ready(moved) => moved?,
                    Poll::Pending => {
                        ready!(self.poll_flush(cx, to)).map_err(Broken::Writing)?;
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    fn poll_write_unsent<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut *to).poll_write(cx, &self.unsent)? else {
                // A TLS stream may be full of records that only a flush moves on.
                ready!(self.poll_flush(cx, to))?;
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.unsent.advance(written);
        }
        self.unsent = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is at hand through the thread's scratch buffer and writes what the other side takes of it.
    fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        seen: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        THREAD_SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.poll_fill(cx, from, &mut buffer, seen));
            let chunk = buffer.filled();
            if chunk.is_empty() || self.discards {
                return Poll::Ready(Ok(()));
            }
            self.carried += chunk.len() as u64;
            let taken = match Pin::new(to).poll_write(cx, chunk) {
                Poll::Ready(Ok(taken)) => taken,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Writing(error))),
                Poll::Pending => 0,
            };
            self.unflushed |= taken > 0;
            self.unsent = Bytes::copy_from_slice(&chunk[taken..]);
            Poll::Ready(Ok(()))
        })
    }

    /// Reads while more is at hand and another record has room, and notes how the reading side ends. Pending where
    /// there is nothing.
    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        buffer: &mut ReadBuf<'_>,
        seen: &mut impl FnMut(&[u8]),
    ) -> Poll<()> {
        while buffer.remaining() >= RECORD {
            let before = buffer.filled().len();
            match Pin::new(&mut *from).poll_read(cx, buffer) {
                Poll::Pending if before == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                    if !self.discards {
                        seen(&buffer.filled()[before..]);
                    }
                    continue;
                }
                Poll::Ready(Ok(())) => self.state = Flow::Ended,
                // A peer that closes TCP without TLS's own goodbye has ended all the same.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.state = Flow::Ended;
                }
                Poll::Ready(Err(error)) => self.failed = Some(error),
            }
            break;
        }
        Poll::Ready(())
    }
}

/// Notices when nothing has been carried for a while. Reading a counter is cheaper than resetting a
/// timer at every byte.
struct Quiet {
    timer: Pin<Box<Sleep>>,
    since: Instant,
    carried: u64,
}

impl Quiet {
    fn new(idle: Duration) -> Self {
        let since = Instant::now();
        Self { timer: Box::pin(sleep_until(since + idle)), since, carried: 0 }
    }

    fn poll(&mut self, cx: &mut Context<'_>, carried: u64, limit: Duration) -> Poll<()> {
        if carried != self.carried {
            self.carried = carried;
            self.since = Instant::now();
        }
        let due = self.since + limit;
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
