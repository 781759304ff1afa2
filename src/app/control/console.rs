//! A one-time link that signs in to the console.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};

use super::{Bridge, Refused};
use crate::failure::Explanation;

/// The link. Whoever opens it first, within five minutes, is signed in.
#[derive(Serialize, Deserialize)]
pub struct ConsoleLink {
    /// Its address.
    pub url: String,
}

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new().route("/console", post(link))
}

async fn link(State(bridge): State<Arc<Bridge>>) -> Result<Json<ConsoleLink>, Refused> {
    let refused = |cause, cure| Refused::because(Explanation::new(cause, cure));
    let none = || {
        let cure =
            "add [console] with bind = \"127.0.0.1:8025\" to the configuration, and restart the bridge";
        refused("this bridge has no console", cure)
    };
    let gate = bridge.gate.as_ref().ok_or_else(none)?;
    let url = gate.link().ok_or_else(|| refused("the system has no randomness", ""))?;
    Ok(Json(ConsoleLink { url }))
}
