//! Dialling an upstream: name lookup, TCP, by way of a proxy where there is one, and TLS where it comes first.

use std::{fmt, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    Endpoint, UpstreamTls,
    conn::{Conn, Stream},
    distrust,
    names::Names,
    proxy::{Proxy, ProxyTrouble},
    race::{by_turns, race},
    socket,
    tls::Trust,
};

/// Why an upstream could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host name has no address.
    #[error("cannot look up {host}: {}", without_preface(error))]
    Lookup {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No address took the connection; the last one's trouble.
    #[error("cannot connect to {addr}: {error}")]
    Connect {
        /// The last address that was tried.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The proxy on the way is in trouble, or does not do what it was asked.
    #[error("proxy {proxy} {trouble}")]
    Proxy {
        /// Its URL, without credentials.
        proxy: String,
        /// What is wrong.
        trouble: ProxyTrouble,
    },
    /// The TLS handshake failed for a reason that may pass.
    #[error("TLS handshake with {host} failed: {error}")]
    Tls {
        /// The name that the certificate must be for.
        host: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The certificate is not one that we accept for that name.
    #[error("certificate of {host} refused: {error}")]
    Certificate {
        /// The name that the certificate must be for.
        host: String,
        /// What is wrong with it.
        error: String,
    },
    /// The upstream sent more in clear than its consent to STARTTLS: somebody may be injecting
    /// (RFC 3207 §5).
    #[error("{host} sent data in clear behind its consent to STARTTLS")]
    Injected {
        /// The upstream.
        host: String,
    },
    /// One step of an attempt took too long.
    #[error("{step} took longer than {}", in_seconds(*.limit))]
    TimedOut {
        /// The step, and with whom.
        step: Step,
        /// The time that it had.
        limit: Duration,
    },
}

/// A step on the way to an upstream, each of which has a time of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Looking up a host name.
    Lookup(String),
    /// Connecting, to an upstream or to the proxy before it.
    Connect(String),
    /// Asking a proxy for a tunnel: the proxy and the upstream.
    Tunnel(String, String),
    /// The TLS handshake with an upstream.
    Handshake(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(host) => write!(f, "looking up {host}"),
            Self::Connect(addr) => write!(f, "connecting to {addr}"),
            Self::Tunnel(proxy, endpoint) => write!(f, "asking proxy {proxy} for a connection to {endpoint}"),
            Self::Handshake(endpoint) => write!(f, "the TLS handshake with {endpoint}"),
        }
    }
}

/// What a resolver said, without what Rust puts before it.
fn without_preface(error: &io::Error) -> String {
    error.to_string().replace("failed to lookup address information: ", "")
}

/// A duration as people say it: `10 s`, or `0.4 s` where it is short.
fn in_seconds(limit: Duration) -> String {
    if limit < Duration::from_secs(10) {
        format!("{:.1} s", limit.as_secs_f64())
    } else {
        format!("{} s", limit.as_secs())
    }
}

/// By which way an upstream is dialled.
#[derive(Debug, Clone, Copy)]
pub struct Way<'w> {
    /// What the addresses of hosts are.
    pub names: &'w Names,
    /// Whose certificates the upstream may have.
    pub trust: &'w Trust,
    /// The proxy that connects us, where there is one. Its name is looked up here, the upstream's by it.
    pub proxy: Option<&'w Proxy>,
    /// The time for each step: lookup, connection, tunnel, handshake.
    pub limit: Duration,
    /// When whoever asks gives up, whatever the step.
    pub deadline: Instant,
}

impl Way<'_> {
    /// Waits for a step, as long as it may take.
    async fn step<T>(
        &self,
        step: impl Future<Output = T>,
        name: impl FnOnce() -> Step,
    ) -> Result<T, DialError> {
        let now = Instant::now();
        let end = self.deadline.min(now + self.limit);
        let limit = end.saturating_duration_since(now);
        timeout_at(end, step).await.map_err(|_| DialError::TimedOut { step: name(), limit })
    }
}

/// Connects to `endpoint`, encrypted where its TLS is implicit.
///
/// # Errors
/// [`DialError`], for the last address where several were tried.
pub async fn dial(endpoint: &Endpoint, way: Way<'_>) -> Result<Conn, DialError> {
    let tcp = reach(endpoint, way).await?;
    match endpoint.tls {
        UpstreamTls::Implicit => encrypt(tcp, endpoint, way).await,
        UpstreamTls::StartTls => Ok(Conn::new(Stream::Plain(tcp))),
    }
}

/// Looks up what is connected to first: `endpoint`, or the proxy before it. [`reach`] uses the answer again.
///
/// # Errors
/// [`DialError`], the proxy's where there is one.
pub async fn look_up(endpoint: &Endpoint, way: Way<'_>) -> Result<Arc<[SocketAddr]>, DialError> {
    match way.proxy {
        Some(proxy) => addresses(proxy.addr(), way).await.map_err(|error| of_proxy(proxy, error)),
        None => addresses((&endpoint.host, endpoint.port), way).await,
    }
}

