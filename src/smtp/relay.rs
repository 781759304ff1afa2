//! What is said after the login: by an upstream, where a person should know of it, and by both, where an
//! account may name some senders alone.
//!
//! Exchange Online accepts a token and then refuses the message for reasons that only an administrator
//! can remove. The bytes are carried as they are; [`remark`] only recognises them. [`Mail`] understands every
//! byte, because a sender that it overlooks is one that was allowed.

use bytes::BytesMut;

use super::{
    reply,
    wire::{Command, From, Verb, reply_line},
};
use crate::{
    dialogue::{Ceilings, Dismissal, Remark, Taken, Violation, Watch, WatchStep, Welcome, put},
    failure::Refusal,
};

/// Recognises a known reply at the very beginning of `chunk`.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    if chunk.starts_with(b"4") || chunk.starts_with(b"5") { Remark::of(chunk) } else { None }
}

/// Reads along with the mail of an account that may name some senders alone.
///
/// Commands are written anew on their way, in the one form that everybody reads alike: what the bridge has
/// understood and what the upstream understands is then the same. Only commands of which it is known what
/// follows them go on.
pub(super) struct Mail {
    /// Whether the upstream takes BDAT: to one that does not, a chunk is commands.
    chunking: bool,
    ceilings: Ceilings,
    errors: u32,
    replies: Replies,
    state: State,
}

enum State {
    AwaitCommand,
    /// The sender of this mail is out for a decision.
    AwaitVerdict(From),
    /// A command or a message is with the upstream.
    AwaitReply(Next),
    /// A message is on its way.
    Message(Text),
    /// A chunk of a message is on its way.
    Chunk {
        octets: u64,
        /// It is answered by the upstream, and not dropped here.
        goes_on: bool,
        answered: bool,
    },
    /// The upstream has said its last word.
    Over,
}

/// The largest chunk that goes on, in bytes: more than any server takes for a message, and less than each can count.
const LARGEST_CHUNK: u64 = i32::MAX as u64;

/// What comes behind a reply.
#[derive(Debug, Clone, Copy)]
enum Next {
    Command,
    /// A message, where the reply is `354`.
    Message,
    /// What the upstream takes from here on, as its reply says: to EHLO a list, to HELO nothing.
    Hello,
    /// Nothing: the client has said goodbye.
    Nothing,
}

impl Mail {
    pub(super) fn new(welcome: &Welcome, ceilings: Ceilings) -> Self {
        let found = welcome.capabilities.as_ref();
        let chunking =
            found.is_some_and(|list| list.0.iter().any(|line| line.eq_ignore_ascii_case(CHUNKING)));
        Self { chunking, ceilings, errors: 0, replies: Replies::default(), state: State::AwaitCommand }
    }

