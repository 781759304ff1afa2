//! Token requests: what they say, who may make them, and what becomes of them.

use std::{collections::HashMap, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Form, Path, State},
    http::HeaderMap,
    response::Response,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{
    Authority, Shared,
    answer::Tokens,
    apps::{Registration, SecretState},
    https::Hangup,
    refusal::Refusal,
};
use crate::harness::count::Count;

type Fields = HashMap<String, String>;

/// A token request that has arrived.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The tenant in its path, or `google`.
    pub tenant: String,
    /// Its `grant_type` without the URN before it: `device_code`.
    pub grant: String,
    /// All its fields; the client's id and secret too where they came in a header.
    pub form: Fields,
    /// When it came.
    pub at: Instant,
}

/// The requests so far.
#[derive(Default)]
pub(super) struct Arrived {
    requests: Vec<TokenRequest>,
    by_grant: HashMap<String, Count>,
}

impl Arrived {
    fn count(&mut self, grant: &str) -> Count {
        let count = self.by_grant.entry(grant.to_owned());
        count.or_insert_with(|| Count::of("token requests of one grant type")).clone()
    }
}

/// A token request as it is looked at.
pub(super) struct Ask<'a> {
    pub(super) tenant: &'a str,
    pub(super) form: &'a Fields,
    /// It came to the older endpoint, `/oauth2/token`.
    pub(super) older: bool,
}

impl<'a> Ask<'a> {
    /// A field; empty where there is none.
    pub(super) fn field(&self, name: &str) -> &'a str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The resource that the older endpoint is asked about.
    pub(super) fn resource(&self) -> Option<&'a str> {
        self.older.then(|| self.field("resource")).filter(|resource| !resource.is_empty())
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let form = with_basic(&headers, form);
    let grant = |shared: &Shared| shared.grant(&Ask { tenant: &tenant, form: &form, older: false });
    shared.serve(&hangup, &tenant, &form, grant).await
}

/// `POST /{tenant}/oauth2/token`
pub(super) async fn older_endpoint(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let form = with_basic(&headers, form);
    let grant = |shared: &Shared| shared.grant(&Ask { tenant: &tenant, form: &form, older: true });
    shared.serve(&hangup, &tenant, &form, grant).await
}

/// The fields with `client_secret_basic` among them (RFC 6749 §2.3.1).
fn with_basic(headers: &HeaderMap, mut form: Fields) -> Fields {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let Some(shown) = shown.and_then(|shown| String::from_utf8(BASE64_STANDARD.decode(shown).ok()?).ok())
    else {
        return form;
    };
    let (id, secret) = shown.split_once(':').unwrap_or((&shown, ""));
    for (name, text) in [("client_id", id), ("client_secret", secret)] {
        // One value, written as in a form.
        let text = url::form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned());
        form.insert(name.to_owned(), text.unwrap_or_default());
    }
    form
}

impl Shared {
    /// Counts a request and gives it what the script or the request itself says.
    pub(super) async fn serve(
        &self,
        hangup: &Hangup,
        tenant: &str,
        form: &Fields,
        grant: impl FnOnce(&Self) -> Result<Tokens, Refusal> + Send,
    ) -> Response {
        self.arrived(tenant, form);
        let answer = self.answer().await;
        let response = answer.give(hangup, || grant(self).map(Tokens::response)).await;
        self.answered.add();
        response
    }

    fn arrived(&self, tenant: &str, form: &Fields) {
        let grant = form.get("grant_type").and_then(|grant| grant.rsplit(':').next()).unwrap_or_default();
        let count = {
            let mut arrived = self.arrived.lock().unwrap();
            let (tenant, grant, form) = (tenant.to_owned(), grant.to_owned(), form.clone());
            let count = arrived.count(&grant);
            arrived.requests.push(TokenRequest { tenant, grant, form, at: Instant::now() });
            count
        };
        count.add();
        self.requests.add();
    }

    /// What a request deserves.
    fn grant(&self, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        let app = || self.known_client(ask);
        if !ask.older && !ask.field("resource").is_empty() {
            return Err(901_002.into());
        }
        match ask.field("grant_type") {
            "authorization_code" => self.redeem_code(&app()?, ask),
            "refresh_token" => self.refresh(&app()?, ask),
            "urn:ietf:params:oauth:grant-type:device_code" => self.poll(&app()?, ask),
            "password" => self.password(&app()?, ask),
            "client_credentials" => self.client_credentials(&app()?, ask),
            _ => Err(70003.into()),
        }
    }

    /// The app, which has shown the credential that it must show.
    fn known_client(&self, ask: &Ask<'_>) -> Result<Registration, Refusal> {
        let app = self.app(ask.tenant, ask.field("client_id"))?;
        let (secret, assertion) = (ask.field("client_secret"), ask.field("client_assertion"));
        if app.public {
            return if secret.is_empty() && assertion.is_empty() { Ok(app) } else { Err(700_025.into()) };
        }
        if !assertion.is_empty() {
            self.check_assertion(&app, ask)?;
            return Ok(app);
        }
        let state = app.secrets.iter().find(|(known, _)| known == secret).map(|(_, state)| *state);
        match state {
            _ if secret.is_empty() => Err(7_000_218.into()),
            None => Err(7_000_215.into()),
            Some(SecretState::Expired) => Err(7_000_222.into()),
            Some(SecretState::Valid) => Ok(app),
        }
    }

    /// A token of the app itself (RFC 6749 §4.4), as Entra checks the request.
    fn client_credentials(&self, app: &Registration, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        if matches!(ask.tenant, "common" | "organizations" | "consumers") {
            return Err(9_001_023.into());
        }
        match ask.resource() {
            Some(_) => (),
            None if ask.older => return Err(Refusal::noted(900_144, "'resource'.")),
            None if ask.field("scope").ends_with("/.default") => (),
            None => return Err(1_002_012.into()),
        }
        if app.public {
            return Err(7_000_218.into());
        }
        let (access_token, lifetime) = self.issuer.mint(ask.tenant, &app.client_id);
        Ok(Tokens { access_token, lifetime, older: ask.resource().map(str::to_owned), ..Tokens::default() })
    }
}

impl Authority {
    /// Every token request that has arrived, oldest first.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.shared.arrived.lock().unwrap().requests.clone()
    }

    /// The token requests of one grant type: `refresh_token`, `device_code`, `jwt-bearer`.
    pub fn requests_of(&self, grant: &str) -> Count {
        self.shared.arrived.lock().unwrap().count(grant)
    }
}
