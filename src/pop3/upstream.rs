//! The bridge as a POP3 client, from the upstream's greeting to the end of AUTH.
//!
//! RFC 1939 §4, RFC 2595 §4, RFC 5034 §4, RFC 7628 §3.2. Few tokens are short enough for the line of AUTH, and none of
//! Exchange Online's, which takes the response on a line of its own alone (Microsoft, "Authenticate an IMAP, POP or SMTP
//! connection using OAuth").

use bytes::BytesMut;

use super::wire::{Reply, code};
use crate::{
    dialogue::{Known, Rejected, UpstreamDialogue, UpstreamLogin, UpstreamStep, Welcome, put},
    failure::Failure,
    sasl::error_challenge,
};

/// The most octets of a command, its end included (RFC 2449 §4, RFC 5034 §4).
const LONGEST_COMMAND: usize = 255;

/// The half that faces the upstream.
pub struct Upstream {
    login: UpstreamLogin,
    state: State,
}

enum State {
    AwaitGreeting,
    AwaitStartTls,
    AwaitTls,
    /// The line is encrypted and nothing has been said on it.
    Encrypted,
    /// The `+` that the response waits for where it is too long for the line of AUTH.
    AwaitChallenge,
    /// The end of AUTH.
    AwaitOutcome {
        /// The response went along with AUTH, and has not been asked for all the same.
        went_along: bool,
        /// What the upstream had against the token, if it said so before it refused.
        challenge: Option<String>,
    },
    Over,
}

impl Upstream {
    pub(super) fn new(login: UpstreamLogin) -> Self {
        Self { login, state: State::AwaitGreeting }
    }

    /// Takes one reply; `None` where the next is due.
    fn reply(&mut self, reply: Reply, out: &mut BytesMut) -> Result<Option<UpstreamStep>, Rejected> {
        match (&mut self.state, reply) {
            (State::AwaitGreeting, Reply::Ok(_)) if self.login.starttls => {
                put(out, &["STLS"]);
                self.state = State::AwaitStartTls;
            }
            (State::AwaitGreeting, Reply::Ok(_)) => self.auth(out),
            (State::AwaitStartTls, Reply::Ok(_)) => {
                self.state = State::AwaitTls;
                return Ok(Some(UpstreamStep::StartTls));
            }
            (State::AwaitChallenge, Reply::Continue(_)) => {
                self.login.respond(out);
                self.state = State::AwaitOutcome { went_along: false, challenge: None };
            }
            // An error challenge says something (RFC 7628 §3.2.2). This one has not seen the response.
            (
                State::AwaitOutcome { went_along: went_along @ true, challenge: None },
                Reply::Continue(said),
            ) if said.is_empty() => {
                *went_along = false;
                self.login.respond(out);
            }
            (State::AwaitOutcome { challenge: challenge @ None, .. }, Reply::Continue(said)) => {
                *challenge = Some(error_challenge(&said));
                put(out, &[self.login.mechanism.acknowledgement()]);
            }
            (State::AwaitOutcome { .. }, Reply::Ok(text)) => {
                let text = self.login.redact(&text);
                self.state = State::Over;
                return Ok(Some(UpstreamStep::Ready(Welcome { text, capabilities: None })));
            }
            (_, Reply::Err(text)) => return Err(self.refused(&text)),
            (_, reply @ (Reply::Ok(_) | Reply::Continue(_))) => {
                return Err(self.rejected(Failure::UpstreamViolation, &reply.said()));
            }
        }
        Ok(None)
    }

    fn auth(&mut self, out: &mut BytesMut) {
        self.state = if self.login.authenticate("AUTH", LONGEST_COMMAND, out) {
            State::AwaitOutcome { went_along: true, challenge: None }
        } else {
            State::AwaitChallenge
        };
    }

    /// What a `-ERR` means. It is about the token only where that was about to be shown; where it went along with AUTH,
    /// one that is about the mechanism is not told apart.
    fn refused(&self, text: &str) -> Rejected {
        let said = Reply::Err(text.to_owned()).said();
        match self.state {
            State::AwaitGreeting => self.rejected(Failure::UpstreamUnavailable, &said),
            _ if is_temporary(text) => self.rejected(Failure::UpstreamUnavailable, &said),
            State::AwaitChallenge => {
                let mechanism = self.login.mechanism.name();
                self.rejected(Failure::UpstreamRefused, &format!("AUTH {mechanism} refused: {said}"))
            }
            State::AwaitOutcome { .. } => self.rejected(Failure::UpstreamRefused, &said),
            State::AwaitStartTls | State::AwaitTls | State::Encrypted | State::Over => {
                self.rejected(Failure::UpstreamViolation, &said)
            }
        }
    }

