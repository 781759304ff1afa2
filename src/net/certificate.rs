//! Certificates that listeners show to their clients, replaced while connections are open.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use x509_cert::{Certificate as X509, der::Decode as _, time::Time};

use crate::secret::{Secret, Source, SourceError};

/// A certificate, its chain, and the key that belongs to it.
#[derive(Clone)]
pub struct Pair {
    certified: Arc<CertifiedKey>,
    /// The first moment of its time.
    pub begins: SystemTime,
    /// The last moment of its time.
    pub ends: SystemTime,
    /// The SHA-256 of the certificate as openssl prints it: `AB:CD:…`.
    pub fingerprint: String,
}

/// What a server's certificate says of itself, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who vouches for it: the name of RFC 4514, `CN=…,O=…`.
    pub issuer: String,
    /// The last moment of its time.
    pub ends: SystemTime,
}

impl Shown {
    /// Reads a certificate in DER form; `None` where it is damaged.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let of = certificate.tbs_certificate();
        let ends = SystemTime::UNIX_EPOCH + of.validity().not_after.to_unix_duration();
        Some(Self { issuer: of.issuer().to_string(), ends })
    }
}

/// Why two files are no certificate with its key.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file is not there or cannot be read.
    #[error("{0}")]
    Unreadable(#[from] SourceError),
    /// The file for the certificate holds none.
    #[error("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate is not whole.
    #[error("{} holds a damaged certificate", .0.display())]
    Damaged(PathBuf),
    /// The file for the key holds none.
    #[error("{} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)", .0.display())]
    NoKey(PathBuf),
    /// The key is encrypted, and a bridge that starts by itself has nobody to ask.
    #[error("the private key in {} is encrypted", .0.display())]
    EncryptedKey(PathBuf),
    /// The key is of a kind that TLS cannot use.
    #[error("the private key in {} cannot be used: {trouble}", path.display())]
    Unusable {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong with it.
        trouble: String,
    },
    /// The key is another certificate's.
    #[error("the private key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
}

impl PairError {
    /// Whether it is about this file.
    #[must_use]
    pub fn concerns(&self, file: &Path) -> bool {
        match self {
            Self::Unreadable(SourceError::Unreadable { path, .. })
            | Self::NoCertificate(path)
            | Self::Damaged(path)
            | Self::NoKey(path)
            | Self::EncryptedKey(path)
            | Self::Unusable { path, .. }
            | Self::Mismatch { key: path, .. } => path == file,
            Self::Unreadable(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a file that is there and that the bridge may read",
            Self::NoCertificate(_) | Self::Damaged(_) => {
                "give the certificate in PEM form, with the certificates that lead to its root behind it"
            }
            Self::NoKey(_) => "name the file of the certificate's private key with key = \"…\"",
            Self::EncryptedKey(_) => {
                "write it without its password into a file that only the bridge may read: openssl pkey -in … -out …"
            }
            Self::Unusable { .. } => "give an RSA key of 2048 bits or more, or an ECDSA or Ed25519 key",
            Self::Mismatch { .. } => "give the key that the certificate was requested with",
        }
    }
}

impl Pair {
    /// Reads a certificate with its chain, and its key, from two files in PEM form, which may be one and
    /// the same. The certificate of the key may stand anywhere in its file.
    ///
    /// # Errors
    /// [`PairError`]. A certificate that is out of its time is none.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PairError> {
        let in_files = (Source::read_file(certificate)?, Source::read_file(key)?);
        Self::from_pem((certificate, &in_files.0), (key, &in_files.1))
    }

