//! Who is logged in, and how logins have gone of late: for people who look, and for monitoring.
//!
//! Everything here is bounded but the sessions themselves, and nothing is a secret: what is noted of a login is what the
//! log says of it.

mod minutes;
mod troubles;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::SharedClock,
    failure::Explanation,
    ids::{ClientAddr, ProtocolKind, SessionId},
    net::splice::Carried,
};

use minutes::Minutes;
use troubles::Troubles;

pub use minutes::{MINUTES, Minute};
pub use troubles::{Came, Trouble};

/// Keeps the books of all sessions together. It outlives reloads.
#[derive(Debug)]
pub struct Register {
    books: Mutex<Books>,
    clock: SharedClock,
}

#[derive(Debug, Default)]
struct Books {
    present: BTreeMap<u64, Entered>,
    minutes: Minutes,
    troubles: Troubles,
    totals: Totals,
}

/// What has been counted since the bridge has started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections.
    pub connections: HashMap<ProtocolKind, u64>,
    /// Logins by what came of them: `ok`, or the name of a [`Failure`](crate::failure::Failure).
    pub logins: HashMap<(ProtocolKind, &'static str), u64>,
    /// Bytes that ended sessions have carried after their login.
    pub carried: HashMap<ProtocolKind, Carried>,
}

/// What a login that reached its mailbox is called among [`Totals::logins`].
pub const LOGIN_OK: &str = "ok";

/// A session that has logged in.
#[derive(Debug, Clone)]
pub struct Present {
    /// Its number, which is `session.id` in the log.
    pub id: SessionId,
    /// Its protocol.
    pub protocol: ProtocolKind,
    /// Whence it comes.
    pub client: ClientAddr,
    /// The account's first login.
    pub account: String,
    /// The mailbox that it has open.
    pub mailbox: String,
    /// Since when it has been logged in.
    pub since: SystemTime,
}

#[derive(Debug)]
struct Entered {
    present: Present,
    end: CancellationToken,
}

impl Register {
    /// An empty one.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { books: Mutex::default(), clock }
    }

    /// Sessions after their login, the longest-lived first, at most so many; and how many there are.
    #[must_use]
    pub fn present(&self, most: usize) -> (Vec<Present>, usize) {
        let books = self.books();
        let first = books.present.values().take(most).map(|entered| entered.present.clone()).collect();
        (first, books.present.len())
    }

    /// The session of a number. `None` where it is not logged in.
    #[must_use]
    pub fn find(&self, id: SessionId) -> Option<Present> {
        self.books().present.get(&id.0).map(|entered| entered.present.clone())
    }

    /// How many sessions of each protocol are logged in.
    #[must_use]
    pub fn present_by_protocol(&self) -> HashMap<ProtocolKind, u64> {
        let mut counts = HashMap::new();
        for entered in self.books().present.values() {
            *counts.entry(entered.present.protocol).or_default() += 1;
        }
        counts
    }

    /// Ends a session that is logged in. False where there is none of that number.
    #[must_use]
    pub fn end(&self, id: SessionId) -> bool {
        let books = self.books();
        let entered = books.present.get(&id.0);
        if let Some(entered) = entered {
            entered.end.cancel();
        }
        entered.is_some()
    }

    /// How many logins each of the last [`MINUTES`] minutes saw, the oldest first. The last one is not over yet.
    #[must_use]
    pub fn minutes(&self) -> Vec<Minute> {
        let now = self.clock.now();
        self.books().minutes.until(now)
    }

    /// What went wrong of late, the newest first.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.books().troubles.newest_first()
    }

    /// What has been counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.books().totals.clone()
    }

    pub(super) fn connected(&self, protocol: ProtocolKind) {
        *self.books().totals.connections.entry(protocol).or_default() += 1;
    }

    /// Enters a session that has logged in, until what is returned is dropped.
    pub(super) fn logged_in(
        self: &Arc<Self>,
        came: &Came,
        id: SessionId,
        account: String,
        mailbox: String,
    ) -> Presence {
        let (since, end) = (self.clock.now(), CancellationToken::new());
        let (protocol, client) = (came.protocol, came.client);
        let present = Present { id, protocol, client, account, mailbox, since };
        let mut books = self.books();
        books.minutes.note(since, |minute| minute.good += 1);
        *books.totals.logins.entry((protocol, LOGIN_OK)).or_default() += 1;
        books.present.insert(id.0, Entered { present, end: end.clone() });
        Presence { register: Arc::clone(self), id, end }
    }

    /// A trouble that happens now.
    pub(super) fn trouble(
        &self,
        came: Came,
        login: Option<String>,
        what: &'static str,
        why: Explanation,
    ) -> Trouble {
        Trouble { at: self.clock.now(), times: 1, came, login, what, why }
    }

    /// Notes a login that failed. `is_proven` says that its password was right: others are kept apart, so that
    /// strangers push nothing out.
    pub(super) fn refused(&self, trouble: Trouble, is_proven: bool) {
        let mut books = self.books();
        books.minutes.note(trouble.at, |minute| minute.refused += 1);
        *books.totals.logins.entry((trouble.came.protocol, trouble.what)).or_default() += 1;
        books.troubles.note(trouble, is_proven);
    }

    /// Notes what an upstream complained of after a login.
    pub(super) fn complained(&self, trouble: Trouble) {
        self.books().troubles.note(trouble, true);
    }

    pub(super) fn carried(&self, protocol: ProtocolKind, carried: Carried) {
        let mut books = self.books();
        let total = books.totals.carried.entry(protocol).or_default();
        total.up += carried.up;
        total.down += carried.down;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's entry. It is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    register: Arc<Register>,
    id: SessionId,
    end: CancellationToken,
}

