//! Who is there: connections, sessions and failed logins, counted for all sessions together.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use crate::{
    clock::SharedClock,
    failure::{Explanation, Failure, Refusal},
    ids::{ClientAddr, ClientNet},
    policy::{
        Permit,
        throttle::{Crowd, Crowded, Limits, Rarely, Session, Standing, Strangers, Tried},
    },
    sasl::Credentials,
};

/// Counts everybody. It outlives reloads, and the ceilings are those of the house that asks.
#[derive(Debug)]
pub struct Lobby {
    crowd: Mutex<Crowd>,
    strangers: Mutex<Strangers>,
    /// What is said of a full bridge, and of a client that has too many connections.
    complaints: Mutex<[Rarely; 2]>,
    /// How many connections there is room for where the configuration does not say.
    room: usize,
    /// Makes numbers of credentials, which nobody outside can make the same for others.
    numbers: RandomState,
    clock: SharedClock,
}

impl Lobby {
    /// An empty one, with room for so many connections where the configuration does not say.
    #[must_use]
    pub fn new(clock: SharedClock, room: usize) -> Self {
        Self {
            crowd: Mutex::default(),
            strangers: Mutex::default(),
            complaints: Mutex::default(),
            room,
            numbers: RandomState::new(),
            clock,
        }
    }

    /// Takes a connection in, until what is returned is dropped.
    ///
    /// # Errors
    /// [`Crowded::Bridge`] where there are too many; the log has been told.
    pub fn enter(self: &Arc<Self>, limits: &Limits) -> Result<Place, Crowded> {
        let most = limits.max_connections.unwrap_or(self.room);
        let entered = self.crowd().enter(most);
        if entered.is_err()
            && let Some(more) = self.complains(Crowded::Bridge)
        {
            warn!(
                cause = format!("there are {most} connections, as many as the bridge may have"),
                cure = "raise max_connections in [limits], and the system's limit on open files for it",
                also.refused = more,
                "connection refused"
            );
        }
        entered.map(|()| Place { lobby: Arc::clone(self), client: None })
    }

    /// Whether a login from there is looked at.
    ///
    /// # Errors
    /// [`Failure::Throttled`] where too many have failed; nothing but the log is told why.
    pub(super) fn may_try(&self, from: ClientAddr, limits: &Limits) -> Result<(), Refusal> {
        if from.ip().is_loopback() {
            return Ok(());
        }
        let (client, now) = (from.network(), self.clock.now());
        let (most, window) = (limits.auth_failures, limits.auth_failure_window);
        let Standing::Resting { wait, news } = self.strangers().standing(&client, now, most, window) else {
            return Ok(());
        };
        let cause =
            format!("{most} different logins or passwords from {client} have failed within {window:?}");
        let cure = format!(
            "find the program with the wrong password there; in {} s the next login is looked at again",
            wait.as_secs() + 1
        );
        if news {
            warn!(client.network = %client, cause, cure, "logins are refused without a look at them");
        }
        Err(Refusal::explained(Failure::Throttled, Explanation::new(cause, cure)).for_the_log_alone())
    }

    /// What credentials are known by.
    pub(super) fn tried(&self, shown: &Credentials) -> Tried {
        let login = shown.username.to_lowercase();
        Tried {
            login: self.numbers.hash_one(&login),
            both: self.numbers.hash_one((&login, shown.password.expose())),
        }
    }

    /// Takes note of how a login went, where it says something about its password.
    pub(super) fn judged(&self, from: ClientAddr, tried: Tried, failure: Option<Failure>, limits: &Limits) {
        if from.ip().is_loopback() {
            return;
        }
        match failure {
            None => self.strangers().proven(&from.network(), tried.login),
            Some(Failure::BadCredentials) => {
                let (now, window) = (self.clock.now(), limits.auth_failure_window);
                self.strangers().failed(from.network(), tried, now, limits.auth_failures, window);
            }
            // None of these is about the password.
            Some(_) => (),
        }
    }

    /// Gives a session of an account a seat, until what is returned is dropped.
    ///
    /// # Errors
    /// [`Failure::TooManySessions`] where the account has too many.
    pub(super) fn seat(
        self: &Arc<Self>,
        permit: &Permit,
        from: ClientAddr,
        limits: &Limits,
    ) -> Result<Seat, Refusal> {
        let (account, most) = (permit.account().name().to_owned(), limits.per_account(from.ip()));
        let session = (account, permit.mailbox().to_owned());
        if self.crowd().seat(session.clone(), most) {
            return Ok(Seat { lobby: Arc::clone(self), session });
        }
        let cause = format!("account {} has reached max_connections_per_account, {most}", session.0);
        let cure = "close some of its sessions, or raise it in [limits]";
        Err(Refusal::explained(Failure::TooManySessions, Explanation::new(cause, cure)))
    }

