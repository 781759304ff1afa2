//! The sealing key that is made where the configuration has none.

use std::{fs::File, io::Read as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{
    StoreError,
    files::{self, Place},
    seal::{self, Keyring},
};
use crate::secret::Secret;

/// The bytes of a key that is made.
const LENGTH: usize = 32;

/// As much as is read of a key file: its base64 and a line end, and enough to see that it has more.
const LARGEST_FILE: u64 = 64;

/// Takes the keys of the configuration, or `None` where there are none.
///
/// # Errors
/// [`StoreError::WeakKey`].
pub(super) fn configured(keys: &[Secret], place: &Place) -> Result<Option<Keyring>, StoreError> {
    if let Some(at) = keys.iter().position(seal::is_weak) {
        let path = place.database.clone();
        return Err(StoreError::WeakKey { path, number: at + 1, least: seal::SHORTEST_KEY });
    }
    Ok(Keyring::new(keys))
}

/// Reads the key file, or `None` where there is none.
///
/// The key is the text of the file, not what the base64 stands for, so that the file can be named in
/// the configuration as any other.
///
/// # Errors
/// [`StoreError::DamagedKey`], [`StoreError::Io`].
pub(super) fn read(place: &Place) -> Result<Option<Keyring>, StoreError> {
    let trouble = StoreError::io("read", &place.key);
    if !place.key.try_exists().map_err(&trouble)? {
        return Ok(None);
    }
    // With room for all that is read: a buffer that grows leaves copies where it was.
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    File::open(&place.key).map_err(&trouble)?.take(LARGEST_FILE).read_to_end(&mut text).map_err(&trouble)?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    let decoded = BASE64_STANDARD.decode(&*text).map(Zeroizing::new);
    if decoded.is_ok_and(|key| key.len() == LENGTH) {
        return Ok(Some(Keyring::made(&Secret::new(text.to_vec()), place.key.clone())));
    }
    Err(StoreError::DamagedKey {
        path: place.key.clone(),
        store: place.database.clone(),
        found: "it is not the base64 of 32 bytes",
    })
}

/// Makes the key file.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn make(place: &Place) -> Result<Keyring, StoreError> {
    let trouble = StoreError::io("make", &place.key);
    let mut bytes = Zeroizing::new([0; LENGTH]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .map_err(|_| trouble(std::io::Error::other("the system has no randomness to give")))?;
    let text = Zeroizing::new(BASE64_STANDARD.encode(*bytes));
    files::write_whole(&place.key, text.as_bytes()).map_err(&trouble)?;
    read(place)?.ok_or_else(|| trouble(std::io::ErrorKind::NotFound.into()))
}
