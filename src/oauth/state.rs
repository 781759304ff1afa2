//! What a slot knows and what follows from it: pure transitions, no lock, no clock, no network.
//!
//! A slot holds one access token and at most one attempt to get another. Attempts are numbered, so
//! that whoever waited for one can be told how that very one ended.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

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
    rejections: Rejections,
    last_used: Option<SystemTime>,
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
        self.attempts += 1;
        self.phase = Phase::InFlight;
        self.attempts
    }

    /// Starts an attempt where the token is due to be renewed at `now`; else says when it will be, as
    /// long as it is in use. One that has expired in an outage is still renewed, so that the first login
    /// after the outage need not wait.
    pub(super) fn renew_if_due(&mut self, now: SystemTime) -> Option<Renewal> {
        let held = self.held.as_ref()?;
        let used = now.duration_since(self.last_used?).is_ok_and(|age| age < timing::USED_LATELY);
        if !used || matches!(self.phase, Phase::InFlight) {
            return None;
        }
        let due = if held.is_from_the_future(now) { now } else { held.renew_at };
        let due = self.keeper_from.filter(|from| is_ahead(*from, now)).map_or(due, |from| due.max(from));
        Some(if due <= now { Renewal::Started(self.start()) } else { Renewal::Due(due) })
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
        self.keeper_from = None;
        self.rejections.replaced(asked_at);
        self.generation
    }

    /// Ends the attempt in flight without a token. Returns whether that is news: the attempt before did
    /// not end for the same reason.
    pub(super) fn unissued(&mut self, unissued: Unissued, now: SystemTime, chance: f64) -> bool {
        self.failures = self.failures.saturating_add(1);
        let Unissued { refusal, retry_after } = unissued;
        let before = self.trouble.as_ref().or(self.refused.as_ref().map(|(_, refusal, _)| refusal));
        let is_news = before != Some(&refusal);
        let own = timing::retry_after(self.failures, chance);
        let asked = retry_after.map_or(Duration::ZERO, timing::obeyed_retry_after);
        let background = timing::background_retry_after(self.failures, chance);
        self.keeper_from = Some(now + background.max(asked));
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
    until.duration_since(now).is_ok_and(|left| !left.is_zero() && left <= timing::LONGEST_REST)
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

    fn fail(state: &mut State, failure: Failure, seconds: u64, retry_after: Option<u64>) -> bool {
        let refusal = Refusal::explained(failure, Explanation::new("trouble", ""));
        let retry_after = retry_after.map(Duration::from_secs);
        state.start();
        state.unissued(Unissued { refusal, retry_after }, at(seconds), 0.5)
    }

    #[test]
    fn the_same_trouble_again_is_no_news() {
        let mut state = State::default();
        assert!(fail(&mut state, Failure::AuthorityUnavailable, 0, None));
        assert!(!fail(&mut state, Failure::AuthorityUnavailable, 1, None));
        assert!(fail(&mut state, Failure::AuthorityRefused, 2, None));
        assert!(!fail(&mut state, Failure::AuthorityRefused, 3, None));
        issue(&mut state, "t", 4);
        assert!(fail(&mut state, Failure::AuthorityRefused, 5, None));
    }

    fn used(advice: Advice) -> u64 {
        let Advice::Use(held) = advice else { panic!("{advice:?}") };
        held.generation
    }

    #[test]
    fn the_first_login_starts_an_attempt_and_the_others_wait_for_the_same() {
        let mut state = State::default();
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(1, None)));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Await(1, None)));
        state.issued(Issued { token: Secret::new("t"), lifetime: HOUR }, at(0), 0.5);
        assert_eq!(used(state.advise(at(1), 0, Some(1))), 1);
    }

    #[test]
    fn a_token_in_its_second_half_is_used_only_if_no_other_can_be_had() {
        let mut state = State::default();
        issue(&mut state, "t", 0);
        assert_eq!(used(state.advise(at(1800), 0, None)), 1);
        assert!(matches!(state.advise(at(1801), 0, None), Advice::Start(2, Some(_))));
        assert!(matches!(state.advise(at(1802), 0, None), Advice::Await(2, Some(_))));
        fail(&mut state, Failure::AuthorityUnavailable, 1803, Some(60));
        assert_eq!(used(state.advise(at(1804), 0, Some(2))), 1);
        assert!(matches!(state.advise(at(1864), 0, None), Advice::Start(_, Some(_))));
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
        assert!(matches!(state.advise(at(1), 0, None), Advice::Start(_, None)));
    }

    #[test]
    fn retry_after_is_obeyed_and_cut() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityUnavailable, 0, Some(17));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Rest(until, _) if until == at(17)));
        assert!(matches!(state.advise(at(17), 0, None), Advice::Start(..)));
        fail(&mut state, Failure::AuthorityUnavailable, 20, Some(86_400));
        assert!(matches!(state.advise(at(20), 0, None), Advice::Rest(until, _) if until == at(320)));
    }

    #[test]
    fn a_retry_after_of_nothing_is_no_invitation() {
        let mut state = State::default();
        issue(&mut state, "t", 0);
        used(state.advise(at(1), 0, None));
        for _ in 0..3 {
            fail(&mut state, Failure::AuthorityUnavailable, 2000, Some(0));
        }
        assert!(matches!(state.advise(at(3590), 0, None), Advice::Start(..)));
        fail(&mut state, Failure::AuthorityUnavailable, 3595, Some(0));
        assert!(matches!(state.advise(at(3595), 0, Some(4)), Advice::Rest(until, _) if until > at(3596)));
        assert!(matches!(state.advise(at(3595), 0, None), Advice::Rest(until, _) if until == at(3596)));
    }

    #[test]
    fn the_keeper_backs_off_from_refusals_whatever_their_words() {
        let mut state = State::default();
        issue(&mut state, "t", 0);
        used(state.advise(at(1), 0, None));
        let mut now = 1700;
        for asked in 0..8 {
            assert!(matches!(state.renew_if_due(at(now)), Some(Renewal::Started(_))), "attempt {asked}");
            let explanation = Explanation::new(format!("AADSTS7000222 at {now}"), "");
            let refusal = Refusal::explained(Failure::AuthorityRefused, explanation);
            state.unissued(Unissued { refusal, retry_after: None }, at(now), 0.5);
            let Some(Renewal::Due(next)) = state.renew_if_due(at(now)) else { panic!("asks at once") };
            now = next.duration_since(at(0)).unwrap().as_secs() + 1;
        }
        assert!(now > 1700 + 400, "eight attempts within {} s", now - 1700);
        assert!(state.renew_if_due(at(3600 + 300)).is_some(), "it has expired in use");
    }

    #[test]
    fn a_rest_that_a_wrong_clock_began_is_over_when_the_clock_is_right() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityUnavailable, 7200, Some(60));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(..)));
        issue(&mut state, "t", 7200);
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(_, Some(_))), "its age is not known");
    }

    #[test]
    fn a_new_login_asks_again_soon_and_who_has_waited_later() {
        let mut state = State::default();
        for second in 0..8 {
            fail(&mut state, Failure::AuthorityUnavailable, second, None);
        }
        assert!(matches!(state.advise(at(7), 0, None), Advice::Rest(until, _) if until == at(8)));
        assert!(matches!(state.advise(at(8), 0, Some(8)), Advice::Rest(until, _) if until == at(37)));
        assert!(matches!(state.advise(at(8), 0, None), Advice::Start(_, None)));
        assert_eq!(state.trouble().map(|why| why.failure), Some(Failure::AuthorityUnavailable));
    }

    #[test]
    fn a_refusal_is_told_to_all_who_waited_and_remembered_from_the_second_on() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityRefused, 0, None);
        assert!(matches!(state.advise(at(0), 0, Some(1)), Advice::Refuse(_)));
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(_, None)), "a new login asks again");
        fail(&mut state, Failure::AuthorityRefused, 1, None);
        assert!(matches!(state.advise(at(5), 0, None), Advice::Refuse(_)));
        assert!(matches!(state.advise(at(6), 0, None), Advice::Start(_, None)));
    }

    #[test]
    fn a_temporary_failure_is_never_told_as_a_refusal() {
        let mut state = State::default();
        fail(&mut state, Failure::AuthorityRefused, 0, None);
        fail(&mut state, Failure::AuthorityUnavailable, 1, None);
        assert!(matches!(state.advise(at(2), 0, Some(1)), Advice::Start(_, None)));
    }

    #[test]
    fn a_rejected_token_is_replaced_once_in_a_while_for_each_user() {
        let mut state = State::default();
        issue(&mut state, "first", 0);
        assert!(state.may_replace(1, "ann", at(10)));
        assert!(matches!(state.advise(at(10), 1, None), Advice::Start(_, None)));
        state.issued(Issued { token: Secret::new("second"), lifetime: HOUR }, at(10), 0.5);
        assert!(state.may_replace(1, "ann", at(11)), "there is a newer one already");
        assert_eq!(used(state.advise(at(11), 1, None)), 2);
        assert!(!state.may_replace(2, "ann", at(200)), "her mailbox may be what is wrong");
        assert!(!state.may_replace(2, "bob", at(19)), "all users together not that often either");
        assert!(state.may_replace(2, "bob", at(20)));
        issue(&mut state, "third", 21);
        assert!(state.may_replace(3, "ann", at(310)));
    }

    #[test]
    fn a_rejected_token_is_asked_for_again_when_the_first_renewal_failed() {
        let mut state = State::default();
        issue(&mut state, "first", 0);
        assert!(state.may_replace(1, "ann", at(10)));
        fail(&mut state, Failure::AuthorityUnavailable, 10, None);
        assert_eq!(used(state.advise(at(10), 0, None)), 1, "others use it while there is no other");
        assert!(matches!(state.advise(at(12), 0, None), Advice::Start(_, Some(_))), "and have it replaced");
        fail(&mut state, Failure::AuthorityUnavailable, 12, None);
        assert!(state.may_replace(1, "ann", at(13)), "nothing has been replaced yet");
    }

    #[test]
    fn renewal_is_due_ahead_of_half_life_for_tokens_in_use() {
        let mut state = State::default();
        assert_eq!(state.renew_if_due(at(0)), None);
        issue(&mut state, "t", 0);
        assert_eq!(state.renew_if_due(at(1)), None, "nobody has used it");
        used(state.advise(at(1), 0, None));
        assert_eq!(state.renew_if_due(at(2)), Some(Renewal::Due(at(1620))));
        assert_eq!(state.renew_if_due(at(1620)), Some(Renewal::Started(2)));
        assert_eq!(state.renew_if_due(at(1620)), None, "it is being renewed");
        fail(&mut state, Failure::AuthorityUnavailable, 2000, Some(100));
        assert_eq!(state.renew_if_due(at(2000)), Some(Renewal::Due(at(2100))));
    }

    #[test]
    fn a_token_that_nobody_has_used_for_a_day_is_not_renewed() {
        let mut state = State::default();
        state.start();
        state.issued(Issued { token: Secret::new("t"), lifetime: 48 * HOUR }, at(0), 0.5);
        used(state.advise(at(1), 0, None));
        assert!(state.renew_if_due(at(86_000)).is_some());
        assert_eq!(state.renew_if_due(at(86_401)), None);
    }
}
