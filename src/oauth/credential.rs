//! How an app proves to the authority who it is.

use std::{path::PathBuf, time::SystemTime};

use url::Url;

use crate::{
    clock::SharedClock,
    secret::{Secret, Source, SourceError},
};

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

/// What a token request has in it as the app's proof.
#[derive(Debug)]
pub(super) enum Proof {
    /// Nothing: the client identifier says it all.
    None,
    /// A client secret, RFC 6749 §2.3.1.
    Secret(Secret),
    /// A client assertion, RFC 7523 §2.2.
    #[expect(dead_code, reason = "no configuration asks for one yet")]
    Assertion(Secret),
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialError {
    /// The secret cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The credential is of another kind than what is asked for.
    #[error("the app has no such credential")]
    None,
}

impl Credential {
    /// How many proofs there are to try.
    pub(super) fn proofs(&self) -> usize {
        if let Self::Secrets(secrets) = self { secrets.len() } else { 1 }
    }

    /// The proof of a number, from 0.
    pub(super) async fn proof(
        &self,
        _client_id: &str,
        _audience: &Url,
        shown: Option<&Secret>,
        number: usize,
        _clock: &SharedClock,
    ) -> Result<Proof, CredentialError> {
        match self {
            Self::None => Ok(Proof::None),
            Self::Secrets(secrets) => {
                let source = secrets.get(number).ok_or(CredentialError::None)?;
                Ok(Proof::Secret(source.read().await?))
            }
            Self::LoginPassword => shown.cloned().map(Proof::Secret).ok_or(CredentialError::None),
            Self::Certificate(_) | Self::FederatedToken(_) | Self::ServiceAccount(_) => {
                Err(CredentialError::None)
            }
        }
    }

    /// What a service account shows to act for `subject`.
    #[expect(clippy::unused_async, reason = "the key will be read from where it is kept")]
    pub(super) async fn service_account_assertion(
        &self,
        _token_url: &Url,
        _scopes: &[String],
        _subject: &str,
        _now: SystemTime,
    ) -> Result<Secret, CredentialError> {
        Err(CredentialError::None)
    }
}
