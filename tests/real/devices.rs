//! Users who approve a device: what the authority answers to it. These tests need no bridge.

use serde_json::Value;

use crate::authority::{Authority, Count, DEVICE_GRANT};
use crate::clients::eventually;
use crate::delegated::{claims, text};
use crate::servers::{CLIENT_SECRET, servers};
use crate::walk::USER_SCOPES;

#[test]
fn a_device_gets_tokens_once_its_code_is_approved() {
    let authority = &servers().authority;
    for (client, secret) in [("public-device", None), ("conf-device", Some(("client_secret", CLIENT_SECRET)))]
    {
        authority.device_codes(client, 0, 900);
        let device = device_codes(authority, client, secret);
        let poll = || poll(authority, client, secret, &device);
        assert_eq!(poll()["error"], "authorization_pending");
        authority.approve_device(
            text(&device, "verification_uri"),
            text(&device, "user_code"),
            "hugo@example.test",
        );
        let reply = poll();
        assert_eq!(claims(&reply["access_token"])["upn"], "hugo@example.test", "{reply}");
        assert_eq!(claims(&reply["id_token"])["preferred_username"], "hugo@example.test");
        assert!(authority.refresh(client, text(&reply, "refresh_token"))["access_token"].is_string());
        assert_eq!(poll()["error"], "invalid_grant", "the code was used");
        assert_eq!(authority.count_of(client, DEVICE_GRANT), Count { requests: 3, tokens: 1 });
        assert_eq!(authority.count_of(client, "devicecode").requests, 1);
    }
}

#[test]
fn a_device_hears_that_it_asks_too_often_that_the_user_declined_and_that_its_code_is_old() {
    let authority = &servers().authority;
    let client = "public-device-refused";
    authority.device_codes(client, 100, 900);
    let device = device_codes(authority, client, None);
    assert_eq!(device["interval"], 100);
    assert_eq!(poll(authority, client, None, &device)["error"], "authorization_pending");
    assert_eq!(poll(authority, client, None, &device)["error"], "slow_down");
    authority.device_codes(client, 0, 900);
    authority.decline_device(
        text(&device, "verification_uri"),
        text(&device, "user_code"),
        "ida@example.test",
    );
    assert_eq!(poll(authority, client, None, &device)["error"], "authorization_declined");

    authority.device_codes(client, 0, 1);
    let device = device_codes(authority, client, None);
    eventually(
        || "a device code to expire".to_owned(),
        || (poll(authority, client, None, &device)["error"] == "expired_token").then_some(()),
    );
}

#[track_caller]
pub fn device_codes(authority: &Authority, client: &str, secret: Option<(&str, &str)>) -> Value {
    let known = [("client_id", client), ("scope", USER_SCOPES)];
    let form: Vec<_> = known.into_iter().chain(secret).collect();
    authority.post(&authority.device_url(), &form)
}

#[track_caller]
pub fn poll(authority: &Authority, client: &str, secret: Option<(&str, &str)>, device: &Value) -> Value {
    let known =
        [("grant_type", DEVICE_GRANT), ("client_id", client), ("device_code", text(device, "device_code"))];
    let form: Vec<_> = known.into_iter().chain(secret).collect();
    authority.post(&authority.token_url(), &form)
}
