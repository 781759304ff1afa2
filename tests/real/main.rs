//! Footbridge between real mail programs and real servers: every program here was written by someone else.
//!
//! The servers take OAuth tokens only; the mail programs know a user name and a password only. `tests/install` installs both.

#![allow(clippy::unwrap_used, reason = "where a test cannot go on, it has failed")]
#![allow(unreachable_pub, reason = "nothing here is a library")]

mod authority;
mod clients;
#[path = "../harness/mod.rs"]
mod harness;
mod lab;
mod message;
mod servers;

mod imap;
mod smtp;
mod tokens;

use harness::bridge;
