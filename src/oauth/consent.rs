//! A person's consent: in the browser with a redirect (RFC 6749 §4.1, RFC 7636), or with a code that is
//! entered elsewhere (RFC 8628).
//!
//! Whatever a browser brings is a stranger's until its `state` is one that was handed out a moment ago.
//! Nothing is stored before it is known who has signed in, and nothing that was there is given up before
//! that.

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::rand::fill;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{RedirectUrl, StandardDeviceAuthorizationResponse};
use tokio::sync::watch;
use tracing::{Instrument as _, info, info_span, warn};
use url::Url;

use super::{
    Pkce, Redirect, Tokens,
    attempt::{self, blocking},
    grant::{self, Asked},
    holder::Slot,
    identity,
    reply::Granted,
    slot::Spec,
    state::Unissued,
};
use crate::{
    account::Account,
    clock::SharedClock,
    explain::consent as words,
    failure::{Explanation, Refusal, printable},
    policy::timing,
    secret::Secret,
    store::{Record, Store},
};

/// How many consents may be pending at once; each takes a few hundred bytes.
const MOST_PENDING: usize = 1000;

/// The longest parameter of a redirect that is looked at, in bytes. Entra's codes have some 1,500.
const LONGEST_PARAMETER: usize = 16 * 1024;

/// The consents that are waited for.
#[derive(Default)]
pub(super) struct Consents(Mutex<Vec<Pending>>);

impl std::fmt::Debug for Consents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consents").field("pending", &self.all().len()).finish()
    }
}

/// One consent that is waited for.
struct Pending {
    state: Secret,
    verifier: Option<Secret>,
    redirect_uri: RedirectUrl,
    slot: Arc<Slot>,
    expires_at: SystemTime,
    outcome: watch::Sender<Option<Outcome>>,
    /// Whatever has to stay as long as the browser may come back.
    _keep: Box<dyn Any + Send + Sync>,
}

/// How a consent ended: what was stored, or why nothing was.
pub type Outcome = Result<Consented, Explanation>;

/// A consent that has been given and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consented {
    /// Who signed in; nothing where the authority does not say.
    pub signed_in: Option<String>,
    /// Whom the consent is for.
    pub owner: String,
    /// When the first access token expires. It is renewed by itself before.
    pub expires_at: SystemTime,
}

/// A consent in the browser that has begun.
#[derive(Debug)]
pub struct Consenting {
    /// The address that the person opens. It holds no secret, but a `state` that serves once.
    pub url: Url,
    /// Until when the person may take.
    pub expires_at: SystemTime,
    /// Becomes the outcome.
    pub outcome: watch::Receiver<Option<Outcome>>,
}

/// A consent by device code that has begun.
#[derive(Debug)]
pub struct DeviceConsenting {
    /// What the person enters, RFC 8628 §6.1.
    pub user_code: String,
    /// Where the person enters it.
    pub verification_uri: String,
    /// The same address with the code in it, where the authority has one.
    pub complete_uri: Option<String>,
    /// Until when.
    pub expires_at: SystemTime,
    /// Becomes the outcome.
    pub outcome: watch::Receiver<Option<Outcome>>,
}

/// What a redirect has come to.
#[derive(Debug)]
pub enum Landing {
    /// No consent that was asked for here: nothing has changed.
    Stranger,
    /// The consent has ended so, and is told to whoever began it as well.
    Ended(Outcome),
}

impl Tokens {
    /// Where the authority sends the browser back to for an account that needs somebody's consent.
    ///
    /// # Errors
    /// Where it needs nobody's.
    pub fn consents_by(&self, account: &Account) -> Result<Redirect, Explanation> {
        Ok(self.consenting_slot(account)?.spec().app.consent.redirect.clone())
    }

