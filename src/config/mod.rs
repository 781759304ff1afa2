//! The blueprint: from what was written to what was meant.
//!
//! [`load`] reads `footbridge.toml` and the mappings file, reports *every* mistake with file, line,
//! column, the offending text and a cure, and builds the settings of every room. After it nothing
//! checks the configuration again.
//!
//! `schema` has every key as data; the other files have one table each: `listener` has
//! `[[listener]]`, `app` has `[app.NAME]`, with
//! `credential` for how an app proves itself. They read through `reader`, which answers `None` after it
//! has noted a mistake in the `file`, so that reading goes on and finds the next one.

mod account;
mod app;
mod authority;
mod console;
mod credential;
mod file;
mod grants;
mod hide;
mod limits;
mod listener;
mod load;
mod mappings;
mod mistake;
mod preset;
mod provider;
mod reader;
mod redirect;
mod schema;
mod scopes;
mod secret;
mod store;
mod urls;

use std::{path::PathBuf, sync::Arc};

use url::Url;

use crate::{
    account::Accounts,
    ids::{AppName, ProtocolKind},
    oauth::App,
    policy::{throttle::Limits, timing::Timing},
    secret::Source,
};

pub use crate::session::Provider;
pub use load::{Loaded, load, load_with, state_dir};
pub use mistake::{Mistake, Mistakes, Severity};

/// What the configuration means.
#[derive(Debug)]
pub struct Config {
    /// The bridge's own folder: it holds the lock that keeps a second bridge away.
    pub state_dir: PathBuf,
    /// What to listen on; at least one.
    pub listeners: Vec<Listener>,
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
    /// How much a client may send before it has logged in.
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
}

#[cfg(test)]
mod tests;
