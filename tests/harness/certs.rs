//! A throw-away certificate authority and the certificates that it signs.

use std::{path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// The names that a good certificate is for.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate authority that lives as long as a test.
pub struct Certs {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Certs {
    /// Makes a fresh authority.
    pub fn new() -> Arc<Self> {
        footbridge::net::tls::install_cryptography();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Throw-away test CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Arc::new(Self { issuer })
    }

    /// The trust anchor in PEM form.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the trust anchor to `folder/ca.pem`.
    pub fn write_ca(&self, folder: &Path) {
        std::fs::write(folder.join("ca.pem"), self.ca_pem()).unwrap();
    }

    /// A good certificate for [`NAMES`].
    pub fn leaf(&self) -> Leaf {
        self.leaf_for(&NAMES)
    }

    /// A certificate for other names, which a careful client refuses.
    pub fn leaf_for(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf_params(names).signed_by(&key, &self.issuer).unwrap();
        Leaf::new(certificate.der(), &key)
    }

    /// A certificate for the right names that nobody vouches for.
    pub fn self_signed() -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf_params(&NAMES).self_signed(&key).unwrap();
        Leaf::new(certificate.der(), &key)
    }

    /// What a server does TLS with: a good certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.leaf().acceptor()
    }

    /// What a client does TLS with that trusts this authority alone.
    pub fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

impl Leaf {
    fn new(certificate: &CertificateDer<'static>, key: &KeyPair) -> Self {
        Self { chain: vec![certificate.clone()], key: PrivatePkcs8KeyDer::from(key.serialize_der()) }
    }

    /// What a server with this certificate does TLS with.
    pub fn acceptor(self) -> TlsAcceptor {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain, PrivateKeyDer::Pkcs8(self.key))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Throw-away test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}
