//! What correct files mean.

use std::time::Duration;

use super::*;
use crate::{
    account::LoginPattern,
    dialogue::Capabilities,
    ids::ProtocolKind,
    net::{Endpoint, UpstreamTls},
    oauth::Credential,
    sasl::Mechanism,
    secret::Source,
};

fn endpoint(host: &str, port: u16, tls: UpstreamTls) -> Endpoint {
    Endpoint { host: host.to_owned(), port, tls }
}

#[test]
fn a_correct_configuration_has_no_mistakes_and_means_what_it_says() {
    let loaded = loaded(MAIN, MAPPINGS);
    assert_eq!(loaded.warnings(), []);
    let config = &loaded.config;
    assert!(config.state_dir.ends_with("state") && config.state_dir.is_absolute());
    let listeners: Vec<_> = config.listeners.iter().map(|one| (one.protocol, one.bind.as_str())).collect();
    assert_eq!(listeners, [(ProtocolKind::Imap, "127.0.0.1:1143"), (ProtocolKind::Smtp, "127.0.0.1:1025")]);
    let app = &config.apps[0];
    assert_eq!(app.authority.token_url.as_str(), "https://login.example.com/contoso.onmicrosoft.com/token");
    assert_eq!(app.credential, Credential::Secrets(vec![Source::Env("CONTOSO_SECRET".to_owned())]));
    assert_eq!(app.application_scopes, ["mail"]);
    let (name, provider) = &config.upstreams[0];
    assert_eq!((name.as_str(), provider.name.as_str()), ("contoso", "lab"));
    assert_eq!(provider.imap, Some(endpoint("localhost", 10993, UpstreamTls::Implicit)));
    assert_eq!(provider.smtp, Some(endpoint("localhost", 10587, UpstreamTls::StartTls)));
    let account = &loaded.accounts[0];
    assert_eq!(*account.logins, [LoginPattern::parse("scanner@contoso.com").unwrap()]);
    assert_eq!(account.mailbox.as_deref(), Some("scanner@contoso.com"));
    assert_eq!(account.passwords[0].to_string(), HASH);
    assert_eq!(provider.smtp_capabilities, Capabilities::default());
}

#[test]
fn the_preset_is_exchange_online() {
    let main = with(MAIN, "provider = \"lab\"", "provider = \"microsoft365\"");
    let config = loaded(&main, MAPPINGS).config;
    let provider = &config.upstreams[0].1;
    assert_eq!(provider.imap, Some(endpoint("outlook.office365.com", 993, UpstreamTls::Implicit)));
    assert_eq!(provider.smtp, Some(endpoint("smtp.office365.com", 587, UpstreamTls::StartTls)));
    assert_eq!(provider.mechanism, Mechanism::Xoauth2);
    assert!(provider.smtp_capabilities.0.contains(&"SIZE 157286400".to_owned()));
    let app = &config.apps[0];
    let token_url = "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token";
    assert_eq!(app.authority.token_url.as_str(), token_url);
    assert_eq!(app.application_scopes, ["https://outlook.office365.com/.default"]);
}

#[test]
fn a_third_protocol_is_listened_for_dialled_and_allowed_like_the_others() {
    let main = with(MAIN, "protocol = \"smtp\"", "protocol = \"pop3\"");
    for (written, port, tls) in [
        ("", 995, UpstreamTls::Implicit),
        (", tls = \"starttls\"", 110, UpstreamTls::StartTls),
        (", port = 1995", 1995, UpstreamTls::Implicit),
    ] {
        let main = format!("{main}pop3 = {{ host = \"pop.example.com\"{written} }}\n");
        let loaded = loaded(&main, &format!("{MAPPINGS}protocols = [\"pop3\", \"imap\"]\n"));
        assert_eq!(loaded.config.listeners[1].protocol, ProtocolKind::Pop3);
        assert_eq!(loaded.config.upstreams[0].1.pop3, Some(endpoint("pop.example.com", port, tls)));
        assert_eq!(loaded.accounts[0].rules.protocols, [ProtocolKind::Pop3, ProtocolKind::Imap]);
    }
    let scopes = "{ application = [\"mail\"], delegated = { pop3 = [\"pop\"] } }";
    let config = loaded(&with(MAIN, "{ application = [\"mail\"] }", scopes), MAPPINGS).config;
    assert_eq!(config.apps[0].delegated_scopes, [(ProtocolKind::Pop3, vec!["pop".to_owned()])].into());
}

