//! Consents, begun by a command or a page, with a running bridge or without one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::rand::fill;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, serde::rfc3339};
use tokio::{sync::watch, time::timeout};
use url::{Url, form_urlencoded};

use super::{BuildError, accounts::find, bridge::protocols, certificates::https_alone, store};
use crate::{
    account::{Account, Accounts, Grant},
    clock::{SharedClock, System},
    config::Config,
    console::{Console, Redirects},
    explain::consent,
    failure::Explanation,
    oauth::{Consented, Landing, Outcome, Tokens},
    policy::timing,
};

/// Whose consent is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorize {
    /// A login of the account.
    pub login: String,
    /// By device code, whatever the account's grant.
    pub device: bool,
}

/// What a person has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// What the outcome is asked for by.
    pub id: String,
    /// The account.
    pub login: String,
    /// As whom to sign in, in one or several spellings.
    pub sign_in: Vec<String>,
    /// Until when.
    #[serde(with = "rfc3339")]
    pub expires_at: OffsetDateTime,
    /// How.
    pub way: Way,
}

/// How a person consents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By opening an address on the machine where the bridge runs.
    Browser {
        /// The address.
        url: String,
        /// Where the browser comes back to.
        redirect_uri: String,
    },
    /// By entering a code anywhere.
    Device {
        /// The code.
        user_code: String,
        /// Where it is entered.
        verification_uri: String,
        /// The same with the code in it, where the authority has one.
        complete_uri: Option<String>,
    },
}

/// How a consent has ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The person takes time.
    Pending,
    /// It is given and stored.
    Done {
        /// Who signed in, where the authority says so.
        signed_in: Option<String>,
        /// When the first token expires.
        #[serde(with = "rfc3339")]
        expires_at: OffsetDateTime,
    },
    /// Nothing was stored.
    Failed {
        /// Why.
        cause: String,
        /// What to do.
        cure: String,
    },
}

/// An address that a browser has ended at, pasted by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pasted {
    /// The whole address, or its query.
    pub address: String,
}

/// Begins consents and says how they end.
#[derive(Debug)]
pub struct Consenter {
    tokens: Arc<Tokens>,
    redirects: Redirects,
    clock: SharedClock,
    begun: Mutex<HashMap<String, Waiting>>,
}

/// A consent whose outcome somebody may ask for.
#[derive(Debug)]
struct Waiting {
    outcome: watch::Receiver<Option<Outcome>>,
    forgotten_at: SystemTime,
}

impl Consenter {
    pub(super) fn new(tokens: Arc<Tokens>, console: Console, clock: SharedClock) -> Self {
        let redirects = Redirects::new(Arc::clone(&tokens), console);
        Self { tokens, redirects, clock, begun: Mutex::default() }
    }

    /// Begins the consent for an account.
    ///
    /// # Errors
    /// Why there can be none.
    pub async fn begin(&self, accounts: &Accounts, wanted: &Authorize) -> Result<Begun, Explanation> {
        let account = find(accounts, &wanted.login)?;
        let id = id()?;
        let by_code = wanted.device || account.grant == Grant::DeviceCode;
        let (way, outcome, expires_at) =
            if by_code { self.by_device(account).await? } else { self.in_browser(account).await? };
        let sign_in = match &*account.sign_in {
            [] => account.mailbox.iter().map(ToString::to_string).collect(),
            spellings => spellings.iter().map(ToString::to_string).collect(),
        };
        // Whoever asks late is told the outcome all the same.
        let forgotten_at = expires_at + timing::CONSENT;
        let now = self.clock.now();
        let mut begun = self.begun();
        begun.retain(|_, waiting| waiting.forgotten_at > now);
        begun.insert(id.clone(), Waiting { outcome, forgotten_at });
        Ok(Begun { id, login: account.name().to_owned(), sign_in, expires_at: expires_at.into(), way })
    }

    async fn in_browser(&self, account: &Account) -> Result<Beginning, Explanation> {
        let redirect = self.tokens.consents_by(account)?;
        let refused = |error: crate::console::OpenError| Explanation::new(error.to_string(), error.cure());
        let place = self.redirects.open(&redirect).await.map_err(refused)?;
        let redirect_uri = place.uri.clone();
        // The address closes when the browser has come back, whether or not anybody asks.
        let consenting = self.tokens.begin_consent(account, &redirect_uri, place)?;
        let way = Way::Browser { url: consenting.url.to_string(), redirect_uri };
        Ok((way, consenting.outcome, consenting.expires_at))
    }

