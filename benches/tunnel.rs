//! How fast and how small the bridge is beside programs that only encrypt, and beside another that translates logins.
//!
//! `cargo bench --bench tunnel [-- [--quick | --smoke | --write] [SECTION…]]`, on Linux. In one run it measures the
//! bridge, and by turns with it haproxy, stunnel and Email OAuth 2.0 Proxy as far as they are installed, between the
//! same mail programs and the same mail server, which are processes of their own: this program in other roles. It prints
//! a table of medians, what they lay between, and ratios to the better tunnel. Where `FOOTBRIDGE_BESIDE` names another
//! build of the bridge, that is measured as well. A measurement and not a test: it fails where the bridge fails, and not
//! for a figure. `--smoke` is the test of it.

#![allow(clippy::unwrap_used, reason = "a measurement that breaks has nothing to measure")]
#![allow(clippy::disallowed_methods, reason = "time is what it measures")]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(unreachable_pub, reason = "none of it is an interface of the crate")]

#[path = "tunnel/client.rs"]
mod client;
#[path = "tunnel/command.rs"]
mod command;
#[path = "tunnel/drive.rs"]
mod drive;
#[path = "tunnel/fake.rs"]
mod fake;
#[path = "tunnel/figures.rs"]
mod figures;
#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "tunnel/lab.rs"]
mod lab;
#[path = "tunnel/page.rs"]
mod page;
#[path = "tunnel/process.rs"]
mod process;
#[path = "tunnel/sections.rs"]
mod sections;
#[path = "tunnel/smoke.rs"]
mod smoke;
#[path = "tunnel/table.rs"]
mod table;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use command::{Asked, Plan, Size};
use footbridge::{net::descriptors, policy::throttle::descriptors_for};
use lab::{Kind, Lab};
use sections::Extent;
use table::Table;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [role, errand] if role == "drive" => drive::run(errand),
        [role, folder] if role == "fake" => fake::run(folder),
        _ => return measure(&words),
    }
    ExitCode::SUCCESS
}

/// Does what somebody asks for.
fn measure(words: &[String]) -> ExitCode {
    match command::parse(words) {
        Ok(Asked::Measure(plan)) => conduct(&plan),
        Ok(Asked::Help) => {
            print!("{}", command::help());
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::from(2)
        }
    }
}

/// Measures what is planned.
fn conduct(plan: &Plan) -> ExitCode {
    let extent = extent(plan.size);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let (lab, began) = (Lab::build(), Instant::now());
    let mut table = Table::new(plan.size == Size::Full);
    for section in &plan.sections {
        eprintln!("{}, after {} s: {}", section.name, began.elapsed().as_secs(), section.about);
        sections::measure(section.name)(&lab, &extent, &mut table);
    }
    if plan.size != Size::Full {
        println!(
            "Less than a full run: {:?} idle sessions in the place of [1000, 5000], {} held, {} accounts for many.\n",
            extent.idle, extent.held, extent.accounts
        );
    }
    let text = format!("{}\n{}", page::conditions(&extent.kinds), table.text(&plan.sections, &extent.kinds));
    println!("{text}");
    let mut wrong = match plan.size {
        Size::Smoke => smoke::judge(&table, &plan.sections, &extent),
        Size::Full | Size::Quick => table.failures(Kind::Bridge),
    };
    if plan.write && wrong.is_empty() {
        wrong.extend(page::write(&text).err());
    }
    for why in &wrong {
        eprintln!("error: {why}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Room for logins beside the sessions that are held: the next begins before all of the last one is gone.
const LOGINS: usize = 32;

/// How much that is.
fn extent(size: Size) -> Extent {
    match size {
        Size::Full => in_full(),
        Size::Quick => Extent {
            rounds: 1,
            seconds: 0.5,
            large: 50_000_000,
            idle: [100, 200],
            idle_slow: 20,
            settled: Duration::from_millis(200),
            held: 500,
            descriptors: descriptors_for(500 + LOGINS),
            accounts: 10_000,
            kinds: installed(),
        },
        Size::Smoke => Extent {
            rounds: 1,
            seconds: 0.1,
            large: 1_000_000,
            idle: [10, 20],
            idle_slow: 1,
            settled: Duration::from_millis(1),
            held: 100,
            descriptors: descriptors_for(100 + LOGINS),
            accounts: 100,
            kinds: vec![Kind::Bridge, Kind::Haproxy],
        },
    }
}

/// As `docs/performance.md` has it. Where the system has no 20,000 descriptors, fewer sessions are held.
fn in_full() -> Extent {
    const HELD: usize = 9500;
    const DESCRIPTORS: u64 = 20_000;
    let descriptors = descriptors::raise(DESCRIPTORS).unwrap().min(DESCRIPTORS);
    let room = usize::try_from(descriptors).unwrap() * HELD / 20_000;
    Extent {
        rounds: 5,
        seconds: 3.0,
        large: 50_000_000,
        idle: [1000, 5000],
        idle_slow: 100,
        settled: Duration::from_secs(2),
        held: room,
        descriptors,
        accounts: 100_000,
        kinds: installed(),
    }
}

fn installed() -> Vec<Kind> {
    let (there, missing): (Vec<Kind>, Vec<Kind>) =
        Kind::ALL.into_iter().partition(|kind| kind.program().is_some());
    for kind in missing.into_iter().filter(|kind| *kind != Kind::Beside) {
        eprintln!("{} is not installed and left out", kind.name());
    }
    there
}
