//! The authorization code grant before the pretend authority.

use serde_json::{Value, json};

use crate::{
    harness::{
        authority::{APP, Challenge, Registration, Shape, tenant_id},
        browser::parameter,
    },
    lab::{ALICE, CHALLENGE, Lab, PUBLIC, SCOPE, VERIFIER, claims, granted, refused},
};

#[tokio::test]
async fn a_consent_ends_in_tokens_that_say_who_signed_in() {
    let lab = Lab::new();
    let url = lab.authorize(&[]).await;
    assert_eq!(url.origin().ascii_serialization(), "http://localhost:8025");
    assert_eq!(parameter(&url, "state").as_deref(), Some("the state"));
    let code = parameter(&url, "code").unwrap();
    let body = granted(&lab.redeem(&code, &[]).await);

    let id = claims(&body["id_token"]);
    assert_eq!((&id["aud"], &id["preferred_username"]), (&json!(PUBLIC), &json!(ALICE)));
    assert_eq!((&id["tid"], &id["name"]), (&json!(tenant_id(APP.0)), &json!("alice")));
    let access = claims(&body["access_token"]);
    assert_eq!((&access["upn"], &access["oid"]), (&json!(ALICE), &id["oid"]));
    assert_eq!(access["scp"], "IMAP.AccessAsUser.All SMTP.Send");
    assert_eq!(access["aud"], "https://outlook.office.com");
    assert_eq!(
        body["scope"],
        "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"
    );
    assert!(body["refresh_token"].is_string() && body["expires_in"].is_u64(), "{body}");
    let verified = lab.authority.issuer().verify(body["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(verified.upn.as_deref(), Some(ALICE));
}

#[tokio::test]
async fn the_script_decides_who_signs_in_and_every_request_is_remembered() {
    let lab = Lab::new();
    lab.authority.signs_in("bob@contoso.com");
    let code = lab.code(&[("prompt", "select_account")]).await;
    let body = granted(&lab.redeem(&code, &[]).await);
    assert_eq!(claims(&body["id_token"])["preferred_username"], "bob@contoso.com");

    let asked = &lab.authority.authorizations()[0];
    let asked = |name: &str| asked.get(name).map(String::as_str);
    assert_eq!((asked("prompt"), asked("login_hint")), (Some("select_account"), Some(ALICE)));
    assert_eq!((asked("scope"), asked("state")), (Some(SCOPE), Some("the state")));
    assert_eq!(asked("code_challenge_method"), Some("S256"));
    assert_eq!(lab.authority.authorized().get(), 1);
}

#[tokio::test]
async fn who_declines_is_sent_back_without_a_code() {
    let lab = Lab::new();
    lab.authority.declines();
    lab.authority.sign_in_fails(90094);
    for code in ["AADSTS65004: ", "AADSTS90094: "] {
        let url = lab.authorize(&[]).await;
        assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
        assert!(parameter(&url, "error_description").unwrap().starts_with(code), "{url}");
        assert_eq!(parameter(&url, "state").as_deref(), Some("the state"));
        assert_eq!(parameter(&url, "code"), None);
    }
}

#[tokio::test]
async fn a_request_that_may_be_forged_is_redirected_nowhere() {
    let lab = Lab::new();
    let cases = [
        (("client_id", "unknown"), "AADSTS700016"),
        (("redirect_uri", "http://localhost:8025/"), "AADSTS50011"),
        (("redirect_uri", "http://localhost:8025/callback"), "AADSTS50011"),
        (("redirect_uri", "http://localhost.example.com"), "AADSTS50011"),
        (("redirect_uri", "http://127.0.0.1:8025"), "AADSTS50011"),
        (("redirect_uri", ""), "AADSTS50011"),
        (("login_hint", ""), "AADSTS50058"),
    ];
    for (instead, code) in cases {
        let page = lab.browser.get(&lab.authorize_url(&[instead])).await;
        assert_eq!(page.status, 400, "{instead:?}");
        assert!(page.body.contains(code) && page.redirect().is_none(), "{instead:?}: {}", page.body);
    }
    let elsewhere = lab.authorize_url(&[]).replace(APP.0, "fabrikam.onmicrosoft.com");
    assert!(lab.browser.get(&elsewhere).await.body.contains("AADSTS90002"));
}

#[tokio::test]
async fn the_port_of_localhost_does_not_matter_and_its_path_does() {
    let lab = Lab::new();
    lab.authority.register_app(Registration::public(PUBLIC).redirect("http://localhost:3017/"));
    for (uri, fits) in [
        ("http://localhost:3017/", true),
        ("http://localhost:1/", true),
        ("http://localhost/", true),
        ("http://localhost:3017", false),
        ("http://localhost:3017/x", false),
    ] {
        let page = lab.browser.get(&lab.authorize_url(&[("redirect_uri", uri)])).await;
        assert_eq!(page.redirect().is_some(), fits, "{uri}");
    }
}

#[tokio::test]
async fn what_the_program_did_wrong_is_told_to_the_program() {
    let lab = Lab::new();
    let two = "https://outlook.office.com/SMTP.Send https://outlook.office365.com/IMAP.AccessAsUser.All";
    for (instead, code) in [
        (("response_type", "token"), "AADSTS900144"),
        (("scope", ""), "AADSTS900144"),
        (("scope", two), "AADSTS70011"),
        (("code_challenge_method", "S512"), "AADSTS501491"),
    ] {
        let url = lab.authorize(&[instead]).await;
        assert_eq!(parameter(&url, "error").as_deref(), Some("invalid_request"), "{instead:?}");
        assert!(parameter(&url, "error_description").unwrap().starts_with(code), "{instead:?}: {url}");
    }
}

#[tokio::test]
async fn a_code_serves_once_and_with_its_verifier_and_its_redirect_uri() {
    let lab = Lab::new();
    let code = lab.code(&[]).await;
    let other = VERIFIER.replace('d', "e");
    let bad = lab.redeem(&code, &[("code_verifier", &other)]).await;
    refused(&bad, 400, "invalid_grant", 501_481);
    refused(&lab.redeem(&code, &[("code_verifier", "short")]).await, 400, "invalid_grant", 501_491);
    let elsewhere = lab.redeem(&code, &[("redirect_uri", "http://localhost:1")]).await;
    refused(&elsewhere, 401, "invalid_client", 500_112);
    granted(&lab.redeem(&code, &[]).await);
    refused(&lab.redeem(&code, &[]).await, 400, "invalid_grant", 54005);
    refused(&lab.redeem("another", &[]).await, 400, "invalid_grant", 70000);

    let late = lab.code(&[]).await;
    lab.authority.expire_codes();
    refused(&lab.redeem(&late, &[]).await, 400, "invalid_grant", 70008);
}

#[tokio::test]
async fn a_code_is_protected_as_the_registration_says() {
    let lab = Lab::new();
    let plain = [("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
    let code = lab.code(&plain).await;
    granted(&lab.redeem(&code, &[]).await);
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = lab.code(&without).await;
    refused(&lab.redeem(&code, &[]).await, 400, "invalid_grant", 501_481);
    granted(&lab.redeem(&code, &[("code_verifier", "")]).await);

    lab.authority.register_app(Registration::public(PUBLIC).challenges(&[Challenge::S256]));
    for instead in [&plain[..], &without[..], &[("code_challenge", CHALLENGE), ("code_challenge_method", "")]]
    {
        let url = lab.authorize(instead).await;
        assert!(parameter(&url, "error_description").unwrap().starts_with("AADSTS9002325: "), "{url}");
    }
}

#[tokio::test]
async fn a_secret_is_shown_by_those_who_have_one_and_by_nobody_else() {
    let lab = Lab::new();
    let code = lab.code(&[]).await;
    let page = lab.redeem(&code, &[("client_secret", "any")]).await;
    refused(&page, 401, "invalid_client", 700_025);

    let code = lab.code(&[("client_id", APP.1)]).await;
    refused(&lab.redeem(&code, &[("client_id", APP.1)]).await, 401, "invalid_client", 7_000_218);
    refused(&lab.redeem(&code, &[]).await, 400, "invalid_grant", 70000);
    let body = granted(&lab.redeem(&code, &[("client_id", APP.1), ("client_secret", APP.2)]).await);
    assert_eq!(claims(&body["access_token"])["appid"], APP.1);
}

#[tokio::test]
async fn a_secret_may_come_in_a_header() {
    let lab = Lab::new();
    let code = lab.code(&[("client_id", APP.1)]).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "http://localhost:8025"),
        ("code_verifier", VERIFIER),
    ];
    let shown = base64::Engine::encode(
        &base64::prelude::BASE64_STANDARD,
        format!("{}:{}", APP.1, APP.2.replace('~', "%7E")),
    );
    let header = format!("Basic {shown}");
    let url = Lab::url(&lab.authority.token_url());
    let page = lab.browser.post_with(&url, &fields, &[("authorization", &header)]).await;
    granted(&page);
}

#[tokio::test]
async fn tokens_are_as_little_as_was_asked_for() {
    let lab = Lab::new();
    let scope = "https://outlook.office365.com/IMAP.AccessAsUser.All openid";
    let body = granted(&lab.redeem(&lab.code(&[("scope", scope)]).await, &[]).await);
    assert_eq!(body["refresh_token"], Value::Null);
    let id = claims(&body["id_token"]);
    assert_eq!((&id["preferred_username"], &id["oid"]), (&Value::Null, &Value::Null));
    assert!(id["tid"].is_string(), "{id}");
    let access = claims(&body["access_token"]);
    assert_eq!(
        (&access["aud"], &access["scp"]),
        (&json!("https://outlook.office365.com"), &json!("IMAP.AccessAsUser.All"))
    );

    let scope = "https://outlook.office.com/IMAP.AccessAsUser.All User.Read";
    let body = granted(&lab.redeem(&lab.code(&[("scope", scope)]).await, &[]).await);
    assert_eq!(claims(&body["access_token"])["aud"], "https://graph.microsoft.com");
    assert_eq!(body["id_token"], Value::Null);
}

#[tokio::test]
async fn tokens_may_be_given_another_shape() {
    let lab = Lab::new();
    lab.authority.shape(|shape| {
        shape.audience = Some("https://graph.microsoft.com".to_owned());
        shape.scp = Some(vec!["SMTP.Send".to_owned()]);
        shape.id_claims.insert("preferred_username".to_owned(), json!("other@contoso.com"));
        shape.id_claims.insert("oid".to_owned(), Value::Null);
    });
    let body = lab.consent().await;
    let (access, id) = (claims(&body["access_token"]), claims(&body["id_token"]));
    assert_eq!(
        (&access["aud"], &access["scp"]),
        (&json!("https://graph.microsoft.com"), &json!("SMTP.Send"))
    );
    assert_eq!((&id["preferred_username"], &id["oid"]), (&json!("other@contoso.com"), &Value::Null));

    lab.authority.shape(|shape| {
        *shape = Shape::default();
        shape.opaque = true;
        shape.id_token = false;
    });
    let body = lab.consent().await;
    let token = body["access_token"].as_str().unwrap();
    assert!(!token.contains('.') && body["id_token"].is_null(), "{body}");
    assert_eq!(lab.authority.issuer().verify(token).unwrap().upn.as_deref(), Some(ALICE));
}

#[tokio::test]
async fn common_serves_only_apps_of_many_tenants() {
    let lab = Lab::new();
    let common = |url: String| url.replace(APP.0, "common");
    let page = lab.browser.get(&common(lab.authorize_url(&[]))).await;
    assert!(page.body.contains("AADSTS50194"), "{}", page.body);
    lab.authority.register_app(Registration::public(PUBLIC).multi_tenant());
    let url = lab.browser.leaves_for(&common(lab.authorize_url(&[]))).await;
    let body = granted(&lab.redeem(&parameter(&url, "code").unwrap(), &[]).await);
    assert_eq!(claims(&body["id_token"])["tid"], tenant_id(APP.0));
}
