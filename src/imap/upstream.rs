//! The bridge as an IMAP client, from the upstream's greeting to the capabilities of the mailbox.
//!
//! RFC 3501 §6.2, RFC 4959, RFC 7628 §3.2. Exchange Online's OK to AUTHENTICATE tells no capabilities.
//! Clients such as Python's imaplib do not ask for them either but keep the list that they saw before,
//! which is ours: hence they are asked for here, so that the client's OK can tell them.

use bytes::BytesMut;

use super::wire::{Frame, Reply, Status, Text, frame};
use crate::{
    dialogue::{
        Capabilities, Ceilings, Known, Rejected, UpstreamDialogue, UpstreamLogin, UpstreamStep, Welcome, put,
    },
    failure::Failure,
    sasl::error_challenge,
};

/// The most bytes in one line of an upstream. What is said before a login is short: greetings,
/// capabilities, error challenges of a few hundred bytes. The longest line would be one that quotes our
/// own command, whose access token has several thousand, and this leaves it ample room.
const LONGEST_LINE: usize = 64 * 1024;

/// The most bytes that are kept for the client while the capabilities of the mailbox are awaited: some
/// notices (`* OK flood`), which fill a few hundred.
const MOST_KEPT: usize = 64 * 1024;

/// The half that faces the upstream.
pub struct Upstream {
    login: UpstreamLogin,
    commands: u32,
    state: State,
    /// What came behind the OK to AUTHENTICATE and is the client's: all but capabilities.
    kept: BytesMut,
    /// The response goes along with the command.
    initial_response: bool,
    /// What was found out by asking.
    learned: Option<Known>,
}

enum State {
    AwaitGreeting,
    AwaitStartTls,
    AwaitTls,
    /// The line is encrypted and nothing has been said on it.
    Encrypted,
    AwaitCapabilities {
        told: Option<Capabilities>,
    },
    /// The `+` that the response waits for where SASL-IR is not known.
    AwaitContinuation,
    /// The end of AUTHENTICATE.
    AwaitOutcome {
        /// The capabilities told since the command, and thus those of the opened mailbox.
        told: Option<Capabilities>,
        /// What the upstream had against the token, if it said so before it refused.
        challenge: Option<String>,
    },
    /// The mailbox is open, and its capabilities have been asked for.
    AwaitNewCapabilities {
        told: Option<Capabilities>,
        /// The words of the OK to AUTHENTICATE.
        text: String,
    },
    Over,
}

