//! How the line to a client is encrypted.

use crate::{net::accept::Acceptor, policy::access::Line};

/// What a listener does about TLS.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// Nothing: the line stays in clear.
    Clear,
    /// The client may encrypt the line by the protocol's own command.
    StartTls {
        /// Shakes hands.
        acceptor: Acceptor,
        /// No login before.
        required: bool,
    },
    /// TLS comes before the greeting (RFC 8314 §3).
    Implicit(Acceptor),
}

impl Entrance {
    /// How the line stands once a client has come in this way, before its STARTTLS.
    pub(super) fn line(&self) -> Line {
        match self {
            Self::Clear => Line::Clear,
            Self::StartTls { required, .. } => Line::Encryptable { required: *required },
            Self::Implicit(_) => Line::Encrypted,
        }
    }
}
