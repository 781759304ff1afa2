//! How an app proves to the authority who it is.
//!
//! [`Credential::proof`] reads what the configuration names, anew for each token request, and makes of it
//! what the request carries. `keyfile`, `contents` and `private_key` read certificates and keys, `service_account`
//! the key file of a Google service account, `assertion` signs, `refusal` says why not.

mod assertion;
mod contents;
mod keyfile;
mod private_key;
mod refusal;
#[cfg(test)]
mod samples;
mod service_account;

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

pub use self::{
    assertion::{Unsigned, client_assertion, service_account_assertion},
    keyfile::ClientCertificate,
    refusal::{Found, KeyFileError, LARGEST, Part, Refusal, day},
    service_account::{ServiceAccountError, ServiceAccountKey},
};
use crate::secret::{Secret, Source, SourceError};

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

/// What a token request carries as the proof of who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: the client is public, or the grant itself is the proof.
    None,
    /// `client_secret`, RFC 6749 §2.3.1.
    Secret(Secret),
    /// `client_assertion`, whose `client_assertion_type` is
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` (RFC 7523 §2.2).
    Assertion(Secret),
}

/// What an assertion is made of beside the credential.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The app's `client_id`.
    pub client_id: &'a str,
    /// The token endpoint that the request goes to.
    pub audience: &'a str,
    /// The wall-clock time.
    pub now: SystemTime,
    /// Random bytes that no other request has.
    pub unique: [u8; 16],
}

/// Why an app cannot prove who it is. The text names places and reasons, and no secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A secret value could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The certificate or its key cannot be used.
    #[error("{}: {error}", path.display())]
    KeyFile {
        /// The file that is meant.
        path: PathBuf,
        /// Why.
        error: KeyFileError,
    },
    /// The file of a federated token cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file of a federated token holds something else.
    #[error("{} holds no token: three parts of base64url with dots between them are expected", .0.display())]
    NotAToken(PathBuf),
    /// The key of a service account cannot be used.
    #[error("{place}: {error}")]
    ServiceAccount {
        /// Where it is kept.
        place: String,
        /// Why.
        error: ServiceAccountError,
    },
    /// Another proof was asked for than the credential has.
    #[error("there is no client secret number {0}")]
    NoSuchSecret(usize),
    /// The mail program's password is the secret, and there is none.
    #[error("the client secret is the password of the mail program, which has shown none")]
    NothingShown,
    /// Signing failed.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    /// The thread that read the files broke down.
    #[error("reading the credential broke down")]
    Interrupted,
}

impl CredentialError {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Source(_) => "make the secret readable where the configuration says it is",
            Self::KeyFile { error, .. } => error.reason.cure(),
            Self::Unreadable { .. } => "give the path of a file that footbridge may read",
            Self::NotAToken(_) => "name the file that the workload identity's token is projected to",
            Self::ServiceAccount { error, .. } => error.cure(),
            Self::NoSuchSecret(_) => "add the secret to the app's list",
            Self::NothingShown => "log in with the client secret as password",
            Self::Unsigned(_) => "set this machine's clock",
            Self::Interrupted => "try again",
        }
    }
}

impl Credential {
    /// How many proofs there are to try, one after the other: two while a secret is rolled over.
    #[must_use]
    pub fn proofs(&self) -> usize {
        match self {
            Self::Secrets(secrets) => secrets.len(),
            Self::None
            | Self::Certificate(_)
            | Self::FederatedToken(_)
            | Self::LoginPassword
            | Self::ServiceAccount(_) => 1,
        }
    }

    /// Makes the proof `number`, counted from 0, for one token request; `shown` is the password that the
    /// mail program has shown. Sources and files are read anew.
    ///
    /// A service account proves itself by its grant, for which there is
    /// [`Credential::service_account_assertion`].
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn proof(
        &self,
        shown: Option<&Secret>,
        number: usize,
        occasion: Occasion<'_>,
    ) -> Result<Proof, CredentialError> {
        match self {
            Self::None | Self::ServiceAccount(_) => Ok(Proof::None),
            Self::Secrets(secrets) => {
                let source = secrets.get(number).ok_or(CredentialError::NoSuchSecret(number + 1))?;
                Ok(Proof::Secret(source.read().await?))
            }
            Self::Certificate(certificate) => certificate.proof(occasion).await.map(Proof::Assertion),
            Self::FederatedToken(path) => {
                let path = path.clone();
                aside(move || read_federated_token(&path)).await.map(Proof::Assertion)
            }
            Self::LoginPassword => shown.cloned().map(Proof::Secret).ok_or(CredentialError::NothingShown),
        }
    }

    /// The assertion by which a service account asks for a token of the person `subject` (RFC 7523
    /// §2.1). `None` where the credential is no service account.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn service_account_assertion(
        &self,
        scopes: &[String],
        subject: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>, CredentialError> {
        let Self::ServiceAccount(source) = self else { return Ok(None) };
        let account = ServiceAccountKey::read(&source.read().await?)
            .map_err(|error| CredentialError::ServiceAccount { place: source.to_string(), error })?;
        let (scopes, subject) = (scopes.to_vec(), subject.to_owned());
        let assertion =
            aside(move || Ok(service_account_assertion(&account, &scopes, &subject, now)?)).await?;
        Ok(Some(assertion))
    }

    /// When the credential ends, as far as it tells that itself: the end of the certificate, read from its
    /// file.
    ///
    /// # Errors
    /// [`CredentialError`], where there is a certificate that cannot be used.
    pub async fn expires(&self) -> Result<Option<SystemTime>, CredentialError> {
        let Self::Certificate(certificate) = self else { return Ok(None) };
        Ok(Some(certificate.read().await?.not_after))
    }
}

impl Certificate {
    /// Reads certificate and key with a password that has been read before. Blocks, for a second where
    /// the key is encrypted; its time is not checked.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(&self, password: Option<&Secret>) -> Result<ClientCertificate, KeyFileError> {
        let read = |path: &Path, part| read_file(path).map_err(|error| refused(&error).of(part));
        let certificate = read(&self.certificate, Part::Certificate)?;
        let key = self.key.as_deref().map(|path| read(path, Part::Key)).transpose()?;
        ClientCertificate::read(&certificate, key.as_ref().map(|key| key.as_slice()), password)
    }

    async fn read(&self) -> Result<ClientCertificate, CredentialError> {
        let password = match &self.key_password {
            Some(source) => Some(source.read().await?),
            None => None,
        };
        let certificate = self.clone();
        aside(move || certificate.load(password.as_ref()).map_err(|error| certificate.wrong(error))).await
    }

    async fn proof(&self, occasion: Occasion<'_>) -> Result<Secret, CredentialError> {
        let certificate = self.read().await?;
        certificate.check_time(occasion.now).map_err(|error| self.wrong(error))?;
        let (algorithm, now, jti) = (self.algorithm, occasion.now, guid(occasion.unique));
        let (client_id, audience) = (occasion.client_id.to_owned(), occasion.audience.to_owned());
        aside(move || Ok(client_assertion(&certificate, algorithm, &client_id, &audience, now, &jti)?)).await
    }

    fn wrong(&self, error: KeyFileError) -> CredentialError {
        let path = match error.part {
            Part::Certificate => &self.certificate,
            Part::Key | Part::Password => self.key.as_ref().unwrap_or(&self.certificate),
        };
        CredentialError::KeyFile { path: path.clone(), error }
    }
}

/// Runs what reads files or computes for long on a thread where that holds up nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CredentialError> + Send + 'static,
) -> Result<T, CredentialError> {
    spawn_blocking(work).await.map_err(|_| CredentialError::Interrupted)?
}

/// Reads a file that may have [`LARGEST`] bytes, and one more where it has too many.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe would keep the thread for as long as nobody writes to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // As large as can be from the start: a vector that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    File::open(path)?.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(error: &io::Error) -> Refusal {
    Refusal::Unreadable(error.to_string())
}

/// Reads the assertion that another authority has signed for this workload, without the blanks around
/// it. Only its form is checked: three parts of base64url with dots between them. Blocks.
///
/// # Errors
/// [`CredentialError::Unreadable`] and [`CredentialError::NotAToken`].
pub fn read_federated_token(path: &Path) -> Result<Secret, CredentialError> {
    let unreadable = |error| CredentialError::Unreadable { path: path.to_owned(), error };
    let bytes = read_file(path).map_err(unreadable)?;
    let token = bytes.trim_ascii();
    if token.len() > LARGEST || !has_form_of_jwt(token) {
        return Err(CredentialError::NotAToken(path.to_owned()));
    }
    Ok(Secret::new(token))
}

/// Whether the bytes are written as a signed JWT in its compact form, RFC 7515 §3.1.
fn has_form_of_jwt(token: &[u8]) -> bool {
    let parts = token.split(|&byte| byte == b'.');
    let is_base64url = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    parts.clone().count() == 3 && parts.clone().all(is_base64url)
}

/// Random bytes as the GUID that Entra's page has for `jti` (RFC 9562 §5.4).
fn guid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let number = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        number >> 80 & 0xFFFF,
        number >> 64 & 0xFFFF,
        number >> 48 & 0xFFFF,
        number & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::{
        samples::{Workshop, now, samples},
        *,
    };

    fn occasion() -> Occasion<'static> {
        Occasion { client_id: "c", audience: "https://example.com/token", now: now(), unique: [7; 16] }
    }

    fn certificate(workshop: &Workshop) -> Certificate {
        Certificate {
            certificate: workshop.path().join("app.pem"),
            key: Some(workshop.path().join("app.key")),
            key_password: None,
            algorithm: AssertionAlgorithm::Ps256,
        }
    }

    fn file(workshop: &Workshop, name: &str) -> Source {
        Source::File(workshop.path().join(name))
    }

    #[tokio::test]
    async fn each_secret_of_a_list_is_read_anew_by_its_number() {
        let workshop = Workshop::new();
        workshop.write("old", "one\n");
        workshop.write("new", "two\n");
        let credential = Credential::Secrets(vec![file(&workshop, "old"), file(&workshop, "new")]);
        assert_eq!(credential.proofs(), 2);
        let proof = |number| credential.proof(None, number, occasion());
        assert_eq!(proof(0).await.unwrap(), Proof::Secret(Secret::new("one")));
        assert_eq!(proof(1).await.unwrap(), Proof::Secret(Secret::new("two")));
        workshop.write("old", "three");
        assert_eq!(proof(0).await.unwrap(), Proof::Secret(Secret::new("three")));
        assert_eq!(proof(2).await.unwrap_err().to_string(), "there is no client secret number 3");
    }

    #[tokio::test]
    async fn the_shown_password_is_the_secret_where_the_app_says_so() {
        let shown = Secret::new("abc8Q~def");
        let proof = Credential::LoginPassword.proof(Some(&shown), 0, occasion()).await.unwrap();
        assert_eq!(proof, Proof::Secret(shown.clone()));
        Credential::LoginPassword.proof(None, 0, occasion()).await.unwrap_err();
        let none = Credential::None.proof(Some(&shown), 0, occasion()).await.unwrap();
        assert_eq!((none, Credential::None.proofs()), (Proof::None, 1));
    }

    #[tokio::test]
    async fn a_certificate_is_read_anew_for_each_assertion() {
        let workshop = Workshop::new();
        let credential = Credential::Certificate(certificate(&workshop));
        let proof = credential.proof(None, 0, occasion()).await.unwrap();
        assert!(matches!(proof, Proof::Assertion(_)) && !format!("{proof:?}").contains("ey"));
        assert_eq!(day(credential.expires().await.unwrap().unwrap()), "2027-01-01");
        workshop.write("app.pem", &samples().renewed);
        assert_eq!(day(credential.expires().await.unwrap().unwrap()), "2028-01-01");
        let late = Occasion { now: now() + std::time::Duration::from_hours(800 * 24), ..occasion() };
        let error = credential.proof(None, 0, late).await.unwrap_err().to_string();
        assert!(error.ends_with("app.pem: the certificate of CN=footbridge ended on 2028-01-01"), "{error}");
        workshop.write("app.key", &samples().other_key);
        let error = credential.proof(None, 0, occasion()).await.unwrap_err();
        assert!(error.to_string().ends_with("app.key: the private key does not belong to the certificate"));
        assert_eq!(error.cure(), "give the key that the certificate was made with");
    }

    #[tokio::test]
    async fn the_password_of_a_key_is_read_from_its_place() {
        let workshop = Workshop::new();
        workshop.made("pkcs8 -topk8 -in app.key -passout pass:opensesame");
        workshop.write("password", "opensesame\n");
        let key_password = Some(file(&workshop, "password"));
        let key = Some(workshop.path().join("out"));
        let credential = Credential::Certificate(Certificate { key, key_password, ..certificate(&workshop) });
        credential.proof(None, 0, occasion()).await.unwrap();
        workshop.write("password", "hunter2\n");
        let error = credential.proof(None, 0, occasion()).await.unwrap_err().to_string();
        assert!(error.ends_with("out: the password does not open the private key"), "{error}");
    }

    #[tokio::test]
    async fn a_federated_token_is_passed_on_without_the_blanks_around_it() {
        let workshop = Workshop::new();
        let path = workshop.path().join("token");
        let credential = Credential::FederatedToken(path.clone());
        workshop.write("token", "\n aaa.bb-_b.ccc\r\n");
        let proof = credential.proof(None, 0, occasion()).await.unwrap();
        assert_eq!(proof, Proof::Assertion(Secret::new("aaa.bb-_b.ccc")));
        let large = format!("a.b.{}", "c".repeat(LARGEST));
        for wrong in ["", "aaa.bbb", "aaa.b b.ccc", "aaa..ccc", "a.b.c.d", "{\"token\": 1}", &large] {
            workshop.write("token", wrong);
            let error = credential.proof(None, 0, occasion()).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{} holds no token", path.display())), "{wrong}: {error}");
        }
        let credential = Credential::FederatedToken(workshop.path().to_owned());
        let error = credential.proof(None, 0, occasion()).await.unwrap_err().to_string();
        assert!(error.ends_with(": it is not a file"), "{error}");
    }

    #[tokio::test]
    async fn a_service_account_proves_itself_by_its_grant() {
        let workshop = Workshop::new();
        let credential = Credential::ServiceAccount(file(&workshop, "google.json"));
        assert_eq!(credential.proof(None, 0, occasion()).await.unwrap(), Proof::None);
        let assertion = || credential.service_account_assertion(&[], "ann@example.com", now());
        workshop.write("google.json", "{}");
        let error = assertion().await.unwrap_err().to_string();
        assert!(error.ends_with("google.json: the service account's key has no token_uri"), "{error}");
        let json = serde_json::json!({
            "type": "service_account", "client_email": "a@b", "private_key_id": "1",
            "private_key": samples().key, "token_uri": "https://oauth2.googleapis.com/token",
        });
        workshop.write("google.json", json.to_string());
        assert!(assertion().await.unwrap().is_some());
        let none = Credential::None.service_account_assertion(&[], "ann@example.com", now()).await;
        assert_eq!(none.unwrap(), None);
    }

    #[test]
    fn the_id_of_an_assertion_is_written_as_a_guid() {
        assert_eq!(guid([0xFF; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(guid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
