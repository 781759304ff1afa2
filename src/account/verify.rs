//! The check of a shown password: the only place that makes a [`Verified`].
//!
//! A failed check costs the same whatever was wrong (RFC 4616 §6 leaves that to us): as much hashing
//! as the most expensive account of the configuration. A password that was good before is known by a
//! keyed digest, so that a poller pays for hashing once an hour and not once a minute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{hmac, rand::SystemRandom};
use tokio::sync::Semaphore;

use super::{Account, Accounts, StoredPassword, normalise, password::Cost};
use crate::{clock::SharedClock, failure::Failure, sasl::Credentials, secret::Secret};

/// How long a good password is remembered after its last use.
const REMEMBERED_FOR: Duration = Duration::from_hours(1);

/// How many good passwords are remembered. Each takes about 100 bytes; beyond it the oldest go.
const MOST_REMEMBERED: usize = 100_000;

/// Whom a client says it is, before its password is checked.
#[derive(Debug)]
pub struct Claim {
    login: String,
    password: Secret,
    account: Option<Arc<Account>>,
}

impl Claim {
    /// Looks up whom the credentials name. An authorization identity other than the login itself
    /// names nobody: it never selects a mailbox.
    #[must_use]
    pub fn new(accounts: &Accounts, shown: Credentials) -> Self {
        let login = normalise(&shown.username);
        let acts_as_itself = shown.authzid.is_empty() || normalise(&shown.authzid) == login;
        let account = acts_as_itself.then(|| accounts.find(&login).cloned()).flatten();
        Self { login, password: shown.password, account }
    }

    /// The account that is claimed, if there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// The login as typed, lower-cased.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Makes this a claim to nobody, whose check costs the same and fails.
    #[must_use]
    pub fn denied(self) -> Self {
        Self { account: None, ..self }
    }
}

/// Proof that a client has shown the password of an account.
#[derive(Debug, Clone)]
pub struct Verified {
    account: Arc<Account>,
    login: String,
}

impl Verified {
    /// The account whose password was shown.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The login as typed, lower-cased: the mailbox of a wildcard.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }
}

/// Checks passwords.
pub struct Verifier {
    key: hmac::Key,
    remembered: Mutex<HashMap<[u8; 32], SystemTime>>,
    /// Hashing takes a core and some 20 MiB; more at once than there are cores gains nothing.
    hashing: Arc<Semaphore>,
    price: Price,
    clock: SharedClock,
}

/// What a failed check costs, whatever was wrong.
#[derive(Debug, Clone, Copy)]
struct Price {
    work: u64,
    memory_kib: u32,
}

impl Verifier {
    /// Prepares to check the passwords of `accounts`.
    ///
    /// # Panics
    /// Where the system has no randomness to give.
    #[must_use]
    pub fn new(accounts: &Accounts, clock: SharedClock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .expect("the system has randomness"),
            remembered: Mutex::default(),
            hashing: Arc::new(Semaphore::new(cores)),
            price: Price::of(accounts),
            clock,
        }
    }

    /// Checks the password of a claim.
    ///
    /// # Errors
    /// [`Failure::BadCredentials`] for an unknown login and a wrong password alike,
    /// [`Failure::Internal`] where hashing itself broke down.
    pub async fn verify(&self, claim: Claim) -> Result<Verified, Failure> {
        let Claim { login, password, account } = claim;
        if let Some(account) = &account
            && account.passwords.iter().any(|stored| self.remembers(&login, stored, &password))
        {
            return Ok(Verified { account: Arc::clone(account), login });
        }
        let stored = account.as_ref().map(|account| account.passwords.clone()).unwrap_or_default();
        let price = self.price;
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Failure::Internal)?;
        let shown = password.clone();
        let matched = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            first_match(&stored, &shown, price).0
        })
        .await
        .map_err(|_| Failure::Internal)?;
        match (account, matched) {
            (Some(account), Some(stored)) => {
                self.remember(&login, &stored, &password);
                Ok(Verified { account, login })
            }
            _ => Err(Failure::BadCredentials),
        }
    }

    fn digest(&self, login: &str, stored: &StoredPassword, password: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [login.as_bytes(), stored.as_str().as_bytes(), password.expose()] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn remembers(&self, login: &str, stored: &StoredPassword, password: &Secret) -> bool {
        let digest = self.digest(login, stored, password);
        let now = self.clock.now();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last_used) = remembered.get_mut(&digest) else {
            return false;
        };
        if is_stale(*last_used, now) {
            remembered.remove(&digest);
            return false;
        }
        *last_used = now;
        true
    }

    fn remember(&self, login: &str, stored: &StoredPassword, password: &Secret) {
        let digest = self.digest(login, stored, password);
        let now = self.clock.now();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, last_used| !is_stale(*last_used, now));
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(digest, now);
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("price", &self.price).finish_non_exhaustive()
    }
}

impl Price {
    fn of(accounts: &Accounts) -> Self {
        let costs = || accounts.iter().map(|account| account.passwords.iter().map(StoredPassword::cost));
        let work = costs().map(|costs| costs.map(Cost::work).sum()).max();
        let memory_kib = costs().flatten().map(|cost| cost.memory_kib).max();
        Self {
            work: work.unwrap_or_else(|| Cost::default().work()),
            memory_kib: memory_kib.unwrap_or(Cost::default().memory_kib),
        }
    }
}

/// A clock that was set back makes a memory stale too: nobody knows how old it is.
fn is_stale(last_used: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last_used).map_or(true, |age| age > REMEMBERED_FOR)
}

