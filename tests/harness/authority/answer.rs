//! What a token request gets: a token, an error body, or trouble.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{https::Hangup, refusal::Refusal};

/// What one token request gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What it deserves: a token, or an error where the request is wrong.
    Issue,
    /// A token with this text, which is no JWT and good for an hour.
    Token(String),
    /// An OAuth error with an AADSTS code.
    Refuse(u64),
    /// This status and this body, which is said to be JSON.
    Body(u16, String),
    /// A page of HTML with this status, and a `Retry-After` in seconds where there is one.
    Status(u16, Option<u64>),
    /// 200 and a body that is no JSON.
    Garbage,
    /// 200 and no body.
    Empty,
    /// The connection is reset.
    Reset,
    /// The request is granted - a rotated refresh token is used up - and the connection is reset.
    Lost,
    /// Nothing until the gate opens, then what the request deserves.
    Held(Gate),
}

/// Holds requests back until the test opens it.
#[derive(Debug, Clone, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.cancel();
    }
}

/// What a token endpoint issues.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) lifetime: Duration,
    pub(super) scope: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    /// The older endpoint writes numbers as strings, and names the resource.
    pub(super) older: Option<String>,
}

impl Answer {
    /// Gives the answer; `deserved` tells what the request itself asks for.
    pub(super) async fn give(
        self,
        hangup: &Hangup,
        deserved: impl FnOnce() -> Result<Response, Refusal> + Send,
    ) -> Response {
        let deserved = || deserved().unwrap_or_else(|refusal| refusal.response());
        match self {
            Self::Issue => deserved(),
            Self::Token(access_token) => {
                Tokens { access_token, lifetime: Duration::from_hours(1), ..Tokens::default() }.response()
            }
            Self::Refuse(code) => Refusal::from(code).response(),
            Self::Body(status, body) => {
                let status = StatusCode::from_u16(status).unwrap();
                (status, [("content-type", "application/json")], body).into_response()
            }
            Self::Status(status, retry_after) => page(status, retry_after),
            Self::Garbage => "<<< this is no JSON >>>".into_response(),
            Self::Empty => StatusCode::OK.into_response(),
            Self::Reset => {
                hangup.now();
                StatusCode::OK.into_response()
            }
            Self::Lost => {
                let lost = deserved();
                hangup.now();
                lost
            }
            Self::Held(gate) => {
                gate.0.cancelled().await;
                deserved()
            }
        }
    }
}

impl Tokens {
    /// The body that brings them (RFC 6749 §5.1, and Entra's `ext_expires_in`).
    pub(super) fn response(self) -> Response {
        let lifetime = self.lifetime.as_secs();
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.access_token,
        });
        if let Some(resource) = self.older {
            let now = super::token::now();
            body["expires_in"] = lifetime.to_string().into();
            body["ext_expires_in"] = lifetime.to_string().into();
            body["not_before"] = now.to_string().into();
            body["expires_on"] = (now + lifetime).to_string().into();
            body["resource"] = resource.into();
        }
        let more =
            [("scope", self.scope), ("refresh_token", self.refresh_token), ("id_token", self.id_token)];
        for (name, text) in more {
            if let Some(text) = text {
                body[name] = text.into();
            }
        }
        super::json(200, &body)
    }
}

/// What a front end says that is not the authority itself.
fn page(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let html = format!("<!DOCTYPE html><html><body><h1>{status}</h1></body></html>");
    let mut response = (status, [("content-type", "text/html")], html).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
