//! What the console shows and has done for it.

use std::time::{Duration, SystemTime};

use crate::{
    failure::{Explanation, Fault},
    ids::AppName,
};

/// The house behind the console.
pub trait Desk: Send + Sync + 'static {
    /// Whether clients are let in.
    fn is_ready(&self) -> bool;

    /// How things are.
    fn overview(&self) -> Overview;

    /// What a monitoring system is told.
    fn measures(&self) -> Measures;

    /// Begins the consent for an account, by device code or in the browser.
    ///
    /// # Errors
    /// Why there can be none.
    fn begin(&self, login: &str, device: bool) -> impl Future<Output = Result<Begun, Explanation>> + Send;

    /// How the consent has ended, if it has.
    ///
    /// # Errors
    /// Where no such consent was begun.
    fn ended(&self, id: &str) -> impl Future<Output = Result<Option<Ended>, Explanation>> + Send;

    /// Takes the address that a browser has ended at where it could not come back.
    ///
    /// # Errors
    /// Where it belongs to no consent.
    fn paste(&self, address: &str) -> impl Future<Output = Result<(), Explanation>> + Send;

    /// The session of a number, be it one of those that [`Overview::sessions`] has or not. `None` where there is none
    /// after its login.
    fn session(&self, number: u64) -> Option<Attending>;

    /// Ends a session. False where there is none of that number.
    fn end_session(&self, number: u64) -> bool;

    /// Begins to try an account hop by hop, and to send a test message where `send_to` says whom. Returns what its
    /// progress is asked for by.
    ///
    /// # Errors
    /// Why it cannot be tried now.
    fn examine(&self, login: &str, send_to: Option<&str>) -> Result<String, Explanation>;

    /// How far an examination has come; `None` where it is not known, or not any more.
    fn examination(&self, id: &str) -> Option<Examination>;
}

/// How things are.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// For how long the bridge has been up.
    pub up: Duration,
    /// Where clients come in.
    pub listeners: Vec<Listening>,
    /// Every account, in its order.
    pub accounts: Vec<Row>,
    /// Credentials that end soon.
    pub warnings: Vec<Explanation>,
    /// Connections, those before their login among them.
    pub connections: usize,
    /// Sessions after their login, the longest first: the first 200 of them.
    pub sessions: Vec<Attending>,
    /// How many those are in all.
    pub session_count: usize,
    /// How many logins each of the last 60 minutes saw, the oldest first; the last one is not over yet.
    pub minutes: Vec<Minute>,
    /// Logins that failed of late and what upstreams complained of, the newest first.
    pub troubles: Vec<Trouble>,
}

/// A listener, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// `IMAP`.
    pub protocol: &'static str,
    /// Where it is bound: `127.0.0.1:1143`.
    pub address: String,
    /// What to choose in a mail program: `none`, `STARTTLS` or `SSL/TLS`.
    pub encryption: &'static str,
}

/// What to type into a mail program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// `IMAP`.
    pub protocol: &'static str,
    /// The host, as far as the bridge knows it: `127.0.0.1`.
    pub server: String,
    /// The port.
    pub port: u16,
    /// What to choose: `none`, `STARTTLS` or `SSL/TLS`.
    pub encryption: &'static str,
}

/// A session that has logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attending {
    /// What it is ended by, and its `session.id` in the log.
    pub number: u64,
    /// `IMAP`.
    pub protocol: &'static str,
    /// Whence it comes.
    pub client: String,
    /// The account.
    pub account: String,
    /// The mailbox that it has open.
    pub mailbox: String,
    /// For how long it has been logged in: `5 min`.
    pub lasts: String,
}

/// A minute's logins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// That reached their mailboxes.
    pub good: u64,
    /// That did not.
    pub refused: u64,
}

/// A login that failed, or what an upstream complained of after one that did not.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When last: `5 min ago`.
    pub when: String,
    /// How often in a row.
    pub times: u64,
    /// `IMAP`.
    pub protocol: &'static str,
    /// Whence the client came.
    pub client: String,
    /// As whom, as far as that may be shown.
    pub login: Option<String>,
    /// What happened: `upstream_refused`.
    pub failure: &'static str,
    /// Why, and what to do.
    pub why: Explanation,
}

