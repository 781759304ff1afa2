//! The pages that need a session, and the one that begins it.
//!
//! `house` shows how things are and ends sessions, `consents` and `examinations` have things done for an account.

mod consents;
mod examinations;
mod house;

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tracing::{info, warn};
use url::form_urlencoded;

use super::{
    desk::Desk,
    gate::{Denied, Gate, Visitor},
    page::{self, Page},
};
use crate::{failure::Explanation, ids::ClientAddr, secret::Secret};

/// What the pages have at hand.
#[derive(Debug)]
pub(super) struct Rooms<D> {
    pub(super) desk: Arc<D>,
    pub(super) gate: Arc<Gate>,
}

impl<D> Clone for Rooms<D> {
    fn clone(&self) -> Self {
        Self { desk: Arc::clone(&self.desk), gate: Arc::clone(&self.gate) }
    }
}

pub(super) fn routes<D: Desk>(rooms: Rooms<D>) -> Router {
    Router::new()
        .route("/", get(house::overview::<D>))
        .route("/accounts", get(house::accounts::<D>))
        .route("/account", get(house::account::<D>))
        .route("/sessions", get(house::sessions::<D>))
        .route("/sessions/end", get(house::doubt::<D>).post(house::end::<D>))
        .route("/failures", get(house::failures::<D>))
        .route("/authorize", post(consents::begin::<D>))
        .route("/authorize/{id}", get(consents::progress::<D>))
        .route("/authorize/{id}/address", post(consents::paste::<D>))
        .route("/doctor", post(examinations::begin::<D>))
        .route("/doctor/{id}", get(examinations::progress::<D>))
        .route("/login", get(entrance::<D>).post(log_in::<D>))
        .route("/logout", post(log_out::<D>))
        .with_state(rooms)
        .route("/console.js", get(|| async { page::script() }))
}

/// The form, or with a one-time link what is behind it.
async fn entrance<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Extension(client): Extension<ClientAddr>,
    method: Method,
    uri: Uri,
) -> Response {
    let query = Form::of(&uri);
    // A look at the headers alone must not use a link up.
    let token = query.value("link").filter(|_| method == Method::GET);
    let Some(token) = token else { return page::log_in(false, rooms.gate.rests(&client.network())) };
    let Some(cookie) = rooms.gate.redeem(token) else {
        let why = Explanation::new(
            "This link has been used, or is older than five minutes.",
            "For a new one run `footbridge console`.",
        );
        return Page::not_done("No such link", &why)
            .with_status(StatusCode::FORBIDDEN)
            .leading_home()
            .into_response();
    };
    info!(client.addr = %client, "signed in to the console by a link");
    with_cookie(page::entered(), Some(cookie))
}

async fn log_in<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Extension(client): Extension<ClientAddr>,
    body: Bytes,
) -> Response {
    let network = client.network();
    // Whoever goes on trying fills no log.
    if let Some(left) = rooms.gate.rests(&network) {
        return page::log_in(true, Some(left));
    }
    let form = Form::parse(&body);
    match rooms.gate.sign_in(&network, &Secret::new(form.value("password").unwrap_or_default())) {
        Ok(cookie) => {
            info!(client.addr = %client, "signed in to the console");
            with_cookie(see("/"), Some(cookie))
        }
        Err(denied) => {
            warn_of(&rooms.gate, client, denied);
            let left = match denied {
                Denied::Wrong => None,
                Denied::Resting(left) => Some(left),
            };
            page::log_in(true, left)
        }
    }
}

/// Says in the log that a password was wrong, unless that was said often enough of late.
pub(super) fn warn_of(gate: &Gate, client: ClientAddr, denied: Denied) {
    let Some(more) = gate.complains(&client.network(), denied) else { return };
    match denied {
        Denied::Wrong => {
            warn!(client.addr = %client, also.refused = more, "wrong password for the console");
        }
        Denied::Resting(left) => {
            warn!(
                client.addr = %client,
                ?left,
                also.refused = more,
                "too many wrong passwords for the console"
            );
        }
    }
}

async fn log_out<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap, body: Bytes) -> Response {
    let visitor = match acting(&rooms.gate, &headers, &Form::parse(&body)) {
        Ok(visitor) => visitor,
        Err(refused) => return refused.into_response(),
    };
    with_cookie(see("/login"), rooms.gate.sign_out(&visitor))
}

/// Who has sent a form of the console.
fn acting(gate: &Gate, headers: &HeaderMap, form: &Form) -> Result<Visitor, Refused> {
    let visitor = gate.visitor(headers).ok_or(Refused::NoSession)?;
    let is_theirs = visitor.has_sent(form.value("token").unwrap_or_default());
    is_theirs.then_some(visitor).ok_or(Refused::ForeignForm)
}

/// Why what a form asks for is not done.
enum Refused {
    NoSession,
    ForeignForm,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NoSession => see("/login"),
            Self::ForeignForm => {
                let why = Explanation::new("This form is of another session.", "Send it again.");
                let page = Page::not_done("Not done", &why).with_status(StatusCode::FORBIDDEN);
                page.leading_home().into_response()
            }
        }
    }
}

/// The fields of a form, or of a query.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn see(place: &str) -> Response {
    let headers = [(header::LOCATION, place), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
