//! What a slot knows and what follows from it: pure transitions, no lock, no clock, no network.
//!
//! A slot holds one access token and at most one attempt to get another. Attempts are numbered, so
//! that whoever waited for one can be told how that very one ended. A slot whose token a person must
//! consent to says so at once: a mail program never waits for a person.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::{
    failure::{Failure, Refusal},
    policy::timing,
    secret::Secret,
};

/// An access token and how long it is good.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) token: Secret,
    /// Counts the tokens of this slot: a higher one is newer.
    pub(super) generation: u64,
    pub(super) obtained_at: SystemTime,
    pub(super) expires_at: SystemTime,
    renew_at: SystemTime,
}

/// What an authority issued.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) token: Secret,
    /// How long it lives, from when it was asked for.
    pub(super) lifetime: Duration,
}

/// How a slot is renewed while nobody logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Upkeep {
    /// Ahead of time while it is in use, else not at all.
    #[default]
    WhileUsed,
    /// Likewise, and once in a while where nobody uses it, so that its refresh token does not lapse.
    Forever,
    /// Never: it takes a password that only a login brings.
    Never,
}

/// How an attempt ended without a token.
#[derive(Debug, Clone)]
pub(super) struct Unissued {
    pub(super) refusal: Refusal,
    /// When the authority wants to be asked again; only for a refusal that is temporary.
    pub(super) retry_after: Option<Duration>,
    /// Whether a want of consent may be a mistake of the authority, so that asking again some time is
    /// worth it.
    pub(super) doubtful: bool,
    /// Whether the refresh token was refused without a reason of its own, as one is that is shown twice.
    pub(super) unspecific: bool,
    /// Whether the authority may have replaced the refresh token all the same.
    pub(super) may_be_done: bool,
}

impl Unissued {
    /// A refusal, or trouble of which the authority has not said how long it lasts.
    pub(super) fn new(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None, doubtful: false, unspecific: false, may_be_done: false }
    }
}

/// The number of an attempt.
pub(super) type Attempt = u64;

/// What a login should do about its token.
#[derive(Debug)]
pub(super) enum Advice {
    /// Use this one.
    Use(Held),
    /// Carry out this attempt and wait for it; the held token will do if it takes too long or fails.
    Start(Attempt, Option<Held>),
    /// Wait for the attempt in flight, likewise.
    Await(Attempt, Option<Held>),
    /// The last attempt failed; the next may start at this time.
    Rest(SystemTime, Refusal),
    /// The authority has refused for good, a moment ago.
    Refuse(Refusal),
}

/// One slot.
#[derive(Debug, Default)]
pub(super) struct State {
    held: Option<Held>,
    generation: u64,
    attempts: Attempt,
    phase: Phase,
    /// Failed attempts in a row, for the back-off.
    failures: u32,
    /// The last permanent refusal, which attempt it answered, and how many came in a row.
    refused: Option<(Attempt, Refusal, u32)>,
    /// The last trouble that passes, until a token was issued or refused.
    trouble: Option<Refusal>,
    /// Before this the keeper does not ask, whatever has failed.
    keeper_from: Option<SystemTime>,
    /// Why a person has to consent first, and when to ask the authority whether that is still so.
    wanting: Option<(Refusal, Option<SystemTime>)>,
    rejections: Rejections,
    last_used: Option<SystemTime>,
    upkeep: Upkeep,
    /// A person has consented while an attempt was in flight: what that brings is of the time before.
    overtaken: bool,
}

/// What upstreams have said against tokens of this slot.
#[derive(Debug, Default)]
struct Rejections {
    /// The generation that is to be replaced because of it. It may still be good for other mailboxes,
    /// so it stays at hand until there is another.
    suspect: Option<u64>,
    /// When a token was last replaced because of one, at all and for which user.
    replaced_at: Option<SystemTime>,
    replaced_for: HashMap<String, SystemTime>,
    user: String,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    InFlight,
    /// The last attempt failed. Who waited for it waits on until `until`; a new login may ask from
    /// `asked_from` on, so that it does not pay for a back-off that others have earned.
    Resting {
        asked_from: SystemTime,
        until: SystemTime,
        why: Refusal,
    },
}

