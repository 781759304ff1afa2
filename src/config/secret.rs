//! Secret values: `{ env = "…" }` and its siblings.

use std::path::Path;

use super::{
    hide::is_variable_name,
    reader::{Item, Table},
    schema,
};
use crate::secret::{Environment, Secret, Source, SourceError};

/// Reads where a secret is kept and whether it is there; the secret too, unless a command prints it.
pub(super) fn read(item: &Item<'_>, environment: &Environment<'_>) -> Option<(Source, Option<Secret>)> {
    let source = place(item)?;
    match source.probe(environment) {
        Ok(secret) => {
            if let Source::File(path) = &source {
                warn_of_world_readable(item, path);
            }
            Some((source, secret))
        }
        Err(error) => {
            item.wrong(error.to_string(), cure(&error));
            None
        }
    }
}

/// Reads where a secret is kept, and does not look there.
pub(super) fn place(item: &Item<'_>) -> Option<Source> {
    let table = item.table(&schema::SECRET)?;
    let mut ways = schema::SECRET.names().filter(|way| table.has(way));
    let (Some(way), None) = (ways.next(), ways.next()) else {
        item.wrong(
            "a secret is kept in exactly one place",
            "write one of env = \"…\", file = \"…\", command = [\"…\"] and credential = \"…\"",
        );
        return None;
    };
    source(&table, way)
}

/// As [`read`], where the value itself is often written in place of where it is kept.
pub(super) fn value(
    item: &Item<'_>,
    environment: &Environment<'_>,
    what: &str,
) -> Option<(Source, Option<Secret>)> {
    if item.is_string() {
        let cause = format!("{what} stands in the configuration itself");
        item.wrong(
            cause,
            format!("keep it elsewhere: {} = {{ env = \"…\" }} or {{ file = \"…\" }}", item.key()),
        );
        return None;
    }
    read(item, environment)
}

fn source(table: &Table<'_>, way: &'static str) -> Option<Source> {
    let item = table.get(way)?;
    if way == "command" {
        let words: Vec<_> = item.list()?.iter().map(|word| word.string().map(str::to_owned)).collect();
        return Some(Source::Command(words.into_iter().collect::<Option<_>>()?));
    }
    if way == "file" {
        return item.path().map(Source::File);
    }
    let written = item.string()?;
    match way {
        "env" if is_variable_name(written) => Some(Source::Env(written.to_owned())),
        "env" => {
            item.wrong("this is not the name of an environment variable", "write env = \"NAME\", without $");
            None
        }
        _ if written.is_empty() || written.contains(['/', '\\']) || written.starts_with('.') => {
            item.wrong(
                "this is not the name of a credential",
                "write the name that LoadCredential= gives it",
            );
            None
        }
        _ => Some(Source::Credential(written.to_owned())),
    }
}

fn cure(error: &SourceError) -> &'static str {
    match error {
        SourceError::NoVariable(_) => "set it where footbridge is started",
        SourceError::Unreadable { .. } => "give the path of a file that footbridge may read",
        SourceError::Command { .. } => "name a program that prints the secret",
        SourceError::NoCredentials(_) => "add LoadCredential= to the systemd unit",
        SourceError::Empty(_) => "put the secret there",
    }
}

/// Warns of a file with a secret that everybody may read.
#[cfg(unix)]
pub(super) fn warn_of_world_readable(item: &Item<'_>, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    let readable = std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
    if readable {
        let path = path.display();
        item.doubtful(format!("everybody on this machine may read {path}"), format!("chmod o-rwx {path}"));
    }
}

#[cfg(not(unix))]
pub(super) fn warn_of_world_readable(_: &Item<'_>, _: &Path) {}
