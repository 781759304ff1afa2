//! A certificate with its key, out of one or two files.

use std::time::SystemTime;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use x509_cert::{Certificate as X509, der::Decode as _, time::Time};

use super::{
    contents::Contents,
    private_key::{PublicKey, SigningKey},
    refusal::{KeyFileError, Part, Refusal},
};
use crate::secret::Secret;

/// A certificate and the key that belongs to it.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The first moment of its time.
    pub not_before: SystemTime,
    /// The last moment of its time.
    pub not_after: SystemTime,
    /// Whose it is, as RFC 4514 writes it: `CN=footbridge`.
    pub subject: String,
    /// The SHA-1 of the certificate in base64url, as `x5t` has it (RFC 7515 §4.1.7).
    pub sha1_thumbprint: String,
    /// The SHA-256 of the certificate in base64url, as `x5t#S256` has it (RFC 7515 §4.1.8).
    pub sha256_thumbprint: String,
    /// The certificate itself, in DER: what a registration is given of it.
    pub der: Vec<u8>,
    key: SigningKey,
}

impl ClientCertificate {
    /// Finds certificate and key in the bytes of one or two files, each PEM or PFX.
    ///
    /// PEM may hold a chain, the certificate at any place of it: the one that has the key's public half
    /// is meant, and of several such the one that ends last. A key may be in PKCS #8, encrypted or not,
    /// or in PKCS #1. A PFX file without a password is tried with an empty one, as key vaults write it.
    ///
    /// # Errors
    /// [`KeyFileError`], for everything but a certificate that is out of its time; see
    /// [`ClientCertificate::check_time`].
    pub fn read(
        certificate: &[u8],
        key: Option<&[u8]>,
        password: Option<&Secret>,
    ) -> Result<Self, KeyFileError> {
        let mut contents = Contents::of(certificate, Part::Certificate, password)?;
        let without = || Refusal::NoCertificate(contents.found.clone()).of(Part::Certificate);
        if contents.certificates.is_empty() {
            return Err(without());
        }
        if let Some(key) = key {
            contents.add(Contents::of(key, Part::Key, password)?);
        }
        let key = match contents.keys.as_slice() {
            [] => return Err(Refusal::NoKey(contents.found).of(Part::Key)),
            [key] => key.clone(),
            _ => return Err(Refusal::SeveralKeys.of(Part::Key)),
        };
        Self::choose(&contents.certificates, key)
    }

    fn choose(certificates: &[Vec<u8>], key: SigningKey) -> Result<Self, KeyFileError> {
        let parsed: Vec<_> = certificates.iter().filter_map(|der| Some((der, parse(der)?))).collect();
        let moment = |time: Time| SystemTime::UNIX_EPOCH + time.to_unix_duration();
        let ends = |x509: &X509| moment(x509.tbs_certificate().validity().not_after);
        let fitting = parsed.iter().filter(|(_, x509)| public_key(x509).as_ref() == Some(key.public()));
        let Some((der, x509)) = fitting.max_by_key(|(_, x509)| ends(x509)) else {
            let whole = parsed.len() == certificates.len();
            return Err(if whole {
                Refusal::Mismatch.of(Part::Key)
            } else {
                Refusal::DamagedCertificate.of(Part::Certificate)
            });
        };
        let thumbprint = |algorithm| BASE64_URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der));
        Ok(Self {
            not_before: moment(x509.tbs_certificate().validity().not_before),
            not_after: ends(x509),
            subject: x509.tbs_certificate().subject().to_string(),
            sha1_thumbprint: thumbprint(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256_thumbprint: thumbprint(&SHA256),
            der: (*der).clone(),
            key,
        })
    }

    /// Whether the certificate may be used at a time.
    ///
    /// # Errors
    /// [`Refusal::Expired`] and [`Refusal::NotYetValid`].
    pub fn check_time(&self, now: SystemTime) -> Result<(), KeyFileError> {
        let subject = self.subject.clone();
        let refusal = if now > self.not_after {
            Refusal::Expired { subject, ended: self.not_after }
        } else if now < self.not_before {
            Refusal::NotYetValid { subject, begins: self.not_before }
        } else {
            return Ok(());
        };
        Err(refusal.of(Part::Certificate))
    }

    pub(super) fn encoding_key(&self) -> &EncodingKey {
        self.key.encoding_key()
    }
}

