//! The file as `SQLite` sees it: how it is made, and what must be so before anything is believed.

use std::{fs, io, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, Row, config::DbConfig, types::ValueRef};

use super::{
    StoreError,
    files::{self, Place},
    record,
    seal::Sealed,
};
use crate::ids::SlotId;

/// The version of the schema and of what is sealed. A record may get more fields within a version.
pub(super) const VERSION: i32 = 1;

/// Says that the file is ours, in the header's field for that (sqlite.org/fileformat2.html §1.3.11): `Fbtk`.
const APPLICATION: i32 = i32::from_be_bytes(*b"Fbtk");

/// The one table. Its index repeats the names, so that a row which vanishes from either is missed.
const TABLE: &str = "CREATE TABLE slot (name TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, \
                     key_id BLOB NOT NULL, sealed BLOB NOT NULL) STRICT";

/// Beyond it, what another process does with the store is not work but trouble. A write takes milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// The largest seal in bytes: a record, its nonce and its tag.
const LARGEST_SEAL: usize = record::LARGEST + 64;

/// The bytes before the first page's content (sqlite.org/fileformat2.html §1.3).
const HEADER: u64 = 100;

/// Makes an empty store, which is there whole or not at all.
///
/// Nobody looks at the file before it has its name, so that it is written to the disk once, just before that, and
/// not step by step: that would be ten waits for the disk before the first client.
///
/// What an interrupted creation left is removed, and with it the log of a store that is gone, which
/// `SQLite` would take for the new one's.
pub(super) fn create(place: &Place) -> Result<(), StoreError> {
    let trouble = StoreError::io("make", &place.database);
    let new = Place::beside(&place.database, ".new");
    for file in [&new, &place.database] {
        for suffix in ["-journal", "-wal", "-shm"] {
            files::remove(&Place::beside(file, suffix)).map_err(&trouble)?;
        }
    }
    files::make_anew(&new).map_err(&trouble)?;
    let refused = StoreError::sqlite("make", &new);
    let connection = raw(&new).map_err(&refused)?;
    let script = format!(
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; BEGIN; PRAGMA application_id = {APPLICATION}; \
         PRAGMA user_version = {VERSION}; {TABLE}; COMMIT;"
    );
    connection.execute_batch(&script).map_err(&refused)?;
    // Closing moves what the log holds into the file, and removes the log.
    connection.close().map_err(|(_, error)| refused(error))?;
    files::rename_durably(&new, &place.database).map_err(&trouble)
}

/// Opens the store, which nothing changes until [`release`] is called.
pub(super) fn connect(place: &Place) -> Result<Connection, StoreError> {
    // SQLite takes an empty file for a new database, and removes the log beside it. Only the length is
    // asked: whoever opens and closes the file itself loses the locks that the process has on it (fcntl(2)).
    let length = fs::metadata(&place.database).map_err(StoreError::io("read", &place.database))?.len();
    if length < HEADER {
        return Err(damaged(place, "it is cut off"));
    }
    let refused = StoreError::sqlite("open", &place.database);
    let connection = raw(&place.database).map_err(&refused)?;
    // The last one to close a store moves the log into the file, damaged or not, unless told otherwise.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(&refused)?;
    connection
        .execute_batch(
            "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; \
             PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0;",
        )
        .map_err(&refused)?;
    Ok(connection)
}

/// Lets a store that was checked be written.
pub(super) fn release(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// Moves what the log holds into the file, so that the file alone is the store, and one flipped byte of
/// the log cannot undo what was written long ago. Whoever reads at this moment prevents it, which is no
/// harm: the next write moves it.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let settled = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    settled
}

/// Checks everything but the seals.
pub(super) fn check(connection: &Connection, place: &Place) -> Result<(), StoreError> {
    let refused = StoreError::sqlite("read", &place.database);
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i32>(0)).map_err(&refused);
    if number("PRAGMA application_id")? != APPLICATION {
        return Err(damaged(place, "it is a database, but not a token store"));
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(&refused)?;
    if mode != "wal" {
        return Err(damaged(place, "it has lost the mark of its log"));
    }
    if connection.is_readonly("main").map_err(&refused)? {
        let error = io::Error::other("it is read-only, by its permissions or by a damaged header");
        return Err(StoreError::io("write to", &place.database)(error));
    }
    let version = number("PRAGMA user_version")?;
    if version > VERSION {
        return Err(StoreError::Newer { path: place.database.clone(), found: version, known: VERSION });
    }
    let table = "SELECT count(*) = 2 AND sum(sql IS ?1) = 1 FROM sqlite_schema";
    let is_ours = connection.query_row(table, [TABLE], |row| row.get::<_, bool>(0)).map_err(&refused)?;
    if version != VERSION || !is_ours {
        return Err(damaged(place, "its tables are not those of a token store"));
    }
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(&refused)?;
    if found == "ok" { Ok(()) } else { Err(damaged(place, &found)) }
}

/// The store is damaged, as `found` says.
pub(super) fn damaged(place: &Place, found: &str) -> StoreError {
    StoreError::Damaged { path: place.database.clone(), found: found.to_owned() }
}

/// Takes a row of `SELECT name, version, key_id, sealed`.
pub(super) fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    let name = row.get_ref(0)?.as_str()?;
    let slot = SlotId::parse(name).ok_or_else(|| unfit(0, "a slot has a name that no slot has"))?;
    let bytes = match row.get_ref(3)? {
        ValueRef::Blob(bytes) if bytes.len() <= LARGEST_SEAL => bytes.to_vec(),
        ValueRef::Blob(_) | ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => {
            return Err(unfit(3, "a slot holds what is no seal"));
        }
    };
    Ok(Sealed { slot, version: row.get::<_, i64>(1)?.cast_unsigned(), key_id: row.get(2)?, bytes })
}

fn unfit(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.into())
}

fn raw(path: &Path) -> rusqlite::Result<Connection> {
    // Without CREATE: a file that is gone must not come back empty.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
