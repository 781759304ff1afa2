//! What an examination says, as it goes: for people, for `--json`, and for the way between two processes.

use serde::{Deserialize, Serialize};

use crate::ids::ProtocolKind;

/// One piece of an examination, in the order of its happening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// What follows is about this account.
    Account(Heading),
    /// A hop was tried, or was not.
    Hop(Hop),
    /// Something takes time.
    Waiting(Waiting),
    /// Every account was examined. Without it something has broken off.
    Done,
}

/// Which account is examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The login that was asked for, else the account's first.
    pub login: String,
    /// The mailbox that it opens; nothing for a wildcard of which none was named.
    pub mailbox: Option<String>,
    /// The app registration.
    pub app: String,
    /// The provider or preset.
    pub provider: String,
    /// The grant: `client_credentials`.
    pub grant: String,
}

/// One hop, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The protocol: `imap`; nothing for what all of them share.
    pub protocol: Option<String>,
    /// What was tried.
    pub hop: Step,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, in one line; empty where nothing was.
    pub found: String,
    /// What is wrong, where something is.
    pub cause: Option<String>,
    /// What to do about it, where something can be done.
    pub cure: Option<String>,
    /// Who has to act, where it is known: `administrator`.
    pub fault: Option<String>,
    /// Whether trying again helps, where it is known.
    pub retry_helps: Option<bool>,
    /// How long it took.
    pub milliseconds: u64,
}

/// Something that takes time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// For what.
    pub what: String,
    /// How long so far, in seconds.
    pub seconds: u64,
    /// How long at most.
    pub at_most: u64,
}

/// What is tried, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// What the configuration says of the account.
    Configuration,
    /// The access token is at hand, or is fetched.
    Token,
    /// What the access token says about itself.
    Claims,
    /// The host's addresses.
    NameLookup,
    /// The connection, by way of a proxy where there is one.
    Tcp,
    /// The encryption, and whose certificate it is.
    Tls,
    /// The login by XOAUTH2 or OAUTHBEARER.
    Login,
    /// INBOX opens, by IMAP or POP3.
    Mailbox,
    /// The server takes commands after the login, by SMTP.
    Session,
    /// A test message is sent.
    Send,
    /// The test message arrives.
    Arrival,
}

impl Step {
    /// The name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Token => "token",
            Self::Claims => "token says",
            Self::NameLookup => "name lookup",
            Self::Tcp => "connection",
            Self::Tls => "TLS",
            Self::Login => "login",
            Self::Mailbox => "INBOX",
            Self::Session => "session",
            Self::Send => "test message",
            Self::Arrival => "arrival",
        }
    }
}

/// What came of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is well.
    Ok,
    /// It may be the cause of a failure, or is one that nobody meets.
    Warning,
    /// It is not well, and what comes behind it was not tried.
    Failed,
    /// It was not tried, and why.
    Skipped,
}

/// A whole examination, as `footbridge doctor --json` prints it. Its names are an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether no hop has failed.
    pub ok: bool,
    /// The accounts in the order of their examination.
    pub accounts: Vec<Examined>,
}

/// One account with its hops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Which account.
    #[serde(flatten)]
    pub heading: Heading,
    /// Whether none of its hops has failed.
    pub ok: bool,
    /// What was tried, in order.
    pub hops: Vec<Hop>,
}

impl Report {
    /// A report of nothing, which nothing is wrong with.
    #[must_use]
    pub fn new() -> Self {
        Self { ok: true, accounts: Vec::new() }
    }

    /// Takes up what has happened.
    pub fn hear(&mut self, event: Event) {
        match event {
            Event::Account(heading) => {
                self.accounts.push(Examined { heading, ok: true, hops: Vec::new() });
            }
            Event::Hop(hop) => {
                let is_well = hop.outcome != Outcome::Failed;
                self.ok &= is_well;
                if let Some(account) = self.accounts.last_mut() {
                    account.ok &= is_well;
                    account.hops.push(hop);
                }
            }
            Event::Waiting(_) | Event::Done => (),
        }
    }
}

impl Hop {
    /// The protocol's name as a heading: `IMAP`.
    #[must_use]
    pub fn heading(&self) -> Option<String> {
        self.protocol.as_ref().map(|protocol| protocol.to_ascii_uppercase())
    }

    /// A hop that was well and took no time.
    #[must_use]
    pub fn well(protocol: Option<ProtocolKind>, hop: Step, found: impl Into<String>) -> Self {
        let protocol = protocol.map(|protocol| protocol.name().to_owned());
        Self {
            protocol,
            hop,
            outcome: Outcome::Ok,
            found: found.into(),
            cause: None,
            cure: None,
            fault: None,
            retry_helps: None,
            milliseconds: 0,
        }
    }
}
