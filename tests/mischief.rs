//! What strangers and accidents do to encrypted lines, to certificates and to the ways out.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

#[path = "mischief/certificates.rs"]
mod certificates;
#[path = "mischief/chunks.rs"]
mod chunks;
#[path = "mischief/explanations.rs"]
mod explanations;
#[path = "mischief/goodbyes.rs"]
mod goodbyes;
#[path = "mischief/loss.rs"]
mod loss;
#[path = "mischief/senders.rs"]
mod senders;
#[path = "mischief/strangers.rs"]
mod strangers;
