//! RSA keys that sign: out of PKCS #1 and PKCS #8, encrypted or not.

use std::fmt;

use aws_lc_rs::rsa::KeyPair;
use jsonwebtoken::EncodingKey;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef,
    der::{Reader as _, SliceReader, asn1::UintRef},
    pkcs5::{Error as Unopened, pbes2::Parameters},
};

use super::refusal::Refusal;
use crate::secret::Secret;

/// `rsaEncryption`, RFC 8017 §A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Other algorithms by name.
const OTHERS: [(ObjectIdentifier, &str); 6] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"), "an RSA key for PSS alone"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.2.1"), "an EC key"),
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "an Ed25519 key"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "an Ed448 key"),
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "an X25519 key"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "a DSA key"),
];

/// The bits that a key may have: NIST SP 800-131A has at least 2048, aws-lc at most 8192.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The most rounds of PBKDF2 that are worked off, about a second. OpenSSL writes 2048.
const MOST_ROUNDS: u32 = 1_000_000;

/// The most memory that scrypt gets, in bytes. OpenSSL's `-scrypt` takes 16 MiB.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// The most lanes of scrypt, each of which takes as long as the memory is large. OpenSSL's has one.
const MOST_LANES: u16 = 16;

/// A private RSA key. It is never printed, and wiped when it is dropped; the libraries' own copies live
/// for the time of one signature.
#[derive(Clone)]
pub(super) struct SigningKey {
    key: EncodingKey,
    public: PublicKey,
}

/// The public half of an RSA key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// Reads `RSAPrivateKey`, RFC 8017 §A.1.2.
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, Refusal> {
        let public = PublicKey::of_private(der).ok_or(Refusal::DamagedKey)?;
        let bits = public.bits();
        if !BITS.contains(&bits) {
            return Err(Refusal::Bits(bits));
        }
        // Whether the numbers belong together.
        KeyPair::from_der(der).map_err(|_| Refusal::DamagedKey)?;
        Ok(Self { key: EncodingKey::from_rsa_der(der), public })
    }

    /// Reads `PrivateKeyInfo`, RFC 5208 §5.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, Refusal> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Refusal::DamagedKey)?;
        let algorithm = info.algorithm.oid;
        if algorithm != RSA {
            let other = OTHERS.iter().find(|(oid, _)| *oid == algorithm);
            return Err(Refusal::NotRsa(other.map_or("of an unknown kind", |(_, name)| name)));
        }
        Self::from_pkcs1(info.private_key.as_bytes())
    }

    /// Reads `EncryptedPrivateKeyInfo`, RFC 5208 §6, by PBES2 (RFC 8018 §6.2).
    pub(super) fn from_encrypted(der: &[u8], password: Option<&Secret>) -> Result<Self, Refusal> {
        let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| Refusal::UnknownEncryption)?;
        let bearable = info.encryption_algorithm.pbes2().is_some_and(is_bearable);
        if !bearable {
            return Err(Refusal::UnknownEncryption);
        }
        let password = password.ok_or(Refusal::NoPassword)?;
        let opened = info.decrypt(password.expose()).map_err(|error| {
            // A wrong password shows in the padding, and now and then only in what comes out.
            if is_unknown(&error) { Refusal::UnknownEncryption } else { Refusal::WrongPassword }
        })?;
        Self::from_pkcs8(opened.as_bytes())
            .map_err(|refusal| if refusal == Refusal::DamagedKey { Refusal::WrongPassword } else { refusal })
    }

    /// The key as the JWT library takes it.
    pub(super) fn encoding_key(&self) -> &EncodingKey {
        &self.key
    }

    /// The half that a certificate may hold.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }
}

fn is_unknown(error: &pkcs8::Error) -> bool {
    matches!(
        error,
        pkcs8::Error::EncryptedPrivateKey(
            Unopened::UnsupportedAlgorithm { .. } | Unopened::AlgorithmParametersInvalid { .. }
        )
    )
}

/// Whether deriving the key takes no more than a file may ask for.
fn is_bearable(parameters: &Parameters) -> bool {
    let rounds = parameters.kdf.pbkdf2().map(|pbkdf2| pbkdf2.iteration_count <= MOST_ROUNDS);
    let memory = parameters.kdf.scrypt().map(|scrypt| {
        let memory = scrypt.cost_parameter.checked_mul(128 * u64::from(scrypt.block_size));
        memory.is_some_and(|memory| memory <= MOST_MEMORY) && scrypt.parallelization <= MOST_LANES
    });
    rounds.or(memory).unwrap_or(false)
}

impl PublicKey {
    /// Reads `RSAPublicKey`, RFC 8017 §A.1.1.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        reader.sequence(|reader| Self::numbers(reader)).ok()
    }

    fn of_private(der: &[u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        let public = reader.sequence(|reader| {
            reader.decode::<UintRef<'_>>()?; // the version
            let public = Self::numbers(reader)?;
            reader.drain(reader.remaining_len())?;
            Ok::<_, pkcs8::der::Error>(public)
        });
        public.ok()
    }

    fn numbers(reader: &mut SliceReader<'_>) -> Result<Self, pkcs8::der::Error> {
        let (modulus, exponent) = (reader.decode::<UintRef<'_>>()?, reader.decode::<UintRef<'_>>()?);
        Ok(Self { modulus: modulus.as_bytes().to_vec(), exponent: exponent.as_bytes().to_vec() })
    }

    fn bits(&self) -> usize {
        let zeros = self.modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        self.modulus.len() * 8 - zeros
    }
}
