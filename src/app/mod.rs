//! The house: composes the rooms, opens the doors, and closes them again.
//!
//! The only room that knows everybody. [`App::build`] takes the state folder and binds every
//! listener, so that a mistake shows before anything is announced; [`App::run`] serves until it is
//! told to stop, and drains. `bridge` is what its tasks share, `doors` who is let in where, `control`
//! the socket that the program's other commands talk to.

mod accounts;
mod arrival;
mod authorize;
mod bridge;
mod brought;
mod certificates;
mod control;
mod doctor;
mod doors;
mod examination;
mod expiry;
mod lock;
pub mod logging;
mod names;
mod overview;
mod reload;
mod room;
mod web;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use sd_notify::NotifyState;
use tokio::{net::TcpListener, sync::Notify, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::{SharedClock, System},
    config::Config,
    console::{self, Console},
    ids::ProtocolKind,
    net::{certificate::PairError, https::Https},
    oauth::{ConfigureError, Tokens},
    policy::timing,
    secret::{Secret, SourceError},
    store::{Store, StoreError},
};

use bridge::Bridge;
use certificates::Certificates;
use doors::Bound;
use examination::Examinations;
use lock::StateLock;

pub use accounts::{AccountRow, FailureRow, Forget, Forgotten, Stored};
pub use authorize::{Alone, Authorize, Begun, Consenter, Pasted, Progress, Way};
pub use brought::bring;
pub use control::{ConsoleLink, Declined, EVENTS, Health, socket_path};
pub use doctor::{Examine, Practice, Queue};
pub use expiry::credential_warning;
pub use reload::Changes;

/// A bridge that is ready to serve.
#[derive(Debug)]
pub struct App {
    bridge: Arc<Bridge>,
    bound: Vec<Bound>,
    control: Option<control::Socket>,
    console: Option<(TcpListener, Option<Https>)>,
    _lock: StateLock,
}

/// Why a bridge could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The state folder cannot be made or used.
    #[error(
        "cannot use state_dir {}: {error}\n  cure: set state_dir to a folder that this user may write, or let systemd make one with StateDirectory=",
        path.display()
    )]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another bridge serves from the same state folder.
    #[error(
        "another footbridge serves from state_dir {} already\n  cure: stop it, or give this one a state_dir of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// An address cannot be listened on.
    #[error("cannot listen on {bind}: {error}\n  cure: {}", cure_for_bind(error))]
    Bind {
        /// The address of the configuration.
        bind: String,
        /// What the system said.
        error: io::Error,
    },
    /// The certificate of a listener cannot be used.
    #[error("{}\n  cure: {}", .0, .0.cure())]
    Certificate(PairError),
    /// No certificate could be made.
    #[error(
        "cannot make a certificate for the listeners: {0}\n  cure: name one with certificate and key in [tls]"
    )]
    Made(String),
    /// The bridge is at fault.
    #[error("internal error")]
    Internal,
    /// A key of the store cannot be read.
    #[error("cannot read a key of [store]: {0}\n  cure: see to it that it can be read there")]
    StoreKey(#[from] SourceError),
    /// The password of the console cannot be read.
    #[error("cannot read the password of [console]: {0}\n  cure: see to it that it can be read there")]
    ConsolePassword(SourceError),
    /// The store of tokens cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The configuration's tokens cannot be taken up.
    #[error("{0}")]
    Configure(#[from] ConfigureError),
}

fn cure_for_bind(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "another program has that port (ss -ltnp names it): stop it, or choose another port"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "choose a port from 1024 up, or allow this one with AmbientCapabilities=CAP_NET_BIND_SERVICE"
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        "no interface of this machine has that address: choose one that it has"
    } else {
        "choose an address and a port of this machine"
    }
}

/// Signals to a running bridge.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Close the listeners, send away who has not logged in, give the others their grace.
    pub gently: CancellationToken,
    /// End at once.
    pub now: CancellationToken,
    /// Read the configuration again.
    pub reload: Arc<Notify>,
}

