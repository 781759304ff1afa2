//! Examinations: which accounts, with whose tokens, at which endpoints; with a running bridge or without one.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    BuildError,
    accounts::find,
    authorize,
    bridge::{Bridge, protocols},
    store,
};
use crate::{
    account::{Account, Accounts},
    clock::{SharedClock, System},
    config::{Config, Provider},
    doctor::{
        self, Case, Errand, Listener, Tools, Trial,
        report::{Event, Heading},
    },
    failure::Explanation,
    ids::{AppName, ProtocolKind},
    oauth::Tokens,
    policy::{access, timing::Timing},
};

/// How many accounts are examined at once. Exchange Online takes three messages of a mailbox at a time, and several
/// accounts may have the same one.
const AT_ONCE: usize = 3;

/// How many events of an account are kept until those before it are told: more than one has, where nothing is waited for.
const KEPT: usize = 64;

/// What shall be examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examine {
    /// Logins; all accounts where none is named.
    pub logins: Vec<String>,
    /// Whom a test message of each account shall be sent to.
    pub send_to: Option<String>,
}

/// What examinations take of a configuration.
#[derive(Debug)]
pub struct Practice {
    accounts: Arc<Accounts>,
    providers: HashMap<AppName, Arc<Provider>>,
    listening: Vec<ProtocolKind>,
    tokens: Arc<Tokens>,
    timing: Timing,
    clock: SharedClock,
}

/// Accounts that were found by their logins.
#[derive(Debug)]
pub struct Queue(Vec<Patient>);

/// One of them.
#[derive(Debug)]
enum Patient {
    Examined(Box<(Case, Tools)>),
    /// It is not examined, and why.
    PassedOver(Heading, String),
}

impl Patient {
    async fn examine(self, listener: &Listener) {
        match self {
            Self::Examined(examined) => doctor::examine(&examined.0, &examined.1, listener).await,
            Self::PassedOver(heading, why) => doctor::pass_over(heading, &why, listener).await,
        }
    }
}

impl Bridge {
    /// Examines the accounts of the latest configuration.
    pub(super) fn practice(&self) -> Practice {
        let house = self.house();
        Practice {
            accounts: Arc::clone(&house.accounts),
            providers: house.providers.clone(),
            listening: protocols(&self.wanted()),
            tokens: Arc::clone(&self.tokens),
            timing: house.timing,
            clock: Arc::clone(&self.clock),
        }
    }
}

