//! The key file of a Google service account.

use jsonwebtoken::EncodingKey;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::{private_key::SigningKey, refusal::Refusal};
use crate::secret::Secret;

/// What the key file of a Google service account says. The key is never printed.
#[derive(Debug, Clone)]
pub struct ServiceAccountKey {
    /// The account's own address, `client_email`.
    pub email: String,
    /// Google's name for the key, `private_key_id`.
    pub key_id: String,
    /// Where assertions are for, `token_uri`.
    pub token_url: String,
    key: SigningKey,
}

/// Why a key file of a service account cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// No JSON, or a field that is no text.
    #[error("this is not the JSON of a service account's key")]
    NotJson,
    /// The file of an OAuth client, which Google offers for download too.
    #[error("this is the JSON of an OAuth client, not of a service account's key")]
    OauthClient,
    /// Credentials of another kind, as their `type` says.
    #[error("this is the JSON of credentials of the type {0}, not of a service account's key")]
    OtherType(String),
    /// A field that is not there.
    #[error("the service account's key has no {0}")]
    Missing(&'static str),
    /// A `token_uri` that no assertion may go to.
    #[error("token_uri of the service account's key is no https URL")]
    TokenUrl,
    /// The `private_key` in it.
    #[error("in the service account's key, {0}")]
    Key(Refusal),
}

impl ServiceAccountError {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        "download a JSON key in Google Cloud > IAM & Admin > Service Accounts > Keys"
    }
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    web: Option<serde::de::IgnoredAny>,
    installed: Option<serde::de::IgnoredAny>,
}

impl ServiceAccountKey {
    /// Reads the JSON that Google hands out with a new key.
    ///
    /// # Errors
    /// [`ServiceAccountError`].
    pub fn read(json: &Secret) -> Result<Self, ServiceAccountError> {
        let written: Written =
            serde_json::from_slice(json.expose()).map_err(|_| ServiceAccountError::NotJson)?;
        let pem = written.private_key.map(Zeroizing::new);
        if written.web.is_some() || written.installed.is_some() {
            return Err(ServiceAccountError::OauthClient);
        }
        if let Some(other) = written.kind.as_deref().filter(|kind| *kind != "service_account") {
            let other = other.chars().take(40).flat_map(char::escape_debug).collect();
            return Err(ServiceAccountError::OtherType(other));
        }
        let token_url = present(written.token_uri, "token_uri")?;
        if Url::parse(&token_url).map_or(true, |url| !may_be_asked(&url)) {
            return Err(ServiceAccountError::TokenUrl);
        }
        Ok(Self {
            email: present(written.client_email, "client_email")?,
            key_id: present(written.private_key_id, "private_key_id")?,
            token_url,
            key: read_key(&pem.ok_or(ServiceAccountError::Missing("private_key"))?)
                .map_err(ServiceAccountError::Key)?,
        })
    }

    pub(super) fn encoding_key(&self) -> &EncodingKey {
        self.key.encoding_key()
    }
}

/// As for every token endpoint: https, but for a loopback host in tests.
fn may_be_asked(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && loopback
}

fn present(field: Option<String>, name: &'static str) -> Result<String, ServiceAccountError> {
    field.filter(|text| !text.is_empty()).ok_or(ServiceAccountError::Missing(name))
}

fn read_key(text: &str) -> Result<SigningKey, Refusal> {
    let section = pem::parse(text).map_err(|_| Refusal::DamagedPem)?;
    let is_pkcs1 = section.tag() == "RSA PRIVATE KEY";
    let der = Zeroizing::new(section.into_contents());
    if is_pkcs1 { SigningKey::from_pkcs1(&der) } else { SigningKey::from_pkcs8(&der) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::samples::samples, *};

    fn key_file() -> Value {
        json!({
            "type": "service_account",
            "client_email": "bridge@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": samples().key,
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        })
    }

    fn read(json: &Value) -> Result<ServiceAccountKey, ServiceAccountError> {
        ServiceAccountKey::read(&Secret::new(json.to_string()))
    }

    #[test]
    fn the_key_file_that_google_hands_out_is_read_and_its_key_not_shown() {
        let key = read(&key_file()).unwrap();
        assert_eq!(
            (key.email.as_str(), key.key_id.as_str()),
            ("bridge@project.iam.gserviceaccount.com", "k1")
        );
        assert!(!format!("{key:?}").contains(&samples().key[100..120]));
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_what_it_is() {
        let but = |field: &str, value: Value| {
            let mut json = key_file();
            json[field] = value;
            read(&json).unwrap_err().to_string()
        };
        let web = json!({ "web": { "client_id": "x", "client_secret": "hunter2" } });
        let no = "not of a service account's key";
        assert_eq!(read(&web).unwrap_err().to_string(), format!("this is the JSON of an OAuth client, {no}"));
        let user = format!("this is the JSON of credentials of the type authorized_user, {no}");
        assert_eq!(but("type", json!("authorized_user")), user);
        for field in ["client_email", "private_key", "private_key_id", "token_uri"] {
            assert_eq!(but(field, Value::Null), format!("the service account's key has no {field}"));
        }
        assert_eq!(but("client_email", json!(5)), "this is not the JSON of a service account's key");
        for url in ["http://oauth2.googleapis.com/token", "token", "file:///token"] {
            assert_eq!(
                but("token_uri", json!(url)),
                "token_uri of the service account's key is no https URL"
            );
        }
        let ec = "in the service account's key, the private key is an EC key, where RSA is needed";
        assert_eq!(but("private_key", json!(samples().ec_key)), ec);
        let damaged = "in the service account's key, the PEM text in the file is damaged";
        assert_eq!(but("private_key", json!("hunter2")), damaged);
        let text = ServiceAccountKey::read(&Secret::new("hunter2")).unwrap_err().to_string();
        assert_eq!(text, "this is not the JSON of a service account's key");
    }
}
