//! The check of a shown password: the only place that makes a [`Verified`].
//!
//! A failed check costs the same whatever was wrong (RFC 4616 §6 leaves that to us): the account's own
//! hashes, and as many for nothing as make one multiset for everybody. A password that was good before is known by a
//! keyed digest, so that a poller pays for hashing once an hour and not once a minute.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{hmac, rand::SystemRandom};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{Account, Accounts, StoredPassword, normalise, password::Cost};
use crate::{
    clock::SharedClock,
    failure::{Explanation, Failure, Refusal},
    sasl::Credentials,
    secret::Secret,
};

/// How long a good password is remembered after its last use.
const REMEMBERED_FOR: Duration = Duration::from_hours(1);

/// How many good passwords are remembered. Each takes about 100 bytes; beyond it the oldest go.
const MOST_REMEMBERED: usize = 100_000;

/// How many sets of hash parameters a failed check goes through. Each set costs at most what the
/// dearest account costs, so that this is how many times its work a stranger can cause. One program
/// writes one set and years leave two or three; of more, the cheapest stand out by their own time.
const MOST_SETS: usize = 4;

/// Whom a client says it is, before its password is checked.
#[derive(Debug)]
pub struct Claim {
    login: String,
    password: Secret,
    account: Option<Arc<Account>>,
    acts_as_itself: bool,
}

