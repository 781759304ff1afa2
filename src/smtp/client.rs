//! The bridge as an SMTP server, from the greeting to the credentials.

use bytes::BytesMut;

use super::{
    reply,
    wire::{Command, From, Verb},
};
use crate::{
    dialogue::{
        Afterwards, Ceilings, ClientDialogue, ClientStep, Dismissal, Offer, Taken, Violation, Welcome, put,
    },
    failure::{Refusal, printable},
    sasl::{ClientMechanism, Exchange, Turn},
};

/// The half that faces the client.
pub struct Client {
    offer: Offer,
    ceilings: Ceilings,
    errors: u32,
    commands: u32,
    introduced_as: String,
    state: State,
}

enum State {
    AwaitCommand,
    /// A line of base64 is due (RFC 4954 §4).
    AwaitResponse {
        exchange: Exchange,
    },
    /// A chunk of a message that will not be taken is on its way.
    AwaitChunk {
        octets: usize,
    },
    AwaitTls,
    /// Credentials are out for a decision.
    AwaitVerdict,
    /// So is the sender of a MAIL, whose line is still in the input.
    AwaitMailVerdict {
        octets: usize,
    },
    /// A MAIL that has been answered is still in the input.
    Answered {
        octets: usize,
    },
    Over,
}

impl Client {
    pub(super) fn new(offer: Offer, ceilings: Ceilings) -> Self {
        Self {
            offer,
            ceilings,
            errors: 0,
            commands: 0,
            introduced_as: String::new(),
            state: State::AwaitCommand,
        }
    }

    /// Takes one command; `None` where it was answered and the next one is due.
    fn command(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        Violation::unless_familiar(input)?;
        if let Some(step) = self.mail_by_address(input)? {
            return Ok(Some(step));
        }
        let Some(line) = Taken::line(input, self.ceilings.line)? else {
            return Ok(Some(ClientStep::NeedInput));
        };
        self.count()?;
        let command = Command::read(&line);
        match command.verb {
            Verb::Ehlo => self.ehlo(&command, out),
            Verb::Helo => {
                command.domain().clone_into(&mut self.introduced_as);
                put(out, &["250 footbridge"]);
            }
            Verb::Noop | Verb::Rset => put(out, &["250 2.0.0 OK"]),
            Verb::Help => put(out, &["214 2.0.0 Log in with AUTH PLAIN or AUTH LOGIN"]),
            Verb::Vrfy => put(out, &["252 2.0.0 Cannot verify"]),
            Verb::Quit => {
                put(out, &["221 2.0.0 Bye"]);
                self.state = State::Over;
                return Ok(Some(ClientStep::Leave));
            }
            Verb::StartTls => return self.starttls(&command, out),
            Verb::Auth => return self.auth(&command, out),
            Verb::Bdat => return self.bdat(&command, out),
            Verb::Mail if self.offer.by_address => {
                return self.err("501 5.5.4 Write MAIL FROM:<address>", out);
            }
            Verb::Rcpt | Verb::Data if self.offer.by_address => return self.err("503 5.5.1 MAIL first", out),
            Verb::Mail | Verb::Rcpt | Verb::Data | Verb::Expn | Verb::Other => {
                return self.err(self.login_first(), out);
            }
            Verb::Unknown => return self.err("500 5.5.1 Unknown command", out),
        }
        Ok(None)
    }

    /// Reads a MAIL of a client that is known by its address, and leaves it where it is: who takes the mail
    /// has to see it.
    fn mail_by_address(&mut self, input: &BytesMut) -> Result<Option<ClientStep>, Violation> {
        let end = input.iter().take(self.ceilings.line).position(|&byte| byte == b'\n');
        let Some(octets) = end.map(|at| at + 1).filter(|_| self.offer.by_address) else { return Ok(None) };
        let command = Command::read(&input[..octets]);
        let Some(from) = From::read(&command).filter(|_| command.verb == Verb::Mail) else { return Ok(None) };
        self.count()?;
        self.state = State::AwaitMailVerdict { octets };
        Ok(Some(ClientStep::Sender(from.sender)))
    }

    /// `ehlo-ok-rsp`, RFC 5321 §4.1.1.1. The bridge has no host name of its own to tell.
    fn ehlo(&mut self, command: &Command, out: &mut BytesMut) {
        command.domain().clone_into(&mut self.introduced_as);
        let mut lines = vec!["footbridge".to_owned()];
        lines.extend(self.offer.capabilities.0.iter().map(|line| printable(line)));
        if self.offer.starttls {
            lines.push("STARTTLS".to_owned());
        }
        if self.offer.login {
            // Outlook Express and devices of its time look for the form of the drafts before RFC 2554.
            lines.push("AUTH=PLAIN LOGIN".to_owned());
            lines.push("AUTH PLAIN LOGIN".to_owned());
        }
        let last = lines.len() - 1;
        for (number, line) in lines.iter().enumerate() {
            put(out, &[if number < last { "250-" } else { "250 " }, line]);
        }
    }

    /// RFC 3207 §4.
    fn starttls(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        if !command.words().is_empty() {
            return self.err("501 5.5.4 STARTTLS takes no parameters", out);
        }
        if !self.offer.starttls {
            return self.err("503 5.5.1 STARTTLS is not offered", out);
        }
        put(out, &["220 2.0.0 Ready to start TLS"]);
        self.state = State::AwaitTls;
        Ok(Some(ClientStep::StartTls))
    }

