//! Slots and the tasks that fill them.
//!
//! A request to the authority is a task of its own, never part of a login: a login that gives up
//! does not cancel it, and whoever comes next finds its result. No lock is held while the network is
//! slow.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{
    App,
    endpoint::{self, Http},
    reply,
    state::{Advice, Held, Issued, Renewal, State, Unissued},
};
use crate::{
    clock::SharedClock,
    failure::{Failure, Refusal},
    ids::AppName,
    policy::{Permit, timing},
    secret::Secret,
};

/// An access token, handed out for one login.
#[derive(Debug, Clone)]
pub struct Access {
    /// The access token itself.
    pub token: Secret,
    generation: u64,
}

impl From<Held> for Access {
    fn from(held: Held) -> Self {
        Self { token: held.token, generation: held.generation }
    }
}

/// Every slot.
#[derive(Debug)]
pub struct Tokens {
    slots: HashMap<AppName, Arc<Slot>>,
    clock: SharedClock,
    tasks: TaskTracker,
    /// Wakes the keeper when a slot has changed.
    changed: Arc<watch::Sender<()>>,
}

struct Slot {
    app: App,
    http: Http,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("app", &self.app.name).finish_non_exhaustive()
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that a transition panicked; they hold no invariant half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to tell a login whose time is over while an attempt is in flight: what was wrong with the
    /// one before, which says more than that there was no answer.
    fn out_of_time(&self) -> Refusal {
        let known = self.state().trouble().cloned();
        known.unwrap_or_else(|| {
            reply::unavailable(&self.app, "no answer in the time for a login", None).refusal
        })
    }
}

impl Tokens {
    /// An empty slot for each app. Nothing is asked of any authority yet.
    ///
    /// # Errors
    /// Where the HTTP client cannot be set up.
    pub fn new(apps: Vec<App>, clock: SharedClock) -> Result<Self, reqwest::Error> {
        let slot = |app: App| {
            let http = Http::new(&app.trust)?;
            let slot = Slot { app, http, state: Mutex::default(), changed: watch::Sender::new(()) };
            Ok((slot.app.name.clone(), Arc::new(slot)))
        };
        let slots = apps.into_iter().map(slot).collect::<Result<_, reqwest::Error>>()?;
        Ok(Self { slots, clock, tasks: TaskTracker::new(), changed: Arc::new(watch::Sender::new(())) })
    }

    /// The token for one login, asked for where there is none, and waited for until `deadline`.
    ///
    /// # Errors
    /// [`Failure::AuthorityUnavailable`] or [`Failure::AuthorityRefused`], explained.
    pub async fn access_token(&self, permit: &Permit, deadline: Instant) -> Result<Access, Refusal> {
        self.obtain(self.slot(permit)?, 0, deadline).await
    }

    /// Another token than `rejected`, which an upstream has refused. `None` where the slot has been
    /// renewed for such a reason a short while ago: the token is not what is wrong.
    ///
    /// # Errors
    /// As [`Tokens::access_token`].
    pub async fn renew(
        &self,
        permit: &Permit,
        rejected: &Access,
        deadline: Instant,
    ) -> Result<Option<Access>, Refusal> {
        let slot = self.slot(permit)?;
        if !slot.state().may_replace(rejected.generation, permit.user(), self.clock.now()) {
            return Ok(None);
        }
        self.obtain(slot, rejected.generation, deadline).await.map(Some)
    }

    /// Renews the tokens in use ahead of time, until `stop` is cancelled.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let now = self.clock.now();
            let mut next = now + timing::KEEPER_WAKES;
            for slot in self.slots.values() {
                let renewal = slot.state().renew_if_due(now);
                match renewal {
                    Some(Renewal::Started(_)) => self.carry_out(slot),
                    Some(Renewal::Due(due)) => next = next.min(due),
                    None => (),
                }
            }
            let nap = next.duration_since(now).unwrap_or_default();
            let woken = tokio::time::timeout(nap, changed.changed());
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    }

    /// Waits for the requests in flight: what they bring may be worth keeping.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn slot(&self, permit: &Permit) -> Result<&Arc<Slot>, Refusal> {
        self.slots.get(permit.app()).ok_or_else(|| Failure::Internal.into())
    }

    async fn obtain(&self, slot: &Arc<Slot>, newer_than: u64, deadline: Instant) -> Result<Access, Refusal> {
        let patience = deadline.min(Instant::now() + timing::FRESHEN_WAIT);
        let mut awaited = None;
        loop {
            let mut changed = slot.changed.subscribe();
            let now = self.clock.now();
            let advice = slot.state().advise(now, newer_than, awaited);
            let fallback = match advice {
                Advice::Use(held) => return Ok(held.into()),
                Advice::Refuse(refusal) => return Err(refusal),
                Advice::Start(attempt, fallback) => {
                    self.carry_out(slot);
                    awaited.get_or_insert(attempt);
                    fallback
                }
                Advice::Await(attempt, fallback) => {
                    awaited.get_or_insert(attempt);
                    fallback
                }
                Advice::Rest(until, why) => {
                    let wakes = Instant::now() + until.duration_since(now).unwrap_or_default();
                    if wakes > deadline {
                        return Err(why);
                    }
                    // Either way the next round finds out.
                    let _ = timeout_at(wakes, changed.changed()).await;
                    continue;
                }
            };
            let until = if fallback.is_some() { patience } else { deadline };
            if timeout_at(until, changed.changed()).await.is_err() {
                return fallback.map(Access::from).ok_or_else(|| slot.out_of_time());
            }
        }
    }

    /// Carries out the attempt that the slot has just started.
    fn carry_out(&self, slot: &Arc<Slot>) {
        let span = info_span!(parent: None, "token", app = %slot.app.name);
        let asked_at = self.clock.now();
        let asking = Arc::clone(slot);
        let request = async move { endpoint::client_credentials(&asking.http, &asking.app).await };
        let request = self.tasks.spawn(request.instrument(span.clone()));
        let (slot, clock, changed) = (Arc::clone(slot), Arc::clone(&self.clock), Arc::clone(&self.changed));
        let settle = async move {
            // A request that panicked must not leave its slot waiting for ever.
            let outcome =
                request.await.unwrap_or_else(|_| Err(reply::unavailable(&slot.app, "internal error", None)));
            settle(&slot, outcome, asked_at, &clock);
            slot.changed.send_replace(());
            changed.send_replace(());
        };
        self.tasks.spawn(settle.instrument(span));
    }
}

fn settle(slot: &Slot, outcome: Result<Issued, Unissued>, asked_at: SystemTime, clock: &SharedClock) {
    match outcome {
        Ok(issued) => {
            let lifetime = issued.lifetime;
            let generation = slot.state().issued(issued, asked_at, clock.fraction());
            info!(generation, expires_in = lifetime.as_secs(), "token obtained");
        }
        Err(unissued) => {
            let refusal = unissued.refusal.clone();
            let retry_after = unissued.retry_after.as_ref().map(Duration::as_secs);
            let mut state = slot.state();
            // An outage is worth one warning, and another when its cause changes.
            let is_news = state.unissued(unissued, clock.now(), clock.fraction());
            drop(state);
            let Refusal { failure, explanation } = refusal;
            let (cause, cure) = explanation.map(|why| (why.cause, why.cure)).unwrap_or_default();
            let (failure, fault) = (failure.name(), failure.fault().name());
            if is_news {
                warn!(failure, fault, cause, cure, retry_after, "token not obtained");
            } else {
                debug!(failure, fault, cause, cure, retry_after, "token not obtained");
            }
        }
    }
}
