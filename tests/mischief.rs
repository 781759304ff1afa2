//! What strangers and accidents do to encrypted lines, to certificates and to the ways out.

#![cfg(unix)]
#![allow(unreachable_pub, reason = "nothing here is a library")]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

#[path = "mischief/addresses.rs"]
mod addresses;
#[path = "mischief/blame.rs"]
mod blame;
#[path = "mischief/certificates.rs"]
mod certificates;
#[path = "mischief/chunks.rs"]
mod chunks;
#[path = "mischief/crowds.rs"]
mod crowds;
#[path = "mischief/delegates.rs"]
mod delegates;
#[path = "mischief/echoes.rs"]
mod echoes;
#[path = "mischief/entra.rs"]
mod entra;
#[path = "mischief/explanations.rs"]
mod explanations;
#[path = "mischief/farewells.rs"]
mod farewells;
#[path = "mischief/goodbyes.rs"]
mod goodbyes;
#[path = "mischief/guesses_told.rs"]
mod guesses_told;
#[path = "mischief/judged.rs"]
mod judged;
#[path = "mischief/letters.rs"]
mod letters;
#[path = "mischief/lines.rs"]
mod lines;
#[path = "mischief/loss.rs"]
mod loss;
#[path = "mischief/many.rs"]
mod many;
#[path = "mischief/metrics.rs"]
mod metrics;
#[path = "mischief/others.rs"]
mod others;
#[path = "mischief/pages.rs"]
mod pages;
#[path = "mischief/repeated.rs"]
mod repeated;
#[path = "mischief/senders.rs"]
mod senders;
#[path = "mischief/strangers.rs"]
mod strangers;
#[path = "console/visitor.rs"]
#[allow(dead_code, reason = "the tests of the console use the rest")]
mod visitor;
