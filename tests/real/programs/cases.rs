//! The table: which program, by which protocol and listeners, with which password, and how much of a message it keeps.

use std::fmt;

use super::errand::{Done, Errand, Protocol, Tls};
use super::{curl, fetchers, neomutt, relay, scripts, senders};
use crate::message::{MARK, text, tricky};

/// What a user may choose, and programs and protocols may stumble over. For programs that refuse or spoil what is not ASCII.
pub const PASSWORD: &str = r#"correct "horse" \ 'battery' & #%$taple"#;

/// The same with letters of several sets.
pub const WIDE_PASSWORD: &str = r#"correct "höŕse" \ 'battery' & #%$taple €"#;

use Keeps::{Body, Bytes, Lines, Text};
use Protocol::{Imap, Pop3, Smtp};

const EVERY: &[Tls] = &Tls::ALL;

/// getmail has no STARTTLS, offlineimap hangs in it now and then whatever the server is, and PHP's imap knows TLS 1.0 alone after it.
const NO_STARTTLS: &[Tls] = &[Tls::None, Tls::Implicit];

#[rustfmt::skip]
const PROGRAMS: &[Program] = &[
    reads("curl",             Imap, EVERY,       WIDE_PASSWORD, Bytes, curl::read),
    reads("curl",             Pop3, EVERY,       WIDE_PASSWORD, Bytes, curl::read),
    sends("curl",             Smtp, EVERY,       WIDE_PASSWORD, Lines, curl::send),
    reads("mbsync",           Imap, EVERY,       WIDE_PASSWORD, Lines, fetchers::mbsync),
    reads("fetchmail",        Imap, EVERY,       WIDE_PASSWORD, Lines, fetchers::fetchmail),
    reads("fetchmail",        Pop3, EVERY,       WIDE_PASSWORD, Lines, fetchers::fetchmail),
    reads("getmail",          Imap, NO_STARTTLS, PASSWORD,      Body,  fetchers::getmail),
    reads("getmail",          Pop3, NO_STARTTLS, WIDE_PASSWORD, Body,  fetchers::getmail),
    reads("offlineimap",      Imap, NO_STARTTLS, WIDE_PASSWORD, Lines, fetchers::offlineimap),
    reads("neomutt",          Imap, EVERY,       WIDE_PASSWORD, Body,  neomutt::read),
    reads("neomutt",          Pop3, EVERY,       WIDE_PASSWORD, Body,  neomutt::read),
    sends("neomutt",          Smtp, EVERY,       WIDE_PASSWORD, Text,  neomutt::send),
    reads("Thunderbird",      Imap, EVERY,       WIDE_PASSWORD, Lines, scripts::thunderbird),
    reads("Thunderbird",      Pop3, EVERY,       WIDE_PASSWORD, Lines, scripts::thunderbird),
    sends("Thunderbird",      Smtp, EVERY,       WIDE_PASSWORD, Lines, |errand| scripts::thunderbird(errand).map(drop)),
    reads("mpop",             Pop3, EVERY,       WIDE_PASSWORD, Lines, fetchers::mpop),
    sends("msmtp",            Smtp, EVERY,       WIDE_PASSWORD, Lines, senders::msmtp),
    sends("swaks",            Smtp, EVERY,       WIDE_PASSWORD, Lines, senders::swaks),
    sends("Postfix",          Smtp, EVERY,       WIDE_PASSWORD, Lines, relay::send),
    reads("imaplib",          Imap, EVERY,       PASSWORD,      Bytes, scripts::python),
    reads("poplib",           Pop3, EVERY,       WIDE_PASSWORD, Bytes, scripts::python),
    sends("smtplib",          Smtp, EVERY,       PASSWORD,      Lines, |errand| scripts::python(errand).map(drop)),
    reads("Mail::IMAPClient", Imap, EVERY,       WIDE_PASSWORD, Bytes, scripts::perl),
    reads("Net::POP3",        Pop3, EVERY,       WIDE_PASSWORD, Lines, scripts::perl),
    sends("Net::SMTP",        Smtp, EVERY,       WIDE_PASSWORD, Lines, |errand| scripts::perl(errand).map(drop)),
    reads("JavaMail",         Imap, EVERY,       WIDE_PASSWORD, Bytes, scripts::java),
    reads("JavaMail",         Pop3, EVERY,       PASSWORD,      Bytes, scripts::java),
    sends("JavaMail",         Smtp, EVERY,       WIDE_PASSWORD, Lines, |errand| scripts::java(errand).map(drop)),
    reads("PHP's imap",       Imap, NO_STARTTLS, WIDE_PASSWORD, Bytes, scripts::php),
    reads("PHP's imap",       Pop3, NO_STARTTLS, WIDE_PASSWORD, Bytes, scripts::php),
    sends("PHPMailer",        Smtp, EVERY,       WIDE_PASSWORD, Body,  |errand| scripts::php(errand).map(drop)),
    reads("imapflow",         Imap, EVERY,       WIDE_PASSWORD, Bytes, scripts::node),
    sends("nodemailer",       Smtp, EVERY,       WIDE_PASSWORD, Lines, |errand| scripts::node(errand).map(drop)),
];