    /// Begins a consent in the browser. `redirect_uri` is where the caller listens, as it is registered;
    /// `keep` is dropped when the browser has come back, or time is up.
    ///
    /// # Errors
    /// Why there can be none for the account.
    pub fn begin_consent(
        &self,
        account: &Account,
        redirect_uri: &str,
        keep: impl Send + Sync + 'static,
    ) -> Result<Consenting, Explanation> {
        let slot = self.consenting_slot(account)?;
        let spec = slot.spec();
        let no_page = || {
            let cause = format!("the provider of app {} has no authorize_url", spec.app.name);
            Explanation::new(cause, "name it in the provider, or use a device code")
        };
        let authorize_url = spec.app.authority.authorize_url.as_ref().ok_or_else(no_page)?;
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|error| Explanation::new(format!("{redirect_uri} is no redirect URI: {error}"), ""))?;
        let state = random()?;
        let verifier = match spec.app.consent.pkce {
            Pkce::S256 | Pkce::Plain => Some(random()?),
            Pkce::Off => None,
        };
        let url = grant::authorize_url(
            &spec.app,
            &Asked {
                authorize_url,
                redirect_uri: &redirect_uri,
                state: &state,
                verifier: verifier.as_ref(),
                scopes: &spec.scopes,
                login_hint: spec.sign_in.first().map_or("", String::as_str),
            },
        );
        let expires_at = self.clock.now() + timing::CONSENT;
        let (sender, outcome) = watch::channel(None);
        let pending = Pending {
            state,
            verifier,
            redirect_uri,
            slot,
            expires_at,
            outcome: sender,
            _keep: Box::new(keep),
        };
        self.consents.begin(pending, self.clock.now())?;
        info!(owner = spec.owner, "consent begun");
        Ok(Consenting { url, expires_at, outcome })
    }

    /// Gives up every consent in the browser that is waited for.
    pub fn give_up_consents(&self) {
        self.consents.all().clear();
    }

    /// Takes the query of a redirect, RFC 6749 §4.1.2. A `state` that was not handed out, or was used
    /// before, changes nothing.
    pub async fn redirected(self: &Arc<Self>, query: &[(String, String)]) -> Landing {
        let value = |name: &str| {
            let found = query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            found.filter(|value| value.len() <= LONGEST_PARAMETER)
        };
        // What says neither yes nor no ends nothing.
        let says = value("code").is_some_and(|code| !code.is_empty()) || value("error").is_some();
        let state = value("state").filter(|_| says).map(Secret::new);
        let Some(pending) = state.and_then(|state| self.consents.take(&state, self.clock.now())) else {
            return Landing::Stranger;
        };
        let spec = pending.slot.spec();
        let code = match (value("code"), value("error")) {
            (Some(code), None) if !code.is_empty() => Secret::new(code),
            (_, error) => {
                let why = declined(&spec, error, value("error_description"));
                warn!(owner = spec.owner, cause = why.cause, cure = why.cure, "consent not given");
                pending.outcome.send_replace(Some(Err(why.clone())));
                return Landing::Ended(Err(why));
            }
        };
        // A task of its own: a browser that goes away must not lose what the code brings.
        let tokens = Arc::clone(self);
        let span = info_span!(parent: None, "consent", owner = spec.owner);
        let exchange = async move {
            let outcome = tokens.exchange(&pending, &code).await;
            pending.outcome.send_replace(Some(outcome.clone()));
            outcome
        };
        let exchanged = self.refreshes.spawn(exchange.instrument(span)).await;
        Landing::Ended(exchanged.unwrap_or_else(|_| Err(Explanation::new("internal error", ""))))
    }

    async fn exchange(&self, pending: &Pending, code: &Secret) -> Outcome {
        let asker = pending.slot.asking(&self.clock);
        let asked_at = self.clock.now();
        let granted = asker.borrowed().code(code, pending.verifier.as_ref(), &pending.redirect_uri).await;
        self.settle_consent(&pending.slot, granted, asked_at).await
    }

    /// Begins a consent by device code, and asks for its outcome as seldom as the authority wants.
    ///
    /// # Errors
    /// Why there can be none for the account, or what the authority said.
    pub async fn begin_device(self: &Arc<Self>, account: &Account) -> Result<DeviceConsenting, Explanation> {
        let slot = self.consenting_slot(account)?;
        let spec = slot.spec();
        let device_url = spec.app.authority.device_url.clone().ok_or_else(|| {
            let cause = format!("the provider of app {} has no device_url", spec.app.name);
            Explanation::new(cause, "name it in the provider, or consent in the browser")
        })?;
        let asker = slot.asking(&self.clock);
        let granted = asker.borrowed().device_code(&device_url).await.map_err(explanation)?;
        let expires_at = self.clock.now() + granted.expires_in().min(timing::CONSENT);
        let (sender, outcome) = watch::channel(None);
        let begun = DeviceConsenting {
            // A terminal obeys what a stranger writes to it.
            user_code: printable(granted.user_code().secret()),
            verification_uri: printable(&granted.verification_uri().to_string()),
            complete_uri: granted.verification_uri_complete().map(|uri| printable(uri.secret())),
            expires_at,
            outcome,
        };
        info!(owner = spec.owner, "consent by device code begun");
        let span = info_span!(parent: None, "consent", owner = spec.owner);
        self.tasks.spawn(Arc::clone(self).poll(slot, device_url, granted, sender).instrument(span));
        Ok(begun)
    }

    async fn poll(
        self: Arc<Self>,
        slot: Arc<Slot>,
        device_url: Url,
        granted: StandardDeviceAuthorizationResponse,
        outcome: watch::Sender<Option<Outcome>>,
    ) {
        let (asker, asked_at) = (slot.asking(&self.clock), self.clock.now());
        let polling = asker.borrowed();
        let polling = polling.device_token(&device_url, &granted);
        // Nobody waits for the outcome any more, or the bridge stops: the code lapses by itself.
        let answered = tokio::select! {
            answered = polling => answered,
            () = outcome.closed() => return,
            () = self.closing.cancelled() => return,
        };
        let asked_at = self.clock.now().max(asked_at);
        let ended = self.settle_consent(&slot, answered, asked_at).await;
        outcome.send_replace(Some(ended));
    }

    fn consenting_slot(&self, account: &Account) -> Result<Arc<Slot>, Explanation> {
        let mailbox = account.mailbox.clone().unwrap_or_default();
        let spec = self.plan().spec(account, &mailbox).filter(|spec| spec.is_refreshed());
        let nothing = || {
            let cause = format!("account {} needs nobody's consent", account.name());
            let (grant, login) = (account.grant.name(), account.name());
            let cure = format!(
                "with grant = \"{grant}\" nobody signs in; see whether it works: footbridge doctor {login}"
            );
            Explanation::new(cause, cure)
        };
        self.slot(spec.ok_or_else(nothing)?).map_err(|_| Explanation::new("internal error", ""))
    }

    /// Stores what a consent has brought, if the right person has given it.
    async fn settle_consent(
        &self,
        slot: &Arc<Slot>,
        granted: Result<Granted, Unissued>,
        asked_at: SystemTime,
    ) -> Outcome {
        // A reload may have put another slot in the place of the one that this began with.
        let slot = &self.slot(slot.spec()).unwrap_or_else(|_| Arc::clone(slot));
        let spec = slot.spec();
        let settled = match granted {
            Ok(granted) => {
                let (store, slot, clock) =
                    (Arc::clone(&self.store), Arc::clone(slot), Arc::clone(&self.clock));
                let stored = blocking(move || Ok(keep(&store, &slot, granted, asked_at, &clock)));
                stored.await.unwrap_or_else(|error| Err(Explanation::new(error.to_string(), "")))
            }
            Err(unissued) => Err(explanation(unissued)),
        };
        match &settled {
            Ok(consented) => info!(signed_in = consented.signed_in, owner = spec.owner, "consent stored"),
            Err(why) => warn!(owner = spec.owner, cause = why.cause, cure = why.cure, "consent not stored"),
        }
        slot.changed.send_replace(());
        self.changed.send_replace(());
        settled
    }
}

