//! Assertions: the signed statements by which an app proves who it is (RFC 7523).

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{AssertionAlgorithm, keyfile::ClientCertificate, service_account::ServiceAccountKey};
use crate::secret::Secret;

/// How long a client assertion may be used, counted from now: it is used at once, and Entra asks for five
/// to ten minutes.
const CLIENT_LIFE: Duration = Duration::from_mins(5);

/// How long a service account's may be used, counted from its `iat`; Google takes no more.
const SERVICE_ACCOUNT_LIFE: Duration = Duration::from_hours(1);

/// How far before now an assertion begins. The authority refuses one that begins in the future by its
/// own clock, and two clocks that are kept by NTP differ by less.
const LEEWAY: Duration = Duration::from_mins(1);

/// An assertion could not be signed: the clock stands before 1970, or the key's library refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the assertion cannot be signed")]
pub struct Unsigned;

#[derive(Serialize)]
struct ClientClaims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: &'a str,
    nbf: u64,
    exp: u64,
}

/// Signs that the bearer is the client `client_id`, for the token endpoint `audience` and five minutes.
///
/// `jti` tells this assertion from every other. The certificate is named by its SHA-256 for PS256 and by
/// its SHA-1 for RS256:
/// <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>.
///
/// # Errors
/// [`Unsigned`].
pub fn client_assertion(
    certificate: &ClientCertificate,
    algorithm: AssertionAlgorithm,
    client_id: &str,
    audience: &str,
    now: SystemTime,
    jti: &str,
) -> Result<Secret, Unsigned> {
    let header = match algorithm {
        AssertionAlgorithm::Ps256 => {
            Header { x5t_s256: Some(certificate.sha256_thumbprint.clone()), ..Header::new(Algorithm::PS256) }
        }
        AssertionAlgorithm::Rs256 => {
            Header { x5t: Some(certificate.sha1_thumbprint.clone()), ..Header::new(Algorithm::RS256) }
        }
    };
    let (nbf, exp) = (begin(now)?, seconds(now + CLIENT_LIFE)?);
    let claims = ClientClaims { aud: audience, iss: client_id, sub: client_id, jti, nbf, exp };
    sign(&header, &claims, certificate.encoding_key())
}

#[derive(Serialize)]
struct ServiceAccountClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    scope: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// Signs that a Google service account asks for `scopes` on behalf of the person `subject`, by
/// domain-wide delegation:
/// <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>.
///
/// # Errors
/// [`Unsigned`].
pub fn service_account_assertion(
    account: &ServiceAccountKey,
    scopes: &[String],
    subject: &str,
    now: SystemTime,
) -> Result<Secret, Unsigned> {
    let header = Header { kid: Some(account.key_id.clone()), ..Header::new(Algorithm::RS256) };
    let iat = begin(now)?;
    let claims = ServiceAccountClaims {
        iss: &account.email,
        sub: subject,
        scope: scopes.join(" "),
        aud: &account.token_url,
        iat,
        exp: iat + SERVICE_ACCOUNT_LIFE.as_secs(),
    };
    sign(&header, &claims, account.encoding_key())
}

fn sign(header: &Header, claims: &impl Serialize, key: &EncodingKey) -> Result<Secret, Unsigned> {
    jsonwebtoken::encode(header, claims, key).map(Secret::new).map_err(|_| Unsigned)
}

fn begin(now: SystemTime) -> Result<u64, Unsigned> {
    seconds(now.checked_sub(LEEWAY).ok_or(Unsigned)?)
}

/// `NumericDate`, RFC 7519 §2.
fn seconds(time: SystemTime) -> Result<u64, Unsigned> {
    time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).map_err(|_| Unsigned)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::{
        super::samples::{Workshop, now, samples},
        *,
    };

    const AUDIENCE: &str = "https://login.example.com/t/oauth2/v2.0/token";

    fn certificate() -> ClientCertificate {
        let (certificate, key) = (samples().certificate.as_bytes(), samples().key.as_bytes());
        ClientCertificate::read(certificate, Some(key), None).unwrap()
    }

    fn assertion(algorithm: AssertionAlgorithm) -> String {
        let assertion = client_assertion(&certificate(), algorithm, "the-client", AUDIENCE, now(), "j-1");
        assertion.unwrap().expose_str().unwrap().to_owned()
    }

    /// The header and the claims of a token whose signature holds by the sample key.
    fn checked(token: &str, algorithm: Algorithm) -> (Value, Value) {
        let workshop = Workshop::new();
        let public = workshop.made("rsa -in app.key -RSAPublicKey_out -outform der");
        let mut validation = Validation::new(algorithm);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let decoded = jsonwebtoken::decode(token, &DecodingKey::from_rsa_der(&public), &validation).unwrap();
        (serde_json::to_value(decoded.header).unwrap(), decoded.claims)
    }

    #[test]
    fn a_client_assertion_has_the_header_and_claims_that_entra_documents() {
        let certificate = certificate();
        let ps256 = checked(&assertion(AssertionAlgorithm::Ps256), Algorithm::PS256);
        let rs256 = checked(&assertion(AssertionAlgorithm::Rs256), Algorithm::RS256);
        let sha256 = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": certificate.sha256_thumbprint });
        assert_eq!(ps256.0, sha256);
        assert_eq!(rs256.0, json!({ "alg": "RS256", "typ": "JWT", "x5t": certificate.sha1_thumbprint }));
        let claims = json!({
            "aud": AUDIENCE,
            "iss": "the-client",
            "sub": "the-client",
            "jti": "j-1",
            "nbf": 1_780_315_140,
            "exp": 1_780_315_500,
        });
        assert_eq!((&ps256.1, &rs256.1), (&claims, &claims));
    }

    #[test]
    fn openssl_holds_the_signatures_for_good() {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

        let workshop = Workshop::new();
        workshop.openssl("rsa -in app.key -pubout -out app.pub");
        let pss = " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
        for (algorithm, options) in [(AssertionAlgorithm::Ps256, pss), (AssertionAlgorithm::Rs256, "")] {
            let token = assertion(algorithm);
            let (message, signature) = token.rsplit_once('.').unwrap();
            workshop.write("message", message);
            workshop.write("signature", BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
            let verify = format!("dgst -sha256 -verify app.pub -signature signature{options} message");
            assert_eq!(workshop.openssl(&verify).trim(), "Verified OK");
        }
    }

    #[test]
    fn a_service_accounts_assertion_has_what_google_documents() {
        let json = json!({
            "type": "service_account",
            "client_email": "bridge@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": samples().key,
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        let account = ServiceAccountKey::read(&Secret::new(json.to_string())).unwrap();
        let scopes = ["https://mail.google.com/".to_owned(), "email".to_owned()];
        let token = service_account_assertion(&account, &scopes, "ann@example.com", now()).unwrap();
        let (header, claims) = checked(token.expose_str().unwrap(), Algorithm::RS256);
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        let expected = json!({
            "iss": "bridge@project.iam.gserviceaccount.com",
            "sub": "ann@example.com",
            "scope": "https://mail.google.com/ email",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": 1_780_315_140,
            "exp": 1_780_318_740,
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_clock_before_1970_signs_nothing() {
        let then = SystemTime::UNIX_EPOCH;
        let signed = client_assertion(&certificate(), AssertionAlgorithm::Ps256, "c", AUDIENCE, then, "j");
        assert_eq!(signed, Err(Unsigned));
    }
}
