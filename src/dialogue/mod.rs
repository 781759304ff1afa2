//! The contract between the protocol rooms and the story.
//!
//! A room is two small machines: a [`ClientDialogue`] faces the legacy mail program until it has
//! shown credentials, an [`UpstreamDialogue`] faces the mailbox's server until that has accepted or
//! refused the access token. Both read bytes and write bytes and do nothing else: no socket, no
//! clock, no log, no configuration. The story in `session` drives them.

mod glance;
mod redact;
mod response;

use std::{ops::Deref, sync::Arc};

use bytes::BytesMut;
use zeroize::Zeroize as _;

pub use self::glance::Glance;
pub use crate::explain::upstream::Remark;
use crate::{
    failure::{Failure, Refusal, printable},
    ids::ProtocolKind,
    sasl::{Credentials, Mechanism},
    secret::Secret,
};

/// One protocol: its two dialogues and what the story must ask about its words.
pub trait Protocol: Send + Sync + 'static {
    /// Which protocol this is.
    const KIND: ProtocolKind;

    /// The half that faces the client.
    type Client: ClientDialogue + Send;

    /// The half that faces the upstream.
    type Upstream: UpstreamDialogue + Send;

    /// Starts a dialogue with a client that has just connected.
    fn client(offer: Offer, ceilings: Ceilings) -> Self::Client;

    /// Starts a dialogue with an upstream that has just been dialled.
    fn upstream(login: UpstreamLogin) -> Self::Upstream;

    /// What any upstream can be trusted to have, before its own list is known.
    fn safe() -> Capabilities;

    /// What may be promised to a client before it is known which upstream it will get: what every
    /// one of `lists` holds. Nothing where `lists` is empty.
    fn common(lists: &[Capabilities]) -> Capabilities;

    /// The capabilities among `promised` that `found` does not hold.
    fn broken_promises(promised: &Capabilities, found: &Capabilities) -> Vec<String>;

    /// Recognises what an upstream says after it has accepted the login and that a person should
    /// know of. `chunk` is what one read brought; anything else than a known sentence at its very
    /// beginning is message data and none of our business.
    fn remark(chunk: &[u8]) -> Option<Remark>;

    /// Reads along after a login of an account whose senders are limited; nothing where the protocol
    /// sends no mail. `welcome` is what the upstream said.
    fn watch(welcome: &Welcome, ceilings: Ceilings) -> Option<Box<dyn Watch>>;
}

/// The half of a protocol that faces the legacy client, until it has shown credentials or left.
pub trait ClientDialogue {
    /// Writes the greeting.
    fn greet(&mut self, out: &mut BytesMut);

    /// Reads as much of `input` as one step needs, answers into `out`, leaves the rest untouched.
    ///
    /// Called again and again until it says [`ClientStep::NeedInput`], then after every read.
    ///
    /// # Errors
    /// A [`Violation`] is the end of the dialogue: the story dismisses the client with it.
    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<ClientStep, Violation>;

    /// Forgets all that was said in clear (RFC 3207 §4.2): the line is encrypted from here on.
    fn tls_started(&mut self, offer: Offer);

    /// Answers the last credentials, or lets the mail of a [`ClientStep::Sender`] go on: the mailbox is
    /// open. The dialogue is over.
    fn accept(&mut self, welcome: &Welcome, out: &mut BytesMut);

    /// Answers the last credentials, or the last [`ClientStep::Sender`]: no. Says whether the client may try again on this connection.
    fn reject(&mut self, refusal: &Refusal, out: &mut BytesMut) -> Afterwards;

    /// Says goodbye before a login, in the protocol's own way.
    fn dismiss(&mut self, reason: Dismissal, out: &mut BytesMut);

    /// How the client called itself (the EHLO domain), empty where it did not or where the protocol
    /// has no such thing.
    fn introduced_as(&self) -> &str;

    /// Where in the conversation we are, for logs: `await-command`, `await-literal`, …
    fn phase(&self) -> &'static str;
}

/// What a client dialogue wants next.
#[derive(Debug)]
pub enum ClientStep {
    /// More bytes from the client, after what is in `out` has been sent.
    NeedInput,
    /// A TLS handshake, after what is in `out` has been sent. Bytes that are waiting in `input`
    /// were sent in clear and must be dropped (RFC 3207 §4.2, RFC 3501 §6.2.1).
    StartTls,
    /// A decision about these credentials; `accept` or `reject` comes next.
    Credentials(Credentials),
    /// A decision about mail with this envelope sender from a client that is known by its address;
    /// `accept` or `reject` comes next. The command stays in `input`, for who takes the mail.
    Sender(String),
    /// Nothing: the client has said goodbye and was answered.
    Leave,
}

/// Whether a rejected client may try again on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// The dialogue goes on.
    StaysOpen,
    /// The reply said that the connection closes.
    Closes,
}

