//! A throw-away certificate authority and the certificates that it signs.

use std::{fmt, path::Path, sync::Arc};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::DecodingKey;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ALL_VERSIONS, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        version::TLS13,
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

    /// A certificate for [`NAMES`] that was good until 2020.
    pub fn expired_leaf(&self) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(&NAMES);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
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
        TlsConnector::from(Arc::new(self.client_config()))
    }

    /// The settings of [`Certs::connector`].
    pub fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }
}

impl Leaf {
    fn new(certificate: &CertificateDer<'static>, key: &KeyPair) -> Self {
        Self { chain: vec![certificate.clone()], key: PrivatePkcs8KeyDer::from(key.serialize_der()) }
    }

    /// Writes the certificate to `folder/NAME.pem` and its key to `folder/NAME.key`.
    pub fn write(&self, folder: &Path, name: &str) {
        let pem = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der));
        let chain: String = self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        std::fs::write(folder.join(name).with_extension("pem"), chain).unwrap();
        let key = pem("PRIVATE KEY", self.key.secret_pkcs8_der());
        std::fs::write(folder.join(name).with_extension("key"), key).unwrap();
    }

    /// The certificate itself, in DER form.
    pub fn der(&self) -> CertificateDer<'static> {
        self.chain[0].clone()
    }

    /// What a server with this certificate does TLS with.
    pub fn acceptor(self) -> TlsAcceptor {
        self.acceptor_of(ALL_VERSIONS)
    }

    /// The same, with these versions of TLS only.
    pub fn acceptor_of(self, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server_config(versions)))
    }

    /// The same, of TLS 1.3 alone and without tickets: when its handshake is over the server says nothing of its own
    /// accord.
    pub fn acceptor_without_tickets(self) -> TlsAcceptor {
        let mut config = self.server_config(&[&TLS13]);
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }

    fn server_config(self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(self.chain, PrivateKeyDer::Pkcs8(self.key))
            .unwrap()
    }
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Throw-away test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Who an app is: an RSA key with a self-signed certificate, as it is uploaded to an app registration.
#[derive(Clone)]
pub struct Identity {
    certificate: String,
    der: Vec<u8>,
    key: Arc<KeyPair>,
}

impl Identity {
    /// A fresh one, good for years.
    pub fn generate(name: &str) -> Self {
        Self::until(name, 4096, 1, 1)
    }

    /// A fresh one that is good until the beginning of a day, in UTC.
    pub fn until(name: &str, year: i32, month: u8, day: u8) -> Self {
        footbridge::net::tls::install_cryptography();
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(year, month, day);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), der: certificate.der().to_vec(), key: Arc::new(key) }
    }

    /// One that another program has made: the certificate, and the key in PKCS #8.
    pub fn read(certificate_pem: &str, key_pem: &str) -> Self {
        let der = pem::parse(certificate_pem).unwrap().into_contents();
        let key = KeyPair::from_pem(key_pem).unwrap();
        Self { certificate: certificate_pem.to_owned(), der, key: Arc::new(key) }
    }

    /// The certificate.
    pub fn certificate_pem(&self) -> String {
        self.certificate.clone()
    }

    /// The private key, in PKCS #8: `BEGIN PRIVATE KEY`.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The private key, in PKCS #1: `BEGIN RSA PRIVATE KEY`.
    pub fn key_pem_pkcs1(&self) -> String {
        let der = self.key.serialize_der();
        // RFC 5208 §5 around a key of 2,048 bits: two lengths, the version, the algorithm, one more length.
        let (around, inner) = der.split_at(26);
        assert_eq!(
            (&around[..2], &around[22..24]),
            (&[0x30, 0x82][..], &[0x04, 0x82][..]),
            "a 2,048 bit key"
        );
        let lines = base64::prelude::BASE64_STANDARD.encode(inner);
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
    }

    /// The thumbprint of the certificate that `x5t#S256` has.
    pub fn sha256(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der))
    }

    /// The thumbprint of the certificate that `x5t` has.
    pub fn sha1(&self) -> String {
        let hash = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
        BASE64_URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(hash, &self.der))
    }

    /// What checks its signatures.
    pub fn checking(&self) -> DecodingKey {
        DecodingKey::from_rsa_pem(self.key.public_key_pem().as_bytes()).unwrap()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.sha256())
    }
}
