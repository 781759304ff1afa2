//! The bridge as an IMAP server, from the greeting to the credentials.
//!
//! RFC 3501 §3.1, the not authenticated state, and nothing of the later ones.

use bytes::BytesMut;

use super::{
    reply,
    wire::{self, Command, Frame, Verb},
};
use crate::{
    dialogue::{
        Afterwards, Ceilings, ClientDialogue, ClientStep, Dismissal, Offer, Taken, Violation, Welcome, put,
    },
    failure::Refusal,
    sasl::{ClientMechanism, Credentials, Exchange, Turn},
};

/// The half that faces the client.
pub struct Client {
    offer: Offer,
    ceilings: Ceilings,
    errors: u32,
    commands: u32,
    state: State,
}

enum State {
    AwaitCommand,
    /// A command has begun; `asked` of its literals have had their `+`.
    AwaitLiteral {
        asked: usize,
    },
    /// A line of base64 is due (RFC 3501 §6.2.2).
    AwaitResponse {
        tag: String,
        exchange: Exchange,
    },
    AwaitTls,
    /// Credentials are out for a decision.
    AwaitVerdict {
        tag: String,
    },
    Over,
}

impl Client {
    pub(super) fn new(offer: Offer, ceilings: Ceilings) -> Self {
        Self { offer, ceilings, errors: 0, commands: 0, state: State::AwaitCommand }
    }

