//! The device authorization grant (RFC 8628), with Entra's words.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Form, Path, State},
    response::Response,
};
use serde_json::json;

use super::{
    Authority, Shared,
    answer::{Answer, Tokens},
    apps::Registration,
    delegated::{self, Consent},
    https::Hangup,
    refusal::Refusal,
    request::Ask,
};
use crate::harness::count::Count;

/// Device codes, and how the next ones are treated.
pub(super) struct Devices {
    codes: Vec<Pending>,
    interval: Option<u64>,
    lifetime: Duration,
    /// How many of the next polls are told to slow down.
    slow_down: usize,
    answers: VecDeque<Answer>,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            codes: Vec::new(),
            interval: Some(5),
            lifetime: Duration::from_mins(15),
            slow_down: 0,
            answers: VecDeque::new(),
        }
    }
}

/// A device code as a test sees it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the names are those of RFC 8628")]
pub struct DeviceCode {
    /// What the person types.
    pub user_code: String,
    /// What the program polls with.
    pub device_code: String,
    /// The client that asked for it.
    pub client_id: String,
    /// The scopes that it asked for.
    pub scope: String,
    /// When it was polled.
    pub polls: Vec<Instant>,
}

struct Pending {
    seen: DeviceCode,
    tenant: String,
    until: Instant,
    state: Progress,
}

/// What the person has done.
enum Progress {
    Waiting,
    Approved(String),
    Declined,
    Used,
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`
pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    Path(tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let answer = shared.devices.lock().unwrap().answers.pop_front().unwrap_or(Answer::Issue);
    let ask = Ask { tenant: &tenant, form: &form, older: false };
    let response = answer.give(&hangup, || shared.device_code(&ask)).await;
    shared.devices_asked.add();
    response
}

impl Shared {
    /// RFC 8628 §3.1 and §3.2; Entra has no `verification_uri_complete`.
    fn device_code(&self, ask: &Ask<'_>) -> Result<Response, Refusal> {
        let app = self.app(ask.tenant, ask.field("client_id"))?;
        delegated::resource(&delegated::scopes(ask.field("scope")))?;
        let device_code = super::unguessable("DAQABIQ");
        self.keep_secret(&device_code);
        let mut devices = self.devices.lock().unwrap();
        let user_code = format!("FJC3D{:04}", devices.codes.len() + 1);
        let mut body = json!({
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": "https://microsoft.com/devicelogin",
            "expires_in": devices.lifetime.as_secs(),
            "message": format!(
                "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the \
                 code {user_code} to authenticate."
            ),
        });
        if let Some(interval) = devices.interval {
            body["interval"] = interval.into();
        }
        let pending = Pending {
            seen: DeviceCode {
                user_code,
                device_code,
                client_id: app.client_id.clone(),
                scope: ask.field("scope").to_owned(),
                polls: Vec::new(),
            },
            tenant: delegated::home(&app, ask.tenant),
            until: Instant::now() + devices.lifetime,
            state: Progress::Waiting,
        };
        devices.codes.push(pending);
        Ok(super::json(200, &body))
    }

    /// `grant_type=urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4 and §3.5).
    pub(super) fn poll(&self, app: &Registration, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        let consent = {
            let mut devices = self.devices.lock().unwrap();
            let slowly = devices.slow_down > 0;
            let shown = ask.field("device_code");
            let known = devices.codes.iter_mut().find(|code| code.seen.device_code == shown);
            let code = known.filter(|code| code.seen.client_id == app.client_id).ok_or(70018)?;
            code.seen.polls.push(Instant::now());
            let user = match &code.state {
                Progress::Used => return Err(54005.into()),
                Progress::Declined => return Err(65004.into()),
                _ if Instant::now() >= code.until => return Err(70020.into()),
                Progress::Waiting | Progress::Approved(_) if slowly => {
                    devices.slow_down -= 1;
                    return Err(Refusal::plain(400, "slow_down", "Poll less often."));
                }
                Progress::Waiting => return Err(70016.into()),
                Progress::Approved(user) => user.clone(),
            };
            code.state = Progress::Used;
            Consent {
                app: app.client_id.clone(),
                tenant: code.tenant.clone(),
                user,
                scopes: delegated::scopes(&code.seen.scope),
                nonce: None,
            }
        };
        self.people.lock().unwrap().person(&consent.user);
        self.issue(&consent, ask, None)
    }
}

impl Authority {
    /// The device authorization endpoint as a configuration has it.
    pub fn device_url(&self) -> String {
        self.endpoint_url("devicecode")
    }

    /// How long to wait between polls, in seconds, where the answer tells it, and how long the codes live, from
    /// here on.
    pub fn set_device(&self, interval: Option<u64>, expires_in: Duration) {
        let mut devices = self.shared.devices.lock().unwrap();
        devices.interval = interval;
        devices.lifetime = expires_in;
    }

    /// Says what the next request for a device code gets for which nothing was said yet.
    pub fn next_device_code(&self, answer: Answer) {
        self.shared.devices.lock().unwrap().answers.push_back(answer);
    }

    /// The requests for device codes that were answered so far.
    pub fn devices_asked(&self) -> &Count {
        &self.shared.devices_asked
    }

    /// The device codes that were given so far, oldest first, with their polls.
    pub fn device_codes(&self) -> Vec<DeviceCode> {
        self.shared.devices.lock().unwrap().codes.iter().map(|code| code.seen.clone()).collect()
    }

    /// Somebody types a user code, signs in and consents.
    ///
    /// # Panics
    /// Where there is no such code.
    pub fn approve_device(&self, user_code: &str, upn: &str) {
        self.device(user_code, |code| code.state = Progress::Approved(upn.to_owned()));
    }

    /// Somebody types a user code and declines.
    pub fn decline_device(&self, user_code: &str) {
        self.device(user_code, |code| code.state = Progress::Declined);
    }

    /// Ends the time of a user code.
    pub fn expire_device(&self, user_code: &str) {
        self.device(user_code, |code| code.until = Instant::now());
    }

    /// Tells so many of the next polls to slow down.
    pub fn slow_down(&self, polls: usize) {
        self.shared.devices.lock().unwrap().slow_down = polls;
    }

    fn device(&self, user_code: &str, change: impl FnOnce(&mut Pending)) {
        let mut devices = self.shared.devices.lock().unwrap();
        let code = devices.codes.iter_mut().find(|code| code.seen.user_code == user_code);
        change(code.expect("the user code was given"));
    }
}
