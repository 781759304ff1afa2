//! Consents: begun by a button, waited for on a page.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use super::{
    super::{
        LONGEST_QUERY,
        desk::Desk,
        page::{self, Page},
    },
    Form, Rooms, acting, see,
};
use crate::{explain::consent, failure::Explanation};

pub(super) async fn begin<D: Desk>(
    State(rooms): State<Rooms<D>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let visitor = match acting(&rooms.gate, &headers, &form) {
        Ok(visitor) => visitor,
        Err(refused) => return refused.into_response(),
    };
    let login = form.value("login").unwrap_or_default();
    match rooms.desk.begin(login, form.value("way") == Some("device")).await {
        Ok(begun) => {
            let place = format!("/authorize/{}", begun.id);
            rooms.gate.keep(&visitor, begun);
            see(&place)
        }
        Err(why) => Page::not_done("Not begun", &why).leading_home().into_response(),
    }
}

/// What a person has to do, or how it has ended. With `stay` in its address the page leads nowhere by itself.
pub(super) async fn progress<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(visitor) = rooms.gate.visitor(&headers) else { return see("/login") };
    let Some(begun) = rooms.gate.begun(&visitor, &id) else { return unknown() };
    let stays = Form::of(&uri).value("stay").is_some();
    let leads_on = |redirect: &str| !stays && rooms.gate.hosts.comes_back(&headers, redirect);
    match rooms.desk.ended(&id).await {
        Ok(Some(ended)) => page::ended(&begun, &ended).into_response(),
        Ok(None) => page::waiting(&begun, leads_on, None, &visitor),
        Err(_) => unknown(),
    }
}

/// Takes the address that a browser has ended at where it could not come back.
pub(super) async fn paste<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let visitor = match acting(&rooms.gate, &headers, &form) {
        Ok(visitor) => visitor,
        Err(refused) => return refused.into_response(),
    };
    let Some(begun) = rooms.gate.begun(&visitor, &id) else { return unknown() };
    match pasted(&rooms, form.value("address").unwrap_or_default()).await {
        Ok(()) => see(&format!("/authorize/{id}?stay")),
        Err(why) => page::waiting(&begun, |_| false, Some(&why), &visitor),
    }
}

async fn pasted<D: Desk>(rooms: &Rooms<D>, address: &str) -> Result<(), Explanation> {
    if address.len() > LONGEST_QUERY {
        return Err(consent::unknown_state());
    }
    rooms.desk.paste(address).await
}

fn unknown() -> Response {
    Page::unknown().with_status(StatusCode::NOT_FOUND).leading_home().into_response()
}
