//! Why the store cannot be used, and the cure.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Error as Sqlite, ErrorCode};

use crate::ids::SlotId;

/// What is wrong with the store: the text names the file and the cure.
///
/// Whatever it is, the file is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is no token store, or not all of one any more.
    #[error(
        "{} is damaged: {found}\n  cure: put back a backup of it and remove {}-wal and {}-shm, or move it away and have its accounts authorized again",
        path.display(), name(path), name(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// The file that holds the sealing key does not hold one.
    #[error(
        "{} holds no sealing key: {found}\n  cure: put back a backup of it; without one move {} away and have its accounts authorized again",
        path.display(), store.display()
    )]
    DamagedKey {
        /// The file of the key.
        path: PathBuf,
        /// The store that is sealed with it.
        store: PathBuf,
        /// What was found instead of a key.
        found: &'static str,
    },
    /// A later version of Footbridge wrote the store.
    #[error(
        "{} was written by a later version of Footbridge (schema {found}, this one knows {known})\n  cure: run that version, or put back a backup that was made before it ran",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i32,
        /// The latest version that is known here.
        known: i32,
    },
    /// None of the keys opens what is in the store.
    #[error("{} is sealed with another key than {}\n  cure: {}", path.display(), whence(key_file.as_deref()), cure_for_key(key_file.as_deref()))]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// Where the key was read from; `None` for the configuration.
        key_file: Option<PathBuf>,
    },
    /// There are tokens, and the file with the key that they are sealed with is gone.
    #[error(
        "{} holds tokens, but {} with its sealing key is gone\n  cure: put back a backup of that file; without one move the store away and have its accounts authorized again",
        path.display(), key_file.display()
    )]
    NoKey {
        /// The file of the store.
        path: PathBuf,
        /// The file that is missing.
        key_file: PathBuf,
    },
    /// A key of the configuration is too short to keep anybody out.
    #[error(
        "cannot seal {} with key {number} of [store]: it is shorter than {least} bytes\n  cure: make one with: openssl rand -base64 32",
        path.display()
    )]
    WeakKey {
        /// The file.
        path: PathBuf,
        /// Which of the keys, from 1.
        number: usize,
        /// How many bytes a key has at least.
        least: usize,
    },
    /// The record was written or removed since it was read.
    #[error(
        "cannot write slot {slot} of {}: somebody else has written or removed it meanwhile\n  cure: read it again first",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The slot.
        slot: SlotId,
    },
    /// The record cannot be kept.
    #[error("cannot write a record to {}: {why}\n  cure: {cure}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with the record.
        why: String,
        /// What helps.
        cure: &'static str,
    },
    /// Somebody put another file in the place of the one that is open, or took it away.
    #[error("{} was replaced or removed while it was open\n  cure: restart footbridge", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the store longer than anybody should.
    #[error(
        "{} is held by another process for too long\n  cure: try again; if that does not help, end the process that holds it (fuser names it)",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error(
        "cannot {doing} {}: {error}\n  cure: see that the folder is on a local disk with free space and belongs to the user that runs footbridge",
        path.display()
    )]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// For what the system refuses while `doing` something to `path`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { doing, path: path.to_owned(), error: error.into() }
    }

    /// For what `SQLite` refuses while `doing` something to the store at `path`.
    ///
    /// Our statements are constant: what `SQLite` does not understand in them is a file that does not
    /// hold what they ask for.
    pub(super) fn sqlite(doing: &'static str, path: &Path) -> impl Fn(Sqlite) -> Self {
        move |error| {
            let path = path.to_owned();
            match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) | None => {
                    Self::Damaged { path, found: error.to_string() }
                }
                Some(_) => Self::Io { doing, path, error: error.into() },
            }
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn whence(key_file: Option<&Path>) -> String {
    key_file
        .map_or_else(|| "those of [store] key".to_owned(), |path| format!("the one in {}", path.display()))
}

fn cure_for_key(key_file: Option<&Path>) -> &'static str {
    if key_file.is_some() {
        "put back the key file that was made with it, or name in [store] key the one it is sealed with"
    } else {
        "name the key it is sealed with in [store] key, after the one that shall seal it; the key that footbridge made is in store.key"
    }
}
