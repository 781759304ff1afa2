//! Opening, reading, writing and the keys.

use rusqlite::Connection;

use super::*;

#[test]
fn what_is_put_is_got_back_by_another_store_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (Store::open(folder.path(), &[]).unwrap(), Store::open(folder.path(), &[]).unwrap());
    assert_eq!(other.get(&slot("ann")).unwrap(), None);
    let mut ann = record("ann");
    store.put(&slot("ann"), &mut ann).unwrap();
    assert_eq!(ann, Record { version: 1, ..record("ann") });
    assert_eq!(other.get(&slot("ann")).unwrap().as_ref(), Some(&ann));
    drop((store, other));
    let again = Store::open(folder.path(), &[]).unwrap();
    assert_eq!(again.all().unwrap(), [(slot("ann"), ann)]);
    assert!(again.remove(&slot("ann")).unwrap());
    assert!(!again.remove(&slot("ann")).unwrap());
    assert_eq!(again.all().unwrap(), []);
}

#[test]
fn an_older_record_does_not_undo_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &[]).unwrap();
    let mut first = record("ann");
    store.put(&slot("ann"), &mut first).unwrap();
    let (mut one, mut two) = (first.clone(), first);
    store.put(&slot("ann"), &mut one).unwrap();
    for late in [&mut two, &mut record("ann")] {
        let error = store.put(&slot("ann"), late).unwrap_err();
        assert!(matches!(error, StoreError::Changed { .. }), "{error}");
    }
    assert_eq!(store.get(&slot("ann")).unwrap().as_ref(), Some(&one));
    store.remove(&slot("ann")).unwrap();
    assert!(matches!(store.put(&slot("ann"), &mut one), Err(StoreError::Changed { .. })));
    assert_eq!(store.get(&slot("ann")).unwrap(), None);
    store.put(&slot("ann"), &mut record("ann")).unwrap();
}

#[test]
fn a_record_that_does_not_fit_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &[]).unwrap();
    let mut ann = record("ann");
    store.put(&slot("ann"), &mut ann).unwrap();
    let large = Some(Secret::new(vec![b'a'; 1024 * 1024]));
    let early = Some(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    let unfit = [Record { refresh_token: large, ..ann.clone() }, Record { last_used: early, ..ann.clone() }];
    for mut unfit in unfit {
        let error = store.put(&slot("ann"), &mut unfit).unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
    }
    assert_eq!(store.get(&slot("ann")).unwrap(), Some(ann));
}

#[test]
fn slots_that_nobody_claims_are_removed_when_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &[]).unwrap();
    for (name, since) in [("ann", None), ("ben", Some(at(100))), ("cyd", Some(at(99)))] {
        store.put(&slot(name), &mut Record { unclaimed_since: since, ..record(name) }).unwrap();
    }
    assert_eq!(store.purge(at(100)).unwrap(), [slot("cyd")]);
    assert_eq!(store.purge(at(100)).unwrap(), []);
    assert_eq!(store.all().unwrap().len(), 2);
}

#[test]
fn no_file_of_the_folder_holds_a_token_or_says_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &keys(&["new"])).unwrap();
    for name in ["ann", "ben"] {
        store.put(&slot(name), &mut record(name)).unwrap();
    }
    let bytes: Vec<u8> = files(folder.path()).iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let words =
        ["refresh-token-of", "access-token-of", "older-token-of", "example.com", "contoso", "sealing-key"];
    // As text and, as records are written, in base64: at any of its three offsets some of these stand.
    let base64 = ["ZnJlc2gtdG9rZW4t", "cmVmcmVzaC10b2tl", "YWNjZXNzLXRva2Vu", "b2xkZXItdG9rZW4t"];
    for word in words.iter().chain(&base64) {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    assert!(!format!("{store:?}").contains("sealing-key"));
}

#[test]
fn another_key_opens_nothing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &keys(&["right"]), &["ann", "ben"]);
    let file = folder.path().join("tokens.db");
    let before = fs::read(&file).unwrap();
    for wrong in [keys(&["wrong"]), keys(&["wrong", "worse"])] {
        let error = refused(folder.path(), &wrong);
        assert!(matches!(error, StoreError::WrongKey { key_file: None, .. }), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_lost_key_file_is_missed_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann"]);
    let key = folder.path().join("store.key");
    fs::rename(&key, folder.path().join("elsewhere")).unwrap();
    let error = refused(folder.path(), &[]);
    assert!(matches!(error, StoreError::NoKey { .. }), "{error}");
    assert!(error.to_string().contains("store.key"), "{error}");
    assert!(Store::open_existing(folder.path(), &[]).is_err());
    assert!(!key.exists());
    fs::rename(folder.path().join("elsewhere"), &key).unwrap();
    assert_eq!(Store::open(folder.path(), &[]).unwrap().all().unwrap().len(), 1);
}

#[test]
fn an_empty_store_gets_a_new_key_for_a_lost_one() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &[]);
    fs::remove_file(folder.path().join("store.key")).unwrap();
    assert!(Store::open_existing(folder.path(), &[]).unwrap().is_none());
    fill(folder.path(), &[], &["ann"]);
}

