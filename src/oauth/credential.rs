//! How an app proves to the authority who it is.

use std::path::PathBuf;

use crate::secret::Source;

/// What `[app.NAME]` has in the place of a secret. Everything is read again for each token request,
/// so that what was rotated is used without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: a public client, RFC 6749 §2.1.
    None,
    /// A client secret, or two while one replaces the other: the second is tried where the authority
    /// calls the first wrong or expired.
    Secrets(Vec<Source>),
    /// An X.509 certificate and its key, by which assertions are signed (RFC 7523 §2.2).
    Certificate(Certificate),
    /// A file with an assertion that another authority has signed (RFC 7523 §2.2).
    FederatedToken(PathBuf),
    /// The password that the mail program shows.
    LoginPassword,
    /// The key file of a Google service account, in JSON.
    ServiceAccount(Source),
}

/// Where a certificate and its key are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate in PEM form, or certificate and key in PKCS #12 (PFX).
    pub certificate: PathBuf,
    /// The key in PEM form, where it is not in the file of the certificate.
    pub key: Option<PathBuf>,
    /// What the key is encrypted with.
    pub key_password: Option<Source>,
    /// How assertions are signed.
    pub algorithm: AssertionAlgorithm,
}

/// How an assertion is signed, and how the certificate is named in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertionAlgorithm {
    /// RSASSA-PSS with SHA-256, and `x5t#S256`.
    #[default]
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, and `x5t`, for older authorities.
    Rs256,
}
