//! The ways out: proxies, resumed TLS sessions, how often a login waits for the mail server, and what is told of a
//! step that takes too long.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

#[path = "ways/proxies.rs"]
mod proxies;
#[path = "ways/resumption.rs"]
mod resumption;
#[path = "ways/silence.rs"]
mod silence;
#[path = "ways/stalls.rs"]
mod stalls;
#[path = "ways/trips.rs"]
mod trips;
