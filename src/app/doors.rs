//! The listeners: which are open, and which open or close when the configuration changes.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{BuildError, bridge::Bridge, certificates::Prepared};
use crate::{config, net::listener::Listener, session::Entrance};

/// A listener that is bound and lets nobody in yet.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) terms: Terms,
    pub(super) listener: Listener,
}

/// How clients are served who come in by a listener.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// What the configuration says.
    pub(super) wanted: config::Listener,
    /// How the line is encrypted.
    pub(super) entrance: Entrance,
}

impl Terms {
    /// What follows from the configuration, whose certificates have been prepared.
    pub(super) fn new(wanted: &config::Listener, prepared: &Prepared) -> Result<Self, BuildError> {
        Ok(Self { wanted: wanted.clone(), entrance: prepared.entrance(wanted)? })
    }
}

/// A listener that lets clients in.
#[derive(Debug)]
pub(super) struct Door {
    /// Clients who come in from here on are served on these.
    terms: Arc<RwLock<Terms>>,
    addr: SocketAddr,
    close: CancellationToken,
}

/// Every listener that lets clients in.
pub(super) type Doors = Vec<Door>;

impl Bound {
    pub(super) async fn new(wanted: &config::Listener, prepared: &Prepared) -> Result<Self, BuildError> {
        let terms = Terms::new(wanted, prepared)?;
        let bind = |error| BuildError::Bind { bind: wanted.bind.clone(), error };
        let listener = Listener::bind(&wanted.bind).await.map_err(bind)?;
        Ok(Self { terms, listener })
    }
}

/// What becomes of the doors when the configuration changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Listeners to be bound.
    pub(super) opened: Vec<config::Listener>,
    /// Doors that stay where they are and serve otherwise, by number.
    pub(super) changed: Vec<(usize, config::Listener)>,
    /// Doors that close, by number.
    pub(super) closed: Vec<(usize, config::Listener)>,
}

/// Compares what is open with what is wanted. What stands in both keeps its socket; so does what has the
/// same address, because it could not be bound twice.
pub(super) fn moves(open: &[config::Listener], wanted: &[config::Listener]) -> Moves {
    let mut left: Vec<_> = open.iter().cloned().enumerate().collect();
    let mut take = |same: &dyn Fn(&config::Listener) -> bool| {
        left.iter().position(|(_, open)| same(open)).map(|at| left.remove(at).0)
    };
    let new: Vec<_> = wanted.iter().filter(|wanted| take(&|open| open == *wanted).is_none()).collect();
    let mut moves = Moves::default();
    for wanted in new {
        // The system picks another port for each that asks for any.
        let place = |open: &config::Listener| open.bind == wanted.bind && !open.bind.ends_with(":0");
        match take(&place) {
            Some(number) => moves.changed.push((number, wanted.clone())),
            None => moves.opened.push(wanted.clone()),
        }
    }
    moves.closed = left;
    moves
}

impl Door {
    fn wanted(&self) -> config::Listener {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).wanted.clone()
    }
}

impl Bridge {
    /// Lets clients in by these, until the bridge stops or the door is closed.
    pub(super) fn open(self: &Arc<Self>, bound: Vec<Bound>) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        for Bound { terms, listener } in bound {
            let config::Listener { protocol, tls, .. } = &terms.wanted;
            let tls = tls.as_ref().map_or("none", |tls| tls.start.name());
            info!(protocol = protocol.name(), listener.addr = %listener.addr(), tls, "listening");
            let (terms, addr) = (Arc::new(RwLock::new(terms)), listener.addr());
            let close = self.stop.gently.child_token();
            doors.push(Door { terms: Arc::clone(&terms), addr, close: close.clone() });
            let (bridge, sessions) = (Arc::clone(self), self.sessions.clone());
            self.accepting.spawn(async move {
                let serve = |stream, peer| {
                    let terms = terms.read().unwrap_or_else(PoisonError::into_inner);
                    bridge.receive(&terms, stream, peer)
                };
                listener.run(close, sessions, serve).await;
            });
        }
    }

    /// What the configuration says of each door.
    pub(super) fn wanted(&self) -> Vec<config::Listener> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Door::wanted).collect()
    }

    /// Where clients come in, and how.
    pub(super) fn open_doors(&self) -> Vec<(SocketAddr, config::Listener)> {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().map(|door| (door.addr, door.wanted())).collect()
    }

    /// Whether a door is open on the port of this address.
    pub(super) fn has_port_of(&self, bind: &str) -> bool {
        let port = bind.rsplit(':').next().and_then(|port| port.parse().ok());
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().any(|door| Some(door.addr.port()) == port)
    }

    /// Closes doors, and has others serve otherwise. Sessions stay as they are.
    pub(super) fn rearrange(&self, changed: Vec<(usize, Terms)>, closed: &[(usize, config::Listener)]) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, terms) in changed {
            if let Some(door) = doors.get(number) {
                *door.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
            }
        }
        for (number, _) in closed {
            if let Some(door) = doors.get(*number) {
                info!(listener.addr = %door.addr, "listener closed");
                door.close.cancel();
            }
        }
        doors.retain(|door| !door.close.is_cancelled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProtocolKind::{Imap, Smtp};

    fn listener(protocol: crate::ids::ProtocolKind, bind: &str) -> config::Listener {
        config::Listener { protocol, bind: bind.to_owned(), tls: None, proxy_protocol: Vec::new() }
    }

    #[test]
    fn what_stands_in_both_stays_open_in_whatever_order() {
        let open =
            [listener(Imap, "127.0.0.1:0"), listener(Smtp, "127.0.0.1:0"), listener(Imap, "[::1]:143")];
        let wanted: Vec<_> = open.iter().rev().cloned().collect();
        assert_eq!(moves(&open, &wanted), Moves::default());
    }

    #[test]
    fn an_address_that_serves_otherwise_keeps_its_socket() {
        let open = [listener(Imap, "127.0.0.1:1143"), listener(Smtp, "127.0.0.1:1587")];
        let wanted = [listener(Smtp, "127.0.0.1:1143"), listener(Imap, "127.0.0.1:1144")];
        let expected = Moves {
            opened: vec![wanted[1].clone()],
            changed: vec![(0, wanted[0].clone())],
            closed: vec![(1, open[1].clone())],
        };
        assert_eq!(moves(&open, &wanted), expected);
    }

    #[test]
    fn a_port_that_the_system_picks_is_no_address_to_keep() {
        let (open, wanted) = ([listener(Imap, "127.0.0.1:0")], [listener(Smtp, "127.0.0.1:0")]);
        let expected =
            Moves { opened: wanted.to_vec(), changed: Vec::new(), closed: vec![(0, open[0].clone())] };
        assert_eq!(moves(&open, &wanted), expected);
    }
}