impl Claim {
    /// Looks up whom the credentials name.
    #[must_use]
    pub fn new(accounts: &Accounts, shown: Credentials) -> Self {
        let login = normalise(&shown.username);
        let acts_as_itself = shown.authzid.is_empty() || normalise(&shown.authzid) == login;
        let account = accounts.find(&login).cloned();
        Self { login, password: shown.password, account, acts_as_itself }
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

    /// Whether the client wants to act as nobody else than its login: an authorization identity never
    /// selects a mailbox.
    #[must_use]
    pub fn acts_as_itself(&self) -> bool {
        self.acts_as_itself
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
    shown: Option<Secret>,
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

    /// The password, where it is the authority that decides whether it is right: only a token that this
    /// very password has obtained is the proof then.
    #[must_use]
    pub fn shown(&self) -> Option<&Secret> {
        self.shown.as_ref()
    }
}

/// Checks passwords.
pub struct Verifier {
    memory: Arc<Memory>,
    /// Hashing takes a core and some 20 MiB; more at once than there are cores gains nothing.
    hashing: Arc<Semaphore>,
    price: Arc<Price>,
    clock: SharedClock,
}

/// The passwords that were good before.
struct Memory {
    key: hmac::Key,
    remembered: Mutex<HashMap<[u8; 32], SystemTime>>,
}

/// What a failed check does, whatever was wrong: how many hashes of each set of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Price(BTreeMap<Cost, usize>);

impl Verifier {
    /// Prepares to check the passwords of `accounts`.
    ///
    /// # Panics
    /// Where the system has no randomness to give.
    #[must_use]
    pub fn new(accounts: &Accounts, clock: SharedClock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let key =
            hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness");
        Self {
            memory: Arc::new(Memory { key, remembered: Mutex::default() }),
            hashing: Arc::new(Semaphore::new(cores)),
            price: Arc::new(Price::of(accounts)),
            clock,
        }
    }

    /// The same for other accounts: good passwords stay known, and hashing keeps its bound.
    #[must_use]
    pub fn renewed(&self, accounts: &Accounts) -> Self {
        Self {
            memory: Arc::clone(&self.memory),
            hashing: Arc::clone(&self.hashing),
            price: Arc::new(Price::of(accounts)),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Checks the password of a claim, until `deadline` at most: many that come at once wait for each
    /// other.
    ///
    /// # Errors
    /// [`Failure::BadCredentials`] for an unknown login and a wrong password alike,
    /// [`Failure::Internal`] where the deadline is over or hashing itself broke down.
    pub async fn verify(&self, claim: Claim, deadline: Instant) -> Result<Verified, Refusal> {
        let Claim { login, password, account, .. } = claim;
        if let Some(account) = &account
            && account.passwords.iter().any(|stored| self.remembers(&login, stored, &password))
        {
            let shown = account.authority_checks.then_some(password);
            return Ok(Verified { account: Arc::clone(account), login, shown });
        }
        if let Some(account) = account.as_ref().filter(|account| account.is_the_authoritys_to_check())
            && !password.is_empty()
        {
            return Ok(Verified { account: Arc::clone(account), login, shown: Some(password) });
        }
        let matched = timeout_at(deadline, self.hash(account.clone(), password.clone())).await;
        let matched = matched.map_err(|_| busy())??;
        match (account, matched) {
            (Some(account), Some(number)) => {
                self.remember(&login, &account.passwords[number], &password);
                let shown = account.authority_checks.then_some(password);
                Ok(Verified { account, login, shown })
            }
            _ => Err(Failure::BadCredentials.into()),
        }
    }

    /// Hashes on a thread of its own, when it is this one's turn, and says which password of the account it is.
    async fn hash(&self, account: Option<Arc<Account>>, shown: Secret) -> Result<Option<usize>, Failure> {
        let price = Arc::clone(&self.price);
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Failure::Internal)?;
        let hashing = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let stored = account.as_ref().map(|account| &*account.passwords).unwrap_or_default();
            first_match(stored, &shown, &price).0
        });
        hashing.await.map_err(|_| Failure::Internal)
    }

    fn digest(&self, login: &str, stored: &StoredPassword, password: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.memory.key);
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
        let mut remembered = self.memory.remembered.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut remembered = self.memory.remembered.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// Of each set of parameters as many as the account with the most of them has.
    fn of(accounts: &Accounts) -> Self {
        let (mut most, mut costs) = (BTreeMap::new(), HashMap::new());
        for account in accounts.iter() {
            let mut own = BTreeMap::<_, usize>::new();
            for stored in &account.passwords {
                let cost = *costs.entry(stored.parameters()).or_insert_with(|| stored.cost());
                *own.entry(cost).or_default() += 1;
            }
            for (cost, count) in own {
                let most = most.entry(cost).or_default();
                *most = count.max(*most);
            }
        }
        if most.is_empty() {
            most.insert(Cost::default(), 1);
        }
        let mut sets: Vec<_> = most.into_iter().collect();
        sets.sort_by_key(|(cost, count)| Reverse(iter::repeat_n(cost.work(), *count).sum::<u64>()));
        sets.truncate(MOST_SETS);
        Self(sets.into_iter().collect())
    }

    /// What is left to do where `done` was in vain.
    fn beside(&self, done: &[Cost]) -> Vec<Cost> {
        let missing = |(cost, count): (&Cost, &usize)| {
            let own = done.iter().filter(|own| *own == cost).count();
            iter::repeat_n(*cost, count.saturating_sub(own))
        };
        self.0.iter().flat_map(missing).collect()
    }
}

/// Says nothing of the account, so that a stranger may hear it.
fn busy() -> Refusal {
    let explanation = Explanation::new("the bridge is busy checking passwords", "try again");
    Refusal::explained(Failure::Internal, explanation)
}

/// A clock that was set back makes a memory stale too: nobody knows how old it is.
fn is_stale(last_used: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last_used).map_or(true, |age| age > REMEMBERED_FOR)
}

