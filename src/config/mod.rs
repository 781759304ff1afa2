//! The blueprint: from what was written to what was meant.
//!
//! [`load`] reads `footbridge.toml` and the mappings file, reports *every* mistake with file, line,
//! column, the offending text and a cure, and builds the settings of every room. After it nothing
//! checks the configuration again.
//!
//! `schema` has every key as data, for the reader and for editors; the other files have one table each: `listener` has
//! `[[listener]]`, `app` has `[app.NAME]`, with `credential` for how an app proves itself, `mappings` has `[[account]]`,
//! with `devices` for those that cannot log in. They read through `reader`, which answers `None` after it
//! has noted a mistake in the `file`, so that reading goes on and finds the next one.

mod account;
mod app;
mod authority;
mod console;
mod credential;
mod devices;
pub mod entra;
mod file;
mod gateway;
mod grants;
mod hide;
pub mod import;
mod limits;
mod listener;
mod load;
mod mappings;
mod mistake;
mod preset;
mod provider;
mod proxy;
mod reader;
mod redirect;
mod schema;
mod scopes;
mod secret;
mod store;
mod tls;
mod urls;

use std::{path::PathBuf, sync::Arc};

use ipnet::IpNet;
use url::Url;

use crate::{
    account::Accounts,
    ids::{AppName, ProtocolKind},
    net::self_signed::KeyType,
    oauth::App,
    policy::{throttle::Limits, timing::Timing},
    secret::Source,
};

pub use crate::session::Provider;
pub use app::NO_CLIENT_ID;
pub use load::{Loaded, load, load_unregistered, load_with, state_dir};
pub use mistake::{Mistake, Mistakes, Severity};
pub use schema::json::{Described, json_schema};

/// What the configuration means.
#[derive(Debug)]
pub struct Config {
    /// The bridge's own folder: it holds the lock that keeps a second bridge away.
    pub state_dir: PathBuf,
    /// What to listen on; at least one.
    pub listeners: Vec<Listener>,
    /// The certificate that the bridge makes for listeners and a console that are given none.
    pub own_certificate: OwnCertificate,
    /// The web page, if there is one.
    pub console: Option<Console>,
    /// What tokens are sealed with: the key in use, then those that it replaces. Empty where the bridge
    /// makes its own.
    pub store_keys: Vec<Source>,
    /// The app registrations that accounts refer to.
    pub apps: Vec<App>,
    /// Where the mailboxes of an app's accounts are, in the order of [`Config::apps`].
    pub upstreams: Vec<(AppName, Arc<Provider>)>,
    /// Who may log in.
    pub accounts: Accounts,
    /// How much clients may ask for.
    pub limits: Limits,
    /// How long things may take.
    pub timing: Timing,
}

/// One `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The protocol that is spoken on it.
    pub protocol: ProtocolKind,
    /// `host:port`; a port of 0 lets the system pick one.
    pub bind: String,
    /// The peers whose PROXY header is required and believed.
    pub proxy_protocol: Vec<IpNet>,
    /// How its line is encrypted; nothing where it stays in clear.
    pub tls: Option<ListenerTls>,
}

/// How the line of a listener is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// How TLS starts.
    pub start: TlsStart,
    /// What is shown to mail programs; nothing where that is the certificate that the bridge makes.
    pub files: Option<CertificateFiles>,
}

/// How TLS starts on the line of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsStart {
    /// With the first byte (RFC 8314).
    Implicit,
    /// By the protocol's own command.
    StartTls {
        /// No login before.
        required: bool,
    },
}

impl TlsStart {
    /// The word in the configuration: `starttls`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls { .. } => "starttls",
        }
    }
}

/// What the certificate that the bridge makes is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCertificate {
    /// The kind of its key.
    pub key_type: KeyType,
    /// Host names and addresses by which mail programs call the bridge, beside those of the listeners.
    pub names: Vec<String>,
}

/// The files of a certificate and its key, in PEM form; they may be one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[console]`: the web page, to which authorities may send a browser back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// `host:port`; a port of 0 lets the system pick one.
    pub bind: String,
    /// Where people reach it, without a path; nothing where that is the port of this machine.
    pub public_url: Option<Url>,
    /// What it asks for; there is one where it can be reached from elsewhere.
    pub password: Option<Source>,
    /// How its line is encrypted, from the first byte; nothing where it stays in clear.
    pub tls: Option<ConsoleTls>,
}

/// How the line of the console is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleTls {
    /// What is shown to browsers; nothing where that is the certificate that the bridge makes.
    pub files: Option<CertificateFiles>,
}

#[cfg(test)]
mod tests;