/// Compares, writes, and only then takes into use.
fn keep(store: &Store, slot: &Slot, granted: Granted, asked_at: SystemTime, clock: &SharedClock) -> Outcome {
    let spec = slot.spec();
    let unusable = |error: crate::store::StoreError| {
        warn!(%error, "the token store cannot be used");
        Explanation::new(error.to_string(), "")
    };
    if granted.refresh_token.is_none() {
        return Err(words::no_refresh_token(spec.app.name.as_str()));
    }
    // A consent is a new beginning: who was known before may have been the wrong one.
    let identity = identity::check(&spec, None, &granted)?;
    attempt::name_what_is_missing(&spec, &granted);
    let _lock = store.lock(&spec.id).map_err(unusable)?;
    let before = store.get(&spec.id).map_err(unusable)?.unwrap_or_else(|| attempt::blank(&spec));
    if identity.is_none() && before.identity.is_some() {
        // What is known to be the right person's is not given up for what may be anybody's.
        return Err(words::nobody_named(&spec.sign_in.join(" or ")));
    }
    let before = Record { scopes: Vec::new(), ..before };
    let issued = granted.issued.clone();
    let signed_in = identity.as_ref().map(|identity| identity.user.clone());
    let mut record = attempt::renewed(&spec, before, granted, asked_at);
    record.identity = identity;
    record.last_used = Some(clock.now());
    slot.memory.forget_unsaved();
    slot.memory.write(store, &spec, record).map_err(unusable)?;
    let mut state = slot.state();
    // Whoever consents means to use it.
    state.used_at(clock.now());
    state.consented(issued, asked_at, clock.fraction());
    let expires_at = state.expires_at().unwrap_or(asked_at);
    Ok(Consented { signed_in, owner: spec.owner.clone(), expires_at })
}

