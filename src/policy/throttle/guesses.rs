//! Passwords that an authority is asked about: how many, and which of them not again.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::ids::SlotId;

/// Wrong passwords of one account that an authority is asked about within [`GUESS_WINDOW`]. Entra locks
/// an account after ten.
pub const GUESSES: usize = 5;

/// How long a wrong password is remembered, and how long the account rests that has had [`GUESSES`].
pub const GUESS_WINDOW: Duration = Duration::from_mins(5);

/// How many accounts' guesses are remembered: beyond it those of the longest ago go.
const MOST_GUESSED_AT: usize = 10_000;

/// Passwords that an authority was asked about, each by a keyed digest, so that it is not asked again and
/// again by a program that does not give up, nor by a stranger who guesses.
#[derive(Debug, Default)]
pub struct Guesses(HashMap<SlotId, Vec<Asked>>);

/// One password.
#[derive(Debug)]
struct Asked {
    digest: String,
    at: SystemTime,
    /// Whether the authority has called it wrong; else it has not answered yet.
    wrong: bool,
}

/// What is known about a shown password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// Nothing: the authority decides. It counts as one that was asked about.
    MayBeRight,
    /// The authority has called it wrong a moment ago.
    KnownWrong,
    /// Too many others were wrong; so long it takes until one may be tried again.
    TooMany(Duration),
}

impl Guesses {
    /// What is known about the password of `digest` at `now`.
    pub fn judge(&mut self, slot: &SlotId, digest: &str, now: SystemTime) -> Guess {
        if self.0.len() >= MOST_GUESSED_AT && !self.0.contains_key(slot) {
            self.make_room(now);
        }
        let asked = self.0.entry(slot.clone()).or_default();
        asked.retain(|asked| is_lately(asked.at, now));
        if let Some(known) = asked.iter().find(|known| known.digest == digest) {
            return if known.wrong { Guess::KnownWrong } else { Guess::MayBeRight };
        }
        match asked.first() {
            Some(first) if asked.len() >= GUESSES => {
                let age = now.duration_since(first.at).unwrap_or_default();
                Guess::TooMany(GUESS_WINDOW.saturating_sub(age))
            }
            _ => {
                asked.push(Asked { digest: digest.to_owned(), at: now, wrong: false });
                Guess::MayBeRight
            }
        }
    }

    /// The authority has called the password of `digest` wrong.
    pub fn failed(&mut self, slot: &SlotId, digest: &str) {
        if let Some(known) = self.known(slot, digest) {
            known.wrong = true;
        }
    }

    /// The authority has not called the password of `digest` wrong.
    pub fn spared(&mut self, slot: &SlotId, digest: &str) {
        if let Some(asked) = self.0.get_mut(slot) {
            asked.retain(|known| known.wrong || known.digest != digest);
        }
    }

    fn known(&mut self, slot: &SlotId, digest: &str) -> Option<&mut Asked> {
        self.0.get_mut(slot)?.iter_mut().find(|known| known.digest == digest)
    }

    /// Drops what is over, else the name at which the least was guessed: whoever guesses at many names
    /// must not free the guesses at one.
    fn make_room(&mut self, now: SystemTime) {
        self.0.retain(|_, asked| asked.iter().any(|asked| is_lately(asked.at, now)));
        if self.0.len() >= MOST_GUESSED_AT {
            let newest = |asked: &[Asked]| asked.last().map(|asked| asked.at);
            let least = self.0.iter().min_by_key(|(_, asked)| (asked.len(), newest(asked)));
            if let Some(slot) = least.map(|(slot, _)| slot.clone()) {
                self.0.remove(&slot);
            }
        }
    }
}

fn is_lately(at: SystemTime, now: SystemTime) -> bool {
    now.duration_since(at).is_ok_and(|age| age < GUESS_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_wrong_password_is_known_for_five_minutes_and_another_may_be_right() {
        let (mut guesses, slot) = (Guesses::default(), SlotId::of(&["ann"]));
        assert_eq!(guesses.judge(&slot, "a", at(0)), Guess::MayBeRight);
        guesses.failed(&slot, "a");
        assert_eq!(guesses.judge(&slot, "a", at(299)), Guess::KnownWrong);
        assert_eq!(guesses.judge(&slot, "b", at(299)), Guess::MayBeRight);
        assert_eq!(guesses.judge(&SlotId::of(&["bob"]), "a", at(1)), Guess::MayBeRight);
        assert_eq!(guesses.judge(&slot, "a", at(300)), Guess::MayBeRight);
    }

    #[test]
    fn after_five_passwords_the_account_rests_whether_or_not_the_authority_has_answered() {
        for answered in [true, false] {
            let (mut guesses, slot) = (Guesses::default(), SlotId::of(&["ann"]));
            for guess in 0..5 {
                assert_eq!(guesses.judge(&slot, &guess.to_string(), at(guess)), Guess::MayBeRight);
                if answered {
                    guesses.failed(&slot, &guess.to_string());
                }
            }
            let wait = Guess::TooMany(Duration::from_secs(290));
            assert_eq!(guesses.judge(&slot, "right", at(10)), wait);
            assert_eq!(guesses.judge(&slot, "right", at(300)), Guess::MayBeRight);
        }
    }

    #[test]
    fn a_password_that_was_not_called_wrong_does_not_count() {
        let (mut guesses, slot) = (Guesses::default(), SlotId::of(&["ann"]));
        for guess in 0..20 {
            assert_eq!(guesses.judge(&slot, &guess.to_string(), at(0)), Guess::MayBeRight);
            guesses.spared(&slot, &guess.to_string());
        }
    }

    #[test]
    fn guesses_at_many_names_do_not_free_the_guesses_at_one() {
        let (mut guesses, ann) = (Guesses::default(), SlotId::of(&["ann"]));
        for guess in 0..5 {
            guesses.judge(&ann, &guess.to_string(), at(0));
        }
        for name in 0..=MOST_GUESSED_AT {
            guesses.judge(&SlotId::of(&[&name.to_string()]), "wrong", at(1));
        }
        assert_eq!(guesses.0.len(), MOST_GUESSED_AT);
        assert!(matches!(guesses.judge(&ann, "another", at(2)), Guess::TooMany(_)));
    }
}
