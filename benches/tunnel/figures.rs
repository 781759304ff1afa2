//! What is measured, by section: each figure with what is wanted of it and what limits it. Data alone, which
//! `tests/performance.rs` compares with `docs/performance.md`.

/// A kind of figure: a row of the table.
#[derive(Debug, PartialEq)]
pub struct Figure {
    /// What is measured, with its unit and, where it depends on the extent, as it is in a full run.
    pub name: &'static str,
    /// Which way is good.
    pub better: Better,
    /// What is wanted of the bridge.
    pub target: Target,
    /// What it would take for it to be better.
    pub limit: &'static str,
}

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Better {
    /// The smaller.
    Lower,
    /// The larger.
    Higher,
}

/// What is wanted of a figure of the bridge's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// It is only told.
    None,
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// So many times the better tunnel's, or better.
    Ratio(f64),
}

/// Figures that are taken together, and fail together.
pub type Part = &'static [Figure];

/// A section of the measurement.
#[derive(Debug)]
pub struct Section {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its figures, in the order of the table.
    pub parts: &'static [Part],
}

/// All sections, in the order of the table.
pub static SECTIONS: [Section; 7] = [
    Section {
        name: "start",
        about: "from the start of the process to the first client, and what accounts cost",
        parts: &[&START, &ACCOUNTS],
    },
    Section {
        name: "logins",
        about: "IMAP logins with a token that is at hand",
        parts: &[&LOGINS_ONE, &LOGINS_MANY, &RESUMED],
    },
    Section {
        name: "trips",
        about: "how often a login waits for a server that is far away",
        parts: &[&TRIPS],
    },
    Section { name: "fetch", about: "FETCH of messages of 50 MB", parts: &[&FETCH_ONE, &FETCH_MANY] },
    Section { name: "smtp", about: "messages of 4 KB handed in", parts: &[&SMTP_ONE, &SMTP_MANY] },
    Section {
        name: "memory",
        about: "resident memory of idle sessions",
        parts: &[&RESIDENT, &CLEAR_FEW, &CLEAR_MANY, &TLS_FEW, &TLS_MANY],
    },
    Section { name: "many", about: "logins while thousands of sessions are held", parts: &[&MANY] },
];

impl Figure {
    /// What is wanted, as the table says it.
    pub fn wanted(&self) -> String {
        match (self.target, self.better) {
            (Target::None, _) => String::new(),
            (Target::Most(most), _) => format!("≤ {}", brief(most)),
            (Target::Least(least), _) => format!("≥ {}", brief(least)),
            (Target::Ratio(ratio), Better::Lower) => format!("≤ {ratio:.2}×"),
            (Target::Ratio(ratio), Better::Higher) => format!("≥ {ratio:.2}×"),
        }
    }
}

