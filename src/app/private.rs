//! Files of the state folder that are for the bridge's user alone.

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Writes a file so that it is there with all of it or not at all, and readable for nobody else.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let making = path.with_added_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    // What a killed process has left may be of another mode.
    if making.exists() {
        fs::remove_file(&making)?;
    }
    let mut file = options.open(&making)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&making, path)
}