/// Finds the stored password that matches, and spends the whole price where none does. Returns the
/// work done beside it.
fn first_match(stored: &[StoredPassword], shown: &Secret, price: Price) -> (Option<StoredPassword>, u64) {
    let mut work = 0;
    for candidate in stored {
        work += candidate.cost().work();
        if candidate.matches(shown) {
            return (Some(candidate.clone()), work);
        }
    }
    work += spend(price.work.saturating_sub(work), price.memory_kib, shown);
    (None, work)
}

/// Hashes for nothing until at least `work` KiB of memory have been filled; returns how many were.
fn spend(work: u64, memory_kib: u32, shown: &Secret) -> u64 {
    let passes = work.div_ceil(u64::from(memory_kib.max(1)));
    let Ok(params) = Params::new(memory_kib, u32::try_from(passes).unwrap_or(u32::MAX), 1, None) else {
        return 0; // No passes at all: the price is paid.
    };
    let mut out = [0_u8; 32];
    // The result is of no interest, the time is.
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let _ = hasher.hash_password_into(shown.expose(), b"nobody's salt", &mut out);
    passes * u64::from(memory_kib)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{Grant, LoginPattern, hash},
        ids::AppName,
    };

    #[derive(Debug)]
    struct Wound(Mutex<SystemTime>);

    impl crate::clock::Clock for Wound {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
        fn fraction(&self) -> f64 {
            0.0
        }
    }

    fn accounts(passwords: &[&str]) -> Accounts {
        let account = |login: &str, passwords: &[&str]| Account {
            logins: vec![LoginPattern::parse(login).unwrap()],
            passwords: passwords.iter().map(|password| hash(&Secret::new(*password))).collect(),
            mailbox: Some(login.to_owned()),
            mailboxes: Vec::new(),
            app: AppName::new("contoso"),
            grant: Grant::ClientCredentials,
            smtp_user: None,
            protocols: Vec::new(),
            from_networks: Vec::new(),
        };
        Accounts::new(vec![
            account("ann@example.com", passwords),
            account("bob@example.com", &["x", "y", "z"]),
        ])
    }

    fn verifier(accounts: &Accounts) -> (Verifier, Arc<Wound>) {
        let clock = Arc::new(Wound(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))));
        (Verifier::new(accounts, Arc::clone(&clock) as SharedClock), clock)
    }

    async fn check(
        verifier: &Verifier,
        accounts: &Accounts,
        login: &str,
        password: &str,
    ) -> Result<String, Failure> {
        let claim = Claim::new(accounts, Credentials::new(login.as_bytes(), password));
        verifier.verify(claim).await.map(|verified| verified.account().name())
    }

    #[tokio::test]
    async fn any_password_of_the_account_opens_it_and_nothing_else_does() {
        let accounts = accounts(&["first", "second"]);
        let (verifier, _) = verifier(&accounts);
        for good in ["first", "second", "first"] {
            assert_eq!(
                check(&verifier, &accounts, "ANN@example.com", good).await.unwrap(),
                "ann@example.com"
            );
        }
        for (login, password) in
            [("ann@example.com", "third"), ("ann@example.com", ""), ("eve@example.com", "first")]
        {
            let refused = check(&verifier, &accounts, login, password).await;
            assert_eq!(refused, Err(Failure::BadCredentials), "{login}");
        }
    }

    #[tokio::test]
    async fn an_authzid_other_than_the_login_opens_nothing() {
        let accounts = accounts(&["first"]);
        let (verifier, _) = verifier(&accounts);
        for (authzid, good) in [("", true), ("Ann@Example.com", true), ("bob@example.com", false)] {
            let shown =
                Credentials { authzid: authzid.to_owned(), ..Credentials::new(b"ann@example.com", "first") };
            assert_eq!(verifier.verify(Claim::new(&accounts, shown)).await.is_ok(), good, "{authzid}");
        }
    }

    #[tokio::test]
    async fn a_good_password_is_remembered_for_an_hour_after_its_last_use() {
        let accounts = accounts(&["first"]);
        let (verifier, clock) = verifier(&accounts);
        let account = accounts.find("ann@example.com").unwrap();
        let remembers =
            || verifier.remembers("ann@example.com", &account.passwords[0], &Secret::new("first"));
        assert!(!remembers());
        check(&verifier, &accounts, "ann@example.com", "first").await.unwrap();
        let wind = |seconds| *clock.0.lock().unwrap() += Duration::from_secs(seconds);
        wind(3600);
        assert!(remembers());
        wind(3600);
        assert!(remembers());
        wind(3601);
        assert!(!remembers());
    }

    #[tokio::test]
    async fn a_remembered_password_is_forgotten_when_the_entry_changes() {
        let before = accounts(&["first"]);
        let (verifier, _) = verifier(&before);
        check(&verifier, &before, "ann@example.com", "first").await.unwrap();
        let after = accounts(&["second"]);
        assert_eq!(check(&verifier, &after, "ann@example.com", "first").await, Err(Failure::BadCredentials));
    }

    #[test]
    fn every_failure_spends_the_price_of_the_dearest_account() {
        let accounts = accounts(&["first"]);
        let price = Price::of(&accounts);
        assert_eq!(price.work, 3 * Cost::default().work());
        let ann = &accounts.find("ann@example.com").unwrap().passwords;
        let bob = &accounts.find("bob@example.com").unwrap().passwords;
        for stored in [&[][..], ann, bob] {
            let (matched, work) = first_match(stored, &Secret::new("wrong"), price);
            assert_eq!((matched, work), (None, price.work));
        }
    }
}
