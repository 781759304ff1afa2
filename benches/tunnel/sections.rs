//! How each section is measured.

use std::{thread, time::Duration};

use super::{
    drive::{Done, Task, USERS},
    figures::{self, Figure, Part},
    lab::{Kind, Lab, Running, Setup, Way, outcome},
    table::Table,
};

/// Bytes that go through each idle session before it is looked at again.
const PASSED: u64 = 1024 * 1024;

/// What is said of a kind that is not asked for what it cannot do: at about 508 connections `select` has no more
/// descriptors, and the next one hears nothing for ever.
const TOO_MANY: &str = "not tried: breaks at about 500";

/// What is said of stunnel, which encrypts on one side of a service.
const ONE_SIDE: &str = "not tried: TLS on one side only";

/// How much is done.
pub struct Extent {
    /// How often each comparison is repeated, what is compared by turns.
    pub rounds: usize,
    /// How long each run takes, in seconds.
    pub seconds: f64,
    /// Bytes of the large message.
    pub large: u64,
    /// How many idle sessions, the few and the many.
    pub idle: [usize; 2],
    /// How many are taken for few where a login takes a quarter of a second.
    pub idle_slow: usize,
    /// How long sessions are idle before memory is looked at, so that what is given back late is given back.
    pub settled: Duration,
    /// How many sessions are held while others log in.
    pub held: usize,
    /// How many descriptors there are for that.
    pub descriptors: u64,
    /// How many accounts there are where there are many.
    pub accounts: usize,
    /// What is measured.
    pub kinds: Vec<Kind>,
}

/// Measures a section.
pub type Measure = fn(&Lab, &Extent, &mut Table);

