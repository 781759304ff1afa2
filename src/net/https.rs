//! HTTPS: the TLS of web pages that the bridge serves itself, by tokio-rustls, whose stream goes under hyper.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    accept::{HandshakeError, server_config},
    certificate::Certificate,
};

/// What is spoken behind the handshake (RFC 7301 §6): a browser that is not told might begin with HTTP/2.
const HTTP: &[u8] = b"http/1.1";

/// Shakes hands with browsers, TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Https {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// A connection, by how its client has begun.
#[derive(Debug)]
pub enum Arrived {
    /// With a handshake, which is done.
    Encrypted(Box<TlsStream<TcpStream>>),
    /// With a letter, as a request of HTTP in clear does. Nothing of it has been read.
    Clear(TcpStream),
}

/// The certificate that is shown, which is another one after a reload that names other files.
#[derive(Debug)]
struct Shown(RwLock<Arc<Certificate>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).resolve(hello)
    }
}

impl Https {
    /// Shows what `certificate` holds at the time of each handshake.
    #[must_use]
    pub fn new(certificate: Arc<Certificate>) -> Self {
        let shown = Arc::new(Shown(RwLock::new(certificate)));
        let mut config = server_config(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![HTTP.to_vec()];
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), shown }
    }

    /// Shows what another certificate holds from here on.
    pub fn show(&self, certificate: Arc<Certificate>) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Shakes hands as the server, where the client begins with that. Waits as long as the client does: the deadline
    /// is the caller's.
    ///
    /// # Errors
    /// [`HandshakeError`]; the client has been sent the alert that belongs to it.
    pub async fn accept(&self, stream: TcpStream) -> Result<Arrived, HandshakeError> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Err(HandshakeError::Gone),
            // Methods are tokens (RFC 9110 §9.1), and those that there are begin with a letter; a handshake with 22
            // (RFC 8446 §5.1).
            Ok(_) if first[0].is_ascii_alphabetic() => return Ok(Arrived::Clear(stream)),
            Ok(_) => (),
        }
        let shaken = self.acceptor.accept(stream).await.map_err(|error| HandshakeError::new(&error))?;
        Ok(Arrived::Encrypted(Box::new(shaken)))
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").finish_non_exhaustive()
    }
}

/// What to do where a browser, or a program that asks for a page, has not come through the handshake.
#[must_use]
pub fn cure(error: &HandshakeError) -> &'static str {
    match error {
        HandshakeError::NotTls => "open the address with https:// in the place of http://",
        HandshakeError::TooOld => "update the browser, or the program that asks",
        HandshakeError::NothingInCommon(_) => {
            "update the browser; a certificate with an RSA key may do (key_type = \"rsa-2048\" in [tls], or one of yours)"
        }
        HandshakeError::CertificateRefused(_) | HandshakeError::Unused | HandshakeError::Abandoned => {
            "have the browser trust the certificate, and open the console by a name or address that is in it"
        }
        HandshakeError::Gone | HandshakeError::TimedOut | HandshakeError::Failed(_) => {
            "nothing, where the address is open to strangers; else look into what connects there"
        }
    }
}
