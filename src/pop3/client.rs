//! The bridge as a POP3 server, from the greeting to the credentials.
//!
//! RFC 1939 §4, the AUTHORIZATION state, and nothing of the later ones.

use bytes::BytesMut;

use super::{
    reply,
    wire::{Command, Verb},
};
use crate::{
    dialogue::{
        Afterwards, Ceilings, ClientDialogue, ClientStep, Dismissal, Offer, Taken, Violation, Welcome, put,
    },
    failure::{Refusal, printable},
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
    /// A name was told, and its password is due. Other commands may come before.
    AwaitPass {
        username: Vec<u8>,
    },
    /// A line of base64 is due (RFC 5034 §4).
    AwaitResponse {
        exchange: Exchange,
    },
    AwaitTls,
    /// Credentials are out for a decision.
    AwaitVerdict,
    Over,
}

impl Client {
    pub(super) fn new(offer: Offer, ceilings: Ceilings) -> Self {
        Self { offer, ceilings, errors: 0, commands: 0, state: State::AwaitCommand }
    }

    /// Takes one command; `None` where it was answered and the next one is due.
    fn command(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        Violation::unless_familiar(input)?;
        let Some(line) = Taken::line(input, self.ceilings.line)? else {
            return Ok(Some(ClientStep::NeedInput));
        };
        self.count()?;
        let command = Command::read(&line);
        match command.verb {
            Verb::Capa => self.capa(out),
            Verb::Quit => {
                put(out, &["+OK bye"]);
                self.state = State::Over;
                return Ok(Some(ClientStep::Leave));
            }
            Verb::Stls => return self.stls(out),
            Verb::User | Verb::Pass | Verb::Auth if !self.offer.login => {
                return self.err(self.no_login(), out);
            }
            Verb::User => return self.user(&command, out),
            Verb::Pass => return self.pass(&command, out),
            Verb::Auth => return self.auth(&command, out),
            Verb::Apop => return self.err("APOP is not offered, log in with USER and PASS", out),
            Verb::Mailbox => return self.err("log in first", out),
            Verb::Unknown => return self.err("unknown command", out),
        }
        Ok(None)
    }

    /// RFC 2449 §5. What a client cannot log in with is not in the list.
    fn capa(&self, out: &mut BytesMut) {
        put(out, &["+OK capabilities follow"]);
        for line in &self.offer.capabilities.0 {
            put(out, &[&printable(line)]);
        }
        if self.offer.login {
            put(out, &["USER"]);
            put(out, &["SASL PLAIN LOGIN"]);
        }
        if self.offer.starttls {
            put(out, &["STLS"]);
        }
        for line in ["RESP-CODES", "AUTH-RESP-CODE", "."] {
            put(out, &[line]);
        }
    }

    /// RFC 2595 §4.
    fn stls(&mut self, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        if !self.offer.starttls {
            return self.err("STLS is not offered", out);
        }
        put(out, &["+OK begin TLS"]);
        self.state = State::AwaitTls;
        Ok(Some(ClientStep::StartTls))
    }

    /// Any name is fine until its password comes: who asks learns nothing (RFC 1939 §13).
    fn user(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        let Some(username) = command.trimmed() else {
            return self.err("USER takes a name", out);
        };
        self.state = State::AwaitPass { username: username.to_vec() };
        put(out, &["+OK now the password"]);
        Ok(None)
    }

    fn pass(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        let State::AwaitPass { username } = &self.state else {
            return self.err("USER comes before PASS", out);
        };
        let Some(password) = command.whole() else {
            return self.err("PASS takes a password", out);
        };
        let credentials = Credentials::new(username, password);
        self.state = State::AwaitVerdict;
        Ok(Some(ClientStep::Credentials(credentials)))
    }

    /// `"AUTH" SP mechanism [SP initial-response]`, RFC 5034 §4. AUTH alone lists the mechanisms, as clients
    /// of before RFC 2449 ask.
    fn auth(&mut self, command: &Command, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        let (mechanism, initial) = match *command.words().as_slice() {
            [] => {
                for line in ["+OK mechanisms follow", "PLAIN", "LOGIN", "."] {
                    put(out, &[line]);
                }
                return Ok(None);
            }
            [mechanism] => (mechanism, None),
            [mechanism, initial] => (mechanism, Some(initial)),
            _ => return self.err("AUTH takes a mechanism", out),
        };
        let Some(mechanism) = ClientMechanism::from_name(mechanism) else {
            return self.err("this mechanism is not offered", out);
        };
        let (exchange, turn) = Exchange::begin(mechanism, initial);
        self.state = State::AwaitResponse { exchange };
        self.turn(turn, out)
    }

    /// Goes on after a response: the state stays what it is until the exchange is over.
    fn turn(&mut self, turn: Turn, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        match turn {
            Turn::Challenge(challenge) => {
                put(out, &["+ ", challenge]);
                Ok(None)
            }
            Turn::Credentials(credentials) => {
                self.state = State::AwaitVerdict;
                Ok(Some(ClientStep::Credentials(credentials)))
            }
            Turn::Cancelled => {
                self.state = State::AwaitCommand;
                self.err("authentication cancelled", out)
            }
            Turn::Malformed => {
                self.state = State::AwaitCommand;
                self.err("cannot decode the response", out)
            }
        }
    }

    /// What is in the way of a login: nothing that a person would take for a wrong password.
    fn no_login(&self) -> &'static str {
        if self.offer.starttls { "must issue STLS first" } else { "no login without TLS" }
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
    fn err(&mut self, text: &str, out: &mut BytesMut) -> Result<Option<ClientStep>, Violation> {
        self.errors += 1;
        if self.errors > self.ceilings.errors {
            return Err(Violation::TooManyErrors(self.ceilings.errors));
        }
        put(out, &["-ERR ", text]);
        Ok(None)
    }
}

impl ClientDialogue for Client {
    /// Without a time stamp, which would offer APOP (RFC 1939 §7): its check needs the password in clear.
    fn greet(&mut self, out: &mut BytesMut) {
        put(out, &["+OK Footbridge ready"]);
    }

    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<ClientStep, Violation> {
        loop {
            let step = match &mut self.state {
                State::AwaitCommand | State::AwaitPass { .. } => self.command(input, out)?,
                State::AwaitResponse { exchange } => match Taken::line(input, self.ceilings.line)? {
                    Some(line) => {
                        let turn = exchange.respond(&line);
                        self.turn(turn, out)?
                    }
                    None => Some(ClientStep::NeedInput),
                },
                State::AwaitTls | State::AwaitVerdict | State::Over => Some(ClientStep::NeedInput),
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
        self.state = State::Over;
        reply::welcome(welcome, out);
    }

    fn reject(&mut self, refusal: &Refusal, out: &mut BytesMut) -> Afterwards {
        self.state = State::AwaitCommand;
        reply::refusal(refusal, out)
    }

    fn dismiss(&mut self, reason: Dismissal, out: &mut BytesMut) {
        self.state = State::Over;
        reply::dismissal(reason, out);
    }

    /// POP3 clients do not introduce themselves.
    fn introduced_as(&self) -> &'static str {
        ""
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitCommand => "await-command",
            State::AwaitPass { .. } => "await-pass",
            State::AwaitResponse { .. } => "await-response",
            State::AwaitTls => "await-tls",
            State::AwaitVerdict => "await-verdict",
            State::Over => "over",
        }
    }
}
