//! POP3 as Exchange Online speaks it: the inbox, one session at a time, deletions at QUIT.

use std::{collections::BTreeSet, io, sync::Arc};

use super::{Admission, Message, Shared};
use crate::harness::wire::Wire;

/// What every line of a message begins with that begins with a dot (RFC 1939 §3).
const STUFFING: &[u8] = b".";

struct Session {
    wire: Wire,
    shared: Arc<Shared>,
    encrypted: bool,
    open: Option<Maildrop>,
}

/// The inbox as it was when it was opened.
struct Maildrop {
    user: String,
    /// By their numbers, less one.
    messages: Vec<Message>,
    /// The numbers of those that QUIT deletes.
    deleted: BTreeSet<usize>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(mut wire: Wire, encrypted: bool, shared: Arc<Shared>) -> io::Result<()> {
    wire.send("+OK The Microsoft Exchange POP3 service is ready. [QQBNADAAUABSADAAMgBDAEEAMAAxADMANAA=]\r\n")
        .await?;
    let mut session = Session { wire, shared, encrypted, open: None };
    while let Some(line) = session.wire.line().await? {
        let line = String::from_utf8_lossy(&line).into_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "STLS" if !session.encrypted => {
                session.reply("+OK Begin TLS negotiation.").await?;
                let wire = session.shared.encrypt(session.wire).await?;
                session = Session { wire, encrypted: true, ..session };
            }
            "QUIT" => {
                session.update();
                session.reply("+OK Microsoft Exchange Server POP3 server signing off.").await?;
                return session.wire.part().await;
            }
            "CAPA" => session.capa().await?,
            "AUTH" if session.open.is_none() => session.auth(rest).await?,
            verb => session.obey(verb, rest.trim()).await?,
        }
    }
    Ok(())
}

impl Session {
    async fn reply(&mut self, line: &str) -> io::Result<()> {
        self.wire.send(format!("{line}\r\n")).await
    }

    async fn capa(&mut self) -> io::Result<()> {
        let security = if self.encrypted { "SASL PLAIN XOAUTH2\r\nUSER" } else { "STLS" };
        self.reply(&format!("+OK\r\nTOP\r\nUIDL\r\n{security}\r\n.")).await
    }

    /// The response has a line of its own, always.
    async fn auth(&mut self, rest: &str) -> io::Result<()> {
        if !self.encrypted || !rest.eq_ignore_ascii_case("XOAUTH2") {
            return self.reply("-ERR Protocol error. 14").await;
        }
        self.wire.send("+ \r\n").await?;
        let response = self.wire.line().await?.unwrap_or_default();
        match self.shared.admit("pop3", &response) {
            Admission::Opened(opened) => {
                let messages = self.shared.mailboxes.messages(&opened.user, "INBOX");
                self.open = Some(Maildrop { user: opened.user, messages, deleted: BTreeSet::new() });
                self.reply("+OK User successfully authenticated.").await
            }
            Admission::NotConnected | Admission::Refused => {
                if let Some(challenge) = self.shared.challenge() {
                    self.reply(&format!("+ {challenge}")).await?;
                    self.wire.line().await?;
                }
                self.reply("-ERR Authentication failure: unknown user name or bad password.").await
            }
        }
    }

    async fn obey(&mut self, verb: &str, rest: &str) -> io::Result<()> {
        let answer = match &mut self.open {
            Some(maildrop) => maildrop.obey(verb, rest),
            None => None,
        };
        match answer {
            Some(answer) => self.wire.send(answer).await,
            None => self.reply("-ERR Protocol error. 14").await,
        }
    }

    /// The UPDATE state, RFC 1939 §6.
    fn update(&mut self) {
        let Some(Maildrop { user, messages, deleted }) = self.open.take() else { return };
        let uids: BTreeSet<u32> = deleted.iter().map(|number| messages[number - 1].uid).collect();
        self.shared.mailboxes.change(&user, "INBOX", |inbox| {
            inbox.messages.retain(|message| !uids.contains(&message.uid));
        });
    }
}

impl Maildrop {
    /// The answer to a command; `None` where it is none.
    fn obey(&mut self, verb: &str, rest: &str) -> Option<Vec<u8>> {
        let mut words = rest.split_whitespace().map(str::parse::<usize>);
        let (number, lines) = (words.next().transpose().ok()?, words.next().transpose().ok()?);
        Some(match (verb, number) {
            ("STAT", None) => {
                let (count, octets) = self.total();
                format!("+OK {count} {octets}\r\n").into_bytes()
            }
            ("LIST", number) => self.list(number, |message| message.raw.len().to_string())?,
            ("UIDL", number) => self.list(number, |message| format!("AAMk{:08}", message.uid))?,
            ("RETR", Some(number)) => multiline(&self.message(number)?.raw),
            ("TOP", Some(number)) => multiline(&top(self.message(number)?, lines?)),
            ("DELE", Some(number)) => {
                self.message(number)?;
                self.deleted.insert(number);
                b"+OK\r\n".to_vec()
            }
            ("RSET", None) => {
                self.deleted.clear();
                b"+OK\r\n".to_vec()
            }
            ("NOOP", None) => b"+OK\r\n".to_vec(),
            _ => return None,
        })
    }

    fn left(&self) -> impl Iterator<Item = (usize, &Message)> {
        let numbered = (1..).zip(&self.messages);
        numbered.filter(|(number, _)| !self.deleted.contains(number))
    }

    fn total(&self) -> (usize, usize) {
        (self.left().count(), self.left().map(|(_, message)| message.raw.len()).sum())
    }

    fn message(&self, number: usize) -> Option<&Message> {
        self.left().find(|(known, _)| *known == number).map(|(_, message)| message)
    }

    /// What `tell` says of one message, or of all.
    fn list(&self, number: Option<usize>, tell: impl Fn(&Message) -> String) -> Option<Vec<u8>> {
        if let Some(number) = number {
            return Some(format!("+OK {number} {}\r\n", tell(self.message(number)?)).into_bytes());
        }
        let (count, octets) = self.total();
        let lines = self.left().map(|(number, message)| format!("{number} {}\r\n", tell(message)));
        Some(format!("+OK {count} {octets}\r\n{}.\r\n", lines.collect::<String>()).into_bytes())
    }
}

/// The header and so many lines of the rest.
fn top(message: &Message, lines: usize) -> Vec<u8> {
    let (header, body) = message.split();
    let body = body.split_inclusive(|&byte| byte == b'\n').take(lines);
    [header.to_vec(), body.collect::<Vec<_>>().concat()].concat()
}

/// A message as a reply, its dots stuffed.
fn multiline(message: &[u8]) -> Vec<u8> {
    let mut reply = b"+OK\r\n".to_vec();
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(STUFFING) {
            reply.extend_from_slice(STUFFING);
        }
        reply.extend_from_slice(line);
    }
    if !reply.ends_with(b"\r\n") {
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b".\r\n");
    reply
}
