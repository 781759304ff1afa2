//! Failed logins, by the address that they came from.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use crate::ids::ClientNet;

/// How many addresses are remembered: beyond it those go that have failed least.
const MOST_STRANGERS: usize = 10_000;

/// The addresses that logins have failed from of late.
#[derive(Debug, Default)]
pub struct Strangers(HashMap<ClientNet, Record>);

/// What is remembered of one address. At most as many failures as it may have.
#[derive(Debug, Default)]
struct Record {
    failures: VecDeque<Failed>,
    /// When it was last said that this address is refused.
    said: Option<SystemTime>,
}

/// Credentials by two numbers, which the same ones have again and which tell nobody what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Of the login.
    pub login: u64,
    /// Of the login with its password.
    pub both: u64,
}

/// One failed login.
#[derive(Debug)]
struct Failed {
    at: SystemTime,
    tried: Tried,
}

/// What an address has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its logins are looked at.
    Welcome,
    /// They are not, for so long. The log is to be told once in a window.
    Resting {
        /// Until one may be tried again.
        wait: Duration,
        /// Whether nobody has been told yet.
        news: bool,
    },
}

impl Strangers {
    /// Whether a login from `client` is looked at, of whom `most` may fail within `window`.
    pub fn standing(
        &mut self,
        client: &ClientNet,
        now: SystemTime,
        most: usize,
        window: Duration,
    ) -> Standing {
        let Some(record) = self.0.get_mut(client) else { return Standing::Welcome };
        record.forget_old(now, window);
        let Some(oldest) = record.failures.len().checked_sub(most).and_then(|at| record.failures.get(at))
        else {
            return Standing::Welcome;
        };
        let wait = window.saturating_sub(now.duration_since(oldest.at).unwrap_or_default());
        let news = !record.said.is_some_and(|said| is_lately(said, now, window));
        if news {
            record.said = Some(now);
        }
        Standing::Resting { wait, news }
    }

    /// A login from `client` has failed. The same one again counts once: a program that was given a wrong password
    /// says it every half minute, guesses nothing, and must not lock out whoever shares its address.
    pub fn failed(
        &mut self,
        client: ClientNet,
        tried: Tried,
        now: SystemTime,
        most: usize,
        window: Duration,
    ) {
        if self.0.len() >= MOST_STRANGERS && !self.0.contains_key(&client) {
            self.make_room(now, window);
        }
        let record = self.0.entry(client).or_default();
        record.failures.retain(|known| known.tried != tried);
        record.failures.push_back(Failed { at: now, tried });
        let surplus = record.failures.len().saturating_sub(most);
        record.failures.drain(..surplus);
    }

    /// A login from `client` was good: its own slips are forgiven, the failures of other logins are not. Else
    /// whoever has one account could guess at the others.
    pub fn proven(&mut self, client: &ClientNet, login: u64) {
        if let Some(record) = self.0.get_mut(client) {
            record.failures.retain(|failed| failed.tried.login != login);
            if record.failures.is_empty() {
                self.0.remove(client);
            }
        }
    }

    /// Drops what is over, else the address that has failed least: who comes from many addresses must not free the
    /// one that guesses.
    fn make_room(&mut self, now: SystemTime, window: Duration) {
        self.0.retain(|_, record| {
            record.forget_old(now, window);
            !record.failures.is_empty()
        });
        if self.0.len() >= MOST_STRANGERS {
            let newest = |record: &Record| record.failures.back().map(|failed| failed.at);
            let least = self.0.iter().min_by_key(|(_, record)| (record.failures.len(), newest(record)));
            if let Some(client) = least.map(|(client, _)| client.clone()) {
                self.0.remove(&client);
            }
        }
    }
}

impl Record {
    fn forget_old(&mut self, now: SystemTime, window: Duration) {
        self.failures.retain(|failed| is_lately(failed.at, now, window));
    }
}

