//! How fast and how small the bridge is beside programs that only encrypt, and beside another that translates logins.
//!
//! `cargo bench --bench tunnel [-- [--quick] SECTION…]`, on Linux. In one run it measures the bridge, and by turns with
//! it haproxy, stunnel and Email OAuth 2.0 Proxy as far as they are installed, between the same mail programs and the
//! same mail server, which are processes of their own: this program in other roles. It prints a table of medians, what
//! they lay between, and ratios to the better tunnel. Where `FOOTBRIDGE_BESIDE` names another build of the bridge, that
//! is measured as well. A measurement and not a test: it fails where something breaks,
//! and not for a figure.

#![allow(clippy::unwrap_used, reason = "a measurement that breaks has nothing to measure")]
#![allow(clippy::disallowed_methods, reason = "time is what it measures")]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(unreachable_pub, reason = "none of it is an interface of the crate")]

#[path = "tunnel/client.rs"]
mod client;
#[path = "tunnel/drive.rs"]
mod drive;
#[path = "tunnel/fake.rs"]
mod fake;
#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "tunnel/lab.rs"]
mod lab;
#[path = "tunnel/process.rs"]
mod process;
#[path = "tunnel/sections.rs"]
mod sections;
#[path = "tunnel/table.rs"]
mod table;

use lab::{Kind, Lab};
use sections::Extent;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [role, argument] if role == "drive" => drive::run(argument),
        [role, argument] if role == "fake" => fake::run(argument),
        _ => conduct(&words),
    }
}

/// Measures what the command line names, or everything.
fn conduct(words: &[String]) {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.program().is_some()).collect();
    for kind in Kind::ALL.into_iter().filter(|kind| !kinds.contains(kind)) {
        if kind != Kind::Beside {
            println!("{} is not installed and left out.\n", kind.name());
        }
    }
    let quick = words.iter().any(|word| word == "--quick");
    let extent = if quick { quick_try(kinds) } else { in_full(kinds) };
    let names: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let lab = Lab::build();
    let mut table = table::Table::default();
    for (name, measure) in sections::ALL {
        if names.is_empty() || names.contains(&&name.to_owned()) {
            eprintln!("{name}");
            measure(&lab, &extent, &mut table);
        }
    }
    table.print(&extent.kinds);
}

fn in_full(kinds: Vec<Kind>) -> Extent {
    Extent { rounds: 5, seconds: 3.0, idle: [1000, 5000], held: 9500, accounts: 100_000, kinds }
}

fn quick_try(kinds: Vec<Kind>) -> Extent {
    Extent { rounds: 1, seconds: 0.5, idle: [100, 200], held: 500, accounts: 10_000, kinds }
}
