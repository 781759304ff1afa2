//! What a person reads when a login fails, or what comes after it: curl's own output, the log, `footbridge accounts`
//! and `footbridge doctor`, fault by fault.
//!
//! `cargo test --test faults -- --nocapture --test-threads 1 | grep '^|'` prints the table.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a broken test has to break, and the table is printed"
)]

mod harness;

#[path = "faults/accepted.rs"]
mod accepted;
#[path = "faults/authority.rs"]
mod authority;
#[path = "faults/curl.rs"]
mod curl;
#[path = "faults/peer.rs"]
mod peer;
#[path = "faults/upstream.rs"]
mod upstream;
