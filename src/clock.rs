//! Time and chance, handed in.
//!
//! Nothing else asks the system what time it is or draws a random number, so that tests can say
//! both. Expiry is judged by the wall clock, because the monotonic one stops while a machine sleeps.

use std::{sync::Arc, time::SystemTime};

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