    /// Takes one command; `None` where it was dealt with and the next one may be there.
    fn command(
        &mut self,
        input: &mut BytesMut,
        up: &mut BytesMut,
        down: &mut BytesMut,
    ) -> Result<Option<WatchStep>, Violation> {
        if self.errors > self.ceilings.errors {
            return Err(Violation::TooManyErrors(self.ceilings.errors));
        }
        // What the bridge says itself must not come in between the lines of a reply.
        if self.replies.is_inside() {
            return Ok(Some(WatchStep::NeedInput));
        }
        let Some(line) = Taken::line(input, self.ceilings.line)? else {
            return Ok(Some(WatchStep::NeedInput));
        };
        let command = Command::read(&line);
        if line.trim_ascii().iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Ok(self.err("500 5.5.2 Control characters in a command", down));
        }
        let next = match command.verb {
            Verb::Mail => {
                let Some(from) = From::read(&command) else {
                    return Ok(self.err("501 5.5.4 Write MAIL FROM:<address>", down));
                };
                let sender = from.sender.clone();
                self.state = State::AwaitVerdict(from);
                return Ok(Some(WatchStep::Sender(sender)));
            }
            Verb::Bdat => return Ok(self.bdat(&command, up, down)),
            Verb::Auth => return Ok(self.err("503 5.5.1 Already logged in", down)),
            Verb::StartTls => return Ok(self.err("503 5.5.1 Too late for STARTTLS", down)),
            Verb::Other | Verb::Unknown => return Ok(self.err("500 5.5.1 Unknown command", down)),
            Verb::Data => Next::Message,
            Verb::Quit => Next::Nothing,
            Verb::Ehlo | Verb::Helo => Next::Hello,
            Verb::Noop | Verb::Rset | Verb::Help | Verb::Vrfy | Verb::Expn | Verb::Rcpt => Next::Command,
        };
        command.write(up);
        self.state = State::AwaitReply(next);
        Ok(None)
    }

    /// `"BDAT" SP chunk-size [ SP "LAST" ]`, RFC 3030 §2.
    fn bdat(&mut self, command: &Command, up: &mut BytesMut, down: &mut BytesMut) -> Option<WatchStep> {
        let Some((octets, last)) = command.chunk_exactly() else {
            return self.err("501 5.5.4 BDAT takes a size", down);
        };
        // What an upstream cannot count it does not drop either: the chunk would be commands to it.
        if octets > LARGEST_CHUNK {
            self.state = State::Over;
            put(down, &["521 5.3.4 A chunk of that size is no message"]);
            return Some(WatchStep::Over);
        }
        if self.chunking {
            put(up, &["BDAT ", &octets.to_string(), if last { " LAST" } else { "" }]);
        }
        self.state = State::Chunk { octets, goes_on: self.chunking, answered: false };
        None
    }

    /// Lets what has come of a chunk go on, or drops it.
    fn chunk(
        &mut self,
        (octets, goes_on, answered): (u64, bool, bool),
        input: &mut BytesMut,
        up: &mut BytesMut,
        down: &mut BytesMut,
    ) -> Option<WatchStep> {
        let take = usize::try_from(octets).unwrap_or(usize::MAX).min(input.len());
        let taken = Taken::off(input, take);
        if goes_on {
            up.extend_from_slice(&taken);
        }
        let octets = octets - take as u64;
        if octets > 0 {
            self.state = State::Chunk { octets, goes_on, answered };
            return Some(WatchStep::NeedInput);
        }
        if !goes_on {
            self.state = State::AwaitCommand;
            return self.err("502 5.5.1 BDAT is not offered", down);
        }
        self.state = if answered { State::AwaitCommand } else { State::AwaitReply(Next::Command) };
        None
    }

    /// Lets what has come of a message go on, up to its end.
    fn message(
        &mut self,
        mut text: Text,
        input: &mut BytesMut,
        up: &mut BytesMut,
    ) -> Result<Option<WatchStep>, Violation> {
        let end = text.read(input)?;
        up.extend_from_slice(&Taken::off(input, end.unwrap_or(input.len())));
        if end.is_none() {
            self.state = State::Message(text);
            return Ok(Some(WatchStep::NeedInput));
        }
        self.state = State::AwaitReply(Next::Command);
        Ok(None)
    }

    /// Answers a command that does not go on.
    fn err(&mut self, reply: &str, down: &mut BytesMut) -> Option<WatchStep> {
        put(down, &[reply]);
        self.errors += 1;
        None
    }

    /// Where a whole reply of the upstream leads. `false` where nothing had asked for it.
    fn replied(&mut self, code: u16) -> bool {
        let next = match (&mut self.state, code) {
            (State::AwaitReply(Next::Message), 354) => State::Message(Text::new()),
            (State::AwaitReply(Next::Nothing), _) | (_, 421 | 300..400) => State::Over,
            (State::AwaitReply(next), _) => {
                if matches!(next, Next::Hello) {
                    self.chunking = code == 250 && self.replies.chunking;
                }
                State::AwaitCommand
            }
            (State::Chunk { answered: answered @ false, goes_on: true, .. }, _) => {
                *answered = true;
                return true;
            }
            _ => State::Over,
        };
        self.state = next;
        !matches!(self.state, State::Over)
    }
}

impl Watch for Mail {
    fn client_says(
        &mut self,
        input: &mut BytesMut,
        up: &mut BytesMut,
        down: &mut BytesMut,
    ) -> Result<WatchStep, Violation> {
        loop {
            let step = match &mut self.state {
                State::AwaitCommand => self.command(input, up, down),
                State::Message(text) => {
                    let text = *text;
                    self.message(text, input, up)
                }
                &mut State::Chunk { octets, goes_on, answered } => {
                    Ok(self.chunk((octets, goes_on, answered), input, up, down))
                }
                State::AwaitVerdict(_) | State::AwaitReply(_) => Ok(Some(WatchStep::NeedInput)),
                State::Over => Ok(Some(WatchStep::Over)),
            };
            match step {
                Ok(None) => (),
                Ok(Some(step)) => return Ok(step),
                Err(violation) => {
                    self.state = State::Over;
                    reply::dismissal(Dismissal::Violation(violation), down);
                    return Err(violation);
                }
            }
        }
    }

    fn allow(&mut self, up: &mut BytesMut) {
        if let State::AwaitVerdict(from) = &self.state {
            put(up, &[&from.command()]);
            self.state = State::AwaitReply(Next::Command);
        }
    }

    fn forbid(&mut self, refusal: &Refusal, down: &mut BytesMut) {
        if let State::AwaitVerdict(_) = &self.state {
            reply::forbidden(refusal, down);
            self.errors += 1;
            self.state = State::AwaitCommand;
        }
    }

