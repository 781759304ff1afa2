//! The control socket: how the program's other commands talk to a running `serve`.
//!
//! HTTP/1 with JSON on a Unix socket that only the owner of the state folder may connect to. One file
//! for each group of routes, whose paths and answers are known to `cli` alone: both ends are one program.

mod accounts;
mod authorize;
mod console;
mod doctor;
mod health;
mod reload;
#[cfg(unix)]
mod socket;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::bridge::Bridge;
use crate::failure::Explanation;

pub use console::ConsoleLink;
pub use doctor::EVENTS;
pub use health::Health;
#[cfg(unix)]
pub(super) use socket::{Socket, serve};

/// The largest body of a request, in bytes: a login, a redirect's query.
const BODY: usize = 64 * 1024;

/// How long a request may take. A reload may have to ask a vault for every password.
const REQUEST: Duration = Duration::from_mins(1);

/// The socket in a state folder.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// Why a request was not done, as it is written in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// What is wrong.
    pub cause: String,
    /// What to do about it; empty where there is nothing to do.
    pub cure: String,
}

/// The answer to a request that is not done.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, Declined);

impl Refused {
    /// What was asked for does not exist, or may not be.
    pub(super) fn because(why: Explanation) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, Declined { cause: why.cause, cure: why.cure })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn router(bridge: Arc<Bridge>) -> Router {
    Router::new()
        .merge(accounts::routes())
        .merge(authorize::routes())
        .merge(console::routes())
        .merge(doctor::routes())
        .merge(health::routes())
        .merge(reload::routes())
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(in_time))
        .with_state(bridge)
}

async fn in_time(request: Request, next: Next) -> Response {
    timeout(REQUEST, next.run(request)).await.unwrap_or_else(|_| {
        let why =
            Declined { cause: "it takes too long".to_owned(), cure: "see the log of the bridge".to_owned() };
        Refused(StatusCode::GATEWAY_TIMEOUT, why).into_response()
    })
}

/// Elsewhere than on Unix there is no control socket in this version.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct Socket;

#[cfg(not(unix))]
impl Socket {
    pub(super) fn bind(_: &Path) -> Result<Option<Self>, super::BuildError> {
        Ok(None)
    }
}

#[cfg(not(unix))]
pub(super) async fn serve(_: Option<Socket>, bridge: Arc<Bridge>, _: tokio_util::sync::CancellationToken) {
    drop(router(bridge));
}