impl Presence {
    /// Cancelled when somebody ends the session.
    pub(super) fn end(&self) -> &CancellationToken {
        &self.end
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.register.books().present.remove(&self.id.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    fn came(protocol: ProtocolKind) -> Came {
        Came { protocol, client: ClientAddr::new("192.0.2.1:5".parse().unwrap()) }
    }

    fn enter(register: &Arc<Register>, id: u64, protocol: ProtocolKind) -> Presence {
        register.logged_in(&came(protocol), SessionId(id), format!("ann{id}"), "ann@contoso.com".to_owned())
    }

    #[test]
    fn a_session_is_present_until_it_has_ended() {
        let register = Arc::new(Register::new(Arc::new(System)));
        let first = enter(&register, 1, ProtocolKind::Imap);
        let second = enter(&register, 2, ProtocolKind::Smtp);
        let (shown, count) = register.present(1);
        assert_eq!((shown.len(), count), (1, 2));
        assert_eq!((shown[0].id, shown[0].account.as_str()), (SessionId(1), "ann1"));
        assert_eq!(register.find(SessionId(2)).unwrap().account, "ann2", "whether it is shown or not");
        drop(first);
        assert!(register.find(SessionId(1)).is_none());
        assert_eq!(register.present(9).0[0].id, SessionId(2));
        assert_eq!(register.present_by_protocol(), HashMap::from([(ProtocolKind::Smtp, 1)]));
        drop(second);
        assert_eq!(register.present(9).1, 0);
    }

    #[test]
    fn one_session_is_ended_and_no_other() {
        let register = Arc::new(Register::new(Arc::new(System)));
        let (first, second) =
            (enter(&register, 1, ProtocolKind::Imap), enter(&register, 2, ProtocolKind::Imap));
        assert!(register.end(SessionId(2)) && !register.end(SessionId(3)));
        assert!(second.end().is_cancelled() && !first.end().is_cancelled());
        drop(second);
        assert!(!register.end(SessionId(2)));
    }

    #[test]
    fn logins_and_bytes_are_counted_by_protocol() {
        let register = Arc::new(Register::new(Arc::new(System)));
        register.connected(ProtocolKind::Pop3);
        let _session = enter(&register, 1, ProtocolKind::Pop3);
        let why = Explanation::new("no", "");
        let refused = register.trouble(came(ProtocolKind::Imap), None, "bad_credentials", why);
        register.refused(refused, false);
        register.carried(ProtocolKind::Pop3, Carried { up: 1, down: 20 });
        register.carried(ProtocolKind::Pop3, Carried { up: 2, down: 30 });
        let totals = register.totals();
        assert_eq!(totals.connections, HashMap::from([(ProtocolKind::Pop3, 1)]));
        assert_eq!(
            totals.logins,
            HashMap::from([
                ((ProtocolKind::Pop3, LOGIN_OK), 1),
                ((ProtocolKind::Imap, "bad_credentials"), 1)
            ])
        );
        assert_eq!(totals.carried[&ProtocolKind::Pop3], Carried { up: 3, down: 50 });
        let last = register.minutes().into_iter().next_back().unwrap();
        assert_eq!((last.good, last.refused), (1, 1));
    }
}
