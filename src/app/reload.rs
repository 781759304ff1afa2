//! A reload: the whole new configuration, or nothing of it.
//!
//! What can fail comes first: reading both files, binding new listeners, taking up the token slots. Then
//! one house takes the place of the other. Sessions keep the house that they were born in; those of an
//! account that is there no more end by themselves.

use std::{collections::BTreeSet, fmt, sync::Arc};

use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use super::{
    BuildError, announce,
    bridge::{Bridge, Fixed, protocols},
    certificates::Prepared,
    doors::{self, Bound, Moves, Terms},
    room,
};
use crate::{
    account::{Account, Accounts},
    config::{self, Config, Mistake, Mistakes},
    ids::AppName,
    oauth::ConfigureError,
    session::House,
};

/// What a reload has changed, by name, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How many accounts there are.
    pub accounts: usize,
    /// Accounts that were not there.
    pub accounts_added: Vec<String>,
    /// Accounts whose entry says something else.
    pub accounts_changed: Vec<String>,
    /// Accounts that are there no more. Their sessions end.
    pub accounts_removed: Vec<String>,
    /// Apps that were not there.
    pub apps_added: Vec<String>,
    /// Apps that are there no more.
    pub apps_removed: Vec<String>,
    /// Listeners that were not there.
    pub listeners_opened: Vec<String>,
    /// Listeners whose socket serves otherwise.
    pub listeners_changed: Vec<String>,
    /// Listeners that let nobody in any more. Their sessions live on.
    pub listeners_closed: Vec<String>,
    /// What is probably not meant.
    pub warnings: Vec<String>,
}

impl fmt::Display for Changes {
    /// How many accounts there are, and a line for each change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.accounts == 1 { "" } else { "s" };
        write!(f, "configuration reloaded: {} account{plural}", self.accounts)?;
        let named = [
            ("account added", &self.accounts_added),
            ("account changed", &self.accounts_changed),
            ("account removed, its sessions end", &self.accounts_removed),
            ("app added", &self.apps_added),
            ("app removed", &self.apps_removed),
            ("listener opened", &self.listeners_opened),
            ("listener changed", &self.listeners_changed),
            ("listener closed", &self.listeners_closed),
        ];
        if named.iter().all(|(_, names)| names.is_empty()) {
            return f.write_str("\nno account and no listener has changed; everything else was read again");
        }
        for (what, names) in named {
            for name in names {
                write!(f, "\n{what}: {name}")?;
            }
        }
        Ok(())
    }
}

/// Why a configuration was not taken up. The one before is in force then, as if nobody had asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReloaded {
    /// It has mistakes.
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
    /// It changes what a running bridge cannot.
    #[error(
        "{0} has changed, which a running bridge cannot follow\n  cure: restart it, or take the change back"
    )]
    NeedsRestart(&'static str),
    /// A new listener is where an open one is.
    #[error(
        "cannot listen on {0} while this bridge listens on that port already\n  \
         cure: restart it, or take the listeners away and add them in two reloads"
    )]
    OwnPort(String),
    /// A new listener cannot be bound.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// The configuration's tokens cannot be taken up.
    #[error("{0}")]
    Configure(#[from] ConfigureError),
    /// The bridge is about to end.
    #[error("the bridge is stopping")]
    Stopping,
    /// The reload broke down.
    #[error("internal error")]
    Internal,
}

impl Bridge {
    /// Reloads whenever it is asked to, until the bridge stops.
    pub(super) fn obey_reloads(self: &Arc<Self>) {
        let bridge = Arc::clone(self);
        self.accepting.spawn(async move {
            while bridge.stop.gently.run_until_cancelled(bridge.stop.reload.notified()).await.is_some() {
                // Its outcome is in the log.
                let _ = bridge.reload().await;
            }
        });
    }

    /// Reloads on a task of its own: whoever asked may go away, and it is done or not done all the same.
    pub(super) fn begin_reload(self: &Arc<Self>) -> JoinHandle<Result<Changes, NotReloaded>> {
        let bridge = Arc::clone(self);
        self.accepting.spawn(async move { bridge.reload().await })
    }

    /// Takes up what the files say, and tells the log and the service manager. One at a time.
    async fn reload(self: &Arc<Self>) -> Result<Changes, NotReloaded> {
        let _turn = self.reloading.lock().await;
        match NotifyState::monotonic_usec_now() {
            Ok(now) => announce(&[NotifyState::Reloading, now]),
            Err(error) => warn!(%error, "the service manager is not told of the reload"),
        }
        let reloaded = self.take_up().await;
        if self.is_ready() {
            announce(&[NotifyState::Ready]);
        }
        match &reloaded {
            Ok(changes) => note(changes),
            Err(why) => complain(why),
        }
        reloaded
    }

