//! Slots and the tasks that fill them.
//!
//! A request to the authority is a task of its own, never part of a login: a login that gives up
//! does not cancel it, and whoever comes next finds its result. No lock is held while the network is
//! slow.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::SystemTime,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{
    attempt::{self, Fresh},
    consent::Consents,
    holder::{Line, Slot},
    reply,
    slot::{Plan, Spec},
    state::{Advice, Held, Renewal, Unissued},
};
use crate::{
    clock::SharedClock,
    explain::consent,
    failure::{Failure, Refusal},
    ids::{AppName, SlotId},
    policy::{
        Permit,
        throttle::{Guess, Guesses},
        timing,
    },
    secret::Secret,
    store::Store,
};

/// An access token, handed out for one login.
#[derive(Debug, Clone)]
pub struct Access {
    /// The access token itself.
    pub token: Secret,
    /// Since when it is one.
    pub obtained_at: SystemTime,
    /// Until when it is good.
    pub expires_at: SystemTime,
    generation: u64,
}

impl From<Held> for Access {
    fn from(held: Held) -> Self {
        let Held { token, generation, obtained_at, expires_at, .. } = held;
        Self { token, obtained_at, expires_at, generation }
    }
}

/// Every slot.
#[derive(Debug)]
pub struct Tokens {
    pub(super) plan: RwLock<Arc<Plan>>,
    pub(super) lines: RwLock<HashMap<AppName, Arc<Line>>>,
    pub(super) slots: RwLock<HashMap<SlotId, Arc<Slot>>>,
    pub(super) store: Arc<Store>,
    pub(super) clock: SharedClock,
    pub(super) tasks: TaskTracker,
    /// Those tasks among them of which a refresh token comes.
    pub(super) refreshes: TaskTracker,
    /// Wakes the keeper when a slot has changed.
    pub(super) changed: Arc<watch::Sender<()>>,
    pub(super) consents: Consents,
    /// Cancelled when nobody waits for a person any more.
    pub(super) closing: CancellationToken,
    guesses: Mutex<Guesses>,
    /// What shown passwords are known by; of this process alone.
    digests: hmac::Key,
}

/// The slot that a login wants, and what its password is known by where the authority judges that.
struct Wanted {
    slot: Arc<Slot>,
    guess: Option<(SlotId, String)>,
}

