//! An app registration: what the authority knows the bridge as.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::SystemTime};

use url::Url;

use super::Credential;
use crate::{
    ids::{AppName, ProtocolKind},
    net::{proxy::Proxy, tls::Trust},
};

/// One `[app.NAME]` with its provider's endpoints filled in.
#[derive(Debug, Clone)]
pub struct App {
    /// The name in the configuration; app-only tokens are shared under it.
    pub name: AppName,
    /// The client identifier (RFC 6749 §2.2).
    pub client_id: String,
    /// How the app proves who it is.
    pub credential: Credential,
    /// Where the authority is asked, tenant and all.
    pub authority: Authority,
    /// The scopes of a token of the app itself.
    pub application_scopes: Vec<String>,
    /// The scopes of a token that acts for a person, by the protocol that needs them.
    pub delegated_scopes: BTreeMap<ProtocolKind, Vec<String>>,
    /// How a person's consent is asked for.
    pub consent: Consent,
    /// The `resource` of the older form of the password grant, where that is used in place of scopes.
    pub resource: Option<String>,
    /// When the secret or the certificate ends, where the configuration says so or the certificate does.
    pub credential_expires: Option<SystemTime>,
    /// Whose certificates the authority may have.
    pub trust: Arc<Trust>,
    /// By way of which proxy the authority is asked; where there is none, `HTTPS_PROXY` and `NO_PROXY` say so.
    pub proxy: Option<Arc<Proxy>>,
}

/// The authority's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The token endpoint, RFC 6749 §3.2.
    pub token_url: Url,
    /// The authorization endpoint, RFC 6749 §3.1; needed for `authorization_code`.
    pub authorize_url: Option<Url>,
    /// The device authorization endpoint, RFC 8628 §3.1; needed for `device_code`.
    pub device_url: Option<Url>,
}

/// How a person's consent is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Where the authority sends the browser back to.
    pub redirect: Redirect,
    /// How the code is bound to who asked for it.
    pub pkce: Pkce,
    /// Scopes beside those of the protocols: for an `id_token` and a refresh token.
    pub identity_scopes: Vec<String>,
    /// What the authority wants in the authorization request beside what RFC 6749 has, `prompt` too.
    pub parameters: Vec<(String, String)>,
    /// The address of the console, where people may begin it; nothing where none is known beforehand.
    pub page: Option<String>,
}

/// Where the redirect URI of an app leads. URIs are kept as they are written: authorities compare them
/// byte for byte (RFC 6749 §3.1.2.3), and `http://localhost:8025` is another than `http://localhost:8025/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// To the console's own listener, perhaps by way of a reverse proxy. A port of 0 is the one that
    /// the system picks for the console.
    Console(String),
    /// To an address that is listened on only while a consent is pending.
    Own {
        /// As it is registered.
        uri: String,
        /// Where it is served.
        listen: Vec<SocketAddr>,
    },
    /// To `http://localhost` with whatever port is free, which authorities ignore (RFC 8252 §7.3).
    AnyPort,
}

/// Proof Key for Code Exchange, RFC 7636.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pkce {
    /// `S256`.
    #[default]
    S256,
    /// `plain`, for an authority that knows no other.
    Plain,
    /// None, for an authority that refuses the parameter.
    Off,
}
