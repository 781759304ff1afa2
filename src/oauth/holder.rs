//! A slot with everything that surrounds its state: its lock, its line to the authority, its waiters.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use super::{
    App, Tokens,
    attempt::{self, Memory, blocking},
    endpoint::Http,
    request::Asking,
    slot::{Kind, Plan, Spec},
    state::{Issued, State, Upkeep},
};
use crate::{
    account::Accounts,
    clock::SharedClock,
    explain::consent,
    failure::{Explanation, Failure, Refusal},
    ids::{ProtocolKind, SlotId},
    store::{Kept, Record, StoreError},
};

/// How many tokens of one app are renewed in the background at a time. Logins do not queue for it.
const BACKGROUND: usize = 16;

/// How long the token of an account that is in the configuration no more is kept: a slip in a file must
/// not cost a consent.
const UNCLAIMED: Duration = Duration::from_hours(30 * 24);

/// The way to one app's authority.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) http: Http,
    pub(super) background: Arc<Semaphore>,
}

impl Line {
    pub(super) fn new(app: &App, clock: &SharedClock) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: Http::new(&app.trust, app.proxy.as_ref(), clock)?,
            background: Arc::new(Semaphore::new(BACKGROUND)),
        })
    }
}

/// One slot.
pub(super) struct Slot {
    terms: RwLock<(Arc<Spec>, Arc<Line>)>,
    state: Mutex<State>,
    pub(super) memory: Arc<Memory>,
    pub(super) changed: watch::Sender<()>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("owner", &self.spec().owner).finish_non_exhaustive()
    }
}

/// What one attempt needs, owned.
pub(super) struct Asker {
    http: Http,
    spec: Arc<Spec>,
    clock: SharedClock,
}

impl Asker {
    pub(super) fn borrowed(&self) -> Asking<'_> {
        Asking { http: &self.http, spec: &self.spec, clock: &self.clock }
    }
}

