//! What the tests and the sandbox share: a pretend authority, a pretend Exchange Online, certificates
//! for both, a configuration that leads to them, and a real bridge to put in front.
//!
//! Everything lives on 127.0.0.1. The network ends are pretended; the bridge never is.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test uses its own part of the harness, and none of it is an interface of the crate"
)]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    clippy::similar_names,
    reason = "a harness that breaks has to break the test, and it keeps clocks and tasks of its own"
)]

pub mod authority;
pub mod bridge;
pub mod browser;
pub mod certs;
pub mod cli;
pub mod client;
pub mod config;
pub mod count;
pub mod door;
pub mod exchange;
pub mod pattern;
pub mod proxy;
pub mod script;
pub mod wire;
pub mod world;

pub use bridge::PATIENCE;