    /// Whether a key could be used, whatever certificate it belongs to; the path is for the error.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub fn check_key(path: &Path, key: &Secret) -> Result<(), PairError> {
        signing_key(path, key).map(|_| ())
    }

    /// As [`Pair::read`], of what has been read; the paths are for the errors.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub fn from_pem(
        (certificate_path, certificate): (&Path, &Secret),
        (key_path, key): (&Path, &Secret),
    ) -> Result<Self, PairError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.expose())
            .collect::<Result<_, _>>()
            .map_err(|_| PairError::Damaged(certificate_path.to_owned()))?;
        if chain.is_empty() {
            return Err(PairError::NoCertificate(certificate_path.to_owned()));
        }
        let certified = certified(&chain, &signing_key(key_path, key)?).ok_or_else(|| {
            PairError::Mismatch { certificate: certificate_path.to_owned(), key: key_path.to_owned() }
        })?;
        let of_key = &certified.cert[0];
        let x509 = X509::from_der(of_key).map_err(|_| PairError::Damaged(certificate_path.to_owned()))?;
        let moment = |time: Time| SystemTime::UNIX_EPOCH + time.to_unix_duration();
        let validity = x509.tbs_certificate().validity();
        Ok(Self {
            begins: moment(validity.not_before),
            ends: moment(validity.not_after),
            fingerprint: fingerprint(of_key),
            certified: Arc::new(certified),
        })
    }
}

impl PartialEq for Pair {
    /// The same certificate with the same chain; the key then is the same as well.
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

fn signing_key(path: &Path, pem: &Secret) -> Result<Arc<dyn SigningKey>, PairError> {
    // RFC 7468 §11, and RFC 1421's header of older files.
    if pem.expose().windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(PairError::EncryptedKey(path.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| PairError::NoKey(path.to_owned()))?;
    let unusable =
        |error: rustls::Error| PairError::Unusable { path: path.to_owned(), trouble: error.to_string() };
    any_supported_type(&key).map_err(unusable)
}

/// The chain with the certificate of the key in front; `None` where the key is none of theirs.
fn certified(chain: &[CertificateDer<'static>], key: &Arc<dyn SigningKey>) -> Option<CertifiedKey> {
    (0..chain.len()).find_map(|at| {
        let mut chain = chain.to_vec();
        chain[..=at].rotate_right(1);
        let certified = CertifiedKey::new(chain, Arc::clone(key));
        certified.keys_match().is_ok().then_some(certified)
    })
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for (number, byte) in digest::digest(&SHA256, der).as_ref().iter().enumerate() {
        let _ = write!(text, "{}{byte:02X}", if number > 0 { ":" } else { "" });
    }
    text
}

/// What listeners show: the pair of the moment.
#[derive(Debug)]
pub struct Certificate(RwLock<Pair>);

impl Certificate {
    /// Shows this from the beginning.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self(RwLock::new(pair))
    }

    /// Shows this to who connects from here on.
    pub fn replace(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }

    /// What is shown.
    #[must_use]
    pub fn pair(&self) -> Pair {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificate {
    /// The same for every name: old clients send none, and people connect by addresses.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair().certified)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};

    use super::*;

    fn pem(text: &str) -> Secret {
        Secret::new(text)
    }

    fn read(certificate: &str, key: &str) -> Result<Pair, PairError> {
        Pair::from_pem((Path::new("a.pem"), &pem(certificate)), (Path::new("a.key"), &pem(key)))
    }

    #[test]
    fn the_certificate_of_the_key_is_found_anywhere_in_the_chain() {
        let issuer =
            CertifiedIssuer::self_signed(CertificateParams::default(), KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let first = read(&(leaf.pem() + &issuer.pem()), &key.serialize_pem()).unwrap();
        let last = read(&(issuer.pem() + &leaf.pem()), &key.serialize_pem()).unwrap();
        assert_eq!(first.fingerprint, last.fingerprint);
        assert_eq!(last.certified.cert, [leaf.der().clone(), issuer.der().clone()]);
        assert_eq!(first.fingerprint.len(), 95);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told_by_name() {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::default().self_signed(&key).unwrap().pem();
        let other = KeyPair::generate().unwrap().serialize_pem();
        let own = key.serialize_pem();
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let cases = [
            ("hello", own.as_str(), "a.pem holds no certificate"),
            (&leaf, "hello", "a.key holds no private key"),
            (&leaf, &leaf, "a.key holds no private key"),
            (&leaf, &other, "the private key in a.key does not belong to the certificate in a.pem"),
            (&leaf, encrypted, "the private key in a.key is encrypted"),
        ];
        for (certificate, key, expected) in cases {
            let error = read(certificate, key).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let missing = Pair::read(Path::new("/nowhere/a.pem"), Path::new("/nowhere/a.key")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/a.pem"), "{missing}");
    }
}