fn is_lately(at: SystemTime, now: SystemTime, window: Duration) -> bool {
    now.duration_since(at).is_ok_and(|age| age < window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientAddr;

    const MOST: usize = 3;
    const WINDOW: Duration = Duration::from_mins(5);
    const ANN: u64 = 1;
    const BOB: u64 = 2;

    /// Another password at each second.
    fn tried(login: u64, second: u64) -> Tried {
        Tried { login, both: login * 10_000 + second }
    }

    fn client(addr: &str) -> ClientNet {
        ClientAddr::new(addr.parse().unwrap()).network()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn after(failures: &[(u64, u64)]) -> Strangers {
        let mut strangers = Strangers::default();
        for &(login, second) in failures {
            strangers.failed(client("192.0.2.1:1"), tried(login, second), at(second), MOST, WINDOW);
        }
        strangers
    }

    fn standing(strangers: &mut Strangers, addr: &str, second: u64) -> Standing {
        strangers.standing(&client(addr), at(second), MOST, WINDOW)
    }

    #[test]
    fn an_address_with_too_many_failures_rests_until_the_first_of_them_is_over() {
        let mut strangers = after(&[(ANN, 0), (BOB, 10)]);
        assert_eq!(standing(&mut strangers, "192.0.2.1:2", 11), Standing::Welcome);
        strangers.failed(client("192.0.2.1:3"), tried(ANN, 20), at(20), MOST, WINDOW);
        let rests = |wait, news| Standing::Resting { wait: Duration::from_secs(wait), news };
        assert_eq!(standing(&mut strangers, "192.0.2.1:4", 20), rests(280, true));
        assert_eq!(standing(&mut strangers, "192.0.2.1:5", 299), rests(1, false));
        assert_eq!(standing(&mut strangers, "192.0.2.2:4", 20), Standing::Welcome);
        assert_eq!(standing(&mut strangers, "192.0.2.1:6", 300), Standing::Welcome);
        // One more within the window of the others: it rests again, which is no news.
        strangers.failed(client("192.0.2.1:7"), tried(ANN, 300), at(300), MOST, WINDOW);
        assert_eq!(standing(&mut strangers, "192.0.2.1:8", 301), rests(9, false));
    }

    #[test]
    fn one_wrong_password_that_is_said_again_and_again_counts_once() {
        let mut strangers = Strangers::default();
        let addr = "192.0.2.1:1";
        for second in 0..100 {
            strangers.failed(client(addr), tried(ANN, 0), at(second), MOST, WINDOW);
        }
        assert_eq!(standing(&mut strangers, addr, 100), Standing::Welcome);
        strangers.failed(client(addr), tried(ANN, 1), at(101), MOST, WINDOW);
        strangers.failed(client(addr), tried(BOB, 0), at(102), MOST, WINDOW);
        assert!(matches!(standing(&mut strangers, addr, 103), Standing::Resting { .. }));
    }

    #[test]
    fn a_good_login_forgives_its_own_slips_and_no_others() {
        let mut strangers = after(&[(ANN, 0), (ANN, 1), (BOB, 2)]);
        strangers.proven(&client("192.0.2.1:2"), ANN);
        assert_eq!(standing(&mut strangers, "192.0.2.1:2", 3), Standing::Welcome);
        assert_eq!(strangers.0.values().map(|record| record.failures.len()).sum::<usize>(), 1);
        strangers.proven(&client("192.0.2.1:2"), BOB);
        assert!(strangers.0.is_empty());
    }

    #[test]
    fn a_reload_that_lowers_the_ceiling_counts_the_newest_failures() {
        let mut strangers = after(&[(ANN, 0), (ANN, 100)]);
        let lower = strangers.standing(&client("192.0.2.1:2"), at(101), 1, WINDOW);
        assert_eq!(lower, Standing::Resting { wait: Duration::from_secs(299), news: true });
    }

    #[test]
    fn no_more_is_kept_than_is_needed_and_many_addresses_do_not_free_one() {
        let mut strangers = after(&[(ANN, 0), (ANN, 1), (ANN, 2), (ANN, 3), (ANN, 4)]);
        assert_eq!(strangers.0.values().map(|record| record.failures.len()).sum::<usize>(), MOST);
        for number in 0..=MOST_STRANGERS {
            let addr = format!("10.{}.{}.1:1", number / 256, number % 256);
            strangers.failed(client(&addr), tried(BOB, 5), at(5), MOST, WINDOW);
        }
        assert_eq!(strangers.0.len(), MOST_STRANGERS);
        assert!(matches!(standing(&mut strangers, "192.0.2.1:1", 6), Standing::Resting { .. }));
        strangers.failed(client("198.51.100.1:1"), tried(BOB, 400), at(400), MOST, WINDOW);
        assert_eq!(strangers.0.len(), 1, "what is over goes first");
    }
}
