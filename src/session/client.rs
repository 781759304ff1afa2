//! Driving a client dialogue: deadlines, ceilings, attempts.

use std::io;

use bytes::BytesMut;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::trace;

use super::{Entrance, House, Interrupted, Visit, Why};
use crate::{
    account::Recognised,
    dialogue::{
        Afterwards, Capabilities, ClientDialogue, ClientStep, Dismissal, Protocol, Violation, Welcome,
    },
    failure::Refusal,
    ids::ClientAddr,
    net::{
        accept::{Acceptor, HandshakeError},
        conn::{Conn, Stream},
    },
    policy::{
        access::{self, Line},
        throttle, timing,
    },
    sasl::Credentials,
};

/// What a client wants to be let in by.
pub(super) enum Shown {
    Credentials(Credentials),
    /// Its address, for mail with this envelope sender.
    Address(String),
}

/// A client that has been greeted and has not logged in.
pub(super) struct Client<P: Protocol> {
    conn: Conn,
    entrance: Entrance,
    dialogue: P::Client,
    promised: Capabilities,
    is_recognised: bool,
    out: BytesMut,
    /// Bytes received so far.
    received: usize,
    /// As many had been received when the line was encrypted.
    in_clear: usize,
    /// Refused credentials so far.
    attempts: u32,
    /// When the next credentials must have come.
    deadline: Instant,
}

impl<P: Protocol> Client<P> {
    /// Greets a client that has just connected, once the line is encrypted where that comes first.
    pub(super) async fn greet(
        stream: Stream,
        entrance: Entrance,
        recognised: Option<&Recognised>,
        house: &House,
    ) -> Result<Self, Interrupted> {
        let promised = house.promises.to_client::<P>();
        let is_recognised = recognised.is_some();
        let offer = access::offer(entrance.line(), is_recognised, promised.clone());
        let mut client = Self {
            conn: Conn::new(stream),
            entrance,
            dialogue: P::client(offer, house.limits.ceilings()),
            promised,
            is_recognised,
            out: BytesMut::new(),
            received: 0,
            in_clear: 0,
            attempts: 0,
            deadline: Instant::now() + house.timing.login_timeout,
        };
        if let Entrance::Implicit(acceptor) = client.entrance.clone() {
            client.encrypt(&acceptor, house).await?;
        }
        client.dialogue.greet(&mut client.out);
        client.send().await?;
        Ok(client)
    }

    /// Talks until the client shows credentials, or has mail to send where it is known by its address; `None`
    /// when it has left.
    pub(super) async fn next_shown(&mut self, house: &House) -> Result<Option<Shown>, Interrupted> {
        loop {
            let step = self.dialogue.advance(&mut self.conn.input, &mut self.out);
            match step {
                // Sent together with the reply to come where the client pipelines.
                Ok(ClientStep::Credentials(credentials)) => {
                    self.send().await?;
                    return Ok(Some(Shown::Credentials(credentials)));
                }
                Ok(ClientStep::Sender(sender)) => {
                    self.send().await?;
                    return Ok(Some(Shown::Address(sender)));
                }
                Ok(ClientStep::NeedInput) => {
                    self.send().await?;
                    let end =
                        house.draining.run_until_cancelled(self.fill(house.limits.before_login_bytes)).await;
                    match end {
                        Some(Ok(0)) if self.has_only_shaken_hands() => {
                            return Err(self.interrupted(Why::Handshake(HandshakeError::Unused)));
                        }
                        Some(Ok(0)) => return Ok(None),
                        Some(Ok(_)) => (),
                        Some(Err(why)) => return Err(self.send_away(why).await),
                        None => return Err(self.send_away(Why::ShuttingDown).await),
                    }
                }
                Ok(ClientStep::Leave) => {
                    self.send().await?;
                    self.close().await;
                    return Ok(None);
                }
                Ok(ClientStep::StartTls) => self.start_tls(house).await?,
                Err(violation) => return Err(self.send_away(Why::Violation(violation)).await),
            }
        }
    }

    /// Encrypts the line after the room has consented, and forgets what was said in clear.
    async fn start_tls(&mut self, house: &House) -> Result<(), Interrupted> {
        let Entrance::StartTls { acceptor, .. } = self.entrance.clone() else {
            // No room starts what was not offered.
            return Err(self.interrupted(Why::Internal));
        };
        self.send().await?;
        self.encrypt(&acceptor, house).await?;
        self.dialogue.tls_started(access::offer(Line::Encrypted, self.is_recognised, self.promised.clone()));
        Ok(())
    }

