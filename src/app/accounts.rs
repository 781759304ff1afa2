//! The accounts as an operator sees them: where each leads, how its token is, how its logins go.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, serde::rfc3339};

use super::{
    BuildError, blocking,
    bridge::{Bridge, protocols},
    store_keys,
};
use crate::{
    account::{Account, Accounts, LoginPattern},
    config::Config,
    failure::Explanation,
    oauth::{Shelf, Standing, TokenStatus},
    session::{Entry, House},
    store::{Store, StoreError},
};

/// One account. As JSON its names are an interface: `footbridge accounts --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// The first login, by which the account is named.
    pub login: String,
    /// Every login.
    pub logins: Vec<String>,
    /// The mailbox that a login opens; nothing where that depends on the login.
    pub mailbox: Option<String>,
    /// The app registration.
    pub app: String,
    /// The grant: `client_credentials`.
    pub grant: String,
    /// How the token is: a name of [`Standing`](crate::oauth::Standing).
    pub state: String,
    /// Why it is not well, where it is not.
    pub trouble: Option<String>,
    /// When the access token at hand ends. It is renewed before a login needs it.
    #[serde(with = "rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When somebody last reached the mailbox, as far as is known.
    #[serde(with = "rfc3339::option")]
    pub last_login: Option<OffsetDateTime>,
    /// What the last login came to that did not, though its password was right.
    pub last_failure: Option<FailureRow>,
    /// When the app's secret or certificate ends.
    #[serde(with = "rfc3339::option")]
    pub credential_expires: Option<OffsetDateTime>,
}

impl AccountRow {
    /// Whether nobody has to do anything about its token.
    #[must_use]
    pub fn is_well(&self) -> bool {
        Standing::ALL.into_iter().all(|standing| standing.is_well() || standing.name() != self.state)
    }
}

/// A login that did not reach the mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRow {
    /// When; nothing where that lies beyond all calendars.
    #[serde(with = "rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// What happened: `upstream_refused`.
    pub failure: String,
    /// Why.
    pub cause: String,
    /// What to do; empty where nothing but waiting helps.
    pub cure: String,
}

/// Whose tokens are to be deleted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Forget {
    /// A login of the account.
    pub login: String,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The account.
    pub login: String,
    /// Whether there was anything.
    pub any: bool,
    /// The other accounts that used the same tokens.
    pub shared_with: Vec<String>,
    /// Whether a person has to consent before the next login.
    pub needs_consent: bool,
}

impl Bridge {
    /// Every account of the latest configuration.
    pub(super) fn account_rows(&self) -> Vec<AccountRow> {
        self.rows_of(&self.house())
    }

    /// Every account of a house, in its order.
    pub(super) fn rows_of(&self, house: &House) -> Vec<AccountRow> {
        let row =
            |account: &Arc<Account>| row(account, self.tokens.status(account), house.ledger.of(account));
        house.accounts.iter().map(row).collect()
    }

    /// Deletes what is kept for the account of a login.
    pub(super) async fn forget(&self, login: &str) -> Result<Forgotten, Explanation> {
        let house = self.house();
        let account = find(&house.accounts, login)?;
        let shared_with = self.tokens.sharing(account, &house.accounts);
        let any =
            self.tokens.forget(account).await.map_err(|error| Explanation::new(error.to_string(), ""))?;
        tracing::info!(account = account.name(), any, "tokens deleted");
        Ok(forgotten(account, any, shared_with))
    }
}

/// The accounts of a configuration that no bridge serves, with what is stored of their tokens.
#[derive(Debug)]
pub struct Stored {
    accounts: Accounts,
    store: Option<Store>,
    shelf: Shelf,
}