/// A program as it speaks one protocol.
pub struct Program {
    pub name: &'static str,
    pub protocol: Protocol,
    tls: &'static [Tls],
    pub password: &'static str,
    pub keeps: Keeps,
    pub deed: Deed,
}

pub enum Deed {
    /// Fetches the only message of the mailbox.
    Read(fn(&Errand) -> Done<Vec<u8>>),
    /// Sends the message to the mailbox.
    Send(fn(&Errand) -> Done<()>),
}

const fn reads(
    name: &'static str,
    protocol: Protocol,
    tls: &'static [Tls],
    password: &'static str,
    keeps: Keeps,
    read: fn(&Errand) -> Done<Vec<u8>>,
) -> Program {
    Program { name, protocol, tls, password, keeps, deed: Deed::Read(read) }
}

const fn sends(
    name: &'static str,
    protocol: Protocol,
    tls: &'static [Tls],
    password: &'static str,
    keeps: Keeps,
    send: fn(&Errand) -> Done<()>,
) -> Program {
    Program { name, protocol, tls, password, keeps, deed: Deed::Send(send) }
}

/// How much of a message a program keeps as it is, by its own habits.
pub enum Keeps {
    /// Everything.
    Bytes,
    /// Everything from the message's first line on; lines of its own may stand before it, and line ends are those of Unix.
    Lines,
    /// What comes after the header, which the program writes itself or adds to.
    Body,
    /// The same, of a message that is text; what else it is given it encodes.
    Text,
}

impl Keeps {
    /// The part of a message that has to arrive.
    pub fn of(&self, message: &[u8]) -> Vec<u8> {
        let mut unix: Vec<u8> = message.iter().copied().filter(|byte| *byte != b'\r').collect();
        // Programs end a message with one more empty line, or one less.
        unix.truncate(unix.trim_ascii_end().len());
        match self {
            Bytes => message.to_vec(),
            Lines => from(&unix, MARK.trim_ascii_end()),
            Body | Text => from(&unix, b"\n\n"),
        }
    }
}

fn from(message: &[u8], mark: &[u8]) -> Vec<u8> {
    let at = message.windows(mark.len()).position(|bytes| bytes == mark);
    message[at.unwrap_or_default()..].to_vec()
}

/// One line of the table, by one kind of listener.
pub struct Case {
    pub program: &'static Program,
    pub tls: Tls,
    /// What this case is called, as a name of files and of users.
    pub slug: String,
    /// With what its program logs in.
    pub login: String,
    /// Which mailbox that opens.
    pub mailbox: String,
}

pub fn all() -> Vec<Case> {
    let cases = |program: &'static Program| program.tls.iter().map(move |tls| Case::new(program, *tls));
    PROGRAMS.iter().flat_map(cases).collect()
}

impl Case {
    fn new(program: &'static Program, tls: Tls) -> Self {
        let name = format!("{} {} {}", program.name, program.protocol.name(), tls.name()).to_lowercase();
        let words =
            name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let slug = words.collect::<Vec<_>>().join("-");
        let [login, mailbox] = ["legacy", "example"].map(|domain| format!("{slug}@{domain}.test"));
        Self { program, tls, slug, login, mailbox }
    }

    pub fn message(&self) -> Vec<u8> {
        match self.program.keeps {
            Bytes | Lines | Body => tricky(&self.slug),
            Text => text(&self.slug),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.program.name, self.program.protocol.name(), self.tls.name())
    }
}
