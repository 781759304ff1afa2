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

use tokio::sync::oneshot;

use super::Why;
use crate::{
    account::Account,
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
    /// Boxed, because a tree keeps room for twice as many entries as it has.
    present: BTreeMap<u64, Box<Entered>>,
    /// Whoever comes now is sent away.
    closed: bool,
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

/// Who enters, and what is known of it.
#[derive(Debug)]
pub(super) struct Entrant {
    /// How it came.
    pub(super) came: Came,
    /// Whose mailbox it has open.
    pub(super) account: Option<Arc<Account>>,
    /// Whether the client's address was the proof of that.
    pub(super) by_address: bool,
    /// The mailbox.
    pub(super) mailbox: Arc<str>,
}

#[derive(Debug)]
struct Entered {
    who: Entrant,
    since: SystemTime,
    /// Taken once it has been told to end.
    end: Option<oneshot::Sender<Why>>,
}

impl Entered {
    fn present(&self, id: u64) -> Present {
        let Entrant { came, account, mailbox, .. } = &self.who;
        Present {
            id: SessionId(id),
            protocol: came.protocol,
            client: came.client,
            account: account.as_ref().map(|account| account.name().to_owned()).unwrap_or_default(),
            mailbox: mailbox.as_ref().to_owned(),
            since: self.since,
        }
    }

    fn end(&mut self, why: Why) {
        if let Some(end) = self.end.take() {
            // One that has just ended needs no telling.
            let _ = end.send(why);
        }
    }
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
        let first = books.present.iter().take(most).map(|(id, entered)| entered.present(*id)).collect();
        (first, books.present.len())
    }

    /// The session of a number. `None` where it is not logged in.
    #[must_use]
    pub fn find(&self, id: SessionId) -> Option<Present> {
        self.books().present.get(&id.0).map(|entered| entered.present(id.0))
    }

    /// How many sessions of each protocol are logged in.
    #[must_use]
    pub fn present_by_protocol(&self) -> HashMap<ProtocolKind, u64> {
        let mut counts = HashMap::new();
        for entered in self.books().present.values() {
            *counts.entry(entered.who.came.protocol).or_default() += 1;
        }
        counts
    }

    /// Ends a session that is logged in. False where there is none of that number.
    #[must_use]
    pub fn end(&self, id: SessionId) -> bool {
        self.end_as(id, Why::Ended)
    }

    /// Ends a session for a reason. False where there is none of that number.
    pub(super) fn end_as(&self, id: SessionId, why: Why) -> bool {
        let mut books = self.books();
        let Some(entered) = books.present.get_mut(&id.0) else { return false };
        entered.end(why);
        true
    }

    /// Ends the sessions whose account is gone, by what is said of each account and of the address that is its proof,
    /// where one is.
    pub(super) fn end_removed(&self, is_gone: impl Fn(&Account, Option<ClientAddr>) -> bool) {
        for entered in self.books().present.values_mut() {
            let Entrant { came, account, by_address, .. } = &entered.who;
            let proof = by_address.then_some(came.client);
            if account.as_ref().is_some_and(|account| is_gone(account, proof)) {
                entered.end(Why::AccountRemoved);
            }
        }
    }

    /// Ends all sessions, and those that still come, because the bridge shuts down.
    pub fn close(&self) {
        let mut books = self.books();
        books.closed = true;
        books.present.values_mut().for_each(|entered| entered.end(Why::ShuttingDown));
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

    /// Enters a session that has logged in, until the first that is returned is dropped. The second tells it to end.
    pub(super) fn logged_in(
        self: &Arc<Self>,
        id: SessionId,
        who: Entrant,
    ) -> (Presence, oneshot::Receiver<Why>) {
        let (since, (end, ended)) = (self.clock.now(), oneshot::channel());
        let mut books = self.books();
        books.minutes.note(since, |minute| minute.good += 1);
        *books.totals.logins.entry((who.came.protocol, LOGIN_OK)).or_default() += 1;
        let mut entered = Box::new(Entered { who, since, end: Some(end) });
        if books.closed {
            entered.end(Why::ShuttingDown);
        }
        books.present.insert(id.0, entered);
        (Presence { register: Arc::clone(self), id }, ended)
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
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.register.books().present.remove(&self.id.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::tests::account, clock::System};

    fn came(protocol: ProtocolKind) -> Came {
        Came { protocol, client: ClientAddr::new("192.0.2.1:5".parse().unwrap()) }
    }

    type Inside = (Presence, oneshot::Receiver<Why>);

    fn enter(register: &Arc<Register>, id: u64, protocol: ProtocolKind) -> Inside {
        let account = Some(Arc::new(account(&[&format!("ann{id}")])));
        let mailbox = "ann@contoso.com".into();
        register
            .logged_in(SessionId(id), Entrant { came: came(protocol), account, by_address: false, mailbox })
    }

    fn why_ended((_, ended): &mut Inside) -> Option<&'static str> {
        ended.try_recv().ok().map(|why| why.name())
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
        let (mut first, mut second) =
            (enter(&register, 1, ProtocolKind::Imap), enter(&register, 2, ProtocolKind::Imap));
        assert!(register.end(SessionId(2)) && !register.end(SessionId(3)));
        assert_eq!((why_ended(&mut first), why_ended(&mut second)), (None, Some("ended")));
        assert!(register.end(SessionId(2)), "it may take a moment to leave");
        drop(second);
        assert!(!register.end(SessionId(2)));
    }

    #[test]
    fn sessions_whose_account_is_gone_are_ended_and_no_others() {
        let register = Arc::new(Register::new(Arc::new(System)));
        let (mut first, mut second) =
            (enter(&register, 1, ProtocolKind::Imap), enter(&register, 2, ProtocolKind::Imap));
        register.end_removed(|account, proof| account.name() == "ann1" && proof.is_none());
        assert_eq!((why_ended(&mut first), why_ended(&mut second)), (Some("account_removed"), None));
    }

    #[test]
    fn whoever_logs_in_while_the_bridge_shuts_down_is_ended_like_all_others() {
        let register = Arc::new(Register::new(Arc::new(System)));
        let mut early = enter(&register, 1, ProtocolKind::Imap);
        register.close();
        let mut late = enter(&register, 2, ProtocolKind::Imap);
        assert_eq!(why_ended(&mut early), Some("shutting_down"));
        assert_eq!(why_ended(&mut late), Some("shutting_down"));
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
