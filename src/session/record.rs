//! What is written about a session: one closing line, and one line for each refused login.

use std::{borrow::Cow, io, sync::Arc};

use tokio::{sync::oneshot, time::Instant};
use tracing::{Span, debug, info, info_span, warn};

use super::{
    House, Provider,
    register::{Came, Entrant, Presence, Register, Trouble},
};
use crate::{
    account::{Account, Claim, Recognised, Verified},
    dialogue::{Remark, Violation},
    failure::{Explanation, Failure, Fault, Refusal, printable},
    ids::{ClientAddr, SessionId},
    net::{accept::HandshakeError, splice::Carried},
    policy::{
        Permit,
        access::{Denied, Line},
    },
};

/// How a session ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client left before a login.
    Left,
    /// The client was told that its login failed, and that the connection closes.
    Refused,
    /// Both sides had said all they had.
    Spliced,
}

/// How a session ended otherwise.
#[derive(Debug)]
pub struct Interrupted {
    /// Where in the conversation: `client/await-command`, `relay`.
    pub phase: String,
    /// What happened.
    pub why: Why,
}

impl Interrupted {
    pub(super) fn relay(why: Why) -> Self {
        Self { phase: "relay".to_owned(), why }
    }
}

/// What interrupted a session.
#[derive(Debug)]
pub enum Why {
    /// The client's connection broke.
    ClientGone(io::Error),
    /// The upstream's connection broke after the login.
    UpstreamGone(io::Error),
    /// The line to the client could not be encrypted.
    Handshake(HandshakeError),
    /// The client broke the protocol or a ceiling.
    Violation(Violation),
    /// No credentials came in time.
    LoginTimedOut,
    /// Too many refused credentials.
    TooManyAttempts,
    /// Nothing was said for too long after the login.
    Idle,
    /// A reload took the account away.
    AccountRemoved,
    /// Somebody ended it, at the console.
    Ended,
    /// The bridge shuts down.
    ShuttingDown,
    /// A dialogue asked for what its offer does not hold.
    Internal,
}

impl Why {
    /// The name in logs: `client_gone`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ClientGone(_) => "client_gone",
            Self::UpstreamGone(_) => "upstream_gone",
            Self::Handshake(_) => "tls_handshake",
            Self::Violation(violation) => violation.name(),
            Self::LoginTimedOut => "login_timed_out",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Idle => "idle",
            Self::AccountRemoved => "account_removed",
            Self::Ended => "ended",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }
}

impl Why {
    /// Tells what an operator can put right by another setting of the mail program or of the listener.
    fn warn(&self, line: Line) {
        let after_starttls = line.is_encryptable();
        let (cause, cure) = match self {
            Self::Violation(Violation::WrongProtocol(spoken)) => {
                let cure = if after_starttls {
                    "choose STARTTLS in the mail program (not SSL/TLS), or point it at a listener with tls = \"implicit\""
                } else {
                    "switch off SSL/TLS in the mail program, or point it at another port"
                };
                (format!("the client speaks {spoken} to this listener"), cure)
            }
            Self::Handshake(error) => (error.to_string(), error.cure(after_starttls)),
            Self::Violation(_)
            | Self::ClientGone(_)
            | Self::UpstreamGone(_)
            | Self::LoginTimedOut
            | Self::TooManyAttempts
            | Self::Idle
            | Self::AccountRemoved
            | Self::Ended
            | Self::ShuttingDown
            | Self::Internal => return,
        };
        warn!(cause, cure, "client turned away");
    }
}

/// What is known of a session so far. Writes the closing line when it is dropped, so that there is
/// one whatever happens.
#[derive(Debug)]
pub(super) struct Record {
    looks: bool,
    id: SessionId,
    came: Came,
    register: Arc<Register>,
    presence: Option<Presence>,
    opened: Instant,
    shown_at: Option<Instant>,
    line: Line,
    tls: Option<&'static str>,
    login_ms: Option<u64>,
    verified: Option<Arc<Account>>,
    /// The client's address was the proof.
    by_address: bool,
    /// The name of the account that is claimed, until it is verified.
    claimed: Option<String>,
    login: Option<String>,
    mailbox: Option<Arc<str>>,
    provider: Option<Arc<Provider>>,
    phase: Cow<'static, str>,
    denied: Option<Denied>,
    failure: Option<(Failure, Fault)>,
    interrupted: Option<&'static str>,
    error: Option<String>,
    outcome: &'static str,
    carried: Carried,
}

impl Record {
    /// Begins. Of a client that only looks whether somebody is there nothing is told but to those who look closely.
    pub(super) fn open(looks: bool, id: SessionId, came: Came, register: &Arc<Register>) -> Self {
        if !looks {
            register.connected(came.protocol);
        }
        Self {
            looks,
            id,
            came,
            register: Arc::clone(register),
            presence: None,
            opened: Instant::now(),
            shown_at: None,
            line: Line::Clear,
            tls: None,
            login_ms: None,
            verified: None,
            by_address: false,
            claimed: None,
            login: None,
            mailbox: None,
            provider: None,
            phase: "client".into(),
            denied: None,
            failure: None,
            interrupted: None,
            error: None,
            // What stands there if nobody lives to say otherwise.
            outcome: "panicked",
            carried: Carried::default(),
        }
    }

