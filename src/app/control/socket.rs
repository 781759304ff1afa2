//! The socket itself: made so that nobody else can ever connect, and removed at the end.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{super::BuildError, Bridge, router, socket_path};
use crate::policy::timing;

/// The bound socket, whose file is removed when this is dropped.
#[derive(Debug)]
pub(in crate::app) struct Socket {
    listener: UnixListener,
    file: Placed,
}

#[derive(Debug)]
struct Placed(PathBuf);

impl Drop for Placed {
    fn drop(&mut self) {
        // It may lie there: whoever connects is told that nobody listens.
        let _ = fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Listens in a state folder, which must be locked: what lies there is a dead process's then. `None`,
    /// with a warning, where the folder's path is too long for a socket's address.
    pub(in crate::app) fn bind(state_dir: &Path) -> Result<Option<Self>, BuildError> {
        match Self::place(state_dir) {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                warn!(
                    cause = format!("the path of state_dir {} is too long for a socket", state_dir.display()),
                    cure = "choose a state_dir whose path has fewer than 90 characters",
                    "other commands cannot talk to this bridge"
                );
                Ok(None)
            }
            Err(error) => Err(BuildError::StateDir { path: state_dir.to_owned(), error }),
        }
    }

    /// Binds in a folder that is closed to everybody else, so that at no time anybody could connect, and
    /// then moves the socket where it is looked for.
    fn place(state_dir: &Path) -> io::Result<Self> {
        let (path, closed) = (socket_path(state_dir), state_dir.join("control.new"));
        let _ = fs::remove_dir_all(&closed);
        DirBuilder::new().mode(0o700).create(&closed)?;
        let making = closed.join("s");
        let listener = UnixListener::bind(&making).and_then(|listener| {
            fs::set_permissions(&making, Permissions::from_mode(0o600))?;
            fs::rename(&making, &path)?;
            Ok(listener)
        });
        fs::remove_dir_all(&closed)?;
        Ok(Self { listener: listener?, file: Placed(path) })
    }
}

/// Answers until `stop`, and lets requests that are being answered finish, unless they take long.
pub(in crate::app) async fn serve(socket: Option<Socket>, bridge: Arc<Bridge>, stop: CancellationToken) {
    let Some(Socket { listener, file }) = socket else { return };
    let serving = axum::serve(listener, router(bridge));
    let serving = serving.with_graceful_shutdown(stop.clone().cancelled_owned()).into_future();
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(timing::FAREWELL).await;
    };
    // Either may be dropped: who is still connected then sees the connection end.
    let served = tokio::select! {
        served = serving => served,
        () = too_long => Ok(()),
    };
    if let Err(error) = served {
        warn!(%error, "the control socket is out of order");
    }
    drop(file);
}
