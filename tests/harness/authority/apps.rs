//! App registrations: what an administrator has told the authority about a program.

use super::{Authority, Shared, refusal::Refusal, token};
use crate::harness::certs::Identity;

/// A program that may ask for tokens.
#[derive(Debug, Clone)]
pub struct Registration {
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) public: bool,
    pub(super) secrets: Vec<(String, SecretState)>,
    pub(super) certificates: Vec<Identity>,
    pub(super) federated: Option<String>,
    redirects: Vec<String>,
    challenges: Vec<Challenge>,
    multi_tenant: bool,
}

/// What a registered client secret is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It is good.
    Valid,
    /// Its time is over: AADSTS7000222.
    Expired,
}

/// How an authorization request may protect its code (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// `code_challenge_method=S256`.
    S256,
    /// `code_challenge_method=plain`, or a challenge without a method.
    Plain,
    /// Not at all.
    Absent,
}

impl Registration {
    /// A mobile and desktop app, which must not show a secret. It is in the tenant of [`super::APP`] and
    /// redirects to `http://localhost`.
    pub fn public(client_id: &str) -> Self {
        Self {
            tenant: super::APP.0.to_owned(),
            client_id: client_id.to_owned(),
            public: true,
            secrets: Vec::new(),
            certificates: Vec::new(),
            federated: None,
            redirects: vec!["http://localhost".to_owned()],
            challenges: vec![Challenge::S256, Challenge::Plain, Challenge::Absent],
            multi_tenant: false,
        }
    }

    /// A web app, which must show a credential; as [`Registration::public`] otherwise.
    pub fn confidential(client_id: &str) -> Self {
        Self { public: false, ..Self::public(client_id) }
    }

    /// Puts it into another tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// Lets it be used by way of `common`, `organizations` and `consumers`, too.
    #[must_use]
    pub fn multi_tenant(mut self) -> Self {
        self.multi_tenant = true;
        self
    }

    /// Adds a client secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), SecretState::Valid));
        self
    }

    /// Adds a client secret that was good once.
    #[must_use]
    pub fn expired_secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), SecretState::Expired));
        self
    }

    /// Adds a certificate whose key may sign client assertions.
    #[must_use]
    pub fn certificate(mut self, identity: &Identity) -> Self {
        self.certificates.push(identity.clone());
        self
    }

    /// Trusts this text as the token of a federated identity.
    #[must_use]
    pub fn federated(mut self, assertion: &str) -> Self {
        self.federated = Some(assertion.to_owned());
        self
    }

    /// Redirects to this URI instead; called again, to this one too.
    #[must_use]
    pub fn redirect(mut self, uri: &str) -> Self {
        if self.redirects == ["http://localhost"] {
            self.redirects.clear();
        }
        self.redirects.push(uri.to_owned());
        self
    }

    /// Allows only these ways to protect a code.
    #[must_use]
    pub fn challenges(mut self, allowed: &[Challenge]) -> Self {
        self.challenges = allowed.to_vec();
        self
    }

    pub(super) fn allows(&self, challenge: Challenge) -> bool {
        self.challenges.contains(&challenge)
    }

    /// Whether a redirect URI is registered: to the letter, but for the port of `localhost`.
    pub(super) fn redirects_to(&self, uri: &str) -> bool {
        let portless = without_port(uri);
        self.redirects
            .iter()
            .any(|known| known == uri || (portless.is_some() && without_port(known) == portless))
    }

    /// Whether its tokens are got by way of this tenant.
    fn is_reached_by(&self, tenant: &str) -> Result<bool, u64> {
        match tenant {
            "common" | "organizations" | "consumers" if self.multi_tenant => Ok(true),
            "common" | "organizations" | "consumers" => Err(50194),
            _ => Ok(self.tenant == tenant || token::tenant_id(&self.tenant) == tenant),
        }
    }
}

/// What stands behind the port of a URI of `http://localhost`.
fn without_port(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("http://localhost")?;
    let path =
        rest.strip_prefix(':').map_or(rest, |port| port.trim_start_matches(|c: char| c.is_ascii_digit()));
    (path.is_empty() || path.starts_with(['/', '?'])).then_some(path)
}

impl Authority {
    /// Makes an app registration known that has one secret, or changes its secret.
    pub fn register(&self, tenant: &str, client_id: &str, secret: &str) {
        let mut apps = self.shared.apps.lock().unwrap();
        let known = apps.iter_mut().find(|app| app.client_id == client_id);
        let secrets = vec![(secret.to_owned(), SecretState::Valid)];
        match known {
            Some(app) => *app = Registration { secrets, tenant: tenant.to_owned(), ..app.clone() },
            None => {
                apps.push(Registration { secrets, ..Registration::confidential(client_id).tenant(tenant) });
            }
        }
    }

    /// Makes an app registration known, in the place of one with the same client id.
    pub fn register_app(&self, app: Registration) {
        let mut apps = self.shared.apps.lock().unwrap();
        apps.retain(|known| known.client_id != app.client_id);
        apps.push(app);
    }

    /// Forgets an app registration, as an administrator deletes it.
    pub fn unregister(&self, client_id: &str) {
        self.shared.apps.lock().unwrap().retain(|app| app.client_id != client_id);
    }
}

impl Shared {
    /// The app of a request.
    pub(super) fn app(&self, tenant: &str, client_id: &str) -> Result<Registration, Refusal> {
        let apps = self.apps.lock().unwrap();
        let is_known = |app: &Registration| app.is_reached_by(tenant).unwrap_or(true);
        if !apps.iter().any(is_known) {
            return Err(90002.into());
        }
        let app = apps.iter().find(|app| app.client_id == client_id).ok_or(700_016)?;
        if app.is_reached_by(tenant)? { Ok(app.clone()) } else { Err(700_016.into()) }
    }
}
