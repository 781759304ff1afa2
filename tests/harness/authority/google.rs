//! Google's token endpoint for service accounts with domain-wide delegation (RFC 7523 §2.1).

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{ConnectInfo, Form, State},
    response::Response,
};
use jsonwebtoken::{Algorithm, decode_header};
use serde::Deserialize;
use serde_json::json;

use super::{
    Authority, Shared,
    answer::Tokens,
    assertion,
    delegated::{permissions, scopes},
    https::Hangup,
    refusal::Refusal,
    token::{self, Claims},
};
use crate::harness::certs::Identity;

/// A service account that may act for the mailboxes of its domain.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// Its own name: `bridge@project.iam.gserviceaccount.com`.
    pub client_email: String,
    /// Its key.
    pub identity: Identity,
    /// Whose mailboxes it may open.
    pub mailboxes: Vec<String>,
    /// What an administrator has allowed it.
    pub scopes: Vec<String>,
}

impl ServiceAccount {
    /// One that may do everything with these mailboxes.
    pub fn new(client_email: &str, mailboxes: &[&str]) -> Self {
        Self {
            client_email: client_email.to_owned(),
            identity: Identity::generate(client_email),
            mailboxes: mailboxes.iter().map(|mailbox| mailbox.to_lowercase()).collect(),
            scopes: vec!["https://mail.google.com/".to_owned()],
        }
    }
}

#[derive(Deserialize)]
struct Assertion {
    iss: String,
    aud: String,
    scope: String,
    #[serde(default)]
    sub: String,
    iat: u64,
    exp: u64,
}

/// `POST /google/token`
pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    shared.serve(&hangup, "google", &form, |shared| shared.google(&form)).await
}

impl Shared {
    fn google(&self, form: &HashMap<String, String>) -> Result<Tokens, Refusal> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            let text = format!("Invalid grant_type: {}", field("grant_type"));
            return Err(Refusal::plain(400, "unsupported_grant_type", text));
        }
        let invalid = |text: String| Refusal::plain(400, "invalid_grant", text);
        let claims = self.google_assertion(field("assertion")).map_err(invalid)?;
        let accounts = self.service_accounts.lock().unwrap();
        let account = accounts.iter().find(|account| account.client_email == claims.iss);
        let account = account.ok_or_else(|| invalid("Invalid grant: account not found".to_owned()))?;
        let asked = scopes(&claims.scope);
        if claims.sub.is_empty() || !asked.iter().all(|scope| account.scopes.contains(scope)) {
            return Err(Refusal::plain(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized \
                 for any of the scopes requested.",
            ));
        }
        if !account.mailboxes.contains(&claims.sub.to_lowercase()) {
            return Err(invalid("Invalid email or User ID".to_owned()));
        }
        let scp = if permissions(&asked).is_empty() { "" } else { "https://mail.google.com/" };
        let (access_token, lifetime) = self.issuer.mint_opaque(Claims {
            iss: "https://accounts.google.com".to_owned(),
            appid: claims.iss,
            idtyp: "user".to_owned(),
            upn: Some(claims.sub),
            scp: Some(scp.to_owned()),
            ..Claims::default()
        });
        Ok(Tokens { access_token, lifetime, ..Tokens::default() })
    }

    fn google_assertion(&self, assertion: &str) -> Result<Assertion, String> {
        let header = decode_header(assertion).map_err(|error| format!("Invalid JWT: {error}"))?;
        if header.alg != Algorithm::RS256 {
            return Err(format!("Invalid JWT: its alg is {:?}", header.alg));
        }
        let accounts = self.service_accounts.lock().unwrap();
        let mut read = accounts
            .iter()
            .map(|account| assertion::read::<Assertion>(assertion, header.alg, &account.identity));
        let claims = read.find_map(Result::ok).ok_or("Invalid JWT Signature.")?;
        let now = token::now();
        if claims.aud != self.google_url() {
            return Err(format!("Invalid JWT: its aud is {}", claims.aud));
        }
        if claims.iat > now || claims.exp <= now || claims.exp - claims.iat > 3600 {
            return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                        timeframe. Check your iat and exp values in the JWT claim."
                .to_owned());
        }
        Ok(claims)
    }
}

impl Authority {
    /// The token endpoint as a service account's key file has it.
    pub fn google_token_url(&self) -> String {
        self.shared.google_url()
    }

    /// Makes a service account known, in the place of one with the same name.
    pub fn add_service_account(&self, account: &ServiceAccount) {
        let mut accounts = self.shared.service_accounts.lock().unwrap();
        accounts.retain(|known| known.client_email != account.client_email);
        accounts.push(account.clone());
    }

    /// The key file of a service account, as Google hands it out.
    pub fn service_account_key(&self, account: &ServiceAccount) -> String {
        let body = json!({
            "type": "service_account",
            "project_id": "bridge-project",
            "private_key_id": account.identity.sha1(),
            "private_key": account.identity.key_pem(),
            "client_email": account.client_email,
            "client_id": "104726538190276354819",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.google_token_url(),
            "universe_domain": "googleapis.com",
        });
        serde_json::to_string_pretty(&body).unwrap()
    }
}