impl Practice {
    /// Opens the store of a configuration that no bridge serves, and makes it where there is none.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open(config: Config) -> Result<Self, BuildError> {
        let clock: SharedClock = Arc::new(System);
        let listening = protocols(&config.listeners);
        let tokens = Arc::new(Tokens::new(store(&config).await?, Arc::clone(&clock)));
        tokens.configure(config.apps, &config.accounts, &listening).await?;
        Ok(Self {
            accounts: Arc::new(config.accounts),
            providers: config.upstreams.into_iter().collect(),
            listening,
            tokens,
            timing: config.timing,
            clock,
        })
    }

    /// Finds the accounts that shall be examined.
    ///
    /// # Errors
    /// Where a login is nobody's.
    pub fn queue(&self, wanted: &Examine) -> Result<Queue, Explanation> {
        let errand = |to: &String| Ok::<_, Explanation>(Errand { to: to.clone(), code: code()? });
        let mut patients = Vec::new();
        for login in &wanted.logins {
            let account = self.accounts.find(login).map_or_else(|| find(&self.accounts, login), Ok)?;
            patients.push(self.patient(account, login, wanted.send_to.as_ref().map(errand).transpose()?));
        }
        for account in self.accounts.iter().filter(|_| wanted.logins.is_empty()) {
            let errand = wanted.send_to.as_ref().map(errand).transpose()?;
            patients.push(self.patient(account, account.name(), errand));
        }
        Ok(Queue(patients))
    }

    /// Examines them, some at once, so that one whose authority or upstream is slow holds up no others, and tells
    /// of every hop, one account after the other.
    ///
    /// # Cancel safety
    /// Safe, as [`doctor::examine`] is. Where nobody listens any more it ends.
    pub async fn examine(&self, queue: Queue, listener: &Listener) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut examinations = JoinSet::new();
        let mut told = Vec::with_capacity(queue.0.len());
        for patient in queue.0 {
            let (teller, events) = mpsc::channel(KEPT);
            let places = Arc::clone(&places);
            examinations.spawn(async move {
                let _place = places.acquire().await;
                patient.examine(&teller).await;
            });
            told.push(events);
        }
        for mut events in told {
            // How long others had waited before is nobody's news.
            let mut kept = events.len();
            while let Some(event) = events.recv().await {
                let is_old = kept > 0;
                kept = kept.saturating_sub(1);
                if is_old && matches!(event, Event::Waiting(_)) {
                    continue;
                }
                if listener.send(event).await.is_err() {
                    return;
                }
            }
        }
        doctor::done(listener).await;
    }

    /// Waits until every token that was asked for has been written.
    pub async fn finish(&self) {
        self.tokens.finish().await;
    }

    fn patient(&self, account: &Arc<Account>, login: &str, errand: Option<Errand>) -> Patient {
        let provider = self.providers.get(&account.app);
        let mut heading = Heading {
            login: login.to_owned(),
            mailbox: account.mailbox.as_deref().map(str::to_owned),
            app: account.app.to_string(),
            provider: provider.map(|provider| provider.name.clone()).unwrap_or_default(),
            grant: account.grant.name().to_owned(),
        };
        // Every account of a configuration has an app, and every app a provider.
        let Some(provider) = provider else {
            return Patient::PassedOver(heading, "internal error: its app has no provider".to_owned());
        };
        let Ok(permit) = access::for_operator(account, login, ProtocolKind::Imap) else {
            let examples = account.mailboxes().next().map_or("LOGIN", |mailbox| mailbox);
            let why = format!("not tried: name one of its mailboxes: footbridge doctor {examples}");
            return Patient::PassedOver(heading, why);
        };
        heading.mailbox = Some(permit.mailbox().to_owned());
        let trials = self.trials(account, login, provider, errand.is_some());
        let mailbox = permit.mailbox().to_owned();
        let case = Case { heading, account: Arc::clone(account), mailbox, trials, errand };
        let tools = Tools {
            tokens: Arc::clone(&self.tokens),
            // Its own, so that every examination looks up for itself.
            names: Arc::default(),
            trust: Arc::clone(&provider.trust),
            proxy: provider.proxy.clone(),
            mechanism: provider.mechanism,
            timing: self.timing,
            clock: Arc::clone(&self.clock),
        };
        Patient::Examined(Box::new((case, tools)))
    }

    /// The protocols of an account that its provider has. A failure of one that nobody listens for counts only where
    /// the account names it, or a message shall be sent by it.
    fn trials(&self, account: &Arc<Account>, login: &str, provider: &Provider, sends: bool) -> Vec<Trial> {
        let counts = |kind| {
            self.listening.contains(&kind)
                || account.rules.protocols.contains(&kind)
                || (sends && kind == ProtocolKind::Smtp)
        };
        let kinds = ProtocolKind::ALL.into_iter().filter(|kind| access::may_speak(account, *kind));
        let trial = |kind| {
            let endpoint = provider.endpoint(kind)?.clone();
            let permit = access::for_operator(account, login, kind).ok()?;
            Some(Trial { kind, endpoint, permit, counts: counts(kind) })
        };
        kinds.filter_map(trial).collect()
    }
}

/// What a test message is known by: a word that mail servers index as one.
fn code() -> Result<String, Explanation> {
    let word: String = authorize::id()?.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    Ok(format!("fb{}", word.to_lowercase()))
}
