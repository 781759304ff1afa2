//! What is measured.

use super::{
    drive::{Task, USERS},
    lab::{Kind, Lab, Running, Way, outcome},
    table::{
        Table,
        Target::{Most, None, RatioLeast, RatioMost},
    },
};

/// Bytes of the large message.
const LARGE: u64 = 50_000_000;

/// Bytes that go through each idle session before it is looked at again.
const PASSED: u64 = 1024 * 1024;

/// How much is done.
pub struct Extent {
    /// How often each comparison is repeated, what is compared by turns.
    pub rounds: usize,
    /// How long each run takes, in seconds.
    pub seconds: f64,
    /// How many idle sessions, the few and the many.
    pub idle: [usize; 2],
    /// How many sessions are held while others log in.
    pub held: usize,
    /// How many accounts there are where there are many.
    pub accounts: usize,
    /// What is installed.
    pub kinds: Vec<Kind>,
}

/// A section by its name.
pub type Section = (&'static str, fn(&Lab, &Extent, &mut Table));

/// All sections, in the order of the table.
pub const ALL: [Section; 7] = [
    ("start", start),
    ("logins", logins),
    ("trips", trips),
    ("fetch", fetch),
    ("smtp", smtp),
    ("memory", memory),
    ("many", many),
];

/// From the start of the process to the first greeting, and what accounts cost.
fn start(lab: &Lab, extent: &Extent, table: &mut Table) {
    for _ in 0..extent.rounds {
        for &kind in &extent.kinds {
            let running = lab.start(kind, 1000);
            let ms = running.start.as_secs_f64() * 1000.0;
            table.add(
                "start to the first greeting, ms; the bridge with 1,000 accounts",
                Most(50.0),
                kind,
                ms,
            );
        }
    }
    let few = lab.start(Kind::Bridge, 0);
    table.add("resident with no session, MiB", Most(12.0), Kind::Bridge, few.process.resident() / 1024.0);
    let many = lab.start(Kind::Bridge, extent.accounts);
    table.add("start with 100,000 accounts, s", Most(1.0), Kind::Bridge, many.start.as_secs_f64());
    let each = (many.process.resident() - few.process.resident()) * 1024.0 / count(extent.accounts);
    let text = count(many.mappings_bytes()) / count(extent.accounts);
    table.add("an account of 100,000, bytes resident", None, Kind::Bridge, each);
    table.add("the same, beyond its text in the mappings", Most(400.0), Kind::Bridge, each - text);
}

/// Logins by IMAP, from connect to the tagged OK, with a token that is at hand.
fn logins(lab: &Lab, extent: &Extent, table: &mut Table) {
    let all = warm(lab, extent);
    for _ in 0..extent.rounds {
        for running in &all {
            let logins = |clients| {
                let before = running.process.cpu();
                let outcome = running.run(Way::Imap, Task::Logins { clients, seconds: extent.seconds });
                let cpu = (running.process.cpu() - before) * 1000.0 / outcome.count;
                (outcome, cpu)
            };
            let kind = running.kind;
            let (one, cpu) = logins(1);
            table.add("login, 1 client: p50, ms", RatioMost(1.1), kind, one.p50);
            table.add("login, 1 client: p99, ms", None, kind, one.p99);
            table.add("logins a second, 1 client", None, kind, one.count / one.seconds);
            table.add("processor time of a login, 1 client, ms", None, kind, cpu);
            if !takes_many(kind) {
                continue;
            }
            let (several, cpu) = logins(16);
            table.add("login, 16 clients: p50, ms", None, kind, several.p50);
            table.add("login, 16 clients: p99, ms", None, kind, several.p99);
            table.add("logins a second, 16 clients", RatioLeast(1.0), kind, several.count / several.seconds);
            table.add("processor time of a login, 16 clients, ms", None, kind, cpu);
        }
    }
}

/// How often a login waits for a server that is far away.
fn trips(lab: &Lab, extent: &Extent, table: &mut Table) {
    for kind in extent.kinds.iter().copied().filter(|&kind| kind != Kind::Emailproxy) {
        let running = lab.start(kind, 0);
        // The first shakes hands in full, and whoever learns learns.
        for _ in 0..2 {
            running.run(Way::Far, Task::Logins { clients: 1, seconds: 0.0 });
        }
        let mut login = running.send(Way::Far, Task::Hold { sessions: 1 });
        let ms = outcome(&mut login).p50;
        let trips = lab.trips().last().copied().unwrap_or_default();
        table.add("round trips of a login, but TCP's", RatioMost(1.0), kind, trips.into());
        table.add("login with 50 ms each way, ms", None, kind, ms);
    }
}

/// FETCH of large messages: how fast, and for how much processor time.
fn fetch(lab: &Lab, extent: &Extent, table: &mut Table) {
    let all = warm(lab, extent);
    for _ in 0..extent.rounds {
        for running in &all {
            let fetch = |sessions| {
                let before = running.process.cpu();
                let outcome =
                    running.run(Way::Imap, Task::Fetch { sessions, bytes: LARGE, seconds: extent.seconds });
                let megabytes = outcome.count * 50.0;
                let cpu = (running.process.cpu() - before) * 1000.0 / megabytes;
                (megabytes / outcome.seconds, cpu)
            };
            let kind = running.kind;
            let (one, cpu) = fetch(1);
            table.add("one FETCH of 50 MB, MB/s", RatioLeast(1.0), kind, one);
            table.add("one FETCH: processor time, s/GB", RatioMost(1.0), kind, cpu);
            if !takes_many(kind) {
                continue;
            }
            let (several, cpu) = fetch(8);
            table.add("eight at once, MB/s", RatioLeast(1.0), kind, several);
            table.add("eight at once: processor time, s/GB", RatioMost(1.0), kind, cpu);
        }
    }
}

/// Messages of 4 KB, a command after the other.
fn smtp(lab: &Lab, extent: &Extent, table: &mut Table) {
    let all = warm(lab, extent);
    for _ in 0..extent.rounds {
        for running in &all {
            let messages = |sessions| {
                let outcome = running.run(Way::Smtp, Task::Messages { sessions, seconds: extent.seconds });
                outcome.count / outcome.seconds
            };
            let kind = running.kind;
            table.add("SMTP messages a second, 1 connection", RatioLeast(0.95), kind, messages(1));
            if takes_many(kind) {
                table.add("SMTP messages a second, 16 connections", RatioLeast(1.0), kind, messages(16));
            }
        }
    }
}

/// Resident memory of sessions that are idle.
fn memory(lab: &Lab, extent: &Extent, table: &mut Table) {
    const NAMES: [[[&str; 2]; 2]; 2] = [
        [
            ["idle, few, clear: KiB each", "the same after 1 MiB through each"],
            ["idle, many, clear: KiB each", "many, clear, after 1 MiB through each"],
        ],
        [
            ["idle, few, TLS: KiB each", "few, TLS, after 1 MiB through each"],
            ["idle, many, TLS: KiB each", "many, TLS, after 1 MiB through each"],
        ],
    ];
    for (way, names, most) in [(Way::Imap, NAMES[0], 8.0), (Way::Imaps, NAMES[1], 14.0)] {
        for (sessions, [fresh, used]) in extent.idle.into_iter().zip(names) {
            for kind in extent.kinds.iter().copied().filter(|&kind| has(kind, way)) {
                let target = if sessions == extent.idle[1] { Most(most) } else { None };
                let running = lab.start(kind, 0);
                let none = running.process.resident();
                let mut held = running.send(way, Task::Hold { sessions });
                outcome(&mut held);
                let each = || (running.process.resident() - none) / count(sessions);
                table.add(fresh, target, kind, each());
                held.tell(&format!("pass {PASSED}"));
                held.hear();
                table.add(used, target, kind, each());
            }
        }
    }
}

/// Whether something can be compared by a way: stunnel has no TLS on both sides, and Python takes half a second for a
/// login.
fn has(kind: Kind, way: Way) -> bool {
    match kind {
        Kind::Bridge | Kind::Beside | Kind::Haproxy => true,
        Kind::Stunnel => !matches!(way, Way::Imaps),
        Kind::Emailproxy => false,
    }
}

/// A login while many sessions are held.
fn many(lab: &Lab, extent: &Extent, table: &mut Table) {
    let running = lab.start(Kind::Bridge, 0);
    warm_up(&running);
    let logins = || running.run(Way::Imap, Task::Logins { clients: 1, seconds: extent.seconds });
    let quiet = logins().p99;
    let mut held = running.send(Way::Imap, Task::Hold { sessions: extent.held });
    let came = outcome(&mut held);
    table.add("sessions held at once", None, Kind::Bridge, came.count);
    let crowded = logins().p99;
    table.add("login p99 while they are held, ms", Most(3.0 * quiet), Kind::Bridge, crowded);
    // They must still be there.
    held.tell("pass 1");
    held.hear();
}

/// Everything, ready to serve: each account's password checked, its token at hand.
fn warm(lab: &Lab, extent: &Extent) -> Vec<Running> {
    let all: Vec<Running> = extent.kinds.iter().map(|&kind| lab.start(kind, 0)).collect();
    all.iter().for_each(warm_up);
    all
}

fn warm_up(running: &Running) {
    let clients = if takes_many(running.kind) { USERS } else { 1 };
    running.run(Way::Imap, Task::Logins { clients, seconds: 0.0 });
}

/// Whether many may come at once: of sixteen that connect at the same moment Email OAuth 2.0 Proxy leaves some
/// without an answer for ever.
fn takes_many(kind: Kind) -> bool {
    kind != Kind::Emailproxy
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
fn count(number: usize) -> f64 {
    number as f64
}
