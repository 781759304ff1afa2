//! How many requests a client may send.
//!
//! Generous: a page asks for itself every few seconds, and a household or an office is one client. What it bounds is
//! what a stranger makes this process do.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::ids::ClientNet;

/// How many requests may come at once, and how many a second go on being answered then.
const AT_ONCE: u32 = 300;
const A_SECOND: u32 = 20;

/// How many clients are told apart. Those beyond share one allowance.
const MOST_CLIENTS: usize = 4096;

/// How often those who have their whole allowance again are forgotten, where there are too many.
const TIDYING: Duration = Duration::from_secs(1);

/// Who has asked how much of late.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    clients: HashMap<ClientNet, Allowance>,
    others: Option<Allowance>,
    tidied: Option<Instant>,
}

/// What is left to a client, by when it was used up entirely at the earliest.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// When it will be whole again.
    whole_at: Instant,
}

impl Pace {
    /// Takes note of a request from `client` at `now`.
    ///
    /// # Errors
    /// How long it has to wait with the next one, where it has sent too many.
    pub(super) fn admit(&self, client: ClientNet, now: Instant) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(client, now)
    }
}

impl Known {
    fn admit(&mut self, client: ClientNet, now: Instant) -> Result<(), Duration> {
        if let Some(known) = self.clients.get_mut(&client) {
            return known.take(now);
        }
        if self.clients.len() >= MOST_CLIENTS {
            self.tidy(now);
        }
        if self.clients.len() >= MOST_CLIENTS {
            return self.others.get_or_insert(Allowance { whole_at: now }).take(now);
        }
        self.clients.entry(client).or_insert(Allowance { whole_at: now }).take(now)
    }

    fn tidy(&mut self, now: Instant) {
        if self.tidied.is_none_or(|last| now.duration_since(last) >= TIDYING) {
            self.clients.retain(|_, known| known.whole_at > now);
            self.tidied = Some(now);
        }
    }
}

impl Allowance {
    /// A request takes as long to be made good as it takes to earn one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let one = Duration::from_secs(1) / A_SECOND;
        let whole_at = self.whole_at.max(now) + one;
        match whole_at.duration_since(now).checked_sub(one * AT_ONCE) {
            None | Some(Duration::ZERO) => {
                self.whole_at = whole_at;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientAddr;

    fn client(number: u32) -> ClientNet {
        let [_, b, c, d] = number.to_be_bytes();
        ClientAddr::new(format!("10.{b}.{c}.{d}:1").parse().unwrap()).network()
    }

    #[test]
    fn a_client_that_asks_too_much_waits_and_nobody_else_does() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(pace.admit(client(1), now), Ok(()));
        }
        let wait = pace.admit(client(1), now).unwrap_err();
        assert!(wait <= Duration::from_millis(50), "{wait:?}");
        assert_eq!(pace.admit(client(2), now), Ok(()));
        assert_eq!(pace.admit(client(1), now + wait), Ok(()));
        assert!(pace.admit(client(1), now + wait).is_err());
        let later = now + Duration::from_mins(1);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.admit(client(1), later), Ok(()));
        }
        assert!(pace.admit(client(1), later).is_err());
    }

    #[test]
    fn clients_beyond_those_that_are_told_apart_share_until_others_are_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        let most = u32::try_from(MOST_CLIENTS).unwrap();
        for number in 0..most {
            pace.admit(client(number), now).unwrap();
        }
        for number in 0..AT_ONCE {
            assert_eq!(pace.admit(client(most + number), now), Ok(()));
        }
        assert!(pace.admit(client(2 * most), now).is_err());
        assert_eq!(pace.admit(client(0), now), Ok(()), "who is known has an allowance of its own");
        assert_eq!(pace.admit(client(2 * most), now + TIDYING), Ok(()));
        assert!(pace.0.lock().unwrap().clients.len() < 4);
    }
}
