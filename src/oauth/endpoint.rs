//! The HTTP client under the `oauth2` crate: one bounded request, no redirects, no body on failure.

use std::{error::Error as _, future::Future, pin::Pin, time::Duration};

use http::{StatusCode, header::RETRY_AFTER};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

use super::reply::{self, NoAnswer};
use crate::{explain::authority::ErrorBody, net::tls::Trust, policy::timing};

/// The largest answer that is read, in bytes. A token is a few kilobytes.
const LARGEST: usize = 256 * 1024;

/// Posts to token endpoints.
#[derive(Debug, Clone)]
pub(super) struct Http(reqwest::Client);

impl Http {
    /// A client that accepts the certificates of `trust` and obeys `HTTPS_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// Where the TLS settings do not fit the HTTP client.
    pub(super) fn new(trust: &Trust) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured((**trust.client_config()).clone())
            // A redirected token request would carry the secret elsewhere (RFC 9700 §4.11).
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timing::TOKEN_REQUEST)
            .user_agent(concat!("footbridge/", env!("CARGO_PKG_VERSION")));
        Ok(Self(builder.build()?))
    }

    async fn post(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let request = reqwest::Request::try_from(request).map_err(|error| no_answer(&error))?;
        let mut response = self.0.execute(request).await.map_err(|error| no_answer(&error))?;
        let status = response.status();
        if is_trouble(status) {
            let retry_after =
                response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
            let trouble = format!("HTTP {}", status.as_u16());
            return Err(NoAnswer { trouble, retry_after, may_be_done: status.is_server_error() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(NoAnswer {
                    trouble: format!("its answer is over {LARGEST} bytes"),
                    retry_after: None,
                    may_be_done: true,
                });
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() && serde_json::from_slice::<ErrorBody>(&body).is_err() {
            let trouble = format!("HTTP {} and no word of OAuth", status.as_u16());
            return Err(NoAnswer { trouble, retry_after: None, may_be_done: false });
        }
        let mut answer = HttpResponse::new(reply::with_numeric_lifetime(body));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

/// Statuses that say nothing about the request: RFC 9110 §15.5.9, RFC 6585 §4, RFC 9110 §15.6.
fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// The delay form of Retry-After. The date form is rare and would need a clock that agrees.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause is the one that a person understands: `Connection refused`, not `error sending
/// request`. None of them quotes the request.
fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    let trouble = if error.is_timeout() {
        format!("no answer within {} s", timing::TOKEN_REQUEST.as_secs())
    } else {
        cause.map_or_else(|| error.to_string(), ToString::to_string)
    };
    NoAnswer { trouble, retry_after: None, may_be_done: !error.is_connect() }
}
