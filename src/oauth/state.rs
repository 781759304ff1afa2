//! What a slot knows and what follows from it: pure transitions, no lock, no clock, no network.
//!
//! A slot holds one access token and at most one attempt to get another. Attempts are numbered, so
//! that whoever waited for one can be told how that very one ended.

use std::time::{Duration, SystemTime};

use crate::{failure::Refusal, policy::timing, secret::Secret};

/// An access token and how long it is good.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) token: Secret,
    /// Counts the tokens of this slot: a higher one is newer.
    pub(super) generation: u64,
    obtained_at: SystemTime,
    expires_at: SystemTime,
    renew_at: SystemTime,
}

/// What an authority issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) token: Secret,
    /// How long it lives, from when it was asked for.
    pub(super) lifetime: Duration,
}

/// How an attempt ended without a token.
#[derive(Debug, Clone)]
pub(super) struct Unissued {
    pub(super) refusal: Refusal,
    /// When the authority wants to be asked again; only for a refusal that is temporary.
    pub(super) retry_after: Option<Duration>,
}

/// The number of an attempt.
pub(super) type Attempt = u64;

/// What a login should do about its token.
#[derive(Debug)]
pub(super) enum Advice {
    /// Use this one.
    Use(Held),
    /// Start an attempt and wait for it; the held token will do if it takes too long or fails.
    Start(Option<Held>),
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
    /// The last permanent refusal, which attempt it answered, and how often it came in a row.
    refused: Option<(Attempt, Refusal, u32)>,
    /// The last trouble, until a token was issued or refused.
    trouble: Option<Refusal>,
    renewed_for_rejection: Option<SystemTime>,
    last_used: Option<SystemTime>,
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
    /// What to do at `now` for a login that wants a token newer than generation `newer_than` and has
    /// waited for the attempt `awaited`.
    pub(super) fn advise(&mut self, now: SystemTime, newer_than: u64, awaited: Option<Attempt>) -> Advice {
        self.last_used = Some(now);
        let good = self.held.clone().filter(|held| held.generation > newer_than && held.is_good(now));
        if let Some(held) = &good
            && held.is_fresh(now)
        {
            return Advice::Use(held.clone());
        }
        match (&self.phase, good) {
            (Phase::InFlight, good) => Advice::Await(self.attempts, good),
            (Phase::Resting { until, .. }, Some(held)) if now < *until => Advice::Use(held),
            (Phase::Resting { asked_from, until, why }, None) => {
                let until = if awaited.is_some() { *until } else { *asked_from };
                match now < until {
                    true if why.failure.is_temporary() => Advice::Rest(until, why.clone()),
                    true => Advice::Refuse(why.clone()),
                    false => self.ask(None, awaited),
                }
            }
            (Phase::Idle | Phase::Resting { .. }, good) => self.ask(good, awaited),
        }
    }

    /// Asks the authority, unless it has refused the attempt that this login waited for: asking again
    /// changes nothing.
    fn ask(&self, good: Option<Held>, awaited: Option<Attempt>) -> Advice {
        match &self.refused {
            Some((attempt, refusal, _)) if awaited.is_some_and(|awaited| *attempt >= awaited) => {
                good.map_or_else(|| Advice::Refuse(refusal.clone()), Advice::Use)
            }
            _ => Advice::Start(good),
        }
    }

    /// Starts an attempt, unless one is in flight. Returns its number, and whether it is new.
    pub(super) fn start(&mut self) -> (Attempt, bool) {
        let new = !matches!(self.phase, Phase::InFlight);
        if new {
            self.attempts += 1;
            self.phase = Phase::InFlight;
        }
        (self.attempts, new)
    }

    /// Ends the attempt in flight with a token that was asked for at `asked_at`. Returns its
    /// generation.
    pub(super) fn issued(&mut self, issued: Issued, asked_at: SystemTime, chance: f64) -> u64 {
        let lifetime = issued.lifetime.clamp(timing::SHORTEST_LIFETIME, timing::LONGEST_LIFETIME);
        self.generation += 1;
        self.held = Some(Held {
            token: issued.token,
            generation: self.generation,
            obtained_at: asked_at,
            expires_at: asked_at + lifetime,
            renew_at: asked_at + timing::renew_after(lifetime, chance),
        });
        self.phase = Phase::Idle;
        self.failures = 0;
        self.refused = None;
        self.trouble = None;
        self.generation
    }

