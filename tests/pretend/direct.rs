//! The grants without a browser: client credentials in every form, and passwords.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    harness::{
        authority::{APP, Person, Registration},
        browser::Page,
        certs::Identity,
    },
    lab::{ALICE, Lab, PUBLIC, SCOPE, claims, granted, refused},
};

const CONFIDENTIAL: &str = "44444444-4444-4444-8444-444444444444";
const APPLICATION: &str = "https://outlook.office365.com/.default";

async fn ask(lab: &Lab, more: &[(&str, &str)]) -> Page {
    let fields = [("grant_type", "client_credentials"), ("client_id", CONFIDENTIAL), ("scope", APPLICATION)];
    lab.token(&[&fields[..], more].concat()).await
}

#[tokio::test]
async fn a_secret_is_good_or_expired_or_unknown() {
    let lab = Lab::new();
    let app = Registration::confidential(CONFIDENTIAL).secret("old").secret("new").expired_secret("oldest");
    lab.authority.register_app(app);
    for secret in ["old", "new"] {
        let body = granted(&ask(&lab, &[("client_secret", secret)]).await);
        let access = claims(&body["access_token"]);
        assert_eq!((&access["idtyp"], &access["appid"]), (&json!("app"), &json!(CONFIDENTIAL)));
        assert!(access["upn"].is_null() && body["refresh_token"].is_null(), "{body}");
    }
    refused(&ask(&lab, &[("client_secret", "oldest")]).await, 401, "invalid_client", 7_000_222);
    refused(&ask(&lab, &[("client_secret", "made up")]).await, 401, "invalid_client", 7_000_215);
    refused(&ask(&lab, &[]).await, 401, "invalid_client", 7_000_218);
    assert_eq!(lab.authority.requests_of("client_credentials").get(), 5);
}

#[tokio::test]
async fn an_app_asks_its_own_tenant_and_for_everything() {
    let lab = Lab::new();
    lab.authority.register_app(Registration::confidential(CONFIDENTIAL).secret("s").multi_tenant());
    let url = Lab::url(&lab.authority.token_url()).replace(APP.0, "common");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CONFIDENTIAL),
        ("client_secret", "s"),
        ("scope", APPLICATION),
    ];
    refused(&lab.browser.post(&url, &fields).await, 400, "invalid_request", 9_001_023);
    let page =
        lab.token(&[&fields[..3], &[("scope", "https://outlook.office365.com/SMTP.Send")]].concat()).await;
    refused(&page, 400, "invalid_scope", 1_002_012);
    let page = lab.token(&[("grant_type", "client_credentials"), ("scope", APPLICATION)]).await;
    refused(&page, 401, "invalid_client", 7_000_218);
    let page = lab.token(&[("grant_type", "something else")]).await;
    refused(&page, 400, "unsupported_grant_type", 70003);
}

/// What an assertion says, with this in the place of some of it.
fn assertion(lab: &Lab, identity: &Identity, alg: Algorithm, instead: &Value) -> String {
    let now = jsonwebtoken::get_current_timestamp();
    let mut claims = json!({
        "aud": Lab::url(&lab.authority.token_url()),
        "iss": CONFIDENTIAL,
        "sub": CONFIDENTIAL,
        "jti": format!("number {}", lab.authority.requests().get()),
        "nbf": now,
        "exp": now + 300,
    });
    for (name, value) in instead.as_object().expect("it is an object") {
        claims[name] = value.clone();
    }
    let mut header = Header::new(alg);
    header.x5t_s256 = Some(identity.sha256());
    signed(&header, &claims, identity)
}

fn signed(header: &Header, claims: &Value, identity: &Identity) -> String {
    let key = EncodingKey::from_rsa_pem(identity.key_pem().as_bytes()).expect("it is a key");
    jsonwebtoken::encode(header, claims, &key).expect("it can be signed")
}

async fn show(lab: &Lab, assertion: &str) -> Page {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    ask(lab, &[("client_assertion_type", kind), ("client_assertion", assertion)]).await
}

#[tokio::test]
async fn an_assertion_is_signed_by_a_registered_certificate() {
    let lab = Lab::new();
    let (old, new) = (Identity::generate("old"), Identity::generate("new"));
    lab.authority.register_app(Registration::confidential(CONFIDENTIAL).certificate(&old).certificate(&new));
    for (identity, alg) in [(&old, Algorithm::PS256), (&new, Algorithm::PS256), (&new, Algorithm::RS256)] {
        granted(&show(&lab, &assertion(&lab, identity, alg, &json!({}))).await);
    }
    let by_sha1 = {
        let now = jsonwebtoken::get_current_timestamp();
        let mut header = Header::new(Algorithm::RS256);
        header.x5t = Some(new.sha1());
        let aud = Lab::url(&lab.authority.token_url());
        let claims = json!({"aud": aud, "iss": CONFIDENTIAL, "sub": CONFIDENTIAL, "jti": "x", "nbf": now, "exp": now + 600});
        signed(&header, &claims, &new)
    };
    granted(&show(&lab, &by_sha1).await);
    refused(&show(&lab, &by_sha1).await, 401, "invalid_client", 700_027);
}

