//! What a token request gets: a token, an error body, or trouble.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::https::Hangup;

/// What one token request gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What it deserves: a token, or an error where the request is wrong.
    Issue,
    /// A token with this text, which is no JWT and good for an hour.
    Token(String),
    /// An OAuth error with an AADSTS code.
    Refuse(u64),
    /// A page of HTML with this status, and a `Retry-After` in seconds where there is one.
    Status(u16, Option<u64>),
    /// 200 and a body that is no JSON.
    Garbage,
    /// 200 and no body.
    Empty,
    /// The connection is reset.
    Reset,
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

impl Answer {
    /// Gives the answer; `deserved` tells what the request itself asks for.
    pub(super) async fn give(
        self,
        hangup: &Hangup,
        deserved: impl FnOnce() -> Result<(String, Duration), u64> + Send,
    ) -> Response {
        match self {
            Self::Issue => issued(deserved()),
            Self::Token(text) => issued(Ok((text, Duration::from_hours(1)))),
            Self::Refuse(code) => refused(code),
            Self::Status(status, retry_after) => page(status, retry_after),
            Self::Garbage => "<<< this is no JSON >>>".into_response(),
            Self::Empty => StatusCode::OK.into_response(),
            Self::Reset => {
                hangup.now();
                StatusCode::OK.into_response()
            }
            Self::Held(gate) => {
                gate.0.cancelled().await;
                issued(deserved())
            }
        }
    }
}

fn issued(deserved: Result<(String, Duration), u64>) -> Response {
    match deserved {
        Ok((access_token, lifetime)) => super::json(
            200,
            &json!({
                "token_type": "Bearer",
                "expires_in": lifetime.as_secs(),
                "ext_expires_in": lifetime.as_secs(),
                "access_token": access_token,
            }),
        ),
        Err(code) => refused(code),
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

/// The error body that Entra sends for an AADSTS code.
fn refused(code: u64) -> Response {
    let (status, error, text) = meaning(code);
    let trace = "0c1a3f5e-7d2b-4e6a-9b8c-112233445566";
    let correlation = "5f0e9d3c-1b2a-4c8d-8e7f-665544332211";
    let timestamp = "2026-11-20 12:00:00Z";
    super::json(
        status,
        &json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

/// Status, `error` and text of an AADSTS code, as Entra words them.
fn meaning(code: u64) -> (u16, &'static str, &'static str) {
    match code {
        70003 => (400, "unsupported_grant_type", "The app requested an unsupported grant type."),
        90002 => {
            (400, "invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID.")
        }
        90024 => (400, "invalid_request", "RequestBudgetExceededError - A transient error has occurred."),
        90033 => (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
        700_016 => (400, "unauthorized_client", "Application was not found in the directory."),
        1_002_012 => (400, "invalid_scope", "The provided value for scope is not valid: use /.default."),
        7_000_112 => (401, "unauthorized_client", "Application is disabled."),
        7_000_215 => (
            401,
            "invalid_client",
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
             value, not the client secret ID, for a secret added to the app.",
        ),
        7_000_218 => (
            401,
            "invalid_client",
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        ),
        7_000_222 => (401, "invalid_client", "The provided client secret keys for the app are expired."),
        _ => (400, "invalid_request", "An error that the pretend authority has no words for."),
    }
}
