//! The web pages: where a browser lands after a consent, what a load balancer asks, and the console.
//!
//! Whatever a browser asks for that carries a `state` is taken for a redirect of the authority, whatever
//! its path: registrations have paths of their own. `state` alone says whether it is one.
//!
//! Everything else that acts needs a session: `gate` knows who has one, `hosts` what the console may be
//! called, `guesses` and `pace` who has tried too much, `complaints` what the log is told of that, `places` who is served
//! at all, `rooms` has the pages and `page` how they look, `desk` is what the house does for them.

mod complaints;
mod desk;
mod gate;
mod guesses;
mod hosts;
mod metrics;
mod pace;
mod page;
mod places;
mod redirects;
mod rooms;
mod server;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::{
    ids::ClientAddr,
    oauth::{Landing, Tokens},
};
use gate::Denied;
use pace::Pace;
use page::Page;
use rooms::Rooms;

pub use desk::{
    Attending, Begun, Desk, Ended, Examination, Failed, Hop, Listening, Mark, Measures, Minute, Overview,
    Part, Row, Setting, Trouble, Verdict, Way, Ways, blamed,
};
pub use gate::Gate;
pub use hosts::Hosts;
pub use redirects::{Console, OpenError, Place, Redirects};
pub use server::serve;

/// The longest query that is read, in bytes. Entra's codes have some 1,500.
const LONGEST_QUERY: usize = 32 * 1024;

/// Where browsers land after a consent, and nothing else.
pub fn landing(tokens: Arc<Tokens>) -> Router {
    Router::new().fallback(land).with_state(tokens)
}

/// The console: `/healthz` says that the process lives, `/readyz` whether it lets clients in, `/metrics`
/// what a monitoring system wants to know, the other
/// pages are for people with a session, and everything else is where browsers land.
///
/// Requests must carry the address that they come from, as those of [`serve`] do.
pub fn router<D: Desk>(tokens: Arc<Tokens>, gate: Arc<Gate>, desk: Arc<D>) -> Router {
    let door = Arc::new(Door { tokens: Arc::clone(&tokens), gate: Arc::clone(&gate) });
    let rooms = Rooms { desk: Arc::clone(&desk), gate };
    let measures = Router::new().route("/metrics", get(measures::<D>)).with_state(rooms.clone());
    let ready = move || {
        let answer = if desk.is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        };
        async move { answer }
    };
    rooms::routes(rooms)
        .merge(landing(tokens))
        .layer(middleware::from_fn_with_state(door, let_in))
        .merge(measures)
        .layer(middleware::from_fn_with_state(Arc::new(Pace::default()), keep_pace))
        // These cost nothing, and whoever asks them must not be kept out by others at the same address.
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
}

/// Answers nobody who asks too much.
async fn keep_pace(
    State(pace): State<Arc<Pace>>,
    Extension(client): Extension<ClientAddr>,
    request: Request,
    next: Next,
) -> Response {
    match pace.admit(client.network(), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = wait.as_secs().max(1).to_string();
            let text = "Too many requests from this address.\n";
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response()
        }
    }
}

/// What a monitoring system is told. Where the console is for this machine alone, whoever comes from it may know;
/// elsewhere who has a session, or shows the password with the request. What the request says of its host tells no
/// more than that no stranger's page has sent a browser here.
async fn measures<D: Desk>(
    State(rooms): State<Rooms<D>>,
    Extension(client): Extension<ClientAddr>,
    headers: HeaderMap,
) -> Response {
    let hosts = &rooms.gate.hosts;
    let is_at_home = hosts.is_local() && client.ip().is_loopback() && hosts.is_asked(&headers);
    if is_at_home || rooms.gate.visitor(&headers).is_some() {
        return measured(&*rooms.desk);
    }
    let rested = rooms.gate.rests(&client.network()).is_some();
    let recognised = rooms.gate.recognise(&client.network(), &headers);
    if let Err(denied) = recognised
        && headers.contains_key(header::AUTHORIZATION)
        && !rested
    {
        rooms::warn_of(&rooms.gate, client, denied);
    }
    match recognised {
        Ok(()) => measured(&*rooms.desk),
        Err(Denied::Wrong) => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Footbridge\", charset=\"UTF-8\"")];
            let text = "Show the console's password, by Basic with any user name or as a bearer token.\n";
            (StatusCode::UNAUTHORIZED, ask, text).into_response()
        }
        Err(Denied::Resting(left)) => {
            let text = "Too many wrong passwords.\n";
            let seconds = left.as_secs().max(1).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response()
        }
    }
}

fn measured<D: Desk>(desk: &D) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (StatusCode::OK, kind, metrics::text(&desk.measures())).into_response()
}

/// What is asked before a page is opened.
struct Door {
    tokens: Arc<Tokens>,
    gate: Arc<Gate>,
}

/// Lets redirects land whatever they are sent to, and to the pages only who has asked for this console by
/// its name, with forms that come from it.
async fn let_in(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if *request.method() == Method::GET && has_state(&request) {
        let landed = landed(&door.tokens, request.uri().query().unwrap_or_default());
        return landed.await.leading_home().into_response();
    }
    let hosts = &door.gate.hosts;
    if !hosts.is_asked(request.headers()) {
        let address = hosts.address();
        let text = format!(
            "This console is not known by that name. It is at {address}; if it has another address, \
             write that as public_url into [console].\n"
        );
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
    if !reads && !hosts.is_sent_from_here(request.headers()) {
        return (StatusCode::FORBIDDEN, "This form comes from another site.\n").into_response();
    }
    next.run(request).await
}

fn has_state(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "state")
}

async fn land(State(tokens): State<Arc<Tokens>>, request: Request) -> Response {
    if *request.method() != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if !has_state(&request) {
        return Page::nothing_here().into_response();
    }
    landed(&tokens, request.uri().query().unwrap_or_default()).await.into_response()
}

/// What has come of a redirect with a `state`.
async fn landed(tokens: &Arc<Tokens>, query: &str) -> Page {
    if query.len() > LONGEST_QUERY {
        return Page::nothing_here();
    }
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    match tokens.redirected(&query).await {
        Landing::Stranger => Page::unknown(),
        Landing::Ended(Ok(consented)) => Page::consented(&consented),
        Landing::Ended(Err(why)) => Page::refused(&why),
    }
}
