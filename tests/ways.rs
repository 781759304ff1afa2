//! The ways out: proxies, resumed TLS sessions, and what is told of a step that takes too long.

mod harness;

#[path = "ways/proxies.rs"]
mod proxies;
#[path = "ways/resumption.rs"]
mod resumption;
#[path = "ways/silence.rs"]
mod silence;