    /// `"AUTH" SP mechanism [SP initial-response]`, RFC 4954 §4; after HELO or neither, as old devices
    /// do it.
    fn auth(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        if !self.offer.login {
            return self.err("538 5.7.11 No login without TLS", out);
        }
        let (mechanism, initial) = match *command.words().as_slice() {
            [mechanism] => (mechanism, None),
            [mechanism, initial] => (mechanism, Some(initial)),
            _ => return self.err("501 5.5.4 AUTH takes a mechanism", out),
        };
        let Some(mechanism) = ClientMechanism::from_name(mechanism) else {
            return self.err("504 5.5.4 This mechanism is not offered", out);
        };
        let (exchange, turn) = Exchange::begin(mechanism, initial);
        self.state = State::AwaitResponse { exchange };
        self.turn(turn, out)
    }

    /// Goes on after a response: the state stays what it is until the exchange is over.
    fn turn(&mut self, turn: Turn, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        match turn {
            Turn::Challenge(challenge) => {
                put(out, &["334 ", challenge]);
                Ok(None)
            }
            Turn::Credentials(credentials) => {
                self.state = State::AwaitVerdict;
                Ok(Some(ClientStep::Credentials(credentials)))
            }
            Turn::Cancelled => {
                self.state = State::AwaitCommand;
                self.err("501 5.7.0 Authentication cancelled", out)
            }
            Turn::Malformed => {
                self.state = State::AwaitCommand;
                self.err("501 5.5.2 Cannot decode the response", out)
            }
        }
    }

    /// RFC 3030 §2: the chunk comes without waiting for a reply, which is due when it has come.
    fn bdat(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        match command.chunk() {
            None => self.err("501 5.5.4 BDAT takes a size", out),
            Some(octets) if octets > self.ceilings.literal => {
                Err(Violation::LiteralTooLong(self.ceilings.literal))
            }
            Some(octets) => {
                self.state = State::AwaitChunk { octets };
                Ok(None)
            }
        }
    }

    /// Drops what has come of a chunk of which `octets` are due.
    fn chunk(
        &mut self,
        octets: usize,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<ClientStep>, Violation> {
        let dropped = Taken::off(input, octets).len();
        if dropped < octets {
            self.state = State::AwaitChunk { octets: octets - dropped };
            return Ok(Some(ClientStep::NeedInput));
        }
        self.state = State::AwaitCommand;
        self.err(self.login_first(), out)
    }

    /// RFC 4954 §6, and RFC 3207 §4 where that is the first thing to do.
    fn login_first(&self) -> &'static str {
        if self.offer.login {
            "530 5.7.0 Authentication required"
        } else {
            "530 5.7.0 Must issue a STARTTLS command first"
        }
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
    fn err(&mut self, reply: &str, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        self.errors += 1;
        if self.errors > self.ceilings.errors {
            return Err(Violation::TooManyErrors(self.ceilings.errors));
        }
        put(out, &[reply]);
        Ok(None)
    }
}

impl ClientDialogue for Client {
    fn greet(&mut self, out: &mut BytesMut) {
        put(out, &["220 footbridge ESMTP ready"]);
    }

    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<ClientStep, Violation> {
        loop {
            let step = match &mut self.state {
                State::AwaitCommand => self.command(input, out)?,
                State::AwaitResponse { exchange } => match Taken::line(input, self.ceilings.line)? {
                    Some(line) => {
                        let turn = exchange.respond(&line);
                        self.turn(turn, out)?
                    }
                    None => Some(ClientStep::NeedInput),
                },
                &mut State::AwaitChunk { octets } => self.chunk(octets, input, out)?,
                &mut State::Answered { octets } => {
                    let _ = Taken::off(input, octets);
                    self.state = State::AwaitCommand;
                    None
                }
                State::AwaitTls | State::AwaitVerdict | State::AwaitMailVerdict { .. } | State::Over => {
                    Some(ClientStep::NeedInput)
                }
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// RFC 3207 §4.2: the server "MUST discard any knowledge obtained from the client, such as the
    /// argument to the EHLO command".
    fn tls_started(&mut self, offer: Offer) {
        self.offer = offer;
        self.introduced_as.clear();
        self.state = State::AwaitCommand;
    }

    fn accept(&mut self, _welcome: &Welcome, out: &mut BytesMut) {
        // Mail is answered by who takes it.
        if !matches!(self.state, State::AwaitMailVerdict { .. }) {
            reply::welcome(out);
        }
        self.state = State::Over;
    }

    fn reject(&mut self, refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
        if let State::AwaitMailVerdict { octets } = self.state {
            self.state = State::Answered { octets };
            return reply::no_mail(refusal, out);
        }
        self.state = State::AwaitCommand;
        reply::refusal(refusal, out)
    }

    fn dismiss(&mut self, reason: Dismissal, out: &mut BytesMut) {
        self.state = State::Over;
        reply::dismissal(reason, out);
    }

    fn introduced_as(&self) -> &str {
        &self.introduced_as
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitCommand => "await-command",
            State::AwaitResponse { .. } => "await-response",
            State::AwaitChunk { .. } => "await-chunk",
            State::AwaitTls => "await-tls",
            State::AwaitVerdict | State::AwaitMailVerdict { .. } => "await-verdict",
            State::Answered { .. } => "answered",
            State::Over => "over",
        }
    }
}
