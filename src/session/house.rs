//! What every session shares.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Ledger, Lobby, Promises, Register};
use crate::{
    account::{Account, Accounts, Verifier},
    dialogue::Capabilities,
    ids::{AppName, ClientAddr, ProtocolKind},
    net::{Endpoint, names::Names, proxy::Proxy, tls::Trust},
    oauth::Tokens,
    policy::{access, throttle::Limits, timing::Timing},
    sasl::Mechanism,
};

/// A preset or a `[provider.NAME]`: where mailboxes are and how to log in there.
#[derive(Debug)]
pub struct Provider {
    /// The name in the configuration.
    pub name: String,
    /// Where IMAP is spoken, if it is.
    pub imap: Option<Endpoint>,
    /// Where submission is spoken, if it is.
    pub smtp: Option<Endpoint>,
    /// Where POP3 is spoken, if it is.
    pub pop3: Option<Endpoint>,
    /// What its submission is known to have before anybody has logged in there; empty where nothing is.
    pub smtp_capabilities: Capabilities,
    /// How the access token is shown.
    pub mechanism: Mechanism,
    /// Whose certificates the upstreams may have.
    pub trust: Arc<Trust>,
    /// By way of which proxy the upstreams are reached, and the authority; none where the way is direct.
    pub proxy: Option<Arc<Proxy>>,
}

impl Provider {
    /// The upstream for a protocol.
    #[must_use]
    pub fn endpoint(&self, kind: ProtocolKind) -> Option<&Endpoint> {
        match kind {
            ProtocolKind::Imap => self.imap.as_ref(),
            ProtocolKind::Smtp => self.smtp.as_ref(),
            ProtocolKind::Pop3 => self.pop3.as_ref(),
        }
    }

    /// What the upstream for a protocol is known to have; empty where nothing is.
    #[must_use]
    pub fn capabilities(&self, kind: ProtocolKind) -> Capabilities {
        match kind {
            // The reply to the login tells them (IMAP), or only what every server has is promised before (POP3).
            ProtocolKind::Imap | ProtocolKind::Pop3 => Capabilities::default(),
            ProtocolKind::Smtp => self.smtp_capabilities.clone(),
        }
    }
}

/// What every session shares: a plain struct, built by `app` for each configuration. A session keeps
/// the one that it was born in.
#[derive(Debug)]
pub struct House {
    /// Who may log in.
    pub accounts: Arc<Accounts>,
    /// Who may log in by the latest configuration.
    pub roll: watch::Receiver<Arc<Accounts>>,
    /// What is remembered of their logins.
    pub ledger: Arc<Ledger>,
    /// Which sessions are logged in, and how logins have gone of late.
    pub register: Arc<Register>,
    /// Who of them, and of everybody else, is there.
    pub lobby: Arc<Lobby>,
    /// Checks their passwords.
    pub verifier: Verifier,
    /// Gets their access tokens.
    pub tokens: Arc<Tokens>,
    /// Where their mailboxes are, by app.
    pub providers: HashMap<AppName, Arc<Provider>>,
    /// What their hosts' addresses are.
    pub names: Arc<Names>,
    /// What clients may be promised about those.
    pub promises: Promises,
    /// How much clients may ask for.
    pub limits: Limits,
    /// How long things may take.
    pub timing: Timing,
    /// Cancelled when the bridge shuts down: sessions before their login are sent away.
    pub draining: CancellationToken,
}

impl House {
    /// Whether the latest configuration has none of the account's logins, or, where a client is known `by_address`,
    /// that stands for the account no more.
    pub(super) fn has_removed(&self, account: &Account, by_address: Option<ClientAddr>) -> bool {
        is_gone(&self.roll.borrow(), account, by_address)
    }

    /// Ends the sessions whose accounts the latest configuration has no more.
    pub fn end_removed(&self) {
        let latest = Arc::clone(&self.roll.borrow());
        self.register.end_removed(|account, by_address| is_gone(&latest, account, by_address));
    }
}

fn is_gone(latest: &Accounts, account: &Account, by_address: Option<ClientAddr>) -> bool {
    !latest.has_any_login_of(account)
        || by_address.is_some_and(|from| !access::stands_for(latest, from, account))
}
