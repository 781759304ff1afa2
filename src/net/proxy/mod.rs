//! Outbound proxies: SOCKS5 and HTTP CONNECT, as `outbound_proxy` of a provider names them.
//!
//! The proxy looks the upstream's name up; nothing of the upstream is asked of this machine's resolver. TLS goes
//! through the tunnel, so that a proxy sees ciphertext alone.

mod connect;
mod socks;
mod written;

use std::{fmt, io};

use tokio::net::TcpStream;

use super::Endpoint;
use crate::secret::Secret;

pub use written::ProxyMistake;

/// A user and a password.
type Credentials = (Secret, Secret);

/// A proxy by way of which upstreams and authorities are reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// How a proxy is asked for a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// RFC 1928, with a user and a password by RFC 1929.
    Socks5,
    /// The method CONNECT, RFC 9110 §9.3.6.
    Http,
}

/// What is wrong with a proxy, or with what it says.
#[derive(Debug, thiserror::Error)]
pub enum ProxyTrouble {
    /// Its name has no address, or no address took the connection.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// It broke the connection off before there was a tunnel.
    #[error("broke off: {0}")]
    Lost(io::Error),
    /// It wants a user and a password, and has none of ours, or refuses those that it was shown.
    #[error("{}", if *.0 { "refuses our user and password" } else { "wants a user and a password" })]
    Credentials(bool),
    /// It does not let us connect there.
    #[error("forbids connections to {0}")]
    Forbidden(String),
    /// It cannot connect there itself; the upstream, and what the proxy says.
    #[error("cannot connect to {0}: {1}")]
    NoWay(String, String),
    /// It does not speak as a proxy of its kind.
    #[error("does not speak {0}: {1}")]
    Stranger(&'static str, String),
}

impl Proxy {
    /// The host, a name or an address in text form, and the port.
    #[must_use]
    pub fn addr(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Asks for a tunnel to `endpoint` on a connection to the proxy. What comes behind the proxy's consent is
    /// left on the stream.
    ///
    /// # Errors
    /// [`ProxyTrouble`]. There is no deadline here.
    pub(super) async fn tunnel(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
    ) -> Result<TcpStream, ProxyTrouble> {
        match self.kind {
            Kind::Socks5 => socks::tunnel(stream, endpoint, self.credentials.as_ref()).await,
            Kind::Http => connect::tunnel(stream, endpoint, self.credentials.as_ref()).await,
        }
    }

    /// The proxy's address as a URL without credentials, by which names are looked up at the proxy, and the
    /// credentials: for an HTTP client.
    #[must_use]
    pub fn for_http_client(&self) -> (String, Option<&Credentials>) {
        let scheme = match self.kind {
            Kind::Socks5 => "socks5h",
            Kind::Http => "http",
        };
        (format!("{scheme}://{}", self.host_and_port()), self.credentials.as_ref())
    }

    fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The address without the credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Socks5 => "socks5",
            Kind::Http => "http",
        };
        write!(f, "{scheme}://{}", self.host_and_port())
    }
}

/// The same as `Display`: credentials are never printed.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}
