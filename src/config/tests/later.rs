//! What is not built is refused by its name.

use super::*;

/// Every key of the configuration that has a meaning and no effect yet, and a line that says it.
const KEYS: [(&str, &[&str]); 5] = [
    (
        "[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:2143\"\n",
        &[
            "certificate = \"a.pem\"",
            "key = \"a.key\"",
            "require_tls = true",
            "provider = \"lab\"",
            "proxy_protocol = [\"10.0.0.0/8\"]",
            "report_at = \"mail\"",
        ],
    ),
    (
        "",
        &[
            "max_connections = 5",
            "max_connections_per_client = 5",
            "max_connections_per_account = 5",
            "auth_failures = 5",
            "auth_failure_window = \"5m\"",
            "send_wait = \"30s\"",
        ],
    ),
    (
        "[app.other]\nprovider = \"lab\"\ntenant = \"t\"\nclient_id = \"x\"\nsecret = { env = \"CONTOSO_SECRET\" }\n",
        &[
            "certificate = \"app.pem\"",
            "key = \"app.key\"",
            "assertion_alg = \"PS256\"",
            "federated_token_file = \"token\"",
            "service_account = { file = \"key.json\" }",
            "secret_expires = 2027-04-05",
            "redirect_uri = \"http://localhost:3017/\"",
            "redirect_listen = \"0.0.0.0:3017\"",
            "pkce = \"S256\"",
            "resource = \"x\"",
        ],
    ),
    (
        "[provider.other]\nextends = \"microsoft365\"\n",
        &[
            "authorize_url = \"https://example.com\"",
            "device_url = \"https://example.com\"",
            "pop3 = { host = \"localhost\", port = 10995, tls = \"implicit\" }",
            "outbound_proxy = \"socks5://localhost\"",
            "scopes = { delegated = [\"mail\"] }",
        ],
    ),
    (
        "",
        &[
            "[tls]\ncertificate = \"a.pem\"",
            "[tls]\nkey_type = \"rsa-2048\"",
            "[console]\nbind = \"127.0.0.1:8025\"",
            "[console]\npublic_url = \"http://localhost:8025\"",
            "[console]\npassword = { file = \"x\" }",
            "[store]\nkind = \"embedded\"",
            "[store]\nurl = { env = \"URL\" }",
            "[store]\nkey = { file = \"x\" }",
            "[notify]\ncommand = [\"x\"]",
            "[notify]\nwebhook = \"https://example.com\"",
            "[notify]\nmail_to = \"a@example.com\"",
        ],
    ),
];

fn key(line: &str) -> &str {
    let last = line.lines().last().unwrap();
    let (key, value) = last.split_once(" = ").unwrap();
    if value.starts_with("{ delegated") { "delegated" } else { key }
}

#[test]
fn every_key_that_has_no_effect_yet_is_refused_by_name() {
    for (number, (table, lines)) in KEYS.iter().enumerate() {
        for line in *lines {
            let written = format!("{table}{line}\n");
            let main = if number == 1 {
                with(MAIN, "line = \"16KiB\"\n", &written)
            } else {
                format!("{MAIN}{written}")
            };
            let printed = printed(&main, MAPPINGS);
            let refusals: Vec<_> = causes(&printed)
                .into_iter()
                .filter(|cause| cause.contains("not available in this version"))
                .collect();
            let last = refusals.last().unwrap_or_else(|| panic!("{line} is not refused:\n{printed}"));
            assert!(last.contains(&format!("\"{}\"", key(line))), "{last}");
            assert!(!printed.contains("unknown"), "{printed}");
        }
    }
}

#[test]
fn every_account_key_that_has_no_effect_yet_is_refused_by_name() {
    for line in [
        "sign_in = \"alice@contoso.com\"",
        "no_password_from = [\"10.1.2.3\"]",
        "senders = [\"*@contoso.com\"]",
        "max_sends = 3",
        "accept_risk = true",
    ] {
        let printed = printed(MAIN, &format!("{MAPPINGS}{line}\n"));
        let expected =
            format!("mappings.toml:6:1: \"{}\" in [[account]] is not available in this version", key(line));
        assert_eq!(causes(&printed), [expected]);
    }
}

#[test]
fn every_value_that_has_no_effect_yet_is_refused_by_name() {
    footbridge_says(&[
        (
            "protocol = \"imap\"",
            "protocol = \"pop3\"",
            &["footbridge.toml:5:12: protocol = \"pop3\" is not available in this version"],
        ),
        (
            "bind = \"127.0.0.1:1143\"",
            "bind = \"127.0.0.1:1143\"\ntls = \"starttls\"",
            &["footbridge.toml:7:7: tls = \"starttls\" is not available in this version"],
        ),
        (
            "bind = \"127.0.0.1:1143\"",
            "bind = \"0.0.0.0:1143\"\ntls = \"implicit\"",
            &["footbridge.toml:7:7: tls = \"implicit\" is not available in this version"],
        ),
        (
            "{ env = \"CONTOSO_SECRET\" }",
            "\"login-password\"",
            &["footbridge.toml:19:10: secret = \"login-password\" is not available in this version"],
        ),
        (
            "{ env = \"CONTOSO_SECRET\" }",
            "[{ env = \"CONTOSO_SECRET\" }, { env = \"X\" }]",
            &["footbridge.toml:19:10: a list of secrets is not available in this version"],
        ),
        (
            "secret = { env = \"CONTOSO_SECRET\" }",
            "certificate = \"app.pem\"",
            &["footbridge.toml:19:1: \"certificate\" in [app.contoso] is not available in this version"],
        ),
    ]);
    for provider in [
        "microsoft365-gcc-high",
        "microsoft365-dod",
        "microsoft365-china",
        "microsoft365-hve",
        "outlook",
        "google",
        "yahoo",
        "aol",
        "fastmail",
    ] {
        let refused = format!("\"{provider}\" is not available in this version");
        let used = format!("footbridge.toml:16:12: provider {refused}");
        footbridge_says(&[("\"lab\"", &format!("\"{provider}\""), &[&used])]);
        let extended = format!("footbridge.toml:22:11: extends = {refused}");
        footbridge_says(&[(
            "[provider.lab]\n",
            &format!("[provider.lab]\nextends = \"{provider}\"\n"),
            &[&extended],
        )]);
    }
    for grant in ["authorization_code", "device_code", "password", "service_account"] {
        let refused = format!("mappings.toml:5:9: grant = \"{grant}\" is not available in this version");
        mappings_say(&[("client_credentials", grant, &[&refused])]);
    }
    let refused = "mappings.toml:6:14: protocols = \"pop3\" is not available in this version";
    mappings_say(&[(
        "\"client_credentials\"\n",
        "\"client_credentials\"\nprotocols = [\"pop3\"]\n",
        &[refused],
    )]);
}