    /// What each line of the log says of the session. Made for the login and for each line that comes later: a span
    /// takes more memory than many sessions have to say anything in.
    pub(super) fn span(&self) -> Span {
        let Came { protocol, client } = &self.came;
        info_span!("session", session.id = %self.id, protocol = protocol.name(), client.addr = %client)
    }

    /// Keeps how the line stood when the client came.
    pub(super) fn came_by(&mut self, line: Line) {
        self.line = line;
    }

    pub(super) fn phase(&mut self, phase: impl Into<Cow<'static, str>>) {
        self.phase = phase.into();
    }

    /// Keeps when credentials were shown, and by which version of TLS.
    pub(super) fn credentials_shown(&mut self, tls: Option<&'static str>) {
        self.tls = tls;
        self.shown_at = Some(Instant::now());
    }

    /// Keeps who the client says it is. A login that no account has is kept where it is an address:
    /// that is how a slip in it is found. What is no address may be a password in the wrong field.
    pub(super) fn claimed(&mut self, claim: &Claim) {
        let login = printable(claim.login());
        let is_address =
            login.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
        let shown = claim.account().is_some() || (is_address && !login.contains(' ') && login.len() <= 254);
        self.login = shown.then_some(login);
        self.claimed = claim.account().map(|account| account.name().to_owned());
        self.mailbox = None;
        self.verified = None;
        self.by_address = false;
    }

    /// Keeps whose address the client comes from.
    pub(super) fn recognised(&mut self, recognised: &Recognised) {
        // Whoever has failed to log in before has not sent this.
        (self.claimed, self.login, self.mailbox) = (None, None, None);
        self.verified = Some(Arc::clone(recognised.account()));
        self.by_address = true;
    }

    /// Keeps whose password was shown.
    pub(super) fn verified(&mut self, verified: &Verified) {
        self.claimed = None;
        self.verified = Some(Arc::clone(verified.account()));
    }

    /// Where the client comes from, if it is known by that alone.
    pub(super) fn known_by(&self) -> Option<ClientAddr> {
        self.by_address.then_some(self.came.client)
    }

    /// The name of the account, as far as one is claimed.
    fn account_name(&self) -> Option<&str> {
        self.verified.as_ref().map(|account| account.name()).or(self.claimed.as_deref())
    }

    fn upstream(&self) -> Option<String> {
        self.provider.as_ref()?.endpoint(self.came.protocol).map(ToString::to_string)
    }