/// Three digits that count.
pub fn brief(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

const fn lower(name: &'static str, target: Target, limit: &'static str) -> Figure {
    Figure { name, better: Better::Lower, target, limit }
}

const fn higher(name: &'static str, target: Target, limit: &'static str) -> Figure {
    Figure { name, better: Better::Higher, target, limit }
}

/// Connection, greeting, memory.
pub static START: [Figure; 3] = [
    lower(
        "start to the first connection, ms; the bridge with 1,000 accounts",
        Target::Most(50.0),
        "both files, the trust anchors, the token store",
    ),
    lower(
        "start to the first greeting, ms",
        Target::None,
        "a tunnel's greeting is the server's, behind a handshake",
    ),
    lower(
        "resident with no session; the bridge with 1,000 accounts, MiB",
        Target::None,
        "the program itself, of which nearly all is mapped; then the heap",
    ),
];

/// What accounts cost the bridge: start, bytes, bytes beyond the text.
pub static ACCOUNTS: [Figure; 3] = [
    lower("start with 100,000 accounts, s", Target::Most(1.0), "reading TOML and hashes, one thread"),
    lower("an account of 100,000, bytes resident", Target::None, "its text, and what is next"),
    lower(
        "an account of 100,000, bytes beyond its text",
        Target::Most(400.0),
        "what is kept of an account, and its places in the indexes",
    ),
];

const LOGIN: &str = "X25519 and the key schedule of TLS with the server";

/// p50, p99, rate, processor time.
pub static LOGINS_ONE: [Figure; 4] = [
    lower("login, 1 client: p50, ms", Target::Ratio(1.1), LOGIN),
    lower("login, 1 client: p99, ms", Target::None, "whoever else wants the processors"),
    higher("logins a second, 1 client", Target::None, "client, bridge and server wait for each other"),
    lower("processor time of a login, 1 client, ms", Target::None, LOGIN),
];

/// p50, p99, rate, processor time.
pub static LOGINS_MANY: [Figure; 4] = [
    lower("login, 16 clients: p50, ms", Target::None, "16 wait for two processors"),
    lower("login, 16 clients: p99, ms", Target::None, "16 wait for two processors"),
    higher(
        "logins a second, 16 clients",
        Target::Ratio(1.0),
        "both processors, of which the bridge takes about a third",
    ),
    lower("processor time of a login, 16 clients, ms", Target::None, LOGIN),
];

/// Per cent.
pub static RESUMED: [Figure; 1] = [higher(
    "logins that take a TLS session with the server up again, %",
    Target::None,
    "tickets serve once (RFC 8446 §C.4): who has none left shakes hands in full",
)];

/// Round trips, milliseconds.
pub static TRIPS: [Figure; 2] = [
    lower(
        "round trips of a login, but TCP's",
        Target::Ratio(1.0),
        "TLS, then the greeting, then the login: what the protocols force",
    ),
    lower("login with 50 ms each way, ms", Target::None, "100 ms for each of them"),
];

const CARRYING: &str = "AES, and copies: by the kernel at both ends, and from record to buffer";

/// Rate, processor time.
pub static FETCH_ONE: [Figure; 2] = [
    higher(
        "one FETCH of 50 MB, MB/s",
        Target::Ratio(1.0),
        "decrypting and copying: of the three processes the bridge has most to do",
    ),
    lower("one FETCH: processor time, s/GB", Target::Ratio(1.0), CARRYING),
];

/// Rate, processor time.
pub static FETCH_MANY: [Figure; 2] = [
    higher(
        "eight at once, MB/s",
        Target::Ratio(1.0),
        "both processors, which mail program and server need as well",
    ),
    lower("eight at once: processor time, s/GB", Target::Ratio(1.0), CARRYING),
];

/// Rate, processor time.
pub static SMTP_ONE: [Figure; 2] = [
    higher(
        "SMTP messages a second, 1 connection",
        Target::Ratio(0.95),
        "four replies waited for, each through three processes",
    ),
    lower(
        "processor time of a message, 1 connection, ms",
        Target::None,
        "four small reads and writes each way",
    ),
];

/// Rate, processor time.
pub static SMTP_MANY: [Figure; 2] = [
    higher("SMTP messages a second, 16 connections", Target::Ratio(1.0), "both processors"),
    lower(
        "processor time of a message, 16 connections, ms",
        Target::None,
        "four small reads and writes each way",
    ),
];

const CLEAR: &str = "TLS with the server: its keys, and what rustls remembers of the handshake; then the task and the sockets";
const TLS: &str = "the same, and TLS with the client";

/// With no session.
pub static RESIDENT: [Figure; 1] = [lower(
    "resident with no session, MiB",
    Target::Most(12.0),
    "the program itself, of which nearly all is mapped; then the heap",
)];

/// Fresh, used.
pub static CLEAR_FEW: [Figure; 2] = [
    lower("1,000 idle sessions in clear: KiB each", Target::None, CLEAR),
    lower("1,000 in clear, after 1 MiB through each: KiB each", Target::None, CLEAR),
];

/// Fresh, used.
pub static CLEAR_MANY: [Figure; 2] = [
    lower("5,000 idle sessions in clear: KiB each", Target::Most(8.0), CLEAR),
    lower("5,000 in clear, after 1 MiB through each: KiB each", Target::Most(8.0), CLEAR),
];

/// Fresh, used.
pub static TLS_FEW: [Figure; 2] = [
    lower("1,000 idle sessions by TLS: KiB each", Target::None, TLS),
    lower("1,000 by TLS, after 1 MiB through each: KiB each", Target::None, TLS),
];

/// Fresh, used.
pub static TLS_MANY: [Figure; 2] = [
    lower("5,000 idle sessions by TLS: KiB each", Target::Most(14.0), TLS),
    lower("5,000 by TLS, after 1 MiB through each: KiB each", Target::Most(14.0), TLS),
];

/// Sessions, descriptors, quiet p99, p99 meanwhile, both compared.
pub static MANY: [Figure; 5] = [
    higher(
        "sessions held at once, of 9,500 with 20,000 descriptors",
        Target::Least(9500.0),
        "two descriptors a session",
    ),
    lower("descriptors open meanwhile", Target::None, "two a session, and a few dozen"),
    lower("login p99 before, ms", Target::None, LOGIN),
    lower("login p99 meanwhile, ms", Target::None, LOGIN),
    lower(
        "login p99 meanwhile, by what it was before",
        Target::Most(3.0),
        "nothing in a login looks at all sessions",
    ),
];