    async fn take_up(self: &Arc<Self>) -> Result<Changes, NotReloaded> {
        let read = self.stop.gently.run_until_cancelled(self.read()).await;
        let (config, warnings) = read.ok_or(NotReloaded::Stopping)??;
        if let Some(name) = self.fixed.difference(&Fixed::of(&config)) {
            return Err(NotReloaded::NeedsRestart(name));
        }
        let moves = doors::moves(&self.wanted(), &config.listeners);
        let (console, own) = (config.console.as_ref(), &config.own_certificate);
        let prepared = self.certificates.prepare(&config.listeners, console, own).await?;
        let terms = terms_of(&moves.changed, &prepared)?;
        let bound = self.bind(&moves.opened, &prepared).await?;
        let listening = protocols(&config.listeners);
        self.tokens.configure(config.apps, &config.accounts, &listening).await?;
        let (before, accounts) = (self.house(), Arc::new(config.accounts));
        let providers = config.upstreams.into_iter().collect();
        let house = House {
            promises: before.promises.renewed(&accounts, &providers),
            verifier: before.verifier.renewed(&accounts),
            tokens: Arc::clone(&self.tokens),
            roll: self.roll.subscribe(),
            ledger: Arc::clone(&before.ledger),
            register: Arc::clone(&before.register),
            lobby: Arc::clone(&before.lobby),
            accounts: Arc::clone(&accounts),
            names: Arc::clone(&before.names),
            providers,
            limits: config.limits,
            timing: config.timing,
            draining: before.draining.clone(),
        };
        let changes = changes(&before, &house, &moves, &warnings);
        house.ledger.keep(&accounts);
        self.move_into(house);
        self.roll.send_replace(accounts);
        // Who logs in from here on looks at the roll after it has entered the register.
        self.house().end_removed();
        if let Err(why) = self.certificates.show(prepared) {
            warn!(cause = %why, "a certificate was made and cannot be kept: it is shown until the bridge ends");
        }
        self.rearrange(terms, &moves.closed);
        self.open(bound);
        room::make(self.house().limits.max_connections);
        for warning in &warnings {
            warn!(place = warning.place(), cause = warning.cause(), cure = warning.cure(), "configuration");
        }
        self.warn_of_credentials();
        Ok(changes)
    }

    /// Reads both files and every password that is kept elsewhere.
    async fn read(&self) -> Result<(Config, Vec<Mistake>), NotReloaded> {
        let path = self.path.clone();
        let loaded = spawn_blocking(move || config::load(&path)).await;
        let loaded = loaded.map_err(|_| NotReloaded::Internal)??;
        Ok(loaded.hash_plain_passwords_like(&self.house().accounts).await?)
    }

    async fn bind(
        &self,
        wanted: &[config::Listener],
        prepared: &Prepared,
    ) -> Result<Vec<Bound>, NotReloaded> {
        let mut bound = Vec::new();
        for wanted in wanted {
            match Bound::new(wanted, prepared).await {
                Ok(listener) => bound.push(listener),
                Err(BuildError::Bind { bind, error })
                    if error.kind() == std::io::ErrorKind::AddrInUse && self.has_port_of(&bind) =>
                {
                    return Err(NotReloaded::OwnPort(bind));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bound)
    }
}

fn terms_of(
    moves: &[(usize, config::Listener)],
    prepared: &Prepared,
) -> Result<Vec<(usize, Terms)>, BuildError> {
    moves.iter().map(|(number, wanted)| Ok((*number, Terms::new(wanted, prepared)?))).collect()
}

fn changes(before: &House, after: &House, moves: &Moves, warnings: &[Mistake]) -> Changes {
    let (accounts_added, accounts_changed, accounts_removed) = compare(&before.accounts, &after.accounts);
    let apps = |house: &House| house.providers.keys().cloned().collect::<BTreeSet<AppName>>();
    let (had, has) = (apps(before), apps(after));
    let without = |one: &BTreeSet<AppName>, other| one.difference(other).map(ToString::to_string).collect();
    let named = |listeners: &[config::Listener]| {
        listeners.iter().map(|listener| format!("{} on {}", listener.protocol, listener.bind)).collect()
    };
    Changes {
        accounts: after.accounts.len(),
        accounts_added,
        accounts_changed,
        accounts_removed,
        apps_added: without(&has, &had),
        apps_removed: without(&had, &has),
        listeners_opened: named(&moves.opened),
        listeners_changed: moves
            .changed
            .iter()
            .flat_map(|(_, now)| named(std::slice::from_ref(now)))
            .collect(),
        listeners_closed: moves.closed.iter().flat_map(|(_, was)| named(std::slice::from_ref(was))).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
    }
}

/// Which accounts were added, changed and removed. An account is the same where a login of it is.
fn compare(before: &Accounts, after: &Accounts) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    let name = |account: &Arc<Account>| account.name().to_owned();
    for account in after.iter() {
        match before.namesake(account) {
            Some(was) if was == account => (),
            None if !before.has_any_login_of(account) => added.push(name(account)),
            Some(_) | None => changed.push(name(account)),
        }
    }
    let is_gone = |account: &&Arc<Account>| !after.has_any_login_of(account);
    (added, changed, before.iter().filter(is_gone).map(name).collect())
}

fn note(changes: &Changes) {
    info!(
        accounts = changes.accounts,
        accounts.added = changes.accounts_added.len(),
        accounts.changed = changes.accounts_changed.len(),
        accounts.removed = changes.accounts_removed.len(),
        listeners.opened = changes.listeners_opened.len(),
        listeners.changed = changes.listeners_changed.len(),
        listeners.closed = changes.listeners_closed.len(),
        "configuration reloaded"
    );
}

fn complain(why: &NotReloaded) {
    let NotReloaded::Mistakes(mistakes) = why else {
        error!(cause = %why, "configuration not reloaded");
        return;
    };
    for mistake in mistakes.iter() {
        let (place, cause, cure) = (mistake.place(), mistake.cause(), mistake.cure());
        match mistake.severity() {
            config::Severity::Error => error!(place, cause, cure, "configuration not reloaded"),
            config::Severity::Warning => warn!(place, cause, cure, "configuration"),
        }
    }
}
