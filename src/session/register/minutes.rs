//! Logins by the minute.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

/// How many minutes are remembered.
pub const MINUTES: usize = 60;

/// What one minute saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Logins that reached their mailboxes.
    pub good: u64,
    /// Logins that did not.
    pub refused: u64,
}

/// The last minutes in which something happened, by their number since 1970, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Minutes(VecDeque<(u64, Minute)>);

impl Minutes {
    /// Notes something that happens now. A clock that was set back counts it in the last minute that is known.
    pub(super) fn note(&mut self, now: SystemTime, count: impl FnOnce(&mut Minute)) {
        let number = number(now);
        // A clock that was far ahead, and is not any more.
        self.0.retain(|(known, _)| is_near(*known, number));
        match self.0.back_mut() {
            Some((last, minute)) if *last >= number => count(minute),
            _ => {
                let mut minute = Minute::default();
                count(&mut minute);
                self.0.push_back((number, minute));
                if self.0.len() > MINUTES {
                    self.0.pop_front();
                }
            }
        }
    }

    /// The last minutes up to now, those in which nothing happened among them.
    pub(super) fn until(&self, now: SystemTime) -> Vec<Minute> {
        let now = number(now);
        let near = || self.0.iter().filter(|(known, _)| is_near(*known, now));
        let last = near().map(|(known, _)| *known).fold(now, u64::max);
        let mut minutes = vec![Minute::default(); MINUTES];
        for (number, minute) in near() {
            let back = usize::try_from(last - number).unwrap_or(MINUTES);
            if back < MINUTES {
                minutes[MINUTES - 1 - back] = *minute;
            }
        }
        minutes
    }
}

/// Whether a minute is past, or ahead by no more than a clock is set back by for a season.
fn is_near(minute: u64, now: u64) -> bool {
    minute <= now + 2 * MINUTES as u64
}

fn number(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(minute: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(minute * 60 + 59)
    }

    fn good(minutes: &mut Minutes, minute: u64) {
        minutes.note(at(minute), |minute| minute.good += 1);
    }

    #[test]
    fn quiet_minutes_are_shown_and_old_ones_are_not() {
        let mut minutes = Minutes::default();
        for minute in [1000, 1000, 1002] {
            good(&mut minutes, minute);
        }
        let shown: Vec<_> = minutes.until(at(1003)).iter().map(|minute| minute.good).collect();
        assert_eq!((shown.len(), &shown[MINUTES - 4..]), (MINUTES, [2, 0, 1, 0].as_slice()));
        assert_eq!(minutes.until(at(1061)).iter().map(|minute| minute.good).sum::<u64>(), 1);
        assert_eq!(minutes.until(at(9000)), vec![Minute::default(); MINUTES]);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut minutes = Minutes::default();
        good(&mut minutes, 1000);
        good(&mut minutes, 940);
        assert_eq!(minutes.until(at(940))[MINUTES - 1].good, 2);
    }

    #[test]
    fn no_more_is_kept_than_is_shown() {
        let mut minutes = Minutes::default();
        for minute in 0..500 {
            good(&mut minutes, 2 * minute);
        }
        assert_eq!(minutes.0.len(), MINUTES);
    }

    /// A machine without a clock of its own may begin in a wrong year, and learn the time later.
    #[test]
    fn a_clock_that_was_far_ahead_once_does_not_stop_the_picture() {
        let mut minutes = Minutes::default();
        good(&mut minutes, 1_000_000);
        for minute in 1000..1005 {
            good(&mut minutes, minute);
        }
        let shown: Vec<_> = minutes.until(at(1004)).iter().map(|minute| minute.good).collect();
        assert_eq!(shown[MINUTES - 5..], [1, 1, 1, 1, 1], "{shown:?}");
    }
}