/// What a reply means where it is not the end.
enum Heard<'a> {
    Done(Text<'a>),
    Continue(&'a str),
    Told(Capabilities),
    Nothing,
}

impl Upstream {
    pub(super) fn new(login: UpstreamLogin) -> Self {
        Self {
            login,
            commands: 0,
            state: State::AwaitGreeting,
            kept: BytesMut::new(),
            initial_response: false,
            learned: None,
        }
    }

    /// Takes one reply; `None` where the next is due.
    fn reply(&mut self, reply: &[u8], out: &mut BytesMut) -> Result<Option<UpstreamStep>, Rejected> {
        let line = &String::from_utf8_lossy(reply);
        let heard = self.hear(line)?;
        match (&mut self.state, heard) {
            (State::AwaitGreeting, Heard::Done(text)) => self.greeted(text, out),
            (State::AwaitStartTls, Heard::Done(_)) => {
                self.state = State::AwaitTls;
                return Ok(Some(UpstreamStep::StartTls));
            }
            (State::AwaitCapabilities { told }, Heard::Done(text)) => {
                let told = text.capabilities().or_else(|| told.take()).unwrap_or_default();
                let initial_response = takes_initial_response(&told);
                self.learned = Some(Known { initial_response, capabilities: None });
                self.authenticate(initial_response, out);
            }
            (State::AwaitContinuation, Heard::Continue(_)) => self.respond(out),
            (State::AwaitOutcome { challenge: challenge @ None, .. }, Heard::Continue(said)) => {
                *challenge = Some(error_challenge(said));
                put(out, &[self.login.mechanism.acknowledgement()]);
            }
            (State::AwaitOutcome { told, .. }, Heard::Done(text)) => {
                let capabilities = text.capabilities().or_else(|| told.take());
                let known = || self.login.known.as_ref()?.capabilities.clone();
                let capabilities = capabilities.or_else(known);
                let text = self.login.redact(text.words());
                if capabilities.is_some() {
                    self.state = State::Over;
                    return Ok(Some(UpstreamStep::Ready(Welcome { text, capabilities })));
                }
                self.command("CAPABILITY", out);
                put(out, &[]);
                self.state = State::AwaitNewCapabilities { told: None, text };
            }
            (State::AwaitNewCapabilities { told, text: welcome }, Heard::Done(text)) => {
                let capabilities = text.capabilities().or_else(|| told.take());
                let text = std::mem::take(welcome);
                let initial_response = self.initial_response;
                self.learned = Some(Known { initial_response, capabilities: capabilities.clone() });
                self.state = State::Over;
                return Ok(Some(UpstreamStep::Ready(Welcome { text, capabilities })));
            }
            (
                State::AwaitCapabilities { told }
                | State::AwaitOutcome { told, .. }
                | State::AwaitNewCapabilities { told, .. },
                Heard::Told(list),
            ) => *told = Some(list),
            (State::AwaitNewCapabilities { .. }, Heard::Nothing) => self.keep(reply)?,
            (_, Heard::Told(_) | Heard::Nothing) => {}
            (_, Heard::Done(_) | Heard::Continue(_)) => {
                return Err(self.rejected(Failure::UpstreamViolation, line));
            }
        }
        Ok(None)
    }

    /// Keeps a reply that is the client's.
    ///
    /// Where there are too many the dialogue ends. Handing them on early would show the client the reply
    /// to our own command, which is still to come and has a tag that is none of the client's.
    fn keep(&mut self, reply: &[u8]) -> Result<(), Rejected> {
        if self.kept.len() + reply.len() > MOST_KEPT {
            let said = "more than 64 KiB before the reply to CAPABILITY";
            return Err(Rejected::new(Failure::UpstreamViolation, said));
        }
        self.kept.extend_from_slice(reply);
        Ok(())
    }

    /// Where the reply at the front of `input` ends; `None` while it is not whole.
    ///
    /// That is where its line ends, but for data of an open mailbox, which may hold literals (RFC 3501
    /// §4.3): what stands in them is no reply.
    fn end(&self, input: &[u8]) -> Result<Option<usize>, Rejected> {
        let too_long = || Rejected::new(Failure::UpstreamViolation, "a line longer than 64 KiB");
        let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        if end.unwrap_or(input.len()) > LONGEST_LINE {
            return Err(too_long());
        }
        let Some(end) = end else { return Ok(None) };
        let line = String::from_utf8_lossy(&input[..end]);
        if !self.is_open() || Reply::read(&line) != Some(Reply::Data) {
            return Ok(Some(end));
        }
        let ceilings = Ceilings { line: LONGEST_LINE, literal: MOST_KEPT, errors: 0, commands: 0 };
        match frame(input, ceilings, usize::MAX) {
            Ok(Frame::Whole(end)) => Ok(Some(end)),
            Ok(Frame::Partial) => Ok(None),
            Ok(Frame::Literal(_) | Frame::OversizedLiteral(_)) | Err(_) => Err(too_long()),
        }
    }

    /// Understands one line.
    ///
    /// # Errors
    /// For a refusal, a goodbye, and what has no place here.
    fn hear<'a>(&self, line: &'a str) -> Result<Heard<'a>, Rejected> {
        let greeting = matches!(self.state, State::AwaitGreeting);
        match Reply::read(line) {
            Some(Reply::Status(Status::Bye, _)) => Err(self.ended(line)),
            // A mailbox that is open already is open for somebody else than the token's owner.
            Some(Reply::Status(Status::Ok, text)) if greeting => Ok(Heard::Done(text)),
            Some(Reply::Tagged(tag, status, text)) if !greeting && tag == self.tag() => match status {
                Status::Ok => Ok(Heard::Done(text)),
                // The mailbox is open all the same.
                Status::No | Status::Bad if self.is_open() => Ok(Heard::Done(Text(""))),
                Status::No | Status::Bad | Status::Bye | Status::PreAuth => Err(self.refused(text, line)),
            },
            Some(Reply::Continue(text)) if !greeting => Ok(Heard::Continue(text)),
            Some(Reply::Capability(list)) if !greeting => Ok(Heard::Told(list)),
            Some(Reply::Status(_, text)) if !greeting => {
                Ok(text.capabilities().map_or(Heard::Nothing, Heard::Told))
            }
            Some(Reply::Data) if !greeting => Ok(Heard::Nothing),
            Some(_) | None => Err(self.rejected(Failure::UpstreamViolation, line)),
        }
    }

    fn greeted(&mut self, text: Text, out: &mut BytesMut) {
        if self.login.starttls {
            self.command("STARTTLS", out);
            put(out, &[]);
            self.state = State::AwaitStartTls;
        } else if let Some(told) = text.capabilities() {
            self.authenticate(takes_initial_response(&told), out);
        } else {
            self.ask(out);
        }
    }

    /// Asks what the upstream can, or goes on where that is known.
    fn ask(&mut self, out: &mut BytesMut) {
        if let Some(known) = self.login.known.clone() {
            self.authenticate(known.initial_response, out);
            return;
        }
        self.command("CAPABILITY", out);
        put(out, &[]);
        self.state = State::AwaitCapabilities { told: None };
    }

    /// The response goes along with the command where that is known (RFC 4959 §3): a round trip less.
    fn authenticate(&mut self, initial_response: bool, out: &mut BytesMut) {
        self.command("AUTHENTICATE ", out);
        out.extend_from_slice(self.login.mechanism.name().as_bytes());
        self.initial_response = initial_response;
        if initial_response {
            out.extend_from_slice(b" ");
            self.respond(out);
        } else {
            put(out, &[]);
            self.state = State::AwaitContinuation;
        }
    }

    fn respond(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(self.login.response.expose());
        put(out, &[]);
        self.state = State::AwaitOutcome { told: None, challenge: None };
    }

    /// Begins a command under a tag of its own.
    fn command(&mut self, name: &str, out: &mut BytesMut) {
        self.commands += 1;
        for part in [&self.tag(), " ", name] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::AwaitNewCapabilities { .. })
    }

    fn tag(&self) -> String {
        format!("F{}", self.commands)
    }

    /// A tagged NO or BAD. It is about the token only where the token was shown.
    fn refused(&self, text: Text, line: &str) -> Rejected {
        let failure = match self.state {
            _ if is_temporary(text) => Failure::UpstreamUnavailable,
            State::AwaitContinuation | State::AwaitOutcome { .. } => Failure::UpstreamRefused,
            State::AwaitGreeting
            | State::AwaitStartTls
            | State::AwaitTls
            | State::Encrypted
            | State::AwaitCapabilities { .. }
            | State::AwaitNewCapabilities { .. }
            | State::Over => Failure::UpstreamViolation,
        };
        self.rejected(failure, without_tag(line))
    }

    /// A BYE. After an error challenge it stands for the NO that the upstream did not care to say.
    fn ended(&self, line: &str) -> Rejected {
        let failure = match self.state {
            State::AwaitOutcome { challenge: Some(_), .. } => Failure::UpstreamRefused,
            State::AwaitGreeting
            | State::AwaitStartTls
            | State::AwaitTls
            | State::Encrypted
            | State::AwaitCapabilities { .. }
            | State::AwaitContinuation
            | State::AwaitOutcome { challenge: None, .. }
            | State::AwaitNewCapabilities { .. }
            | State::Over => Failure::UpstreamUnavailable,
        };
        self.rejected(failure, without_tag(line))
    }

    fn rejected(&self, failure: Failure, said: &str) -> Rejected {
        let challenge =
            if let State::AwaitOutcome { challenge, .. } = &self.state { challenge.as_deref() } else { None };
        self.login.rejected(failure, said, challenge)
    }
}

