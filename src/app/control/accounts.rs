//! The accounts, and what is kept for them.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};

use super::{
    super::accounts::{AccountRow, Forget, Forgotten},
    Bridge, Refused,
};

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new().route("/accounts", get(accounts)).route("/accounts/forget", post(forget))
}

async fn accounts(State(bridge): State<Arc<Bridge>>) -> Json<Vec<AccountRow>> {
    Json(bridge.account_rows())
}

async fn forget(
    State(bridge): State<Arc<Bridge>>,
    Json(Forget { login }): Json<Forget>,
) -> Result<Json<Forgotten>, Refused> {
    bridge.forget(&login).await.map(Json).map_err(Refused::because)
}
