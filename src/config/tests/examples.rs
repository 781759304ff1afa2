//! The files that people start from.

use super::*;
use crate::{
    config::{Console, schema},
    oauth::Pkce,
    policy::{throttle::Limits, timing::Timing},
};

const EXAMPLE: &str = include_str!("../../../config/footbridge.example.toml");
const MINIMAL: &str = include_str!("../../../config/footbridge.minimal.toml");
const MAPPINGS_EXAMPLE: &str = include_str!("../../../config/mappings.example.toml");

/// The environment that the examples ask for.
fn asked_for(name: &str) -> Option<OsString> {
    let value = match name {
        "CONTOSO_SECRET" | "TICKETS_SECRET" | "SHOP_SECRET" | "CLIENT_SECRET" | "MAIL_PASSWORD"
        | "OFFICE_SECRET" | "CRM_SECRET" | "DEVICES_SECRET" => "abc8Q~def",
        "TENANT" => "contoso.onmicrosoft.com",
        "CLIENT_ID" => "22222222-2222-2222-2222-222222222222",
        "MAILBOX" => "scanner@contoso.com",
        _ => return None,
    };
    Some(value.into())
}

/// The lines of a text, those in comments that are settings among them.
fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let lines =
        text.lines().map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_example_is_without_a_mistake() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut seen = 0;
    for example in std::fs::read_dir(folder).unwrap() {
        let copied = copy(&example.unwrap().path());
        let loaded = load_with(&copied.path().join("footbridge.toml"), &asked_for, now());
        let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(loaded.warnings(), []);
        seen += 1;
    }
    assert_eq!(seen, 8);
}

/// A copy of an example with the files beside it that it tells people to make.
fn copy(example: &std::path::Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["footbridge.toml", "mappings.toml"] {
        std::fs::copy(example.join(file), folder.path().join(file)).unwrap();
    }
    if example.ends_with("certificate") {
        for (name, content) in super::credentials::pair() {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            #[cfg(unix)]
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
    folder
}

#[test]
fn the_example_and_the_minimal_file_are_without_a_mistake() {
    assert_eq!(loaded(EXAMPLE, MAPPINGS_EXAMPLE).warnings(), []);
    // The minimal one listens for IMAP alone, and the example has devices that send.
    let minimal = loaded(MINIMAL, MAPPINGS_EXAMPLE);
    let causes: Vec<_> = minimal.warnings().iter().map(|warning| warning.cause.as_str()).collect();
    assert_eq!(causes, ["no [[listener]] speaks smtp"]);
    assert!(MINIMAL.lines().count() <= 10);
}

#[test]
fn the_example_shows_every_key_of_this_version_and_no_other() {
    for (text, tables) in [(EXAMPLE, &schema::ALL[..12]), (MAPPINGS_EXAMPLE, &schema::ALL[12..])] {
        let shows = |key: &str| {
            let ways = [format!("{key} ="), format!("{key}  "), format!("[{key}"), format!("{{ {key} =")];
            ways.iter().any(|way| text.contains(way.as_str()))
        };
        for keys in tables {
            for key in keys.names() {
                assert!(shows(key), "{key} of {} is not in the example", keys.place);
            }
            let elsewhere = |key: &str| tables.iter().any(|keys| keys.has(key));
            for key in keys.later.iter().filter(|key| !elsewhere(key)) {
                let begins = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} ="));
                assert!(!text.lines().any(begins), "{key} of {} is in the example", keys.place);
            }
        }
    }
}

#[test]
fn the_example_shows_the_defaults() {
    // What has no fixed default is shown by an example, and may need something beside it.
    let mut without_file = uncommented(EXAMPLE);
    for key in [
        "ca_file = ",
        "resource = ",
        "max_connections = ",
        "max_connections_per_account = ",
        "proxy_protocol = ",
    ] {
        without_file = without_file.replace(key, "# ");
    }
    let loaded = loaded(&without_file, &uncommented(MAPPINGS_EXAMPLE));
    assert_eq!((loaded.config.limits, loaded.config.timing), (Limits::default(), Timing::default()));
    assert_eq!(loaded.config.apps[0].application_scopes, ["https://outlook.office365.com/.default"]);
    assert_eq!(loaded.config.apps[0].consent.pkce, Pkce::default());
    let address = |console: &Option<Console>| console.as_ref().map(|console| console.bind.clone());
    let plain = super::loaded(EXAMPLE, MAPPINGS_EXAMPLE);
    assert_eq!(loaded.config.listeners, plain.config.listeners);
    assert_eq!(address(&loaded.config.console), address(&plain.config.console));
    let mailbox = |loaded: &Loaded| loaded.accounts[0].mailbox.clone();
    assert_eq!(mailbox(&loaded), mailbox(&plain));
}
