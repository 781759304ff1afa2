//! Damage is found before anything is believed, and nothing is changed.

use rusqlite::Connection;

use super::*;

/// A small store, its bytes and what is read from it.
struct Sound {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    records: Vec<(SlotId, Record)>,
}

impl Sound {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), &[], &["ann", "ben", "cyd"]);
        let records = Store::open(folder.path(), &[]).unwrap().all().unwrap();
        let bytes = fs::read(folder.path().join("tokens.db")).unwrap();
        Self { folder, bytes, records }
    }

    /// Opens the store with `bytes` in its file: it is refused by name, or read as it was; and the
    /// file is what it was. Says whether it was refused.
    #[track_caller]
    fn is_refused_with(&self, bytes: &[u8], what: &str) -> bool {
        let file = self.folder.path().join("tokens.db");
        fs::write(&file, bytes).unwrap();
        let refused = match Store::open(self.folder.path(), &[]) {
            Ok(store) => {
                assert!(store.all().unwrap() == self.records, "{what}: other records are read");
                false
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("tokens.db") && text.contains("cure: "), "{what}: {text}");
                let is_damage = matches!(
                    error,
                    StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::WrongKey { .. }
                );
                // One byte of the header says who may write.
                let is_clear = is_damage || text.contains("it is read-only");
                assert!(is_clear, "{what}: {text}");
                true
            }
        };
        assert!(fs::read(&file).unwrap() == bytes, "{what}: the file was changed");
        refused
    }
}

#[test]
fn a_flipped_byte_is_found_or_changes_nothing() {
    let sound = Sound::new();
    let mut refused = 0;
    // The header and where rows and their names begin are few bytes; the rest is seals and emptiness.
    for at in (0..120).chain((120..sound.bytes.len()).step_by(29)) {
        for flip in [0x01, 0xff] {
            let mut bytes = sound.bytes.clone();
            bytes[at] ^= flip;
            refused += u32::from(sound.is_refused_with(&bytes, &format!("byte {at} ^ {flip:#x}")));
        }
    }
    assert!(refused > 150, "only {refused} were found");
}

#[test]
fn a_store_that_is_cut_off_is_refused() {
    let sound = Sound::new();
    let whole = sound.bytes.len();
    for length in (0..whole).step_by(251).chain([1, 16, 99, 100, 101, 4095, 4096, 4097, 8192, whole - 1]) {
        let refused = sound.is_refused_with(&sound.bytes[..length], &format!("{length} of {whole} bytes"));
        assert!(refused || length > whole - 4096, "{length} of {whole} bytes are taken for a store");
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let sound = Sound::new();
    for (bytes, what) in [
        (b"[store]\nkind = \"embedded\"\n".repeat(300), "text"),
        (vec![0; 8192], "zeros"),
        ([&b"SQLite format 3\0"[..], &[0xff; 8176]].concat(), "a beginning"),
    ] {
        assert!(sound.is_refused_with(&bytes, what), "{what}");
    }
}

/// Changes the store by `script` as `SQLite` itself would, so that its own checks find nothing.
#[track_caller]
fn is_found(script: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann", "ben"]);
    let file = folder.path().join("tokens.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(script).unwrap();
    connection.close().unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(folder.path(), &[]);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    assert!(Store::open_existing(folder.path(), &[]).is_err());
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
}

#[test]
fn one_bad_record_among_good_ones_is_found() {
    let one = "WHERE name = (SELECT min(name) FROM slot)";
    is_found(&format!("UPDATE slot SET sealed = zeroblob(length(sealed)) {one}"), "the seal of slot ");
    is_found(&format!("UPDATE slot SET sealed = x'' {one}"), "the seal of slot ");
    is_found(&format!("UPDATE slot SET sealed = zeroblob(2000000) {one}"), "no seal");
    is_found(&format!("UPDATE slot SET key_id = x'00' {one}"), "the seal of slot ");
    is_found(&format!("UPDATE slot SET version = version + 1 {one}"), "the seal of slot ");
    is_found(&format!("UPDATE slot SET name = 'ann' {one}"), "a name that no slot has");
}

#[test]
fn a_record_in_anothers_place_is_found() {
    is_found(
        "UPDATE slot SET sealed = (SELECT sealed FROM slot AS other WHERE other.name <> slot.name)",
        "the seal of slot ",
    );
}

#[test]
fn a_database_that_is_another_programs_is_refused() {
    is_found("PRAGMA application_id = 1", "not a token store");
    is_found("PRAGMA user_version = 0", "its tables");
    is_found("CREATE TABLE other (a)", "its tables");
    is_found("DROP TABLE slot", "its tables");
    is_found("PRAGMA journal_mode = DELETE", "the mark of its log");
    let trigger = "CREATE TRIGGER t AFTER INSERT ON slot BEGIN DELETE FROM slot; END";
    is_found(trigger, "its tables");
}

#[test]
fn a_refused_store_keeps_what_is_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &keys(&["right"]), &["ann"]);
    // A copy that is taken while the log is full, as a crash leaves it.
    let file = folder.path().join("tokens.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA user_version = 1; UPDATE slot SET version = 2").unwrap();
    let copy = tempfile::tempdir().unwrap();
    let parts = ["tokens.db", "tokens.db-wal"];
    for name in parts {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    drop(connection);
    let read = || parts.map(|name| fs::read(copy.path().join(name)).unwrap());
    let before = read();
    assert!(!before[1].is_empty());
    // The version of the log does not fit the seal.
    for names in [["right"], ["wrong"]] {
        refused(copy.path(), &keys(&names));
        assert!(read() == before, "the store was changed");
    }
}

#[test]
fn a_store_that_is_replaced_while_it_is_open_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &[]).unwrap();
    let file = folder.path().join("tokens.db");
    fs::rename(&file, folder.path().join("away")).unwrap();
    let is_replaced = |done: Result<(), StoreError>| matches!(done, Err(StoreError::Replaced { .. }));
    assert!(is_replaced(store.put(&slot("ann"), &mut record("ann"))));
    fs::copy(folder.path().join("away"), &file).unwrap();
    assert!(is_replaced(store.put(&slot("ann"), &mut record("ann"))));
    assert!(is_replaced(store.get(&slot("ann")).map(drop)));
}
