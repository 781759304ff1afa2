//! What is said of `footbridge.toml`.

use super::*;

#[test]
fn an_unknown_key_is_shown_with_the_nearest_one() {
    let expected = "\
footbridge.toml:17:1: unknown key \"tennant\" in [app.contoso]
   17 | tennant = \"contoso.onmicrosoft.com\"
      | ^^^^^^^
  cure: did you mean \"tenant\"?";
    assert_eq!(printed(&with(MAIN, "\ntenant", "\ntennant"), MAPPINGS), expected);
}

#[test]
fn a_missing_key_is_named_with_its_table_and_the_line_of_that() {
    let expected = "\
footbridge.toml:15:1: [app.contoso] has no client_id
   15 | [app.contoso]
      | ^^^^^^^^^^^^^
  cure: add client_id = \"…\", which the authority shows for the registration";
    let main = with(MAIN, "client_id = \"22222222-3333-4444-5555-666666666666\"\n", "");
    assert_eq!(printed(&main, MAPPINGS), expected);
}

#[test]
fn clear_text_off_loopback_is_refused_and_the_ways_out_are_named() {
    let expected = "\
footbridge.toml:6:8: passwords would cross the network in clear: \"0.0.0.0:1143\" is not loopback and tls is \"none\"
    6 | bind = \"0.0.0.0:1143\"
      |        ^^^^^^^^^^^^^^
  cure: write tls = \"starttls\" or \"implicit\", bind to 127.0.0.1 or [::1], or accept it with allow_plaintext = true";
    assert_eq!(printed(&with(MAIN, "127.0.0.1:1143", "0.0.0.0:1143"), MAPPINGS), expected);
    for bind in ["0.0.0.0:1143\"\nallow_plaintext = true #", "[::1]:1143", "localhost:1143", "127.1.2.3:1143"]
    {
        assert_eq!(printed(&with(MAIN, "127.0.0.1:1143", bind), MAPPINGS), "", "{bind}");
    }
    for bind in
        ["[::]:1143", "mail.example.com:1143", "10.0.0.1:1143\"\nallow_plaintext = false\ntls = \"none"]
    {
        let printed = printed(&with(MAIN, "127.0.0.1:1143", bind), MAPPINGS);
        assert!(printed.contains("would cross the network in clear"), "{bind}: {printed}");
    }
}

#[test]
fn every_mistake_of_both_files_is_reported_in_the_order_of_the_files() {
    let main = with(&with(MAIN, "1025", "1143"), "contoso.onmicrosoft.com", "a/b");
    let main = with(&main, "\"16KiB\"", "16");
    let mappings = with(&with(MAPPINGS, "grant", "grand"), "\"contoso\"", "\"contosso\"");
    let expected = [
        "footbridge.toml:10:8: the port is taken by the listener at footbridge.toml:6",
        "footbridge.toml:13:8: line is an integer, not a size",
        "footbridge.toml:17:10: \"a/b\" is no tenant",
        "mappings.toml:4:7: there is no app \"contosso\"",
        "mappings.toml:5:1: unknown key \"grand\" in [[account]]",
    ];
    assert_eq!(causes(&printed(&main, &mappings)), expected);
}

