//! What the console is given: its password, and a house to show.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;
use tokio::net::TcpListener;
use tracing::info;

use super::{
    BuildError,
    accounts::AccountRow,
    authorize::{Authorize, Progress, Way},
    bridge::Bridge,
    expiry::credential_warning,
};
use crate::{
    account::Grant,
    clock::{SharedClock, ago, ahead},
    config,
    console::{self, Begun, Desk, Ended, Failed, Gate, Hosts, Overview, Row, Ways},
    failure::Explanation,
    ids::AppName,
    oauth::Standing,
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
    let port = listener.local_addr().map_err(bind)?.port();
    let password = password(console, state_dir).await?;
    let hosts = Hosts::new(&console.bind, port, console.public_url.as_ref());
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
pub(super) struct Shown(pub(super) Arc<Bridge>);

impl Desk for Shown {
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn overview(&self) -> Overview {
        let (bridge, now) = (&self.0, self.0.clock.now());
        let ends = bridge.tokens.credential_ends();
        let warnings = ends.into_iter().filter_map(|(app, ends)| credential_warning(&app, ends, now));
        let rows = bridge.account_rows();
        Overview {
            accounts: rows.into_iter().map(|row| in_words(row, &bridge.clock)).collect(),
            warnings: warnings.collect(),
            ..Overview::default()
        }
    }

    fn credential_ends(&self) -> Vec<(AppName, SystemTime)> {
        self.0.tokens.credential_ends()
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
            Progress::Failed { cause, cure } => Some(Ended::Failed(Explanation { cause, cure })),
        })
    }

    fn end_session(&self, _number: u64) -> bool {
        false
    }
}

fn in_words(row: AccountRow, clock: &SharedClock) -> Row {
    let now = clock.now();
    let since = |at: OffsetDateTime| ago(at.into(), now);
    let last_failure = row.last_failure.map(|last| Failed {
        when: last.at.map(since).unwrap_or_default(),
        why: Explanation { cause: last.cause, cure: last.cure },
    });
    let consent = [(Grant::AuthorizationCode, Ways::Both), (Grant::DeviceCode, Ways::Device)];
    let consent = consent.into_iter().find(|(grant, _)| grant.name() == row.grant).map(|(_, ways)| ways);
    let ill = [Standing::ConsentNeeded, Standing::Failing];
    Row {
        login: row.login,
        mailbox: row.mailbox.unwrap_or_else(|| "by login".to_owned()),
        app: row.app,
        grant: row.grant.replace('_', " "),
        is_well: !ill.iter().any(|standing| standing.name() == row.state),
        state: state(&row.state).to_owned(),
        trouble: row.trouble,
        expires: row.expires_at.map(|at| ahead(at.into(), now)),
        last_login: row.last_login.map(since),
        last_failure,
        consent,
        settings: Vec::new(),
    }
}

/// What the name of a [`Standing`] means.
fn state(name: &str) -> &str {
    let words = [
        (Standing::Ready, "ready"),
        (Standing::Unused, "not asked for yet"),
        (Standing::ConsentNeeded, "a person has to sign in"),
        (Standing::Failing, "failing"),
        (Standing::PerLogin, "by each login"),
    ];
    words.iter().find(|(standing, _)| standing.name() == name).map_or(name, |(_, words)| words)
}
