//! Access tokens as Entra makes them for an app: signed JWTs, which the pretend Exchange checks.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::{Deserialize, Serialize};

/// Whom every token is for.
const AUDIENCE: &str = "https://outlook.office365.com";

/// Makes tokens and knows which of them are good.
pub struct Issuer {
    signing: EncodingKey,
    checking: DecodingKey,
    settings: Mutex<Settings>,
    issued: Mutex<Vec<(String, String)>>,
    revoked: Mutex<HashSet<String>>,
    number: AtomicUsize,
}

struct Settings {
    lifetime: Duration,
    padding: usize,
}

/// What a token says. The names are Entra's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Whom the token is for.
    pub aud: String,
    /// Who issued it: the tenant.
    pub iss: String,
    /// Since when it is good, in seconds since 1970.
    pub nbf: u64,
    /// Until when it is good.
    pub exp: u64,
    /// The client identifier of the app that it was issued to.
    pub appid: String,
    /// `app`: no person is involved.
    pub idtyp: String,
    /// What the app may do.
    pub roles: Vec<String>,
    /// The number of the token.
    pub jti: String,
    /// Nothing that anybody reads: real tokens can be longer than 4,096 characters.
    pub padding: String,
}

/// Why a token is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No token of this authority, or for somebody else.
    Foreign,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self {
            signing: EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap(),
            checking: DecodingKey::from_ec_pem(key.public_key_pem().as_bytes()).unwrap(),
            settings: Mutex::new(Settings { lifetime: Duration::from_mins(59), padding: 1000 }),
            issued: Mutex::default(),
            revoked: Mutex::default(),
            number: AtomicUsize::new(1),
        }
    }

    /// Makes a token for an app; returns its lifetime beside it.
    pub fn mint(&self, tenant: &str, client_id: &str) -> (String, Duration) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (lifetime, padding) = {
            let settings = self.settings.lock().unwrap();
            (settings.lifetime, settings.padding)
        };
        let now = now();
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            iss: format!("https://sts.windows.net/{tenant}/"),
            nbf: now,
            exp: now + lifetime.as_secs(),
            appid: client_id.to_owned(),
            idtyp: "app".to_owned(),
            roles: vec!["IMAP.AccessAsApp".to_owned(), "SMTP.SendAsApp".to_owned()],
            jti: format!("token-{number}"),
            padding: "x".repeat(padding),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing).unwrap();
        self.issued.lock().unwrap().push((claims.jti, token.clone()));
        (token, lifetime)
    }

    /// Every token that was issued, `(jti, token)`, oldest first.
    pub fn issued(&self) -> Vec<(String, String)> {
        self.issued.lock().unwrap().clone()
    }

    /// Takes a token back before its time.
    pub fn revoke(&self, jti: &str) {
        self.revoked.lock().unwrap().insert(jti.to_owned());
    }

    /// Makes the tokens from here on longer by so many characters, roughly.
    pub fn set_padding(&self, characters: usize) {
        self.settings.lock().unwrap().padding = characters;
    }

    pub(super) fn set_lifetime(&self, lifetime: Duration) {
        self.settings.lock().unwrap().lifetime = lifetime;
    }

    /// Checks a token as the mailbox's server does: signature, audience, time, and whether it was
    /// taken back.
    ///
    /// # Errors
    /// [`Invalid`] says why it is not accepted.
    pub fn verify(&self, token: &str) -> Result<Claims, Invalid> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.leeway = 0;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.checking, &validation)
            .map_err(|error| {
                let expired = *error.kind() == jsonwebtoken::errors::ErrorKind::ExpiredSignature;
                if expired { Invalid::Expired } else { Invalid::Foreign }
            })?
            .claims;
        if self.revoked.lock().unwrap().contains(&claims.jti) {
            return Err(Invalid::Revoked);
        }
        Ok(claims)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
