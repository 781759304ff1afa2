//! The listeners: which are open, and which open or close when the configuration changes.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{BuildError, bridge::Bridge};
use crate::{config, net::listener::Listener};

/// A listener that is bound and lets nobody in yet.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) wanted: config::Listener,
    pub(super) listener: Listener,
}

/// A listener that lets clients in.
#[derive(Debug)]
pub(super) struct Door {
    /// What the configuration says of it. Clients who come in from here on are served by that.
    terms: Arc<RwLock<config::Listener>>,
    close: CancellationToken,
}

/// Every listener that lets clients in.
pub(super) type Doors = Vec<Door>;

impl Bound {
    pub(super) async fn new(wanted: &config::Listener) -> Result<Self, BuildError> {
        let bind = |error| BuildError::Bind { bind: wanted.bind.clone(), error };
        let listener = Listener::bind(&wanted.bind).await.map_err(bind)?;
        Ok(Self { wanted: wanted.clone(), listener })
    }
}

impl Door {
    fn terms(&self) -> config::Listener {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bridge {
    /// Lets clients in by these, until the bridge stops or the door is closed.
    pub(super) fn open(self: &Arc<Self>, bound: Vec<Bound>) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        for Bound { wanted, listener } in bound {
            info!(protocol = wanted.protocol.name(), listener.addr = %listener.addr(), "listening");
            let terms = Arc::new(RwLock::new(wanted));
            let close = self.stop.gently.child_token();
            doors.push(Door { terms: Arc::clone(&terms), close: close.clone() });
            let (bridge, sessions) = (Arc::clone(self), self.sessions.clone());
            self.accepting.spawn(async move {
                let serve = |stream, peer| {
                    let kind = terms.read().unwrap_or_else(PoisonError::into_inner).protocol;
                    Arc::clone(&bridge).attend(kind, stream, peer)
                };
                listener.run(close, sessions, serve).await;
            });
        }
    }
}
