//! The authority as it stands behind users who sign in: these tests need no bridge, and show that what other tests build on is true.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::authority::{Authority, Count};
use crate::browsing::answer_with_a_page;
use crate::clients::{command, eventually, run};
use crate::servers::{TENANT, servers};
use crate::walk::{USER_SCOPES, VERIFIER, query};

const REDIRECTS: [&str; 5] = [
    "http://localhost",
    "http://localhost:1/",
    "http://localhost:49152",
    "http://127.0.0.1:8080/",
    "http://localhost:3017/",
];

#[test]
fn a_user_signs_in_and_the_code_gets_tokens_that_are_laid_out_as_entras() {
    let authority = &servers().authority;
    for client in ["public-code", "conf-code"] {
        for redirect_uri in REDIRECTS {
            let request = authority.authorization_request(client, redirect_uri);
            let landed = authority.sign_in(&request, "Ann@example.test");
            assert!(landed.starts_with(redirect_uri), "{landed}");
            assert_eq!(query(&landed, "state").as_deref(), Some("state of the test"));
            let reply = authority.redeem(client, redirect_uri, &query(&landed, "code").unwrap());
            assert!(reply["refresh_token"].is_string(), "{reply}");
            let access = claims(&reply["access_token"]);
            assert_eq!(access["aud"], "https://outlook.office365.com");
            assert_eq!(access["upn"], "Ann@example.test");
            assert_eq!(access["scp"], "IMAP.AccessAsUser.All SMTP.Send");
            assert_eq!(access["appid"], client);
            assert!(access["idtyp"].is_null(), "{access}");
            let id = claims(&reply["id_token"]);
            assert_eq!(id["aud"], client);
            assert_eq!(id["preferred_username"], "Ann@example.test");
            assert_eq!(id["tid"], TENANT);
            assert_eq!(id["oid"], access["oid"]);
        }
        let count = Count { requests: 5, tokens: 5 };
        assert_eq!(authority.count(client), count);
        assert_eq!(authority.count_of(client, "authorization_code"), count);
        assert_eq!(authority.count_of(client, "refresh_token"), Count { requests: 0, tokens: 0 });
    }
}

#[test]
fn a_code_is_refused_with_another_verifier_or_without_the_secret_or_twice() {
    let authority = &servers().authority;
    let redirect_uri = "http://localhost:1/";
    let code = |client| {
        let landed =
            authority.sign_in(&authority.authorization_request(client, redirect_uri), "bob@example.test");
        query(&landed, "code").unwrap()
    };
    let ask = |client, code: &str, more: &[(&str, &str)]| {
        let known = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("code", code),
        ];
        authority.post(&authority.token_url(), &[&known[..], more].concat())
    };
    let verifier = ("code_verifier", "another-verifier-another-verifier-another-verifier");
    assert_eq!(ask("public-careless", &code("public-careless"), &[verifier])["error"], "invalid_grant");
    let verifier = ("code_verifier", VERIFIER);
    assert_eq!(ask("conf-careless", &code("conf-careless"), &[verifier])["error"], "invalid_client");
    let code = code("public-careless");
    assert!(ask("public-careless", &code, &[verifier])["access_token"].is_string());
    assert_eq!(ask("public-careless", &code, &[verifier])["error"], "invalid_grant");
}

#[test]
fn a_user_who_does_not_accept_is_sent_back_with_an_error() {
    let authority = &servers().authority;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let redirect_uri = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let request = authority.authorization_request("public-declined", &redirect_uri);
    let landed = authority.decline(&request, "carl@example.test");
    assert_eq!(query(&landed, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&landed, "state").as_deref(), Some("state of the test"));
    std::thread::scope(|scope| {
        let application = scope.spawn(|| answer_with_a_page(&listener));
        let (status, page) = authority.get(&landed);
        assert!(status == 200 && page.contains("Thanks"), "{status} {page}");
        assert!(application.join().unwrap().contains("error=access_denied"));
    });
}

#[test]
fn a_refresh_token_that_was_replaced_ends_the_grant_when_it_comes_again() {
    let authority = &servers().authority;
    for client in ["public-rotation", "conf-rotation"] {
        let first = authority.user_tokens(client, "dora@example.test");
        let second = authority.refresh(client, text(&first, "refresh_token"));
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert_eq!(claims(&second["access_token"])["upn"], "dora@example.test");
        assert_eq!(authority.refresh(client, text(&first, "refresh_token"))["error"], "invalid_grant");
        assert_eq!(authority.refresh(client, text(&second, "refresh_token"))["error"], "invalid_grant");
        assert_eq!(authority.count_of(client, "refresh_token"), Count { requests: 3, tokens: 1 });
    }
}

#[test]
fn a_refresh_token_stays_good_where_old_ones_are_kept_until_the_user_is_revoked() {
    let authority = &servers().authority;
    let client = "public-kept";
    authority.keep_old_tokens(client, true);
    let tokens = authority.user_tokens(client, "emil@example.test");
    let other = authority.user_tokens(client, "other-than-emil@example.test");
    for _ in 0..3 {
        assert!(authority.refresh(client, text(&tokens, "refresh_token"))["access_token"].is_string());
    }
    assert_eq!(authority.revoke("emil@example.test"), 1);
    assert_eq!(authority.refresh(client, text(&tokens, "refresh_token"))["error"], "invalid_grant");
    assert!(authority.refresh(client, text(&other, "refresh_token"))["access_token"].is_string());
}

