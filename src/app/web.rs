//! What the console is given: its password, and a house to show.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tracing::info;

use super::{
    BuildError,
    authorize::{Authorize, Pasted, Progress, Way},
    bridge::Bridge,
    examination::Examinations,
    overview,
};
use crate::{
    clock::SharedClock,
    config,
    console::{self, Attending, Begun, Desk, Ended, Examination, Gate, Hosts, Measures, Overview},
    failure::Explanation,
    ids::SessionId,
    secret::{Secret, Source, generated},
    store::write_whole,
};

/// The file in the state folder with the password that was made.
const PASSWORD: &str = "console.password";

/// Binds the console, and learns or makes its password.
pub(super) async fn open(
    console: &config::Console,
    state_dir: &Path,
    clock: SharedClock,
) -> Result<(TcpListener, Arc<Gate>), BuildError> {
    let bind = |error| BuildError::Bind { bind: console.bind.clone(), error };
    let listener = TcpListener::bind(&console.bind).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let password = password(console, state_dir).await?;
    let hosts = Hosts::new(&console.bind, bound, console.tls.is_some(), console.public_url.as_ref());
    Ok((listener, Arc::new(Gate::new(hosts, &password, clock))))
}

async fn password(console: &config::Console, state_dir: &Path) -> Result<Secret, BuildError> {
    if let Some(source) = &console.password {
        return source.read().await.map_err(BuildError::ConsolePassword);
    }
    let path = state_dir.join(PASSWORD);
    let unusable = |error| BuildError::StateDir { path: path.clone(), error };
    if !fs::exists(&path).map_err(unusable)? {
        make(&path).map_err(unusable)?;
    }
    info!(path = %path.display(), "the console's password is in a file");
    Source::File(path).read().await.map_err(BuildError::ConsolePassword)
}

/// Writes a new password, so that the file is there with all of it or not at all.
fn make(path: &Path) -> io::Result<()> {
    let password = generated().ok_or_else(|| io::Error::other("the system has no randomness"))?;
    write_whole(path, &[password.as_bytes(), b"\n"].concat())
}

/// The house that the console shows.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Bridge>, pub(super) Examinations);

impl Desk for Shown {
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn overview(&self) -> Overview {
        overview::overview(&self.0)
    }

    fn measures(&self) -> Measures {
        overview::measures(&self.0)
    }

    async fn begin(&self, login: &str, device: bool) -> Result<Begun, Explanation> {
        let accounts = Arc::clone(&self.0.house().accounts);
        let wanted = Authorize { login: login.to_owned(), device };
        let begun = self.0.consenter.begin(&accounts, &wanted).await?;
        let way = match begun.way {
            Way::Browser { url, redirect_uri } => console::Way::Browser { url, redirect_uri },
            Way::Device { user_code, verification_uri, complete_uri } => {
                console::Way::Device { user_code, verification_uri, complete_uri }
            }
        };
        Ok(Begun { id: begun.id, login: begun.login, sign_in: begun.sign_in, way })
    }

    async fn ended(&self, id: &str) -> Result<Option<Ended>, Explanation> {
        Ok(match self.0.consenter.progress(id, Duration::ZERO).await? {
            Progress::Pending => None,
            Progress::Done { signed_in, .. } => Some(Ended::Done { signed_in }),
            Progress::Failed { cause, cure } => Some(Ended::Failed(Explanation::new(cause, cure))),
        })
    }

    fn session(&self, number: u64) -> Option<Attending> {
        overview::session(&self.0, number)
    }

    fn end_session(&self, number: u64) -> bool {
        let is_there = self.0.house().register.end(SessionId(number));
        info!(session.id = number, is_there, "session ended at the console");
        is_there
    }

    async fn paste(&self, address: &str) -> Result<(), Explanation> {
        self.0.consenter.pasted(&Pasted { address: address.to_owned() }).await
    }

    fn examine(&self, login: &str, send_to: Option<&str>) -> Result<String, Explanation> {
        self.1.begin(&self.0, login, send_to)
    }

    fn examination(&self, id: &str) -> Option<Examination> {
        self.1.shown(id)
    }
}
