//! A consent that a command begins, and how it ends.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};

use super::{
    super::authorize::{Authorize, Begun, Pasted, Progress},
    Bridge, Refused,
};

/// How long a question for the outcome is held before it is answered with "not yet".
const HELD: Duration = Duration::from_secs(20);

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new()
        .route("/authorize", post(begin))
        .route("/authorize/{id}", get(progress))
        .route("/authorize/pasted", post(pasted))
}

async fn begin(
    State(bridge): State<Arc<Bridge>>,
    Json(wanted): Json<Authorize>,
) -> Result<Json<Begun>, Refused> {
    let accounts = Arc::clone(&bridge.house().accounts);
    bridge.consenter.begin(&accounts, &wanted).await.map(Json).map_err(Refused::because)
}

async fn progress(
    State(bridge): State<Arc<Bridge>>,
    Path(id): Path<String>,
) -> Result<Json<Progress>, Refused> {
    bridge.consenter.progress(&id, HELD).await.map(Json).map_err(Refused::because)
}

async fn pasted(State(bridge): State<Arc<Bridge>>, Json(pasted): Json<Pasted>) -> Result<Json<()>, Refused> {
    bridge.consenter.pasted(&pasted).await.map(Json).map_err(Refused::because)
}
