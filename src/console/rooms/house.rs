//! The pages of the house, and the end of a session.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use super::{
    super::{
        desk::Desk,
        gate::Visitor,
        page::{self, Page, Wanted},
    },
    Form, Rooms, acting, see,
};
use crate::failure::Explanation;

/// Shows a page to who has a session.
fn shown<D: Desk>(
    rooms: &Rooms<D>,
    headers: &HeaderMap,
    page: impl FnOnce(&Visitor) -> Response,
) -> Response {
    rooms.gate.visitor(headers).map_or_else(|| see("/login"), |visitor| page(&visitor))
}

pub(super) async fn overview<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap) -> Response {
    shown(&rooms, &headers, |visitor| page::overview(&rooms.desk.overview(), rooms.desk.is_ready(), visitor))
}

pub(super) async fn accounts<D: Desk>(
    State(rooms): State<Rooms<D>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = Form::of(&uri);
    let wanted = Wanted {
        text: query.value("q").unwrap_or_default().to_owned(),
        attention: query.value("show") == Some("attention"),
        page: query.value("page").and_then(|page| page.parse().ok()).unwrap_or(1),
    };
    shown(&rooms, &headers, |visitor| page::accounts(&rooms.desk.overview().accounts, &wanted, visitor))
}

pub(super) async fn account<D: Desk>(
    State(rooms): State<Rooms<D>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = Form::of(&uri);
    let login = query.value("login").unwrap_or_default();
    shown(&rooms, &headers, |visitor| {
        match rooms.desk.overview().accounts.iter().find(|row| row.login == login) {
            Some(row) => page::account(row, rooms.gate.begun_for(visitor, login), visitor),
            None => no_account(login).into_response(),
        }
    })
}

fn no_account(login: &str) -> Page {
    let why = Explanation::new(
        format!("No account is named by the login {login}."),
        "The mappings file may have changed.",
    );
    let page = Page::not_done("No such account", &why).with_status(StatusCode::NOT_FOUND);
    page.leading_to("/accounts", "Go to the accounts")
}

pub(super) async fn sessions<D: Desk>(
    State(rooms): State<Rooms<D>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let ended = Form::of(&uri).value("ended").is_some();
    shown(&rooms, &headers, |visitor| page::sessions(&rooms.desk.overview(), ended, visitor))
}

pub(super) async fn failures<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap) -> Response {
    shown(&rooms, &headers, |visitor| page::failures(&rooms.desk.overview(), visitor))
}

/// Asks whether a session shall really end.
pub(super) async fn doubt<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap, uri: Uri) -> Response {
    let number = number(&Form::of(&uri));
    shown(&rooms, &headers, |visitor| match number.and_then(|number| rooms.desk.session(number)) {
        Some(session) => page::end(&session, visitor),
        None => no_session().into_response(),
    })
}

pub(super) async fn end<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    if let Err(refused) = acting(&rooms.gate, &headers, &form) {
        return refused.into_response();
    }
    match number(&form).filter(|number| rooms.desk.end_session(*number)) {
        Some(_) => see("/sessions?ended"),
        None => no_session().into_response(),
    }
}

fn number(form: &Form) -> Option<u64> {
    form.value("number")?.parse().ok()
}

fn no_session() -> Page {
    let why = Explanation::new("It has ended meanwhile.", "");
    let page = Page::not_done("No such session", &why).with_status(StatusCode::NOT_FOUND);
    page.leading_to("/sessions", "Go to the sessions")
}