/// Why a client is sent away before it has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissal {
    /// The bridge has as many connections as it may. Takes the place of the greeting.
    BridgeFull,
    /// The client has as many connections as it may. Takes the place of the greeting.
    ClientFull,
    /// The bridge is shutting down.
    ShuttingDown,
    /// No credentials came within the time for a login.
    TimedOut,
    /// Too many refused credentials on one connection.
    TooManyAttempts,
    /// The client broke the protocol or a ceiling.
    Violation(Violation),
}

/// RFC 9110 §9 and RFC 5789; `PRI` opens HTTP/2 (RFC 9113 §3.4).
const HTTP_METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"];

/// How a client broke the protocol or a ceiling. Ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A command line longer than the ceiling, in bytes.
    #[error("line longer than {0} bytes")]
    LineTooLong(usize),
    /// A non-synchronising literal longer than the ceiling, in bytes: it is on its way already, so
    /// that it can only be refused by closing (RFC 7888 §4). So is the chunk of SMTP's BDAT.
    #[error("literal longer than {0} bytes")]
    LiteralTooLong(usize),
    /// More bytes before a login than the ceiling.
    #[error("more than {0} bytes before login")]
    TooMuchBeforeLogin(usize),
    /// More commands that were not understood or not allowed than the ceiling.
    #[error("more than {0} commands in error")]
    TooManyErrors(u32),
    /// More commands before a login than the ceiling, the fine ones too.
    #[error("more than {0} commands before login")]
    TooManyCommands(u32),
    /// The first bytes are another protocol's: `HTTP`, `TLS`.
    #[error("client speaks {0}")]
    WrongProtocol(&'static str),
    /// A message with a dot alone on a line between line ends that are not CR LF: some servers take that
    /// for its end and some do not, and to those that do the rest is commands (SMTP smuggling,
    /// CVE-2023-51764 and its kin).
    #[error("a dot alone between line ends that are not CR LF")]
    AmbiguousEnd,
}

impl Violation {
    /// Recognises strangers by their first bytes: a TLS record of type handshake (RFC 8446 §5.1) and
    /// the request line of HTTP (RFC 9112 §3), which browsers can be made to send anywhere.
    ///
    /// TLS is known by two bytes, because nothing that looks like a line may ever follow; HTTP by its
    /// whole line, because `GET` is a fine IMAP tag.
    ///
    /// # Errors
    /// [`Violation::WrongProtocol`], naming the protocol.
    pub fn unless_familiar(input: &[u8]) -> Result<(), Self> {
        if input.starts_with(&[0x16, 0x03]) {
            return Err(Self::WrongProtocol("TLS"));
        }
        let line = input.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let whole = line.len() < input.len();
        let mut words = line.trim_ascii().split(|&byte| byte == b' ');
        let is_method = words.next().is_some_and(|word| HTTP_METHODS.contains(&word));
        if whole && is_method && words.next_back().is_some_and(|word| word.starts_with(b"HTTP/")) {
            return Err(Self::WrongProtocol("HTTP"));
        }
        Ok(())
    }

    /// The name in logs: `line_too_long`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LineTooLong(_) => "line_too_long",
            Self::LiteralTooLong(_) => "literal_too_long",
            Self::TooMuchBeforeLogin(_) => "too_much_before_login",
            Self::TooManyErrors(_) => "too_many_errors",
            Self::TooManyCommands(_) => "too_many_commands",
            Self::WrongProtocol(_) => "wrong_protocol",
            Self::AmbiguousEnd => "ambiguous_end",
        }
    }
}

/// What a listener may offer in its present state of TLS. Policy decides, rooms obey.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Credentials are taken.
    pub login: bool,
    /// Mail is taken without credentials: the client's address is its proof.
    pub by_address: bool,
    /// The line can be encrypted by STARTTLS.
    pub starttls: bool,
    /// What the client may be promised about the upstream (SMTP: EHLO keywords).
    pub capabilities: Capabilities,
}

/// A list of capabilities as a greeting or an EHLO reply has it: `8BITMIME`, `SIZE 157286400`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(pub Vec<String>);

/// How much a client may send before it has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Bytes of one line, with its line end.
    pub line: usize,
    /// Bytes of one IMAP literal.
    pub literal: usize,
    /// Commands in error.
    pub errors: u32,
    /// Commands, the fine ones too.
    pub commands: u32,
}

/// What an upstream dialogue needs to log in.
#[derive(Debug, Clone)]
pub struct UpstreamLogin {
    /// The SASL mechanism to use.
    pub mechanism: Mechanism,
    /// The mechanism's response in base64, access token and all.
    pub response: Secret,
    /// The access token by itself, which no upstream's words may bring into a log.
    pub access_token: Secret,
    /// The client's EHLO domain, handed on so that the upstream's trace header tells the truth.
    pub introduced_as: String,
    /// The line is in clear at first and must be encrypted before anything is shown.
    pub starttls: bool,
    /// What an earlier login to the same mailbox has learned.
    pub known: Option<Arc<Known>>,
}

