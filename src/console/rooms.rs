//! The pages that need a session, and the one that begins it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tracing::{info, warn};
use url::form_urlencoded;

use super::{
    desk::Desk,
    gate::{Gate, Judged, Visitor},
    page::{self, Page},
};
use crate::{failure::Explanation, secret::Secret};

/// The largest form, in bytes: a password and a token.
const FORM: usize = 16 * 1024;

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
        .route("/", get(overview::<D>))
        .route("/login", get(entrance::<D>).post(log_in::<D>))
        .route("/logout", post(log_out::<D>))
        .route("/authorize", post(authorize::<D>))
        .route("/authorize/{id}", get(consent::<D>))
        .layer(DefaultBodyLimit::max(FORM))
        .with_state(rooms)
}

async fn overview<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap) -> Response {
    match rooms.gate.visitor(&headers) {
        Some(visitor) => page::overview(&rooms.desk.overview(), rooms.desk.is_ready(), &visitor),
        None => see("/login"),
    }
}

/// The form, or with a one-time link what is behind it.
async fn entrance<D: Desk>(State(rooms): State<Rooms<D>>, method: Method, uri: Uri) -> Response {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    // A look at the headers alone must not use a link up.
    let token = query.value("link").filter(|_| method == Method::GET);
    let Some(token) = token else { return page::log_in(false, rooms.gate.rests()) };
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
    info!("signed in to the console by a link");
    with_cookie(page::entered(), Some(cookie))
}

async fn log_in<D: Desk>(State(rooms): State<Rooms<D>>, body: Bytes) -> Response {
    // Whoever goes on trying fills no log.
    if let Some(left) = rooms.gate.rests() {
        return page::log_in(true, Some(left));
    }
    let form = Form::parse(&body);
    match rooms.gate.judge(&Secret::new(form.value("password").unwrap_or_default())) {
        Judged::Right(cookie) => {
            info!("signed in to the console");
            with_cookie(see("/"), Some(cookie))
        }
        Judged::Wrong => {
            warn!("wrong password for the console");
            page::log_in(true, None)
        }
        Judged::Resting(left) => {
            warn!(?left, "too many wrong passwords for the console");
            page::log_in(true, Some(left))
        }
    }
}

async fn log_out<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap, body: Bytes) -> Response {
    let visitor = match acting(&rooms.gate, &headers, &Form::parse(&body)) {
        Ok(visitor) => visitor,
        Err(denied) => return denied.into_response(),
    };
    with_cookie(see("/login"), rooms.gate.sign_out(&visitor))
}

async fn authorize<D: Desk>(State(rooms): State<Rooms<D>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let visitor = match acting(&rooms.gate, &headers, &form) {
        Ok(visitor) => visitor,
        Err(denied) => return denied.into_response(),
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

async fn consent<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(visitor) = rooms.gate.visitor(&headers) else { return see("/login") };
    let unknown = || Page::unknown().with_status(StatusCode::NOT_FOUND).leading_home().into_response();
    let Some(begun) = rooms.gate.begun(&visitor, &id) else { return unknown() };
    match rooms.desk.ended(&id).await {
        Ok(Some(ended)) => page::ended(&begun, &ended).into_response(),
        Ok(None) => page::waiting(&begun, |redirect| rooms.gate.hosts.comes_back(&headers, redirect)),
        Err(_) => unknown(),
    }
}

/// Who has sent a form of the console.
fn acting(gate: &Gate, headers: &HeaderMap, form: &Form) -> Result<Visitor, Denied> {
    let visitor = gate.visitor(headers).ok_or(Denied::NoSession)?;
    let is_theirs = visitor.has_sent(form.value("token").unwrap_or_default());
    is_theirs.then_some(visitor).ok_or(Denied::ForeignForm)
}

/// Why what a form asks for is not done.
enum Denied {
    NoSession,
    ForeignForm,
}

impl IntoResponse for Denied {
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
