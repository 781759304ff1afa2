//! What a client may be promised about an upstream before it is known which one it will get.
//!
//! A client does not repeat its EHLO after AUTH (RFC 4954 §4), so what it was told before the login
//! binds the bridge after it. Each upstream's own list is learned at a login and kept; until then the
//! room's safe list stands for it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    dialogue::{Capabilities, Protocol},
    ids::ProtocolKind,
    net::Endpoint,
};

/// Capabilities by protocol and upstream.
#[derive(Debug, Default)]
pub struct Promises {
    upstreams: HashMap<ProtocolKind, HashSet<Endpoint>>,
    learned: Mutex<HashMap<(ProtocolKind, Endpoint), Learned>>,
}

#[derive(Debug, Default)]
struct Learned {
    capabilities: Capabilities,
    /// A broken promise is worth one warning, not one for each login.
    warned: bool,
}

impl Promises {
    /// Knows which upstreams a client of each protocol may get.
    #[must_use]
    pub fn new(upstreams: impl IntoIterator<Item = (ProtocolKind, Endpoint)>) -> Self {
        let mut by_kind: HashMap<_, HashSet<_>> = HashMap::new();
        for (kind, endpoint) in upstreams {
            by_kind.entry(kind).or_default().insert(endpoint);
        }
        Self { upstreams: by_kind, learned: Mutex::default() }
    }

    /// What may be promised to a client that has not logged in.
    #[must_use]
    pub fn to_client<P: Protocol>(&self) -> Capabilities {
        let learned = self.learned();
        let of = |endpoint: &Endpoint| {
            let known = learned.get(&(P::KIND, endpoint.clone()));
            known.map_or_else(P::safe, |known| known.capabilities.clone())
        };
        let lists: Vec<_> = self.upstreams.get(&P::KIND).into_iter().flatten().map(of).collect();
        if lists.is_empty() { P::safe() } else { P::common(&lists) }
    }

    /// Keeps what an upstream has said. Returns what the client of this very login was promised in
    /// vain, where nobody was warned of this upstream yet.
    pub(super) fn learn<P: Protocol>(
        &self,
        endpoint: &Endpoint,
        promised: &Capabilities,
        found: &Capabilities,
    ) -> Vec<String> {
        let broken = P::broken_promises(promised, found);
        let mut learned = self.learned();
        let known = learned.entry((P::KIND, endpoint.clone())).or_default();
        known.capabilities = found.clone();
        if broken.is_empty() || std::mem::replace(&mut known.warned, true) { Vec::new() } else { broken }
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<(ProtocolKind, Endpoint), Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
