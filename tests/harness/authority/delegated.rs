//! Tokens on behalf of a person: what was consented to, and what the tokens say.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Authority, Shared,
    answer::Tokens,
    apps::Registration,
    refusal::Refusal,
    request::Ask,
    token::{self, Claims},
};

/// What a person let an app do.
#[derive(Debug, Clone)]
pub(super) struct Consent {
    pub(super) app: String,
    /// The tenant in the token's words.
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
}

/// How delegated tokens differ from what was asked for.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Another audience.
    pub audience: Option<String>,
    /// Other permissions: `IMAP.AccessAsUser.All`.
    pub scp: Option<Vec<String>>,
    /// Access tokens are no JWTs, as those of personal accounts.
    pub opaque: bool,
    /// Whether there is an `id_token` where `openid` was asked for.
    pub id_token: bool,
    /// Claims that the `id_token` has in the place of its own; `null` takes one away.
    pub id_claims: Map<String, Value>,
    /// Claims that a JWT access token has in the place of its own; `null` takes one away.
    pub claims: Map<String, Value>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            audience: None,
            scp: None,
            opaque: false,
            id_token: true,
            id_claims: Map::new(),
            claims: Map::new(),
        }
    }
}

/// What has to do with the person and not with a resource.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// The words of a `scope` parameter.
pub(super) fn scopes(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The tenant that a token names: the app's own where the request did not choose.
pub(super) fn home(app: &Registration, tenant: &str) -> String {
    match tenant {
        "common" | "organizations" | "consumers" => app.tenant.clone(),
        _ => tenant.to_owned(),
    }
}

/// The resource that scopes are about, which must be one. A permission without a resource is one of Graph.
pub(super) fn resource(scopes: &[String]) -> Result<String, Refusal> {
    if scopes.is_empty() {
        return Err(Refusal::noted(900_144, "'scope'."));
    }
    let resources = scopes.iter().filter(|scope| !OPENID.contains(&scope.as_str()));
    let mut resources = resources.map(|scope| match scope.rsplit_once('/') {
        Some((resource, _)) => resource.trim_end_matches('/').to_owned(),
        None => "https://graph.microsoft.com".to_owned(),
    });
    let first = resources.next().unwrap_or_else(|| "https://graph.microsoft.com".to_owned());
    match resources.find(|other| *other != first) {
        None => Ok(first),
        // Graph stands beside everything, and takes the audience.
        Some(other) if other.contains("graph") || first.contains("graph") => {
            Ok("https://graph.microsoft.com".to_owned())
        }
        Some(other) => Err(Refusal::noted(70011, format!("It names two resources: {first} and {other}."))),
    }
}

/// All that mail programs need of a resource.
pub(super) fn everything(resource: &str) -> Vec<String> {
    ["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"]
        .map(|permission| format!("{}/{permission}", resource.trim_end_matches('/')))
        .to_vec()
}

/// The names of the permissions of a resource.
pub(super) fn permissions(scopes: &[String]) -> Vec<String> {
    let named = scopes.iter().filter(|scope| !OPENID.contains(&scope.as_str()));
    named.map(|scope| scope.rsplit('/').next().unwrap_or(scope).to_owned()).collect()
}

impl Shared {
    /// Tokens for what was consented to, or for what of it the request asks for. `family` is that of the refresh
    /// token which was shown.
    pub(super) fn issue(
        &self,
        consent: &Consent,
        ask: &Ask<'_>,
        family: Option<usize>,
    ) -> Result<Tokens, Refusal> {
        let asked = scopes(ask.field("scope"));
        let granted = if asked.is_empty() || family.is_none() { consent.scopes.clone() } else { asked };
        let audience = match ask.resource() {
            Some(resource) => resource.to_owned(),
            None => resource(&granted)?,
        };
        let (access_token, lifetime) = self.access_token(consent, &granted, &audience);
        let has = |scope: &str| granted.iter().any(|granted| granted == scope);
        let keeps = ask.older || family.is_some() || has("offline_access");
        let refresh_token = if keeps { self.next_refresh_token(consent, family) } else { None };
        Ok(Tokens {
            access_token,
            lifetime,
            scope: Some(asked_back(&granted, &audience)),
            refresh_token,
            id_token: if has("openid") { self.id_token(consent, has("profile")) } else { None },
            older: ask.older.then_some(audience),
        })
    }

    fn access_token(&self, consent: &Consent, granted: &[String], audience: &str) -> (String, Duration) {
        let shape = self.shape.lock().unwrap().clone();
        let person = self.people.lock().unwrap().person(&consent.user);
        let scp = shape.scp.unwrap_or_else(|| permissions(granted)).join(" ");
        let tid = person.tid.clone().unwrap_or_else(|| token::tenant_id(&consent.tenant));
        let claims = Claims {
            aud: shape.audience.unwrap_or_else(|| audience.to_owned()),
            iss: format!("https://sts.windows.net/{tid}/"),
            appid: consent.app.clone(),
            idtyp: "user".to_owned(),
            tid: Some(tid),
            oid: Some(person.oid),
            upn: Some(person.upn),
            scp: Some(scp),
            ..Claims::default()
        };
        if shape.opaque {
            self.issuer.mint_opaque(claims)
        } else {
            self.issuer.mint_claims(claims, &shape.claims)
        }
    }

    /// Who signed in. Entra tells their names only where `profile` was asked for.
    fn id_token(&self, consent: &Consent, profile: bool) -> Option<String> {
        let shape = self.shape.lock().unwrap().clone();
        if !shape.id_token {
            return None;
        }
        let person = self.people.lock().unwrap().person(&consent.user);
        let tid = person.tid.clone().unwrap_or_else(|| token::tenant_id(&consent.tenant));
        let now = token::now();
        let mut claims = json!({
            "ver": "2.0",
            "iss": format!("https://login.microsoftonline.com/{tid}/v2.0"),
            "aud": consent.app,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": token::number_of(&format!("{} at {}", person.oid, consent.app)),
            "tid": tid,
        });
        if profile {
            claims["oid"] = person.oid.into();
            claims["name"] = person.name.into();
            claims["preferred_username"] = person.upn.into();
        }
        if let Some(nonce) = &consent.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        let token = self.issuer.sign(&token::with(claims, &shape.id_claims));
        self.keep_secret(&token);
        Some(token)
    }
}

/// The granted scopes as an answer lists them: those of the resource, in full.
fn asked_back(granted: &[String], audience: &str) -> String {
    let named = permissions(granted).into_iter().map(|name| format!("{audience}/{name}"));
    named.collect::<Vec<_>>().join(" ")
}

impl Authority {
    /// Changes what delegated tokens are like from here on.
    pub fn shape(&self, change: impl FnOnce(&mut Shape)) {
        change(&mut self.shared.shape.lock().unwrap());
    }
}
