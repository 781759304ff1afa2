//! The web pages: where a browser lands after a consent, and what a load balancer asks.
//!
//! Whatever a browser asks for that carries a `state` is taken for a redirect of the authority, whatever
//! its path: registrations have paths of their own. `state` alone says whether it is one; nothing else that
//! comes here changes anything.

mod page;
mod redirects;
mod server;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use url::form_urlencoded;

use crate::oauth::{Landing, Tokens};
use page::Page;

pub use redirects::{Console, OpenError, Place, Redirects};
pub use server::serve;

/// The longest query that is read, in bytes. Entra's codes have some 1,500.
const LONGEST_QUERY: usize = 32 * 1024;

/// Where browsers land after a consent, and nothing else.
pub fn landing(tokens: Arc<Tokens>) -> Router {
    Router::new().fallback(land).with_state(tokens)
}

/// The console: `/healthz` says that the process lives, `/readyz` whether it lets clients in, everything
/// else is where browsers land.
pub fn router(tokens: Arc<Tokens>, is_ready: impl Fn() -> bool + Clone + Send + Sync + 'static) -> Router {
    let ready = move || {
        let answer = if is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        };
        async move { answer }
    };
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .merge(landing(tokens))
}

async fn land(State(tokens): State<Arc<Tokens>>, request: Request) -> Response {
    if *request.method() != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let query = request.uri().query().unwrap_or_default();
    if query.len() > LONGEST_QUERY {
        return Page::nothing_here().into_response();
    }
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if !query.iter().any(|(name, _)| name == "state") {
        return Page::nothing_here().into_response();
    }
    match tokens.redirected(&query).await {
        Landing::Stranger => Page::unknown().into_response(),
        Landing::Ended(Ok(consented)) => Page::consented(&consented).into_response(),
        Landing::Ended(Err(why)) => Page::refused(&why).into_response(),
    }
}