#[test]
fn a_key_file_that_holds_no_key_is_told_from_another_key() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann"]);
    let file = folder.path().join("store.key");
    let key = fs::read(&file).unwrap();
    for broken in [&b""[..], &key[..43], &[&key[..], b"A"].concat(), b"not a key", &[0xff; 100]] {
        fs::write(&file, broken).unwrap();
        let error = refused(folder.path(), &[]);
        assert!(matches!(error, StoreError::DamagedKey { .. }), "{error}");
    }
    let mut other = key.clone();
    other[3] = if other[3] == b'A' { b'B' } else { b'A' };
    fs::write(&file, &other).unwrap();
    let error = refused(folder.path(), &[]);
    assert!(matches!(&error, StoreError::WrongKey { key_file: Some(path), .. } if *path == file), "{error}");
    // A line end, as editors leave one, is no part of it.
    fs::write(&file, [&key[..], b"\n"].concat()).unwrap();
    Store::open(folder.path(), &[]).unwrap();
}

#[test]
fn keys_are_rotated_by_a_list() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &keys(&["old"]), &["ann", "ben"]);
    let before = Store::open(folder.path(), &keys(&["old"])).unwrap().all().unwrap();
    fill(folder.path(), &keys(&["new", "old"]), &["cyd"]);
    let store = Store::open(folder.path(), &keys(&["new"])).unwrap();
    assert_eq!(store.all().unwrap().len(), 3);
    for (slot, record) in before {
        assert_eq!(store.get(&slot).unwrap(), Some(record));
    }
    drop(store);
    assert!(matches!(refused(folder.path(), &keys(&["old"])), StoreError::WrongKey { .. }));
}

#[test]
fn a_look_does_not_rotate() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &keys(&["old"]), &["ann"]);
    let store = Store::open_existing(folder.path(), &keys(&["new", "old"])).unwrap().unwrap();
    assert_eq!(store.all().unwrap().len(), 1);
    drop(store);
    Store::open(folder.path(), &keys(&["old"])).unwrap();
}

#[test]
fn the_key_that_was_made_can_be_named_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann"]);
    let made = Secret::new(fs::read(folder.path().join("store.key")).unwrap());
    fill(folder.path(), &[keys(&["new"]).remove(0), made], &["ben"]);
    assert_eq!(Store::open(folder.path(), &keys(&["new"])).unwrap().all().unwrap().len(), 2);
}

#[test]
fn a_short_key_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [Secret::new("0123456789abcdef"), Secret::new("0123456789abcde")];
    let error = refused(folder.path(), &keys);
    assert!(matches!(error, StoreError::WeakKey { number: 2, least: 16, .. }), "{error}");
    assert!(!error.to_string().contains("0123"), "{error}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    Store::open(folder.path(), &keys[..1]).unwrap();
}

#[test]
fn a_look_at_a_folder_without_a_store_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Store::open_existing(folder.path(), &[]).unwrap().is_none());
    assert!(Store::open_existing(&folder.path().join("none"), &[]).unwrap().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_store_of_a_later_version_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann"]);
    let file = folder.path().join("tokens.db");
    let later = Connection::open(&file).unwrap();
    later.execute_batch("PRAGMA user_version = 2; ALTER TABLE slot ADD COLUMN colour TEXT").unwrap();
    later.close().unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(folder.path(), &[]);
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn everything_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    let store = Store::open(&state, &[]).unwrap();
    store.put(&slot("ann"), &mut record("ann")).unwrap();
    let _lock = store.lock(&slot("ann")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("locks"))), (0o700, 0o700));
    let found = files(&state);
    for name in ["tokens.db", "tokens.db-wal", "tokens.db-shm", "store.key"] {
        assert!(found.contains(&state.join(name)), "{name}");
    }
    for file in found {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn what_an_interrupted_creation_left_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["tokens.db.new", "tokens.db.new-wal", "tokens.db.new-journal", "tokens.db-wal", "store.key.new"]
    {
        fs::write(folder.path().join(name), "half of it").unwrap();
    }
    fill(folder.path(), &[], &["ann"]);
    assert_eq!(Store::open(folder.path(), &[]).unwrap().all().unwrap().len(), 1);
    let mut names: Vec<_> = files(folder.path());
    names.sort();
    let expected = ["locks/store", "store.key", "tokens.db"].map(|name| folder.path().join(name));
    assert_eq!(names, expected);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state"), &[]).unwrap_err().to_string();
    assert!(
        error.contains("cannot make") && error.contains("file/state") && error.contains("cure: "),
        "{error}"
    );
}