    /// Ends the attempt in flight without a token.
    pub(super) fn unissued(&mut self, unissued: Unissued, now: SystemTime, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        let Unissued { refusal, retry_after } = unissued;
        if refusal.failure.is_temporary() {
            let asked = retry_after.map(timing::obeyed_retry_after);
            let rest = asked.unwrap_or_else(|| timing::retry_after(self.failures, chance));
            let asked_from = now + asked.unwrap_or_else(|| rest.min(timing::NEW_LOGIN_ASKS));
            self.refused = None;
            self.trouble = Some(refusal.clone());
            self.phase = Phase::Resting { asked_from, until: now + rest, why: refusal };
            return;
        }
        self.trouble = None;
        let times = match &self.refused {
            Some((_, before, times)) if *before == refusal => times + 1,
            _ => 1,
        };
        self.phase = if times >= 2 {
            let until = now + timing::REFUSAL_REMEMBERED;
            Phase::Resting { asked_from: until, until, why: refusal.clone() }
        } else {
            Phase::Idle
        };
        self.refused = Some((self.attempts, refusal, times));
    }

    /// Whether a token of this generation, which an upstream has just rejected, may be replaced
    /// because of that. Says yes once in a while only: see [`timing::REJECTION_RENEWAL`].
    pub(super) fn may_replace(&mut self, rejected: u64, now: SystemTime) -> bool {
        if self.generation > rejected || matches!(self.phase, Phase::InFlight) {
            return true;
        }
        let lately = self
            .renewed_for_rejection
            .is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < timing::REJECTION_RENEWAL));
        if lately {
            return false;
        }
        self.renewed_for_rejection = Some(now);
        true
    }

    /// Why the last attempt failed, if it did and the trouble was one that passes.
    pub(super) fn trouble(&self) -> Option<&Refusal> {
        self.trouble.as_ref()
    }

    /// When the token is to be renewed in the background, as long as it was used lately.
    pub(super) fn renewal_due(&self, now: SystemTime) -> Option<SystemTime> {
        let held = self.held.as_ref()?;
        let used = now.duration_since(self.last_used?).is_ok_and(|age| age < timing::USED_LATELY);
        let due = match &self.phase {
            Phase::Idle => Some(held.renew_at),
            Phase::Resting { until, .. } => Some(held.renew_at.max(*until)),
            Phase::InFlight => None,
        };
        due.filter(|_| used)
    }
}

impl Held {
    /// Whether it may be handed out at all. A clock that was set back before the token was obtained
    /// tells nothing about its age, so it counts as good until the upstream says otherwise.
    fn is_good(&self, now: SystemTime) -> bool {
        now + timing::least_life(self.lifetime()) < self.expires_at
    }

