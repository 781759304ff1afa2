//! The authorization endpoint (RFC 6749 §4.1.1, §4.1.2), and the codes that it gives.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use url::Url;

use super::{
    Authority, Challenge, Shared,
    answer::Tokens,
    apps::Registration,
    delegated::{self, Consent},
    people::Decision,
    refusal::Refusal,
    request::Ask,
};

/// How long a code is good (Entra: ten minutes).
const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// Authorization requests and the codes that came of them.
#[derive(Default)]
pub(super) struct Authorizations {
    asked: Vec<HashMap<String, String>>,
    codes: Vec<Code>,
}

struct Code {
    text: String,
    redirect_uri: String,
    challenge: String,
    method: Challenge,
    consent: Consent,
    until: Instant,
    used: bool,
}

/// `GET /{tenant}/oauth2/v2.0/authorize`
pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    shared.authorizations.lock().unwrap().asked.push(query.clone());
    let response = shared.authorize(&tenant, &query).unwrap_or_else(|refusal| page(&refusal.description()));
    shared.authorized.add();
    response
}

/// What a person sees where nobody may be redirected.
fn page(text: &str) -> Response {
    let html = format!("<!DOCTYPE html><html><body><h1>Sign in</h1><p>{text}</p></body></html>");
    (StatusCode::BAD_REQUEST, [("content-type", "text/html; charset=utf-8")], html).into_response()
}

impl Shared {
    /// Redirects with a code or an error; the refusal is for the person, as the redirect URI may not be trusted.
    fn authorize(&self, tenant: &str, query: &HashMap<String, String>) -> Result<Response, Refusal> {
        let field = |name: &str| query.get(name).map_or("", String::as_str);
        let app = self.app(tenant, field("client_id"))?;
        let redirect_uri = field("redirect_uri");
        if !app.redirects_to(redirect_uri) {
            return Err(Refusal::noted(50011, format!("Not registered: {redirect_uri}")));
        }
        let mut url = Url::parse(redirect_uri).map_err(|error| Refusal::noted(50011, error.to_string()))?;
        let outcome = match challenge(&app, query) {
            Ok(method) => self.ask_the_person(&app, tenant, method, query)?,
            Err(refusal) => Err(("invalid_request", refusal)),
        };
        let is_code = outcome.is_ok();
        match outcome {
            Ok(code) => url.query_pairs_mut().append_pair("code", &code),
            Err((error, refusal)) => url
                .query_pairs_mut()
                .append_pair("error", error)
                .append_pair("error_description", &refusal.description()),
        };
        if let Some(state) = query.get("state") {
            url.query_pairs_mut().append_pair("state", state);
        }
        if is_code {
            url.query_pairs_mut().append_pair("session_state", "3f5e7d2b-4e6a-4b8c-9122-334455667788");
        }
        Ok((StatusCode::FOUND, [("location", url.to_string())]).into_response())
    }

    /// A code, or what the redirect says in its stead; an outer refusal where nobody is there to decide.
    fn ask_the_person(
        &self,
        app: &Registration,
        tenant: &str,
        method: Challenge,
        query: &HashMap<String, String>,
    ) -> Result<Result<String, (&'static str, Refusal)>, Refusal> {
        let field = |name: &str| query.get(name).map_or("", String::as_str);
        let person = {
            let mut people = self.people.lock().unwrap();
            let hinted = || query.get("login_hint").map(|hint| Decision::SignsIn(hint.clone()));
            match people.decisions.pop_front().or_else(hinted) {
                Some(Decision::SignsIn(upn)) => people.person(&upn),
                Some(Decision::Declines) => return Ok(Err(("access_denied", 65004.into()))),
                Some(Decision::Fails(code)) => return Ok(Err(("access_denied", code.into()))),
                None => return Err(Refusal::noted(50058, "Nobody is here who could sign in.")),
            }
        };
        let consent = Consent {
            app: app.client_id.clone(),
            tenant: delegated::home(app, tenant),
            user: person.upn,
            scopes: delegated::scopes(field("scope")),
            nonce: query.get("nonce").cloned(),
        };
        let code = super::unguessable("1.AXoA");
        self.keep_secret(&code);
        self.authorizations.lock().unwrap().codes.push(Code {
            text: code.clone(),
            redirect_uri: field("redirect_uri").to_owned(),
            challenge: field("code_challenge").to_owned(),
            method,
            consent,
            until: Instant::now() + CODE_LIFETIME,
            used: false,
        });
        Ok(Ok(code))
    }

    /// `grant_type=authorization_code` (RFC 6749 §4.1.3).
    pub(super) fn redeem_code(&self, app: &Registration, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        let consent = {
            let mut authorizations = self.authorizations.lock().unwrap();
            let shown = ask.field("code");
            let code = authorizations.codes.iter_mut().find(|code| code.text == shown).ok_or(70000)?;
            code.check(app, ask)?;
            code.used = true;
            code.consent.clone()
        };
        self.issue(&consent, ask, None)
    }
}

impl Code {
    fn check(&self, app: &Registration, ask: &Ask<'_>) -> Result<(), Refusal> {
        if self.consent.app != app.client_id {
            return Err(Refusal::noted(70000, "The code was issued to another client id."));
        }
        if self.used {
            return Err(54005.into());
        }
        if Instant::now() > self.until {
            return Err(70008.into());
        }
        if self.redirect_uri != ask.field("redirect_uri") {
            return Err(500_112.into());
        }
        let verifier = ask.field("code_verifier");
        let fits = match self.method {
            Challenge::Absent => verifier.is_empty(),
            // RFC 7636 §4.1: from 43 to 128 characters.
            _ if !(43..=128).contains(&verifier.len()) => return Err(501_491.into()),
            Challenge::Plain => verifier == self.challenge,
            Challenge::S256 => super::sha256_base64url(verifier.as_bytes()) == self.challenge,
        };
        if fits { Ok(()) } else { Err(501_481.into()) }
    }
}

/// Checks what a redirect may tell the program, and how the code is to be protected.
fn challenge(app: &Registration, query: &HashMap<String, String>) -> Result<Challenge, Refusal> {
    if query.get("response_type").map(String::as_str) != Some("code") {
        return Err(Refusal::noted(900_144, "'response_type' must be code."));
    }
    if query.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Refusal::noted(9_002_325, "Only response_mode=query is pretended."));
    }
    delegated::resource(&delegated::scopes(query.get("scope").map_or("", String::as_str)))?;
    let challenge =
        match (query.get("code_challenge"), query.get("code_challenge_method").map(String::as_str)) {
            (None, None) => Challenge::Absent,
            (Some(_), Some("S256")) => Challenge::S256,
            (Some(_), Some("plain") | None) => Challenge::Plain,
            (_, method) => {
                return Err(Refusal::noted(501_491, format!("code_challenge_method is {method:?}.")));
            }
        };
    if app.allows(challenge) { Ok(challenge) } else { Err(9_002_325.into()) }
}

impl Authority {
    /// The authorization endpoint as a configuration has it.
    pub fn authorize_url(&self) -> String {
        self.endpoint_url("authorize")
    }

    /// The parameters of every authorization request so far.
    pub fn authorizations(&self) -> Vec<HashMap<String, String>> {
        self.shared.authorizations.lock().unwrap().asked.clone()
    }

    /// Lets every code that was not redeemed yet expire.
    pub fn expire_codes(&self) {
        let now = Instant::now();
        self.shared.authorizations.lock().unwrap().codes.iter_mut().for_each(|code| code.until = now);
    }
}
