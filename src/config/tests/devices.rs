//! What is said of devices that cannot log in, and of senders.

use super::*;
use crate::{account::SenderPattern, config::load::load_near};

/// What stands in the place of the password.
fn device(lines: &str) -> String {
    with(MAPPINGS, &format!("password = \"{HASH}\"\n"), &format!("{lines}\n"))
}

const SENDERS: &str = "senders = [\"*@Contoso.com\", \"scan@fabrikam.com\", \"<>\"]";

#[test]
fn a_device_needs_senders_and_no_password() {
    let mappings =
        device(&format!("no_password_from = [\"10.1.2.3\", \"fd00::/64\", \"10.1.3.0/24\"]\n{SENDERS}"));
    let loaded = loaded(MAIN, &mappings);
    assert_eq!(loaded.warnings(), []);
    let account = &loaded.accounts[0];
    let networks: Vec<_> = account.rules.no_password_from.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.1.2.3/32", "fd00::/64", "10.1.3.0/24"]);
    assert_eq!(account.rules.senders.len(), 3);
    assert_eq!(account.rules.senders[2], SenderPattern::Null);
    assert!(account.passwords.is_empty());
}

#[test]
fn what_devices_do_not_go_with_is_said_with_its_cure() {
    let cases: [(&str, &[&str]); 11] = [
        (
            "no_password_from = [\"10.1.2.3\"]",
            &[
                "mappings.toml:3:20: without senders a device could send as anybody whom the mailbox may send as",
            ],
        ),
        (
            "no_password_from = [\"10.0.0.0/23\"]\nsenders = [\"a@b\"]",
            &["mappings.toml:3:21: \"10.0.0.0/23\" is wider than /24 or /64: all in it could send mail"],
        ),
        (
            "no_password_from = [\"fd00::/63\"]\nsenders = [\"a@b\"]",
            &["mappings.toml:3:21: \"fd00::/63\" is wider than /24 or /64: all in it could send mail"],
        ),
        (
            "no_password_from = [\"printer\"]\nsenders = [\"a@b\"]",
            &["mappings.toml:3:21: \"printer\" is no network"],
        ),
        (
            "no_password_from = []\nsenders = [\"a@b\"]",
            &["mappings.toml:3:20: no_password_from is an empty list"],
        ),
        (
            "no_password_from = [\"10.1.2.3\"]\nsenders = []",
            &["mappings.toml:4:11: senders is an empty list"],
        ),
        (
            "no_password_from = [\"10.1.2.3\", \"10.1.2.0/28\"]\nsenders = [\"a@b\"]",
            &["mappings.toml:3:33: \"10.1.2.0/28\" stands for an account already, at mappings.toml:3"],
        ),
        (
            "no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]\nprotocols = [\"imap\"]",
            &["mappings.toml:3:20: no_password_from is for SMTP, and protocols has no \"smtp\""],
        ),
        (
            "no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]\nfrom_networks = [\"10.2.0.0/16\"]",
            &["mappings.toml:3:21: \"10.1.2.3\" is not in from_networks, so that nobody comes from there"],
        ),
        (
            "no_password_from = [\"10.1.2.3\"]\nsenders = [\"contoso.com\", \"a@*\"]",
            &["mappings.toml:4:12: \"contoso.com\" is no sender", "mappings.toml:4:27: \"a@*\" is no sender"],
        ),
        (
            "no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]\naccept_risk = 1",
            &["mappings.toml:5:15: accept_risk is an integer, not true or false"],
        ),
    ];
    for (lines, expected) in cases {
        let printed = printed(MAIN, &device(lines));
        assert_eq!(causes(&printed), expected, "{lines}");
        assert!(printed.contains("  cure: "), "{printed}");
    }
}

#[test]
fn a_risk_that_is_accepted_is_taken_and_one_that_is_not_there_is_doubted() {
    let wide = "no_password_from = [\"10.0.0.0/8\"]\nsenders = [\"a@b\"]\naccept_risk = true";
    assert_eq!(printed(MAIN, &device(wide)), "");
    let expected = [
        "mappings.toml:6:15: warning: accept_risk = true accepts nothing where there is no no_password_from",
    ];
    assert_eq!(causes(&printed(MAIN, &format!("{MAPPINGS}accept_risk = true\n"))), expected);
}

