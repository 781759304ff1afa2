//! People consent, in a browser and at another device; then mail programs that know a password only read and send.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use footbridge::clock::{Clock as _, System};

use crate::authority::{Count, DEVICE_GRANT};
use crate::browser::Browser;
use crate::clients::{eventually, run};
use crate::home::{Home, Setup, login, mailbox, secret};
use crate::servers::servers;

#[test]
fn a_consent_beside_a_running_bridge_serves_both_protocols_and_outlives_refreshes_and_a_restart() {
    let person = "consent-beside";
    let mut home = Home::of("public-consent-beside", &[person]);
    // Renewed after some three seconds, with a new refresh token each time.
    home.authority.tokens(&home.client, 6, 0);
    home.serve();
    home.consent(person);
    home.lists(person);
    home.sends(person);
    home.asked("refresh_token", 2);
    home.lists(person);
    home.end();
    home.serve();
    home.lists(person);
    home.end();
    assert_eq!(home.count("authorization_code"), Count { requests: 1, tokens: 1 });
    let refreshes = home.count("refresh_token");
    assert_eq!(refreshes.requests, refreshes.tokens, "none was refused");
}

#[test]
fn a_consent_without_a_running_bridge_serves_the_one_that_is_started_later() {
    let person = "consent-alone";
    let mut home = Home::of("public-consent-alone", &[person]);
    home.consented_long_ago(&[person]);
    for _ in 0..2 {
        home.serve();
        home.lists(person);
        home.end();
    }
    home.serve();
    home.sends(person);
    assert_eq!(home.count("authorization_code"), Count { requests: 1, tokens: 1 });
    assert_eq!(home.count("refresh_token"), Count { requests: 1, tokens: 1 });
}

#[test]
fn chromium_lands_on_the_page_that_says_authorized() {
    let person = "consent-chromium";
    let mut home = Home::of("public-consent-chromium", &[person]);
    home.serve();
    let (running, url) = home.authorize(person);
    let browser = Browser::start("consent");
    browser.open(&url);
    browser.sign_in(&mailbox(person));
    let page = browser.page_at("http://localhost:");
    assert!(page.title.starts_with("Authorized") && page.text.contains(&mailbox(person)), "{page:?}");
    let _ = running.wait().expect(0);
    home.lists(person);
}

#[test]
fn somebody_else_in_chromium_is_told_both_addresses_and_nothing_is_stored() {
    let person = "consent-expected";
    let mut home = Home::of("public-consent-other", &[person]);
    home.serve();
    let (running, url) = home.authorize(person);
    let browser = Browser::start("consent-other");
    browser.open(&url);
    browser.sign_in("mallory@example.test");
    let page = browser.page_at("http://localhost:");
    for words in ["Not authorized", "mallory@example.test", &mailbox(person), "nothing was stored"] {
        assert!(page.text.contains(words), "no {words:?}: {page:?}");
    }
    let ended = running.wait().expect(1);
    assert!(ended.stderr.contains("mallory@example.test") && ended.stderr.contains(&mailbox(person)));
    assert_eq!(home.stored(person), None);
    home.asks_for_consent(person, "is not authorized yet");
}

#[test]
fn a_client_with_a_secret_serves_accounts_of_its_own_and_of_people_who_consent() {
    serves_both_grants("conf-both", secret());
}

#[test]
fn a_client_with_a_certificate_serves_accounts_of_its_own_and_of_people_who_consent() {
    for algorithm in ["PS256", "RS256"] {
        let client = format!("jwt-both-{}", algorithm.to_lowercase());
        let (certificate, key) = servers().authority.new_certificate(&client);
        let line = |name: &str, value: &dyn Display| format!("{name} = \"{value}\"\n");
        let credential = line("certificate", &certificate.display())
            + &line("key", &key.display())
            + &line("assertion_alg", &algorithm);
        serves_both_grants(&client, credential);
    }
}

/// One account by the application's own right, and one of somebody whose token has to be refreshed.
#[track_caller]
fn serves_both_grants(client: &str, credential: String) {
    let [itself, person] = [format!("{client}-itself"), format!("{client}-person")];
    let mut home = Home::with(client, &[], &Setup { credential, ..Setup::default() });
    home.write_accounts(&[(&itself, "client_credentials"), (&person, "authorization_code")]);
    home.consented_long_ago(&[&person]);
    home.serve();
    for one in [&itself, &person] {
        home.lists(one);
        home.sends(one);
    }
    for grant in ["client_credentials", "authorization_code", "refresh_token"] {
        assert_eq!(home.count(grant), Count { requests: 1, tokens: 1 }, "{client}: {grant}");
    }
}

#[test]
fn a_code_approved_at_another_device_opens_the_mailbox_and_is_asked_after_as_seldom_as_told() {
    let person = "device-approved";
    let setup = Setup { grant: "device_code", ..Setup::default() };
    let mut home = Home::with("public-device-approved", &[person], &setup);
    home.authority.device_codes(&home.client, 2, 900);
    home.serve();
    home.asks_for_consent(person, "is not authorized yet");
    assert_eq!(home.count("devicecode").requests, 0, "a login alone begins nothing");
    let begun = System.now();
    let (running, page, code) = home.authorize_device(person, &[]);
    for (polls, seconds) in [(2, 2), (3, 4)] {
        home.asked(DEVICE_GRANT, polls);
        let passed = System.now().duration_since(begun).unwrap();
        assert!(passed.as_millis() > seconds * 990, "{polls} questions within {passed:?}");
    }
    home.authority.approve_device(&page, &code, &mailbox(person));
    let ended = running.wait().expect(0);
    assert!(ended.stdout.contains(&format!("{}: authorized", login(person))), "{ended:?}");
    home.lists(person);
    home.sends(person);
    let polls = home.count(DEVICE_GRANT);
    assert!(polls.tokens == 1 && polls.requests <= 6, "{polls:?}");
}

#[test]
fn a_code_declined_at_another_device_is_told_so_and_changes_nothing() {
    let person = "device-declined";
    let home = Home::of("public-device-declined", &[person]);
    let (running, page, code) = home.authorize_device(person, &["--device"]);
    home.authority.decline_device(&page, &code, &mailbox(person));
    let ended = running.wait().expect(1);
    assert!(
        ended.stderr.contains("was declined") && ended.stderr.contains("footbridge authorize"),
        "{ended:?}"
    );
    assert_eq!(home.stored(person), None);
}

#[test]
fn a_client_that_keeps_polling_gets_in_once_consent_is_given() {
    let person = "consent-polling";
    let mut home = Home::of("public-consent-polling", &[person]);
    home.serve();
    let (refusals, got_in) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let home = &home;
        let polling = scope.spawn(|| {
            for _ in 0..500 {
                let outcome = run(&mut home.curl_imap(person, ""));
                if outcome.code == 0 {
                    got_in.store(true, Ordering::SeqCst);
                    return;
                }
                refusals.fetch_add(1, Ordering::SeqCst);
            }
        });
        let refused = || refusals.load(Ordering::SeqCst);
        eventually(|| "refusals".to_owned(), || (refused() >= 3).then_some(()));
        home.consent(person);
        polling.join().unwrap();
    });
    assert!(got_in.into_inner(), "refused {refusals:?} times");
    assert_eq!(home.authority.count(&home.client), Count { requests: 1, tokens: 1 }, "the code alone");
}
