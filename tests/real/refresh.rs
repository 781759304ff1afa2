//! What was consented to once lasts: through kills, outages and changes of the configuration, until somebody ends it.

use footbridge::store::Record;

use crate::authority::{Authority, Count};
use crate::clients::{Outcome, Running, python, run};
use crate::home::{Home, Setup, login, mailbox};
use crate::lab::PASSWORD;
use crate::servers::servers;

const CODE: &str = "authorization_code";
const REFRESH: &str = "refresh_token";

#[test]
fn an_authority_killed_during_a_refresh_costs_a_wait_and_no_consent() {
    let authority = Authority::start("authority-refresh-killed", &servers().dir);
    let person = "refresh-killed";
    let setup = Setup { authority: &authority, ..Setup::default() };
    let mut home = Home::with("public-refresh-killed", &[person], &setup);
    home.consented_long_ago(&[person]);
    authority.fault(&home.client, "hold", 1);
    home.serve();
    let waited = while_it_waits(&home, person, || {
        home.asked(REFRESH, 1);
        authority.stop();
        authority.restart();
    });
    let _ = waited.succeeded();
    home.lists(person);
    assert_eq!(home.account(person)["state"], "ready");
    assert_eq!(home.count(CODE).requests, 0, "since the restart");
    home.end();
    authority.stop();
}

#[test]
fn a_refresh_cut_off_where_reuse_is_detected_is_told_as_such_and_a_new_consent_cures_it() {
    let person = "refresh-cut";
    let mut home = Home::of("public-refresh-cut", &[person]);
    home.consented_long_ago(&[person]);
    home.authority.fault(&home.client, "lose", 1);
    home.serve();
    home.asks_for_consent(person, "was cut off");
    assert_eq!(home.count(REFRESH), Count { requests: 2, tokens: 1 }, "nobody asks again and again");
    let row = home.account(person);
    assert_eq!(row["state"], "consent_needed");
    assert!(row["trouble"].as_str().unwrap().contains("cut off"), "{row}");
    home.consent(person);
    home.lists(person);
}

#[test]
fn a_revoked_consent_is_asked_for_again_and_others_do_not_notice() {
    let [revoked, other] = ["refresh-revoked", "refresh-unrevoked"];
    let mut home = Home::of("public-refresh-revoked", &[revoked, other]);
    home.consented_long_ago(&[revoked, other]);
    assert_eq!(home.authority.revoke(&mailbox(revoked)), 1);
    home.serve();
    home.asks_for_consent(revoked, "");
    home.lists(other);
    let untouched = home.kept(other);
    assert_eq!(home.account(revoked)["state"], "consent_needed");
    assert_eq!(home.account(other)["state"], "ready");
    home.consent(revoked);
    home.lists(revoked);
    home.sends(revoked);
    assert_eq!(home.account(revoked)["state"], "ready");
    assert_eq!(tokens(&home.kept(other)), tokens(&untouched));
    home.sends(other);
    assert_eq!(home.count(REFRESH), Count { requests: 2, tokens: 1 });
}

#[test]
fn a_bridge_killed_ten_times_during_refreshes_needs_nobodys_consent_again() {
    let people = ["kill-one", "kill-two", "kill-three"];
    let mut home = Home::of("public-refresh-kills", &people);
    home.authority.keep_old_tokens(&home.client, true);
    home.consented_long_ago(&people);
    home.authority.tokens(&home.client, 1, 0);
    for kill in 0..10 {
        let before = home.count(REFRESH);
        home.authority.fault(&home.client, "hold", 3);
        home.serve();
        home.asked(REFRESH, before.requests + 3);
        match kill % 3 {
            // Before anything was answered.
            0 => {
                home.kill();
                home.authority.release(&home.client);
            }
            // While it is answered.
            1 => {
                home.authority.release(&home.client);
                home.kill();
            }
            // When some was.
            _ => {
                home.authority.release(&home.client);
                home.issued(REFRESH, before.tokens + 1);
                home.kill();
            }
        }
    }
    home.authority.tokens(&home.client, 3600, 0);
    home.serve();
    for person in people {
        home.lists(person);
        assert_eq!(home.account(person)["state"], "ready", "{person}");
    }
    assert_eq!(home.count(CODE), Count { requests: 3, tokens: 3 }, "the first consents");
}

