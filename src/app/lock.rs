//! One bridge to a state folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::Path,
};

use super::BuildError;

/// Holds the state folder until it is dropped; the system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the folder where there is none, for its owner alone, and locks it.
    pub(super) fn take(folder: &Path) -> Result<Self, BuildError> {
        let trouble = |error| BuildError::StateDir { path: folder.to_owned(), error };
        make_private(folder).map_err(trouble)?;
        let mut file = private_file(&folder.join("lock")).map_err(trouble)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(BuildError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(trouble(error)),
        }
        // For a person who wonders who holds it; the lock itself is the system's.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(trouble)?;
        Ok(Self { _file: file })
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_one_folder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let first = StateLock::take(&state).unwrap();
        let refused = StateLock::take(&state).unwrap_err();
        assert!(matches!(refused, BuildError::InUse(_)), "{refused}");
        drop(first);
        StateLock::take(&state).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_new_state_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let _lock = StateLock::take(&state).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join("lock"))), (0o700, 0o600));
    }
}