/// How a section is measured, by its name.
pub fn measure(name: &str) -> Measure {
    let all: [(&str, Measure); 7] = [
        ("start", start),
        ("logins", logins),
        ("trips", trips),
        ("fetch", fetch),
        ("smtp", smtp),
        ("memory", memory),
        ("many", many),
    ];
    all.into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Takes some figures of a kind. What fails is noted in their place, and not tried again.
fn attempt(table: &mut Table, part: Part, kind: Kind, take: impl FnOnce(&mut Table) -> Done<()>) {
    if !table.has_failed(part, kind)
        && let Err(why) = take(table)
    {
        table.fail(part, kind, &why);
    }
}

/// From the start of the process to the first connection and greeting, and what accounts cost.
fn start(lab: &Lab, extent: &Extent, table: &mut Table) {
    let [connection, greeting, resident] = &figures::START;
    for _ in 0..extent.rounds {
        for &kind in &extent.kinds {
            attempt(table, &figures::START, kind, |table| {
                let setup = Setup { more_accounts: 1000, ..Setup::default() };
                let running = lab.start(kind, setup)?;
                table.add(connection, kind, ms(running.connected));
                table.add(greeting, kind, ms(running.greeted));
                table.add(resident, kind, running.process.resident() / 1024.0);
                Ok(())
            });
        }
    }
    let kinds = extent.kinds.iter().copied().filter(|kind| matches!(kind, Kind::Bridge | Kind::Beside));
    for kind in kinds {
        attempt(table, &figures::ACCOUNTS, kind, |table| accounts(lab, extent.accounts, kind, table));
    }
}

fn accounts(lab: &Lab, accounts: usize, kind: Kind, table: &mut Table) -> Done<()> {
    let [start, resident, beyond] = &figures::ACCOUNTS;
    let few = lab.start(kind, Setup::default())?;
    let many = lab.start(kind, Setup { more_accounts: accounts, ..Setup::default() })?;
    let each = (many.process.resident() - few.process.resident()) * 1024.0 / count(accounts);
    let text = count(many.mappings_bytes() - few.mappings_bytes()) / count(accounts);
    table.add(start, kind, many.connected.as_secs_f64());
    table.add(resident, kind, each);
    table.add(beyond, kind, each - text);
    Ok(())
}

/// Logins by IMAP, from connect to the tagged OK, with a token that is at hand.
fn logins(lab: &Lab, extent: &Extent, table: &mut Table) {
    let [resumed] = &figures::RESUMED;
    let all = warm(lab, extent, table, &[&figures::LOGINS_ONE, &figures::LOGINS_MANY, &figures::RESUMED]);
    for _ in 0..extent.rounds {
        for running in &all {
            lab.seen();
            for (clients, part) in [(1, &figures::LOGINS_ONE), (16, &figures::LOGINS_MANY)] {
                attempt(table, part, running.kind, |table| log_in(running, clients, extent, part, table));
            }
            let seen = lab.seen();
            if seen.handshakes > 0 {
                table.add(
                    resumed,
                    running.kind,
                    100.0 * f64::from(seen.resumed) / f64::from(seen.handshakes),
                );
                eprintln!("  encrypted by {:?}", seen.ways);
            }
        }
    }
}

fn log_in(
    running: &Running,
    clients: usize,
    extent: &Extent,
    figures: &'static [Figure; 4],
    table: &mut Table,
) -> Done<()> {
    let [p50, p99, rate, cpu] = figures;
    let before = running.process.cpu();
    let outcome = running.run(Way::Imap, Task::Logins { clients, seconds: extent.seconds })?;
    let taken = running.process.cpu() - before;
    table.add(p50, running.kind, outcome.p50);
    table.add(p99, running.kind, outcome.p99);
    table.add(rate, running.kind, outcome.count / outcome.seconds);
    table.add(cpu, running.kind, taken * 1000.0 / outcome.count);
    Ok(())
}

/// How often a login waits for a server that is far away.
fn trips(lab: &Lab, extent: &Extent, table: &mut Table) {
    let [trips, time] = &figures::TRIPS;
    for &kind in &extent.kinds {
        attempt(table, &figures::TRIPS, kind, |table| {
            let running = lab.start(kind, Setup::default())?;
            // The first shakes hands in full, and whoever learns learns.
            for _ in 0..2 {
                running.run(Way::Far, Task::Logins { clients: 1, seconds: 0.0 })?;
            }
            lab.seen();
            let mut login = running.send(Way::Far, Task::Hold { sessions: 1 });
            table.add(time, kind, outcome(&mut login)?.p50);
            table.add(trips, kind, lab.seen().trips.into());
            Ok(())
        });
    }
}

/// FETCH of large messages: how fast, and for how much processor time.
fn fetch(lab: &Lab, extent: &Extent, table: &mut Table) {
    let all = warm(lab, extent, table, &[&figures::FETCH_ONE, &figures::FETCH_MANY]);
    for _ in 0..extent.rounds {
        for running in &all {
            for (sessions, part) in [(1, &figures::FETCH_ONE), (8, &figures::FETCH_MANY)] {
                let [rate, cpu] = part;
                attempt(table, part, running.kind, |table| {
                    let before = running.process.cpu();
                    let task = Task::Fetch { sessions, bytes: extent.large, seconds: extent.seconds };
                    let outcome = running.run(Way::Imap, task)?;
                    let taken = running.process.cpu() - before;
                    #[expect(clippy::cast_precision_loss, reason = "nobody fetches that much")]
                    let megabytes = outcome.count * extent.large as f64 / 1e6;
                    table.add(rate, running.kind, megabytes / outcome.seconds);
                    table.add(cpu, running.kind, taken * 1000.0 / megabytes);
                    Ok(())
                });
            }
        }
    }
}

/// Messages of 4 KB, a command after the other.
fn smtp(lab: &Lab, extent: &Extent, table: &mut Table) {
    let all = warm(lab, extent, table, &[&figures::SMTP_ONE, &figures::SMTP_MANY]);
    for _ in 0..extent.rounds {
        for running in &all {
            for (sessions, part) in [(1, &figures::SMTP_ONE), (16, &figures::SMTP_MANY)] {
                let [rate, cpu] = part;
                attempt(table, part, running.kind, |table| {
                    let before = running.process.cpu();
                    let outcome =
                        running.run(Way::Smtp, Task::Messages { sessions, seconds: extent.seconds })?;
                    let taken = running.process.cpu() - before;
                    table.add(rate, running.kind, outcome.count / outcome.seconds);
                    table.add(cpu, running.kind, taken * 1000.0 / outcome.count);
                    Ok(())
                });
            }
        }
    }
}

/// Resident memory with no session, and of sessions that are idle.
fn memory(lab: &Lab, extent: &Extent, table: &mut Table) {
    let [resident] = &figures::RESIDENT;
    for _ in 0..extent.rounds {
        for &kind in &extent.kinds {
            attempt(table, &figures::RESIDENT, kind, |table| {
                let running = lab.start(kind, Setup::default())?;
                thread::sleep(extent.settled);
                table.add(resident, kind, running.process.resident() / 1024.0);
                Ok(())
            });
        }
    }
    let [few, many] = extent.idle;
    for (way, sessions, part) in [
        (Way::Imap, few, &figures::CLEAR_FEW),
        (Way::Imap, many, &figures::CLEAR_MANY),
        (Way::Imaps, few, &figures::TLS_FEW),
        (Way::Imaps, many, &figures::TLS_MANY),
    ] {
        for &kind in &extent.kinds {
            let sessions = match kind {
                Kind::Emailproxy if sessions == many => {
                    table.fail(part, kind, TOO_MANY);
                    continue;
                }
                Kind::Emailproxy => {
                    table.note(part, kind, &format!("{} sessions", extent.idle_slow));
                    extent.idle_slow
                }
                Kind::Stunnel if matches!(way, Way::Imaps) => {
                    table.fail(part, kind, ONE_SIDE);
                    continue;
                }
                Kind::Bridge | Kind::Beside | Kind::Haproxy | Kind::Stunnel => sessions,
            };
            attempt(table, part, kind, |table| idle(lab, extent, (kind, way, sessions), part, table));
        }
    }
}

fn idle(
    lab: &Lab,
    extent: &Extent,
    (kind, way, sessions): (Kind, Way, usize),
    [fresh, used]: &'static [Figure; 2],
    table: &mut Table,
) -> Done<()> {
    let running = lab.start(kind, Setup::default())?;
    let none = running.process.resident();
    let mut held = running.send(way, Task::Hold { sessions });
    outcome(&mut held)?;
    let each = || {
        thread::sleep(extent.settled);
        (running.process.resident() - none) / count(sessions)
    };
    table.add(fresh, kind, each());
    held.tell(&format!("pass {PASSED}"));
    outcome(&mut held)?;
    table.add(used, kind, each());
    Ok(())
}

/// A login while many sessions are held, under a limit on descriptors that has room for them and not for many more.
fn many(lab: &Lab, extent: &Extent, table: &mut Table) {
    for &kind in &extent.kinds {
        if kind == Kind::Emailproxy {
            table.fail(&figures::MANY, kind, TOO_MANY);
            continue;
        }
        attempt(table, &figures::MANY, kind, |table| crowd(lab, extent, kind, table));
    }
}

fn crowd(lab: &Lab, extent: &Extent, kind: Kind, table: &mut Table) -> Done<()> {
    let [sessions, descriptors, quiet, crowded, ratio] = &figures::MANY;
    let running = lab.start(kind, Setup { descriptors: Some(extent.descriptors), ..Setup::default() })?;
    warm_up(&running)?;
    let p99 = || -> Done<f64> {
        let logins = running.run(Way::Imap, Task::Logins { clients: 1, seconds: extent.seconds })?;
        Ok(logins.p99)
    };
    for _ in 0..extent.rounds {
        table.add(quiet, kind, p99()?);
    }
    let mut held = running.send(Way::Imap, Task::Hold { sessions: extent.held });
    table.add(sessions, kind, outcome(&mut held)?.count);
    table.add(descriptors, kind, count(running.process.descriptors()));
    for _ in 0..extent.rounds {
        table.add(crowded, kind, p99()?);
    }
    // They must still be there.
    held.tell("pass 1");
    outcome(&mut held)?;
    let medians = [crowded, quiet].map(|figure| table.median(figure, kind).unwrap_or(f64::NAN));
    table.add(ratio, kind, medians[0] / medians[1]);
    Ok(())
}

/// Everything that can be had, ready to serve: each account's password checked, its token at hand.
fn warm(lab: &Lab, extent: &Extent, table: &mut Table, parts: &[Part]) -> Vec<Running> {
    let mut all = Vec::new();
    for &kind in &extent.kinds {
        let started = lab.start(kind, Setup::default()).and_then(|running| {
            warm_up(&running)?;
            Ok(running)
        });
        match started {
            Ok(running) => all.push(running),
            Err(why) => parts.iter().for_each(|part| table.fail(part, kind, &why)),
        }
    }
    all
}

/// Logs everybody in once.
fn warm_up(running: &Running) -> Done<()> {
    let mut all = running.send(Way::Imap, Task::Hold { sessions: USERS });
    outcome(&mut all).map(|_| ())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
fn count(number: usize) -> f64 {
    number as f64
}
