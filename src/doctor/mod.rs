//! The doctor: one account, hop by hop, each tried and explained.
//!
//! What is tried is what `session` does for a login, with the same dialogues, tokens and explanations, so that what is
//! well here is well there. Beyond the login two libraries by others take the line over: async-imap opens INBOX, lettre
//! sends. Hops behind one that failed are not tried; other protocols are.
//!
//! `line` goes from a name to a login, `imap`, `pop3` and `smtp` see what is behind it, `report` says it.

mod handover;
mod imap;
mod line;
mod notes;
mod pop3;
pub mod report;
mod smtp;

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    account::Account,
    clock::{SharedClock, ahead},
    explain::claims::Claims,
    failure::Explanation,
    ids::ProtocolKind,
    imap::Imap,
    net::{Endpoint, names::Names, proxy::Proxy, tls::Trust},
    oauth::{Access, Tokens},
    policy::{Permit, timing::Timing},
    pop3::Pop3,
    sasl::Mechanism,
    smtp::Smtp,
};

use imap::{Inbox, Patience};
use notes::Notes;
use report::{Event, Heading, Step};
use smtp::Letter;

pub use notes::Listener;

/// An account to be examined.
#[derive(Debug)]
pub struct Case {
    /// As which it is told of.
    pub heading: Heading,
    /// The account.
    pub account: Arc<Account>,
    /// The mailbox that its login opens.
    pub mailbox: String,
    /// By which protocols, in order.
    pub trials: Vec<Trial>,
    /// A test message that shall be sent.
    pub errand: Option<Errand>,
}

/// One protocol of an account.
#[derive(Debug)]
pub struct Trial {
    /// The protocol.
    pub kind: ProtocolKind,
    /// Where it is spoken.
    pub endpoint: Endpoint,
    /// Leave to log in there.
    pub permit: Permit,
    /// Whether anybody would meet a failure: a listener speaks it, or the account names it.
    pub counts: bool,
}

/// A test message.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Whom it is for.
    pub to: String,
    /// What it is known by, in its subject: a word that nothing else has.
    pub code: String,
}

/// What an examination is made with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Gets access tokens.
    pub tokens: Arc<Tokens>,
    /// What hosts' addresses are.
    pub names: Arc<Names>,
    /// Whose certificates the upstreams may have.
    pub trust: Arc<Trust>,
    /// By way of which proxy they are reached.
    pub proxy: Option<Arc<Proxy>>,
    /// How the access token is shown.
    pub mechanism: Mechanism,
    /// How long things may take.
    pub timing: Timing,
    /// What time it is.
    pub clock: SharedClock,
}

/// Examines one account, and tells of every hop.
///
/// # Cancel safety
/// Safe: connections end; a token request that is in flight goes on.
pub async fn examine(case: &Case, tools: &Tools, listener: &Listener) {
    let notes = Notes::new(listener);
    notes.heading(case.heading.clone()).await;
    notes.found(Step::Configuration, Instant::now(), case.configuration()).await;
    if case.trials.is_empty() {
        let why = Explanation::new(
            format!("provider {} has no host for the protocols of the account", case.heading.provider),
            "name one in the configuration: imap = { host = \"…\", port = 993, tls = \"implicit\" }",
        );
        return notes.failed(Step::Configuration, Instant::now(), why).await;
    }
    let access = if case.account.authority_checks {
        notes.skipped(Step::Token, "not tried: the authority judges the password of each login").await;
        None
    } else {
        let Some(access) = token(case, tools, &notes).await else { return };
        Some(access)
    };
    let claims = match &access {
        Some(access) => claims(access, &notes).await,
        None => None,
    };
    let mut afterwards = Afterwards::default();
    for trial in &case.trials {
        let notes = notes.of(trial.kind, trial.counts);
        // What an app may do stands in no token where Exchange's own roles say so: no failure yet.
        if let Some(why) = claims.as_ref().and_then(|claims| claims.lacks(trial.kind)) {
            notes.doubted(Step::Claims, why).await;
        }
        try_protocol(case, trial, access.as_ref(), tools, &notes, &mut afterwards).await;
    }
    follow(case, afterwards, &notes).await;
}

/// Tells of an account that cannot be examined as it was named.
pub async fn pass_over(heading: Heading, why: &str, listener: &Listener) {
    let notes = Notes::new(listener);
    notes.heading(heading).await;
    notes.skipped(Step::Configuration, why).await;
}

/// Tells that every account was examined.
pub async fn done(listener: &Listener) {
    // Who hears no more wants to know no more.
    let _ = listener.send(Event::Done).await;
}

