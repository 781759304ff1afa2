//! What a running bridge's tasks share.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Stop,
    arrival::{Arrival, Recognised},
    authorize::Consenter,
    certificates::Certificates,
    doors::Doors,
};
use crate::{
    account::{Accounts, Verifier},
    clock::SharedClock,
    config::{Config, Console, ConsoleTls, Listener},
    console::Gate,
    ids::{ProtocolKind, SessionId},
    imap::Imap,
    net::proxy_header::Unread,
    oauth::{ConfigureError, Tokens},
    policy::throttle::Rarely,
    pop3::Pop3,
    secret::Source,
    session::{self, House, Ledger, Lobby, Place, Promises, Register, Session},
    smtp::Smtp,
};

/// A running bridge. New sessions get [`Bridge::house`], which a reload replaces; everything else
/// lasts as long as the process.
#[derive(Debug)]
pub(super) struct Bridge {
    /// When to stop.
    pub(super) stop: Stop,
    /// When it began.
    pub(super) since: SystemTime,
    /// What time it is.
    pub(super) clock: SharedClock,
    /// Every token slot.
    pub(super) tokens: Arc<Tokens>,
    /// What listeners show.
    pub(super) certificates: Arc<Certificates>,
    /// Begins consents.
    pub(super) consenter: Consenter,
    /// Who may use the console, where there is one.
    pub(super) gate: Option<Arc<Gate>>,
    /// The tasks that accept clients, and those that keep things while clients are accepted.
    pub(super) accepting: TaskTracker,
    /// One task for each client.
    pub(super) sessions: TaskTracker,
    pub(super) doors: Mutex<Doors>,
    pub(super) path: PathBuf,
    /// What it would take another process to change.
    pub(super) fixed: Fixed,
    /// Held while the configuration is reloaded.
    pub(super) reloading: tokio::sync::Mutex<()>,
    house: RwLock<Arc<House>>,
    /// Tells the sessions who may still be there.
    pub(super) roll: watch::Sender<Arc<Accounts>>,
    count: AtomicU64,
    /// What is said of balancers that send no header.
    pub(super) headers: Mutex<Rarely>,
}

/// What a running bridge cannot change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    state_dir: PathBuf,
    store_keys: Vec<Source>,
    console: Option<Console>,
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let mut console = config.console.clone();
        if let Some(ConsoleTls { files }) = console.as_mut().and_then(|console| console.tls.as_mut()) {
            // Another certificate is shown without another socket.
            *files = None;
        }
        Self { state_dir: config.state_dir.clone(), store_keys: config.store_keys.clone(), console }
    }

    /// What is different in another configuration, by its name there.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let Self { state_dir, store_keys, console } = other;
        let changes = [
            (self.state_dir != *state_dir, "state_dir"),
            (self.store_keys != *store_keys, "[store]"),
            (self.console != *console, "[console]"),
        ];
        changes.into_iter().find(|(differs, _)| *differs).map(|(_, name)| name)
    }
}

impl Bridge {
    /// Furnishes the first house.
    pub(super) async fn new(
        path: PathBuf,
        config: Config,
        (tokens, consenter, gate): (Arc<Tokens>, Consenter, Option<Arc<Gate>>),
        certificates: Arc<Certificates>,
        (clock, room): (SharedClock, usize),
        stop: Stop,
    ) -> Result<Self, ConfigureError> {
        let fixed = Fixed::of(&config);
        tokens.configure(config.apps, &config.accounts, &protocols(&config.listeners)).await?;
        let accounts = Arc::new(config.accounts);
        let roll = watch::Sender::new(Arc::clone(&accounts));
        let providers = config.upstreams.into_iter().collect();
        let house = House {
            promises: Promises::new(&accounts, &providers),
            verifier: Verifier::new(&accounts, Arc::clone(&clock)),
            tokens: Arc::clone(&tokens),
            roll: roll.subscribe(),
            ledger: Arc::new(Ledger::new(Arc::clone(&clock))),
            register: Arc::new(Register::new(Arc::clone(&clock))),
            lobby: Arc::new(Lobby::new(Arc::clone(&clock), room)),
            accounts,
            names: Arc::default(),
            providers,
            limits: config.limits,
            timing: config.timing,
            draining: CancellationToken::new(),
        };
        Ok(Self {
            path,
            fixed,
            reloading: tokio::sync::Mutex::default(),
            stop,
            since: clock.now(),
            clock,
            tokens,
            certificates,
            consenter,
            gate,
            accepting: TaskTracker::new(),
            sessions: TaskTracker::new(),
            doors: Mutex::default(),
            house: RwLock::new(Arc::new(house)),
            roll,
            count: AtomicU64::new(1),
            headers: Mutex::default(),
        })
    }

    /// What a session that begins now is handed.
    pub(super) fn house(&self) -> Arc<House> {
        Arc::clone(&self.house.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands this to every session that begins from here on.
    pub(super) fn move_into(&self, house: House) {
        *self.house.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(house);
    }

    /// Whether clients are let in.
    pub(super) fn is_ready(&self) -> bool {
        !self.stop.gently.is_cancelled()
    }

    /// Serves one client. What is large stands in boxes, so that a task keeps the memory of no step that is done.
    pub(super) async fn attend(self: Arc<Self>, arrival: Box<Arrival>) {
        let recognised = Box::pin(arrival.recognise()).await;
        let Some((place, session)) = self.begin(recognised) else { return };
        // A session outlives the bridge's doors, and needs nothing of it but its house.
        drop(self);
        session.await;
        drop(place);
    }

    fn begin(
        &self,
        recognised: Result<Box<Recognised>, Option<(SocketAddr, Unread)>>,
    ) -> Option<(Place, Session)> {
        let recognised = recognised.map_err(|why| {
            if let Some((peer, why)) = why {
                self.complain_of_header(peer, &why);
            }
        });
        let Recognised { terms, stream, from, house, place, looks } = *recognised.ok()?;
        let id = SessionId(self.count.fetch_add(1, Ordering::Relaxed));
        let entrance = terms.entrance;
        let session = match terms.wanted.protocol {
            ProtocolKind::Imap => session::attend::<Imap>(stream, from, id, entrance, house, looks),
            ProtocolKind::Smtp => session::attend::<Smtp>(stream, from, id, entrance, house, looks),
            ProtocolKind::Pop3 => session::attend::<Pop3>(stream, from, id, entrance, house, looks),
        };
        Some((place, session))
    }

    /// Renews tokens ahead of time, until the bridge stops.
    pub(super) fn keep_tokens(&self) {
        let (tokens, stop) = (Arc::clone(&self.tokens), self.stop.gently.clone());
        self.accepting.spawn(async move { tokens.keep(stop).await });
    }

    /// Looks after what listeners show, until the bridge stops.
    pub(super) fn keep_certificates(&self) {
        let (certificates, stop) = (Arc::clone(&self.certificates), self.stop.gently.clone());
        self.accepting.spawn(certificates.keep(stop));
    }
}

/// The protocols that somebody listens for.
pub(super) fn protocols(listeners: &[Listener]) -> Vec<ProtocolKind> {
    let speaks = |kind: &ProtocolKind| listeners.iter().any(|listener| listener.protocol == *kind);
    ProtocolKind::ALL.into_iter().filter(speaks).collect()
}
