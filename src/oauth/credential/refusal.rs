//! Why a certificate or its key is refused, and what to do about it.

use std::{fmt, time::SystemTime};

/// The largest file of a certificate or key that is read, in bytes. A chain of certificates with a key
/// stays below it by a factor of ten.
pub const LARGEST: usize = 256 * 1024;

/// Which of the things that make up a certificate is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate, or the file of both.
    Certificate,
    /// The private key, wherever it is.
    Key,
    /// What the key or the PFX file is encrypted with.
    Password,
}

/// Why a certificate cannot be used. No text holds anything of the key or of its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFileError {
    /// What it is that cannot be used.
    pub part: Part,
    /// What is the matter with it.
    pub reason: Refusal,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for KeyFileError {}

/// What is the matter with a certificate or its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The system does not let the file be read; its own words.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// The file is over [`LARGEST`].
    #[error("the file is larger than {} KiB", LARGEST / 1024)]
    TooLarge,
    /// A Java keystore.
    #[error("the file is a Java keystore (JKS), not PEM or PFX")]
    JavaKeystore,
    /// A bare certificate or key in binary form.
    #[error("the file is in DER form, not PEM or PFX")]
    Der,
    /// Something else that is no text.
    #[error("the file is neither PEM nor PFX")]
    NeitherForm,
    /// A text whose PEM sections are broken.
    #[error("the PEM text in the file is damaged")]
    DamagedPem,
    /// A PFX file that cannot be taken apart.
    #[error("the PFX file is damaged, or of a kind that is not supported")]
    DamagedPfx,
    /// No certificate; what there is instead.
    #[error("there is no certificate in the file{0}")]
    NoCertificate(Found),
    /// A certificate that is no X.509.
    #[error("the certificate is damaged")]
    DamagedCertificate,
    /// No private key anywhere; what there is instead.
    #[error("there is no private key{0}")]
    NoKey(Found),
    /// More than one private key, so that it is not clear which is meant.
    #[error("there are several private keys")]
    SeveralKeys,
    /// A key that cannot be read or whose numbers do not fit together.
    #[error("the private key is damaged")]
    DamagedKey,
    /// A key of OpenSSH's own form.
    #[error("the private key is in OpenSSH's own form")]
    OpenSsh,
    /// A key of another algorithm, by its name.
    #[error("the private key is {0}, where RSA is needed")]
    NotRsa(&'static str),
    /// An RSA key of so many bits.
    #[error("the RSA key has {0} bits, where 2048 to 8192 are needed")]
    Bits(usize),
    /// The key is not the one in the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The certificate has ended.
    #[error("the certificate{} ended on {}", of(.subject), day(*.ended))]
    Expired {
        /// Whose it is.
        subject: String,
        /// The end of its time.
        ended: SystemTime,
    },
    /// The certificate has not begun.
    #[error("the certificate{} is not valid before {}", of(.subject), day(*.begins))]
    NotYetValid {
        /// Whose it is.
        subject: String,
        /// The beginning of its time.
        begins: SystemTime,
    },
    /// PEM encryption as before PKCS #8, which derives its key by one round of MD5.
    #[error("the private key is encrypted in the old form (Proc-Type: 4,ENCRYPTED)")]
    OldEncryption,
    /// Encryption that is not supported, or that asks for too much work.
    #[error("the private key is encrypted in a way that is not supported")]
    UnknownEncryption,
    /// An encrypted key, and no password.
    #[error("the private key is encrypted")]
    NoPassword,
    /// A password that does not open it.
    #[error("the password does not open the private key")]
    WrongPassword,
}

impl Refusal {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "give the path of a file that footbridge may read",
            Self::TooLarge => "give a file with the certificate and its key alone",
            Self::JavaKeystore => {
                "convert it: keytool -importkeystore -srckeystore app.jks -destkeystore app.pfx -deststoretype PKCS12"
            }
            Self::Der => {
                "convert it: openssl x509 -inform der -in app.cer -out app.pem, or for a key openssl pkey -inform der"
            }
            Self::NeitherForm => "give a PEM file (-----BEGIN CERTIFICATE-----) or a PFX file",
            Self::DamagedPem => "write it anew; each -----BEGIN …----- needs its -----END …-----",
            Self::DamagedPfx | Self::DamagedCertificate | Self::DamagedKey => "export it anew",
            Self::NoCertificate(_) => {
                "give the certificate whose public part was uploaded to the app registration"
            }
            Self::NoKey(_) => "add key = \"…\", the PEM file with the certificate's private key",
            Self::SeveralKeys => "leave the key of the certificate and take the others out",
            Self::OpenSsh => "convert a copy of it: ssh-keygen -p -N '' -m PKCS8 -f app.key",
            Self::NotRsa(_) => {
                "make one with an RSA key, the only kind that Entra takes: openssl req -x509 -newkey rsa:3072 …"
            }
            Self::Bits(_) => "make a certificate with a longer key: openssl req -x509 -newkey rsa:3072 …",
            Self::Mismatch => "give the key that the certificate was made with",
            Self::Expired { .. } => {
                "make a new certificate and upload its public part to the app registration"
            }
            Self::NotYetValid { .. } => "set this machine's clock, or wait until then",
            Self::OldEncryption => "convert it: openssl pkcs8 -topk8 -in app.key -out new.key",
            Self::UnknownEncryption => {
                "encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in app.key -out new.key"
            }
            Self::NoPassword => "add key_password = { file = \"…\" } or { env = \"…\" }",
            Self::WrongPassword => "correct what key_password names",
        }
    }

    /// As an error that concerns `part`.
    pub(super) fn of(self, part: Part) -> KeyFileError {
        KeyFileError { part, reason: self }
    }
}

/// The kinds of PEM section that were found in place of what was looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found(pub(super) Vec<String>);

impl Found {
    /// Notes one kind. The first few suffice, and the words may be anybody's.
    pub(super) fn note(&mut self, label: &str) {
        let clean: String = label.chars().filter(|char| !char.is_control()).take(40).collect();
        if self.0.len() < 3 && !self.0.contains(&clean) {
            self.0.push(clean);
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", only {}", self.0.join(", "))
    }
}

fn of(subject: &str) -> String {
    if subject.is_empty() { String::new() } else { format!(" of {}", subject.escape_debug()) }
}

/// The day of a time in UTC: `2027-04-05`.
#[must_use]
pub fn day(time: SystemTime) -> String {
    let date = x509_cert::der::DateTime::from_system_time(time);
    date.map_or_else(
        |_| "an unknown day".to_owned(),
        |date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
    )
}