impl Case {
    fn configuration(&self) -> String {
        let protocols: Vec<_> = self.trials.iter().map(|trial| trial.kind.name()).collect();
        let Heading { app, provider, grant, .. } = &self.heading;
        format!("mailbox {}, app {app} at {provider}, {grant}, {}", self.mailbox, protocols.join(" "))
    }
}

/// Gets the access token as a login would. `None` where there is none, which has been noted.
async fn token(case: &Case, tools: &Tools, notes: &Notes) -> Option<Access> {
    let (began, began_at) = (Instant::now(), tools.clock.now());
    let permit = &case.trials.first()?.permit;
    let most = tools.timing.login_timeout;
    let asked = tools.tokens.access_token(permit, began + most);
    match notes.during("the token", most, asked).await {
        Ok(access) => {
            let now = tools.clock.now();
            let how = if access.obtained_at < began_at { "at hand" } else { "fetched" };
            let found = match access.expires_at.duration_since(now) {
                Ok(_) => format!("{how}, expires {}", ahead(access.expires_at, now)),
                Err(_) => format!("{how}, expired"),
            };
            notes.found(Step::Token, began, found).await;
            Some(access)
        }
        Err(refusal) => {
            notes.refused(Step::Token, began, refusal).await;
            None
        }
    }
}

/// What the token says of itself; nothing where it cannot be read.
async fn claims(access: &Access, notes: &Notes) -> Option<Claims> {
    let began = Instant::now();
    let claims = Claims::read(&access.token);
    let opaque = || "nothing: it is opaque, which the mail server alone can read".to_owned();
    notes.found(Step::Claims, began, claims.as_ref().map_or_else(opaque, in_words)).await;
    claims
}

fn in_words(claims: &Claims) -> String {
    let tenant = claims.tenant.as_ref().or(claims.issuer.as_ref());
    let who = if claims.is_app || claims.users.is_empty() {
        claims.app.as_ref().map(|app| format!("app {app}"))
    } else {
        Some(format!("user {}", claims.users.join(", ")))
    };
    let named = |what: &str, text: String| (!text.is_empty()).then(|| format!("{what} {text}"));
    let may = if claims.is_app { "roles" } else { "scopes" };
    let parts = [
        named("for", claims.audience.join(", ")),
        tenant.map(|tenant| format!("tenant {tenant}")),
        who,
        Some(named(may, claims.permissions.join(" ")).unwrap_or_else(|| format!("no {may}"))),
    ];
    crate::failure::printable(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// What the end of an examination needs to know of its protocols.
#[derive(Default)]
struct Afterwards {
    inbox: Option<Inbox>,
    sent: bool,
}

async fn try_protocol(
    case: &Case,
    trial: &Trial,
    access: Option<&Access>,
    tools: &Tools,
    notes: &Notes,
    afterwards: &mut Afterwards,
) {
    match trial.kind {
        ProtocolKind::Imap => {
            if let Some((conn, _)) = line::log_in::<Imap>(case, trial, access, tools, notes).await {
                afterwards.inbox = imap::examine(conn, trial, notes).await;
            }
        }
        ProtocolKind::Pop3 => {
            if let Some((conn, _)) = line::log_in::<Pop3>(case, trial, access, tools, notes).await {
                pop3::examine(conn, trial, notes).await;
            }
        }
        ProtocolKind::Smtp => {
            if let Some(logged_in) = line::log_in::<Smtp>(case, trial, access, tools, notes).await {
                let letter = |errand| Letter { errand, from: &case.mailbox, now: tools.clock.now() };
                let letter = case.errand.as_ref().map(letter);
                afterwards.sent = smtp::examine(logged_in, trial, letter, notes).await;
            }
        }
    }
}

/// Waits for the test message, where this mailbox is its address.
async fn follow(case: &Case, Afterwards { inbox, sent }: Afterwards, notes: &Notes) {
    let has = |kind| case.trials.iter().any(|trial| trial.kind == kind);
    let notes = notes.of(ProtocolKind::Imap, true);
    match (&case.errand, inbox) {
        (Some(_), _) if !has(ProtocolKind::Smtp) => {
            notes.skipped(Step::Send, "not sent: the account has no SMTP").await;
        }
        (Some(errand), inbox) if sent && errand.to.eq_ignore_ascii_case(&case.mailbox) => match inbox {
            Some(mut inbox) => {
                inbox.wait_for(&errand.code, Patience::default(), &notes).await;
                inbox.close().await;
            }
            None if has(ProtocolKind::Imap) => {
                notes.skipped(Step::Arrival, "not waited for: INBOX did not open").await;
            }
            None => (),
        },
        (_, Some(inbox)) => inbox.close().await,
        (_, None) => (),
    }
}

fn messages(count: u64) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}
