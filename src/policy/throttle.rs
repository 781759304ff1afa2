//! Ceilings on what a client may ask of the bridge before it has logged in.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::{dialogue::Ceilings, ids::SlotId};

/// Refused credentials on one connection before it is closed. RFC 3501 and RFC 4954 leave the number
/// to the server; a person mistypes twice, a program repeats itself.
pub const ATTEMPTS: u32 = 5;

/// What a client may send before it has logged in, from the `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line. RFC 4954 §4 wants 12,288 octets for a line of an AUTH exchange.
    pub line: usize,
    /// Bytes of one IMAP literal: a username or a password.
    pub literal: usize,
    /// Bytes in all before a login.
    pub before_login_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 * 1024, literal: 8 * 1024, before_login_bytes: 64 * 1024 }
    }
}

impl Limits {
    /// What the protocol rooms have to enforce.
    #[must_use]
    pub fn ceilings(&self) -> Ceilings {
        /// Commands in error before a login: scanners and strayed protocols send many, mail
        /// programs a handful while they find out what the server can do.
        const ERRORS: u32 = 20;
        Ceilings { line: self.line, literal: self.literal, errors: ERRORS }
    }
}

/// Wrong passwords of one account that an authority is asked about within [`GUESS_WINDOW`]. Entra locks
/// an account after ten.
pub const GUESSES: usize = 5;

/// How long a wrong password is remembered, and how long the account rests that has had [`GUESSES`].
pub const GUESS_WINDOW: Duration = Duration::from_mins(5);

/// How many accounts' guesses are remembered: beyond it those of the longest ago go.
const MOST_GUESSED_AT: usize = 10_000;

/// Passwords that an authority has called wrong, each by a keyed digest, so that the authority is not
/// asked again and again by a program that does not give up.
#[derive(Debug, Default)]
pub struct Guesses(HashMap<SlotId, Vec<(String, SystemTime)>>);

/// What is known about a shown password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// Nothing: the authority decides.
    MayBeRight,
    /// The authority has called it wrong a moment ago.
    KnownWrong,
    /// Too many others were wrong; so long it takes until one may be tried again.
    TooMany(Duration),
}

impl Guesses {
    /// What is known about the password of `digest` at `now`.
    pub fn judge(&mut self, slot: &SlotId, digest: &str, now: SystemTime) -> Guess {
        let Some(wrong) = self.0.get_mut(slot) else { return Guess::MayBeRight };
        wrong.retain(|(_, at)| is_lately(*at, now));
        if wrong.iter().any(|(known, _)| known == digest) {
            return Guess::KnownWrong;
        }
        match wrong.first() {
            Some((_, first)) if wrong.len() >= GUESSES => {
                let age = now.duration_since(*first).unwrap_or_default();
                Guess::TooMany(GUESS_WINDOW.saturating_sub(age))
            }
            _ => Guess::MayBeRight,
        }
    }

    /// The authority has called the password of `digest` wrong.
    pub fn failed(&mut self, slot: &SlotId, digest: &str, now: SystemTime) {
        if self.0.len() >= MOST_GUESSED_AT {
            self.0.retain(|_, wrong| wrong.iter().any(|(_, at)| is_lately(*at, now)));
        }
        if self.0.len() >= MOST_GUESSED_AT && !self.0.contains_key(slot) {
            return;
        }
        let wrong = self.0.entry(slot.clone()).or_default();
        if !wrong.iter().any(|(known, _)| known == digest) {
            wrong.push((digest.to_owned(), now));
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
        guesses.failed(&slot, "a", at(0));
        assert_eq!(guesses.judge(&slot, "a", at(299)), Guess::KnownWrong);
        assert_eq!(guesses.judge(&slot, "b", at(299)), Guess::MayBeRight);
        assert_eq!(guesses.judge(&SlotId::of(&["bob"]), "a", at(1)), Guess::MayBeRight);
        assert_eq!(guesses.judge(&slot, "a", at(300)), Guess::MayBeRight);
    }

    #[test]
    fn after_five_wrong_passwords_the_account_rests() {
        let (mut guesses, slot) = (Guesses::default(), SlotId::of(&["ann"]));
        for guess in 0..5 {
            assert_eq!(guesses.judge(&slot, "right", at(guess)), Guess::MayBeRight);
            guesses.failed(&slot, &guess.to_string(), at(guess));
            guesses.failed(&slot, &guess.to_string(), at(guess));
        }
        let wait = Guess::TooMany(Duration::from_secs(290));
        assert_eq!(guesses.judge(&slot, "right", at(10)), wait);
        assert_eq!(guesses.judge(&slot, "right", at(300)), Guess::MayBeRight);
    }
}
