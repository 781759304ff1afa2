//! IMAP4rev1 up to the login, as a server to the client and as a client to the upstream.
//!
//! RFC 3501 and what clients make of it; RFC 7888 (LITERAL+), RFC 4959 (SASL-IR), RFC 2971 (ID), RFC
//! 5530 (response codes), RFC 2595 and 3501 §6.2.1 (STARTTLS). After the login the bytes are carried as
//! they are; nothing here reads a mailbox command or a message.

mod client;
mod relay;
mod reply;
mod upstream;
mod wire;

pub use client::Client;
pub use upstream::Upstream;

use crate::{
    dialogue::{Capabilities, Ceilings, Offer, Protocol, Remark, UpstreamLogin, Watch, Welcome},
    ids::ProtocolKind,
};

/// The protocol, RFC 3501.
pub struct Imap;

impl Protocol for Imap {
    const KIND: ProtocolKind = ProtocolKind::Imap;

    type Client = Client;

    type Upstream = Upstream;

    fn client(offer: Offer, ceilings: Ceilings) -> Client {
        Client::new(offer, ceilings)
    }

    fn upstream(login: UpstreamLogin) -> Upstream {
        Upstream::new(login)
    }

    fn safe() -> Capabilities {
        Capabilities::default()
    }

    /// Nothing: the reply to the login tells the mailbox's own (RFC 3501 §7.2.1), so that nothing need
    /// be promised before.
    fn common(_lists: &[Capabilities]) -> Capabilities {
        Capabilities::default()
    }

    /// None, as none were made.
    fn broken_promises(_promised: &Capabilities, _found: &Capabilities) -> Vec<String> {
        Vec::new()
    }

    fn remark(chunk: &[u8]) -> Option<Remark> {
        relay::remark(chunk)
    }

    /// Nothing: no mail is sent by it.
    fn watch(_welcome: &Welcome, _ceilings: Ceilings) -> Option<Box<dyn Watch>> {
        None
    }
}
