//! A folder in, records out, whatever happened to the folder between.

mod crash;
mod damage;
mod open;
mod together;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Identity, Kept, Record, Store, StoreError};
use crate::{ids::SlotId, secret::Secret};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn slot(name: &str) -> SlotId {
    SlotId::of(&["contoso", name])
}

/// A record of the account `name` whose tokens say which they are.
fn record(name: &str) -> Record {
    Record {
        app: "contoso".to_owned(),
        account: format!("{name}@example.com"),
        refresh_token: Some(Secret::new(format!("refresh-token-of-{name}"))),
        access: Some(Kept {
            token: Secret::new(format!("access-token-of-{name}")),
            obtained_at: at(1_000_000),
            expires_at: at(1_003_600),
        }),
        scopes: vec!["https://outlook.office.com/IMAP.AccessAsUser.All".to_owned()],
        identity: Some(Identity { user: format!("{name}@example.com"), tenant: None, object: None }),
        previous: Some(Secret::new(format!("older-token-of-{name}"))),
        ..Record::default()
    }
}

fn keys(names: &[&str]) -> Vec<Secret> {
    names.iter().map(|name| Secret::new(format!("the-sealing-key-{name}"))).collect()
}

/// Puts a record of each name into the store of the folder, and closes it.
fn fill(folder: &Path, keys: &[Secret], names: &[&str]) {
    let store = Store::open(folder, keys).unwrap();
    for name in names {
        store.put(&slot(name), &mut record(name)).unwrap();
    }
}

/// Everything below the folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[track_caller]
fn refused(folder: &Path, keys: &[Secret]) -> StoreError {
    let error = Store::open(folder, keys).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("tokens.db") && text.contains("\n  cure: "), "{text}");
    error
}
