//! Refresh tokens before the pretend authority.

use serde_json::json;

use crate::{
    harness::authority::{APP, Answer, Rotation},
    lab::{ALICE, Lab, claims, granted, refused, text},
};

#[tokio::test]
async fn a_refresh_brings_a_new_refresh_token_and_the_old_one_lives_on() {
    let lab = Lab::new();
    let first = lab.consent().await;
    let second = granted(&lab.refresh(text(&first, "refresh_token")).await);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(claims(&second["id_token"])["preferred_username"], ALICE);
    granted(&lab.refresh(text(&first, "refresh_token")).await);
    granted(&lab.refresh(text(&second, "refresh_token")).await);
    assert_eq!(lab.authority.refresh_tokens(ALICE), 4);
    assert_eq!(lab.authority.requests_of("refresh_token").get(), 3);
    assert_eq!(lab.authority.requests_of("authorization_code").get(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_was_used_before_revokes_its_family_where_reuse_is_detected() {
    let lab = Lab::new();
    lab.authority.set_rotation(Rotation::DetectsReuse);
    let first = lab.consent().await;
    let other = lab.consent().await;
    let second = granted(&lab.refresh(text(&first, "refresh_token")).await);
    let third = granted(&lab.refresh(text(&second, "refresh_token")).await);
    refused(&lab.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", 70000);
    refused(&lab.refresh(text(&third, "refresh_token")).await, 400, "invalid_grant", 70000);
    granted(&lab.refresh(text(&other, "refresh_token")).await);
}

#[tokio::test]
async fn a_refresh_token_is_used_up_though_the_answer_gets_lost() {
    let lab = Lab::new();
    lab.authority.set_rotation(Rotation::DetectsReuse);
    let first = lab.consent().await;
    lab.authority.next(Answer::Lost);
    let url = Lab::url(&lab.authority.token_url());
    let body = format!(
        "grant_type=refresh_token&client_id={}&refresh_token={}",
        crate::lab::PUBLIC,
        text(&first, "refresh_token")
    );
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(lab.certs.client_config())
        .no_proxy()
        .build()
        .unwrap();
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    request.send().await.expect_err("the connection is reset");
    assert_eq!(lab.authority.refresh_tokens(ALICE), 2);
    refused(&lab.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", 70000);
}

#[tokio::test]
async fn a_refresh_token_for_good_is_not_answered_with_another() {
    let lab = Lab::new();
    lab.authority.set_rotation(Rotation::None);
    let first = lab.consent().await;
    for _ in 0..2 {
        let next = granted(&lab.refresh(text(&first, "refresh_token")).await);
        assert!(next["refresh_token"].is_null(), "{next}");
    }
    assert_eq!(lab.authority.refresh_tokens(ALICE), 1);
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_not_for_more() {
    let lab = Lab::new();
    let first = lab.consent().await;
    let ask = async |scope: &str| {
        let token = text(&first, "refresh_token");
        lab.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
    };
    let less = granted(&ask("https://outlook.office.com/SMTP.Send offline_access").await);
    assert_eq!(claims(&less["access_token"])["scp"], "SMTP.Send");
    let more = ask("https://outlook.office.com/POP.AccessAsUser.All").await;
    let body = refused(&more, 400, "invalid_grant", 65001);
    assert_eq!(body["suberror"], "consent_required");
}

#[tokio::test]
async fn what_was_revoked_is_refused_until_the_next_consent() {
    let lab = Lab::new();
    let first = lab.consent().await;
    lab.authority.revoke(ALICE);
    refused(&lab.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", 50173);
    let again = lab.consent().await;
    granted(&lab.refresh(text(&again, "refresh_token")).await);
    lab.authority.revoke_with(ALICE, 700_082);
    refused(&lab.refresh(text(&again, "refresh_token")).await, 400, "invalid_grant", 700_082);
}

#[tokio::test]
async fn a_refresh_token_serves_its_own_client_alone() {
    let lab = Lab::new();
    let first = lab.consent().await;
    let token = text(&first, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let theirs = [fields[0], fields[1], ("client_id", APP.1), ("client_secret", APP.2)];
    refused(&lab.token(&theirs).await, 400, "invalid_grant", 70000);
    let with_a_secret = [fields[0], fields[1], ("client_secret", "any")];
    refused(&lab.token(&with_a_secret).await, 401, "invalid_client", 700_025);
    refused(&lab.refresh("made up").await, 400, "invalid_grant", 70000);
}

#[tokio::test]
async fn every_refusal_has_the_class_that_entra_gives_it() {
    let lab = Lab::new();
    let classes = [
        (70000, 400, "invalid_grant", None),
        (700_082, 400, "invalid_grant", None),
        (50173, 400, "invalid_grant", None),
        (50076, 400, "invalid_grant", Some("basic_action")),
        (53003, 400, "invalid_grant", Some("message_only")),
        (65001, 400, "invalid_grant", Some("consent_required")),
        (90024, 400, "invalid_request", None),
        (90033, 503, "temporarily_unavailable", None),
        (50196, 400, "invalid_grant", None),
        (90055, 429, "temporarily_unavailable", None),
        (99999, 400, "invalid_grant", None),
        (99998, 400, "invalid_request", None),
    ];
    let first = lab.consent().await;
    for (code, status, error, suberror) in classes {
        lab.authority.next(Answer::Refuse(code));
        let body = refused(&lab.refresh(text(&first, "refresh_token")).await, status, error, code);
        assert_eq!(body["suberror"], json!(suberror), "{code}");
    }
    lab.authority.next(Answer::Body(200, r#"{"access_token":"t","token_type":"bearer"}"#.to_owned()));
    assert_eq!(lab.refresh("any").await.json(), json!({"access_token": "t", "token_type": "bearer"}));
    granted(&lab.refresh(text(&first, "refresh_token")).await);
}

#[tokio::test]
async fn what_no_log_may_hold_is_known() {
    let lab = Lab::new();
    let body = lab.consent().await;
    let confidential = lab.authority.confidential();
    for name in ["access_token", "refresh_token", "id_token"] {
        assert!(confidential.iter().any(|secret| secret == text(&body, name)), "{name}");
    }
    let code = &lab.authority.token_requests()[0].form["code"];
    assert!(confidential.contains(code));
}
