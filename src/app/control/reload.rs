//! What SIGHUP does, with the answer for whoever asks.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};

use super::{super::reload::Changes, Bridge, Refused};
use crate::failure::Explanation;

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new().route("/reload", post(reload))
}

async fn reload(State(bridge): State<Arc<Bridge>>) -> Result<Json<Changes>, Refused> {
    let reloaded = bridge.begin_reload().await;
    let broken = |_| Refused::because(Explanation::new("internal error", "see the log of the bridge"));
    match reloaded.map_err(broken)? {
        Ok(changes) => Ok(Json(changes)),
        Err(why) => Err(Refused::because(Explanation::new(why.to_string(), ""))),
    }
}