    async fn by_device(&self, account: &Account) -> Result<Beginning, Explanation> {
        let begun = self.tokens.begin_device(account).await?;
        let way = Way::Device {
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            complete_uri: begun.complete_uri,
        };
        Ok((way, begun.outcome, begun.expires_at))
    }

    /// How the consent has ended, waited for so long.
    ///
    /// # Errors
    /// Where no such consent was begun here.
    pub async fn progress(&self, id: &str, patience: Duration) -> Result<Progress, Explanation> {
        let unknown = || Explanation::new("no such consent was begun here", "begin it again");
        let (mut outcome, expires) = {
            let begun = self.begun();
            let waiting = begun.get(id).ok_or_else(unknown)?;
            (waiting.outcome.clone(), waiting.forgotten_at - timing::CONSENT)
        };
        let left = expires.duration_since(self.clock.now()).unwrap_or_default();
        let ended = timeout(patience.min(left), outcome.wait_for(Option::is_some)).await;
        let progress = match ended {
            Ok(Ok(outcome)) => outcome.as_ref().map_or(Progress::Pending, progress),
            // Who began it has gone, or time is up.
            Ok(Err(_)) => expired(),
            Err(_) if left <= patience => expired(),
            Err(_) => Progress::Pending,
        };
        Ok(progress)
    }

    /// Takes an address that a browser has ended at where this machine could not be reached.
    ///
    /// # Errors
    /// Where it belongs to no consent.
    pub async fn pasted(&self, pasted: &Pasted) -> Result<(), Explanation> {
        let address = pasted.address.trim();
        let url = Url::parse(address).ok();
        let query = url.as_ref().map_or(Some(address.trim_start_matches('?')), Url::query);
        let query: Vec<_> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        match self.tokens.redirected(&query).await {
            Landing::Stranger => Err(consent::unknown_state()),
            Landing::Ended(_) => Ok(()),
        }
    }

    /// Ends everything that waits for a person.
    pub async fn finish(&self) {
        self.begun().clear();
        self.tokens.give_up_consents();
        self.redirects.closed().await;
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Beginning = (Way, watch::Receiver<Option<Outcome>>, SystemTime);

fn progress(outcome: &Outcome) -> Progress {
    match outcome {
        Ok(Consented { signed_in, expires_at, .. }) => {
            Progress::Done { signed_in: signed_in.clone(), expires_at: (*expires_at).into() }
        }
        Err(Explanation { cause, cure, .. }) => Progress::Failed { cause: cause.clone(), cure: cure.clone() },
    }
}

fn expired() -> Progress {
    Progress::Failed { cause: "nobody consented in time".to_owned(), cure: "begin it again".to_owned() }
}

/// A text that nobody guesses.
pub(super) fn id() -> Result<String, Explanation> {
    let mut bytes = [0; 16];
    fill(&mut bytes).map_err(|_| Explanation::new("the system has no randomness", ""))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What it takes to authorize where no bridge serves.
#[derive(Debug)]
pub struct Alone {
    /// Begins the consent.
    pub consenter: Consenter,
    accounts: Accounts,
    tokens: Arc<Tokens>,
}

impl Alone {
    /// Opens the store of a configuration, and makes it where there is none.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open(config: Config) -> Result<Self, BuildError> {
        let clock: SharedClock = Arc::new(System);
        let tokens = Arc::new(Tokens::new(store(&config).await?, Arc::clone(&clock)));
        let https = https_alone(&config, &clock).await?;
        tokens.configure(config.apps, &config.accounts, &protocols(&config.listeners)).await?;
        let console = Console::Closed { bind: config.console.map(|console| console.bind), https };
        let consenter = Consenter::new(Arc::clone(&tokens), console, clock);
        Ok(Self { consenter, accounts: config.accounts, tokens })
    }

    /// As [`Consenter::begin`].
    ///
    /// # Errors
    /// As [`Consenter::begin`].
    pub async fn begin(&self, wanted: &Authorize) -> Result<Begun, Explanation> {
        self.consenter.begin(&self.accounts, wanted).await
    }

    /// Waits until everything that was begun has been written.
    pub async fn finish(self) {
        self.tokens.finish().await;
        self.consenter.finish().await;
    }
}
