//! SMTP submission as Exchange Online speaks it.

use std::{fmt::Write as _, io, sync::Arc};

use super::{Admission, HOST, Sent, Shared};
use crate::harness::wire::Wire;

/// The largest message, as Exchange Online says it.
const SIZE: usize = 157_286_400;

struct Session {
    wire: Wire,
    shared: Arc<Shared>,
    encrypted: bool,
    greeted: bool,
    user: Option<String>,
    /// Who is logged in, where it is a person and not an app.
    person: Option<String>,
    envelope: Option<Envelope>,
}

#[derive(Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
    chunks: Vec<u8>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(mut wire: Wire, encrypted: bool, shared: Arc<Shared>) -> io::Result<()> {
    wire.send(format!(
        "220 {HOST} Microsoft ESMTP MAIL Service ready at Fri, 20 Nov 2026 12:00:00 +0000 [08DCEB746BAC29D2]\r\n"
    ))
    .await?;
    let mut session =
        Session { wire, shared, encrypted, greeted: false, user: None, person: None, envelope: None };
    while let Some(line) = session.wire.line().await? {
        let line = String::from_utf8_lossy(&line).into_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "STARTTLS" if !session.encrypted => {
                session.reply("220 2.0.0 SMTP server ready").await?;
                let wire = session.shared.encrypt(session.wire).await?;
                session = Session { wire, encrypted: true, greeted: false, envelope: None, ..session };
            }
            "QUIT" => {
                session.reply("221 2.0.0 Service closing transmission channel").await?;
                return session.wire.part().await;
            }
            verb => session.obey(verb, rest.trim()).await?,
        }
    }
    Ok(())
}

impl Session {
    async fn reply(&mut self, line: &str) -> io::Result<()> {
        self.wire.send(format!("{line}\r\n")).await
    }

    async fn obey(&mut self, verb: &str, rest: &str) -> io::Result<()> {
        match verb {
            "EHLO" => return self.ehlo().await,
            "HELO" => {
                self.greeted = true;
                return self.reply(&format!("250 {HOST} Hello [127.0.0.1]")).await;
            }
            "NOOP" => return self.reply("250 2.0.0 OK").await,
            "RSET" => {
                self.envelope = None;
                return self.reply("250 2.0.0 Resetting").await;
            }
            _ => (),
        }
        match verb {
            "AUTH" | "MAIL" | "RCPT" | "DATA" | "BDAT" if !self.greeted => {
                self.reply("503 5.5.2 Send hello first").await
            }
            "AUTH" => self.auth(rest).await,
            "MAIL" | "RCPT" | "DATA" if self.user.is_none() => {
                self.reply(&format!("530 5.7.57 Client not authenticated to send mail. [{HOST}]")).await
            }
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "BDAT" => self.bdat(rest).await,
            other => self.reply(&format!("500 5.3.3 Unrecognized command '{other}'")).await,
        }
    }

    async fn ehlo(&mut self) -> io::Result<()> {
        self.greeted = true;
        self.envelope = None;
        let security = if self.encrypted { "AUTH LOGIN XOAUTH2" } else { "STARTTLS" };
        let size = format!("SIZE {SIZE}");
        let hello = format!("{HOST} Hello [127.0.0.1]");
        let lines = [
            &hello,
            &size,
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
            security,
            "8BITMIME",
            "BINARYMIME",
            "CHUNKING",
            "SMTPUTF8",
        ];
        let (last, others) = lines.split_last().unwrap();
        let mut reply = String::new();
        for line in others {
            let _ = write!(reply, "250-{line}\r\n");
        }
        let _ = write!(reply, "250 {last}\r\n");
        self.wire.send(reply).await
    }