/// Why an authority sent the browser back without a code.
fn declined(spec: &Spec, error: Option<&str>, description: Option<&str>) -> Explanation {
    match error {
        Some("access_denied") => words::declined(&spec.login),
        Some(error) => {
            let body = crate::explain::authority::ErrorBody {
                error: error.to_owned(),
                error_description: description.map(str::to_owned),
                ..Default::default()
            };
            let flow = crate::explain::authority::Flow::Code;
            crate::explain::authority::explained(flow, spec.app.name.as_str(), Some(&spec.login), &body)
        }
        None => Explanation::new("the authority sent neither a code nor an error", "begin the sign-in again"),
    }
}

fn explanation(unissued: Unissued) -> Explanation {
    let Refusal { failure, explanation, .. } = unissued.refusal;
    explanation.unwrap_or_else(|| Explanation::new(failure.name(), ""))
}

/// 256 random bits in base64url: more than RFC 6749 §10.10 asks of a `state`, and the 43 characters
/// that RFC 7636 §4.1 asks of a verifier.
fn random() -> Result<Secret, Explanation> {
    let mut bytes = [0; 32];
    fill(&mut bytes).map_err(|_| Explanation::new("the system has no randomness", ""))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

impl Consents {
    fn begin(&self, pending: Pending, now: SystemTime) -> Result<(), Explanation> {
        let mut all = self.all();
        all.retain(|pending| pending.is_open(now));
        if all.len() >= MOST_PENDING {
            return Err(Explanation::new("too many consents are pending", "finish some of them first"));
        }
        all.push(pending);
        Ok(())
    }

    /// The consent of that `state`, which serves once. Every one that is pending is compared, in
    /// constant time, so that an answer's time tells nothing.
    fn take(&self, state: &Secret, now: SystemTime) -> Option<Pending> {
        let mut all = self.all();
        let mut found = None;
        for (at, pending) in all.iter().enumerate() {
            if pending.state == *state {
                found = Some(at);
            }
        }
        let pending = all.swap_remove(found?);
        pending.is_open(now).then_some(pending)
    }

    /// Gives up those whose time is over.
    pub(super) fn prune(&self, now: SystemTime) {
        self.all().retain(|pending| pending.is_open(now));
    }

    fn all(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Whether it may still come to something. One that seems to last for long was begun under another
    /// clock.
    fn is_open(&self, now: SystemTime) -> bool {
        let left = self.expires_at.duration_since(now).unwrap_or_default();
        left > Duration::ZERO && left <= timing::CONSENT
    }
}

impl Tokens {
    /// Deletes everything that is kept for an account, so that a person must consent again where one
    /// had to. Returns whether there was anything.
    ///
    /// # Errors
    /// What the store failed with.
    pub async fn forget(&self, account: &Account) -> Result<bool, crate::store::StoreError> {
        let mut any = false;
        for mailbox in account.mailboxes() {
            let Some(spec) = self.plan().spec(account, mailbox) else { continue };
            let (store, id) = (Arc::clone(&self.store), spec.id.clone());
            any |= blocking(move || {
                let _lock = store.lock(&id)?;
                let known = store.get(&id)?.is_some();
                store.remove(&id)?;
                Ok(known)
            })
            .await?;
            if let Ok(slot) = self.slot(Arc::clone(&spec)) {
                slot.memory.forget_unsaved();
                slot.memory.saw(0);
                if spec.is_refreshed() {
                    slot.state().forget(attempt::not_given(&spec));
                } else {
                    slot.state().drop_token();
                }
            }
        }
        Ok(any)
    }
}
