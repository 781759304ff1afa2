//! From an accepted socket to a session: whether there is room, and who it is that comes.
//!
//! Who cannot be served is told so at once, in the place of the greeting, and nothing is kept of him.

use std::{future::Future, net::SocketAddr, sync::Arc};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::{bridge::Bridge, doors::Terms};
use crate::{
    dialogue::Dismissal,
    ids::{ClientAddr, ProtocolKind},
    imap::Imap,
    net::proxy_header::{self, Announced, Unread},
    policy::{
        throttle::{Crowded, Rarely},
        timing,
    },
    pop3::Pop3,
    session::{self, Entrance, House, Place},
    smtp::Smtp,
};

/// A client that has been accepted and has a place.
#[derive(Debug)]
pub(super) struct Arrival {
    terms: Terms,
    stream: TcpStream,
    house: Arc<House>,
    peer: SocketAddr,
    place: Place,
    announced: bool,
}

/// Who has arrived.
#[derive(Debug)]
pub(super) struct Recognised {
    pub(super) terms: Terms,
    pub(super) stream: TcpStream,
    pub(super) from: SocketAddr,
    pub(super) house: Arc<House>,
    /// Free again when it is dropped: the session must not outlive it.
    pub(super) place: Place,
    /// A load balancer on its own behalf, which looks whether the bridge is there.
    pub(super) looks: bool,
}

impl Bridge {
    /// Takes a client in on the terms of the door. `None` where there is no room for it: it
    /// has been told.
    pub(super) fn receive(
        self: &Arc<Self>,
        terms: &Terms,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let house = self.house();
        let client = ClientAddr::new(peer);
        let announced = terms.wanted.proxy_protocol.iter().any(|network| network.contains(&client.ip()));
        let placed = house.lobby.enter(&house.limits).and_then(|mut place| {
            // Where a balancer speaks for its clients it is they who are counted.
            if !announced {
                place.recognise(client, &house.limits)?;
            }
            Ok(place)
        });
        match placed {
            Ok(place) => {
                let arrival = Arrival { terms: terms.clone(), stream, house, peer, place, announced };
                Some(Arc::clone(self).attend(Box::new(arrival)))
            }
            Err(crowded) => {
                turn_away(terms, &stream, crowded, &house);
                None
            }
        }
    }

    /// Says that a balancer did not keep to its protocol, at most once a minute.
    pub(super) fn complain_of_header(&self, peer: SocketAddr, why: &Unread) {
        let mut complaint = self.headers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(more) = Rarely::complains(&mut complaint, self.clock.now()) {
            warn!(
                peer.addr = %peer,
                cause = %why,
                cure = "have the balancer send a PROXY header (send-proxy, send-proxy-v2), or take its network out of \
                        proxy_protocol",
                also.refused = more,
                "connection refused"
            );
        }
    }
}

impl Arrival {
    /// Finds out who it is, by what its balancer says where there is one.
    ///
    /// # Errors
    /// What the balancer did instead. Nothing where the client has been turned away.
    pub(super) async fn recognise(self: Box<Self>) -> Result<Box<Recognised>, Option<(SocketAddr, Unread)>> {
        let Self { terms, mut stream, house, peer, mut place, announced } = *self;
        if !announced {
            return Ok(Box::new(Recognised { terms, stream, from: peer, house, place, looks: false }));
        }
        let reading = proxy_header::read(&mut stream, timing::PROXY_HEADER);
        let read = house.draining.run_until_cancelled(reading).await;
        let (from, looks) = match read.unwrap_or(Err(Unread::Left)) {
            Ok(Announced::Client(from)) => (from, false),
            Ok(Announced::Nobody) => (peer, true),
            // A look at an open port, which balancers take every few seconds.
            Err(why @ Unread::Left) => {
                debug!(peer.addr = %peer, cause = %why, "nobody came");
                return Err(None);
            }
            Err(why) => return Err(Some((peer, why))),
        };
        if let Err(crowded) = place.recognise(ClientAddr::new(from), &house.limits) {
            turn_away(&terms, &stream, crowded, &house);
            return Err(None);
        }
        Ok(Box::new(Recognised { terms, stream, from, house, place, looks }))
    }
}

/// Tells a client that there is no room for it, without waiting for anything: the line is shorter than any buffer
/// for what is sent. Where TLS comes first there is nobody yet who could read it.
fn turn_away(terms: &Terms, stream: &TcpStream, crowded: Crowded, house: &House) {
    let reason = match crowded {
        Crowded::Bridge => Dismissal::BridgeFull,
        Crowded::Client => Dismissal::ClientFull,
    };
    let words = match terms.wanted.protocol {
        _ if matches!(terms.entrance, Entrance::Implicit(_)) => BytesMut::new(),
        ProtocolKind::Imap => session::dismissal::<Imap>(reason, house),
        ProtocolKind::Smtp => session::dismissal::<Smtp>(reason, house),
        ProtocolKind::Pop3 => session::dismissal::<Pop3>(reason, house),
    };
    // Whoever is gone already needs no words.
    let _ = stream.try_write(&words);
    // What has come must be read: a socket that is closed before is reset, and the words may be lost with it.
    let _ = stream.try_read(&mut [0; 4096]);
}
