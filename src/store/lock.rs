//! Locks across processes and threads, by files that the system unlocks when a process dies.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{StoreError, files};

/// How often a lock is looked at that somebody holds. There is no waiting for a file lock with an end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Holds one slot for whoever renews it, until it is dropped.
#[derive(Debug)]
pub struct SlotLock {
    file: File,
}

impl SlotLock {
    /// Waits for the lock `name` of the folder `locks`, however long another holds it.
    ///
    /// Every call opens the file anew, and the lock belongs to what was opened (flock(2), LockFileEx):
    /// two threads of one process exclude each other as two processes do.
    pub(super) fn wait(locks: &Path, name: &str) -> Result<Self, StoreError> {
        let (file, path) = open(locks, name)?;
        loop {
            match file.lock() {
                Ok(()) => return Ok(Self { file }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(StoreError::io("lock", &path)(error)),
            }
        }
    }

    /// As [`SlotLock::wait`], but no longer than `patience`: a holder may be stopped and never go on.
    pub(super) fn wait_within(locks: &Path, name: &str, patience: Duration) -> Result<Self, StoreError> {
        let mut left = patience;
        loop {
            if let Some(lock) = Self::try_take(locks, name)? {
                return Ok(lock);
            }
            if left.is_zero() {
                return Err(StoreError::Busy { path: locks.join(name) });
            }
            thread::sleep(LOOK_AGAIN);
            left = left.saturating_sub(LOOK_AGAIN);
        }
    }

    /// Takes the lock, or `None` where another holds it.
    pub(super) fn try_take(locks: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let (file, path) = open(locks, name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
        }
    }
}

impl Drop for SlotLock {
    /// Closing the file unlocks it too, but not where a child that was forked meanwhile has it as well.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The files stay when nobody holds them: to remove one is to lock out those who wait for it.
fn open(locks: &Path, name: &str) -> Result<(File, PathBuf), StoreError> {
    files::make_folder(locks).map_err(StoreError::io("make", locks))?;
    let path = locks.join(name);
    let file = files::open_lock(&path).map_err(StoreError::io("open", &path))?;
    Ok((file, path))
}
