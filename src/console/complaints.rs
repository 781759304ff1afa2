//! How much the log is told of wrong passwords: whoever floods the console must not flood its log.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use crate::ids::ClientNet;

/// So many lines of one client within [`WINDOW`]: as many as it may guess before it rests.
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);

/// So many of all clients together, who may be many.
const MOST_OF_ALL: usize = 50;

/// What the log was told of late.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    made: VecDeque<(SystemTime, ClientNet)>,
    unmade: u64,
}

impl Complaints {
    /// Whether to complain of `client` at `now`; then how often that was not done, of whomever, since the last time.
    pub(super) fn complains(&mut self, client: &ClientNet, now: SystemTime) -> Option<u64> {
        // A clock that is set back does not silence it.
        self.made.retain(|(at, _)| now.duration_since(*at).is_ok_and(|age| age < WINDOW));
        let of_client = self.made.iter().filter(|(_, known)| known == client).count();
        if of_client >= MOST || self.made.len() >= MOST_OF_ALL {
            self.unmade += 1;
            return None;
        }
        self.made.push_back((now, client.clone()));
        Some(std::mem::take(&mut self.unmade))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientAddr;

    fn client(number: u8) -> ClientNet {
        ClientAddr::new(([192, 0, 2, number], 1).into()).network()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_client_is_complained_of_five_times_a_minute_and_the_rest_is_counted() {
        let mut complaints = Complaints::default();
        for second in 0..5 {
            assert_eq!(complaints.complains(&client(1), at(second)), Some(0));
        }
        for second in 5..60 {
            assert_eq!(complaints.complains(&client(1), at(second)), None);
        }
        assert_eq!(complaints.complains(&client(2), at(59)), Some(55), "of others it is still said");
        assert_eq!(complaints.complains(&client(1), at(60)), Some(0));
        assert_eq!(complaints.complains(&client(1), at(10)), Some(0), "the clock was set back");
    }

    #[test]
    fn many_clients_together_are_complained_of_fifty_times_a_minute() {
        let mut complaints = Complaints::default();
        let made = (0..=255).filter(|number| complaints.complains(&client(*number), at(0)).is_some()).count();
        assert_eq!(made, MOST_OF_ALL);
        assert_eq!(complaints.complains(&client(0), at(60)), Some(256 - 50));
    }
}
