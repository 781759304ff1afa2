//! The clockwork: access tokens, one per slot, however many logins want them.
//!
//! [`Tokens::access_token`] hands out the token that a
//! [`Permit`](crate::policy::Permit) entitles to, [`Tokens::renew`]
//! another one where an upstream has rejected that. App-only tokens live in one slot per app.
//! `state` holds the rules, `keeper` the tasks, `grant` and `reply` the words, `endpoint` the wire.

mod app;
mod credential;
mod endpoint;
mod grant;
mod keeper;
mod reply;
mod state;

pub use app::{App, Authority, Consent, Pkce, Redirect};
pub use credential::{AssertionAlgorithm, Certificate, Credential};
pub use keeper::{Access, Tokens};