    /// How many connections there are, those before their login among them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.crowd().connections()
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.crowd().is_empty()
    }

    fn complains(&self, of: Crowded) -> Option<u64> {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let [bridge, client] = &mut *complaints;
        let complaint = match of {
            Crowded::Bridge => bridge,
            Crowded::Client => client,
        };
        complaint.complains(self.clock.now())
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among those that are served. Free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    lobby: Arc<Lobby>,
    client: Option<ClientNet>,
}

impl Place {
    /// Counts the connection as one of the client's, once it is known who that is.
    ///
    /// # Errors
    /// [`Crowded::Client`] where the client has too many; the log has been told.
    pub fn recognise(&mut self, from: ClientAddr, limits: &Limits) -> Result<(), Crowded> {
        if from.ip().is_loopback() || self.client.is_some() {
            return Ok(());
        }
        let (client, most) = (from.network(), limits.max_connections_per_client);
        let recognised = self.lobby.crowd().recognise(client.clone(), most);
        if recognised.is_ok() {
            self.client = Some(client);
        } else if let Some(more) = self.lobby.complains(Crowded::Client) {
            warn!(
                client.addr = %from,
                cause = format!("{client} has {most} connections, as many as one client may"),
                cure = "see what keeps them open there, or raise max_connections_per_client in [limits]",
                also.refused = more,
                "connection refused"
            );
        }
        recognised
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.lobby.crowd();
        crowd.leave();
        if let Some(client) = &self.client {
            crowd.forget(client);
        }
    }
}

/// A session's seat among those of its account. Free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    lobby: Arc<Lobby>,
    session: Session,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lobby.crowd().unseat(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    fn shown(login: &str) -> Credentials {
        Credentials::new(login.as_bytes(), *b"guess")
    }

    fn from(addr: &str) -> ClientAddr {
        ClientAddr::new(addr.parse().unwrap())
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let lobby = Arc::new(Lobby::new(Arc::new(System), 2));
        let limits = Limits { max_connections_per_client: 1, ..Limits::default() };
        let mut first = lobby.enter(&limits).unwrap();
        let mut second = lobby.enter(&limits).unwrap();
        assert_eq!(lobby.enter(&limits).unwrap_err(), Crowded::Bridge);
        first.recognise(from("192.0.2.1:1"), &limits).unwrap();
        assert_eq!(second.recognise(from("192.0.2.1:2"), &limits), Err(Crowded::Client));
        drop(first);
        second.recognise(from("192.0.2.1:2"), &limits).unwrap();
        drop(second);
        assert!(lobby.is_empty());
    }

    #[test]
    fn local_programs_are_not_counted_by_their_address() {
        let lobby = Arc::new(Lobby::new(Arc::new(System), 9));
        let limits = Limits { max_connections_per_client: 1, auth_failures: 1, ..Limits::default() };
        let places: Vec<_> = (0..3).map(|_| lobby.enter(&limits).unwrap()).collect();
        for (mut place, addr) in places.into_iter().zip(["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]) {
            place.recognise(from(addr), &limits).unwrap();
            lobby.judged(from(addr), lobby.tried(&shown("ann")), Some(Failure::BadCredentials), &limits);
            lobby.may_try(from(addr), &limits).unwrap();
        }
    }

    #[test]
    fn an_address_whose_logins_fail_is_refused_without_a_word_of_why() {
        let lobby = Lobby::new(Arc::new(System), 9);
        let limits = Limits { auth_failures: 2, ..Limits::default() };
        let (stranger, other) = (from("192.0.2.1:1"), from("192.0.2.2:1"));
        lobby.judged(stranger, lobby.tried(&shown("ann")), Some(Failure::BadCredentials), &limits);
        lobby.judged(stranger, lobby.tried(&shown("bob")), Some(Failure::BadCredentials), &limits);
        lobby.judged(stranger, lobby.tried(&shown("carol")), Some(Failure::UpstreamUnavailable), &limits);
        let refusal = lobby.may_try(stranger, &limits).unwrap_err();
        assert_eq!((refusal.failure, refusal.line()), (Failure::Throttled, None));
        lobby.may_try(other, &limits).unwrap();
        lobby.judged(stranger, lobby.tried(&shown("ann")), None, &limits);
        lobby.may_try(stranger, &limits).unwrap();
    }
}
