//! Footbridge: mail programs that know only a password, mailboxes that take only OAuth 2.0.
//!
//! Read [`session`] first: it is the whole story in two functions. `ARCHITECTURE.md` has the plan of
//! the house; `tests/architecture.rs` keeps it.

pub mod account;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod dialogue;
pub mod doctor;
pub mod explain;
pub mod failure;
pub mod ids;
pub mod imap;
pub mod net;
pub mod oauth;
pub mod policy;
pub mod pop3;
pub mod sasl;
pub mod secret;
pub mod session;
pub mod smtp;
pub mod store;
