//! A certificate of the bridge's own, for who has none from anybody else.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rcgen::{
    CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;
use x509_cert::{
    Certificate as X509,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::secret::Secret;

/// How long it is good for: Apple's systems take no server certificate that lives longer than 825 days.
pub const LIFETIME: Duration = Duration::from_hours(820 * 24);

/// Its beginning lies so far in the past: the clocks of old devices go wrong.
const BACKDATED: Duration = Duration::from_hours(24);

/// What kind of key a certificate has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA on the curve P-256: small and quick, known since about 2012.
    #[default]
    EcdsaP256,
    /// RSA of 2048 bits, for programs that are older.
    Rsa2048,
}

impl KeyType {
    /// Its name in the configuration: `ecdsa-p256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048 => "rsa-2048",
        }
    }

    /// Makes a key of the kind, in PEM form (PKCS #8).
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn generate(self) -> Result<Secret, Error> {
        let key = match self {
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        };
        Ok(Secret::new(key?.serialize_pem()))
    }

    /// Whether a key in PEM form is of the kind.
    #[must_use]
    pub fn is_of(self, key: &Secret) -> bool {
        let key = key.expose_str().and_then(|pem| KeyPair::from_pem(pem).ok());
        key.is_some_and(|key| match self {
            Self::EcdsaP256 => key.is_compatible(&PKCS_ECDSA_P256_SHA256),
            Self::Rsa2048 => key.is_compatible(&PKCS_RSA_SHA256),
        })
    }
}

/// Makes a certificate for `names` (host names and addresses) that `key` has signed itself, in PEM form.
///
/// It is no authority's certificate: who trusts it trusts nothing else by it.
///
/// # Errors
/// Where the key cannot be read or a name is none.
pub fn certificate(key: &Secret, names: &[String], now: SystemTime) -> Result<String, Error> {
    let key = KeyPair::from_pem(key.expose_str().unwrap_or_default())?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "Footbridge");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = OffsetDateTime::from(now - BACKDATED);
    params.not_after = OffsetDateTime::from(now + LIFETIME);
    Ok(params.self_signed(&key)?.pem())
}

/// The names and addresses in a certificate in PEM form; none where it cannot be read.
#[must_use]
pub fn names_in(certificate: &str) -> Vec<String> {
    names(certificate).unwrap_or_default()
}

fn names(certificate: &str) -> Option<Vec<String>> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    let x509 = X509::from_der(&der).ok()?;
    let (_, names) = x509.tbs_certificate().get_extension::<SubjectAltName>().ok()??;
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let six = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
            four.or_else(|_| six()).ok().map(|address| address.to_string())
        }
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::UniformResourceIdentifier(_)
        | GeneralName::RegisteredId(_) => None,
    };
    Some(names.0.iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_each_kind_has_its_names_its_time_and_its_key() {
        let names = ["localhost", "bridge.example.com", "10.1.2.3", "::1"].map(str::to_owned);
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        for (kind, other) in [(KeyType::EcdsaP256, KeyType::Rsa2048), (KeyType::Rsa2048, KeyType::EcdsaP256)]
        {
            let key = kind.generate().unwrap();
            assert!(kind.is_of(&key) && !other.is_of(&key));
            let made = certificate(&key, &names, now).unwrap();
            assert_eq!(names_in(&made), names);
            let pem = Secret::new(made);
            let path = std::path::Path::new("a");
            let pair = crate::net::certificate::Pair::from_pem((path, &pem), (path, &key)).unwrap();
            assert_eq!((pair.begins, pair.ends), (now - BACKDATED, now + LIFETIME));
        }
        assert!(!KeyType::EcdsaP256.is_of(&Secret::new("no key")));
        assert!(names_in("no certificate").is_empty());
    }
}
