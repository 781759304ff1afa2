//! A number that only grows and that a test can wait for.

use tokio::{sync::watch, time::timeout};

use super::PATIENCE;

/// Counts events that other tasks cause.
#[derive(Debug, Clone)]
pub struct Count {
    what: &'static str,
    now: watch::Sender<usize>,
}

impl Count {
    /// Starts at zero; `what` is counted.
    pub fn of(what: &'static str) -> Self {
        Self { what, now: watch::Sender::new(0) }
    }

    /// Counts one more and returns its number, from 1.
    pub fn add(&self) -> usize {
        let mut number = 0;
        self.now.send_modify(|now| {
            *now += 1;
            number = *now;
        });
        number
    }

    /// How many there were so far.
    pub fn get(&self) -> usize {
        *self.now.borrow()
    }

    /// Waits until there were at least `wanted`.
    ///
    /// # Panics
    /// Where they do not come for long.
    pub async fn reached(&self, wanted: usize) {
        let came = self.reached_in_time(wanted).await;
        assert!(came, "waited for {wanted} {}, saw {}", self.what, self.get());
    }

    /// As [`Count::reached`]; says whether they came.
    pub async fn reached_in_time(&self, wanted: usize) -> bool {
        let mut now = self.now.subscribe();
        timeout(PATIENCE, now.wait_for(|now| *now >= wanted)).await.is_ok()
    }
}
