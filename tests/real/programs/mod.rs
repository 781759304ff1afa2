//! Mail programs that other people wrote, each by each listener that it can use.
//!
//! One case is one login of one program: it fetches a message from Dovecot, or sends one by Postfix, and what arrives is compared.
//! Each begins with a try that must fail: with a wrong password, or, over TLS, believing another authority than the one that signed
//! the bridge's certificate.

mod cases;
mod curl;
mod errand;
mod fetchers;
mod house;
mod neomutt;
mod relay;
mod scripts;
mod senders;

use std::any::Any;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use cases::{Case, Deed};
use errand::{Done, Errand, Tls};
use house::House;

/// So many programs run at once.
const WORKERS: usize = 4;

/// How it is told that a program was ended because it took too long.
const HUNG: &str = "exit code 124\n";

/// Only cases whose name has this in it are run, where it is set.
const FILTER: &str = "FOOTBRIDGE_PROGRAMS";

#[test]
fn every_program_logs_in_by_every_listener_that_it_can_use() {
    let wanted = std::env::var(FILTER).unwrap_or_default();
    let cases: Vec<Case> =
        cases::all().into_iter().filter(|case| case.to_string().contains(&wanted)).collect();
    let house = House::start(&cases);
    let queue = Mutex::new(cases.iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                // Not in the `while let`: it would hold the lock while the program runs.
                let next = || queue.lock().unwrap().next();
                while let Some(case) = next() {
                    if let Err(why) = tell(case, &house) {
                        failed.lock().unwrap().push(format!("{case}: {why}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    say(&format!("{} passed, {} failed", cases.len() - failed.len(), failed.len()));
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(!cases.is_empty(), "no case has {wanted:?} in its name");
}

/// Runs a case and prints a line about it.
#[expect(clippy::disallowed_methods, reason = "how long a program takes is real time")]
fn tell(case: &Case, house: &House) -> Done<()> {
    let started = Instant::now();
    let outcome =
        catch_unwind(AssertUnwindSafe(|| run(case, house))).unwrap_or_else(|panic| Err(text_of(&*panic)));
    let seconds = started.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => say(&format!("PASS {case} ({seconds:.1} s)")),
        Err(why) => say(&format!("FAIL {case} ({seconds:.1} s): {}", why.lines().next().unwrap_or_default())),
    }
    outcome.map_err(|why| format!("{why}\n{}", house.log_of(case)))
}

/// To the terminal itself: what a test prints otherwise is only shown where it fails.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let known = panic.downcast_ref::<String>().cloned();
    known.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

fn run(case: &Case, house: &House) -> Done<()> {
    let message = case.message();
    if let Deed::Read(_) = case.program.deed {
        house.servers.append(&case.mailbox, &message);
    }
    if case.tls == Tls::None {
        mistake_the_password(case, house, &message)?;
    } else {
        mistrust_the_certificate(case, house, &message)?;
    }
    let arrived = attempt(case, &house.errand(case, "usual", &house.ca, &message))?;
    let arrived = arrived.unwrap_or_else(|| house.servers.only_message(&case.mailbox));
    compare(case, &arrived, &message)?;
    house.saw(case)
}

/// A program that is told no has to end by itself, and to say that it failed.
fn mistake_the_password(case: &Case, house: &House, message: &[u8]) -> Done<()> {
    let errand = house.errand(case, "mistaken", &house.ca, message);
    match attempt(case, &Errand { password: "mistaken", ..errand }) {
        Ok(_) => Err("got in with a wrong password".to_owned()),
        Err(why) if why.contains(HUNG) => Err(format!("waited after a wrong password: {why}")),
        Err(_) => {
            house.refused(case);
            Ok(())
        }
    }
}

fn mistrust_the_certificate(case: &Case, house: &House, message: &[u8]) -> Done<()> {
    match attempt(case, &house.errand(case, "stranger", &house.strangers_ca, message)) {
        Ok(_) => Err("believed a certificate that a stranger signed".to_owned()),
        Err(why) if why.contains(HUNG) => Err(format!("waited after a strange certificate: {why}")),
        Err(_) => Ok(()),
    }
}

/// What the program read, or nothing where it sent.
fn attempt(case: &Case, errand: &Errand) -> Done<Option<Vec<u8>>> {
    match case.program.deed {
        Deed::Read(read) => read(errand).map(Some),
        Deed::Send(send) => send(errand).map(|()| None),
    }
}

fn compare(case: &Case, arrived: &[u8], message: &[u8]) -> Done<()> {
    let [arrived, message] = [arrived, message].map(|bytes| case.program.keeps.of(bytes));
    if arrived == message {
        return Ok(());
    }
    let at = arrived.iter().zip(&message).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let end = &bytes[at.saturating_sub(80).min(bytes.len())..];
        String::from_utf8_lossy(end).chars().take(400).collect::<String>()
    };
    let [lengths, texts] = [
        [arrived.len(), message.len()].map(|length| length.to_string()),
        [around(&arrived), around(&message)],
    ];
    Err(format!(
        "of {} bytes {} arrived, changed at byte {at}; arrived:\n{}\ninstead of:\n{}",
        lengths[1], lengths[0], texts[0], texts[1],
    ))
}