    fn rejected(&self, failure: Failure, said: &str) -> Rejected {
        let challenge =
            if let State::AwaitOutcome { challenge, .. } = &self.state { challenge.as_deref() } else { None };
        self.login.rejected(failure, said, challenge)
    }
}

/// Whether a refusal is about the moment and not about the token: the response codes for that (RFC 2449 §8.1, RFC
/// 3206 §4), and the words of Exchange Online (`Server Unavailable. 21`) and Gmail.
fn is_temporary(text: &str) -> bool {
    const CODES: [&str; 3] = ["SYS/TEMP", "IN-USE", "LOGIN-DELAY"];
    const WORDS: [&str; 3] =
        ["request is throttled", "server unavailable", "too many simultaneous connections"];
    let words = text.to_ascii_lowercase();
    CODES.iter().any(|known| known.eq_ignore_ascii_case(code(text)))
        || WORDS.iter().any(|known| words.contains(known))
}

impl UpstreamDialogue for Upstream {
    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<UpstreamStep, Rejected> {
        if let State::Encrypted = self.state {
            self.auth(out);
        }
        while !matches!(self.state, State::AwaitTls | State::Over) {
            let taken =
                Reply::take(input).map_err(|said| self.rejected(Failure::UpstreamViolation, &said))?;
            let Some(reply) = taken else { break };
            if let Some(step) = self.reply(reply, out)? {
                return Ok(step);
            }
        }
        Ok(UpstreamStep::NeedInput)
    }

    fn tls_started(&mut self) {
        self.state = State::Encrypted;
    }

    /// Nothing is asked.
    fn learned(&self) -> Option<Known> {
        None
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitGreeting => "await-greeting",
            State::AwaitStartTls => "await-starttls",
            State::AwaitTls => "await-tls",
            State::Encrypted => "encrypted",
            State::AwaitChallenge => "await-challenge",
            State::AwaitOutcome { .. } => "await-outcome",
            State::Over => "over",
        }
    }
}

/// What a maildrop holds, RFC 1939 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// How many messages.
    pub messages: u64,
    /// Their bytes together.
    pub octets: u64,
}

impl Stat {
    /// Asks a maildrop that was opened.
    pub fn ask(out: &mut BytesMut) {
        put(out, &["STAT"]);
    }

    /// Takes the answer off the front of `input`; `None` while it is not whole.
    ///
    /// # Errors
    /// What was said instead.
    pub fn answer(input: &mut BytesMut) -> Option<Result<Self, String>> {
        let reply = match Reply::take(input) {
            Ok(reply) => reply?,
            Err(said) => return Some(Err(said)),
        };
        let mut numbers = match &reply {
            Reply::Ok(text) => text.split_ascii_whitespace().map_while(|word| word.parse().ok()),
            Reply::Err(_) | Reply::Continue(_) => return Some(Err(reply.said())),
        };
        let stat = numbers.next().zip(numbers.next());
        Some(stat.map(|(messages, octets)| Self { messages, octets }).ok_or_else(|| reply.said()))
    }

    /// Says goodbye.
    pub fn leave(out: &mut BytesMut) {
        put(out, &["QUIT"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_tells_how_much_it_holds() {
        let stat = |text: &str| Stat::answer(&mut BytesMut::from(text));
        assert_eq!(stat("+OK 2 320\r\n"), Some(Ok(Stat { messages: 2, octets: 320 })));
        assert_eq!(stat("+OK 0 0 nothing\r\n"), Some(Ok(Stat { messages: 0, octets: 0 })));
        assert_eq!(stat("+OK 2 3"), None);
        assert_eq!(stat("+OK two\r\n"), Some(Err("+OK two".to_owned())));
        assert_eq!(stat("-ERR [IN-USE] locked\r\n"), Some(Err("-ERR [IN-USE] locked".to_owned())));
    }
}