    async fn auth(&mut self, rest: &str) -> io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !self.encrypted || !mechanism.eq_ignore_ascii_case("XOAUTH2") {
            return self.reply("504 5.7.4 Unrecognized authentication type").await;
        }
        if self.user.is_some() {
            return self.reply("503 5.5.2 Already authenticated").await;
        }
        let mut response = initial.as_bytes().to_vec();
        if response.is_empty() {
            self.wire.send("334 \r\n").await?;
            response = self.wire.line().await?.unwrap_or_default();
        }
        if self.shared.smtp_auth_is_disabled() {
            let told = "SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled";
            return self.reply(&format!("535 5.7.139 Authentication unsuccessful, {told} [{HOST}]")).await;
        }
        match self.shared.admit("smtp", &response) {
            Admission::Opened(opened) => {
                self.user = Some(opened.user);
                self.person = opened.person;
                self.reply("235 2.7.0 Authentication successful").await
            }
            Admission::NotConnected | Admission::Refused => {
                if let Some(challenge) = self.shared.challenge() {
                    self.reply(&format!("334 {challenge}")).await?;
                    self.wire.line().await?;
                }
                let told = format!("[{HOST} 2026-11-20T12:00:00.000Z 08DCEB746BAC29D2]");
                self.reply(&format!("535 5.7.3 Authentication unsuccessful {told}")).await
            }
        }
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.reply("501 5.1.7 Invalid address").await;
        };
        let size = parameters.split(' ').find_map(|word| word.strip_prefix("SIZE="));
        if size.and_then(|size| size.parse().ok()).is_some_and(|size: usize| size > SIZE) {
            return self.reply("552 5.3.4 Message size exceeds fixed maximum message size").await;
        }
        self.envelope = Some(Envelope { from: from.to_owned(), ..Envelope::default() });
        self.reply("250 2.1.0 Sender OK").await
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<()> {
        let Some(envelope) = &mut self.envelope else {
            return self.reply("503 5.5.2 Need mail command").await;
        };
        match path(rest, "TO:") {
            Some((to, _)) if to.contains('@') => {
                envelope.to.push(to.to_owned());
                self.reply("250 2.1.5 Recipient OK").await
            }
            _ => self.reply("501 5.1.3 Invalid address").await,
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.envelope.as_ref().is_none_or(|envelope| envelope.to.is_empty()) {
            return self.reply("503 5.5.2 Need rcpt command").await;
        }
        self.reply("354 Start mail input; end with <CRLF>.<CRLF>").await?;
        let mut message = Vec::new();
        loop {
            let Some(line) = self.wire.line().await? else {
                return Ok(());
            };
            if line == b"." {
                return self.deliver(message).await;
            }
            // RFC 5321 §4.5.2: a dot that a line began with was doubled.
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            message.extend_from_slice(b"\r\n");
        }
    }

    /// RFC 3030: so many bytes, and `LAST` behind the number where the message ends with them.
    async fn bdat(&mut self, rest: &str) -> io::Result<()> {
        let mut words = rest.split_whitespace();
        let Some(count) = words.next().and_then(|count| count.parse().ok()).filter(|count| *count <= SIZE)
        else {
            return self.reply("501 5.5.4 Invalid arguments").await;
        };
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let chunk = self.wire.exactly(count).await?;
        let user_is_in = self.user.is_some();
        match &mut self.envelope {
            Some(envelope) if user_is_in && !envelope.to.is_empty() => {
                envelope.chunks.extend_from_slice(&chunk);
                if last {
                    let message = std::mem::take(&mut envelope.chunks);
                    return self.deliver(message).await;
                }
                self.reply(&format!("250 2.0.0 {count} octets received")).await
            }
            _ => self.reply("503 5.5.2 Need rcpt command").await,
        }
    }

    async fn deliver(&mut self, message: Vec<u8>) -> io::Result<()> {
        if message.len() > SIZE {
            self.envelope = None;
            return self.reply("552 5.3.4 Message size exceeds fixed maximum message size").await;
        }
        let (Some(envelope), Some(user)) = (self.envelope.take(), self.user.clone()) else {
            return self.reply("503 5.5.2 Need mail command").await;
        };
        if self
            .person
            .as_ref()
            .is_some_and(|person| !self.shared.mailboxes.belongs_to(&envelope.from, person))
        {
            let told = "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
            return self.reply(&format!("{told} [{HOST}]")).await;
        }
        for recipient in &envelope.to {
            self.shared.mailboxes.deliver(recipient, message.clone());
        }
        let sent = Sent { user, from: envelope.from, to: envelope.to, message };
        self.shared.sent.lock().unwrap().push(sent);
        let number = self.shared.accepted.add();
        self.reply(&format!("250 2.0.0 OK <{number}@{HOST}> [Hostname={HOST}]")).await
    }
}

/// `FROM:<path> parameters`, in any case and with the space that some clients add.
fn path<'a>(rest: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (found, rest) = rest.split_at_checked(prefix.len())?;
    if !found.eq_ignore_ascii_case(prefix) {
        return None;
    }
    rest.trim_start().strip_prefix('<')?.split_once('>')
}