impl Tokens {
    /// No slots yet. Nothing is asked of any authority.
    ///
    /// # Panics
    /// Where the system has no randomness to give.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: SharedClock) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        Self {
            plan: RwLock::default(),
            lines: RwLock::default(),
            slots: RwLock::default(),
            store,
            clock,
            tasks: TaskTracker::new(),
            refreshes: TaskTracker::new(),
            changed: Arc::new(watch::Sender::new(())),
            consents: Consents::default(),
            closing: CancellationToken::new(),
            guesses: Mutex::default(),
            digests: hmac::Key::generate(hmac::HMAC_SHA256, &random).expect("the system has randomness"),
        }
    }

    /// The token for one login, asked for where there is none, and waited for until `deadline`.
    ///
    /// # Errors
    /// [`Failure::AuthorityUnavailable`], [`Failure::AuthorityRefused`] or [`Failure::ConsentNeeded`],
    /// explained. Where the authority judges the password also [`Failure::BadCredentials`] and
    /// [`Failure::Throttled`]; then nothing but the log is told why.
    pub async fn access_token(&self, permit: &Permit, deadline: Instant) -> Result<Access, Refusal> {
        let Wanted { slot, guess } = self.wanted(permit)?;
        let obtained = self.obtain(&slot, 0, deadline).await;
        let Some((base, digest)) = guess else { return obtained };
        if matches!(&obtained, Err(refusal) if refusal.failure == Failure::BadCredentials) {
            self.guesses().failed(&base, &digest);
            self.drop_slot(&slot);
        } else {
            self.guesses().spared(&base, &digest);
        }
        obtained.map_err(Refusal::for_the_log_alone)
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
        let Wanted { slot, .. } = self.wanted(permit)?;
        if !slot.state().may_replace(rejected.generation, permit.user(), self.clock.now()) {
            return Ok(None);
        }
        self.obtain(&slot, rejected.generation, deadline).await.map(Some)
    }

    /// Renews the tokens in use ahead of time, until `stop` is cancelled.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let now = self.clock.now();
            let mut next = now + timing::KEEPER_WAKES;
            self.prune(now);
            self.consents.prune(now);
            let slots: Vec<_> = self.all_slots();
            for slot in &slots {
                // Without leave to ask now, the next one to finish wakes this loop again.
                let Ok(leave) = Arc::clone(&slot.line().background).try_acquire_owned() else { continue };
                let renewal = slot.state().renew_if_due(now);
                match renewal {
                    Some(Renewal::Started(_)) => self.carry_out(slot, Some(leave)),
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

    /// Stops waiting for people, and waits for the requests in flight: what they bring may be worth
    /// keeping.
    pub async fn finish(&self) {
        self.finish_refreshes().await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Likewise, but waits only for what would be lost otherwise: a refresh token may be replaced by the
    /// authority at this moment. Tries once more to write what the disk would not have.
    pub async fn finish_refreshes(&self) {
        self.closing.cancel();
        self.refreshes.close();
        self.refreshes.wait().await;
        for slot in self.all_slots() {
            let store = Arc::clone(&self.store);
            let _ = attempt::blocking(move || slot.memory.save_at_last(&store, &slot.spec())).await;
        }
    }

    fn wanted(&self, permit: &Permit) -> Result<Wanted, Refusal> {
        let base = self.plan().spec(permit.account(), permit.mailbox()).ok_or(Failure::Internal)?;
        let Some(shown) = permit.shown() else {
            return Ok(Wanted { slot: self.slot(base)?, guess: None });
        };
        let digest = self.digest(&base.id, shown);
        let slot = self.slot(Arc::new(base.released_to(&digest, shown.clone())))?;
        let wanted = Wanted { slot, guess: Some((base.id.clone(), digest.clone())) };
        if wanted.slot.state().holds_good(self.clock.now()) {
            // This very password has obtained it: however many others guess, it is no guess.
            return Ok(wanted);
        }
        match self.guesses().judge(&base.id, &digest, self.clock.now()) {
            Guess::MayBeRight => Ok(wanted),
            Guess::KnownWrong => {
                self.drop_slot(&wanted.slot);
                Err(Failure::BadCredentials.into())
            }
            Guess::TooMany(wait) => {
                self.drop_slot(&wanted.slot);
                let why = consent::throttled(&base.login, wait);
                Err(Refusal::explained(Failure::Throttled, why).for_the_log_alone())
            }
        }
    }

    /// What a shown password is known by.
    fn digest(&self, slot: &SlotId, shown: &Secret) -> String {
        let mut context = hmac::Context::with_key(&self.digests);
        context.update(slot.as_str().as_bytes());
        context.update(shown.expose());
        URL_SAFE_NO_PAD.encode(context.sign())
    }

    fn guesses(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// The slot of that name, made where there is none.
    pub(super) fn slot(&self, spec: Arc<Spec>) -> Result<Arc<Slot>, Refusal> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&spec.id)
            && Arc::ptr_eq(&slot.spec().app, &spec.app)
        {
            return Ok(Arc::clone(slot));
        }
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let line = lines.get(&spec.app.name).map(Arc::clone).ok_or(Failure::Internal)?;
        drop(lines);
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&spec.id) {
            // The configuration has changed since: what is asked next is asked as it says now.
            slot.renew_terms(spec, line);
            return Ok(Arc::clone(slot));
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(spec.id.clone()).or_insert_with(|| Arc::new(Slot::new(spec, line)));
        Ok(Arc::clone(slot))
    }

    fn drop_slot(&self, slot: &Slot) {
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(&slot.spec().id);
    }

    /// Drops slots of shown passwords that hold nothing any more.
    fn prune(&self, now: SystemTime) {
        let useless = |slot: &Slot| {
            slot.spec().is_released_to_a_password()
                && slot.state().expires_at().is_none_or(|expires| expires < now)
                && slot.state().last_used().is_none_or(|used| {
                    now.duration_since(used).is_ok_and(|age| age > timing::RELEASED_SLOT_IDLE)
                })
        };
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| !useless(slot));
    }

    async fn obtain(&self, slot: &Arc<Slot>, newer_than: u64, deadline: Instant) -> Result<Access, Refusal> {
        let patience = deadline.min(Instant::now() + timing::FRESHEN_WAIT);
        let (mut awaited, mut looked_again) = (None, false);
        loop {
            let mut changed = slot.changed.subscribe();
            let now = self.clock.now();
            let advice = slot.state().advise(now, newer_than, awaited);
            let fallback = match advice {
                Advice::Use(held) => return Ok(held.into()),
                Advice::Refuse(refusal) => {
                    // Somebody may have consented by another process.
                    if !looked_again && refusal.failure == Failure::ConsentNeeded {
                        looked_again = true;
                        if self.look_again(slot).await {
                            continue;
                        }
                    }
                    return Err(refusal);
                }
                Advice::Start(attempt, fallback) => {
                    self.carry_out(slot, None);
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
                return fallback.map(Access::from).ok_or_else(|| out_of_time(slot));
            }
        }
    }

    /// Carries out the attempt that the slot has just started.
    fn carry_out(&self, slot: &Arc<Slot>, leave: Option<OwnedSemaphorePermit>) {
        let spec = slot.spec();
        let span = info_span!(parent: None, "token", app = %spec.app.name, owner = spec.owner);
        let (asking, store, clock) = (Arc::clone(slot), Arc::clone(&self.store), Arc::clone(&self.clock));
        let request = async move {
            let (asked, last_used) = (asking.asking(&clock), asking.state().last_used());
            attempt::carry_out(asked.borrowed(), &store, &asking.memory, last_used).await
        };
        let tasks = if spec.is_refreshed() { &self.refreshes } else { &self.tasks };
        let request = tasks.spawn(request.instrument(span.clone()));
        let (slot, clock, changed) = (Arc::clone(slot), Arc::clone(&self.clock), Arc::clone(&self.changed));
        let settle = async move {
            // A request that panicked must not leave its slot waiting for ever.
            let outcome =
                request.await.unwrap_or_else(|_| Err(reply::unavailable(&spec.app, "internal error", None)));
            drop(leave);
            settle(&slot, outcome, &clock);
            slot.changed.send_replace(());
            changed.send_replace(());
        };
        tasks.spawn(settle.instrument(span));
    }
}

/// What to tell a login whose time is over while an attempt is in flight: what was wrong with the one
/// before, which says more than that there was no answer.
fn out_of_time(slot: &Slot) -> Refusal {
    let known = slot.state().trouble().cloned();
    known.unwrap_or_else(|| {
        reply::unavailable(&slot.spec().app, "no answer in the time for a login", None).refusal
    })
}

fn settle(slot: &Slot, outcome: Result<Fresh, Unissued>, clock: &SharedClock) {
    match outcome {
        Ok(Fresh { issued, obtained_at }) => {
            let lifetime = issued.lifetime;
            let generation = slot.state().issued(issued, obtained_at, clock.fraction());
            info!(generation, expires_in = lifetime.as_secs(), "token obtained");
        }
        Err(unissued) => {
            let refusal = unissued.refusal.clone();
            let retry_after = unissued.retry_after.as_ref().map(std::time::Duration::as_secs);
            let mut state = slot.state();
            // An outage is worth one warning, and another when its cause changes.
            let is_news = state.unissued(unissued, clock.now(), clock.fraction());
            drop(state);
            let (failure, fault) = (refusal.failure.name(), refusal.fault().name());
            let (cause, cure) = refusal.explanation.map(|why| (why.cause, why.cure)).unwrap_or_default();
            if is_news {
                warn!(failure, fault, cause, cure, retry_after, "token not obtained");
            } else {
                debug!(failure, fault, cause, cure, retry_after, "token not obtained");
            }
        }
    }
}