#[test]
fn an_authority_that_stumbles_or_is_slow_at_a_refresh_costs_a_wait_and_keeps_the_token() {
    for fault in ["503", "429", "garbage", "reset", "hold"] {
        let person = &format!("refresh-{fault}");
        let mut home = Home::of(&format!("public-refresh-{fault}"), &[person]);
        home.consented_long_ago(&[person]);
        home.authority.fault(&home.client, fault, 1);
        home.serve();
        let waited = while_it_waits(&home, person, || {
            home.asked(REFRESH, 1);
            if fault == "hold" {
                home.authority.release(&home.client);
            }
        });
        let _ = waited.succeeded();
        home.lists(person);
        let requests = if fault == "hold" { 1 } else { 2 };
        assert_eq!(home.count(REFRESH), Count { requests, tokens: 1 }, "{fault}");
        assert_eq!(home.count(CODE).requests, 1, "{fault}");
    }
}

#[test]
fn an_authority_that_fails_for_long_is_not_told_as_a_wrong_password_and_costs_no_consent() {
    let person = "refresh-outage";
    let setup = Setup { limits: "login_timeout = \"2s\"", ..Setup::default() };
    let mut home = Home::with("public-refresh-outage", &[person], &setup);
    home.authority.keep_old_tokens(&home.client, true);
    home.consented_long_ago(&[person]);
    let before = home.kept(person);
    for fault in ["503", "429", "garbage", "reset", "hold"] {
        home.authority.fault(&home.client, fault, 1000);
        home.serve();
        let [imap, smtp] = home.refused(person);
        assert!(imap.code != 67 && imap.said().contains("[UNAVAILABLE]"), "{fault}: {imap}");
        assert!(smtp.said().contains("454 4.7.0"), "{fault}: {smtp}");
        assert_eq!(home.kept(person).refresh_token, before.refresh_token, "{fault}");
        home.kill();
    }
    // Carries out what is held, though nobody waits for it any more.
    home.authority.release(&home.client);
    home.serve();
    home.lists(person);
    assert_eq!(home.count(CODE).requests, 1);
}

#[test]
fn an_account_comes_by_a_reload_while_sessions_live_and_its_token_waits_when_it_goes() {
    let [stays, comes] = ["reload-stays", "reload-comes"];
    let mut home = Home::of("public-reload", &[stays]);
    home.serve();
    home.consent(stays);
    let port = home.bridge().addr("imap").port();
    let mut session = Running::start(&mut python("session", port, &login(stays), PASSWORD));
    assert_eq!(session.line(), "open");
    let mut alive = || {
        session.say("are you there");
        assert_eq!(session.line(), "OK");
    };

    let reload = |accounts: &[&str], told: &str| {
        home.write_accounts(&accounts.iter().map(|person| (*person, CODE)).collect::<Vec<_>>());
        let ended = home.run(&["reload"]).expect(0);
        assert!(ended.stdout.contains(&format!("account {told}: {}", login(comes))), "{ended:?}");
    };
    reload(&[stays, comes], "added");
    home.asks_for_consent(comes, "is not authorized yet");
    home.consent(comes);
    home.lists(comes);
    let kept = home.kept(comes);
    alive();

    reload(&[stays], "removed, its sessions end");
    let [imap, _] = home.refused(comes);
    assert_eq!(imap.code, 67, "a login that there is no more: {imap}");
    assert_eq!(tokens(&home.kept(comes)), tokens(&kept));
    alive();

    reload(&[comes, stays], "added");
    home.lists(comes);
    home.sends(comes);
    alive();
    session.finish();
    assert_eq!(home.count(CODE), Count { requests: 2, tokens: 2 });
}

/// Lets curl log in, and does something while it waits for that.
#[track_caller]
fn while_it_waits(home: &Home, person: &str, happens: impl FnOnce()) -> Outcome {
    let mut curl = home.curl_imap(person, "");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || run(&mut curl));
        happens();
        waiting.join().unwrap()
    })
}

/// The tokens of a record, without when they were used.
fn tokens(record: &Record) -> Record {
    Record { last_used: None, unclaimed_since: None, version: 0, ..record.clone() }
}
