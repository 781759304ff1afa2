//! Every example of `config/examples` works, as it stands and for what it is there for: a real bridge runs on its own two files,
//! on a machine where the names and the ports that stand in them are those of the pretend authority and mail servers.
//!
//! Nothing in the files is changed but the hashes, which are of passwords that nobody knows.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a broken test has to break, and what it needs is no interface of the crate"
)]

mod harness;

#[path = "examples/app_only.rs"]
mod app_only;
#[path = "examples/example.rs"]
mod example;
#[path = "guides/island.rs"]
mod island;
#[path = "examples/people.rs"]
mod people;

use std::{collections::BTreeSet, fs, path::Path};

/// Where the examples are.
fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples")
}

#[test]
fn every_example_is_driven_by_the_test_of_its_name() {
    let examples: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace('-', "_"))
        .collect();
    let sources = [include_str!("examples/app_only.rs"), include_str!("examples/people.rs")].concat();
    let driven = sources.match_indices("#[test]\nfn ").map(|(at, mark)| {
        let name = &sources[at + mark.len()..];
        name[..name.find('(').unwrap()].to_owned()
    });
    assert_eq!(driven.collect::<BTreeSet<_>>(), examples);
}
