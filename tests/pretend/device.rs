//! The device grant before the pretend authority.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{
        authority::{APP, Answer},
        browser::Page,
    },
    lab::{ALICE, Lab, PUBLIC, SCOPE, claims, granted, refused, text},
};

async fn ask(lab: &Lab) -> Page {
    let url = Lab::url(&lab.authority.device_url());
    lab.browser.post(&url, &[("client_id", PUBLIC), ("scope", SCOPE)]).await
}

async fn poll(lab: &Lab, device: &Value) -> Page {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    lab.token(&[("grant_type", grant), ("device_code", text(device, "device_code"))]).await
}

#[tokio::test]
async fn a_device_code_is_polled_until_somebody_approves() {
    let lab = Lab::new();
    let device = granted(&ask(&lab).await);
    assert_eq!((&device["interval"], &device["expires_in"]), (&json!(5), &json!(900)));
    assert_eq!(device["verification_uri"], "https://microsoft.com/devicelogin");
    assert!(text(&device, "message").contains(text(&device, "user_code")), "{device}");
    refused(&poll(&lab, &device).await, 400, "authorization_pending", 70016);
    lab.authority.slow_down(1);
    assert_eq!(poll(&lab, &device).await.json()["error"], "slow_down");
    refused(&poll(&lab, &device).await, 400, "authorization_pending", 70016);

    lab.authority.approve_device(text(&device, "user_code"), ALICE);
    let body = granted(&poll(&lab, &device).await);
    assert_eq!(claims(&body["id_token"])["preferred_username"], ALICE);
    granted(&lab.refresh(text(&body, "refresh_token")).await);
    refused(&poll(&lab, &device).await, 400, "invalid_grant", 54005);

    let seen = &lab.authority.device_codes()[0];
    assert_eq!((seen.client_id.as_str(), seen.scope.as_str()), (PUBLIC, SCOPE));
    assert_eq!((seen.polls.len(), lab.authority.requests_of("device_code").get()), (5, 5));
    assert!(seen.polls.is_sorted());
    assert_eq!(lab.authority.devices_asked().get(), 1);
}

#[tokio::test]
async fn who_declines_or_comes_late_ends_the_polling() {
    let lab = Lab::new();
    let (first, second) = (granted(&ask(&lab).await), granted(&ask(&lab).await));
    lab.authority.decline_device(text(&first, "user_code"));
    refused(&poll(&lab, &first).await, 400, "authorization_declined", 65004);
    refused(&poll(&lab, &second).await, 400, "authorization_pending", 70016);
    lab.authority.expire_device(text(&second, "user_code"));
    refused(&poll(&lab, &second).await, 400, "expired_token", 70020);
    let unknown = json!({"device_code": "made up"});
    refused(&poll(&lab, &unknown).await, 400, "bad_verification_code", 70018);
}

#[tokio::test]
async fn interval_and_life_are_settable() {
    let lab = Lab::new();
    lab.authority.set_device(None, Duration::ZERO);
    let device = granted(&ask(&lab).await);
    assert_eq!((&device["interval"], &device["expires_in"]), (&Value::Null, &json!(0)));
    refused(&poll(&lab, &device).await, 400, "expired_token", 70020);
}

#[tokio::test]
async fn a_device_code_is_not_given_to_everybody() {
    let lab = Lab::new();
    let url = Lab::url(&lab.authority.device_url());
    let unknown = lab.browser.post(&url, &[("client_id", "unknown"), ("scope", SCOPE)]).await;
    refused(&unknown, 400, "unauthorized_client", 700_016);
    let without_scope = lab.browser.post(&url, &[("client_id", PUBLIC)]).await;
    refused(&without_scope, 400, "invalid_request", 900_144);
    lab.authority.next_device_code(Answer::Refuse(53003));
    refused(&ask(&lab).await, 400, "invalid_grant", 53003);
    // A confidential app shows its secret when it polls.
    let device = granted(&lab.browser.post(&url, &[("client_id", APP.1), ("scope", SCOPE)]).await);
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let fields = [grant, ("device_code", text(&device, "device_code")), ("client_id", APP.1)];
    refused(&lab.token(&fields).await, 401, "invalid_client", 7_000_218);
}