#[test]
fn a_provider_extends_a_preset_by_what_it_says() {
    let lab = "extends = \"microsoft365\"\nimap = { port = 10993 }\nsmtp = { host = \"relay\", tls = \"implicit\" }\nsasl = \"oauthbearer\"\n";
    let main = format!("{}[provider.lab]\n{lab}", MAIN.split("[provider.lab]").next().unwrap());
    let config = loaded(&main, MAPPINGS).config;
    let provider = &config.upstreams[0].1;
    assert_eq!(provider.imap, Some(endpoint("outlook.office365.com", 10993, UpstreamTls::Implicit)));
    assert_eq!(provider.smtp, Some(endpoint("relay", 465, UpstreamTls::Implicit)));
    assert_eq!(provider.pop3, Some(endpoint("outlook.office365.com", 995, UpstreamTls::Implicit)));
    assert_eq!(provider.mechanism, Mechanism::OauthBearer);
    assert_eq!(config.apps[0].authority.token_url.host_str(), Some("login.microsoftonline.com"));
}

#[test]
fn a_submission_host_of_its_own_has_nothing_of_what_the_preset_is_known_to_have() {
    for (smtp, known) in [
        ("", true),
        ("smtp = { port = 2587 }\n", true),
        ("smtp = { host = \"smtp.office365.com\" }\n", true),
        ("smtp = { host = \"relay\" }\n", false),
    ] {
        let start = MAIN.split("[provider.lab]").next().unwrap();
        let main = format!("{start}[provider.lab]\nextends = \"microsoft365\"\n{smtp}");
        let config = loaded(&main, MAPPINGS).config;
        assert_eq!(config.upstreams[0].1.smtp_capabilities != Capabilities::default(), known, "{smtp}");
    }
}

#[test]
fn apps_of_one_provider_share_it_and_their_trust() {
    let other = "[app.other]\nprovider = \"microsoft365\"\ntenant = \"t\"\nclient_id = \"x\"\nsecret = { env = \"CONTOSO_SECRET\" }\n";
    let main = format!("{MAIN}{other}{}", with(other, "app.other", "app.third"));
    let config = loaded(&main, MAPPINGS).config;
    let names: Vec<_> = config.upstreams.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, config.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>());
    assert_eq!(names, ["contoso", "other", "third"]);
    assert!(std::sync::Arc::ptr_eq(&config.upstreams[1].1, &config.upstreams[2].1));
    assert!(std::sync::Arc::ptr_eq(&config.apps[0].trust, &config.apps[1].trust));
}

#[test]
fn variables_are_substituted_in_tenant_client_id_and_mailbox() {
    let main = with(MAIN, "\"contoso.onmicrosoft.com\"", "\"${TENANT}\"");
    let main = with(&main, "\"22222222-3333", "\"${WHO}-${WHO}-3333");
    let mappings = format!("{MAPPINGS}mailbox = \"${{WHO}}@fabrikam.com\"\n");
    let loaded = loaded(&main, &mappings);
    let app = &loaded.config.apps[0];
    assert_eq!(app.authority.token_url.path(), "/fabrikam.onmicrosoft.com/token");
    assert_eq!(app.client_id, "scanner-scanner-3333-4444-5555-666666666666");
    assert_eq!(loaded.accounts[0].mailbox.as_deref(), Some("scanner@fabrikam.com"));
}

#[test]
fn limits_are_read_with_their_units() {
    let limits = "login_timeout = \"1500ms\"\nidle_timeout = \"1h\"\nconnect_timeout = \"5 s\"\ndrain_grace = \"0s\"\n\
                  line = \"600B\"\nliteral = \"1 KiB\"\nbefore_login_bytes = \"2MiB\"\n";
    let config = loaded(&with(MAIN, "line = \"16KiB\"\n", limits), MAPPINGS).config;
    assert_eq!(config.timing.login_timeout, Duration::from_millis(1500));
    assert_eq!(config.timing.idle_timeout, Duration::from_hours(1));
    assert_eq!(config.timing.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.timing.drain_grace, Duration::ZERO);
    let limits = (config.limits.line, config.limits.literal, config.limits.before_login_bytes);
    assert_eq!(limits, (600, 1024, 2 * 1024 * 1024));
}