fn parse(der: &[u8]) -> Option<X509> {
    X509::from_der(der).ok()
}

fn public_key(x509: &X509) -> Option<PublicKey> {
    let key = &x509.tbs_certificate().subject_public_key_info().subject_public_key;
    PublicKey::read(key.as_bytes()?)
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use pem::Pem;

    use super::{
        super::{
            refusal::LARGEST,
            samples::{Samples, Workshop, now, samples},
        },
        *,
    };

    fn read(certificate: impl AsRef<[u8]>, key: Option<&[u8]>) -> Result<ClientCertificate, KeyFileError> {
        ClientCertificate::read(certificate.as_ref(), key, None)
    }

    fn opened(certificate: &[u8], password: &str) -> Result<ClientCertificate, KeyFileError> {
        ClientCertificate::read(certificate, None, Some(&Secret::new(password)))
    }

    /// That the sample certificate and its key were read.
    #[track_caller]
    fn assert_read(read: Result<ClientCertificate, KeyFileError>) {
        let expected =
            ClientCertificate::read(samples().certificate.as_bytes(), Some(samples().key.as_bytes()), None);
        let (read, expected) = (read.unwrap(), expected.unwrap());
        assert_eq!(read.sha256_thumbprint, expected.sha256_thumbprint);
        assert_eq!(read.key.public(), expected.key.public());
    }

    #[track_caller]
    fn assert_refused(read: Result<ClientCertificate, KeyFileError>, part: Part, reason: &str) {
        let error = read.unwrap_err();
        assert_eq!((error.part, error.to_string().as_str()), (part, reason));
        assert!(!error.reason.cure().is_empty());
    }

    #[test]
    fn a_certificate_tells_whose_it_is_and_its_time() {
        let certificate = read(&samples().certificate, Some(samples().key.as_bytes())).unwrap();
        assert_eq!(certificate.subject, "CN=footbridge");
        let day = |time| super::super::day(time);
        assert_eq!(
            (day(certificate.not_before), day(certificate.not_after)),
            ("2026-01-01".into(), "2027-01-01".into())
        );
        assert!(!format!("{certificate:?}").contains(&samples().key[100..120]));
    }

    #[test]
    fn thumbprints_are_those_that_openssl_prints() {
        let workshop = Workshop::new();
        let certificate = read(&samples().certificate, Some(samples().key.as_bytes())).unwrap();
        for (algorithm, thumbprint) in
            [("sha1", &certificate.sha1_thumbprint), ("sha256", &certificate.sha256_thumbprint)]
        {
            let printed = workshop.openssl(&format!("x509 -in app.pem -noout -fingerprint -{algorithm}"));
            let hex = printed.trim().split_once('=').unwrap().1;
            let bytes = hex.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<_>>();
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(thumbprint).unwrap(), bytes);
        }
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused() {
        let certificate = read(&samples().certificate, Some(samples().key.as_bytes())).unwrap();
        let year = std::time::Duration::from_hours(366 * 24);
        certificate.check_time(now()).unwrap();
        for (time, expected) in [
            (now() + year, "the certificate of CN=footbridge ended on 2027-01-01"),
            (now() - year, "the certificate of CN=footbridge is not valid before 2026-01-01"),
        ] {
            assert_eq!(certificate.check_time(time).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_certificate_may_stand_anywhere_in_a_chain_and_the_key_with_it() {
        let Samples { certificate, key, other_certificate, ec_certificate, .. } = samples();
        for file in [
            format!("{certificate}{key}"),
            format!("{key}{certificate}"),
            format!("{other_certificate}{ec_certificate}Bag Attributes\n  \u{e4}\n{certificate}{key}"),
            format!("{certificate}{key}{other_certificate}").replace('\n', "\r\n"),
        ] {
            assert_read(read(&file, None));
            assert_read(read(&file, Some(file.as_bytes())));
        }
        assert_read(read(format!("{other_certificate}{certificate}"), Some(key.as_bytes())));
    }

    #[test]
    fn of_two_certificates_with_one_key_the_one_that_ends_last_is_taken() {
        let Samples { certificate, renewed, key, .. } = samples();
        let read = read(format!("{renewed}{certificate}{key}"), None).unwrap();
        assert_eq!(super::super::day(read.not_after), "2028-01-01");
    }

    #[test]
    fn keys_are_read_in_every_form_that_openssl_writes() {
        let workshop = Workshop::new();
        let certificate = &samples().certificate;
        assert_read(read(certificate, Some(&workshop.made("rsa -in app.key -traditional"))));
        for form in [
            "-v2 aes-256-cbc",
            "-v2 aes-128-cbc -v2prf hmacWithSHA1",
            "-v2 aes-256-cbc -v2prf hmacWithSHA512",
            "-v2 des3",
            "-scrypt",
        ] {
            let key = workshop.made(&format!("pkcs8 -topk8 -in app.key -passout pass:opensesame {form}"));
            let read = |password: Option<&str>| {
                let password = password.map(Secret::new);
                ClientCertificate::read(certificate.as_bytes(), Some(&key), password.as_ref())
            };
            assert_read(read(Some("opensesame")));
            assert_refused(read(None), Part::Password, "the private key is encrypted");
            assert_refused(
                read(Some("hunter2")),
                Part::Password,
                "the password does not open the private key",
            );
        }
    }

    #[test]
    fn pfx_files_are_read_in_the_modern_and_the_legacy_form() {
        let workshop = Workshop::new();
        for form in [
            "",
            " -certpbe AES-128-CBC -keypbe AES-256-CBC -macalg sha512",
            " -legacy",
            " -legacy -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1",
            " -nomac",
        ] {
            let export = format!("pkcs12 -export -in app.pem -inkey app.key -passout pass:opensesame{form}");
            let pfx = workshop.made(&export);
            assert_read(opened(&pfx, "opensesame"));
            assert_refused(
                opened(&pfx, "hunter2"),
                Part::Password,
                "the password does not open the private key",
            );
            assert_refused(read(&pfx, None), Part::Password, "the private key is encrypted");
        }
        assert_read(read(workshop.made("pkcs12 -export -in app.pem -inkey app.key -passout pass:"), None));
        let text = workshop.made("pkcs12 -in out -nodes -passin pass:");
        assert_read(read(text, None));
    }

    #[test]
    fn encryption_that_is_too_old_or_too_dear_is_refused_with_the_command_that_renews_it() {
        let workshop = Workshop::new();
        let certificate = &samples().certificate;
        let key = workshop.made("rsa -in app.key -traditional -aes128 -passout pass:opensesame");
        let refused = read(certificate, Some(&key));
        assert!(refused.as_ref().unwrap_err().reason.cure().contains("openssl pkcs8 -topk8"));
        assert_refused(
            refused,
            Part::Key,
            "the private key is encrypted in the old form (Proc-Type: 4,ENCRYPTED)",
        );
        for form in ["-v1 PBE-SHA1-3DES", "-v2 aes-256-cbc -iter 1000001"] {
            let key = workshop.made(&format!("pkcs8 -topk8 -in app.key -passout pass:opensesame {form}"));
            let reason = "the private key is encrypted in a way that is not supported";
            assert_refused(read(certificate, Some(&key)), Part::Key, reason);
        }
    }

    #[test]
    fn what_entra_would_refuse_is_refused_with_its_reason() {
        let workshop = Workshop::new();
        let Samples { certificate, key, other_key, ec_key, ec_certificate, .. } = samples();
        let refused = |certificate: &str, key: &[u8], reason: &str| {
            assert_refused(read(certificate, Some(key)), Part::Key, reason);
        };
        refused(ec_certificate, ec_key.as_bytes(), "the private key is an EC key, where RSA is needed");
        for (make, reason) in [
            ("genpkey -algorithm ed25519", "the private key is an Ed25519 key, where RSA is needed"),
            ("ecparam -genkey -name prime256v1", "the private key is an EC key, where RSA is needed"),
            (
                "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:1024",
                "the RSA key has 1024 bits, where 2048 to 8192 are needed",
            ),
        ] {
            refused(certificate, &workshop.made(make), reason);
        }
        refused(certificate, other_key.as_bytes(), "the private key does not belong to the certificate");
        refused(ec_certificate, key.as_bytes(), "the private key does not belong to the certificate");
        refused(certificate, format!("{key}{other_key}").as_bytes(), "there are several private keys");
        refused(certificate, certificate.as_bytes(), "there is no private key, only CERTIFICATE");
        refused(certificate, b"", "there is no private key, only CERTIFICATE");
        assert_refused(read(certificate, None), Part::Key, "there is no private key, only CERTIFICATE");
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_what_it_is() {
        let workshop = Workshop::new();
        let Samples { certificate, key, .. } = samples();
        let refused = |file: &[u8], reason: &str| {
            assert_refused(read(file, Some(key.as_bytes())), Part::Certificate, reason);
        };
        refused(b"", "there is no certificate in the file");
        refused(key.as_bytes(), "there is no certificate in the file, only PRIVATE KEY");
        refused(b"hello\n", "there is no certificate in the file");
        let der = "the file is in DER form, not PEM or PFX";
        refused(&workshop.made("x509 -in app.pem -outform der"), der);
        refused(&[0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2], "the file is a Java keystore (JKS), not PEM or PFX");
        refused(&vec![b' '; LARGEST + 1], "the file is larger than 256 KiB");
        let utf16: Vec<u8> = certificate.encode_utf16().flat_map(u16::to_le_bytes).collect();
        refused(&utf16, "the file is neither PEM nor PFX");
        for damaged in [&certificate[..certificate.len() - 20], &certificate.replacen("MII", "M*I", 1)] {
            refused(damaged.as_bytes(), "the PEM text in the file is damaged");
        }
        let garbage = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            BASE64_STANDARD.encode([7; 99])
        );
        refused(garbage.as_bytes(), "the certificate is damaged");
        let mut pfx = workshop.made("pkcs12 -export -in app.pem -inkey app.key -passout pass:");
        pfx.truncate(pfx.len() / 2);
        refused(&pfx, "the PFX file is damaged, or of a kind that is not supported");
        let key_der = workshop.made("pkcs8 -topk8 -nocrypt -in app.key -outform der");
        assert_refused(read(certificate, Some(&key_der)), Part::Key, der);
    }

    #[test]
    fn damaged_keys_are_refused() {
        let Samples { certificate, key, .. } = samples();
        let der = pem::parse(key).unwrap().into_contents();
        for at in (0..der.len()).step_by(7) {
            let mut damaged = der.clone();
            damaged[at] ^= 0x55;
            let text = pem::encode(&Pem::new("PRIVATE KEY", damaged));
            assert!(read(certificate, Some(text.as_bytes())).is_err(), "byte {at}");
        }
    }

    #[test]
    fn files_cut_or_changed_anywhere_are_read_without_panic() {
        let workshop = Workshop::new();
        for form in ["", " -legacy -nomac", " -nomac -certpbe NONE -keypbe NONE"] {
            let export = format!("pkcs12 -export -in app.pem -inkey app.key -passout pass: -iter 1{form}");
            let pfx = workshop.made(&export);
            for at in (0..pfx.len()).step_by(13) {
                _ = read(&pfx[..at], None);
                for change in [0x01, 0x80, 0xFF] {
                    let mut changed = pfx.clone();
                    changed[at] ^= change;
                    _ = read(&changed, None);
                }
            }
        }
    }
}
