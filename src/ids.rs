//! Names and numbers that must not be mistaken for one another.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use aws_lc_rs::digest;

/// The protocols that the bridge speaks on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolKind {
    /// IMAP4rev1, RFC 3501.
    Imap,
    /// SMTP message submission, RFC 6409.
    Smtp,
    /// POP3, RFC 1939.
    Pop3,
}

impl ProtocolKind {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Smtp, Self::Pop3];

    /// The name in the configuration and in logs: `imap`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
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
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// What clients are counted by.
    #[must_use]
    pub fn network(self) -> ClientNet {
        match self.ip() {
            IpAddr::V4(_) => ClientNet(self.ip()),
            IpAddr::V6(ip) => ClientNet(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into()),
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What clients are counted by: an IPv4 address, or the /64 of an IPv6 address, which is what one household or
/// machine is given (RFC 6177 §2) and may take any number of addresses from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientNet(IpAddr);

impl fmt::Display for ClientNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
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

/// Name of a token slot: what one grant of one authority is kept under.
///
/// The lower-case hex of a SHA-256, so that it says nothing of whom the slot belongs to and is safe as
/// the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(std::sync::Arc<str>);

impl SlotId {
    /// The characters of every name.
    const LENGTH: usize = 64;

    /// Names the slot that `parts` describe. Each part goes into the hash behind its length, so that
    /// `["ab", "c"]` and `["a", "bc"]` are two slots.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let digest = context.finish();
        let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut hex = String::with_capacity(Self::LENGTH);
        hex.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        Self(hex.into())
    }

    /// Takes back a name that [`SlotId::of`] made, or `None` where it can have made no such name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (name.len() == Self::LENGTH && name.bytes().all(is_hex)).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_named_by_its_parts_and_where_they_end() {
        let names = [&["ab", "c"][..], &["a", "bc"], &["abc"], &["abc", ""], &[]].map(SlotId::of);
        for (at, name) in names.iter().enumerate() {
            assert!(names[at + 1..].iter().all(|other| other != name), "{name}");
            assert_eq!(SlotId::parse(name.as_str()).as_ref(), Some(name));
        }
        // SHA-256 of nothing, FIPS 180-4.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(SlotId::of(&[]).to_string(), empty);
    }

    #[test]
    fn what_is_no_name_of_a_slot_is_not_taken_for_one() {
        for name in ["", "store", "../../etc/passwd", &"E3".repeat(32), &"e3".repeat(33), &"é".repeat(32)] {
            assert_eq!(SlotId::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_that_it_is() {
        let mapped = ClientAddr::new("[::ffff:10.1.2.3]:5".parse().unwrap());
        assert_eq!(mapped.to_string(), "10.1.2.3:5");
        assert_eq!(mapped.network().to_string(), "10.1.2.3");
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let addr = |text: &str| ClientAddr::new(text.parse().unwrap());
        assert_eq!(addr("[2001:db8:1:2:3:4:5:6]:7").network().to_string(), "2001:db8:1:2::/64");
    }
}
