//! Whether the bridge serves.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde::{Deserialize, Serialize};

use super::Bridge;

/// How a running bridge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether its listeners are open: not while it drains.
    pub ready: bool,
}

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new().route("/health", get(health))
}

async fn health(State(bridge): State<Arc<Bridge>>) -> Json<Health> {
    Json(Health { ready: bridge.is_ready() })
}