/// Connects to `endpoint` in clear, by way of the proxy where there is one.
///
/// # Errors
/// [`DialError`], for the last address where several were tried.
pub async fn reach(endpoint: &Endpoint, way: Way<'_>) -> Result<TcpStream, DialError> {
    match way.proxy {
        Some(proxy) => tunnel(endpoint, proxy, way).await,
        None => connect((&endpoint.host, endpoint.port), || endpoint.to_string(), way).await,
    }
}

/// Encrypts a connection whose upstream has consented to STARTTLS.
///
/// # Errors
/// [`DialError::Injected`] where bytes are waiting that came in clear; else as the handshake fails.
pub async fn start_tls(conn: Conn, endpoint: &Endpoint, way: Way<'_>) -> Result<Conn, DialError> {
    let (stream, early): (Stream, BytesMut) = conn.into_parts();
    match stream {
        Stream::Plain(tcp) if early.is_empty() => encrypt(tcp, endpoint, way).await,
        Stream::Plain(_) | Stream::Upstream(_) | Stream::Client(_) | Stream::Closed => {
            Err(DialError::Injected { host: endpoint.host.clone() })
        }
    }
}

/// Connects to an upstream by way of a proxy.
async fn tunnel(endpoint: &Endpoint, proxy: &Proxy, way: Way<'_>) -> Result<TcpStream, DialError> {
    let tcp = connect(proxy.addr(), || format!("proxy {proxy}"), way).await;
    let tcp = tcp.map_err(|error| of_proxy(proxy, error))?;
    let asked = || Step::Tunnel(proxy.to_string(), endpoint.to_string());
    let tunnelled = way.step(proxy.tunnel(tcp, endpoint), asked).await?;
    tunnelled.map_err(|trouble| DialError::Proxy { proxy: proxy.to_string(), trouble })
}

/// What went wrong on the way to a proxy, as the proxy's trouble.
fn of_proxy(proxy: &Proxy, error: DialError) -> DialError {
    match error {
        DialError::Lookup { error, .. } | DialError::Connect { error, .. } => {
            DialError::Proxy { proxy: proxy.to_string(), trouble: ProxyTrouble::Unreachable(error) }
        }
        other @ (DialError::Proxy { .. }
        | DialError::Tls { .. }
        | DialError::Certificate { .. }
        | DialError::Injected { .. }
        | DialError::TimedOut { .. }) => other,
    }
}

async fn addresses((host, port): (&str, u16), way: Way<'_>) -> Result<Arc<[SocketAddr]>, DialError> {
    let looking_up = way.names.look_up(host, port);
    let addresses = way.step(looking_up, || Step::Lookup(host.to_owned())).await?;
    addresses.map_err(|error| DialError::Lookup { host: host.to_owned(), error })
}

async fn connect(
    (host, port): (&str, u16),
    name: impl Fn() -> String,
    way: Way<'_>,
) -> Result<TcpStream, DialError> {
    let addresses = by_turns(&addresses((host, port), way).await?);
    match way.step(race(&addresses), || Step::Connect(name())).await? {
        Ok(stream) => {
            socket::tune(&stream);
            Ok(stream)
        }
        Err(Some((addr, error))) => Err(DialError::Connect { addr, error }),
        Err(None) => {
            let error = io::Error::new(io::ErrorKind::NotFound, "no address");
            Err(DialError::Lookup { host: host.to_owned(), error })
        }
    }
}

/// Shakes hands over TLS, as the endpoint's first words or behind its consent to STARTTLS.
///
/// # Errors
/// [`DialError::Certificate`], [`DialError::Tls`] or [`DialError::TimedOut`].
pub async fn encrypt(tcp: TcpStream, endpoint: &Endpoint, way: Way<'_>) -> Result<Conn, DialError> {
    // Some proxies break TLS open: what they show is not the host's.
    let named = |host: &dyn fmt::Display| match way.proxy {
        Some(proxy) => format!("{host} (by way of proxy {proxy})"),
        None => host.to_string(),
    };
    let host = named(&endpoint.host);
    match way.step(way.trust.connect(endpoint, tcp), || Step::Handshake(named(endpoint))).await? {
        Ok(stream) => Ok(Conn::new(Stream::Upstream(stream))),
        Err(error) => Err(match certificate_trouble(&error) {
            Some(error) => DialError::Certificate { host, error },
            None => DialError::Tls { host, error },
        }),
    }
}

fn certificate_trouble(error: &io::Error) -> Option<String> {
    distrust::in_words(error.get_ref()?.downcast_ref::<rustls::Error>()?)
}

#[cfg(test)]
mod tests;