/// Whether a refusal is about the moment and not about the token: RFC 5530's codes for that, and the
/// words of Exchange Online (`Request is throttled`, `Server Unavailable. 15`) and Gmail.
fn is_temporary(text: Text) -> bool {
    const CODES: [&str; 4] = ["UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"];
    const WORDS: [&str; 3] =
        ["request is throttled", "server unavailable", "too many simultaneous connections"];
    let words = text.words().to_ascii_lowercase();
    CODES.iter().any(|code| code.eq_ignore_ascii_case(text.code()))
        || WORDS.iter().any(|known| words.contains(known))
}

fn takes_initial_response(told: &Capabilities) -> bool {
    told.0.iter().any(|name| name.eq_ignore_ascii_case("SASL-IR"))
}

fn without_tag(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, rest)| rest)
}

impl UpstreamDialogue for Upstream {
    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<UpstreamStep, Rejected> {
        if let State::Encrypted = self.state {
            self.ask(out);
        }
        while !matches!(self.state, State::AwaitTls | State::Over) {
            let Some(end) = self.end(input)? else { break };
            let reply = input.split_to(end);
            if let Some(step) = self.reply(&reply, out)? {
                if !self.kept.is_empty() {
                    let rest = input.split();
                    *input = std::mem::take(&mut self.kept);
                    input.unsplit(rest);
                }
                return Ok(step);
            }
        }
        Ok(UpstreamStep::NeedInput)
    }

    fn tls_started(&mut self) {
        self.state = State::Encrypted;
    }

    fn learned(&self) -> Option<Known> {
        self.learned.clone()
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitGreeting => "await-greeting",
            State::AwaitStartTls => "await-starttls",
            State::AwaitTls => "await-tls",
            State::Encrypted => "encrypted",
            State::AwaitCapabilities { .. } => "await-capabilities",
            State::AwaitContinuation => "await-continuation",
            State::AwaitOutcome { .. } => "await-outcome",
            State::AwaitNewCapabilities { .. } => "await-new-capabilities",
            State::Over => "over",
        }
    }
}
