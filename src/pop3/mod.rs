//! POP3 up to the login, as a server to the client and as a client to the upstream.
//!
//! RFC 1939 and what clients make of it; RFC 2449 (CAPA, response codes), RFC 2595 (STLS), RFC 5034
//! (AUTH), RFC 3206 (`SYS/TEMP`, `SYS/PERM`, `AUTH`). After the login the bytes are carried as they are.
//!
//! Some clients ask for the capabilities before the login alone, so that what they are told then must hold
//! at whichever upstream they get: [`Pop3::safe`](Protocol::safe) is all that is ever promised, and upstreams
//! are not asked.

mod client;
mod relay;
mod reply;
mod upstream;
mod wire;

pub use client::Client;
pub use upstream::{Stat, Upstream};

use crate::{
    dialogue::{Capabilities, Ceilings, Offer, Protocol, Remark, UpstreamLogin, Watch, Welcome},
    ids::ProtocolKind,
};

/// The protocol, RFC 1939.
pub struct Pop3;

impl Protocol for Pop3 {
    const KIND: ProtocolKind = ProtocolKind::Pop3;

    type Client = Client;

    type Upstream = Upstream;

    fn client(offer: Offer, ceilings: Ceilings) -> Client {
        Client::new(offer, ceilings)
    }

    fn upstream(login: UpstreamLogin) -> Upstream {
        Upstream::new(login)
    }

    /// TOP and UIDL, which every server of today has. Not PIPELINING: Exchange Online does not say that it has it,
    /// and a client that was told so would not ask again.
    fn safe() -> Capabilities {
        Capabilities(vec!["TOP".to_owned(), "UIDL".to_owned()])
    }

    /// The lists are [`Pop3::safe`](Protocol::safe) each, as no upstream is asked for its own.
    fn common(lists: &[Capabilities]) -> Capabilities {
        let Some((first, others)) = lists.split_first() else { return Capabilities::default() };
        let in_all = |name: &&String| others.iter().all(|list| list.0.contains(name));
        Capabilities(first.0.iter().filter(in_all).cloned().collect())
    }

    fn broken_promises(promised: &Capabilities, found: &Capabilities) -> Vec<String> {
        promised.0.iter().filter(|name| !found.0.contains(name)).cloned().collect()
    }

    fn remark(chunk: &[u8]) -> Option<Remark> {
        relay::remark(chunk)
    }

    /// Nothing: no mail is sent by it.
    fn watch(_welcome: &Welcome, _ceilings: Ceilings) -> Option<Box<dyn Watch>> {
        None
    }
}
