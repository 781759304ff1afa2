//! Files in, mistakes out.

mod meaning;

use std::{ffi::OsString, path::Path};

use super::{Loaded, Mistakes, load_with};

/// A configuration without a mistake.
pub(super) const MAIN: &str = r#"state_dir = "state"
mappings = "mappings.toml"

[[listener]]
protocol = "imap"
bind = "127.0.0.1:1143"

[[listener]]
protocol = "smtp"
bind = "127.0.0.1:1025"

[app.contoso]
provider = "microsoft365"
tenant = "contoso.onmicrosoft.com"
client_id = "22222222-3333-4444-5555-666666666666"
secret = { env = "CONTOSO_SECRET" }
"#;

/// Its mappings.
pub(super) const MAPPINGS: &str = r#"[[account]]
login = "scanner@contoso.com"
password = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$hJLQmHtdl9TzdPGTTWyRAkgBzwMDzkMnkmFhRr5PMSY"
app = "contoso"
grant = "client_credentials"
"#;

/// The environment of the tests.
pub(super) fn environment(name: &str) -> Option<OsString> {
    match name {
        "CONTOSO_SECRET" => Some("abc8Q~defghijklmnopqrstuvwxyz".into()),
        "GUID_SECRET" => Some("77777777-3333-4444-5555-666666666666".into()),
        "TENANT" => Some("contoso.onmicrosoft.com".into()),
        "USER" => Some("scanner".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    }
}

/// Loads two files from a folder of their own, in which `prepare` may put more.
pub(super) fn load_prepared(main: &str, mappings: &str, prepare: impl Fn(&Path)) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footbridge.toml");
    std::fs::write(&path, main).unwrap();
    std::fs::write(folder.path().join("mappings.toml"), mappings).unwrap();
    prepare(folder.path());
    let here = format!("{}/", folder.path().display());
    load_with(&path, &environment).map_err(|mistakes: Mistakes| mistakes.to_string().replace(&here, ""))
}

/// The mistakes of two files, and the warnings where there are no mistakes.
pub(super) fn mistakes(main: &str, mappings: &str) -> String {
    match load_prepared(main, mappings, |_| ()) {
        Err(mistakes) => mistakes,
        Ok(loaded) => {
            let warnings: Vec<_> = loaded.warnings().iter().map(ToString::to_string).collect();
            warnings.join("\n")
        }
    }
}
