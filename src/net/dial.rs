//! Dialling an upstream: name lookup, TCP, and TLS where it comes first.

use std::{io, net::SocketAddr, time::Duration};

use bytes::BytesMut;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Endpoint, UpstreamTls,
    conn::{Conn, Stream},
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

/// Connects to `endpoint`, encrypted where its TLS is implicit. `limit` is for each step: the
/// lookup, each address, the handshake.
///
/// # Errors
/// [`DialError`], for the last address where several were tried.
pub async fn dial(endpoint: &Endpoint, trust: &Trust, limit: Duration) -> Result<Conn, DialError> {
    let tcp = connect(endpoint, limit).await?;
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
        Stream::Plain(_) | Stream::Upstream(_) => Err(DialError::Injected { host: endpoint.host.clone() }),
    }
}

async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<TcpStream, DialError> {
    let timed_out = |_| DialError::TimedOut { endpoint: endpoint.to_string(), limit };
    let lookup = |error| DialError::Lookup { host: endpoint.host.clone(), error };
    let addresses = timeout(limit, lookup_host((endpoint.host.as_str(), endpoint.port)))
        .await
        .map_err(timed_out)?
        .map_err(lookup)?;
    let mut last = lookup(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for addr in addresses {
        match timeout(limit, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = DialError::Connect { addr, error },
            Err(elapsed) => last = timed_out(elapsed),
        }
    }
    Err(last)
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
