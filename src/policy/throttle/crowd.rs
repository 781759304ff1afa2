//! How many connections there are, in all, of each client and of each account.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, SystemTime},
};

use crate::ids::ClientNet;

/// Whose connections are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// Everybody's together.
    Bridge,
    /// Those of one client.
    Client,
}

/// Every connection that is served. What is entered must be left; nothing is kept of who is not there.
#[derive(Debug, Default)]
pub struct Crowd {
    connections: usize,
    clients: Counts<ClientNet>,
    sessions: Counts<Session>,
}

/// What the sessions of one account have in common: the name of the account, and the mailbox, because a wildcard
/// opens several.
pub type Session = (String, String);

impl Crowd {
    /// Counts one more connection.
    ///
    /// # Errors
    /// [`Crowded::Bridge`] where there are `most` already; then nothing is counted.
    pub fn enter(&mut self, most: usize) -> Result<(), Crowded> {
        if self.connections >= most {
            return Err(Crowded::Bridge);
        }
        self.connections += 1;
        Ok(())
    }

    /// A connection has ended.
    pub fn leave(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    /// Counts one of the connections as a client's.
    ///
    /// # Errors
    /// [`Crowded::Client`] where it has `most` already; then nothing is counted.
    pub fn recognise(&mut self, client: ClientNet, most: usize) -> Result<(), Crowded> {
        if self.clients.add(client, most) { Ok(()) } else { Err(Crowded::Client) }
    }

    /// A connection of a client has ended.
    pub fn forget(&mut self, client: &ClientNet) {
        self.clients.remove(client);
    }

    /// Counts one more session of an account; `false`, and nothing counted, where there are `most` already.
    pub fn seat(&mut self, session: Session, most: usize) -> bool {
        self.sessions.add(session, most)
    }

    /// A session of an account has ended.
    pub fn unseat(&mut self, session: &Session) {
        self.sessions.remove(session);
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections == 0 && self.clients.0.is_empty() && self.sessions.0.is_empty()
    }
}

/// How many there are of each.
#[derive(Debug)]
struct Counts<K>(HashMap<K, usize>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn add(&mut self, key: K, most: usize) -> bool {
        let known = self.0.get(&key).copied().unwrap_or(0);
        if known >= most {
            return false;
        }
        self.0.insert(key, known + 1);
        true
    }

    fn remove(&mut self, key: &K) {
        match self.0.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => _ = self.0.remove(key),
            None => (),
        }
    }
}

/// How often the same complaint is made: whoever floods the bridge must not flood its log.
const COMPLAINT: Duration = Duration::from_mins(1);

/// A complaint that is made at most once a minute.
#[derive(Debug, Default)]
pub struct Rarely {
    made: Option<SystemTime>,
    unmade: u64,
}

impl Rarely {
    /// Whether to complain at `now`; then how often that was not done since the last time.
    pub fn complains(&mut self, now: SystemTime) -> Option<u64> {
        let lately = |made| now.duration_since(made).is_ok_and(|age| age < COMPLAINT);
        if self.made.is_some_and(lately) {
            self.unmade += 1;
            return None;
        }
        self.made = Some(now);
        Some(std::mem::take(&mut self.unmade))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientAddr;

    fn client(addr: &str) -> ClientNet {
        ClientAddr::new(addr.parse().unwrap()).network()
    }

    #[test]
    fn a_connection_too_many_is_refused_until_another_one_ends() {
        let mut crowd = Crowd::default();
        assert_eq!([crowd.enter(2), crowd.enter(2), crowd.enter(2)], [Ok(()), Ok(()), Err(Crowded::Bridge)]);
        crowd.leave();
        assert_eq!([crowd.enter(2), crowd.enter(2)], [Ok(()), Err(Crowded::Bridge)]);
        // A reload may lower the ceiling below what there is.
        assert_eq!(crowd.enter(1), Err(Crowded::Bridge));
    }

    #[test]
    fn a_client_is_an_address_and_in_ipv6_a_network_of_64_bits() {
        let mut crowd = Crowd::default();
        assert_eq!(crowd.recognise(client("192.0.2.1:1"), 1), Ok(()));
        assert_eq!(crowd.recognise(client("192.0.2.2:1"), 1), Ok(()));
        assert_eq!(crowd.recognise(client("[::ffff:192.0.2.1]:2"), 1), Err(Crowded::Client));
        assert_eq!(crowd.recognise(client("[2001:db8::1]:1"), 1), Ok(()));
        assert_eq!(crowd.recognise(client("[2001:db8::ffff:0:0:1]:1"), 1), Err(Crowded::Client));
        assert_eq!(crowd.recognise(client("[2001:db8:0:1::1]:1"), 1), Ok(()));
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_left() {
        let mut crowd = Crowd::default();
        let session = ("*@contoso.com".to_owned(), "ann@contoso.com".to_owned());
        crowd.enter(9).unwrap();
        crowd.recognise(client("192.0.2.1:1"), 9).unwrap();
        assert!(crowd.seat(session.clone(), 2) && crowd.seat(session.clone(), 2));
        assert!(!crowd.seat(session.clone(), 2));
        assert!(crowd.seat((session.0.clone(), "bob@contoso.com".to_owned()), 1));
        assert!(!crowd.is_empty());
        for mailbox in ["ann@contoso.com", "ann@contoso.com", "bob@contoso.com"] {
            crowd.unseat(&(session.0.clone(), mailbox.to_owned()));
        }
        crowd.forget(&client("192.0.2.1:1"));
        crowd.leave();
        assert!(crowd.is_empty());
    }

    #[test]
    fn a_complaint_is_made_once_a_minute_with_the_number_of_those_that_were_not() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let mut rarely = Rarely::default();
        let made: Vec<_> = [0, 1, 59, 60, 61, 200].map(|second| rarely.complains(at(second))).into();
        assert_eq!(made, [Some(0), None, None, Some(2), None, Some(1)]);
        // A clock that is set back does not silence it.
        assert_eq!(rarely.complains(at(10)), Some(0));
    }
}
