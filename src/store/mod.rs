//! The sealed tokens in the state folder.
//!
//! One file, `tokens.db`, that several processes may have open: a `SQLite` database in which everything
//! but the names and versions of the slots is sealed. A write is on the disk when it returns. Nothing
//! is believed, and nothing changed, before the whole file was checked: [`Store::open`] takes it as it
//! should be, or leaves it as it is and says what is wrong with it. All of this blocks.
//!
//! What it does not do: it knows nothing of accounts, of authorities or of when to renew.

mod error;
mod files;
mod key;
mod lock;
mod record;
mod schema;
mod seal;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use zeroize::Zeroizing;

pub use error::StoreError;
pub use lock::SlotLock;
pub use record::{Identity, Kept, Record};

use crate::{ids::SlotId, secret::Secret};
pub(crate) use files::write_whole;
use files::{FileId, Place};
use seal::{Keyring, Sealed, Shut};

/// The longest that a slot is held by a healthy process: two token requests, a command that prints a
/// secret, and the disk.
const HELD_AT_MOST: Duration = Duration::from_mins(1);

/// An open store. It is shared by `Arc`; its calls block, for milliseconds as a rule, for five seconds
/// at most where another process is in the way.
#[derive(Debug)]
pub struct Store {
    place: Place,
    keys: Keyring,
    /// The file that was opened.
    file: FileId,
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the store of `folder`, which is made where there is none.
    ///
    /// The first of `keys` seals, all of them open; what another than the first has sealed is sealed
    /// anew. Without any, the key is in the file `store.key` of the folder, which is made with the store.
    ///
    /// # Errors
    /// Each [`StoreError`] names the file and the cure. Where the store is damaged, from a later
    /// version, or sealed with another key, it is left as it is.
    pub fn open(folder: &Path, keys: &[Secret]) -> Result<Self, StoreError> {
        let place = Place::new(folder)?;
        let configured = key::configured(keys, &place)?;
        files::make_folder(&place.folder).map_err(StoreError::io("make", &place.folder))?;
        // Two at once would each make a key.
        let _opening = SlotLock::wait(&place.locks, "store")?;
        if !place.has_database()? {
            schema::create(&place)?;
        }
        let (file, connection) = connect(&place)?;
        let keys = match find_keys(configured, &connection, &place)? {
            Some(keys) => keys,
            None => key::make(&place)?,
        };
        Self { place, keys, file, connection: connection.into() }.checked()?.sealed_anew()
    }

