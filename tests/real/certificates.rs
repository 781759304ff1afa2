//! Certificates, made anew for each test run.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize,
};
use sha2::{Digest as _, Sha256};

/// A certificate authority (`ca.pem`), and a certificate of it for every server here (`server.pem`, `server.key`), with the
/// digest by which a browser is told to trust it (`server.spki`); and the certificate of all applications that have none of
/// their own (`app.crt`, `app.key`).
pub fn make_certificates(dir: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let certificate = params.signed_by(&key, &ca).unwrap();
    fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    fs::write(dir.join("server.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
    fs::write(dir.join("server.spki"), STANDARD.encode(Sha256::digest(key.subject_public_key_info())))
        .unwrap();
    make_application_certificate(dir, "app");
}

/// A certificate with which an application proves itself (`<name>.crt`), as one makes it for Entra: RSA of 2048 bits, signed by
/// itself; and its private key, PKCS #8 (`<name>.key`). Returns where both lie.
pub fn make_application_certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap();
    let [certificate_file, key_file] = ["crt", "key"].map(|end| dir.join(format!("{name}.{end}")));
    fs::write(&certificate_file, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    (certificate_file, key_file)
}