    async fn encrypt(&mut self, acceptor: &Acceptor, house: &House) -> Result<(), Interrupted> {
        let handshake = timeout_at(self.deadline, self.conn.accept_tls(acceptor));
        let ended = match house.draining.run_until_cancelled(handshake).await {
            Some(ended) => ended.unwrap_or(Err(HandshakeError::TimedOut)).map_err(Why::Handshake),
            None => Err(Why::ShuttingDown),
        };
        self.in_clear = self.received;
        ended.map_err(|why| Interrupted { phase: "client/tls-handshake".to_owned(), why })
    }

    /// Whether the line is encrypted and nothing has come by it.
    fn has_only_shaken_hands(&self) -> bool {
        self.tls_version().is_some() && self.received == self.in_clear
    }

    /// The version of TLS that is spoken with the client; `None` in clear.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.conn.tls_version()
    }

    /// The circumstances of the login that is about to be tried.
    pub(super) fn visit(&self, from: ClientAddr, house: &House) -> Visit {
        Visit {
            from,
            introduced_as: self.dialogue.introduced_as().to_owned(),
            promised: self.promised.clone(),
            deadline: Instant::now() + house.timing.login_timeout,
        }
    }

    /// Tells the client that it is in, and gives up the connection with what it has sent early.
    pub(super) async fn accept(mut self, welcome: &Welcome) -> Result<Conn, Interrupted> {
        self.dialogue.accept(welcome, &mut self.out);
        self.send().await?;
        Ok(self.conn)
    }

    /// Tells the client that it is not. `false` when the connection is over.
    pub(super) async fn reject(&mut self, refusal: &Refusal, house: &House) -> Result<bool, Interrupted> {
        let afterwards = self.dialogue.reject(refusal, &mut self.out);
        self.attempts += 1;
        if afterwards == Afterwards::StaysOpen && self.attempts >= throttle::ATTEMPTS {
            return Err(self.send_away(Why::TooManyAttempts).await);
        }
        self.send().await?;
        if afterwards == Afterwards::Closes {
            self.close().await;
            return Ok(false);
        }
        // What the bridge waited for in vain is not the client's to make up for.
        self.deadline = Instant::now() + house.timing.login_timeout;
        Ok(true)
    }

    /// Says goodbye because the bridge shuts down.
    pub(super) async fn send_away_for_shutdown(mut self) -> Interrupted {
        self.send_away(Why::ShuttingDown).await
    }

    async fn send_away(&mut self, why: Why) -> Interrupted {
        if let Some(dismissal) = dismissal(&why) {
            self.dialogue.dismiss(dismissal, &mut self.out);
        }
        let interrupted = self.interrupted(why);
        if self.send().await.is_ok() {
            self.close().await;
        }
        interrupted
    }

    async fn close(&mut self) {
        self.conn.close(timing::FAREWELL).await;
    }

    async fn fill(&mut self, ceiling: usize) -> Result<usize, Why> {
        let room = ceiling.saturating_sub(self.received);
        if room == 0 {
            return Err(Why::Violation(Violation::TooMuchBeforeLogin(ceiling)));
        }
        let read = timeout_at(self.deadline, self.conn.fill(room)).await.map_err(|_| Why::LoginTimedOut)?;
        let read = read.map_err(|error| self.broken(error))?;
        self.received += read;
        trace!(bytes = read, phase = self.dialogue.phase(), "read from client");
        Ok(read)
    }

    /// What a broken connection means: some clients refuse the certificate when the handshake is over.
    fn broken(&self, error: io::Error) -> Why {
        if !self.has_only_shaken_hands() {
            return Why::ClientGone(error);
        }
        // Who leaves without having read the greeting resets the connection.
        let told = HandshakeError::new(&error);
        Why::Handshake(if matches!(told, HandshakeError::Abandoned) { HandshakeError::Unused } else { told })
    }

    async fn send(&mut self) -> Result<(), Interrupted> {
        let sent = timeout(timing::REPLY, self.conn.send(&mut self.out)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        sent.map_err(|error| self.interrupted(self.broken(error)))
    }

    fn interrupted(&self, why: Why) -> Interrupted {
        Interrupted { phase: format!("client/{}", self.dialogue.phase()), why }
    }
}

/// What to tell the client, where there is somebody to tell.
fn dismissal(why: &Why) -> Option<Dismissal> {
    match why {
        Why::Violation(violation) => Some(Dismissal::Violation(*violation)),
        Why::LoginTimedOut => Some(Dismissal::TimedOut),
        Why::TooManyAttempts => Some(Dismissal::TooManyAttempts),
        Why::ShuttingDown => Some(Dismissal::ShuttingDown),
        Why::ClientGone(_)
        | Why::UpstreamGone(_)
        | Why::Handshake(_)
        | Why::Idle
        | Why::AccountRemoved
        | Why::Ended
        | Why::Internal => None,
    }
}