    fn upstream_says(&mut self, said: &[u8]) -> bool {
        let mut expected = true;
        for &byte in said {
            match self.replies.read(byte) {
                Heard::Nothing => (),
                Heard::Reply(code) => expected &= self.replied(code),
                Heard::Garbage => {
                    self.state = State::Over;
                    expected = false;
                }
            }
        }
        expected
    }

    fn awaits_reply(&self) -> bool {
        matches!(self.state, State::AwaitReply(_))
    }
}

/// Where in a message its next byte is, RFC 5321 §4.1.1.4. Whether a line is begun by a CR LF is kept,
/// because some servers take less for a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// In a line.
    Within,
    /// Behind a CR.
    Cr,
    /// At the beginning of a line, after CR LF or after what some take for it.
    Start { exactly: bool },
    /// Behind a dot there.
    Dot { exactly: bool },
    /// Behind a CR behind that.
    DotCr { exactly: bool },
}

impl Text {
    fn new() -> Self {
        Self::Start { exactly: true }
    }

    /// Reads on. Returns how many of the bytes are the message's, where it ends among them.
    ///
    /// # Errors
    /// [`Violation::AmbiguousEnd`] where it ends for some servers and not for others: by a bare LF or a
    /// bare CR before or behind the dot, or with a NUL among them, which some servers drop.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        for (at, &byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::DotCr { exactly: true }, b'\n') => return Ok(Some(at + 1)),
                (Self::DotCr { .. }, _) | (Self::Dot { .. }, b'\n') => return Err(Violation::AmbiguousEnd),
                (Self::Dot { exactly }, b'\r') => Self::DotCr { exactly },
                (Self::Start { exactly }, b'.') => Self::Dot { exactly },
                (Self::Cr, b'\n') => Self::Start { exactly: true },
                (Self::Dot { .. }, 0) | (Self::Cr, b'.') => Self::Dot { exactly: false },
                (Self::Cr | Self::Start { .. }, 0) | (Self::Within | Self::Start { .. }, b'\n') => {
                    Self::Start { exactly: false }
                }
                (Self::Within | Self::Cr | Self::Start { .. }, b'\r') => Self::Cr,
                (Self::Within | Self::Cr | Self::Start { .. } | Self::Dot { .. }, _) => Self::Within,
            };
        }
        Ok(None)
    }
}

/// The keyword of an upstream that takes BDAT, RFC 3030 §2.
const CHUNKING: &str = "CHUNKING";

/// Finds the replies in what an upstream says: their codes, and where they end.
#[derive(Debug, Default)]
struct Replies {
    /// How many bytes of the line there are, and the first of them.
    length: usize,
    head: [u8; CHUNKING.len() + 5],
    /// Lines of the reply have come already.
    goes_on: bool,
    /// One of its lines is that keyword.
    chunking: bool,
}

/// What a byte of an upstream brings to an end.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Reply(u16),
    /// A line that is none of a reply.
    Garbage,
}

impl Replies {
    /// Whether a reply has begun and not ended.
    fn is_inside(&self) -> bool {
        self.length > 0 || self.goes_on
    }

    fn read(&mut self, byte: u8) -> Heard {
        if byte != b'\n' {
            if let Some(place) = self.head.get_mut(self.length) {
                *place = byte;
            }
            self.length += 1;
            return Heard::Nothing;
        }
        if !self.goes_on {
            self.chunking = false;
        }
        let head = &self.head[..self.length.min(self.head.len())];
        self.chunking |=
            head.get(4..).is_some_and(|word| word.trim_ascii().eq_ignore_ascii_case(CHUNKING.as_bytes()));
        let line = String::from_utf8_lossy(&head[..head.len().min(4)]).into_owned();
        self.length = 0;
        match reply_line(line.trim_end()) {
            None => Heard::Garbage,
            Some((_, true, _)) => {
                self.goes_on = true;
                Heard::Nothing
            }
            Some((code, false, _)) => {
                self.goes_on = false;
                Heard::Reply(code)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_replies_are_recognised_at_the_beginning_of_a_chunk_only() {
        let cases: [(&str, Option<&str>); 10] = [
            ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded\r\n", Some("too_many_sends")),
            ("432 4.3.2 Concurrent connections limit exceeded.\r\n", Some("too_many_sends")),
            ("530 5.7.57 Client not authenticated to send mail.\r\n", Some("not_authenticated")),
            (
                "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                Some("send_as_denied"),
            ),
            ("554 5.2.252 SendAsDenied; ann@example.com not allowed", Some("send_as_denied")),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed",
                Some("submission_quota_exceeded"),
            ),
            ("554 5.2.0 STOREDRV.Submission.Exception:Other", None),
            ("550 5.1.8 Bad outbound sender", Some("sender_blocked")),
            ("250 2.0.0 OK 432 4.3.2", None),
            ("", None),
        ];
        for (chunk, name) in cases {
            assert_eq!(remark(chunk.as_bytes()).map(|remark| remark.name), name, "{chunk}");
        }
    }
}
