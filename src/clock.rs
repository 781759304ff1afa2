//! Time and chance, handed in.
//!
//! Nothing else asks the system what time it is or draws a random number, so that tests can say
//! both. Expiry is judged by the wall clock, because the monotonic one stops while a machine sleeps.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Tells the time and draws random bytes.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// A random fraction from 0 up to, not including, 1: for jitter, not for secrets.
    fn fraction(&self) -> f64;
}

/// A clock that several rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock and randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is given")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fraction(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        // Without randomness there is no jitter, which is a nuisance and not a danger.
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            return 0.5;
        }
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// How far ahead a time is, in words for a table: `in 42 min`, or `expired`.
#[must_use]
pub fn ahead(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(_) => "expired".to_owned(),
    }
}

/// How long ago a time was, in words for a table: `5 s ago`.
#[must_use]
pub fn ago(at: SystemTime, now: SystemTime) -> String {
    format!("{} ago", span(now.duration_since(at).unwrap_or_default()))
}

/// A span in its largest unit, rounded down: `42 min`.
#[must_use]
pub fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_lies_between_zero_and_one() {
        for _ in 0..1000 {
            let fraction = System.fraction();
            assert!((0.0..1.0).contains(&fraction), "{fraction}");
        }
    }
}
