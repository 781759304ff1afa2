//! The house: composes the rooms, opens the doors, and closes them again.
//!
//! The only room that knows everybody. [`App::build`] takes the state folder and binds every
//! listener, so that a mistake shows before anything is announced; [`App::run`] serves until it is
//! told to stop, and drains.

mod lock;
pub mod logging;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sd_notify::NotifyState;
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    account::Verifier,
    clock::{SharedClock, System},
    config::Config,
    dialogue::Protocol,
    ids::{ProtocolKind, SessionId},
    imap::Imap,
    net::{listener::Listener, names::Names},
    oauth::{ConfigureError, Tokens},
    policy::timing,
    secret::SourceError,
    session::{self, House, Promises},
    smtp::Smtp,
    store::{Store, StoreError},
};

use lock::StateLock;

/// A bridge that is ready to serve.
#[derive(Debug)]
pub struct App {
    house: Arc<House>,
    listeners: Vec<(ProtocolKind, Listener)>,
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
    /// A key of the store cannot be read.
    #[error("cannot read a key of [store]: {0}\n  cure: see to it that it can be read there")]
    StoreKey(#[from] SourceError),
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
}

impl App {
    /// Takes the state folder and binds every listener. Serves nobody yet.
    ///
    /// # Errors
    /// [`BuildError`] names the folder or the address.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let lock = StateLock::take(&config.state_dir)?;
        let mut listeners = Vec::new();
        for wanted in &config.listeners {
            let bind = |error| BuildError::Bind { bind: wanted.bind.clone(), error };
            listeners.push((wanted.protocol, Listener::bind(&wanted.bind).await.map_err(bind)?));
        }
        let house = Arc::new(house(config).await?);
        Ok(Self { house, listeners, _lock: lock })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = (ProtocolKind, std::net::SocketAddr)> + '_ {
        self.listeners.iter().map(|(kind, listener)| (*kind, listener.addr()))
    }

    /// Serves until `stop` says otherwise, then drains: returns when every session has ended.
    pub async fn run(self, stop: Stop) {
        let Self { house, listeners, _lock } = self;
        let (sessions, accepting) = (TaskTracker::new(), TaskTracker::new());
        let door = Door { house: Arc::clone(&house), count: Arc::new(AtomicU64::new(1)) };
        for (kind, listener) in listeners {
            info!(protocol = kind.name(), listener.addr = %listener.addr(), "listening");
            let (door, stop, sessions) = (door.clone(), stop.gently.clone(), sessions.clone());
            match kind {
                ProtocolKind::Imap => accepting.spawn(door.open::<Imap>(listener, stop, sessions)),
                ProtocolKind::Smtp => accepting.spawn(door.open::<Smtp>(listener, stop, sessions)),
            };
        }
        let keeper = Arc::clone(&house.tokens);
        let keeping = stop.gently.clone();
        accepting.spawn(async move { keeper.keep(keeping).await });
        announce(&[NotifyState::Ready]);
        info!(accounts = house.accounts.iter().count(), version = env!("CARGO_PKG_VERSION"), "ready");

        stop.gently.cancelled().await;
        announce(&[NotifyState::Stopping]);
        info!(sessions = sessions.len(), grace = ?house.timing.drain_grace, "draining");
        accepting.close();
        accepting.wait().await;
        house.draining.cancel();
        sessions.close();
        let gone = timeout(house.timing.drain_grace, sessions.wait());
        if stop.now.run_until_cancelled(gone).await.is_none_or(|waited| waited.is_err()) {
            info!(sessions = sessions.len(), "cutting the sessions that are left");
            house.cut.cancel();
            let _ = timeout(timing::FAREWELL, sessions.wait()).await;
        }
        // A token request that is in flight may finish, unless the authority is slow.
        let _ = timeout(timing::FAREWELL, stop.now.run_until_cancelled(house.tokens.finish())).await;
        info!("stopped");
    }
}

/// What an accepted connection is handed.
#[derive(Clone)]
struct Door {
    house: Arc<House>,
    count: Arc<AtomicU64>,
}

impl Door {
    /// Serves everybody who comes in by `listener`, until `stop`.
    async fn open<P: Protocol>(self, listener: Listener, stop: CancellationToken, sessions: TaskTracker) {
        let serve = |stream, peer| {
            let id = SessionId(self.count.fetch_add(1, Ordering::Relaxed));
            session::attend::<P>(stream, peer, id, Arc::clone(&self.house))
        };
        listener.run(stop, sessions, serve).await;
    }
}

async fn house(config: Config) -> Result<House, BuildError> {
    let clock: SharedClock = Arc::new(System);
    let providers = config.upstreams.into_iter().collect();
    let state_dir = config.state_dir;
    let mut keys = Vec::new();
    for source in &config.store_keys {
        keys.push(source.read().await?);
    }
    let opening = spawn_blocking(move || Store::open(&state_dir, &keys));
    let store = opening.await.map_err(|error| StoreError::Io {
        doing: "open",
        path: "tokens.db".into(),
        error: error.into(),
    })??;
    let tokens = Arc::new(Tokens::new(Arc::new(store), Arc::clone(&clock)));
    let speaks = |kind: &ProtocolKind| config.listeners.iter().any(|listener| listener.protocol == *kind);
    let listening: Vec<_> = ProtocolKind::ALL.into_iter().filter(speaks).collect();
    tokens.configure(config.apps, &config.accounts, &listening).await?;
    Ok(House {
        promises: Promises::new(&config.accounts, &providers),
        verifier: Verifier::new(&config.accounts, clock),
        tokens,
        accounts: config.accounts,
        names: Names::default(),
        providers,
        limits: config.limits,
        timing: config.timing,
        draining: CancellationToken::new(),
        cut: CancellationToken::new(),
    })
}

/// Tells the service manager, where there is one.
fn announce(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot notify the service manager");
    }
}
