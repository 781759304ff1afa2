//! Files in, mistakes out.

mod arbitrary;
mod consent;
mod console;
mod credentials;
mod devices;
mod examples;
mod footbridge;
mod grants;
pub(super) mod import;
mod keys;
mod later;
mod limits;
mod mappings;
mod meaning;
mod presets;
mod proxy;
mod schema;
mod secrets;
mod syntax;
mod tls;

use std::{
    ffi::OsString,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Loaded, Mistakes, load_with};

/// A configuration without a mistake.
const MAIN: &str = r#"state_dir = "state"
mappings = "mappings.toml"

[[listener]]
protocol = "imap"
bind = "127.0.0.1:1143"

[[listener]]
protocol = "smtp"
bind = "127.0.0.1:1025"

[limits]
line = "16KiB"

[app.contoso]
provider = "lab"
tenant = "contoso.onmicrosoft.com"
client_id = "22222222-3333-4444-5555-666666666666"
secret = { env = "CONTOSO_SECRET" }

[provider.lab]
token_url = "https://login.example.com/{tenant}/token"
scopes = { application = ["mail"] }
imap = { host = "localhost", port = 10993, tls = "implicit" }
smtp = { host = "localhost", port = 10587, tls = "starttls" }
"#;

/// Its mappings.
const MAPPINGS: &str = r#"[[account]]
login = "scanner@contoso.com"
password = "$argon2id$v=19$m=19456,t=2,p=1$UGU/26b4IfIiDDkxEcCe7g$2qN5PMfrxodvOUclF+vUWhNQcLai6SETDpAYm4MMZEA"
app = "contoso"
grant = "client_credentials"
"#;

/// The hash in [`MAPPINGS`].
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$UGU/26b4IfIiDDkxEcCe7g$2qN5PMfrxodvOUclF+vUWhNQcLai6SETDpAYm4MMZEA";

/// The environment of the tests.
fn environment(name: &str) -> Option<OsString> {
    match name {
        "CONTOSO_SECRET" => Some("abc8Q~defghijklmnopqrstuvwxyz".into()),
        "GUID_SECRET" => Some("77777777-3333-4444-5555-666666666666".into()),
        "TENANT" => Some("fabrikam.onmicrosoft.com".into()),
        "WHO" => Some("scanner".into()),
        "SHORT_KEY" => Some("fifteen bytes..".into()),
        "LONG_KEY" => Some("sixteen bytes...".into()),
        "CONSOLE_PASSWORD" | "SEALING_KEY" => Some("correct horse battery staple".into()),
        "OUTBOUND_PROXY" => Some("http://ann:hunter2@proxy.example.com:3128".into()),
        "OUTBOUND_HOST" => Some("hunter2@proxy.example.com".into()),
        "EMPTY" => Some("".into()),
        "HASHED" => Some(HASH.into()),
        _ => None,
    }
}

/// The time of the tests: the 1st of June 2026, noon.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(494_532)
}

/// A text with one part replaced, which must be there.
fn with(text: &str, part: &str, other: &str) -> String {
    assert!(text.contains(part), "{part} is not in the text");
    text.replace(part, other)
}

/// Loads two files from a folder of their own, in which `prepare` may put more. Returns beside it the
/// mistakes as they are printed, or the warnings, with the folder's name taken out.
fn load_prepared(main: &str, mappings: &str, prepare: impl Fn(&Path)) -> (Result<Loaded, Mistakes>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footbridge.toml");
    std::fs::write(&path, main).unwrap();
    std::fs::write(folder.path().join("mappings.toml"), mappings).unwrap();
    prepare(folder.path());
    let loaded = load_with(&path, &environment, now());
    if loaded.is_ok() {
        schema::assert_takes(folder.path());
    }
    let printed = match &loaded {
        Ok(loaded) => loaded.warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(mistakes) => mistakes.to_string(),
    };
    (loaded, printed.replace(&format!("{}/", folder.path().display()), ""))
}

/// Loads two files without a mistake.
fn loaded(main: &str, mappings: &str) -> Loaded {
    let (loaded, printed) = load_prepared(main, mappings, |_| ());
    loaded.unwrap_or_else(|_| panic!("{printed}"))
}

/// The mistakes of two files as they are printed, and the warnings where there are no mistakes.
fn printed_prepared(main: &str, mappings: &str, prepare: impl Fn(&Path)) -> String {
    load_prepared(main, mappings, prepare).1
}

/// As [`printed_prepared`], with nothing but the two files.
fn printed(main: &str, mappings: &str) -> String {
    printed_prepared(main, mappings, |_| ())
}

/// The first line of each mistake.
fn causes(printed: &str) -> Vec<&str> {
    printed.lines().filter(|line| !line.starts_with(' ')).collect()
}

/// Checks what is said of `footbridge.toml` with one part replaced by another.
fn footbridge_says(cases: &[(&str, &str, &[&str])]) {
    for (part, other, expected) in cases {
        let printed = printed(&with(MAIN, part, other), MAPPINGS);
        assert_eq!(causes(&printed), *expected, "{other}\n{printed}");
    }
}

/// Checks what is said of the mappings file with one part replaced by another.
fn mappings_say(cases: &[(&str, &str, &[&str])]) {
    for (part, other, expected) in cases {
        let printed = printed(MAIN, &with(MAPPINGS, part, other));
        assert_eq!(causes(&printed), *expected, "{other}\n{printed}");
    }
}