/// What a monitoring system is told. Numbers that only grow count from the start of the bridge.
#[derive(Debug, Clone)]
pub struct Measures {
    /// When the bridge has started.
    pub since: SystemTime,
    /// Whether clients are let in.
    pub ready: bool,
    /// Connections, those before their login among them.
    pub connections: usize,
    /// Connections so far, by protocol.
    pub connected: Vec<(&'static str, u64)>,
    /// Sessions after their login, by protocol.
    pub sessions: Vec<(&'static str, u64)>,
    /// Logins so far, by protocol and by what came of them: `ok`, `upstream_refused`.
    pub logins: Vec<(&'static str, &'static str, u64)>,
    /// Bytes that ended sessions have carried, by protocol: to the upstream, and to the client.
    pub carried: Vec<(&'static str, u64, u64)>,
    /// Accounts, by how their token is: `ready`, `consent_needed`.
    pub accounts: Vec<(String, u64)>,
    /// When the secret or certificate of each app ends, as far as that is known.
    pub credential_ends: Vec<(AppName, SystemTime)>,
}

/// One account, in words.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The login that it is named by.
    pub login: String,
    /// The mailbox that it opens.
    pub mailbox: String,
    /// The app registration.
    pub app: String,
    /// The grant.
    pub grant: String,
    /// How its token is.
    pub state: String,
    /// Whether somebody has to do something about that.
    pub is_well: bool,
    /// Why it is not well.
    pub trouble: Option<String>,
    /// When its token expires.
    pub expires: Option<String>,
    /// When somebody last reached the mailbox.
    pub last_login: Option<String>,
    /// What the last login came to that did not.
    pub last_failure: Option<Failed>,
    /// How a person may consent for it.
    pub consent: Option<Ways>,
    /// What to type into a mail program for it, beside its login and password.
    pub settings: Vec<Setting>,
}

/// A login that did not reach the mailbox.
#[derive(Debug, Clone)]
pub struct Failed {
    /// When.
    pub when: String,
    /// Why, and what to do.
    pub why: Explanation,
}

/// How a person may consent for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// In the browser or by a device code.
    Both,
    /// By a device code.
    Device,
}

impl Ways {
    /// Whether the browser is one of them.
    #[must_use]
    pub fn has_browser(self) -> bool {
        self == Self::Both
    }
}

/// A consent that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What its outcome is asked for by.
    pub id: String,
    /// The account.
    pub login: String,
    /// As whom to sign in, in one or several spellings.
    pub sign_in: Vec<String>,
    /// How.
    pub way: Way,
}

/// What a person has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Go to the authority, and come back.
    Browser {
        /// The authority's address.
        url: String,
        /// Where the browser comes back to.
        redirect_uri: String,
    },
    /// Enter a code anywhere.
    Device {
        /// The code.
        user_code: String,
        /// Where it is entered.
        verification_uri: String,
        /// The same with the code in it, where the authority has one.
        complete_uri: Option<String>,
    },
}

/// How a consent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is stored.
    Done {
        /// Who signed in, where the authority says so.
        signed_in: Option<String>,
    },
    /// Nothing is stored.
    Failed(Explanation),
}

/// An account that is tried hop by hop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// The login that it was begun for.
    pub login: String,
    /// The mailbox that it opens, as far as that is known.
    pub mailbox: Option<String>,
    /// Whom a test message is sent to.
    pub send_to: Option<String>,
    /// What was tried so far, in its order.
    pub parts: Vec<Part>,
    /// What takes time just now: `waiting for INBOX: 4 s of at most 30 s`.
    pub waiting: Option<String>,
    /// What it came to; `None` while it goes on.
    pub verdict: Option<Verdict>,
}

/// What was tried for one protocol, or for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// `IMAP`; nothing for what all of them share.
    pub protocol: Option<String>,
    /// The hops.
    pub hops: Vec<Hop>,
}

/// One hop, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// What came of it.
    pub mark: Mark,
    /// What was tried: `name lookup`.
    pub name: &'static str,
    /// What was found; empty where nothing was.
    pub found: String,
    /// What is wrong, where something is.
    pub cause: Option<String>,
    /// What to do about it, where something can be done.
    pub cure: Option<String>,
    /// Who has to act, where that is known: see [`blamed`].
    pub blame: Option<String>,
    /// How long it took: `12 ms`; empty where that says nothing.
    pub took: String,
}

/// What came of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is well.
    Well,
    /// It may be the cause of a failure, or is one that nobody meets.
    Warning,
    /// It is not well.
    Failed,
    /// It was not tried.
    Skipped,
}

/// What an examination came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No hop has failed.
    Well {
        /// How many may be trouble all the same.
        warnings: usize,
    },
    /// Some have.
    Ill {
        /// How many.
        failed: usize,
    },
    /// There was nothing that could be tried.
    NotTried,
    /// It took too long, or the bridge was stopped.
    BrokenOff,
}

impl Mark {
    /// The class of its colours.
    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Well => "good",
            Self::Warning => "warn",
            Self::Failed => "bad",
            Self::Skipped => "",
        }
    }

    /// The sign before it, as on the command line.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Well => "✓",
            Self::Warning => "!",
            Self::Failed => "✗",
            Self::Skipped => "–",
        }
    }

    /// The same for who cannot see the sign.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Warning => "a warning",
            Self::Failed => "failed",
            Self::Skipped => "not tried",
        }
    }
}

impl Trouble {
    /// Who has to act, where that is known.
    pub(super) fn blame(&self) -> Option<String> {
        self.why.blame.map(|blame| blamed(blame.fault, blame.passes))
    }
}

/// Says who has to put something right, or that nobody has to as it `passes`.
#[must_use]
pub fn blamed(fault: Fault, passes: bool) -> String {
    let who = match fault {
        Fault::Client => "whoever types the password into the mail program",
        Fault::User => "the person whose mailbox it is",
        Fault::Operator => "whoever keeps the configuration of this bridge",
        Fault::Administrator => "the administrator of the tenant",
        Fault::Authority => "those who run the token authority",
        Fault::Upstream => "those who run the mail server",
        Fault::Bridge => "those who make this program",
    };
    if passes {
        format!("It may pass by itself; else it is for {who} to put right.")
    } else {
        format!("It is for {who} to put right.")
    }
}
