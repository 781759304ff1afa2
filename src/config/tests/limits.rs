//! `[limits]`.

use super::*;
use crate::policy::throttle::Limits;

#[test]
fn every_ceiling_is_read() {
    let written = "max_connections = 7\nmax_connections_per_client = 6\nmax_connections_per_account = 5\n\
                   auth_failures = 4\nauth_failure_window = \"3m\"\n";
    let loaded = loaded(&with(MAIN, "line = \"16KiB\"\n", written), MAPPINGS);
    let expected = Limits {
        max_connections: Some(7),
        max_connections_per_client: 6,
        max_connections_per_account: Some(5),
        auth_failures: 4,
        auth_failure_window: Duration::from_mins(3),
        ..Limits::default()
    };
    assert_eq!(loaded.config.limits, expected);
}

#[test]
fn a_number_that_is_none_or_out_of_range_is_refused_with_what_is_allowed() {
    let line = "line = \"16KiB\"";
    footbridge_says(&[
        (line, "max_connections = 0", &["footbridge.toml:13:19: 0 is out of range for max_connections"]),
        (line, "auth_failures = 1001", &["footbridge.toml:13:17: 1001 is out of range for auth_failures"]),
        (line, "auth_failures = -1", &["footbridge.toml:13:17: -1 is out of range for auth_failures"]),
        (
            line,
            "max_connections_per_client = \"5\"",
            &["footbridge.toml:13:30: max_connections_per_client is a string, not an integer"],
        ),
        (
            line,
            "auth_failure_window = \"25h\"",
            &["footbridge.toml:13:23: \"25h\" is out of range for auth_failure_window"],
        ),
    ]);
    let printed = printed(&with(MAIN, line, "auth_failures = 1001"), MAPPINGS);
    assert!(printed.ends_with("cure: between 1 and 1000"), "{printed}");
}
