//! What is in the files of a certificate and its key: PEM and PKCS #12 (PFX), told apart by what is in
//! them.

use p12_keystore::{Pkcs12Archive, error::Error as PfxError};
use pem::Pem;
use zeroize::Zeroizing;

use super::{
    private_key::SigningKey,
    refusal::{Found, KeyFileError, LARGEST, Part, Refusal},
};
use crate::secret::Secret;

/// What is in a file.
#[derive(Default)]
pub(super) struct Contents {
    /// Certificates in DER form, which nobody has looked into.
    pub(super) certificates: Vec<Vec<u8>>,
    /// Keys, each once.
    pub(super) keys: Vec<SigningKey>,
    /// The labels of all PEM sections.
    pub(super) found: Found,
}

impl Contents {
    /// Takes a file apart that is meant to hold `part`, opening its key with the password.
    pub(super) fn of(bytes: &[u8], part: Part, password: Option<&Secret>) -> Result<Self, KeyFileError> {
        let contents = if bytes.len() > LARGEST {
            Err(Refusal::TooLarge)
        } else if is_java_keystore(bytes) {
            Err(Refusal::JavaKeystore)
        } else if is_pfx(bytes) {
            Self::of_pfx(bytes, password)
        } else if bytes.starts_with(b"\x30") && std::str::from_utf8(bytes).is_err() {
            Err(Refusal::Der)
        } else if bytes.contains(&0) {
            Err(Refusal::NeitherForm)
        } else {
            Self::of_pem(bytes, password)
        };
        contents.map_err(|refusal| {
            let part = concerned(&refusal, part);
            refusal.of(part)
        })
    }

    /// RFC 7468, with whatever text stands between the sections.
    fn of_pem(bytes: &[u8], password: Option<&Secret>) -> Result<Self, Refusal> {
        let mut contents = Self::default();
        for section in pem::parse_many(bytes).map_err(|_| Refusal::DamagedPem)? {
            contents.add_section(section, password)?;
        }
        if contents.is_empty() && has_begin(bytes) {
            return Err(Refusal::DamagedPem);
        }
        Ok(contents)
    }

    fn add_section(&mut self, section: Pem, password: Option<&Secret>) -> Result<(), Refusal> {
        let label = section.tag().to_owned();
        self.found.note(&label);
        // RFC 1421 §4.6.1.1.
        if section.headers().get("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED")) {
            return Err(Refusal::OldEncryption);
        }
        let der = Zeroizing::new(section.into_contents());
        match label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => self.certificates.push(der.to_vec()),
            "PRIVATE KEY" => self.add_key(SigningKey::from_pkcs8(&der)?),
            "RSA PRIVATE KEY" => self.add_key(SigningKey::from_pkcs1(&der)?),
            "ENCRYPTED PRIVATE KEY" => self.add_key(SigningKey::from_encrypted(&der, password)?),
            "EC PRIVATE KEY" => return Err(Refusal::NotRsa("an EC key")),
            "DSA PRIVATE KEY" => return Err(Refusal::NotRsa("a DSA key")),
            "OPENSSH PRIVATE KEY" => return Err(Refusal::OpenSsh),
            _ => {}
        }
        Ok(())
    }

    /// RFC 7292.
    fn of_pfx(bytes: &[u8], password: Option<&Secret>) -> Result<Self, Refusal> {
        let text = match password {
            Some(password) => password.expose_str().ok_or(Refusal::WrongPassword)?,
            None => "",
        };
        let archive = Pkcs12Archive::from_pkcs12(bytes, text)
            .map_err(|error| refusal_of_pfx(&error, password.is_some()))?;
        let mut contents = Self::default();
        contents.certificates.extend(archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()));
        for bag in &archive.keys {
            contents.add_key(SigningKey::from_pkcs8(bag.key.as_der())?);
        }
        Ok(contents)
    }

    /// Adds what another file holds.
    pub(super) fn add(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
        other.keys.into_iter().for_each(|key| self.add_key(key));
        other.found.0.iter().for_each(|label| self.found.note(label));
    }

    /// The same key twice is one: `key` may name the file of both.
    fn add_key(&mut self, key: SigningKey) {
        if self.keys.iter().all(|known| known.public() != key.public()) {
            self.keys.push(key);
        }
    }

    fn is_empty(&self) -> bool {
        self.found.0.is_empty()
    }
}

fn refusal_of_pfx(error: &PfxError, has_password: bool) -> Refusal {
    let closed = matches!(error, PfxError::MacError(_) | PfxError::UnpadError | PfxError::Pkcs5Error(_));
    match (closed, has_password) {
        (true, true) => Refusal::WrongPassword,
        (true, false) => Refusal::NoPassword,
        (false, _) if matches!(error, PfxError::UnsupportedEncryptionScheme) => Refusal::UnknownEncryption,
        (false, _) => Refusal::DamagedPfx,
    }
}

/// What of a file that may hold everything a refusal is about.
fn concerned(refusal: &Refusal, file: Part) -> Part {
    let password = matches!(refusal, Refusal::NoPassword | Refusal::WrongPassword);
    if password { Part::Password } else { file }
}

fn has_begin(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

/// The magic numbers of JKS and JCEKS.
fn is_java_keystore(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFE, 0xED, 0xFE, 0xED]) || bytes.starts_with(&[0xCE; 4])
}

/// Whether the bytes begin as `PFX` does: a sequence of the version 3 and another sequence.
fn is_pfx(bytes: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = bytes else { return false };
    let more = if *length > 0x80 { usize::from(length & 0x7F) } else { 0 };
    rest.get(more..).is_some_and(|body| body.starts_with(&[2, 1, 3, 0x30]))
}
