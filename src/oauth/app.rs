//! An app registration: what the authority knows the bridge as.

use std::sync::Arc;

use url::Url;

use crate::{ids::AppName, net::tls::Trust, secret::Source};

/// One `[app.NAME]` with its provider's endpoints filled in.
#[derive(Debug, Clone)]
pub struct App {
    /// The name in the configuration; app-only tokens are shared under it.
    pub name: AppName,
    /// The token endpoint (RFC 6749 §3.2), tenant and all.
    pub token_url: Url,
    /// The client identifier (RFC 6749 §2.2).
    pub client_id: String,
    /// The client secret, read again for every token request.
    pub secret: Source,
    /// The scopes of a client-credentials token.
    pub application_scopes: Vec<String>,
    /// Whose certificates the authority may have.
    pub trust: Arc<Trust>,
}