impl State {
    /// An empty slot.
    pub(super) fn new(upkeep: Upkeep) -> Self {
        Self { upkeep, ..Self::default() }
    }

    /// Takes up a token that an earlier run or another process has obtained. What is overdue is spread
    /// by `chance`, so that a restart does not ask for everything at once.
    pub(super) fn restore(&mut self, issued: Issued, obtained_at: SystemTime, now: SystemTime, chance: f64) {
        let lifetime = issued.lifetime;
        self.hold(issued, obtained_at, chance);
        if let Some(held) = &mut self.held {
            held.renew_at = held.renew_at.max(now + timing::restart_spread(lifetime).mul_f64(chance));
        }
    }

    /// A login has used the slot at that time, in an earlier run perhaps.
    pub(super) fn used_at(&mut self, at: SystemTime) {
        self.last_used = self.last_used.max(Some(at));
    }

    /// When a login last asked for the token.
    pub(super) fn last_used(&self) -> Option<SystemTime> {
        self.last_used
    }

    /// A person has to consent before there can be a token.
    pub(super) fn needs_consent(&mut self, why: Refusal) {
        self.wanting = Some((why, None));
    }

    /// Nobody has to consent, as it turns out.
    pub(super) fn heard_otherwise(&mut self) {
        self.wanting = None;
    }

    /// Why a person has to consent first, if so.
    pub(super) fn wants_consent(&self) -> Option<&Refusal> {
        self.wanting.as_ref().map(|(why, _)| why)
    }

    /// Why there is no other token, if the last attempt failed.
    pub(super) fn last_failure(&self) -> Option<&Refusal> {
        self.wants_consent().or(self.trouble()).or(self.refused.as_ref().map(|(_, refusal, _)| refusal))
    }

    /// When the token that is held expires.
    pub(super) fn expires_at(&self) -> Option<SystemTime> {
        self.held.as_ref().map(|held| held.expires_at)
    }

    /// A person has consented, and this is the first token. An attempt in flight ends by itself.
    pub(super) fn consented(&mut self, issued: Issued, at: SystemTime, chance: f64) -> u64 {
        self.settled();
        self.overtaken = matches!(self.phase, Phase::InFlight);
        if !self.overtaken {
            self.phase = Phase::Idle;
        }
        self.hold(issued, at, chance)
    }

