//! Tokens are got from a real authority, which is asked as little as possible, and may be ill or gone.

use std::collections::BTreeSet;
use std::path::Path;

use crate::authority::{Authority, Count};
use crate::clients::{Running, eventually, file, run, run_with};
use crate::imap::fetchmail;
use crate::lab::{Lab, PASSWORD, Setup};
use crate::message::{sha256, tricky};
use crate::servers::servers;
use crate::smtp::msmtp;

#[test]
fn fifty_logins_at_once_cost_one_token_request() {
    let lab = Lab::start("fifty");
    // While the authority does not answer, all of them come.
    servers().authority.fault(&lab.client, "hold", 1);
    let mut many = Running::start(lab.python_imap("many").args([&lab.smtp_port().to_string(), "25"]));
    eventually(|| "fifty sessions".to_owned(), || (sessions_heard(&lab) == 50).then_some(()));
    eventually(|| "a token request".to_owned(), || (lab.count().requests > 0).then_some(()));
    servers().authority.release(&lab.client);
    assert_eq!(many.line(), "50");
    many.finish();
    assert_eq!(lab.count(), Count { requests: 1, tokens: 1 });
}

#[test]
fn later_logins_use_the_token_of_the_first() {
    let lab = Lab::start("cached");
    for _ in 0..3 {
        run(lab.curl().arg(lab.imap_url(""))).succeeded();
        run(lab.curl().arg(lab.smtp_url()).args(["-X", "NOOP"])).succeeded();
    }
    assert_eq!(lab.count(), Count { requests: 1, tokens: 1 });
}

#[test]
fn a_token_of_more_than_4096_characters_opens_the_mailbox() {
    let lab = Lab::start("long-token");
    servers().authority.tokens(&lab.client, 3600, 2600);
    run(lab.curl().arg(lab.imap_url(""))).succeeded();
    run(lab.curl().arg(lab.smtp_url()).args(["-X", "NOOP"])).succeeded();
}

#[test]
fn an_authority_that_stumbles_once_costs_nobody_a_login() {
    for fault in ["503", "429", "garbage", "reset"] {
        let lab = Lab::start(&format!("stumble-{fault}"));
        servers().authority.fault(&lab.client, fault, 1);
        run(lab.curl().arg(lab.imap_url(""))).succeeded();
        assert_eq!(lab.count(), Count { requests: 2, tokens: 1 }, "{fault}");
    }
}

#[test]
fn an_authority_that_is_gone_for_a_while_costs_no_session() {
    let authority = Authority::start("authority-outage", &servers().dir);
    let lab = lab_of(&authority, "outage");
    // Renewed after some ten seconds, and good for nineteen.
    authority.tokens(&lab.client, 24, 0);
    let message = tricky("outage");
    lab.servers.append(&lab.mailbox, &message);
    let mut open_before = Running::start(&mut lab.python_imap("session"));
    assert_eq!(open_before.line(), "open");

    authority.stop();
    eventually(
        || "a renewal to fail".to_owned(),
        || (!lab.bridge.logged("token not obtained").is_empty()).then_some(()),
    );
    open_before.say("are you there");
    assert_eq!(open_before.line(), "OK", "a session of before");
    let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
    assert_eq!(sha256(&fetched), sha256(&message), "a new login, with the token of before");
    run(&mut lab.curl_send(file(&message).path())).succeeded();

    authority.restart();
    eventually(
        || "a new token".to_owned(),
        || (lab.bridge.logged("token obtained").len() == 2).then_some(()),
    );
    assert_eq!(authority.count(&lab.client).tokens, 1, "since the restart");
    run(lab.curl().arg(lab.imap_url(""))).succeeded();
    open_before.say("are you still there");
    assert_eq!(open_before.line(), "OK", "the session of before");
    open_before.finish();
    authority.stop();
}

#[test]
fn a_login_that_needs_an_authority_waits_for_its_return() {
    let authority = Authority::start("authority-away", &servers().dir);
    let lab = lab_of(&authority, "away");
    authority.stop();
    let mut login = Running::start(&mut lab.python_imap("session"));
    eventually(
        || "requests to fail".to_owned(),
        || (lab.bridge.logged("token not obtained").len() >= 3).then_some(()),
    );
    authority.restart();
    assert_eq!(login.line(), "open");
    login.finish();
    authority.stop();
}

#[test]
fn an_authority_that_stays_away_is_not_told_as_a_wrong_password() {
    let authority = Authority::start("authority-lost", &servers().dir);
    authority.stop();
    let setup = Setup { authority: &authority, limits: "login_timeout = \"2s\"", ..Setup::default() };
    let lab = Lab::with("lost", &setup);

    let curl = run(lab.curl().arg(lab.imap_url("")));
    assert_ne!(curl.code, 67, "curl: login denied: {curl}");
    assert!(curl.code != 0);
    let fetchmail = run(&mut fetchmail(&lab, Path::new("/dev/null"), PASSWORD));
    assert_eq!(fetchmail.code, 2, "fetchmail: a trouble with the connection: {fetchmail}");
    let msmtp = run_with(&mut msmtp(&lab, "plain", PASSWORD), &tricky("lost"));
    assert!(msmtp.said().contains("454 4.7.0"), "a temporary trouble: {msmtp}");
}

fn lab_of(authority: &Authority, name: &str) -> Lab {
    Lab::with(name, &Setup { authority, ..Setup::default() })
}

/// How many clients have said something to the bridge.
fn sessions_heard(lab: &Lab) -> usize {
    let lines = lab.bridge.logged("read from client");
    lines.iter().map(|line| line["span"]["session.id"].to_string()).collect::<BTreeSet<_>>().len()
}
