//! `[store]`: where tokens are kept, and what they are sealed with.

use super::{
    reader::{Item, Table},
    schema, secret,
};
use crate::secret::{Environment, Source};

/// The shortest sealing key, in bytes: 128 bits, where they are random.
const SHORTEST_KEY: usize = 16;

/// Reads `[store]`: the sealing keys, the one in use first.
pub(super) fn read(top: &Table<'_>, environment: &Environment<'_>) -> Option<Vec<Source>> {
    let Some(item) = top.get("store") else {
        return Some(Vec::new());
    };
    let table = item.table(&schema::STORE)?;
    let kind = table.get("kind").map(|item| item.word(&schema::STORES, &["postgres"]));
    let keys = match table.get("key") {
        Some(item) => keys(&item, environment),
        None => Some(Vec::new()),
    };
    kind.is_none_or(|kind| kind.is_some()).then_some(keys?)
}

fn keys(item: &Item<'_>, environment: &Environment<'_>) -> Option<Vec<Source>> {
    let keys: Vec<_> = item.one_or_more()?.iter().map(|item| key(item, environment)).collect();
    keys.into_iter().collect()
}

fn key(item: &Item<'_>, environment: &Environment<'_>) -> Option<Source> {
    let (source, value) = secret::value(item, environment, "the sealing key")?;
    if value.is_some_and(|value| value.expose().len() < SHORTEST_KEY) {
        let cause =
            format!("{source} is too short for a sealing key: it has fewer than {SHORTEST_KEY} bytes");
        item.wrong(cause, "make one: openssl rand -base64 32");
        return None;
    }
    Some(source)
}