    /// Takes one command; `None` where it was answered and the next one is due.
    fn command(
        &mut self,
        asked: usize,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<ClientStep>, Violation> {
        Violation::unless_familiar(input)?;
        let end = match wire::frame(input, self.ceilings, asked)? {
            Frame::Partial => return Ok(Some(ClientStep::NeedInput)),
            Frame::Literal(end) if self.wants_literals(&input[..end]) => {
                put(out, &["+ go ahead"]);
                self.state = State::AwaitLiteral { asked: asked + 1 };
                return Ok(None);
            }
            Frame::OversizedLiteral(end) if self.wants_literals(&input[..end]) => {
                self.state = State::AwaitCommand;
                let taken = Taken::off(input, end);
                let tag = Command::read(&taken).map_or("*", |command| command.tag);
                return self.err(tag, "BAD [TOOBIG] literal too long", out);
            }
            Frame::Literal(end) | Frame::OversizedLiteral(end) | Frame::Whole(end) => end,
        };
        self.state = State::AwaitCommand;
        let taken = Taken::off(input, end);
        self.count()?;
        match Command::read(&taken) {
            Some(command) => self.obey(&command, out),
            None if taken.trim_ascii().is_empty() => Ok(None),
            None => self.err("*", "BAD no tag", out),
        }
    }

    /// Whether a command may go on after its first lines. One that will be refused is refused before
    /// its literals are sent, and with them a password on a line that policy calls public.
    fn wants_literals(&self, begun: &[u8]) -> bool {
        Command::read(begun).is_some_and(|command| match command.verb {
            Verb::Login | Verb::Authenticate => self.offer.login,
            Verb::Id => true,
            Verb::Capability | Verb::Noop | Verb::Logout | Verb::StartTls | Verb::Mailbox | Verb::Unknown => {
                false
            }
        })
    }

    fn obey(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        let tag = command.tag;
        match command.verb {
            Verb::Capability => {
                put(out, &["* CAPABILITY ", &self.capabilities()]);
                put(out, &[tag, " OK CAPABILITY completed"]);
            }
            Verb::Noop => put(out, &[tag, " OK NOOP completed"]),
            Verb::Id => {
                put(out, &["* ID (\"name\" \"Footbridge\")"]);
                put(out, &[tag, " OK ID completed"]);
            }
            Verb::Logout => {
                put(out, &["* BYE logging out"]);
                put(out, &[tag, " OK LOGOUT completed"]);
                self.state = State::Over;
                return Ok(Some(ClientStep::Leave));
            }
            Verb::StartTls if self.offer.starttls => {
                put(out, &[tag, " OK begin TLS"]);
                self.state = State::AwaitTls;
                return Ok(Some(ClientStep::StartTls));
            }
            Verb::StartTls => return self.err(tag, "BAD STARTTLS is not offered", out),
            Verb::Login | Verb::Authenticate if !self.offer.login => {
                return self.err(tag, "NO [PRIVACYREQUIRED] no login without TLS", out);
            }
            Verb::Login => return self.login(command, out),
            Verb::Authenticate => return self.authenticate(command, out),
            Verb::Mailbox => return self.err(tag, "BAD log in first", out),
            Verb::Unknown => return self.err(tag, "BAD unknown command", out),
        }
        Ok(None)
    }

    /// `login = "LOGIN" SP userid SP password`, RFC 3501 §6.2.3.
    fn login(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        let strings = command.strings().unwrap_or_default();
        let [username, password] = strings.as_slice() else {
            return self.err(command.tag, "BAD LOGIN takes a username and a password", out);
        };
        let credentials = Credentials::new(username, password.to_vec());
        Ok(Some(self.shown(command.tag, credentials)))
    }

    /// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-response]`, RFC 4959 §7.
    fn authenticate(
        &mut self,
        command: &Command,
        out: &mut BytesMut,
    ) -> Result<Option<ClientStep>, Violation> {
        let strings = command.strings().unwrap_or_default();
        let (mechanism, initial) = match strings.as_slice() {
            [mechanism] => (mechanism, None),
            [mechanism, initial] => (mechanism, Some(initial)),
            _ => return self.err(command.tag, "BAD AUTHENTICATE takes a mechanism", out),
        };
        let Some(mechanism) = ClientMechanism::from_name(mechanism) else {
            return self.err(command.tag, "NO [CANNOT] this mechanism is not offered", out);
        };
        let (exchange, turn) = Exchange::begin(mechanism, initial.map(|initial| initial.as_slice()));
        self.state = State::AwaitResponse { tag: command.tag.to_owned(), exchange };
        self.turn(command.tag, turn, out)
    }

    /// Goes on after a response: the state stays what it is until the exchange is over.
    fn turn(&mut self, tag: &str, turn: Turn, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        match turn {
            Turn::Challenge(challenge) => {
                put(out, &["+ ", challenge]);
                Ok(None)
            }
            Turn::Credentials(credentials) => Ok(Some(self.shown(tag, credentials))),
            Turn::Cancelled => {
                self.state = State::AwaitCommand;
                self.err(tag, "BAD authentication cancelled", out)
            }
            Turn::Malformed => {
                self.state = State::AwaitCommand;
                self.err(tag, "BAD the response cannot be decoded", out)
            }
        }
    }

    fn shown(&mut self, tag: &str, credentials: Credentials) -> ClientStep {
        self.state = State::AwaitVerdict { tag: tag.to_owned() };
        ClientStep::Credentials(credentials)
    }

    /// Counts a command, whatever it is, until there were too many.
    fn count(&mut self) -> Result<(), Violation> {
        self.commands += 1;
        if self.commands > self.ceilings.commands {
            return Err(Violation::TooManyCommands(self.ceilings.commands));
        }
        Ok(())
    }

    /// Answers a command that was not understood or is not allowed, until there were too many.
    fn err(&mut self, tag: &str, text: &str, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        self.errors += 1;
        if self.errors > self.ceilings.errors {
            return Err(Violation::TooManyErrors(self.ceilings.errors));
        }
        put(out, &[tag, " ", text]);
        Ok(None)
    }

    /// What may be said before a login: RFC 3501 §7.2.1, with §6.2.3's LOGINDISABLED.
    fn capabilities(&self) -> String {
        let login = if self.offer.login { "AUTH=PLAIN AUTH=LOGIN" } else { "LOGINDISABLED" };
        let starttls = if self.offer.starttls { " STARTTLS" } else { "" };
        format!("IMAP4rev1 LITERAL+ SASL-IR ID {login}{starttls}")
    }

    /// The tag of the credentials that are out for a decision. Without such there is nobody to answer,
    /// and an untagged reply does the least harm.
    fn close_verdict(&mut self, next: State) -> String {
        match std::mem::replace(&mut self.state, next) {
            State::AwaitVerdict { tag } => tag,
            State::AwaitCommand
            | State::AwaitLiteral { .. }
            | State::AwaitResponse { .. }
            | State::AwaitTls
            | State::Over => "*".to_owned(),
        }
    }
}

impl ClientDialogue for Client {
    fn greet(&mut self, out: &mut BytesMut) {
        put(out, &["* OK [CAPABILITY ", &self.capabilities(), "] Footbridge ready"]);
    }

    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<ClientStep, Violation> {
        loop {
            let step = match &mut self.state {
                State::AwaitCommand => self.command(0, input, out)?,
                &mut State::AwaitLiteral { asked } => self.command(asked, input, out)?,
                State::AwaitResponse { tag, exchange } => match Taken::line(input, self.ceilings.line)? {
                    Some(line) => {
                        let (tag, turn) = (tag.clone(), exchange.respond(&line));
                        self.turn(&tag, turn, out)?
                    }
                    None => Some(ClientStep::NeedInput),
                },
                State::AwaitTls | State::AwaitVerdict { .. } | State::Over => Some(ClientStep::NeedInput),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn tls_started(&mut self, offer: Offer) {
        self.offer = offer;
        self.state = State::AwaitCommand;
    }

    fn accept(&mut self, welcome: &Welcome, out: &mut BytesMut) {
        let tag = self.close_verdict(State::Over);
        reply::welcome(&tag, welcome, out);
    }

    fn reject(&mut self, refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
        let tag = self.close_verdict(State::AwaitCommand);
        reply::refusal(&tag, refusal, out)
    }

    fn dismiss(&mut self, reason: Dismissal, out: &mut BytesMut) {
        self.state = State::Over;
        reply::dismissal(reason, out);
    }

    /// IMAP clients do not introduce themselves in a way that the upstream would want to know.
    fn introduced_as(&self) -> &'static str {
        ""
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitCommand => "await-command",
            State::AwaitLiteral { .. } => "await-literal",
            State::AwaitResponse { .. } => "await-response",
            State::AwaitTls => "await-tls",
            State::AwaitVerdict { .. } => "await-verdict",
            State::Over => "over",
        }
    }
}
