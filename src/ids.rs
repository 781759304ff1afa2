//! Names and numbers that must not be mistaken for one another.

use std::{fmt, net::SocketAddr};

/// The protocols that the bridge speaks on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolKind {
    /// IMAP4rev1, RFC 3501.
    Imap,
    /// SMTP message submission, RFC 6409.
    Smtp,
}

impl ProtocolKind {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::Imap, Self::Smtp];

    /// The name in the configuration and in logs: `imap`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }
}

impl fmt::Display for ProtocolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Number of a session within one run of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a client connects from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(SocketAddr);

impl ClientAddr {
    /// Takes the peer's address, an IPv4 address mapped into IPv6 as the IPv4 address that it is,
    /// so that `from_networks = ["10.0.0.0/8"]` means the same on a dual-stack listener.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }

    /// The address without the port.
    #[must_use]
    pub fn ip(self) -> std::net::IpAddr {
        self.0.ip()
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of an app registration: the `contoso` of `[app.contoso]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppName(std::sync::Arc<str>);

impl AppName {
    /// Takes the name as the configuration has it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as the configuration has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address_that_it_is() {
        let mapped = ClientAddr::new("[::ffff:10.1.2.3]:5".parse().unwrap());
        assert_eq!(mapped.to_string(), "10.1.2.3:5");
    }
}
