//! Consents that people gave to another program for the same apps.

use super::{BuildError, accounts::find, blocking, bridge::protocols, store_keys};
use crate::{config::Config, oauth::Shelf, secret::Secret, store::Store};

/// Keeps refresh tokens, by login, in the store of a configuration; returns the logins whose token is now kept.
/// A login that the store has a consent for already keeps that.
///
/// # Errors
/// Why the store cannot be opened or written.
pub async fn bring(config: Config, tokens: Vec<(String, Secret)>) -> Result<Vec<String>, BuildError> {
    let (state_dir, keys) = (config.state_dir.clone(), store_keys(&config).await?);
    let shelf = Shelf::new(config.apps, &config.accounts, &protocols(&config.listeners), Vec::new());
    let records: Vec<_> = tokens
        .into_iter()
        .filter_map(|(login, token)| {
            let account = find(&config.accounts, &login).ok()?;
            let (slot, record) = shelf.brought(account, token)?;
            Some((login, slot, record))
        })
        .collect();
    let keeping = move || {
        let (store, mut kept) = (Store::open(&state_dir, &keys)?, Vec::new());
        for (login, slot, mut record) in records {
            let _lock = store.lock(&slot)?;
            if store.get(&slot)?.is_none() {
                store.put(&slot, &mut record)?;
                kept.push(login);
            }
        }
        Ok(kept)
    };
    Ok(blocking(keeping).await?)
}