#[test]
fn what_was_issued_outlives_an_authority_that_is_killed() {
    let authority = Authority::start("authority-killed", &servers().dir);
    let client = "conf-killed";
    let tokens = authority.user_tokens(client, "frida@example.test");
    authority.tokens(client, 77, 0);
    authority.stop();
    authority.restart();
    let renewed = authority.refresh(client, text(&tokens, "refresh_token"));
    assert_eq!(renewed["expires_in"], 77, "{renewed}");
    assert_eq!(authority.count(client), Count { requests: 1, tokens: 1 });
    authority.stop();
    authority.restart();
    assert_eq!(
        authority.refresh(client, text(&tokens, "refresh_token"))["error"],
        "invalid_grant",
        "was used"
    );
    authority.stop();
}

#[test]
fn a_lost_answer_leaves_a_refresh_token_that_is_used_up() {
    let authority = &servers().authority;
    let client = "public-lost-answer";
    let tokens = authority.user_tokens(client, "gina@example.test");
    authority.fault(client, "lose", 1);
    let lost = run(&mut refresh_by_curl(authority, client, &tokens));
    assert_eq!(lost.code, 52, "curl: nothing was returned: {lost}");
    assert_eq!(authority.refresh(client, text(&tokens, "refresh_token"))["error"], "invalid_grant");
}

#[test]
fn an_authority_killed_before_it_refreshed_leaves_a_refresh_token_that_is_good() {
    let authority = Authority::start("authority-killed-early", &servers().dir);
    let client = "public-killed-early";
    let tokens = authority.user_tokens(client, "olga@example.test");
    authority.fault(client, "hold", 1);
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| run(&mut refresh_by_curl(&authority, client, &tokens)));
        let held = || (authority.count_of(client, "refresh_token").requests == 1).then_some(());
        eventually(|| "the request to be held".to_owned(), held);
        authority.stop();
        assert_ne!(cut.join().unwrap().code, 0);
    });
    authority.restart();
    assert!(authority.refresh(client, text(&tokens, "refresh_token"))["access_token"].is_string());
    authority.stop();
}

#[test]
fn a_request_is_taken_as_entra_takes_it() {
    let authority = &servers().authority;
    let (client, redirect_uri) = ("public-as-entra", "http://localhost:1/");
    let request = authority.authorization_request(client, redirect_uri).replace(TENANT, "organizations");
    for more in
        ["&prompt=select_account&login_hint=somebody@example.test&domain_hint=organizations", "&prompt=login"]
    {
        let landed = authority.sign_in(&format!("{request}{more}"), "liam@example.test");
        let reply = authority.redeem(client, redirect_uri, &query(&landed, "code").unwrap());
        assert_eq!(claims(&reply["access_token"])["upn"], "liam@example.test", "{reply}");
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", text(&reply, "refresh_token")),
            ("scope", USER_SCOPES),
        ];
        let renewed = authority.post(&authority.token_url(), &form);
        assert_eq!(claims(&renewed["access_token"])["scp"], "IMAP.AccessAsUser.All SMTP.Send", "{renewed}");
    }
    let landed = authority.sign_in(&request.replace("offline_access+", ""), "liam@example.test");
    let reply = authority.redeem(client, redirect_uri, &query(&landed, "code").unwrap());
    assert!(reply["access_token"].is_string() && reply["refresh_token"].is_null(), "{reply}");
}

#[test]
fn a_users_token_opens_that_users_mailbox_and_no_other() {
    let servers = servers();
    let reply = servers.authority.user_tokens("public-mailbox", "Jane@example.test");
    let token = text(&reply, "access_token");
    assert!(servers.reads("jane@example.test", token));
    assert!(servers.sends("jane@example.test", token));
    assert!(!servers.reads("john@example.test", token));
    assert!(!servers.sends("john@example.test", token));
    let token = servers.authority.token("of-any-mailbox");
    assert!(servers.reads("john@example.test", &token));
    assert!(servers.sends("john@example.test", &token));
}

#[test]
fn requests_fail_as_a_test_wants_them_to() {
    let authority = &servers().authority;
    let client = "conf-faults";
    let tokens = authority.user_tokens(client, "kim@example.test");
    authority.fault(client, "invalid_grant", 1);
    let refused = authority.refresh(client, text(&tokens, "refresh_token"));
    assert_eq!(refused["error"], "invalid_grant");
    assert_eq!(refused["error_codes"], json!([700_082]));
    assert!(authority.refresh(client, text(&tokens, "refresh_token"))["access_token"].is_string());
}

/// A refresh whose failure is to be seen.
fn refresh_by_curl(authority: &Authority, client: &str, tokens: &Value) -> Command {
    let token = text(tokens, "refresh_token");
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
    let mut curl = command("curl");
    curl.args(["-sS", "--cacert"]).arg(authority.ca()).args(["--data", &form]);
    curl.arg(authority.token_url().replace("{tenant}", TENANT));
    curl
}

/// A word of an answer.
#[track_caller]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// What a token says. Who signed it is Dovecot's to look at.
#[track_caller]
pub fn claims(token: &Value) -> Value {
    let token = token.as_str().unwrap_or_else(|| panic!("no token but {token}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}