/// What a login has asked an upstream for, and the next one to the same mailbox need not ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The response may go along with the command that shows it (RFC 4959).
    pub initial_response: bool,
    /// The capabilities of the open mailbox, where its OK does not tell them.
    pub capabilities: Option<Capabilities>,
}

/// The half of a protocol that faces the upstream, until it has accepted or refused the token.
pub trait UpstreamDialogue {
    /// Reads as much of `input` as one step needs, answers into `out`, leaves the rest untouched.
    ///
    /// # Errors
    /// [`Rejected`] is the end of the dialogue.
    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<UpstreamStep, Rejected>;

    /// The line is encrypted from here on; what was said in clear is forgotten. `advance` comes next,
    /// before anything is read: it is ours to speak first.
    fn tls_started(&mut self);

    /// Where in the conversation we are, for logs: `await-greeting`, …
    fn phase(&self) -> &'static str;

    /// What need not be asked again, once the dialogue is over; `None` where nothing was asked.
    fn learned(&self) -> Option<Known>;
}

/// What an upstream dialogue wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum UpstreamStep {
    /// More bytes from the upstream, after what is in `out` has been sent.
    NeedInput,
    /// A TLS handshake. Nothing may be waiting in `input`: it came in clear (RFC 3207 §5).
    StartTls,
    /// Nothing: the token was accepted.
    Ready(Welcome),
}

/// Reads along between a client and an upstream after the login, and lets nothing by that it has not
/// understood as the upstream will.
///
/// One command goes to the upstream at a time and the next when it is answered, so that there is never a
/// doubt about what a byte is: of a command, of a message, of a reply.
pub trait Watch: Send {
    /// Takes what has come from the client as far as it can be understood by now. What goes on is
    /// appended to `up`, what the bridge itself answers to `down`; the rest stays in `input`.
    ///
    /// # Errors
    /// A [`Violation`] ends the session. The client has been told in `down`.
    fn client_says(
        &mut self,
        input: &mut BytesMut,
        up: &mut BytesMut,
        down: &mut BytesMut,
    ) -> Result<WatchStep, Violation>;

    /// Lets the mail go on whose sender was out for a decision.
    fn allow(&mut self, up: &mut BytesMut);

    /// Answers the mail whose sender was out for a decision: no.
    fn forbid(&mut self, refusal: &Refusal, down: &mut BytesMut);

    /// Reads along what the upstream says, all of which goes to the client. `false` where it said what
    /// nothing asked for, so that nobody knows any more what the next bytes are an answer to.
    fn upstream_says(&mut self, said: &[u8]) -> bool;

    /// Whether the upstream has something to answer before more of the client's can be taken.
    fn awaits_reply(&self) -> bool;
}

/// What a watched session wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchStep {
    /// More bytes from the client or the upstream, after what is there has been sent.
    NeedInput,
    /// A decision about mail with this envelope sender; `allow` or `forbid` comes next.
    Sender(String),
    /// Nothing: the upstream has said its last word.
    Over,
}

/// How an upstream ended a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// [`Failure::UpstreamRefused`], [`Failure::UpstreamUnavailable`] or
    /// [`Failure::UpstreamViolation`].
    pub failure: Failure,
    /// The upstream's own words, as one line without its line end and at most a few hundred bytes.
    pub said: String,
}

/// The most bytes of an upstream's words that are kept: its longest known sentences, with a link and a
/// trace identifier, have about three hundred.
const LONGEST_SAID: usize = 400;

impl Rejected {
    /// Keeps `said` as one line of printable ASCII of bounded length.
    #[must_use]
    pub fn new(failure: Failure, said: &str) -> Self {
        let mut said = printable(said);
        said.truncate(LONGEST_SAID);
        Self { failure, said }
    }
}

/// What an upstream said when it let us in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The text of its reply, for the client to see.
    pub text: String,
    /// Its capabilities, as far as it told them of its own accord (IMAP) or when asked (SMTP).
    pub capabilities: Option<Capabilities>,
}

/// Writes one line, its end included: CR LF, as in every protocol.
pub fn put(out: &mut BytesMut, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Bytes taken off a client's input. They may hold a password and are wiped when dropped.
pub struct Taken(BytesMut);

impl Taken {
    /// Takes the first `len` bytes.
    #[must_use]
    pub fn off(input: &mut BytesMut, len: usize) -> Self {
        Self(input.split_to(len.min(input.len())))
    }

    /// Takes one line with its line end, which may be a bare LF: old clients send it. `None`, and
    /// nothing taken, while the line is not whole.
    ///
    /// # Errors
    /// [`Violation::LineTooLong`] where it has more than `ceiling` bytes.
    pub fn line(input: &mut BytesMut, ceiling: usize) -> Result<Option<Self>, Violation> {
        let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        if end.unwrap_or(input.len()) > ceiling {
            return Err(Violation::LineTooLong(ceiling));
        }
        Ok(end.map(|end| Self::off(input, end)))
    }
}

impl Deref for Taken {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0[..].zeroize();
    }
}
