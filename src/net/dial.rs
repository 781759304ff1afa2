//! Dialling an upstream: name lookup, TCP, and TLS where it comes first.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use bytes::BytesMut;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    Endpoint, UpstreamTls,
    conn::{Conn, Stream},
    names::Names,
    tls::Trust,
};

/// Why an upstream could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host name has no address.
    #[error("cannot look up {host}: {error}")]
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
    /// An attempt took too long.
    #[error("connecting to {endpoint} took longer than {} s", limit.as_secs())]
    TimedOut {
        /// The upstream.
        endpoint: String,
        /// The time for one attempt.
        limit: Duration,
    },
}

/// How long an address has for itself before the next one is tried beside it (RFC 8305 §5): a silent
/// first address, an IPv6 route to nowhere as a rule, costs no more than this.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to `endpoint`, encrypted where its TLS is implicit. `limit` is for each step: the
/// lookup, the connection, the handshake.
///
/// # Errors
/// [`DialError`], for the last address where several were tried.
pub async fn dial(
    endpoint: &Endpoint,
    trust: &Trust,
    names: &Names,
    limit: Duration,
) -> Result<Conn, DialError> {
    let tcp = connect(endpoint, names, limit).await?;
    // A failure to say so costs some milliseconds and nothing else.
    let _ = tcp.set_nodelay(true);
    match endpoint.tls {
        UpstreamTls::Implicit => encrypt_stream(tcp, endpoint, trust, limit).await,
        UpstreamTls::StartTls => Ok(Conn::new(Stream::Plain(tcp))),
    }
}

/// Encrypts a connection whose upstream has consented to STARTTLS.
///
/// # Errors
/// [`DialError::Injected`] where bytes are waiting that came in clear; else as the handshake fails.
pub async fn start_tls(
    conn: Conn,
    endpoint: &Endpoint,
    trust: &Trust,
    limit: Duration,
) -> Result<Conn, DialError> {
    let (stream, early): (Stream, BytesMut) = conn.into_parts();
    match stream {
        Stream::Plain(tcp) if early.is_empty() => encrypt_stream(tcp, endpoint, trust, limit).await,
        Stream::Plain(_) | Stream::Upstream(_) | Stream::Client(_) | Stream::Closed => {
            Err(DialError::Injected { host: endpoint.host.clone() })
        }
    }
}

async fn connect(endpoint: &Endpoint, names: &Names, limit: Duration) -> Result<TcpStream, DialError> {
    let timed_out = |_| DialError::TimedOut { endpoint: endpoint.to_string(), limit };
    let lookup = |error| DialError::Lookup { host: endpoint.host.clone(), error };
    let addresses = timeout(limit, names.look_up(&endpoint.host, endpoint.port)).await;
    let addresses = addresses.map_err(timed_out)?.map_err(lookup)?;
    match timeout(limit, race(&by_turns(&addresses))).await.map_err(timed_out)? {
        Ok(stream) => Ok(stream),
        Err(Some((addr, error))) => Err(DialError::Connect { addr, error }),
        Err(None) => Err(lookup(io::Error::new(io::ErrorKind::NotFound, "no address"))),
    }
}

/// The addresses with their families by turns, the resolver's first choice first (RFC 8305 §4).
fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ours, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(ours.pop_front());
        turns.extend(others.pop_front());
    }
    turns
}

/// Tries one address after the other, each with a head start, until one takes the connection.
async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, Option<(SocketAddr, io::Error)>> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        let next = waiting.next();
        if let Some(addr) = next {
            attempts.spawn(async move { (addr, TcpStream::connect(addr).await) });
        }
        let ended = match next {
            Some(_) => timeout(HEAD_START, attempts.join_next()).await.unwrap_or_default(),
            None if attempts.is_empty() => return Err(last),
            None => attempts.join_next().await,
        };
        match ended {
            Some(Ok((_, Ok(stream)))) => return Ok(stream),
            Some(Ok((addr, Err(error)))) => last = Some((addr, error)),
            // Nothing has ended yet, or a task broke down: on to the next.
            Some(Err(_)) | None => (),
        }
    }
}

async fn encrypt_stream(
    tcp: TcpStream,
    endpoint: &Endpoint,
    trust: &Trust,
    limit: Duration,
) -> Result<Conn, DialError> {
    let host = endpoint.host.clone();
    match timeout(limit, trust.connect(&host, tcp)).await {
        Ok(Ok(stream)) => Ok(Conn::new(Stream::Upstream(Box::new(stream)))),
        Ok(Err(error)) => Err(match certificate_trouble(&error) {
            Some(error) => DialError::Certificate { host, error },
            None => DialError::Tls { host, error },
        }),
        Err(_) => Err(DialError::TimedOut { endpoint: endpoint.to_string(), limit }),
    }
}

fn certificate_trouble(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidCertificate(trouble) = error { Some(trouble.to_string()) } else { None }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let six = ["[::1]:1", "[::2]:1", "[::3]:1"].map(addr);
        let four = ["10.0.0.1:1", "10.0.0.2:1"].map(addr);
        let resolved = [six[0], six[1], six[2], four[0], four[1]];
        assert_eq!(by_turns(&resolved), [six[0], four[0], six[1], four[1], six[2]]);
        assert_eq!(by_turns(&four), four);
        assert_eq!(by_turns(&[]), []);
    }

    /// An address that answers nothing: its backlog is full and nobody accepts.
    async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(addr)).await {
            held.push(stream);
        }
        (listener, held, addr)
    }

    #[tokio::test]
    async fn silent_addresses_before_a_good_one_cost_their_head_starts() {
        let (_listener, _held, deaf) = silent().await;
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = good.local_addr().unwrap();
        let stream = timeout(Duration::from_secs(5), race(&[deaf, deaf, deaf, addr])).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
    }

    #[tokio::test]
    async fn refusing_addresses_cost_nothing_and_the_last_is_named() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (addr, _) = race(&[gone, gone]).await.unwrap_err().unwrap();
        assert_eq!(addr, gone);
        assert!(race(&[]).await.unwrap_err().is_none());
    }
}