    /// Whether a token is at hand that may be handed out.
    pub(super) fn holds_good(&self, now: SystemTime) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_good(now))
    }

    /// Whether an attempt is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight)
    }

    /// The token that is held is given up; the next login asks for another.
    pub(super) fn drop_token(&mut self) {
        self.held = None;
    }

    /// Everything that is held is given up; `why` is told to the next login.
    pub(super) fn forget(&mut self, why: Refusal) {
        self.held = None;
        self.needs_consent(why);
    }

    /// What to do at `now` for a login that wants a token newer than generation `newer_than` and has
    /// waited for the attempt `awaited`. Where that is to start an attempt, it is started.
    pub(super) fn advise(&mut self, now: SystemTime, newer_than: u64, awaited: Option<Attempt>) -> Advice {
        self.last_used = Some(now);
        let good = self.held.clone().filter(|held| held.generation > newer_than && held.is_good(now));
        if let Some(held) = &good
            && held.is_fresh(now)
            && self.rejections.suspect != Some(held.generation)
        {
            return Advice::Use(held.clone());
        }
        if let Some((why, ask_from)) = &self.wanting
            && !matches!(self.phase, Phase::InFlight)
            && ask_from.is_none_or(|from| is_within(from, now, timing::DOUBTFUL_CONSENT_ASKED_AGAIN))
        {
            return good.map_or_else(|| Advice::Refuse(why.clone()), Advice::Use);
        }
        match (&self.phase, good) {
            (Phase::InFlight, good) => Advice::Await(self.attempts, good),
            (Phase::Resting { until, .. }, Some(held)) if is_ahead(*until, now) => Advice::Use(held),
            (Phase::Resting { asked_from, until, why }, None) => {
                let until = if awaited.is_some() { *until } else { *asked_from };
                if !is_ahead(until, now) {
                    self.ask(None, awaited)
                } else if why.failure.is_temporary() {
                    Advice::Rest(until, why.clone())
                } else {
                    Advice::Refuse(why.clone())
                }
            }
            (Phase::Idle | Phase::Resting { .. }, good) => self.ask(good, awaited),
        }
    }

    /// Starts an attempt, unless the authority has refused the one that this login waited for: asking
    /// again changes nothing.
    fn ask(&mut self, good: Option<Held>, awaited: Option<Attempt>) -> Advice {
        match &self.refused {
            Some((attempt, refusal, _)) if awaited.is_some_and(|awaited| *attempt >= awaited) => {
                good.map_or_else(|| Advice::Refuse(refusal.clone()), Advice::Use)
            }
            _ => Advice::Start(self.start(), good),
        }
    }

    fn start(&mut self) -> Attempt {
        self.overtaken = false;
        self.attempts += 1;
        self.phase = Phase::InFlight;
        self.attempts
    }

    /// Starts an attempt where the token is due to be renewed at `now`; else says when it will be, as
    /// long as it is in use. One that has expired in an outage is still renewed, so that the first login
    /// after the outage need not wait.
    pub(super) fn renew_if_due(&mut self, now: SystemTime) -> Option<Renewal> {
        if matches!(self.phase, Phase::InFlight) {
            return None;
        }
        let used = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age < timing::USED_LATELY);
        let used = self.last_used.is_some_and(used);
        let due = match (&self.wanting, self.held.as_ref()?, self.upkeep) {
            (Some((_, None)), ..) | (_, _, Upkeep::Never) => return None,
            (Some((_, Some(from))), ..) => *from,
            (None, held, _) if held.is_from_the_future(now) => now,
            (None, held, _) if used => held.renew_at,
            (None, held, Upkeep::Forever) => held.obtained_at + timing::IDLE_RENEWAL,
            (None, _, Upkeep::WhileUsed) => return None,
        };
        let due = self.keeper_from.filter(|from| is_ahead(*from, now)).map_or(due, |from| due.max(from));
        Some(if due <= now { Renewal::Started(self.start()) } else { Renewal::Due(due) })
    }

    /// Ends the attempt in flight with a token that was asked for at `asked_at`. Returns its
    /// generation.
    pub(super) fn issued(&mut self, issued: Issued, asked_at: SystemTime, chance: f64) -> u64 {
        self.phase = Phase::Idle;
        if std::mem::take(&mut self.overtaken) {
            return self.generation;
        }
        self.settled();
        self.hold(issued, asked_at, chance)
    }

    /// Nothing is wrong any more.
    fn settled(&mut self) {
        self.failures = 0;
        self.refused = None;
        self.trouble = None;
        self.keeper_from = None;
        self.wanting = None;
    }

    fn hold(&mut self, issued: Issued, asked_at: SystemTime, chance: f64) -> u64 {
        let lifetime = issued.lifetime.clamp(timing::SHORTEST_LIFETIME, timing::LONGEST_LIFETIME);
        self.generation += 1;
        self.held = Some(Held {
            token: issued.token,
            generation: self.generation,
            obtained_at: asked_at,
            expires_at: asked_at + lifetime,
            renew_at: asked_at + timing::renew_after(lifetime, chance),
        });
        self.rejections.replaced(asked_at);
        self.generation
    }

    /// Ends the attempt in flight without a token. Returns whether that is news: the attempt before did
    /// not end for the same reason.
    pub(super) fn unissued(&mut self, unissued: Unissued, now: SystemTime, chance: f64) -> bool {
        if std::mem::take(&mut self.overtaken) {
            self.phase = Phase::Idle;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let Unissued { refusal, retry_after, doubtful, .. } = unissued;
        let is_news = self.last_failure() != Some(&refusal);
        let own = timing::retry_after(self.failures, chance);
        let asked = retry_after.map_or(Duration::ZERO, timing::obeyed_retry_after);
        let background = timing::background_retry_after(self.failures, chance);
        self.keeper_from = Some(now + background.max(asked));
        if refusal.failure == Failure::ConsentNeeded {
            self.phase = Phase::Idle;
            (self.trouble, self.refused) = (None, None);
            self.wanting = Some((refusal, doubtful.then(|| now + timing::DOUBTFUL_CONSENT_ASKED_AGAIN)));
            return is_news;
        }
        // Trouble on the way says nothing about the consent that was wanting before.
        if refusal.failure.is_temporary() {
            let asked_from = now + own.min(timing::NEW_LOGIN_ASKS).max(asked);
            self.refused = None;
            self.trouble = Some(refusal.clone());
            self.phase = Phase::Resting { asked_from, until: now + own.max(asked), why: refusal };
            return is_news;
        }
        self.trouble = None;
        // The text may differ by a time or an id; a refusal after a refusal is the same to us.
        let times = self.refused.as_ref().map_or(1, |(_, _, times)| times + 1);
        self.phase = if times >= 2 {
            let until = now + timing::REFUSAL_REMEMBERED;
            Phase::Resting { asked_from: until, until, why: refusal.clone() }
        } else {
            Phase::Idle
        };
        self.refused = Some((self.attempts, refusal, times));
        is_news
    }

    /// Whether a token of this generation, which an upstream has just rejected for `user`, may be
    /// replaced because of that: see [`timing::REJECTION_RENEWAL`].
    pub(super) fn may_replace(&mut self, rejected: u64, user: &str, now: SystemTime) -> bool {
        let under_way = matches!(self.phase, Phase::InFlight) || self.rejections.suspect == Some(rejected);
        self.generation > rejected || under_way || self.rejections.suspect(rejected, user, now)
    }

    /// Why the last attempt failed, if it did and the trouble was one that passes.
    pub(super) fn trouble(&self) -> Option<&Refusal> {
        self.trouble.as_ref()
    }
}