impl App {
    /// Takes the state folder and binds every listener. Serves nobody yet, until `stop` at the longest.
    /// `path` is where the configuration is read again.
    ///
    /// # Errors
    /// [`BuildError`] names the folder or the address.
    pub async fn build(path: &Path, config: Config, stop: Stop) -> Result<Self, BuildError> {
        let lock = StateLock::take(&config.state_dir)?;
        let mut bound = Vec::new();
        let clock: SharedClock = Arc::new(System);
        let room = room::make(config.limits.max_connections);
        let certificates = Arc::new(Certificates::new(&config.state_dir, Arc::clone(&clock)));
        let (at_console, own) = (config.console.as_ref(), &config.own_certificate);
        let prepared = certificates.prepare(&config.listeners, at_console, own).await?;
        let https = prepared.https();
        for wanted in &config.listeners {
            bound.push(Bound::new(wanted, &prepared).await?);
        }
        certificates.show(prepared)?;
        let (console, gate) = match &config.console {
            Some(console) => {
                let (listener, gate) = web::open(console, &config.state_dir, Arc::clone(&clock)).await?;
                (Some(listener), Some(gate))
            }
            None => (None, None),
        };
        let control = control::Socket::bind(&config.state_dir)?;
        let tokens = Arc::new(Tokens::new(store(&config).await?, Arc::clone(&clock)));
        let port = console.as_ref().and_then(|console| console.local_addr().ok()).map(|addr| addr.port());
        let served = port.map_or(Console::Closed { bind: None, https: None }, Console::Served);
        let consenter = Consenter::new(Arc::clone(&tokens), served, Arc::clone(&clock));
        let bridge = Arc::new(
            Bridge::new(
                path.to_owned(),
                config,
                (tokens, consenter, gate),
                certificates,
                (clock, room),
                stop,
            )
            .await?,
        );
        Ok(Self { bridge, bound, control, console: console.map(|console| (console, https)), _lock: lock })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = (ProtocolKind, SocketAddr)> + '_ {
        self.bound.iter().map(|bound| (bound.terms.wanted.protocol, bound.listener.addr()))
    }

    /// Serves until it is told to stop, then drains: returns when every session has ended.
    pub async fn run(self) {
        let Self { bridge, bound, control, console, _lock } = self;
        bridge.open(bound);
        bridge.keep_tokens();
        bridge.obey_reloads();
        bridge.watch_credentials();
        bridge.keep_certificates();
        let gone = CancellationToken::new();
        let controlled = control::serve(control, Arc::clone(&bridge), gone.clone());
        let shown = show(console, &bridge, gone.clone());
        let serving = async {
            announce(&[NotifyState::Ready]);
            info!(accounts = bridge.house().accounts.len(), version = env!("CARGO_PKG_VERSION"), "ready");
            bridge.stop.gently.cancelled().await;
            drain(&bridge).await;
            bridge.consenter.finish().await;
            gone.cancel();
        };
        tokio::join!(serving, controlled, shown);
        info!("stopped");
    }
}

/// Serves the console, where there is one, until `stop`.
async fn show(console: Option<(TcpListener, Option<Https>)>, bridge: &Arc<Bridge>, stop: CancellationToken) {
    let Some(((listener, https), gate)) = console.zip(bridge.gate.clone()) else { return };
    if let Ok(addr) = listener.local_addr() {
        let tls = if https.is_some() { "implicit" } else { "none" };
        info!(listener.addr = %addr, tls, url = gate.address(), "console");
    }
    let router = console::router(
        Arc::clone(&bridge.tokens),
        gate,
        Arc::new(web::Shown(Arc::clone(bridge), Examinations::default())),
    );
    console::serve(listener, https, router, stop).await;
}

/// Lets the sessions end: closes the doors, sends away who has not logged in, waits for the others as
/// long as they may take.
async fn drain(bridge: &Bridge) {
    announce(&[NotifyState::Stopping]);
    let (sessions, house) = (&bridge.sessions, bridge.house());
    info!(sessions = sessions.len(), grace = ?house.timing.drain_grace, "draining");
    bridge.accepting.close();
    bridge.accepting.wait().await;
    house.draining.cancel();
    sessions.close();
    let gone = timeout(house.timing.drain_grace, sessions.wait());
    if bridge.stop.now.run_until_cancelled(gone).await.is_none_or(|waited| waited.is_err()) {
        info!(sessions = sessions.len(), "cutting the sessions that are left");
        house.register.close();
        let _ = timeout(timing::FAREWELL, sessions.wait()).await;
    }
    // A refresh that is in flight must finish: what it brings may exist nowhere else. Other token
    // requests may, unless the authority is slow.
    let _ =
        timeout(timing::LAST_REFRESH, bridge.stop.now.run_until_cancelled(bridge.tokens.finish_refreshes()))
            .await;
    let _ = timeout(timing::FAREWELL, bridge.stop.now.run_until_cancelled(bridge.tokens.finish())).await;
}

async fn store(config: &Config) -> Result<Arc<Store>, BuildError> {
    let (state_dir, keys) = (config.state_dir.clone(), store_keys(config).await?);
    Ok(Arc::new(blocking(move || Store::open(&state_dir, &keys)).await?))
}

/// The sealing keys of the configuration; none where the store has its own.
async fn store_keys(config: &Config) -> Result<Vec<Secret>, SourceError> {
    let mut keys = Vec::new();
    for source in &config.store_keys {
        keys.push(source.read().await?);
    }
    Ok(keys)
}

/// Lets the store block a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let broken = |error: tokio::task::JoinError| StoreError::Io {
        doing: "open",
        path: "tokens.db".into(),
        error: error.into(),
    };
    spawn_blocking(work).await.map_err(broken)?
}

/// Tells the service manager, where there is one.
fn announce(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot notify the service manager");
    }
}
