//! The doctor, at servers that others wrote: every hop is well, and its test message arrives.

use serde_json::Value;

use crate::cli::Cli;
use crate::lab::{Lab, Setup};

/// What the doctor says of the lab's one account, which sends itself a message.
#[track_caller]
fn examined(lab: &Lab) -> Value {
    let arguments = ["doctor", "--json", "--send-to", &lab.mailbox];
    let report = Cli::run(lab.dir.path(), arguments).expect(0).json();
    assert_eq!(report["ok"], true, "{report:#}");
    report["accounts"][0].clone()
}

/// What was found at a hop that is well.
#[track_caller]
fn found<'a>(account: &'a Value, protocol: &str, hop: &str) -> &'a str {
    let hops = account["hops"].as_array().unwrap();
    let is_it = |known: &&Value| known["protocol"] == protocol && known["hop"] == hop;
    let known = hops.iter().find(is_it).unwrap_or_else(|| panic!("{account:#}"));
    assert_eq!(known["outcome"], "ok", "{known:#}");
    known["found"].as_str().unwrap()
}

#[test]
fn all_is_well_at_dovecot_and_postfix_and_the_test_message_arrives() {
    for (name, imap_tls, smtp_tls) in
        [("doctor", "implicit", "starttls"), ("doctor-starttls", "starttls", "implicit")]
    {
        let lab = Lab::with(name, &Setup { imap_tls, smtp_tls, ..Setup::default() });
        let account = examined(&lab);
        assert_eq!(found(&account, "imap", "mailbox"), "opens, 0 messages");
        assert!(found(&account, "imap", "tls").starts_with("TLSv1.3"), "{account:#}");
        assert_eq!(found(&account, "smtp", "login"), format!("XOAUTH2 as {}", lab.mailbox));
        assert!(found(&account, "smtp", "send").starts_with("accepted for "), "{account:#}");
        assert!(found(&account, "imap", "arrival").starts_with("in INBOX "), "{account:#}");
        let message = String::from_utf8(lab.servers.only_message(&lab.mailbox)).unwrap();
        assert!(message.contains("Subject: Footbridge test message fb"), "{message}");
        let count = lab.count().requests;
        assert_eq!(count, 1, "the bridge that runs gets the one token");
    }
}