impl Stored {
    /// Opens the store where there is one.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn open(config: Config) -> Result<Self, BuildError> {
        let (state_dir, keys) = (config.state_dir.clone(), store_keys(&config).await?);
        let opening = move || {
            let store = Store::open_existing(&state_dir, &keys)?;
            let records = store.as_ref().map(Store::all).transpose()?;
            Ok((store, records.unwrap_or_default()))
        };
        let (store, records) = blocking(opening).await?;
        let shelf = Shelf::new(config.apps, &config.accounts, &protocols(&config.listeners), records);
        Ok(Self { accounts: config.accounts, store, shelf })
    }

    /// Every account.
    #[must_use]
    pub fn rows(&self) -> Vec<AccountRow> {
        let row = |account: &Arc<Account>| {
            let last_login = self.shelf.last_used(account);
            row(account, self.shelf.status(account), Entry { last_login, last_failure: None })
        };
        self.accounts.iter().map(row).collect()
    }

    /// Deletes what is stored for the account of a login. Blocks while another process renews it.
    ///
    /// # Errors
    /// No account has the login, or the store cannot be written.
    pub fn forget(&self, login: &str) -> Result<Forgotten, Explanation> {
        let account = find(&self.accounts, login)?;
        let refused = |error: StoreError| Explanation::new(error.to_string(), "");
        let mut any = false;
        for (slot, store) in self.shelf.slots(account).iter().zip(self.store.iter().cycle()) {
            let _lock = store.lock(slot).map_err(refused)?;
            any |= store.remove(slot).map_err(refused)?;
        }
        Ok(forgotten(account, any, self.shelf.sharing(account, &self.accounts)))
    }
}

/// A time as it is written, to the second.
pub(super) fn written(at: SystemTime) -> Option<OffsetDateTime> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    OffsetDateTime::from_unix_timestamp(since.as_secs().try_into().ok()?).ok()
}

fn row(account: &Account, status: Option<TokenStatus>, entry: Entry) -> AccountRow {
    let last_failure = entry.last_failure.map(|last| {
        let why = last.explanation.unwrap_or_else(|| Explanation::new(last.what, ""));
        let failure = last.what.to_owned();
        FailureRow { at: written(last.at), failure, cause: why.cause, cure: why.cure }
    });
    AccountRow {
        login: account.name().to_owned(),
        logins: account.logins.iter().map(ToString::to_string).collect(),
        mailbox: account.mailbox.as_deref().map(str::to_owned),
        app: account.app.to_string(),
        grant: account.grant.name().to_owned(),
        state: status.as_ref().map_or("unused", |status| status.standing.name()).to_owned(),
        expires_at: status.as_ref().and_then(|status| written(status.expires_at?)),
        credential_expires: status.as_ref().and_then(|status| written(status.credential_expires?)),
        trouble: status.and_then(|status| status.trouble),
        last_login: entry.last_login.and_then(written),
        last_failure,
    }
}

fn forgotten(account: &Account, any: bool, shared_with: Vec<String>) -> Forgotten {
    Forgotten {
        login: account.name().to_owned(),
        any,
        shared_with,
        needs_consent: account.grant.needs_consent(),
    }
}

/// The account that has this very login: a wildcard has to be named as it is written, because all that it
/// stands for is deleted.
pub(super) fn find<'a>(accounts: &'a Accounts, login: &str) -> Result<&'a Arc<Account>, Explanation> {
    let meant = LoginPattern::parse(login);
    meant.and_then(|login| accounts.with_login(&login)).ok_or_else(|| {
        let cause = format!("no account has the login {login:?}");
        let cure =
            match accounts.find(login).map(|account| account.name()).or_else(|| nearest(accounts, login)) {
                Some(near) => format!("did you mean {near}?"),
                None => "`footbridge accounts` lists them".to_owned(),
            };
        Explanation::new(cause, cure)
    })
}

/// The login that one may have meant.
fn nearest<'a>(accounts: &'a Accounts, login: &str) -> Option<&'a str> {
    let login = login.to_lowercase();
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(&login, known);
    let logins = accounts.iter().flat_map(|account| account.logins.iter().map(LoginPattern::as_str));
    let near = logins.map(|known| (likeness(&known), known)).filter(|(likeness, _)| *likeness > 0.6);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}
