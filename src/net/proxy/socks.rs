//! A tunnel by SOCKS5: RFC 1928, RFC 1929.

use tokio::net::TcpStream;
use tokio_socks::{Error, tcp::Socks5Stream};

use super::{Credentials, ProxyTrouble};
use crate::net::Endpoint;

/// The library reads as many bytes as the protocol has, so that what an upstream says first stays on the stream.
pub(super) async fn tunnel(
    stream: TcpStream,
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
) -> Result<TcpStream, ProxyTrouble> {
    let target = (endpoint.host.as_str(), endpoint.port);
    let texts = credentials.and_then(|(user, password)| user.expose_str().zip(password.expose_str()));
    let tunnel = match texts {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, target).await,
    };
    tunnel.map(Socks5Stream::into_inner).map_err(|error| trouble(error, endpoint, credentials.is_some()))
}

fn trouble(error: Error, endpoint: &Endpoint, shown: bool) -> ProxyTrouble {
    let target = endpoint.to_string();
    match error {
        Error::Io(error) => ProxyTrouble::Lost(error),
        Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            ProxyTrouble::Credentials(shown)
        }
        // RFC 1928 §6: X'02'. X'07' is what proxies say that were built for something else.
        Error::ConnectionNotAllowedByRuleset | Error::CommandNotSupported => ProxyTrouble::Forbidden(target),
        Error::GeneralSocksServerFailure
        | Error::NetworkUnreachable
        | Error::HostUnreachable
        | Error::ConnectionRefused
        | Error::TtlExpired
        | Error::AddressTypeNotSupported
        | Error::InvalidTargetAddress(_)
        | Error::ProxyServerUnreachable => ProxyTrouble::NoWay(target, error.to_string().to_lowercase()),
        Error::InvalidResponseVersion
        | Error::UnknownAuthMethod
        | Error::UnknownError
        | Error::InvalidReservedByte
        | Error::UnknownAddressType
        | Error::ParseError(_)
        | Error::InvalidAuthValues(_)
        | Error::IdentdAuthFailure
        | Error::InvalidUserIdAuthFailure => {
            ProxyTrouble::Stranger("SOCKS5", error.to_string().to_lowercase())
        }
    }
}
