//! Access tokens as Entra makes them for an app or for a person: signed JWTs, which the pretend Exchange checks, and
//! opaque ones, about which it asks.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Whom a token of an app is for.
const AUDIENCE: &str = "https://outlook.office365.com";

/// Whom tokens may be for that a mailbox's server takes.
const AUDIENCES: [&str; 6] = [
    AUDIENCE,
    "https://outlook.office365.com/",
    "https://outlook.office.com",
    "https://outlook.office.com/",
    "https://partner.outlook.cn",
    "https://partner.outlook.cn/",
];

/// Makes tokens and knows which of them are good.
pub struct Issuer {
    signing: EncodingKey,
    checking: DecodingKey,
    settings: Mutex<Settings>,
    issued: Mutex<Vec<(String, String)>>,
    revoked: Mutex<HashSet<String>>,
    opaque: Mutex<HashMap<String, Claims>>,
    number: AtomicUsize,
}

struct Settings {
    lifetime: Duration,
    padding: usize,
}

/// What a token says. The names are Entra's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// `app`: no person is involved; `user`: one is.
    #[serde(default)]
    pub idtyp: String,
    /// What the app may do by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The number of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// The number of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    /// The name of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<String>,
    /// What the app may do for the person, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp: Option<String>,
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
            opaque: Mutex::default(),
            number: AtomicUsize::new(1),
        }
    }

    /// Makes a token for an app; returns its lifetime beside it.
    pub fn mint(&self, tenant: &str, client_id: &str) -> (String, Duration) {
        self.mint_claims(of_app(tenant, client_id), &Map::new())
    }

    /// Makes a token for an app that is as short as those of other authorities.
    pub fn mint_short(&self, tenant: &str, client_id: &str) -> String {
        self.mint_opaque(of_app(tenant, client_id)).0
    }

    /// Makes a token that says this, but for `instead` and what every token has of its own.
    pub(super) fn mint_claims(&self, claims: Claims, instead: &Map<String, Value>) -> (String, Duration) {
        let (claims, lifetime) = self.number(claims);
        let token = self.sign(&with(serde_json::to_value(&claims).unwrap(), instead));
        self.issued.lock().unwrap().push((claims.jti, token.clone()));
        (token, lifetime)
    }

    /// Makes a token that means this and says nothing.
    pub(super) fn mint_opaque(&self, claims: Claims) -> (String, Duration) {
        let (claims, lifetime) = self.number(claims);
        let token = super::unguessable("EwBwA8l6BAAU");
        self.issued.lock().unwrap().push((claims.jti.clone(), token.clone()));
        self.opaque.lock().unwrap().insert(token.clone(), claims);
        (token, lifetime)
    }

    /// Gives a token its number and its time.
    fn number(&self, claims: Claims) -> (Claims, Duration) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (lifetime, padding) = {
            let settings = self.settings.lock().unwrap();
            (settings.lifetime, settings.padding)
        };
        let nbf = now();
        let (exp, jti) = (nbf + lifetime.as_secs(), format!("token-{number}"));
        (Claims { nbf, exp, jti, padding: "x".repeat(padding), ..claims }, lifetime)
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &self.signing).unwrap()
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
        let known = self.opaque.lock().unwrap().get(token).cloned();
        let claims = match known {
            Some(claims) if claims.exp <= now() => return Err(Invalid::Expired),
            Some(claims) => claims,
            None => self.read(token)?,
        };
        if self.revoked.lock().unwrap().contains(&claims.jti) {
            return Err(Invalid::Revoked);
        }
        Ok(claims)
    }

    fn read(&self, token: &str) -> Result<Claims, Invalid> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&AUDIENCES);
        validation.leeway = 0;
        let read = jsonwebtoken::decode::<Claims>(token, &self.checking, &validation);
        read.map(|token| token.claims).map_err(|error| {
            let expired = *error.kind() == jsonwebtoken::errors::ErrorKind::ExpiredSignature;
            if expired { Invalid::Expired } else { Invalid::Foreign }
        })
    }
}

/// What the token of an app says.
fn of_app(tenant: &str, client_id: &str) -> Claims {
    Claims {
        aud: AUDIENCE.to_owned(),
        iss: format!("https://sts.windows.net/{tenant}/"),
        appid: client_id.to_owned(),
        idtyp: "app".to_owned(),
        roles: ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"].map(str::to_owned).to_vec(),
        ..Claims::default()
    }
}

/// Claims with others in the place of some; `null` takes one away.
pub(super) fn with(mut claims: Value, instead: &Map<String, Value>) -> Value {
    let fields = claims.as_object_mut().unwrap();
    for (name, value) in instead {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// A number in the form of a UUID that always belongs to the same thing.
pub(super) fn number_of(thing: &str) -> String {
    let hash = Sha256::digest(thing.as_bytes());
    let number = hash.iter().take(16).fold(0, |number: u128, byte| (number << 8) | u128::from(*byte));
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The number of a tenant, by which it may be called as well.
pub fn tenant_id(tenant: &str) -> String {
    // A name that is a number already is its own.
    if tenant.len() == 36 && tenant.bytes().filter(|byte| *byte == b'-').count() == 4 {
        return tenant.to_owned();
    }
    number_of(&format!("tenant {tenant}"))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