    /// Whether at least half its life is left.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.is_good(now) && now <= self.obtained_at + self.lifetime() / 2
    }

    fn lifetime(&self) -> Duration {
        self.expires_at.duration_since(self.obtained_at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Explanation, Failure};

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn issue(state: &mut State, token: &str, seconds: u64) -> u64 {
        state.start();
        state.issued(Issued { token: Secret::new(token), lifetime: HOUR }, at(seconds), 0.5)
    }

    fn fail(state: &mut State, failure: Failure, seconds: u64, retry_after: Option<u64>) {
        let refusal = Refusal::explained(failure, Explanation::new("trouble", ""));
        let retry_after = retry_after.map(Duration::from_secs);
        state.start();
        state.unissued(Unissued { refusal, retry_after }, at(seconds), 0.5);
    }

    fn used(advice: Advice) -> u64 {
        let Advice::Use(held) = advice else { panic!("{advice:?}") };
        held.generation
    }

    #[test]
    fn the_first_login_starts_an_attempt_and_the_others_wait_for_the_same() {
        let mut state = State::default();
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(None)));
        assert_eq!(state.start(), (1, true));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Await(1, None)));
        assert_eq!(state.start(), (1, false));
        state.issued(Issued { token: Secret::new("t"), lifetime: HOUR }, at(0), 0.5);
        assert_eq!(used(state.advise(at(1), 0, Some(1))), 1);
    }

    #[test]
    fn a_token_in_its_second_half_is_used_only_if_no_other_can_be_had() {
        let mut state = State::default();
        issue(&mut state, "t", 0);
        assert_eq!(used(state.advise(at(1800), 0, None)), 1);
        assert!(matches!(state.advise(at(1801), 0, None), Advice::Start(Some(_))));
        state.start();
        assert!(matches!(state.advise(at(1802), 0, None), Advice::Await(2, Some(_))));
        fail(&mut state, Failure::AuthorityUnavailable, 1803, Some(60));
        assert_eq!(used(state.advise(at(1804), 0, Some(2))), 1);
        assert!(matches!(state.advise(at(1864), 0, None), Advice::Start(Some(_))));
    }

    #[test]
    fn an_expired_token_is_never_used() {
        let mut state = State::default();
        issue(&mut state, "t", 0);
        fail(&mut state, Failure::AuthorityUnavailable, 3590, Some(60));
        assert!(matches!(state.advise(at(3595), 0, None), Advice::Rest(..)));
    }

    #[test]
    fn a_token_of_hardly_any_life_serves_those_who_waited_for_it() {
        let mut state = State::default();
        state.start();
        state.issued(Issued { token: Secret::new("t"), lifetime: Duration::ZERO }, at(0), 0.5);
        assert_eq!(used(state.advise(at(0), 0, Some(1))), 1);
        assert!(matches!(state.advise(at(1), 0, None), Advice::Start(None)));
    }

    #[test]
    fn retry_after_is_obeyed_and_cut() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityUnavailable, 0, Some(17));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Rest(until, _) if until == at(17)));
        fail(&mut state, Failure::AuthorityUnavailable, 20, Some(86_400));
        assert!(matches!(state.advise(at(20), 0, None), Advice::Rest(until, _) if until == at(320)));
    }

    #[test]
    fn a_new_login_asks_again_soon_and_who_has_waited_later() {
        let mut state = State::default();
        for second in 0..8 {
            fail(&mut state, Failure::AuthorityUnavailable, second, None);
        }
        assert!(matches!(state.advise(at(7), 0, None), Advice::Rest(until, _) if until == at(8)));
        assert!(matches!(state.advise(at(8), 0, Some(8)), Advice::Rest(until, _) if until == at(37)));
        assert!(matches!(state.advise(at(8), 0, None), Advice::Start(None)));
        assert_eq!(state.trouble().map(|why| why.failure), Some(Failure::AuthorityUnavailable));
    }

    #[test]
    fn a_refusal_is_told_to_all_who_waited_and_remembered_from_the_second_on() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityRefused, 0, None);
        assert!(matches!(state.advise(at(0), 0, Some(1)), Advice::Refuse(_)));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(None)), "a new login asks again");
        fail(&mut state, Failure::AuthorityRefused, 1, None);
        assert!(matches!(state.advise(at(5), 0, None), Advice::Refuse(_)));
        assert!(matches!(state.advise(at(6), 0, None), Advice::Start(None)));
    }

    #[test]
    fn a_temporary_failure_is_never_told_as_a_refusal() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityRefused, 0, None);
        fail(&mut state, Failure::AuthorityUnavailable, 1, None);
        assert!(matches!(state.advise(at(2), 0, Some(1)), Advice::Start(None)));
    }

    #[test]
    fn a_rejected_token_is_replaced_once_in_a_while() {
        let mut state = State::default();
        issue(&mut state, "first", 0);
        assert!(state.may_replace(1, at(10)));
        assert!(matches!(state.advise(at(10), 1, None), Advice::Start(None)));
        issue(&mut state, "second", 10);
        assert!(state.may_replace(1, at(11)), "there is a newer one already");
        assert_eq!(used(state.advise(at(11), 1, None)), 2);
        assert!(!state.may_replace(2, at(20)));
        assert!(state.may_replace(2, at(310)));
    }

    #[test]
    fn renewal_is_due_ahead_of_half_life_for_tokens_in_use() {
        let mut state = State::default();
        assert_eq!(state.renewal_due(at(0)), None);
        issue(&mut state, "t", 0);
        assert_eq!(state.renewal_due(at(1)), None, "nobody has used it");
        used(state.advise(at(1), 0, None));
        assert_eq!(state.renewal_due(at(2)), Some(at(1620)));
        state.start();
        assert_eq!(state.renewal_due(at(3)), None, "it is being renewed");
        fail(&mut state, Failure::AuthorityUnavailable, 2000, Some(100));
        assert_eq!(state.renewal_due(at(2000)), Some(at(2100)));
        assert_eq!(state.renewal_due(at(2000 + 86_400)), None, "nobody has used it for a day");
    }
}
