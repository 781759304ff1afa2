//! Applications that prove themselves with a certificate: what the authority makes of that. These tests need no bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::authority::{Authority, Count};
use crate::delegated::claims;
use crate::servers::{TENANT, servers};
use crate::walk::{VERIFIER, query};

#[test]
fn an_application_proves_itself_with_a_certificate() {
    let authority = &servers().authority;
    let client = "jwt-certificate";
    let key = authority.certificate_key();
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        let header = header(algorithm, &authority.certificate());
        let reply = for_itself(authority, client, &assertion(authority, client, &header, &key));
        assert_eq!(claims(&reply["access_token"])["idtyp"], "app", "{reply}");
    }
    assert_eq!(authority.count_of(client, "client_credentials"), Count { requests: 2, tokens: 2 });
}

#[test]
fn a_replaced_certificate_is_refused_and_so_is_an_assertion_that_names_none() {
    let authority = &servers().authority;
    let client = "jwt-replaced";
    let (certificate, key): (PathBuf, PathBuf) = authority.new_certificate(client);
    let ask = |header: &Header, key: &Path| {
        for_itself(authority, client, &assertion(authority, client, header, key))
    };
    assert!(ask(&header(Algorithm::PS256, &certificate), &key)["access_token"].is_string());
    let old = header(Algorithm::PS256, &authority.certificate());
    assert_eq!(ask(&old, &authority.certificate_key())["error"], "invalid_client");
    assert_eq!(ask(&old, &key)["error"], "invalid_client");
    assert_eq!(ask(&Header::new(Algorithm::PS256), &key)["error"], "invalid_client");
}

#[test]
fn an_assertion_is_good_once() {
    let authority = &servers().authority;
    let client = "jwt-once";
    let header = header(Algorithm::PS256, &authority.certificate());
    let assertion = assertion(authority, client, &header, &authority.certificate_key());
    assert!(for_itself(authority, client, &assertion)["access_token"].is_string());
    assert_eq!(for_itself(authority, client, &assertion)["error"], "invalid_client");
}

#[test]
fn a_user_signs_in_for_an_application_that_has_a_certificate() {
    let authority = &servers().authority;
    let (client, redirect_uri) = ("jwt-user", "http://localhost:1/");
    let landed =
        authority.sign_in(&authority.authorization_request(client, redirect_uri), "nora@example.test");
    let header = header(Algorithm::PS256, &authority.certificate());
    let assertion = assertion(authority, client, &header, &authority.certificate_key());
    let code = query(&landed, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect_uri),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let reply = ask(authority, client, &assertion, &form);
    assert_eq!(claims(&reply["access_token"])["upn"], "nora@example.test", "{reply}");
    assert!(reply["refresh_token"].is_string(), "{reply}");
}

/// The header of an assertion that is made with a certificate's key.
fn header(algorithm: Algorithm, certificate: &Path) -> Header {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let mut header = Header::new(algorithm);
    header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)));
    header
}

/// An assertion as Entra wants it (RFC 7523 §3), each different from all others.
#[expect(clippy::disallowed_methods, reason = "the authority compares it with its own clock")]
fn assertion(authority: &Authority, client: &str, header: &Header, key: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = json!({
        "iss": client, "sub": client, "aud": authority.token_url().replace("{tenant}", TENANT),
        "jti": now.as_nanos().to_string(), "nbf": now.as_secs(), "exp": now.as_secs() + 300,
    });
    encode(header, &claims, &EncodingKey::from_rsa_pem(&fs::read(key).unwrap()).unwrap()).unwrap()
}

#[track_caller]
fn for_itself(authority: &Authority, client: &str, assertion: &str) -> Value {
    let form = [("grant_type", "client_credentials"), ("scope", "https://outlook.office365.com/.default")];
    ask(authority, client, assertion, &form)
}

#[track_caller]
fn ask(authority: &Authority, client: &str, assertion: &str, form: &[(&str, &str)]) -> Value {
    let proof = [
        ("client_id", client),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    authority.post(&authority.token_url(), &[&proof[..], form].concat())
}
