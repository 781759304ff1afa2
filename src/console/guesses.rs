//! Wrong passwords: who has guessed too often is not looked at for a while.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use crate::{
    ids::{ClientAddr, ClientNet},
    policy::throttle::{Standing, Strangers, Tried},
};

/// So many different wrong passwords from one client within [`WINDOW`], and no more of its are looked at until the
/// first of them is older than that.
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_mins(5);

/// So many from all clients together, and nobody's are: who has many addresses guesses no faster.
const MOST_OF_ALL: usize = 100;

/// The wrong passwords of late.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    each: Strangers,
    all: Strangers,
}

impl Guesses {
    /// How long no password of `client` is looked at, where that is so.
    pub(super) fn rests(&mut self, client: &ClientNet, now: SystemTime) -> Option<Duration> {
        let wait = |standing| match standing {
            Standing::Welcome => None,
            Standing::Resting { wait, .. } => Some(wait),
        };
        let each = wait(self.each.standing(client, now, MOST, WINDOW));
        each.max(wait(self.all.standing(&everybody(), now, MOST_OF_ALL, WINDOW)))
    }

    /// A password of `client` was wrong. `number` is the same for the same one: a program that was given a wrong
    /// password says it again and again, and guesses nothing.
    pub(super) fn wrong(&mut self, client: ClientNet, number: u64, now: SystemTime) {
        let tried = Tried { login: 0, both: number };
        self.each.failed(client, tried, now, MOST, WINDOW);
        self.all.failed(everybody(), tried, now, MOST_OF_ALL, WINDOW);
    }
}

/// Under which name all are counted together: an address that no client has.
fn everybody() -> ClientNet {
    ClientAddr::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).network()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: usize) -> ClientNet {
        ClientAddr::new(format!("192.0.2.{number}:1").parse().unwrap()).network()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn who_guesses_rests_and_nobody_else_does() {
        let mut guesses = Guesses::default();
        for number in 0..5 {
            assert_eq!(guesses.rests(&client(1), at(number)), None);
            guesses.wrong(client(1), number, at(number));
        }
        assert_eq!(guesses.rests(&client(1), at(60)), Some(Duration::from_mins(4)));
        assert_eq!(guesses.rests(&client(2), at(60)), None);
        assert_eq!(guesses.rests(&client(1), at(300)), None);
    }

    #[test]
    fn one_wrong_password_again_and_again_is_one_guess() {
        let mut guesses = Guesses::default();
        for second in 0..100 {
            guesses.wrong(client(1), 7, at(second));
        }
        assert_eq!(guesses.rests(&client(1), at(100)), None);
    }

    #[test]
    fn guesses_from_many_clients_together_let_all_rest() {
        let mut guesses = Guesses::default();
        for number in 0..MOST_OF_ALL {
            assert_eq!(guesses.rests(&client(200), at(0)), None);
            guesses.wrong(client(number % 50), number.try_into().unwrap(), at(0));
        }
        assert_eq!(guesses.rests(&client(200), at(10)), Some(Duration::from_secs(290)));
        assert_eq!(guesses.rests(&client(200), at(300)), None);
    }
}