    /// Opens the store of `folder` where there is one, and makes and rewrites nothing.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(folder: &Path, keys: &[Secret]) -> Result<Option<Self>, StoreError> {
        let place = Place::new(folder)?;
        let configured = key::configured(keys, &place)?;
        if !place.has_database()? {
            return Ok(None);
        }
        let (file, connection) = connect(&place)?;
        match find_keys(configured, &connection, &place)? {
            Some(keys) => Self { place, keys, file, connection: connection.into() }.checked().map(Some),
            // Whoever makes the store is about to make its key.
            None => Ok(None),
        }
    }

    /// What is kept of `slot`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::WrongKey`] and what keeps from reading.
    pub fn get(&self, slot: &SlotId) -> Result<Option<Record>, StoreError> {
        let sealed = self
            .connection()?
            .query_row(
                "SELECT name, version, key_id, sealed FROM slot WHERE name = ?1",
                [slot.as_str()],
                schema::sealed,
            )
            .optional()
            .map_err(self.refused("read"))?;
        sealed.map(|sealed| self.unseal(&sealed)).transpose()
    }

    /// Everything that is kept, in the order of the names.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn all(&self) -> Result<Vec<(SlotId, Record)>, StoreError> {
        let mut found = Vec::new();
        self.for_each(&*self.connection()?, |sealed| {
            found.push((sealed.slot.clone(), self.unseal(&sealed)?));
            Ok(())
        })?;
        Ok(found)
    }

    /// Keeps `record` for `slot`; it is on the disk when this returns, and its version counted up.
    ///
    /// The record must be the one that was read, changed, or the first of its slot with version 0:
    /// the older of two writers cannot undo what the other has written, a new consent say.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it was written or removed since it was read,
    /// [`StoreError::Unfit`] where it is too large, and what keeps from writing: then the old one stands.
    pub fn put(&self, slot: &SlotId, record: &mut Record) -> Result<(), StoreError> {
        let unfit = |why: serde_json::Error| StoreError::Unfit {
            path: self.place.database.clone(),
            why: why.to_string(),
            cure: "set the clock of this machine; a token over half a megabyte is the authority's mistake",
        };
        let version = record.version.saturating_add(1);
        let sealed = self.seal(slot, version, record.write().map_err(unfit)?)?;
        self.write(|transaction| {
            let stored = self.version(transaction, slot)?;
            if stored.unwrap_or(0) > record.version || (stored.is_none() && record.version > 0) {
                return Err(StoreError::Changed { path: self.place.database.clone(), slot: slot.clone() });
            }
            self.insert(transaction, &sealed)
        })?;
        record.version = version;
        Ok(())
    }

    /// Removes what is kept of `slot`, and says whether there was anything.
    ///
    /// # Errors
    /// What keeps from writing.
    pub fn remove(&self, slot: &SlotId) -> Result<bool, StoreError> {
        self.write(|transaction| self.delete(transaction, slot))
    }

    /// Removes every slot that no account claims since before `before`, and names them.
    ///
    /// # Errors
    /// As [`Store::get`], and what keeps from writing.
    pub fn purge(&self, before: SystemTime) -> Result<Vec<SlotId>, StoreError> {
        self.write(|transaction| {
            let mut over = Vec::new();
            self.for_each(transaction, |sealed| {
                if self.unseal(&sealed)?.unclaimed_since.is_some_and(|since| since < before) {
                    over.push(sealed.slot);
                }
                Ok(())
            })?;
            for slot in &over {
                self.delete(transaction, slot)?;
            }
            Ok(over)
        })
    }

    /// Waits until nobody else holds `slot`, in whatever process, and holds it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where somebody holds it longer than a token request can take,
    /// [`StoreError::Io`] where the folder cannot be written or has no locks.
    pub fn lock(&self, slot: &SlotId) -> Result<SlotLock, StoreError> {
        SlotLock::wait_within(&self.place.locks, slot.as_str(), HELD_AT_MOST)
    }

    /// Holds `slot`, or `None` where somebody else does.
    ///
    /// # Errors
    /// As [`Store::lock`].
    pub fn try_lock(&self, slot: &SlotId) -> Result<Option<SlotLock>, StoreError> {
        SlotLock::try_take(&self.place.locks, slot.as_str())
    }

    /// The connection, where the file is still the one that was opened.
    fn connection(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        match FileId::of(&self.place.database) {
            Ok(file) if file == self.file => Ok(connection),
            Ok(_) => Err(StoreError::Replaced { path: self.place.database.clone() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::Replaced { path: self.place.database.clone() })
            }
            Err(error) => Err(StoreError::io("find", &self.place.database)(error)),
        }
    }

    /// Runs `work` as one transaction, all of which is on the disk when this returns, or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let refused = self.refused("write to");
        let mut connection = self.connection()?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&refused)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(&refused)?;
        // It is on the disk; that it is in the log only is no failure.
        let _ = schema::settle(&connection);
        Ok(done)
    }

    fn for_each(
        &self,
        connection: &Connection,
        mut work: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let refused = self.refused("read");
        let mut statement = connection
            .prepare("SELECT name, version, key_id, sealed FROM slot ORDER BY name")
            .map_err(&refused)?;
        for sealed in statement.query_map([], schema::sealed).map_err(&refused)? {
            work(sealed.map_err(&refused)?)?;
        }
        Ok(())
    }

    fn version(&self, transaction: &Transaction<'_>, slot: &SlotId) -> Result<Option<u64>, StoreError> {
        transaction
            .query_row("SELECT version FROM slot WHERE name = ?1", [slot.as_str()], |row| {
                row.get::<_, i64>(0)
            })
            .optional()
            .map(|version| version.map(i64::cast_unsigned))
            .map_err(self.refused("read"))
    }

    fn insert(&self, transaction: &Transaction<'_>, sealed: &Sealed) -> Result<(), StoreError> {
        transaction
            .execute(
                "INSERT OR REPLACE INTO slot (name, version, key_id, sealed) VALUES (?1, ?2, ?3, ?4)",
                params![sealed.slot.as_str(), sealed.version.cast_signed(), sealed.key_id, sealed.bytes],
            )
            .map(drop)
            .map_err(self.refused("write to"))
    }

    fn delete(&self, transaction: &Transaction<'_>, slot: &SlotId) -> Result<bool, StoreError> {
        let removed = transaction.execute("DELETE FROM slot WHERE name = ?1", [slot.as_str()]);
        removed.map(|rows| rows > 0).map_err(self.refused("write to"))
    }

    fn seal(&self, slot: &SlotId, version: u64, plain: Zeroizing<Vec<u8>>) -> Result<Sealed, StoreError> {
        self.keys.seal(slot, version, plain).map_err(|_| {
            let error = std::io::Error::other("the system has no randomness to give");
            StoreError::io("seal a record for", &self.place.database)(error)
        })
    }

    fn open_seal(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.keys.open(sealed).map_err(|shut| match shut {
            Shut::Broken => {
                schema::damaged(&self.place, &format!("the seal of slot {} is broken", sealed.slot))
            }
            Shut::WrongKey => StoreError::WrongKey {
                path: self.place.database.clone(),
                key_file: self.keys.file().map(Path::to_owned),
            },
        })
    }

    fn unseal(&self, sealed: &Sealed) -> Result<Record, StoreError> {
        let plain = self.open_seal(sealed)?;
        // What does not fit would be quoted by the error, token or not.
        Record::read(&plain, sealed.version)
            .map_err(|_| schema::damaged(&self.place, &format!("slot {} holds no record", sealed.slot)))
    }

    /// Opens every seal; after this the store may be written.
    fn checked(self) -> Result<Self, StoreError> {
        {
            let connection = self.connection()?;
            self.for_each(&connection, |sealed| self.unseal(&sealed).map(drop))?;
            schema::release(&connection).map_err(self.refused("open"))?;
        }
        Ok(self)
    }

    /// Seals with the first key what another one has sealed, and moves what an earlier process left in
    /// the log.
    fn sealed_anew(self) -> Result<Self, StoreError> {
        let mut old = Vec::new();
        let is_old = |sealed: &Sealed| sealed.key_id != self.keys.first();
        self.for_each(&*self.connection()?, |sealed| {
            old.extend(is_old(&sealed).then_some(sealed.slot));
            Ok(())
        })?;
        if old.is_empty() {
            let _ = schema::settle(&*self.connection()?);
            return Ok(self);
        }
        self.write(|transaction| {
            let mut opened = Vec::new();
            self.for_each(transaction, |sealed| {
                if is_old(&sealed) {
                    let plain = self.open_seal(&sealed)?;
                    opened.push(self.seal(&sealed.slot, sealed.version, plain)?);
                }
                Ok(())
            })?;
            opened.iter().try_for_each(|sealed| self.insert(transaction, sealed))
        })?;
        Ok(self)
    }

    fn refused(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        StoreError::sqlite(doing, &self.place.database)
    }
}

/// Opens the file and checks everything but the seals.
fn connect(place: &Place) -> Result<(FileId, Connection), StoreError> {
    let file = FileId::of(&place.database).map_err(StoreError::io("find", &place.database))?;
    let connection = schema::connect(place)?;
    schema::check(&connection, place)?;
    Ok((file, connection))
}

/// The keys of the configuration, else that of the key file; `None` for an empty store that has none yet.
fn find_keys(
    configured: Option<Keyring>,
    connection: &Connection,
    place: &Place,
) -> Result<Option<Keyring>, StoreError> {
    let found = configured.map_or_else(|| key::read(place), |keys| Ok(Some(keys)))?;
    if found.is_some() || is_empty(connection, place)? {
        return Ok(found);
    }
    Err(StoreError::NoKey { path: place.database.clone(), key_file: place.key.clone() })
}

fn is_empty(connection: &Connection, place: &Place) -> Result<bool, StoreError> {
    connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM slot)", [], |row| row.get(0))
        .map_err(StoreError::sqlite("read", &place.database))
}
