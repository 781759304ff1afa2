//! What is remembered of the logins of each account, for people who ask how it goes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{
    account::{Account, Accounts, LoginPattern},
    clock::SharedClock,
    failure::{Explanation, Failure, Refusal},
};

/// The last login of each account, and the last one that failed after its password was verified.
///
/// An account is known by its first login. Nothing is kept of claims that were not proven: strangers
/// write no ledger.
#[derive(Debug)]
pub struct Ledger {
    entries: Mutex<HashMap<LoginPattern, Entry>>,
    clock: SharedClock,
}

/// What is remembered of one account since the bridge has started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// When somebody last reached the mailbox.
    pub last_login: Option<SystemTime>,
    /// What the last login that did not came to.
    pub last_failure: Option<LastFailure>,
}

/// A login that did not reach the mailbox though its password was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: SystemTime,
    /// What happened: the name of a [`Failure`], or of a [`Remark`](crate::dialogue::Remark).
    pub what: &'static str,
    /// Why, and what to do.
    pub explanation: Option<Explanation>,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { entries: Mutex::default(), clock }
    }

    /// What is remembered of an account.
    #[must_use]
    pub fn of(&self, account: &Account) -> Entry {
        let entries = self.entries();
        account.logins.iter().find_map(|login| entries.get(login)).cloned().unwrap_or_default()
    }

    /// Forgets the accounts that are there no more.
    pub fn keep(&self, accounts: &Accounts) {
        let known: std::collections::HashSet<_> =
            accounts.iter().flat_map(|account| &account.logins).collect();
        self.entries().retain(|login, _| known.contains(login));
    }

    /// Notes a login.
    pub(super) fn logged_in(&self, account: &Account) {
        let now = self.clock.now();
        self.note(account, |entry| entry.last_login = Some(now));
    }

    /// Notes a refusal. Where the authority judges the password a wrong one is found out late, and is no
    /// more the account's failure than any other wrong password.
    pub(super) fn refused(&self, account: &Account, refusal: &Refusal) {
        let Refusal { failure, explanation, .. } = refusal;
        if matches!(failure, Failure::BadCredentials | Failure::Throttled) {
            return;
        }
        let (at, what, explanation) = (self.clock.now(), failure.name(), explanation.clone());
        self.note(account, |entry| entry.last_failure = Some(LastFailure { at, what, explanation }));
    }

    /// Notes what the upstream complains of after a login.
    pub(super) fn complained(&self, account: &Account, what: &'static str, why: Explanation) {
        let (at, explanation) = (self.clock.now(), Some(why));
        self.note(account, |entry| entry.last_failure = Some(LastFailure { at, what, explanation }));
    }

    fn note(&self, account: &Account, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries();
        let known = account.logins.iter().find(|login| entries.contains_key(*login));
        let Some(login) = known.or(account.logins.first()) else { return };
        change(entries.entry(login.clone()).or_default());
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<LoginPattern, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{account::tests::account, clock::System};

    #[test]
    fn what_is_remembered_outlives_a_changed_entry_and_goes_with_a_removed_one() {
        let ledger = Ledger::new(Arc::new(System));
        ledger.logged_in(&account(&["ann"]));
        ledger.logged_in(&account(&["bob"]));
        let renamed = account(&["ann@example.com", "ann"]);
        assert!(ledger.of(&renamed).last_login.is_some());
        ledger.keep(&Accounts::new(vec![renamed.clone()]));
        assert!(ledger.of(&renamed).last_login.is_some());
        assert_eq!(ledger.of(&account(&["bob"])), Entry::default());
    }

    #[test]
    fn a_failure_is_remembered_unless_the_password_was_it() {
        let ledger = Ledger::new(Arc::new(System));
        let ann = account(&["ann"]);
        for failure in [Failure::BadCredentials, Failure::Throttled] {
            ledger.refused(&ann, &failure.into());
            assert_eq!(ledger.of(&ann), Entry::default());
        }
        let why = Explanation::new("no mailbox", "make one");
        ledger.refused(&ann, &Refusal::explained(Failure::UpstreamRefused, why.clone()));
        let remembered = ledger.of(&ann).last_failure.unwrap();
        assert_eq!((remembered.what, remembered.explanation), ("upstream_refused", Some(why)));
    }
}
