//! Carrying bytes both ways after the login of an account that may name some senders alone.
//!
//! As `net::splice`, but every byte of the client is understood by its room before it goes on, and policy is
//! asked about each sender. What is kept is bounded: nothing is read from one side while the other has not
//! taken what came before.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep_until, timeout},
};
use tracing::warn;

use super::{Closed, House, Why, record::Record};
use crate::{
    account::Account,
    dialogue::{Watch, WatchStep},
    failure::Refusal,
    net::{conn::Conn, splice::Carried},
    policy::{access, timing},
};

/// What is read at a time.
const READ: usize = 16 * 1024;

/// Who reads along, and for whom.
pub(super) struct Guard<'h> {
    pub(super) watch: Box<dyn Watch>,
    pub(super) account: Arc<Account>,
    pub(super) record: &'h Record,
    pub(super) house: &'h House,
    /// The longest command line, in bytes.
    pub(super) line: usize,
}

impl Guard<'_> {
    /// Understands what has come from the client, as far as that goes. `true` where the session is over.
    fn judge(&mut self, input: &mut BytesMut, up: &mut BytesMut, down: &mut BytesMut) -> Result<bool, Why> {
        loop {
            match self.watch.client_says(input, up, down).map_err(Why::Violation)? {
                WatchStep::NeedInput => return Ok(false),
                WatchStep::Over => return Ok(true),
                WatchStep::Sender(sender) => match access::may_send(&self.account, &sender) {
                    Ok(()) => self.watch.allow(up),
                    Err(refusal) => self.forbid(&refusal, down),
                },
            }
        }
    }

    fn forbid(&mut self, refusal: &Refusal, down: &mut BytesMut) {
        let why = refusal.explanation.as_ref();
        self.record.span().in_scope(|| {
            warn!(
                account = self.account.name(),
                failure = refusal.failure.name(),
                cause = why.map(|why| why.cause.as_str()),
                cure = why.map(|why| why.cure.as_str()),
                "sender refused"
            );
        });
        self.record.forbade(&self.account, refusal, self.house);
        // Who is known by its address is told no causes.
        if self.record.known_by().is_some() {
            self.watch.forbid(&refusal.clone().for_the_log_alone(), down);
        } else {
            self.watch.forbid(refusal, down);
        }
    }
}

/// What is on its way to one side.
#[derive(Default)]
struct Outgoing {
    bytes: BytesMut,
    /// Written, and perhaps still in the buffers of TLS.
    unflushed: bool,
}

impl Outgoing {
    fn is_due(&self) -> bool {
        self.unflushed || !self.bytes.is_empty()
    }

    /// Writes once, or flushes what is written. May be dropped where it waits: nothing is lost then.
    async fn push(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if self.bytes.is_empty() {
            to.flush().await?;
            self.unflushed = false;
        } else if to.write_buf(&mut self.bytes).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        } else {
            self.unflushed = true;
        }
        Ok(())
    }

    /// Writes all.
    async fn finish(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while self.is_due() {
            self.push(to).await?;
        }
        to.shutdown().await
    }
}

/// Reads once. A peer that closes TCP without TLS's own goodbye has ended all the same.
async fn read(from: &mut (impl AsyncRead + Unpin), into: &mut BytesMut) -> io::Result<usize> {
    into.reserve(READ);
    match from.read_buf(into).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// Carries bytes until the upstream has said its last word, one side breaks, the client breaks the protocol,
/// or nothing is said for `idle`. As in a splice, `carried` counts and `glance` is shown what the upstream sends.
pub(super) async fn relay(
    client: Conn,
    upstream: Conn,
    idle: Duration,
    carried: &mut Carried,
    mut glance: impl FnMut(&[u8]),
    mut guard: Guard<'_>,
) -> Result<Closed, Why> {
    let ((client, mut early), (upstream, said)) = (client.into_parts(), upstream.into_parts());
    let (mut client, mut to_client) = tokio::io::split(client);
    let (mut upstream, mut to_upstream) = tokio::io::split(upstream);
    // There is always room for the end of a line.
    let most_early = guard.line + READ;
    let (mut up, mut down) = (Outgoing::default(), Outgoing::default());
    let mut chunk = said;
    let (mut client_ended, mut told) = (false, false);
    carried.up += early.len() as u64;
    let mut heard = chunk.len();
    let result = loop {
        if heard > 0 {
            carried.down += heard as u64;
            glance(&chunk);
            let is_answer = guard.watch.upstream_says(&chunk);
            down.bytes.extend_from_slice(&chunk);
            chunk.clear();
            if !is_answer {
                break Ok(Closed::Spliced);
            }
        }
        heard = 0;
        match guard.judge(&mut early, &mut up.bytes, &mut down.bytes) {
            Ok(false) => (),
            Ok(true) => break Ok(Closed::Spliced),
            Err(why) => break Err(why),
        }
        if client_ended && !told && !up.is_due() && !guard.watch.awaits_reply() {
            // As half a close is passed on by a splice.
            told = to_upstream.shutdown().await.is_ok();
        }
        let quiet = Instant::now() + idle;
        tokio::select! {
            pushed = up.push(&mut to_upstream), if up.is_due() => if pushed.is_err() {
                // An upstream that listens no more may still have said something: read on.
                up = Outgoing::default();
            },
            pushed = down.push(&mut to_client), if down.is_due() => if let Err(error) = pushed {
                return Err(Why::ClientGone(error));
            },
            came = read(&mut client, &mut early), if !client_ended && !up.is_due() && early.len() < most_early => {
                match came {
                    Ok(0) => client_ended = true,
                    Ok(count) => carried.up += count as u64,
                    Err(error) => return Err(Why::ClientGone(error)),
                }
            },
            came = read(&mut upstream, &mut chunk), if !down.is_due() => match came {
                Ok(0) => break Ok(Closed::Spliced),
                Ok(count) => heard = count,
                Err(error) => break Err(Why::UpstreamGone(error)),
            },
            () = sleep_until(quiet) => return Err(Why::Idle),
        }
    };
    part(&mut down, &mut to_client, &mut client).await;
    result
}

/// Lets the client read what was said last, and reads what it still sends: closing a socket with unread input
/// resets the connection, and a reset overtakes what the peer has not read yet.
async fn part(
    down: &mut Outgoing,
    to_client: &mut (impl AsyncWrite + Unpin),
    client: &mut (impl AsyncRead + Unpin),
) {
    let parting = async {
        down.finish(to_client).await?;
        let mut rest = BytesMut::new();
        while read(client, &mut rest).await? > 0 {
            rest.clear();
        }
        io::Result::Ok(())
    };
    // Whether the client was there to the last is of no consequence.
    let _ = timeout(timing::FAREWELL, parting).await;
}
