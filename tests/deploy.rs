//! What `deploy/` holds does what it says, without an engine: what is run, as whom, with which files and variables is read out of
//! the files, and done by namespaces of Linux.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a broken test has to break, and what it needs is no interface of the crate"
)]

mod harness;

#[path = "deploy/compose.rs"]
mod compose;
#[path = "deploy/container.rs"]
mod container;
#[path = "guides/island.rs"]
mod island;
#[path = "deploy/kubernetes.rs"]
mod kubernetes;
#[path = "deploy/pod.rs"]
mod pod;
#[path = "deploy/systemd.rs"]
mod systemd;
#[path = "guides/yaml.rs"]
mod yaml;