#[test]
fn a_key_in_the_wrong_place_is_sent_to_the_right_one() {
    footbridge_says(&[
        (
            "[limits]\n",
            "[limits]\nmappings = \"x\"\n",
            &["footbridge.toml:13:1: unknown key \"mappings\" in [limits]"],
        ),
        (
            "[[listener]]\nprotocol = \"imap\"",
            "[[account]]\n[[listener]]\nprotocol = \"imap\"",
            &["footbridge.toml:4:3: unknown key \"account\" in the top level of footbridge.toml"],
        ),
    ]);
    let printed = printed(&with(MAIN, "[limits]\n", "[limits]\nmappings = \"x\"\n"), MAPPINGS);
    assert!(printed.ends_with("cure: \"mappings\" belongs to the top level of footbridge.toml"), "{printed}");
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_the_right_one() {
    footbridge_says(&[
        ("\"imap\"", "5", &["footbridge.toml:5:12: protocol is an integer, not a string"]),
        ("\"127.0.0.1:1143\"", "1143", &["footbridge.toml:6:8: bind is an integer, not a string"]),
        (
            "\"127.0.0.1:1143\"",
            "\"127.0.0.1:1143\"\nallow_plaintext = \"yes\"",
            &["footbridge.toml:7:19: allow_plaintext is a string, not true or false"],
        ),
        ("\"16KiB\"", "true", &["footbridge.toml:13:8: line is true or false, not a size"]),
        (
            "line = \"16KiB\"",
            "idle_timeout = 60",
            &["footbridge.toml:13:16: idle_timeout is an integer, not a duration"],
        ),
        ("port = 10993", "port = \"10993\"", &["footbridge.toml:24:37: port is a string, not an integer"]),
        ("[\"mail\"]", "\"mail\"", &["footbridge.toml:23:26: application is a string, not a list"]),
        (
            "{ application = [\"mail\"] }",
            "[\"mail\"]",
            &["footbridge.toml:23:10: scopes is a list, not a table"],
        ),
        (
            "\"contoso.onmicrosoft.com\"",
            "1979-05-27",
            &["footbridge.toml:17:10: tenant is a date or time, not a string"],
        ),
        (
            "\"mappings.toml\"",
            "1.5",
            &["footbridge.toml:2:12: mappings is a number with a fraction, not a string"],
        ),
        ("{ env = \"CONTOSO_SECRET\" }", "5", &["footbridge.toml:19:10: secret is an integer, not a table"]),
    ]);
}

#[test]
fn a_table_with_the_wrong_brackets_is_refused() {
    let one = with(MAIN, "[[listener]]\nprotocol = \"smtp\"\nbind = \"127.0.0.1:1025\"\n", "");
    let cases = [
        (
            with(&one, "[[listener]]", "[listener]"),
            "footbridge.toml:4:1: listener is a table, and there may be several",
        ),
        (with(MAIN, "[limits]", "[[limits]]"), "footbridge.toml:12:1: limits is a list, not a table"),
        (
            with(MAIN, "[app.contoso]", "[app]"),
            "footbridge.toml:16:1: \"provider\" stands in [app], which needs a name",
        ),
        (
            with(MAIN, "state_dir = \"state\"", "listener = 5").replace("[[listener]]", "[x]"),
            "footbridge.toml:1:12: listener is an integer, and there may be several",
        ),
    ];
    for (main, expected) in cases {
        let printed = printed(&main, MAPPINGS);
        assert_eq!(causes(&printed)[0], expected, "{printed}");
    }
}

#[test]
fn a_bad_address_is_refused_with_what_is_bad_in_it() {
    let no_address =
        |host: &str, bind: &str| format!("footbridge.toml:6:8: \"{host}\" in \"{bind}\" is no address");
    let no_port =
        |port: &str, bind: &str| format!("footbridge.toml:6:8: \"{port}\" in \"{bind}\" is no port");
    for (bind, expected) in [
        ("1143", "footbridge.toml:6:8: \"1143\" has no port".to_owned()),
        (
            "::1:1143",
            "footbridge.toml:6:8: \"::1:1143\" is no address: an IPv6 address stands in brackets".to_owned(),
        ),
        (":1143", no_address("", ":1143")),
        ("127.0.0.256:1143", no_address("127.0.0.256", "127.0.0.256:1143")),
        ("[127.0.0.1]:1143", no_address("[127.0.0.1]", "[127.0.0.1]:1143")),
        ("a b:1143", no_address("a b", "a b:1143")),
        ("127.0.0.1:", no_port("", "127.0.0.1:")),
        ("127.0.0.1:65536", no_port("65536", "127.0.0.1:65536")),
        ("127.0.0.1:+1", no_port("+1", "127.0.0.1:+1")),
        ("127.0.0.1:imap", no_port("imap", "127.0.0.1:imap")),
    ] {
        footbridge_says(&[("127.0.0.1:1143", bind, &[&expected])]);
    }
}

#[test]
fn two_listeners_cannot_have_one_port_of_one_address() {
    let taken = "footbridge.toml:10:8: the port is taken by the listener at footbridge.toml:6";
    let listeners =
        |one: &str, other: &str| with(&with(MAIN, "127.0.0.1:1143", one), "127.0.0.1:1025", other);
    for (one, other, conflict) in [
        ("127.0.0.1:1143", "127.0.0.1:1143", true),
        ("127.0.0.1:1143", "localhost:1143", true),
        ("[::1]:1143", "[0:0::1]:1143", true),
        ("0.0.0.0:1143\"\nallow_plaintext=true #", "127.0.0.1:1143", true),
        ("127.0.0.1:1143", "0.0.0.0:1143\"\nallow_plaintext=true #", true),
        ("127.0.0.1:1143", "[::1]:1143", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
        ("127.0.0.1:1143", "127.0.0.2:1143", false),
    ] {
        let printed = printed(&listeners(one, other), MAPPINGS);
        let taken = if one.contains('\n') { taken.replace("10:8", "11:8") } else { taken.to_owned() };
        let expected: &[&str] = if conflict { &[&taken] } else { &[] };
        assert_eq!(causes(&printed), expected, "{one} {other}");
    }
}

#[test]
fn a_configuration_needs_a_listener_and_an_app() {
    let printed = printed("mappings = \"mappings.toml\"\n", MAPPINGS);
    let expected = [
        "footbridge.toml: there is no [[listener]], so nothing can connect",
        "footbridge.toml: there is no [app.NAME], so no token can be had",
        "mappings.toml:4:7: there is no app \"contoso\"",
    ];
    assert_eq!(causes(&printed), expected);
}

#[test]
fn a_limit_out_of_range_is_refused_with_the_range() {
    let limit = |written: &str| printed(&with(MAIN, "line = \"16KiB\"", written), MAPPINGS);
    for (written, cause, cure) in [
        (
            "line = \"1B\"",
            "footbridge.toml:13:8: \"1B\" is out of range for line",
            "between \"512B\" and \"1MiB\"",
        ),
        (
            "login_timeout = \"2h\"",
            "footbridge.toml:13:17: \"2h\" is out of range for login_timeout",
            "between \"100ms\" and \"1h\"",
        ),
        (
            "connect_timeout = \"21s\"",
            "footbridge.toml:13:19: \"21s\" is out of range for connect_timeout",
            "between \"100ms\" and \"20s\"",
        ),
        (
            "idle_timeout = \"99999999999999999h\"",
            "footbridge.toml:13:16: \"99999999999999999h\" is out of range for idle_timeout",
            "between \"100ms\" and \"168h\"",
        ),
        ("line = \"16\"", "footbridge.toml:13:8: \"16\" is no size", "write \"512B\", \"16KiB\" or \"1MiB\""),
        (
            "line = \"16KB\"",
            "footbridge.toml:13:8: \"16KB\" is no size",
            "write \"512B\", \"16KiB\" or \"1MiB\"",
        ),
        (
            "drain_grace = \"-5s\"",
            "footbridge.toml:13:15: \"-5s\" is no duration",
            "write \"30s\", \"5m\" or \"1h\"",
        ),
        (
            "drain_grace = \"\"",
            "footbridge.toml:13:15: \"\" is no duration",
            "write \"30s\", \"5m\" or \"1h\"",
        ),
    ] {
        let printed = limit(written);
        assert_eq!(causes(&printed), [cause]);
        assert!(printed.ends_with(&format!("cure: {cure}")), "{printed}");
    }
}

#[test]
fn a_token_url_is_an_https_url() {
    let at = "footbridge.toml:22:13: ";
    for (url, cause) in [
        ("login.example.com/token", "token_url is no URL: relative URL without a base"),
        ("https://", "token_url is no URL: empty host"),
        (
            "http://login.example.com/{tenant}",
            "token_url is not https: the app's secret would cross the network in clear",
        ),
        (
            "ftp://localhost/{tenant}",
            "token_url is not https: the app's secret would cross the network in clear",
        ),
        ("https://login.example.com/{tenant}#a", "token_url has a fragment"),
        ("https://u:p@login.example.com/{tenant}", "token_url has a user or a password in it"),
        ("https://login.example.com/{tenantt}", "token_url has a placeholder that is not {tenant}"),
    ] {
        footbridge_says(&[("https://login.example.com/{tenant}/token", url, &[&format!("{at}{cause}")])]);
    }
    for (key, url, cause) in [
        ("authorize_url", "https://", "authorize_url is no URL: empty host"),
        ("device_url", "mailto:a@example.com", "device_url is no URL of a host"),
        (
            "device_url",
            "http://example.com",
            "device_url is not https: what is asked there would cross the network in clear",
        ),
        ("authorize_url", "https://example.com/#a", "authorize_url has a fragment"),
    ] {
        let written = format!("[provider.lab]\n{key} = \"{url}\"\n");
        let column = key.len() + 4;
        footbridge_says(&[(
            "[provider.lab]\n",
            &written,
            &[&format!("footbridge.toml:22:{column}: {cause}")],
        )]);
    }
    for url in ["http://localhost:1/{tenant}", "http://127.0.0.1:1/{tenant}", "http://[::1]:1/{tenant}"] {
        footbridge_says(&[("https://login.example.com/{tenant}/token", url, &[])]);
    }
}

#[test]
fn an_app_needs_a_tenant_of_its_own_where_the_provider_has_one() {
    let tenant = "tenant = \"contoso.onmicrosoft.com\"\n";
    footbridge_says(&[
        (tenant, "", &["footbridge.toml:15:1: app \"contoso\" has no tenant, which provider \"lab\" needs"]),
        (
            "/{tenant}",
            "",
            &[
                "footbridge.toml:17:10: warning: tenant has no effect: token_url of provider \"lab\" has no {tenant}",
            ],
        ),
        (
            "contoso.onmicrosoft.com",
            "contoso/../evil",
            &["footbridge.toml:17:10: \"contoso/../evil\" is no tenant"],
        ),
        ("contoso.onmicrosoft.com", "..", &["footbridge.toml:17:10: \"..\" is no tenant"]),
        ("contoso.onmicrosoft.com", "a?b", &["footbridge.toml:17:10: \"a?b\" is no tenant"]),
        (
            "22222222-3333",
            "a&b=c",
            &["footbridge.toml:18:13: \"a&b=c-4444-5555-666666666666\" is no client id"],
        ),
        ("22222222-3333", "a b", &["footbridge.toml:18:13: \"a b-4444-5555-666666666666\" is no client id"]),
    ]);
    for tenant in ["common", "organizations", "Consumers"] {
        let main = with(&with(MAIN, "contoso.onmicrosoft.com", tenant), "\"lab\"", "\"microsoft365\"");
        let expected = format!(
            "footbridge.toml:17:10: \"{tenant}\" is no tenant that an app can log in to as itself (AADSTS50194, AADSTS9001023)"
        );
        let main = with(&main, "[\"mail\"]", "[\"https://mail.example.com/.default\"]");
        let two = format!("{MAPPINGS}{}", with(MAPPINGS, "scanner", "printer"));
        assert_eq!(causes(&printed(&main, &two)), [expected]);
    }
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let tenant = |value: &str| with(MAIN, "\"contoso.onmicrosoft.com\"", value);
    for (written, cause) in [
        ("\"${NOBODY}\"", "environment variable NOBODY is not set"),
        ("\"${EMPTY}\"", "environment variable EMPTY is not set"),
        ("\"x${NOBODY\"", "${ without the name of an environment variable and }"),
        ("\"${no body}\"", "${ without the name of an environment variable and }"),
    ] {
        let printed = printed(&tenant(written), MAPPINGS);
        assert_eq!(causes(&printed), [format!("footbridge.toml:17:10: {cause}")]);
    }
}

#[test]
fn an_unknown_provider_is_refused_with_the_nearest_one() {
    let cure = |name: &str| {
        let printed = printed(&with(MAIN, "provider = \"lab\"", &format!("provider = \"{name}\"")), MAPPINGS);
        assert_eq!(causes(&printed), [format!("footbridge.toml:16:12: there is no provider \"{name}\"")]);
        printed.lines().last().unwrap().to_owned()
    };
    assert_eq!(cure("microsoft36"), "  cure: did you mean \"microsoft365\"?");
    assert_eq!(cure("labs"), "  cure: did you mean \"lab\"?");
    assert_eq!(cure("posteo"), "  cure: write \"microsoft365\", or add [provider.posteo]");
}

#[test]
fn a_provider_is_checked_by_every_key() {
    footbridge_says(&[
        (
            "token_url = \"https://login.example.com/{tenant}/token\"\n",
            "",
            &["footbridge.toml:21:1: [provider.lab] has no token_url"],
        ),
        ("\"implicit\"", "\"none\"", &["footbridge.toml:24:50: tls cannot be \"none\""]),
        ("port = 10993", "port = 0", &["footbridge.toml:24:37: 0 is no port"]),
        ("port = 10993", "port = 65536", &["footbridge.toml:24:37: 65536 is no port"]),
        ("host = \"localhost\", port = 10993", "port = 10993", &["footbridge.toml:24:8: imap has no host"]),
        (
            "host = \"localhost\", port = 10993",
            "host = \"localhost:993\"",
            &["footbridge.toml:24:17: \"localhost:993\" is no host name"],
        ),
        ("[\"mail\"]", "[\"mail send\"]", &["footbridge.toml:23:27: \"mail send\" is no scope"]),
        ("[\"mail\"]", "[]", &["footbridge.toml:23:26: application is an empty list"]),
        (
            "[provider.lab]\n",
            "[provider.lab]\nsasl = \"plain\"\n",
            &["footbridge.toml:22:8: sasl cannot be \"plain\""],
        ),
        (
            "[provider.lab]\n",
            "[provider.lab]\nextends = \"lab\"\n",
            &["footbridge.toml:22:11: extends cannot be \"lab\""],
        ),
        (
            "[provider.lab]",
            "[provider.google]\n[provider.lab]",
            &[
                "footbridge.toml:21:1: \"google\" is the name of a preset",
                "footbridge.toml:21:1: provider \"google\" has none of imap, smtp and pop3",
                "footbridge.toml:21:1: [provider.google] has no token_url",
            ],
        ),
    ]);
}

#[test]
fn files_that_are_missing_are_named() {
    let printed = printed_prepared(&with(MAIN, "mappings.toml", "accounts.toml"), MAPPINGS, |_| ());
    assert_eq!(causes(&printed).len(), 1);
    let expected =
        "footbridge.toml:2:12: mappings file \"accounts.toml\": cannot read the file: No such file";
    assert!(printed.starts_with(expected), "{printed}");
    let main = with(MAIN, "mappings = \"mappings.toml\"\n", "");
    let printed = printed_prepared(&main, MAPPINGS, |folder| {
        std::fs::remove_file(folder.join("mappings.toml")).unwrap();
    });
    assert!(
        printed.starts_with("footbridge.toml: mappings file \"mappings.toml\": cannot read"),
        "{printed}"
    );
    let ca =
        |written: &str| with(MAIN, "[provider.lab]\n", &format!("[provider.lab]\nca_file = \"{written}\"\n"));
    let printed = super::printed(&ca("ca.pem"), MAPPINGS);
    assert!(printed.starts_with("footbridge.toml:22:11: cannot read ca.pem: No such file"), "{printed}");
    let printed = printed_prepared(&ca("ca.pem"), MAPPINGS, |folder| {
        std::fs::write(folder.join("ca.pem"), "hello").unwrap();
    });
    assert!(printed.starts_with("footbridge.toml:22:11: ca.pem holds no certificate"), "{printed}");
    let nowhere =
        load_with(Path::new("/nowhere/footbridge.toml"), &environment, now()).unwrap_err().to_string();
    assert!(nowhere.starts_with("/nowhere/footbridge.toml: cannot read the file: No such file"), "{nowhere}");
}

#[test]
fn an_app_without_a_name_is_one_mistake() {
    let printed = printed(&with(MAIN, "[app.contoso]", "[app]"), MAPPINGS);
    assert_eq!(
        causes(&printed),
        ["footbridge.toml:16:1: \"provider\" stands in [app], which needs a name"],
        "{printed}"
    );
}

#[test]
fn a_key_by_the_name_that_it_has_elsewhere_is_recognised() {
    let cure = |part: &str, other: &str, cause: &str| {
        let printed = printed(&with(MAIN, part, other), MAPPINGS);
        assert_eq!(causes(&printed), [cause], "{printed}");
        printed.lines().last().unwrap().to_owned()
    };
    let secret = "footbridge.toml:19:1: unknown key \"client_secret\" in [app.contoso]";
    assert_eq!(cure("\nsecret", "\nclient_secret", secret), "  cure: did you mean \"secret\"?");
    let tenant = "footbridge.toml:17:1: unknown key \"tenant_id\" in [app.contoso]";
    assert_eq!(cure("\ntenant", "\ntenant_id", tenant), "  cure: did you mean \"tenant\"?");
}

#[test]
fn a_client_id_that_is_no_guid_is_doubtful_at_entra_alone() {
    let named = with(MAIN, "22222222-3333-4444-5555-666666666666", "my-app");
    assert_eq!(causes(&printed(&named, MAPPINGS)), [""; 0]);
    let expected = "footbridge.toml:18:13: warning: \"my-app\" has not the form of a GUID, as the client ids of Entra have";
    let at_entra = with(&named, "\"lab\"", "\"microsoft365\"");
    assert_eq!(causes(&printed(&at_entra, MAPPINGS)), [expected]);
}

#[test]
fn a_tilde_is_no_home_folder() {
    footbridge_says(&[(
        "state_dir = \"state\"",
        "state_dir = \"~/state\"",
        &["footbridge.toml:1:13: ~ is a shell's word for a home folder, and no shell reads this"],
    )]);
}
