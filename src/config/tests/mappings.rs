//! What is said of the mappings file.

use super::*;

#[test]
fn a_login_that_is_there_twice_is_shown_with_both_places() {
    let expected = "\
mappings.toml:7:19: login \"SCANNER@contoso.com\" is there already, at mappings.toml:2
    7 | login = [\"other\", \"SCANNER@contoso.com\"]
      |                   ^^^^^^^^^^^^^^^^^^^^^
  cure: a login opens one account: take out one of the two";
    let second = with(MAPPINGS, "\"scanner@contoso.com\"", "[\"other\", \"SCANNER@contoso.com\"]");
    assert_eq!(printed(MAIN, &format!("{MAPPINGS}{second}")), expected);
    let twice = with(MAPPINGS, "\"scanner@contoso.com\"", "[\"a@contoso.com\", \"a@contoso.com\"]");
    let expected = "mappings.toml:2:27: login \"a@contoso.com\" is there already, at mappings.toml:2";
    assert_eq!(causes(&printed(MAIN, &twice)), [expected]);
}

#[test]
fn an_empty_mappings_file_is_a_mistake() {
    for mappings in ["", "# nobody\n", "account = []\n"] {
        let expected = "mappings.toml: there is no [[account]], so nobody can log in";
        assert_eq!(causes(&printed(MAIN, mappings)), [expected]);
    }
}

#[test]
fn an_account_with_nothing_in_it_lacks_four_keys() {
    let expected = [
        "mappings.toml:1:1: [[account]] has no login",
        "mappings.toml:1:1: [[account]] has no app",
        "mappings.toml:1:1: [[account]] has no grant",
        "mappings.toml:1:1: [[account]] has no password",
    ];
    assert_eq!(causes(&printed(MAIN, "[[account]]\n")), expected);
}

#[test]
fn an_account_that_lacks_a_key_is_named() {
    let expected = ["mappings.toml:1:1: [[account]] \"scanner@contoso.com\" has no grant"];
    assert_eq!(causes(&printed(MAIN, &with(MAPPINGS, "grant = \"client_credentials\"\n", ""))), expected);
}

#[test]
fn a_wildcard_must_not_open_every_mailbox() {
    let wildcard =
        |more: &str| with(MAPPINGS, "\"scanner@contoso.com\"", &format!("\"*@contoso.com\"\n{more}"));
    let guard = "mappings.toml:1:1: a wildcard login would open every mailbox that the app may open";
    let cases: [(&str, &[&str]); 7] = [
        ("", &[guard]),
        ("mailbox = \"a@contoso.com\"", &[]),
        ("mailboxes = [\"a@contoso.com\"]", &[]),
        ("mailboxes = []", &["mappings.toml:3:13: mailboxes is an empty list"]),
        ("mailboxes = [\"*@contoso.com\"]", &["mappings.toml:3:14: \"*@contoso.com\" is no mailbox"]),
        (
            "mailboxes = [\"a@contoso.com\", \"b@fabrikam.com\"]",
            &["mappings.toml:1:1: warning: no login of the account matches the mailbox \"b@fabrikam.com\""],
        ),
        (
            "mailbox = \"a@contoso.com\"\nmailboxes = [\"a@contoso.com\"]",
            &["mappings.toml:1:1: an account has either mailbox or mailboxes"],
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(causes(&printed(MAIN, &wildcard(more))), expected, "{more}");
    }
    let mixed = with(MAPPINGS, "\"scanner@contoso.com\"", "[\"scanner@contoso.com\", \"*@contoso.com\"]");
    assert_eq!(causes(&printed(MAIN, &mixed)), [guard]);
    mappings_say(&[
        (
            "\"scanner@contoso.com\"",
            "\"scanner@contoso.com\"\nmailboxes = [\"a@contoso.com\"]",
            &["mappings.toml:1:1: mailboxes is for accounts with a wildcard login"],
        ),
        (
            "\"scanner@contoso.com\"",
            "[\"scanner\", \"*@contoso.com\"]\nmailboxes = [\"a@contoso.com\"]",
            &["mappings.toml:1:1: login \"scanner\" opens none of the mailboxes"],
        ),
    ]);
}

#[test]
fn logins_and_mailboxes_have_a_form() {
    let login = |written: &str| format!("mappings.toml:2:9: \"{written}\" is no login");
    for written in ["", "*", "a*@contoso.com", "*@", "${WHO}@contoso.com"] {
        mappings_say(&[("scanner@contoso.com", written, &[&login(written)])]);
    }
    mappings_say(&[
        (
            "scanner@contoso.com",
            "scanner",
            &["mappings.toml:1:1: [[account]] has no mailbox, and its login is no address"],
        ),
        ("\"scanner@contoso.com\"", "[]", &["mappings.toml:2:9: login is an empty list"]),
        ("\"scanner@contoso.com\"", "5", &["mappings.toml:2:9: login is an integer, not a string"]),
        ("app =", "mailbox = \"a b\"\napp =", &["mappings.toml:4:11: \"a b\" is no mailbox"]),
        ("app =", "mailbox = \"a\\u0001b\"\napp =", &["mappings.toml:4:11: \"a\\u{1}b\" is no mailbox"]),
        (
            "app =",
            "mailbox = \"${NOBODY}\"\napp =",
            &["mappings.toml:4:11: environment variable NOBODY is not set"],
        ),
        ("app =", "smtp_user = \"\"\napp =", &["mappings.toml:4:13: \"\" is no mailbox"]),
    ]);
}

#[test]
fn an_unknown_app_is_refused_with_the_nearest_one() {
    let cure = |name: &str| {
        printed(MAIN, &with(MAPPINGS, "\"contoso\"", &format!("\"{name}\"")))
            .lines()
            .last()
            .unwrap()
            .to_owned()
    };
    assert_eq!(cure("contosso"), "  cure: did you mean \"contoso\"?");
    assert_eq!(cure("fabrikam"), "  cure: add [app.fabrikam] to footbridge.toml");
}

#[test]
fn an_app_with_mistakes_is_not_an_unknown_one() {
    let main = with(MAIN, "contoso.onmicrosoft.com", "?");
    assert_eq!(causes(&printed(&main, MAPPINGS)), ["footbridge.toml:17:10: \"?\" is no tenant"]);
}

#[test]
fn a_grant_that_nobody_knows_is_refused() {
    mappings_say(&[(
        "client_credentials",
        "client_credential",
        &["mappings.toml:5:9: grant cannot be \"client_credential\""],
    )]);
}

#[test]
fn protocols_that_cannot_be_used_are_shown() {
    let only_smtp = with(MAIN, "[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:1143\"\n\n", "");
    let without_imap = with(MAIN, "imap = { host = \"localhost\", port = 10993, tls = \"implicit\" }\n", "");
    let neither = with(&only_smtp, "smtp = { host = \"localhost\", port = 10587, tls = \"starttls\" }\n", "");
    let with_imap = format!("{MAPPINGS}protocols = [\"smtp\", \"imap\"]\n");
    let cases = [
        (&only_smtp, &with_imap, vec!["mappings.toml:6:22: warning: no [[listener]] speaks imap"]),
        (&without_imap, &with_imap, vec!["mappings.toml:6:22: provider \"lab\" has no imap"]),
        (&only_smtp, &MAPPINGS.to_owned(), vec![]),
        (
            &without_imap,
            &MAPPINGS.to_owned(),
            vec![
                "mappings.toml:4:7: warning: accounts of app \"contoso\" cannot use imap: provider \"lab\" has none",
            ],
        ),
        (
            &neither,
            &MAPPINGS.to_owned(),
            vec![
                "mappings.toml:4:7: provider \"lab\" has nothing for the protocols that are listened for: smtp",
            ],
        ),
    ];
    for (main, mappings, expected) in cases {
        assert_eq!(causes(&printed(main, mappings)), expected);
    }
    let two = format!("{MAPPINGS}{}", with(MAPPINGS, "scanner", "printer"));
    assert_eq!(causes(&printed(&without_imap, &two)).len(), 1);
    mappings_say(&[("app =", "protocols = []\napp =", &["mappings.toml:4:13: protocols is an empty list"])]);
}

#[test]
fn networks_have_a_form() {
    let at = "mappings.toml:4:18: ";
    for (network, cause) in [
        ("10.0.0.0/33", "\"10.0.0.0/33\" is no network"),
        ("10.0.0", "\"10.0.0\" is no network"),
        ("localhost", "\"localhost\" is no network"),
        ("10.1.2.3/8", "\"10.1.2.3/8\" names a host and a network at once"),
        (
            "::ffff:10.0.0.0/104",
            "\"::ffff:10.0.0.0/104\" never matches: such clients are known by their IPv4 address",
        ),
    ] {
        let networks = format!("from_networks = [\"{network}\"]\napp =");
        mappings_say(&[("app =", &networks, &[&format!("{at}{cause}")])]);
    }
    mappings_say(&[(
        "app =",
        "from_networks = []\napp =",
        &["mappings.toml:4:17: from_networks is an empty list"],
    )]);
}
