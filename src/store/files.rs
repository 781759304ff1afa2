//! The files of the store, for their owner alone whatever the umask is.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::StoreError;

/// Where the files of a store are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// The store.
    pub(super) database: PathBuf,
    /// The sealing key, where the configuration has none.
    pub(super) key: PathBuf,
    /// The folder of the locks.
    pub(super) locks: PathBuf,
}

impl Place {
    pub(super) fn new(folder: &Path) -> Result<Self, StoreError> {
        // SQLite takes a relative path that begins with `file:` for an address.
        let folder = std::path::absolute(folder).map_err(StoreError::io("find", folder))?;
        Ok(Self {
            database: folder.join("tokens.db"),
            key: folder.join("store.key"),
            locks: folder.join("locks"),
            folder,
        })
    }

    /// Whether there is a store.
    pub(super) fn has_database(&self) -> Result<bool, StoreError> {
        self.database.try_exists().map_err(StoreError::io("look for", &self.database))
    }

    /// The file beside `file` that `SQLite` or an interrupted creation may have left: `tokens.db-wal`.
    pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    }
}

/// Makes the folder where there is none.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => restrict(folder, 0o700),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a file to lock it, and makes it where there is none.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    private().create(true).truncate(false).open(path)
}

/// Makes an empty file in the place of whatever is there.
pub(super) fn make_anew(path: &Path) -> io::Result<File> {
    remove(path)?;
    let file = private().create_new(true).open(path)?;
    restrict(path, 0o600)?;
    Ok(file)
}

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file that is there whole or not at all, whenever the power fails.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = Place::beside(path, ".new");
    make_anew(&new)?.write_all(bytes)?;
    rename_durably(&new, path)
}

/// Gives a finished file its name.
pub(super) fn rename_durably(new: &Path, path: &Path) -> io::Result<()> {
    private().open(new)?.sync_all()?;
    fs::rename(new, path)?;
    // The name is durable when the folder is; elsewhere than on Unix a folder cannot be synced.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Sets the mode again: the umask may have taken more from it than is bearable.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Tells a file from another one that has taken its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileId(#[cfg(unix)] (u64, u64));

impl FileId {
    /// Who has the name `path` at present.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).map(|file| Self((file.dev(), file.ino())))
    }

    /// Elsewhere than on Unix a file that is open cannot be replaced.
    #[cfg(not(unix))]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self())
    }
}
