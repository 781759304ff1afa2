//! What an authority's answer comes to, without an authority: the way of every answer from its bytes to its
//! meaning, in one pure function. Fuzzing and the replay of its corpus enter here.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oauth2::{HttpResponse, http::StatusCode};

use super::{
    App, reply,
    slot::{Kind, Spec},
};
use crate::{explain::authority::Flow, failure::Refusal, ids::SlotId, secret::Secret};

/// What a token request of an app has brought.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The access token, never empty.
    pub access_token: Secret,
    /// How long it lives, as the authority says or as is usual.
    pub lifetime: Duration,
    /// The refresh token that replaces the one before, where there is one.
    pub refresh_token: Option<Secret>,
    /// Who signed in, where the authority says so.
    pub id_token: Option<Secret>,
}

/// Judges the body of an answer to a token request; `sent` is what the request had in it that must not come back
/// in a text.
///
/// # Errors
/// What a login would be refused with.
pub fn judge(
    app: Arc<App>,
    flow: Flow,
    granted: bool,
    body: Vec<u8>,
    sent: &[&Secret],
) -> Result<Judged, Refusal> {
    let login = "scanner@example.com".to_owned();
    let spec = Spec {
        id: SlotId::of(&["judged"]),
        owner: login.clone(),
        sign_in: vec![login.clone()],
        login,
        app,
        kind: Kind::Delegated,
        scopes: Vec::new(),
        protocols: BTreeSet::new(),
    };
    let mut response = HttpResponse::new(reply::with_numeric_lifetime(body));
    *response.status_mut() = if granted { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    match reply::read(&spec, flow, sent, reply::answered(Ok(response))) {
        Ok(granted) => Ok(Judged {
            access_token: granted.issued.token,
            lifetime: granted.issued.lifetime,
            refresh_token: granted.refresh_token,
            id_token: granted.id_token,
        }),
        Err(unissued) => Err(unissued.refusal),
    }
}
