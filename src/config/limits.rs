//! `[limits]`: how long and how much.

use std::{ops::Range, time::Duration};

use super::{reader::Table, schema};
use crate::policy::{
    throttle::Limits,
    timing::{Timing, UPSTREAM_LOGIN},
};

/// Shorter than this no network answers.
const SHORTEST: Duration = Duration::from_millis(100);

/// Who keeps a connection that is idle for longer has no limit at all.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// For the timeouts before a login: a stranger holds a connection for that long.
const TIMEOUTS: Range<Duration> = SHORTEST..Duration::from_hours(1);

/// A whole attempt to log in upstream is cut at [`UPSTREAM_LOGIN`]: a connection that may take as long
/// would leave no time for the login, and its failure would be told as a server's that says nothing.
const CONNECT: Range<Duration> = SHORTEST..Duration::from_secs(20);

const _: () = assert!(CONNECT.end.as_secs() < UPSTREAM_LOGIN.as_secs());

/// RFC 5321 §4.5.3.1.4 wants 512 octets for a command line; beyond the upper bound strangers could
/// fill the memory.
const LINE: Range<u64> = 512..1024 * 1024;

/// Passwords of 64 bytes are usual; the upper bound is as that of a line.
const LITERAL: Range<u64> = 64..1024 * 1024;

/// From one short line up to what a thousand strangers may take of a large machine.
const BEFORE_LOGIN: Range<u64> = 512..16 * 1024 * 1024;

/// How many connections or sessions: beyond the upper bound a process runs out of ports and memory.
pub(super) const COUNT: Range<u64> = 1..1_000_000;

/// How many logins may fail: each is remembered for the whole window.
pub(super) const FAILURES: Range<u64> = 1..1000;

/// How long they count: less than a second is none, and after a day nobody knows what the matter was.
const FAILURE_WINDOW: Range<Duration> = Duration::from_secs(1)..Duration::from_hours(24);

/// Reads `[limits]`; what is not there has its default.
pub(super) fn read(top: &Table<'_>) -> (Limits, Timing) {
    let (mut limits, mut timing) = (Limits::default(), Timing::default());
    let Some(table) = top.get("limits").and_then(|item| item.table(&schema::LIMITS)) else {
        return (limits, timing);
    };
    for (key, bounds, value) in [
        ("login_timeout", TIMEOUTS, &mut timing.login_timeout),
        ("connect_timeout", CONNECT, &mut timing.connect_timeout),
        ("idle_timeout", SHORTEST..LONGEST, &mut timing.idle_timeout),
        ("auth_failure_window", FAILURE_WINDOW, &mut limits.auth_failure_window),
        ("drain_grace", Duration::ZERO..Duration::from_hours(1), &mut timing.drain_grace),
    ] {
        if let Some(duration) = table.get(key).and_then(|item| item.duration(bounds)) {
            *value = duration;
        }
    }
    for (key, bounds, value) in [
        ("line", LINE, &mut limits.line),
        ("literal", LITERAL, &mut limits.literal),
        ("before_login_bytes", BEFORE_LOGIN, &mut limits.before_login_bytes),
    ] {
        if let Some(size) = table.get(key).and_then(|item| item.size(bounds)) {
            *value = size;
        }
    }
    let count = |key, bounds| table.get(key).and_then(|item| item.count(bounds));
    limits.max_connections = count("max_connections", COUNT);
    limits.max_connections_per_account = count("max_connections_per_account", COUNT);
    for (key, bounds, value) in [
        ("max_connections_per_client", COUNT, &mut limits.max_connections_per_client),
        ("auth_failures", FAILURES, &mut limits.auth_failures),
    ] {
        if let Some(number) = count(key, bounds) {
            *value = number;
        }
    }
    (limits, timing)
}
