//! What is not built is refused by its name.

use super::*;

/// Every key of the configuration that has a meaning and no effect yet, and a line that says it.
const KEYS: [(&str, &[&str]); 3] = [
    (
        "[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:2143\"\n",
        &["provider = \"lab\"", "report_at = \"mail\""],
    ),
    ("", &["send_wait = \"30s\""]),
    (
        "",
        &[
            "[store]\nurl = { env = \"URL\" }",
            "[notify]\ncommand = [\"x\"]",
            "[notify]\nwebhook = \"https://example.com\"",
            "[notify]\nmail_to = \"a@example.com\"",
        ],
    ),
];

fn key(line: &str) -> &str {
    let last = line.lines().last().unwrap();
    last.split_once(" = ").unwrap().0
}

#[test]
fn every_key_that_has_no_effect_yet_is_refused_by_name() {
    for (number, (table, lines)) in KEYS.iter().enumerate() {
        for line in *lines {
            let written = format!("{table}{line}\n");
            let main = if number == 1 {
                with(MAIN, "line = \"16KiB\"\n", &written)
            } else {
                format!("{MAIN}{written}")
            };
            let printed = printed(&main, MAPPINGS);
            let refusals: Vec<_> = causes(&printed)
                .into_iter()
                .filter(|cause| cause.contains("not available in this version"))
                .collect();
            let last = refusals.last().unwrap_or_else(|| panic!("{line} is not refused:\n{printed}"));
            assert!(last.contains(&format!("\"{}\"", key(line))), "{last}");
            assert!(!printed.contains("unknown"), "{printed}");
        }
    }
}

#[test]
fn every_account_key_that_has_no_effect_yet_is_refused_by_name() {
    let printed = printed(MAIN, &format!("{MAPPINGS}max_sends = 3\n"));
    let expected = "mappings.toml:6:1: \"max_sends\" in [[account]] is not available in this version";
    assert_eq!(causes(&printed), [expected]);
}

#[test]
fn every_value_that_has_no_effect_yet_is_refused_by_name() {
    footbridge_says(&[(
        "[limits]",
        "[store]\nkind = \"postgres\"\n[limits]",
        &["footbridge.toml:13:8: kind = \"postgres\" is not available in this version"],
    )]);
}