/// Finds which stored password matches, and pays the whole price where none does. Returns beside it what
/// was hashed.
fn first_match(stored: &[StoredPassword], shown: &Secret, price: &Price) -> (Option<usize>, Vec<Cost>) {
    let mut done = Vec::new();
    for (number, candidate) in stored.iter().enumerate() {
        done.push(candidate.cost());
        if candidate.matches(shown) {
            return (Some(number), done);
        }
    }
    for cost in price.beside(&done) {
        cost.spend(shown);
        done.push(cost);
    }
    (None, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{hash, tests::account as fixture};

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

    fn account(login: &str, passwords: Vec<StoredPassword>) -> Account {
        Account { passwords: passwords.into(), mailbox: Some(login.into()), ..fixture(&[login]) }
    }

    fn accounts(passwords: &[&str]) -> Accounts {
        let hashed =
            |passwords: &[&str]| passwords.iter().map(|password| hash(&Secret::new(*password))).collect();
        Accounts::new(vec![
            account("ann@example.com", hashed(passwords)),
            account("bob@example.com", hashed(&["x", "y", "z"])),
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
        let deadline = Instant::now() + Duration::from_mins(1);
        let result = verifier.verify(claim, deadline).await;
        result.map(|verified| verified.account().name().to_owned()).map_err(|refusal| refusal.failure)
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
    async fn a_check_whose_turn_does_not_come_is_a_temporary_failure_and_says_so() {
        let accounts = accounts(&["first"]);
        let (verifier, _) = verifier(&accounts);
        let verify = |password: &str, wait| {
            let claim = Claim::new(&accounts, Credentials::new(b"ann@example.com", password));
            verifier.verify(claim, Instant::now() + wait)
        };
        verify("first", Duration::from_mins(1)).await.unwrap();
        let cores = u32::try_from(verifier.hashing.available_permits()).unwrap();
        let others = verifier.hashing.acquire_many(cores).await.unwrap();
        let refusal = verify("wrong", Duration::ZERO).await.unwrap_err();
        assert_eq!(refusal.failure, Failure::Internal);
        assert!(refusal.failure.is_temporary());
        assert_eq!(refusal.line().unwrap(), "the bridge is busy checking passwords: try again");
        verify("first", Duration::ZERO).await.expect("a remembered password needs no turn");
        drop(others);
        let refusal = verify("wrong", Duration::from_mins(1)).await.unwrap_err();
        assert_eq!(refusal, Failure::BadCredentials.into());
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

    #[tokio::test]
    async fn a_good_password_is_remembered_when_other_entries_change() {
        let before = accounts(&["first"]);
        let (verifier, _) = verifier(&before);
        check(&verifier, &before, "ann@example.com", "first").await.unwrap();
        let stored = &before.find("ann@example.com").unwrap().passwords[0];
        let renewed = verifier.renewed(&Accounts::default());
        assert!(renewed.remembers("ann@example.com", stored, &Secret::new("first")));
        assert!(!renewed.remembers("bob@example.com", stored, &Secret::new("first")));
    }

    /// Hashes that nothing matches, of parameters such as `m=64,t=1,p=1`.
    fn hashes(parameters: &[&str]) -> Vec<StoredPassword> {
        let written = |parameters| {
            format!("$argon2id$v=19${parameters}$c29tZXNhbHQ$d2FzaGVyZXdhc2hlcmV3YXNoZXJld2FzaGVyZXdhc2g")
        };
        parameters.iter().map(|parameters| StoredPassword::parse(&written(parameters)).unwrap()).collect()
    }

    #[test]
    fn every_failure_hashes_the_same_whoever_fails() {
        let (light, heavy, lanes) = ("m=64,t=2,p=1", "m=256,t=3,p=1", "m=64,t=2,p=4");
        let own: [&[&str]; 5] = [&[light], &[heavy, heavy], &[light, heavy, light], &[lanes], &[]];
        let accounts = Accounts::new(own.iter().map(|own| account("ann", hashes(own))).collect());
        let price = Price::of(&accounts);
        let mut expected: Vec<_> =
            hashes(&[light, light, heavy, heavy, lanes]).iter().map(StoredPassword::cost).collect();
        expected.sort_unstable();
        for own in own {
            let (matched, mut done) = first_match(&hashes(own), &Secret::new("wrong"), &price);
            done.sort_unstable();
            assert_eq!((matched, done), (None, expected.clone()), "{own:?}");
        }
    }

    #[test]
    fn a_failure_costs_at_most_four_times_the_dearest_account() {
        let sets: Vec<_> = (1..=9).map(|passes| format!("m=64,t={passes},p=1")).collect();
        let accounts: Vec<_> = sets.iter().map(|set| account("ann", hashes(&[set]))).collect();
        let price = Price::of(&Accounts::new(accounts));
        let passes: Vec<_> = price.0.keys().map(|cost| cost.passes).collect();
        assert_eq!(passes, [6, 7, 8, 9]);
    }

    #[test]
    fn without_any_password_a_failure_costs_a_usual_one() {
        assert_eq!(Price::of(&Accounts::default()).beside(&[]), [Cost::default()]);
    }
}