impl Slot {
    pub(super) fn new(spec: Arc<Spec>, line: Arc<Line>) -> Self {
        let upkeep = match spec.kind {
            Kind::App | Kind::ServiceAccount(_) => Upkeep::WhileUsed,
            Kind::Delegated => Upkeep::Forever,
            Kind::Password { .. } | Kind::LoginSecret(_) => Upkeep::Never,
        };
        Self {
            terms: RwLock::new((spec, line)),
            state: Mutex::new(State::new(upkeep)),
            memory: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that a transition panicked; they hold no invariant half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    pub(super) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// What the configuration says of the slot from now on.
    pub(super) fn renew_terms(&self, spec: Arc<Spec>, line: Arc<Line>) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = (spec, line);
    }

    pub(super) fn asking(&self, clock: &SharedClock) -> Asker {
        Asker { http: self.line().http.clone(), spec: self.spec(), clock: Arc::clone(clock) }
    }

    /// Takes up what an earlier run has kept.
    fn restore(&self, record: Option<&Record>, clock: &SharedClock) {
        let (spec, mut state) = (self.spec(), self.state());
        name_uncovered(&spec, record);
        let Some(record) = record else {
            if spec.is_refreshed() {
                state.needs_consent(attempt::not_given(&spec));
            }
            return;
        };
        self.memory.saw(record.version);
        if let Some(Kept { token, obtained_at, expires_at }) = &record.access {
            let lifetime = expires_at.duration_since(*obtained_at).unwrap_or_default();
            let issued = Issued { token: token.clone(), lifetime };
            state.restore(issued, *obtained_at, clock.now(), clock.fraction());
        }
        if let Some(at) = record.last_used {
            state.used_at(at);
        }
        match &record.consent {
            Some(why) => {
                let why = Explanation::new(why.clone(), "");
                state.needs_consent(Refusal::explained(Failure::ConsentNeeded, why));
            }
            None if spec.is_refreshed() && record.refresh_token.is_none() => {
                state.needs_consent(attempt::not_given(&spec));
            }
            None => (),
        }
    }
}

/// Names what a person would have to consent to again, now and not at the first login that fails.
fn name_uncovered(spec: &Spec, record: Option<&Record>) {
    for kind in record.map(|record| spec.uncovered_by(&record.scopes)).unwrap_or_default() {
        let Explanation { cause, cure, .. } = consent::does_not_cover(&spec.login, kind);
        warn!(protocol = kind.name(), owner = spec.owner, cause, cure, "a consent does not cover a protocol");
    }
}

/// Why a configuration's slots cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// The HTTP client for an authority cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// The store of tokens cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Tokens {
    /// Takes up a configuration: slots that it has in common with the one before keep all that they
    /// have, new ones find what an earlier run has stored, and what it has no more is kept for 30 days.
    ///
    /// # Errors
    /// [`ConfigureError`]; nothing is changed then.
    pub async fn configure(
        &self,
        apps: Vec<App>,
        accounts: &Accounts,
        listening: &[ProtocolKind],
    ) -> Result<(), ConfigureError> {
        let lines = apps.iter().map(|app| Ok((app.name.clone(), Arc::new(Line::new(app, &self.clock)?))));
        let lines = lines.collect::<Result<std::collections::HashMap<_, _>, reqwest::Error>>()?;
        let plan = Arc::new(Plan::new(apps, accounts, listening));
        let store = Arc::clone(&self.store);
        let mut stored: std::collections::HashMap<_, _> =
            blocking(move || store.all()).await?.into_iter().collect();
        *self.lines.write().unwrap_or_else(PoisonError::into_inner) = lines;
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&plan);
        self.drop_slots_outside(&plan);
        for (id, spec) in &plan.specs {
            self.take_up(spec, stored.get(id));
        }
        stored.retain(|id, record| plan.specs.contains_key(id) == record.unclaimed_since.is_some());
        self.note_claims(stored.into_keys().collect(), &plan).await;
        self.changed.send_replace(());
        Ok(())
    }

    fn take_up(&self, spec: &Arc<Spec>, record: Option<&Record>) {
        let known = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&spec.id).map(Arc::clone);
        let Some(slot) = known else {
            if let Ok(slot) = self.slot(Arc::clone(spec)) {
                slot.restore(record, &self.clock);
            }
            return;
        };
        name_uncovered(spec, record);
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&spec.app.name) {
            slot.renew_terms(Arc::clone(spec), Arc::clone(line));
        }
    }

    fn drop_slots_outside(&self, plan: &Plan) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        // What is on its way, or exists nowhere else, is not let go of because of a slip in a file.
        let is_busy = |slot: &Slot| slot.state().is_in_flight() || slot.memory.has_unsaved();
        slots.retain(|id, slot| plan.specs.contains_key(id) || !slot.spec().is_stored() || is_busy(slot));
    }

    /// Looks whether another process has stored what is wanting here.
    pub(super) async fn look_again(&self, slot: &Arc<Slot>) -> bool {
        let (store, spec) = (Arc::clone(&self.store), slot.spec());
        let id = spec.id.clone();
        let record = blocking(move || store.get(&id)).await;
        match record {
            Ok(Some(record)) if record.consent.is_none() && slot.memory.has_not_seen(&record) => {
                slot.state().heard_otherwise();
                slot.restore(Some(&record), &self.clock);
                slot.state().wants_consent().is_none()
            }
            Ok(_) => false,
            Err(error) => {
                warn!(%error, owner = spec.owner, "cannot look whether somebody has consented meanwhile");
                false
            }
        }
    }

    /// Notes since when records are nobody's, or that they are somebody's again.
    async fn note_claims(&self, ids: Vec<SlotId>, plan: &Arc<Plan>) {
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let claimed: HashSet<_> = ids.iter().filter(|id| plan.specs.contains_key(id)).cloned().collect();
        let noted = blocking(move || {
            for id in ids {
                // Whoever holds it is writing it, and the next start comes.
                let Some(_lock) = store.try_lock(&id)? else { continue };
                let Some(mut record) = store.get(&id)? else { continue };
                record.unclaimed_since = (!claimed.contains(&id)).then_some(now);
                store.put(&id, &mut record)?;
            }
            Ok(store.purge(now.checked_sub(UNCLAIMED).unwrap_or(SystemTime::UNIX_EPOCH))?.len())
        });
        match noted.await {
            Ok(0) => (),
            Ok(purged) => info!(purged, "tokens of accounts that were removed 30 days ago are deleted"),
            Err(error) => warn!(%error, "cannot note which tokens belong to no account"),
        }
    }
}
