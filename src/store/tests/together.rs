//! Several threads and processes at one store.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use super::*;

#[test]
fn a_store_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Arc<Store>>();
    shared::<super::super::SlotLock>();
}

#[test]
fn a_slot_is_held_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (Store::open(folder.path(), &[]).unwrap(), Store::open(folder.path(), &[]).unwrap());
    let held = store.lock(&slot("ann")).unwrap();
    assert!(store.try_lock(&slot("ann")).unwrap().is_none());
    assert!(other.try_lock(&slot("ann")).unwrap().is_none());
    assert!(other.try_lock(&slot("ben")).unwrap().is_some());
    drop(held);
    assert!(other.try_lock(&slot("ann")).unwrap().is_some());
}

#[test]
fn writers_that_hold_the_slot_lose_no_write() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 15;
    let folder = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                barrier.wait();
                // All of them find no store, and one makes it.
                let store = Store::open(folder.path(), &[]).unwrap();
                for _ in 0..WRITES {
                    let _held = store.lock(&slot("ann")).unwrap();
                    let mut record = store.get(&slot("ann")).unwrap().unwrap_or_default();
                    record.scopes.push(record.version.to_string());
                    store.put(&slot("ann"), &mut record).unwrap();
                }
            });
        }
    });
    let record = Store::open(folder.path(), &[]).unwrap().get(&slot("ann")).unwrap().unwrap();
    assert_eq!(record.version, WRITERS * WRITES);
    let expected: Vec<_> = (0..WRITERS * WRITES).map(|version| version.to_string()).collect();
    assert_eq!(record.scopes, expected);
}

#[test]
fn readers_are_not_in_the_way_of_writers() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ann", "ben"]);
    let reader = Store::open_existing(folder.path(), &[]).unwrap().unwrap();
    let writer = Store::open(folder.path(), &[]).unwrap();
    thread::scope(|scope| {
        let written = scope.spawn(|| {
            let mut record = writer.get(&slot("ann")).unwrap().unwrap();
            for _ in 0..30 {
                writer.put(&slot("ann"), &mut record).unwrap();
            }
        });
        while !written.is_finished() {
            assert_eq!(reader.all().unwrap().len(), 2);
        }
    });
    assert_eq!(reader.get(&slot("ann")).unwrap().unwrap().version, 31);
}
