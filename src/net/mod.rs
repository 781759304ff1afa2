//! Pipes: listening, dialling, proxies on the way out, TLS and the splice. What flows through them is nobody's business here.

pub mod accept;
pub mod certificate;
pub mod conn;
pub mod descriptors;
pub mod dial;
pub mod distrust;
pub mod https;
pub mod line;
pub mod listener;
pub mod names;
pub mod proxy;
pub mod proxy_header;
mod race;
mod scratch;
pub mod self_signed;
mod sessions;
mod socket;
pub mod splice;
pub mod tls;

/// A server to dial: where it is and how its line is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A host name, or an address in text form; what the certificate must be for.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// How TLS starts. There is no way to say "not at all": tokens never travel in clear.
    pub tls: UpstreamTls,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How TLS starts on the line to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamTls {
    /// With the first byte (RFC 8314).
    Implicit,
    /// By the protocol's own command, before anything else is said.
    StartTls,
}
