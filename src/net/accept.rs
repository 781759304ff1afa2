//! TLS handshakes with clients.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, Error as TlsError, ServerConfig, crypto::aws_lc_rs::Ticketer,
    server::ResolvesServerCert,
};
use tokio::net::TcpStream;

use super::{certificate::Certificate, line::ServerLine, tls::install_cryptography};

/// Shakes hands with clients, TLS 1.2 and 1.3, by one certificate.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

/// Why a handshake with a client failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client went away without a word.
    #[error("the client went away before the TLS handshake")]
    Gone,
    /// The client went away in the middle, as one does that does not like the certificate and says nothing.
    #[error("the client hung up in the middle of the TLS handshake")]
    Abandoned,
    /// What came first is no TLS.
    #[error("the client speaks without TLS to this listener")]
    NotTls,
    /// The client knows nothing newer than TLS 1.1.
    #[error("the client knows no TLS version that is safe (1.2 or 1.3)")]
    TooOld,
    /// Client and certificate do not go together.
    #[error("the client knows no way to sign or encrypt that the listener knows ({0})")]
    NothingInCommon(String),
    /// The client does not trust the certificate.
    #[error("the client does not accept the listener's certificate ({0})")]
    CertificateRefused(String),
    /// The client went away before it has said anything, as one does that looks at the certificate after
    /// the handshake, or at the port alone.
    #[error("the client left right after the TLS handshake, before any command")]
    Unused,
    /// It took too long.
    #[error("the client has not begun the TLS handshake, or not ended it in time")]
    TimedOut,
    /// Anything else.
    #[error("the TLS handshake failed: {0}")]
    Failed(String),
}

/// What clients say of a certificate that they do not accept (RFC 8446 §6.2).
const DISTRUST: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

impl HandshakeError {
    /// What to do about it where TLS comes first, or where the client has asked for it by STARTTLS.
    #[must_use]
    pub fn cure(&self, after_starttls: bool) -> &'static str {
        match self {
            Self::NotTls | Self::TimedOut if after_starttls => {
                "look into the mail program's own log: it has asked for STARTTLS and does not go on as RFC 3207 says"
            }
            Self::NotTls | Self::TimedOut => {
                "switch on SSL/TLS in the mail program (not STARTTLS), or point it at a listener with tls = \"starttls\" or \"none\""
            }
            Self::TooOld => {
                "update the mail program, or give it a listener with tls = \"none\" on a network that nobody else is on"
            }
            Self::NothingInCommon(_) => {
                "update the mail program; a certificate with an RSA key may do (key_type = \"rsa-2048\" in [tls], or one of yours)"
            }
            Self::CertificateRefused(_) | Self::Unused | Self::Abandoned => {
                "have the mail program trust the certificate, and connect by a name or address that is in it"
            }
            Self::Gone | Self::Failed(_) => "look into the mail program's own log",
        }
    }

    /// What a connection's error says of its handshake: some clients refuse a certificate when that is over.
    #[must_use]
    pub fn new(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        match tls {
            Some(TlsError::InvalidMessage(_)) => Self::NotTls,
            Some(TlsError::PeerIncompatible(why)) => {
                let why = format!("{why:?}");
                // A hello of TLS 1.1 and older tells neither, and no way to sign either (RFC 5246 §7.4.1.4.1).
                let signs = [
                    "Tls12NotOffered",
                    "SupportedVersionsExtensionRequired",
                    "SignatureAlgorithmsExtensionRequired",
                ];
                if signs.iter().any(|sign| why.contains(sign)) {
                    Self::TooOld
                } else {
                    Self::NothingInCommon(why)
                }
            }
            Some(TlsError::AlertReceived(alert)) if DISTRUST.contains(alert) => {
                Self::CertificateRefused(format!("{alert:?}"))
            }
            Some(TlsError::AlertReceived(AlertDescription::ProtocolVersion)) => Self::TooOld,
            Some(TlsError::AlertReceived(alert)) => Self::Failed(format!("the client said {alert:?}")),
            Some(other) => Self::Failed(other.to_string()),
            None if error.kind() == io::ErrorKind::InvalidData => Self::NotTls,
            None => Self::Abandoned,
        }
    }
}

impl Acceptor {
    /// Shows what `certificate` holds at the time of each handshake.
    #[must_use]
    pub fn new(certificate: Arc<Certificate>) -> Self {
        Self(Arc::new(server_config(certificate)))
    }

    /// Shakes hands as the server.
    ///
    /// # Errors
    /// [`HandshakeError`]; the client has been sent the alert that belongs to it.
    pub async fn accept(&self, stream: TcpStream) -> Result<Box<ServerLine<TcpStream>>, HandshakeError> {
        let mut first = [0; 4];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Err(HandshakeError::Gone),
            Ok(4) if is_hello_of_ssl_2(first) => return Err(HandshakeError::TooOld),
            Ok(_) => (),
        }
        let shaken = ServerLine::accept(Arc::clone(&self.0), stream).await;
        shaken.map_err(|error| HandshakeError::new(&error))
    }
}

/// The settings for a server that shows what `shown` has at the time of each handshake.
pub(super) fn server_config(shown: Arc<dyn ResolvesServerCert>) -> ServerConfig {
    install_cryptography();
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(shown);
    // Who connects for every message or page saves a round trip and a signature. Without tickets they do not, which is
    // no harm.
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
    config
}

/// The frame in which clients of the time of TLS 1.0 begin (RFC 5246 §E.2): a length with its highest bit set,
/// the type of a hello, and the version 3.
fn is_hello_of_ssl_2([length, _, kind, version]: [u8; 4]) -> bool {
    length & 0x80 != 0 && kind == 1 && version == 3
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}
