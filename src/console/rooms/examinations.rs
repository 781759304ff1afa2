//! The doctor: begun by a button, shown while it goes on.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use tracing::info;

use super::{
    super::{
        desk::Desk,
        page::{self, Page},
    },
    Form, Rooms, acting, see,
};
use crate::failure::Explanation;

pub(super) async fn begin<D: Desk>(
    State(rooms): State<Rooms<D>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    if let Err(refused) = acting(&rooms.gate, &headers, &form) {
        return refused.into_response();
    }
    let login = form.value("login").map(str::trim).unwrap_or_default();
    let send_to = form.value("send_to").map(str::trim).filter(|to| !to.is_empty());
    match rooms.desk.examine(login, send_to) {
        Ok(id) => {
            info!(login, "test begun from the console");
            see(&format!("/doctor/{id}"))
        }
        Err(why) => {
            let page = Page::not_done("Not tested", &why);
            page.leading_to("/accounts", "Go to the accounts").into_response()
        }
    }
}

pub(super) async fn progress<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(visitor) = rooms.gate.visitor(&headers) else { return see("/login") };
    let Some(shown) = rooms.desk.examination(&id) else {
        let why = Explanation::new("This test is not known any more.", "Begin another one.");
        let page = Page::not_done("No such test", &why).with_status(StatusCode::NOT_FOUND);
        return page.leading_to("/accounts", "Go to the accounts").into_response();
    };
    page::examination(&shown, &visitor)
}