#[tokio::test]
async fn an_assertion_that_says_anything_wrong_is_refused() {
    let lab = Lab::new();
    let (identity, stranger) = (Identity::generate("known"), Identity::generate("stranger"));
    lab.authority.register_app(Registration::confidential(CONFIDENTIAL).certificate(&identity));
    let now = jsonwebtoken::get_current_timestamp();
    let wrong = [
        json!({"aud": "https://login.microsoftonline.com/"}),
        json!({"iss": PUBLIC}),
        json!({"sub": PUBLIC}),
        json!({"jti": ""}),
        json!({"exp": now - 1, "nbf": now - 300}),
        json!({"nbf": now + 60}),
        json!({"exp": now + 700}),
    ];
    for instead in wrong {
        let page = show(&lab, &assertion(&lab, &identity, Algorithm::PS256, &instead)).await;
        refused(&page, 401, "invalid_client", 700_027);
    }
    let theirs = assertion(&lab, &stranger, Algorithm::PS256, &json!({}));
    refused(&show(&lab, &theirs).await, 401, "invalid_client", 700_027);
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(identity.sha256());
    let forged = signed(&header, &claims(&json!(theirs)), &stranger);
    refused(&show(&lab, &forged).await, 401, "invalid_client", 700_027);
    refused(&show(&lab, "no JWT").await, 401, "invalid_client", 700_027);
    let without_type = ask(&lab, &[("client_assertion", &theirs)]).await;
    refused(&without_type, 400, "invalid_request", 900_144);
}

#[tokio::test]
async fn a_key_has_both_its_forms() {
    let identity = Identity::until("until", 2027, 4, 5);
    assert!(identity.key_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let older = identity.key_pem_pkcs1();
    let header = Header::new(Algorithm::RS256);
    let key = EncodingKey::from_rsa_pem(older.as_bytes()).expect("it is a key");
    let token = jsonwebtoken::encode(&header, &json!({"x": 1}), &key).expect("it can be signed");
    let by_newer = signed(&header, &json!({"x": 1}), &identity);
    assert_eq!(token, by_newer);
}

#[tokio::test]
async fn a_federated_token_is_the_one_that_is_trusted() {
    let lab = Lab::new();
    lab.authority.register_app(Registration::confidential(CONFIDENTIAL).federated("projected token 1"));
    granted(&show(&lab, "projected token 1").await);
    lab.authority.set_federated(CONFIDENTIAL, "projected token 2");
    refused(&show(&lab, "projected token 1").await, 401, "invalid_client", 700_211);
    granted(&show(&lab, "projected token 2").await);
}

async fn with_password(lab: &Lab, user: &str, password: &str) -> Page {
    let fields = [("grant_type", "password"), ("username", user), ("password", password), ("scope", SCOPE)];
    lab.token(&fields).await
}

#[tokio::test]
async fn a_password_does_where_it_is_right_and_enough() {
    let lab = Lab::new();
    lab.authority.add_person(Person::new(ALICE).password("her password"));
    lab.authority.add_person(Person::new("bob@contoso.com").password("his password").mfa());
    let body = granted(&with_password(&lab, "Alice@contoso.com", "her password").await);
    assert_eq!(claims(&body["access_token"])["upn"], ALICE);
    assert_eq!(lab.authority.refresh_tokens(ALICE), 1);
    refused(&with_password(&lab, ALICE, "another").await, 400, "invalid_grant", 50126);
    refused(&with_password(&lab, "nobody@contoso.com", "any").await, 400, "invalid_grant", 50034);
    let mfa = with_password(&lab, "bob@contoso.com", "his password").await;
    assert_eq!(refused(&mfa, 400, "invalid_grant", 50076)["suberror"], "basic_action");
    let wrong = with_password(&lab, "bob@contoso.com", "another").await;
    refused(&wrong, 400, "invalid_grant", 50126);
}

#[tokio::test]
async fn the_older_endpoint_has_resources_for_scopes_and_strings_for_numbers() {
    let lab = Lab::new();
    lab.authority.add_person(Person::new(ALICE).password("her password"));
    let url = Lab::url(&lab.authority.older_token_url());
    let fields = [
        ("client_id", PUBLIC),
        ("grant_type", "password"),
        ("username", ALICE),
        ("password", "her password"),
        ("resource", "https://partner.outlook.cn"),
    ];
    let body = granted(&lab.browser.post(&url, &fields).await);
    assert_eq!(
        (&body["expires_in"], &body["resource"]),
        (&json!("3540"), &json!("https://partner.outlook.cn"))
    );
    let access = claims(&body["access_token"]);
    assert_eq!(access["aud"], "https://partner.outlook.cn");
    assert_eq!(access["scp"], "IMAP.AccessAsUser.All POP.AccessAsUser.All SMTP.Send");
    assert!(body["refresh_token"].is_string(), "{body}");
    lab.authority.issuer().verify(body["access_token"].as_str().expect("a token")).expect("it is good");

    refused(&lab.browser.post(&url, &fields[..4]).await, 400, "invalid_request", 900_144);
    let newer = Lab::url(&lab.authority.token_url());
    refused(&lab.browser.post(&newer, &fields).await, 400, "invalid_request", 901_002);
}