    /// Whose password was shown, if it was.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        self.verified.clone()
    }

    pub(super) fn permitted(&mut self, permit: &Permit) {
        self.mailbox = Some(permit.mailbox().into());
    }

    pub(super) fn denied(&mut self, denied: Option<Denied>) {
        self.denied = denied;
    }

    /// Keeps whose upstream is dialled.
    pub(super) fn dialled(&mut self, provider: &Arc<Provider>) {
        self.provider = Some(Arc::clone(provider));
    }

    /// Enters the session in the register. What is returned tells it to end.
    pub(super) fn logged_in(&mut self, house: &House) -> oneshot::Receiver<Why> {
        self.failure = None;
        if let Some(account) = &self.verified {
            house.ledger.logged_in(account);
        }
        let who = Entrant {
            came: self.came.clone(),
            account: self.verified.clone(),
            by_address: self.by_address,
            mailbox: self.mailbox.clone().unwrap_or_default(),
        };
        let (presence, ended) = self.register.logged_in(self.id, who);
        self.presence = Some(presence);
        // A reload may have taken the account away before there was a session to be ended.
        if self.verified.as_ref().is_some_and(|account| house.has_removed(account, self.known_by())) {
            self.register.end_as(self.id, Why::AccountRemoved);
        }
        self.login_ms = self.shown_at.map(millis_since);
        ended
    }

    /// Writes what the upstream says after the login that a person should know of.
    pub(super) fn remarked(&self, remark: Remark, house: &House) {
        let upstream = self.upstream().unwrap_or_default();
        let why = Explanation::new(format!("{upstream}: {}", remark.meaning), remark.cure);
        self.span().in_scope(|| {
            warn!(
                account = self.account_name(),
                mailbox = self.mailbox.as_deref(),
                remark = remark.name,
                fault = remark.fault.name(),
                cause = why.cause,
                cure = why.cure,
                "upstream ends or limits the session"
            );
        });
        if let Some(account) = &self.verified {
            house.ledger.complained(account, remark.name, why.clone());
        }
        self.register.complained(self.trouble(remark.name, why));
    }

    /// Keeps that a message was refused for its sender.
    pub(super) fn forbade(&self, account: &Account, refusal: &Refusal, house: &House) {
        house.ledger.refused(account, refusal);
        let why = refusal.explanation.clone().unwrap_or_else(|| Explanation::new(refusal.failure.name(), ""));
        self.register.complained(self.trouble(refusal.failure.name(), why));
    }

    fn trouble(&self, what: &'static str, why: Explanation) -> Trouble {
        // Who is known by its address has no login, and is found by its account.
        let known = || self.account_name().filter(|_| self.by_address).map(str::to_owned);
        self.register.trouble(self.came.clone(), self.login.clone().or_else(known), what, why)
    }

    pub(super) fn carried(&mut self, carried: Carried) {
        self.carried = carried;
        self.register.carried(self.came.protocol, carried);
    }

    /// Writes what a failed login was: to the log alone where the client must not know.
    pub(super) fn refused(&mut self, refusal: &Refusal, house: &House) {
        if let Some(account) = &self.verified {
            house.ledger.refused(account, refusal);
        }
        let Refusal { failure, explanation, .. } = refusal;
        let reason = match (failure, self.denied) {
            (Failure::BadCredentials, _) if self.by_address => Some("address_not_known"),
            (Failure::BadCredentials, Some(denied)) => Some(denied.name()),
            (Failure::BadCredentials, None) => Some("wrong_password"),
            _ => None,
        };
        warn!(
            account = self.account_name(),
            login = self.login,
            by_address = self.by_address.then_some(true),
            mailbox = self.mailbox.as_deref(),
            failure = failure.name(),
            fault = refusal.fault().name(),
            retry_helps = refusal.may_pass(),
            phase = &*self.phase,
            upstream.addr = self.upstream(),
            reason,
            cause = explanation.as_ref().map(|why| why.cause.as_str()),
            cure = explanation.as_ref().map(|why| why.cure.as_str()),
            "login refused"
        );
        let words = || Explanation::new(reason.unwrap_or(failure.name()).replace('_', " "), "");
        let trouble = self.trouble(failure.name(), explanation.clone().unwrap_or_else(words));
        // Where the authority judges the password nobody is proven before it has.
        let is_of_a_stranger = matches!(failure, Failure::BadCredentials | Failure::Throttled);
        self.register.refused(trouble, self.verified.is_some() && !is_of_a_stranger);
        self.failure = Some((*failure, refusal.fault()));
    }

    pub(super) fn close(mut self, result: Result<Closed, Interrupted>) {
        let span = self.span();
        let _entered = span.enter();
        match result {
            Ok(Closed::Left) if self.failure.is_none() => self.outcome = "left",
            Ok(Closed::Left | Closed::Refused) => self.outcome = "failed",
            Ok(Closed::Spliced) => self.outcome = "spliced",
            Err(Interrupted { why: Why::Handshake(HandshakeError::Gone), phase }) => {
                (self.outcome, self.phase) = ("left", phase.into());
            }
            // A mail program that distrusts the certificate, or a monitor that looks at the port.
            Err(Interrupted {
                why: Why::Handshake(error @ (HandshakeError::Unused | HandshakeError::Abandoned)),
                phase,
            }) => {
                info!(cause = %error, cure = error.cure(self.line.is_encryptable()), "client left");
                (self.outcome, self.phase) = ("left", phase.into());
            }
            Err(Interrupted { phase, why }) => {
                why.warn(self.line);
                self.outcome = if self.login_ms.is_some() { "cut" } else { "failed" };
                self.phase = phase.into();
                self.interrupted = Some(why.name());
                self.error = match why {
                    Why::ClientGone(error) | Why::UpstreamGone(error) => Some(error.to_string()),
                    Why::Handshake(error) => Some(error.to_string()),
                    Why::Violation(_)
                    | Why::LoginTimedOut
                    | Why::TooManyAttempts
                    | Why::Idle
                    | Why::AccountRemoved
                    | Why::Ended
                    | Why::ShuttingDown
                    | Why::Internal => None,
                };
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let span = self.span();
        let _entered = span.enter();
        // A level is fixed where a line is written, so that there are two.
        if self.looks && self.outcome == "left" {
            debug!(session.ms = millis_since(self.opened), "nobody came");
            return;
        }
        info!(
            outcome = self.outcome,
            account = self.account_name(),
            login = self.login,
            by_address = self.by_address.then_some(true),
            mailbox = self.mailbox.as_deref(),
            client.tls = self.tls,
            upstream.addr = self.upstream(),
            phase = &*self.phase,
            failure = self.failure.map(|(failure, _)| failure.name()),
            fault = self.failure.map(|(_, fault)| fault.name()),
            interrupted = self.interrupted,
            error = self.error,
            bytes.up = self.carried.up,
            bytes.down = self.carried.down,
            login.ms = self.login_ms,
            session.ms = millis_since(self.opened),
            "session closed"
        );
    }
}

fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
