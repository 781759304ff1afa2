//! Service accounts before the pretend Google.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    harness::{
        authority::{Answer, ServiceAccount},
        browser::Page,
        exchange::Exchange,
    },
    lab::{ALICE, Lab, granted, text},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

fn assertion(key_file: &Value, instead: &Value) -> String {
    let now = jsonwebtoken::get_current_timestamp();
    let mut claims = json!({
        "iss": key_file["client_email"],
        "aud": key_file["token_uri"],
        "scope": "https://mail.google.com/",
        "sub": ALICE,
        "iat": now,
        "exp": now + 3600,
    });
    for (name, value) in instead.as_object().expect("it is an object") {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_rsa_pem(text(key_file, "private_key").as_bytes()).expect("it is a key");
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("it can be signed")
}

async fn ask(lab: &Lab, assertion: &str) -> Page {
    let url = lab.authority.google_token_url();
    lab.browser.post(&url, &[("grant_type", GRANT), ("assertion", assertion)]).await
}

#[tokio::test]
async fn a_service_account_acts_for_the_mailboxes_of_its_domain() {
    let lab = Lab::new();
    let account = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ALICE]);
    lab.authority.add_service_account(&account);
    let key_file: Value = serde_json::from_str(&lab.authority.service_account_key(&account)).expect("JSON");
    let body = granted(&ask(&lab, &assertion(&key_file, &json!({}))).await);
    let token = text(&body, "access_token");
    let verified = lab.authority.issuer().verify(token).expect("it is good");
    assert_eq!(verified.upn.as_deref(), Some(ALICE));
    assert_eq!(lab.authority.requests_of("jwt-bearer").get(), 1);

    let exchange = Exchange::start(&lab.certs, &lab.authority);
    exchange.mailboxes().create(ALICE);
    let mut client =
        crate::harness::client::Client::connect_tls(exchange.imaps.addr(), &lab.certs.connector()).await;
    client.expect("* OK {…}").await;
    client.say(&format!("a AUTHENTICATE XOAUTH2 {}", crate::harness::client::xoauth2(ALICE, token))).await;
    client.expect("a OK AUTHENTICATE completed.").await;
}

#[tokio::test]
async fn an_assertion_that_says_anything_wrong_is_refused() {
    let lab = Lab::new();
    let account = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ALICE]);
    lab.authority.add_service_account(&account);
    let key_file: Value = serde_json::from_str(&lab.authority.service_account_key(&account)).expect("JSON");
    let now = jsonwebtoken::get_current_timestamp();
    for (instead, error) in [
        (json!({"iss": "other@project.iam.gserviceaccount.com"}), "invalid_grant"),
        (json!({"aud": "https://oauth2.googleapis.com/token"}), "invalid_grant"),
        (json!({"sub": "nobody@contoso.com"}), "invalid_grant"),
        (json!({"exp": now + 7200}), "invalid_grant"),
        (json!({"exp": now - 1, "iat": now - 60}), "invalid_grant"),
        (json!({"sub": ""}), "unauthorized_client"),
        (json!({"scope": "https://www.googleapis.com/auth/gmail.imap_admin"}), "unauthorized_client"),
    ] {
        let page = ask(&lab, &assertion(&key_file, &instead)).await;
        assert_eq!(page.json()["error"], error, "{instead}: {}", page.body);
        assert_eq!(page.status, if error == "invalid_grant" { 400 } else { 401 }, "{instead}");
        assert!(page.json()["error_codes"].is_null(), "{}", page.body);
    }
    let stranger = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ALICE]);
    let theirs: Value = serde_json::from_str(&lab.authority.service_account_key(&stranger)).expect("JSON");
    let page = ask(&lab, &assertion(&theirs, &json!({}))).await;
    assert_eq!(page.json()["error_description"], "Invalid JWT Signature.");
    lab.authority.next(Answer::Status(503, None));
    assert_eq!(ask(&lab, &assertion(&key_file, &json!({}))).await.status, 503);
}
