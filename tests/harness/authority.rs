//! A pretend token authority, laid out like Entra: HTTPS, `/{tenant}/oauth2/v2.0/…`, every grant that mail needs,
//! signed access tokens, error bodies with AADSTS codes, and faults on demand; and Google's `/google/token`.

mod answer;
mod apps;
mod assertion;
mod authorize;
mod delegated;
mod device;
mod google;
mod https;
mod password;
mod people;
mod refresh;
mod refusal;
mod request;
mod token;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{
    certs::{Certs, Leaf},
    count::Count,
};

pub use answer::{Answer, Gate};
pub use apps::{Challenge, Registration, SecretState};
pub use delegated::Shape;
pub use device::DeviceCode;
pub use google::ServiceAccount;
pub use people::Person;
pub use refresh::Rotation;
pub use request::TokenRequest;
pub use token::{Claims, Invalid, Issuer, tenant_id};

/// An app registration that the authority knows from the start.
pub const APP: (&str, &str, &str) =
    ("contoso.onmicrosoft.com", "22222222-2222-4222-8222-222222222222", "s3cr3t~of.the-APP_registration");

/// What an authority is called that is not to be found by its port: the URLs that it takes for its own.
#[derive(Debug, Clone, Copy)]
pub struct KnownAs {
    /// What the paths of Entra's endpoints stand behind: `https://login.microsoftonline.com`.
    pub base: &'static str,
    /// Google's token endpoint, which is served at `/token`.
    pub google_token: &'static str,
}

/// A running authority, ended when it is dropped.
pub struct Authority {
    https: https::Server,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Arc<Issuer>,
    addr: OnceLock<SocketAddr>,
    known_as: Option<KnownAs>,
    apps: Mutex<Vec<Registration>>,
    people: Mutex<people::People>,
    service_accounts: Mutex<Vec<ServiceAccount>>,
    authorizations: Mutex<authorize::Authorizations>,
    devices: Mutex<device::Devices>,
    refreshes: Mutex<refresh::Refreshes>,
    assertions: Mutex<assertion::Seen>,
    shape: Mutex<Shape>,
    arrived: Mutex<request::Arrived>,
    answers: Mutex<Answers>,
    answer_came: Notify,
    requests: Count,
    answered: Count,
    authorized: Count,
    devices_asked: Count,
    secrets: Mutex<Vec<String>>,
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
        Self::answering(certs.leaf(), Some(Answer::Issue), None)
    }

    /// As [`Authority::start`], with another certificate and called by other names.
    pub fn start_as(leaf: Leaf, known_as: KnownAs) -> Self {
        Self::answering(leaf, Some(Answer::Issue), Some(known_as))
    }

    /// As [`Authority::start`], but every request waits until [`Authority::next`] says what it gets.
    pub fn scripted(certs: &Certs) -> Self {
        Self::answering(certs.leaf(), None, None)
    }

    fn answering(leaf: Leaf, otherwise: Option<Answer>, known_as: Option<KnownAs>) -> Self {
        let shared = Arc::new(Shared::new(otherwise, known_as));
        let router = Router::new()
            .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::endpoint))
            .route("/{tenant}/oauth2/v2.0/devicecode", post(device::endpoint))
            .route("/{tenant}/oauth2/v2.0/token", post(request::endpoint))
            .route("/{tenant}/oauth2/token", post(request::older_endpoint))
            .route("/google/token", post(google::endpoint))
            .route("/token", post(google::endpoint))
            .with_state(Arc::clone(&shared));
        let https = https::Server::start(leaf.acceptor(), router);
        shared.addr.set(https.door.addr()).unwrap();
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
        self.endpoint_url("token")
    }

    /// The token endpoint of the first version, which 21Vianet still has, as a configuration has it.
    pub fn older_token_url(&self) -> String {
        self.shared.url("/{tenant}/oauth2/token")
    }

    fn endpoint_url(&self, name: &str) -> String {
        self.shared.url(&format!("/{{tenant}}/oauth2/v2.0/{name}"))
    }

    /// Whoever has to check tokens asks this.
    pub fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.shared.issuer)
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

    /// Every authorization request that was answered.
    pub fn authorized(&self) -> &Count {
        &self.shared.authorized
    }

    /// What no log may hold: codes, device codes, refresh tokens and tokens of both kinds.
    pub fn confidential(&self) -> Vec<String> {
        let mut texts = self.shared.secrets.lock().unwrap().clone();
        texts.extend(self.shared.issuer.issued().into_iter().map(|(_, token)| token));
        texts
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

impl Shared {
    fn new(otherwise: Option<Answer>, known_as: Option<KnownAs>) -> Self {
        Self {
            issuer: Arc::new(Issuer::new()),
            addr: OnceLock::new(),
            known_as,
            apps: Mutex::default(),
            people: Mutex::default(),
            service_accounts: Mutex::default(),
            authorizations: Mutex::default(),
            devices: Mutex::default(),
            refreshes: Mutex::default(),
            assertions: Mutex::default(),
            shape: Mutex::default(),
            arrived: Mutex::default(),
            answers: Mutex::new(Answers { next: VecDeque::new(), otherwise }),
            answer_came: Notify::new(),
            requests: Count::of("token requests"),
            answered: Count::of("answered token requests"),
            authorized: Count::of("answered authorization requests"),
            devices_asked: Count::of("answered requests for device codes"),
            secrets: Mutex::default(),
        }
    }

    /// A path of this server as a URL.
    fn url(&self, path: &str) -> String {
        match self.known_as {
            Some(known_as) => format!("{}{path}", known_as.base),
            None => format!("https://localhost:{}{path}", self.addr.get().unwrap().port()),
        }
    }

    /// Google's token endpoint.
    fn google_url(&self) -> String {
        self.known_as.map_or_else(|| self.url("/google/token"), |known_as| known_as.google_token.to_owned())
    }

    /// Remembers what no log may hold.
    fn keep_secret(&self, text: &str) {
        self.secrets.lock().unwrap().push(text.to_owned());
    }

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
}

/// A text that nobody guesses, as long as Entra's are.
fn unguessable(prefix: &str) -> String {
    let mut random = [0; 96];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(random))
}

/// The SHA-256 hash in the form that JOSE and RFC 7636 have it in.
fn sha256_base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// A body as the token endpoint sends it.
fn json(status: u16, body: &serde_json::Value) -> Response {
    let headers =
        [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store, no-cache")];
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, headers, body.to_string()).into_response()
}