#[test]
fn an_address_stands_for_one_account() {
    let first = device("no_password_from = [\"10.1.2.0/24\"]\nsenders = [\"a@b\"]");
    let second = with(&first, "scanner@contoso.com", "other@contoso.com");
    let second = with(&second, "10.1.2.0/24", "10.1.2.3");
    let expected = ["mappings.toml:9:21: \"10.1.2.3\" stands for an account already, at mappings.toml:3"];
    assert_eq!(causes(&printed(MAIN, &format!("{first}{second}"))), expected);
}

#[test]
fn devices_stand_for_one_mailbox_whose_password_nobody_else_checks() {
    let lines = "no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]";
    let wildcard = with(&device(&format!("mailbox = \"a@contoso.com\"\n{lines}")), "scanner@", "*@");
    let expected = ["mappings.toml:4:20: a device has no login, and the account's is a wildcard"];
    assert_eq!(causes(&printed(MAIN, &wildcard)), expected);
    let expected = ["mappings.toml:3:20: the authority wants the password that devices do not have"];
    let ropc = with(&device(lines), "client_credentials", "password");
    let delegated = with(MAIN, "{ application = [\"mail\"] }", "{ delegated = [\"mail\"] }");
    assert_eq!(causes(&printed(&delegated, &ropc)), expected);
    let shown = with(MAIN, "{ env = \"CONTOSO_SECRET\" }", "\"login-password\"");
    assert_eq!(causes(&printed(&shown, &device(lines))), expected);
}

#[test]
fn devices_without_a_listener_are_doubted() {
    let main = with(MAIN, "protocol = \"smtp\"", "protocol = \"imap\"");
    let lines = "no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]";
    let expected = ["mappings.toml:3:20: warning: no [[listener]] speaks smtp"];
    assert_eq!(causes(&printed(&main, &device(lines))), expected);
}

#[test]
fn the_gateway_of_the_machine_is_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footbridge.toml");
    std::fs::write(&path, MAIN).unwrap();
    let gateways = ["172.17.0.1".parse().unwrap(), "fe80::1".parse().unwrap()];
    let said = |lines: &str| {
        std::fs::write(folder.path().join("mappings.toml"), device(&format!("senders = [\"a@b\"]\n{lines}")))
            .unwrap();
        load_near(&path, &environment, now(), &gateways).err().map(|mistakes| mistakes.to_string())
    };
    let printed = said("no_password_from = [\"172.17.0.0/24\"]").unwrap();
    assert!(printed.contains("mappings.toml:4:21: 172.17.0.1 is this machine's gateway"), "{printed}");
    assert!(said("no_password_from = [\"fe80::1\"]").is_some());
    assert_eq!(said("no_password_from = [\"172.17.0.2\"]"), None);
    assert_eq!(said("no_password_from = [\"172.17.0.1\"]\naccept_risk = true"), None);
}

#[test]
fn a_device_is_not_known_by_what_a_wide_network_of_load_balancers_says() {
    let said = |kind: &str, proxies: &str, more: &str| {
        let listener = format!("protocol = \"{kind}\"");
        let main = with(MAIN, &listener, &format!("{listener}\nproxy_protocol = [{proxies}]"));
        let lines = format!("no_password_from = [\"10.1.2.3\"]\nsenders = [\"a@b\"]\n{more}");
        printed(&main, &device(&lines))
    };
    let wide = said("smtp", "\"10.9.0.1\", \"10.0.0.0/8\"", "");
    let expected = "mappings.toml:3:21: all of 10.0.0.0/8 may say that they are \"10.1.2.3\"";
    assert!(causes(&wide).len() == 1 && wide.starts_with(expected), "{wide}");
    assert_eq!(said("smtp", "\"10.9.0.0/24\", \"::1\"", ""), "");
    assert_eq!(said("smtp", "\"127.0.0.0/8\"", ""), "", "all of it is this machine");
    assert_ne!(said("smtp", "\"127.0.0.0/7\"", ""), "");
    assert_eq!(said("smtp", "\"10.0.0.0/8\"", "accept_risk = true"), "");
    assert_eq!(said("imap", "\"10.0.0.0/8\"", ""), "", "nobody sends there");
}
