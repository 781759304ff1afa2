//! Footbridge between real mail programs and real servers: every program here was written by someone else.
//!
//! The servers take OAuth tokens only; the mail programs know a user name and a password only. `tests/install` installs both.

#![allow(clippy::unwrap_used, reason = "where a test cannot go on, it has failed")]
#![allow(unreachable_pub, reason = "nothing here is a library")]

mod authority;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../harness/bridge.rs"]
mod bridge;
mod browser;
mod certificates;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../harness/cli.rs"]
mod cli;
mod clients;
mod home;
mod lab;
mod message;
mod programs;
mod servers;
mod walk;

use bridge::PATIENCE;

mod assertions;
mod balancer;
mod browsing;
mod consent;
mod console;
mod console_looks;
mod console_pictures;
mod delegated;
mod devices;
mod doctor;
mod imap;
mod proxies;
mod refresh;
mod smtp;
mod tokens;
