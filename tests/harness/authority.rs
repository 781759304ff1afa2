//! A pretend token authority, laid out like Entra: HTTPS, `/{tenant}/oauth2/v2.0/token`, client
//! credentials, signed access tokens, error bodies with AADSTS codes, and faults on demand.

mod answer;
mod https;
mod token;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Form, Path, State},
    response::{IntoResponse as _, Response},
    routing::post,
};
use tokio::sync::Notify;

use super::{certs::Certs, count::Count};
use https::Hangup;

pub use answer::{Answer, Gate};
pub use token::{Claims, Invalid, Issuer};

/// An app registration that the authority knows from the start.
pub const APP: (&str, &str, &str) =
    ("contoso.onmicrosoft.com", "22222222-2222-4222-8222-222222222222", "s3cr3t~of.the-APP_registration");

/// A running authority, ended when it is dropped.
pub struct Authority {
    https: https::Server,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Arc<Issuer>,
    apps: Mutex<Vec<App>>,
    answers: Mutex<Answers>,
    answer_came: Notify,
    requests: Count,
    answered: Count,
}

struct App {
    tenant: String,
    client_id: String,
    secret: String,
}

/// What the next requests get.
struct Answers {
    next: VecDeque<Answer>,
    /// When `next` is empty; `None` lets a request wait for the script.
    otherwise: Option<Answer>,
}

impl Authority {
    /// Opens for business on a free port, knowing [`APP`].
    pub fn start(certs: &Certs) -> Self {
        Self::answering(certs, Some(Answer::Issue))
    }

    /// As [`Authority::start`], but every request waits until [`Authority::next`] says what it gets.
    pub fn scripted(certs: &Certs) -> Self {
        Self::answering(certs, None)
    }

    fn answering(certs: &Certs, otherwise: Option<Answer>) -> Self {
        let shared = Arc::new(Shared {
            issuer: Arc::new(Issuer::new()),
            apps: Mutex::default(),
            answers: Mutex::new(Answers { next: VecDeque::new(), otherwise }),
            answer_came: Notify::new(),
            requests: Count::of("token requests"),
            answered: Count::of("answered token requests"),
        });
        let router = Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token_endpoint))
            .with_state(Arc::clone(&shared));
        let https = https::Server::start(certs.acceptor(), router);
        let authority = Self { https, shared };
        authority.register(APP.0, APP.1, APP.2);
        authority
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.https.door.addr()
    }

    /// The token endpoint as a configuration has it.
    pub fn token_url(&self) -> String {
        format!("https://localhost:{}/{{tenant}}/oauth2/v2.0/token", self.addr().port())
    }

    /// Whoever has to check tokens asks this.
    pub fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.shared.issuer)
    }

    /// Makes an app registration known, or changes its secret.
    pub fn register(&self, tenant: &str, client_id: &str, secret: &str) {
        let mut apps = self.shared.apps.lock().unwrap();
        apps.retain(|app| app.client_id != client_id);
        apps.push(App {
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            secret: secret.to_owned(),
        });
    }

    /// Says what the next request gets for which nothing was said yet.
    pub fn next(&self, answer: Answer) {
        self.shared.answers.lock().unwrap().next.push_back(answer);
        self.shared.answer_came.notify_one();
    }

    /// Says what every request gets for which nothing special was said.
    pub fn always(&self, answer: Answer) {
        self.shared.answers.lock().unwrap().otherwise = Some(answer);
        self.shared.answer_came.notify_waiters();
    }

    /// The lifetime of the tokens from here on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.shared.issuer.set_lifetime(lifetime);
    }

    /// Every token request that has arrived.
    pub fn requests(&self) -> &Count {
        &self.shared.requests
    }

    /// Every token request that was answered, if only by hanging up.
    pub fn answered(&self) -> &Count {
        &self.shared.answered
    }

    /// Cuts every connection and refuses new ones.
    pub async fn go_down(&self) {
        self.https.door.close().await;
    }

    /// Comes back on the same port.
    pub fn come_up(&self) {
        self.https.door.reopen();
    }
}

async fn token_endpoint(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    Path(tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    shared.requests.add();
    let answer = shared.answer().await;
    let response = answer.give(&hangup, || shared.grant(&tenant, &form)).await;
    shared.answered.add();
    response
}

impl Shared {
    /// What this request gets; waits for the script where there is one.
    async fn answer(&self) -> Answer {
        loop {
            let came = self.answer_came.notified();
            {
                let mut answers = self.answers.lock().unwrap();
                if let Some(answer) = answers.next.pop_front().or_else(|| answers.otherwise.clone()) {
                    return answer;
                }
            }
            came.await;
        }
    }

    /// Client credentials by `client_secret_post` (RFC 6749 §4.4, §2.3.1), as Entra checks them.
    fn grant(&self, tenant: &str, form: &HashMap<String, String>) -> Result<(String, Duration), u64> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("grant_type") != "client_credentials" {
            return Err(70003);
        }
        let apps = self.apps.lock().unwrap();
        if !apps.iter().any(|app| app.tenant == tenant) {
            return Err(90002);
        }
        let app = apps.iter().find(|app| app.tenant == tenant && app.client_id == field("client_id"));
        let app = app.ok_or(700_016_u64)?;
        match field("client_secret") {
            "" => Err(7_000_218),
            shown if shown != app.secret => Err(7_000_215),
            _ if !field("scope").ends_with("/.default") => Err(1_002_012),
            _ => Ok(self.issuer.mint(tenant, &app.client_id)),
        }
    }
}

/// A body as the token endpoint sends it.
fn json(status: u16, body: &serde_json::Value) -> Response {
    let headers =
        [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store, no-cache")];
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, headers, body.to_string()).into_response()
}
