//! What follows from what, in a slot.

use super::*;
use crate::failure::Explanation;

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
    state.unissued(Unissued { retry_after, ..Unissued::new(refusal) }, at(seconds), 0.5)
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
        state.unissued(Unissued::new(refusal), at(now), 0.5);
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

fn wanting(state: &mut State, seconds: u64, doubtful: bool) {
    let refusal = Refusal::explained(Failure::ConsentNeeded, Explanation::new("sign in again", ""));
    state.start();
    state.unissued(Unissued { doubtful, ..Unissued::new(refusal) }, at(seconds), 0.5);
}

#[test]
fn a_want_of_consent_is_told_at_once_and_asks_nobody() {
    let mut state = State::new(Upkeep::Forever);
    wanting(&mut state, 0, false);
    assert!(
        matches!(state.advise(at(1), 0, None), Advice::Refuse(why) if why.failure == Failure::ConsentNeeded)
    );
    assert!(matches!(state.advise(at(86_400), 0, Some(1)), Advice::Refuse(_)));
    assert_eq!(state.renew_if_due(at(86_400)), None);
}

#[test]
fn a_want_of_consent_that_nobody_understands_is_asked_about_again_in_an_hour() {
    let mut state = State::new(Upkeep::Forever);
    issue(&mut state, "t", 0);
    wanting(&mut state, 4000, true);
    for second in [4000, 4001, 7599] {
        assert!(matches!(state.advise(at(second), 0, None), Advice::Refuse(_)), "{second}");
    }
    assert_eq!(state.renew_if_due(at(4001)), Some(Renewal::Due(at(7600))));
    assert_eq!(state.renew_if_due(at(7599)), Some(Renewal::Due(at(7600))));
    assert!(matches!(state.advise(at(7600), 0, None), Advice::Start(_, None)));
    state.issued(Issued { token: Secret::new("u"), lifetime: HOUR }, at(7600), 0.5);
    assert_eq!(state.wants_consent(), None);
}

#[test]
fn the_token_at_hand_serves_to_its_end_though_a_consent_is_wanting() {
    let mut state = State::new(Upkeep::Forever);
    issue(&mut state, "t", 0);
    wanting(&mut state, 2000, false);
    assert_eq!(used(state.advise(at(3000), 0, None)), 1);
    assert!(matches!(state.advise(at(3600), 0, None), Advice::Refuse(_)));
}

#[test]
fn trouble_that_passes_takes_no_consent_away_and_gives_none() {
    let mut state = State::new(Upkeep::Forever);
    issue(&mut state, "t", 0);
    wanting(&mut state, 4000, true);
    assert!(matches!(state.advise(at(7600), 0, None), Advice::Start(..)));
    let refusal = Refusal::explained(Failure::AuthorityUnavailable, Explanation::new("trouble", ""));
    state.unissued(Unissued::new(refusal), at(7600), 0.5);
    assert!(state.wants_consent().is_some());
}

#[test]
fn a_consent_ends_every_trouble_and_gives_a_newer_token() {
    let mut state = State::new(Upkeep::Forever);
    issue(&mut state, "old", 0);
    wanting(&mut state, 10, false);
    let generation = state.consented(Issued { token: Secret::new("new"), lifetime: HOUR }, at(20), 0.5);
    assert_eq!((generation, used(state.advise(at(21), 0, None))), (2, 2));
}

#[test]
fn a_refreshed_token_that_nobody_uses_is_renewed_every_week() {
    let mut state = State::new(Upkeep::Forever);
    issue(&mut state, "t", 0);
    let week = 7 * 86_400;
    assert_eq!(state.renew_if_due(at(2)), Some(Renewal::Due(at(week))));
    assert!(matches!(state.renew_if_due(at(week)), Some(Renewal::Started(_))));
    let mut state = State::new(Upkeep::Never);
    issue(&mut state, "t", 0);
    used(state.advise(at(1), 0, None));
    assert_eq!(state.renew_if_due(at(3000)), None, "only a login brings the password");
}

#[test]
fn what_a_restart_finds_overdue_is_spread() {
    let overdue = |chance| {
        let mut state = State::new(Upkeep::Forever);
        let issued = Issued { token: Secret::new("t"), lifetime: HOUR };
        state.restore(issued, at(0), at(5000), chance);
        state.used_at(at(4000));
        state.renew_if_due(at(5000))
    };
    assert!(matches!(overdue(0.0), Some(Renewal::Started(_))));
    assert_eq!(overdue(0.5), Some(Renewal::Due(at(5015))));
}

#[test]
fn a_token_that_is_kept_is_as_old_as_it_was() {
    let mut state = State::new(Upkeep::Forever);
    state.restore(Issued { token: Secret::new("t"), lifetime: HOUR }, at(0), at(1000), 0.5);
    assert_eq!(used(state.advise(at(1001), 0, None)), 1);
    assert!(matches!(state.advise(at(1801), 0, None), Advice::Start(_, Some(_))), "half of its life is over");
    assert!(matches!(state.advise(at(3601), 0, None), Advice::Await(_, None)));
}

#[test]
fn what_comes_back_after_a_consent_does_not_undo_it() {
    let fresh = |token| Issued { token: Secret::new(token), lifetime: HOUR };
    for refused in [true, false] {
        let mut state = State::new(Upkeep::Forever);
        assert!(matches!(state.advise(at(0), 0, None), Advice::Start(..)));
        state.consented(fresh("consented"), at(1), 0.5);
        if refused {
            assert!(!state.unissued(Unissued::new(Failure::ConsentNeeded.into()), at(2), 0.5));
        } else {
            state.issued(fresh("of the time before"), at(0), 0.5);
        }
        assert!(state.wants_consent().is_none());
        let Advice::Use(held) = state.advise(at(3), 0, None) else { panic!("there is a token") };
        assert_eq!(held.token, Secret::new("consented"));
    }
}