/// What the keeper does about a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The token is being renewed by this attempt, which the caller carries out.
    Started(Attempt),
    /// It will be due then.
    Due(SystemTime),
}

impl Rejections {
    /// Marks a generation for replacement, unless that was done lately. The same user may cause it
    /// seldom, since its mailbox may be what is wrong; all users together a little more often.
    fn suspect(&mut self, generation: u64, user: &str, now: SystemTime) -> bool {
        let within = |at: &SystemTime, limit| now.duration_since(*at).is_ok_and(|age| age < limit);
        self.replaced_for.retain(|_, at| within(at, timing::REJECTION_RENEWAL));
        let lately = self.replaced_at.is_some_and(|at| within(&at, timing::REJECTION_PAUSE));
        if lately || self.replaced_for.contains_key(user) {
            return false;
        }
        self.suspect = Some(generation);
        user.clone_into(&mut self.user);
        true
    }

    /// There is another token.
    fn replaced(&mut self, at: SystemTime) {
        if self.suspect.take().is_some() {
            self.replaced_at = Some(at);
            self.replaced_for.insert(std::mem::take(&mut self.user), at);
        }
    }
}

/// Whether a rest until `until` is still on. One that seems to last longer than any does was begun
/// under a clock that has been set back since, and is over.
fn is_ahead(until: SystemTime, now: SystemTime) -> bool {
    is_within(until, now, timing::LONGEST_REST)
}

/// Whether `until` is ahead, and not by more than anybody ever waits. Whoever asks may have looked at the
/// clock a moment before the wait began.
fn is_within(until: SystemTime, now: SystemTime, longest: Duration) -> bool {
    let left = until.duration_since(now).unwrap_or_default();
    !left.is_zero() && left <= longest + timing::CLOCK_SLACK
}

impl Held {
    /// Whether it may be handed out at all.
    fn is_good(&self, now: SystemTime) -> bool {
        now + timing::least_life(self.lifetime()) < self.expires_at
    }

    /// Whether at least half its life is left.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.is_good(now) && !self.is_from_the_future(now) && now <= self.obtained_at + self.lifetime() / 2
    }

    /// Whether the clock has been set back since: nobody knows how old this is.
    fn is_from_the_future(&self, now: SystemTime) -> bool {
        self.obtained_at.duration_since(now).is_ok_and(|ahead| ahead > timing::CLOCK_SLACK)
    }

    fn lifetime(&self) -> Duration {
        self.expires_at.duration_since(self.obtained_at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