#[test]
fn the_mailbox_is_the_first_login_that_is_an_address() {
    for (login, expected) in [
        ("[\"scanner\", \"Scanner@Contoso.com\", \"b@contoso.com\"]", Some("Scanner@Contoso.com")),
        ("\"*@contoso.com\"\nmailbox = \"info@contoso.com\"", Some("info@contoso.com")),
        ("\"*@contoso.com\"\nmailboxes = [\"Info@contoso.com\"]", None),
    ] {
        let loaded = loaded(MAIN, &with(MAPPINGS, "\"scanner@contoso.com\"", login));
        assert_eq!(loaded.accounts[0].mailbox.as_deref(), expected);
        let mailboxes: &[&str] = if expected.is_none() { &["info@contoso.com"] } else { &[] };
        assert_eq!(loaded.accounts[0].rules.mailboxes.join(" "), mailboxes.join(" "));
    }
}

#[test]
fn an_account_is_limited_by_protocol_and_network() {
    let mappings = format!(
        "{MAPPINGS}protocols = [\"smtp\"]\nfrom_networks = [\"10.0.0.0/8\", \"192.0.2.7\", \"fd00::/8\"]\nsmtp_user = \"alice@contoso.com\"\n"
    );
    let account = &loaded(MAIN, &mappings).accounts[0];
    assert_eq!(account.rules.protocols, [ProtocolKind::Smtp]);
    let networks: Vec<_> = account.rules.from_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]);
    assert_eq!(account.smtp_user.as_deref(), Some("alice@contoso.com"));
}

#[test]
fn the_state_folder_is_the_one_of_systemd_unless_one_is_written() {
    let main = with(MAIN, "state_dir = \"state\"\n", "");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footbridge.toml");
    std::fs::write(&path, &main).unwrap();
    std::fs::write(folder.path().join("mappings.toml"), MAPPINGS).unwrap();
    let given = |name: &str| match name {
        "STATE_DIRECTORY" => Some("/run/one:/run/two".into()),
        other => environment(other),
    };
    assert_eq!(load_with(&path, &given, now()).unwrap().config.state_dir, Path::new("/run/one"));
    assert!(load_with(&path, &environment, now()).unwrap().config.state_dir.ends_with("footbridge"));
}

#[test]
fn a_large_file_is_read_as_a_small_one_is() {
    let numbered = |number: usize| with(MAPPINGS, "scanner@", &format!("scanner{number}@"));
    let mappings = format!("# many\n{}", (0..1500).map(numbered).collect::<String>());
    let loaded = loaded(MAIN, &mappings);
    assert_eq!(loaded.account_count(), 1500);
    assert_eq!(loaded.accounts[1499].name(), "scanner1499@contoso.com");
    let twice =
        with(&mappings, "scanner1499@", "Scanner7@").replace("\"contoso\"", "\"contoso\"\ncolour = 1");
    let printed = printed(MAIN, &twice);
    let causes = causes(&printed);
    assert_eq!(causes.len(), 1501);
    assert_eq!(
        causes[1499],
        "mappings.toml:8997:9: login \"Scanner7@contoso.com\" is there already, at mappings.toml:45"
    );
    assert_eq!(causes[1500], "mappings.toml:9000:1: unknown key \"colour\" in [[account]]");
}

#[test]
fn a_large_file_with_a_syntax_error_is_read_as_a_whole() {
    let numbered = |number: usize| with(MAPPINGS, "scanner@", &format!("scanner{number}@"));
    let many = (0..1500).map(numbered).collect::<String>();
    let within_string = with(&many, "\"scanner1400@contoso.com\"", "\"\"\"\\\n[[account]]\"\"\"");
    let printed = printed(MAIN, &within_string);
    assert_eq!(
        causes(&printed),
        ["mappings.toml:7001:1: [[account]] has no mailbox, and its login is no address"]
    );
    let broken = with(&many, "scanner1400@contoso.com\"", "scanner1400@contoso.com");
    assert_eq!(causes(&super::printed(MAIN, &broken)).len(), 1);
}
