//! Whom we trust, and TLS handshakes to upstreams.

use std::{
    collections::HashMap,
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::{Resumption, WantsClientCert, WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier as PlatformVerifier;
use tokio::net::TcpStream;

use super::{Endpoint, distrust::Naming, line::ClientLine, sessions::Sessions};

/// Makes aws-lc-rs the process's cryptography, which every TLS configuration and the HTTP client
/// then use. Harmless when called again.
pub fn install_cryptography() {
    // An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Draws the first random number of the process, for which aws-lc-rs measures for some 40 ms how irregular the processor
/// is: whoever needs one meanwhile waits for no more than the rest. Blocks.
pub fn prepare_randomness() {
    // Whoever needs randomness is told where there is none.
    let _ = aws_lc_rs::rand::fill(&mut [0]);
}

type Builder = ConfigBuilder<ClientConfig, WantsVerifier>;

/// A server by its host and its port.
type Server = (String, u16);

/// Whose certificates are accepted: the platform's trust anchors and those of a `ca_file`.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    /// The settings for each server, the same but for where sessions are kept: TLS libraries tell servers apart by
    /// name alone, and what an IMAP server has issued is of no use to the SMTP server beside it.
    servers: Arc<Mutex<HashMap<Server, Arc<ClientConfig>>>>,
}

/// Why no trust anchors could be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}: {trouble}", path.display())]
    Unreadable {
        /// The `ca_file`.
        path: PathBuf,
        /// What is wrong with it.
        trouble: String,
    },
    /// The file has no certificate in PEM form.
    #[error("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    /// The certificates or the platform's verifier do not work together.
    #[error("cannot set up certificate verification: {0}")]
    Unusable(String),
}

impl Trust {
    /// The platform's trust anchors, and the certificates of a PEM file beside them.
    ///
    /// # Errors
    /// [`TrustError`], naming the file.
    pub fn new(ca_file: Option<PathBuf>) -> Result<Self, TrustError> {
        install_cryptography();
        let extra = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        let unusable = |error: rustls::Error| TrustError::Unusable(error.to_string());
        let builder = ClientConfig::builder();
        let provider = Arc::clone(builder.crypto_provider());
        let config = match PlatformVerifier::new_with_extra_roots(extra.clone(), Arc::clone(&provider)) {
            Ok(verifier) => naming(builder, Arc::new(verifier)),
            // An image without CA roots is fine where a ca_file names the only authority there is.
            Err(error) if extra.is_empty() => return Err(unusable(error)),
            Err(_) => {
                let mut roots = RootCertStore::empty();
                for certificate in extra {
                    roots.add(certificate).map_err(unusable)?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
                naming(builder, verifier.map_err(|error| TrustError::Unusable(error.to_string()))?)
            }
        };
        Ok(Self { config: Arc::new(config.with_no_client_auth()), servers: Arc::default() })
    }

    /// The TLS settings for a client of its own, whose sessions nobody else resumes.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        /// The sessions of one server or two: a TLS 1.3 server issues several tickets at a time.
        const SESSIONS: usize = 16;
        let mut config = (*self.config).clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config
    }

    /// Shakes hands with an upstream, whose certificate must be for its host, and resumes the session of an
    /// earlier connection to it.
    ///
    /// # Errors
    /// What the handshake failed with; a refused certificate is in the error's text.
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
        stream: TcpStream,
    ) -> io::Result<Box<ClientLine<TcpStream>>> {
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        let shaken = ClientLine::connect(self.config_for(endpoint), name, stream).await;
        if shaken.as_ref().is_err_and(is_garbled) {
            self.forget(endpoint);
        }
        shaken
    }

    fn config_for(&self, endpoint: &Endpoint) -> Arc<ClientConfig> {
        let server = (endpoint.host.clone(), endpoint.port);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let config = servers.entry(server).or_insert_with(|| {
            let mut config = (*self.config).clone();
            config.resumption = Resumption::store(Arc::new(Sessions::default()));
            Arc::new(config)
        });
        Arc::clone(config)
    }

    /// Resumes no session of a server any more that there has been.
    fn forget(&self, endpoint: &Endpoint) {
        let server = (endpoint.host.clone(), endpoint.port);
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).remove(&server);
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

/// Whose refusals name who issued what is refused.
fn naming(
    builder: Builder,
    verifier: Arc<dyn ServerCertVerifier>,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    builder.dangerous().with_custom_certificate_verifier(Arc::new(Naming(verifier)))
}

/// Whether a handshake failed as one does where a server resumes what it does not know any more (TLS 1.2).
fn is_garbled(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::DecryptError))
}

fn read_certificates(path: PathBuf) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |trouble: &dyn fmt::Display| TrustError::Unreadable {
        path: path.clone(),
        trouble: trouble.to_string(),
    };
    let pem = std::fs::read(&path).map_err(|error| unreadable(&error))?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
    if certificates.is_empty() {
        return Err(TrustError::NoCertificate(path));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "hello").unwrap();
        let error = Trust::new(Some(path.clone())).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} holds no certificate", path.display())), "{error}");
        let missing = Trust::new(Some(folder.path().join("none.pem"))).unwrap_err().to_string();
        assert!(missing.contains("none.pem: No such file"), "{missing}");
    }
}
