//! What the presets know, and what they ask for.

use super::*;
use crate::{
    account::Grant,
    config::preset::{self, PRESETS},
    ids::ProtocolKind,
    sasl::Mechanism,
};

/// An app of a preset.
fn main_of(provider: &str) -> String {
    with(MAIN, "provider = \"lab\"", &format!("provider = \"{provider}\""))
}

#[test]
fn every_preset_is_complete_by_what_its_grants_ask_for() {
    for preset in &PRESETS {
        let name = preset.name;
        let has = |grant| preset.grants.contains(&grant);
        let consent = has(Grant::AuthorizationCode) || has(Grant::DeviceCode);
        assert_eq!(has(Grant::AuthorizationCode), consent, "{name}");
        assert!(!has(Grant::AuthorizationCode) || preset.endpoints.authorize.is_some(), "{name}");
        assert!(!has(Grant::DeviceCode) || preset.endpoints.device.is_some(), "{name}");
        let app_only = has(Grant::ClientCredentials) || has(Grant::ServiceAccount);
        assert_eq!(app_only, !preset.application_scopes.is_empty(), "{name}");
        assert_eq!(consent, !preset.delegated_scopes.imap.is_empty(), "{name}");
        assert_eq!(consent, !preset.delegated_scopes.smtp.is_empty(), "{name}");
        assert_eq!(consent, !preset.delegated_scopes.pop3.is_empty(), "{name}");
        assert_eq!(preset.pop3.is_some(), preset.imap.is_some(), "{name}");
        assert!(preset.imap.is_some() || preset.smtp.is_some(), "{name}");
        let urls = [Some(preset.endpoints.token), preset.endpoints.authorize, preset.endpoints.device];
        for url in urls.into_iter().flatten() {
            let url = url::Url::parse(&url.replace("{tenant}", "t")).unwrap();
            assert_eq!(url.scheme(), "https", "{name}");
        }
    }
}

#[test]
fn microsoft_gives_each_cloud_its_own_authority_and_scopes() {
    for (name, host, resource, imap) in [
        ("microsoft365", "login.microsoftonline.com", "https://outlook.office.com", "outlook.office365.com"),
        (
            "microsoft365-gcc-high",
            "login.microsoftonline.us",
            "https://outlook.office365.us",
            "outlook.office365.us",
        ),
        (
            "microsoft365-dod",
            "login.microsoftonline.us",
            "https://outlook.office365.us",
            "outlook-dod.office365.us",
        ),
        (
            "microsoft365-china",
            "login.partner.microsoftonline.cn",
            "https://partner.outlook.cn",
            "partner.outlook.cn",
        ),
    ] {
        let config = loaded(&main_of(name), MAPPINGS).config;
        let app = &config.apps[0];
        let base = format!("https://{host}/contoso.onmicrosoft.com/oauth2/v2.0");
        assert_eq!(app.authority.token_url.as_str(), format!("{base}/token"));
        assert_eq!(app.authority.authorize_url.as_ref().unwrap().as_str(), format!("{base}/authorize"));
        assert_eq!(app.authority.device_url.as_ref().unwrap().as_str(), format!("{base}/devicecode"));
        assert_eq!(app.delegated_scopes[&ProtocolKind::Imap], [format!("{resource}/IMAP.AccessAsUser.All")]);
        assert_eq!(app.delegated_scopes[&ProtocolKind::Smtp], [format!("{resource}/SMTP.Send")]);
        assert_eq!(app.delegated_scopes[&ProtocolKind::Pop3], [format!("{resource}/POP.AccessAsUser.All")]);
        assert!(app.application_scopes[0].ends_with("/.default"));
        assert_eq!(app.consent.identity_scopes, ["openid", "profile", "offline_access"]);
        assert_eq!(app.consent.parameters, [("prompt".to_owned(), "select_account".to_owned())]);
        let provider = &config.upstreams[0].1;
        assert_eq!(provider.imap.as_ref().unwrap().host, imap);
        assert_eq!(provider.pop3.as_ref().unwrap().to_string(), format!("{imap}:995"));
    }
}

#[test]
fn google_is_asked_for_a_refresh_token_by_two_parameters_and_no_scope() {
    let main = with(&main_of("google"), "tenant = \"contoso.onmicrosoft.com\"\n", "");
    let mappings = with(MAPPINGS, "client_credentials", "authorization_code");
    let config = loaded(&main, &mappings).config;
    let app = &config.apps[0];
    let parameters: Vec<_> =
        app.consent.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(parameters, [("access_type", "offline"), ("prompt", "consent select_account")]);
    assert_eq!(app.consent.identity_scopes, ["openid", "email"]);
    assert_eq!(app.delegated_scopes[&ProtocolKind::Smtp], ["https://mail.google.com/"]);
}

#[test]
fn providers_without_tenants_need_none() {
    for (name, mechanism) in [
        ("outlook", Mechanism::Xoauth2),
        ("google", Mechanism::Xoauth2),
        ("yahoo", Mechanism::OauthBearer),
        ("aol", Mechanism::OauthBearer),
        ("fastmail", Mechanism::Xoauth2),
    ] {
        let main = with(&main_of(name), "tenant = \"contoso.onmicrosoft.com\"\n", "");
        let loaded = loaded(&main, &with(MAPPINGS, "client_credentials", "authorization_code"));
        assert_eq!(loaded.warnings(), [], "{name}");
        let provider = &loaded.config.upstreams[0].1;
        assert_eq!(provider.mechanism, mechanism, "{name}");
        assert!(ProtocolKind::ALL.iter().all(|kind| provider.endpoint(*kind).is_some()), "{name}");
        assert_eq!(preset::find(name).unwrap().entra, name == "outlook");
    }
}

#[test]
fn a_host_that_no_source_names_is_asked_for() {
    for (name, cure) in
        [("microsoft365-dod", "outlook-dod.office365.us"), ("microsoft365-china", "partner.outlook.cn")]
    {
        let main = main_of(name);
        let printed = printed(&main, MAPPINGS);
        let expected = format!(
            "mappings.toml:4:7: warning: accounts of app \"contoso\" cannot use smtp: provider \"{name}\" has none"
        );
        assert_eq!(causes(&printed), [expected]);
        assert!(printed.contains("extends it") && printed.contains(cure), "{printed}");
        let own = format!(
            "{}[provider.own]\nextends = \"{name}\"\nsmtp = {{ host = \"smtp.example.com\" }}\n",
            with(&main, &format!("\"{name}\""), "\"own\"")
        );
        assert_eq!(causes(&super::printed(&own, MAPPINGS)), [""; 0]);
        let asked = super::printed(&main, &format!("{MAPPINGS}protocols = [\"smtp\"]\n"));
        let expected = format!("mappings.toml:6:14: provider \"{name}\" has no smtp");
        assert_eq!(causes(&asked), [expected]);
    }
    let only_sends = printed(&main_of("microsoft365-hve"), &format!("{MAPPINGS}protocols = [\"imap\"]\n"));
    assert!(only_sends.contains("High Volume Email only sends"), "{only_sends}");
}

#[test]
fn every_preset_may_be_extended_and_its_name_not_taken() {
    for preset in &PRESETS {
        let name = preset.name;
        let lab = format!(
            "[provider.lab]\nextends = \"{name}\"\nimap = {{ host = \"a.example.com\" }}\nsmtp = {{ host = \"b.example.com\" }}\n"
        );
        let main = format!("{}{lab}", MAIN.split("[provider.lab]").next().unwrap());
        let mappings = with(MAPPINGS, "client_credentials", preset.grants[0].name());
        let printed = printed(&main, &mappings);
        assert!(
            causes(&printed).iter().all(|cause| cause.contains("tenant has no effect")),
            "{name}: {printed}"
        );
        let taken = super::printed(&with(&main, "[provider.lab]", &format!("[provider.{name}]")), MAPPINGS);
        assert!(taken.contains(&format!("\"{name}\" is the name of a preset")), "{taken}");
    }
}

#[test]
fn a_provider_with_a_token_url_of_its_own_has_no_other_endpoint_of_the_preset() {
    let main = with(MAIN, "[provider.lab]\n", "[provider.lab]\nextends = \"microsoft365\"\n");
    let config = loaded(&main, MAPPINGS).config;
    assert_eq!(config.apps[0].authority.authorize_url, None);
    let main = with(
        &main,
        "[provider.lab]\n",
        "[provider.lab]\nauthorize_url = \"https://login.example.com/{tenant}/a?b=c\"\n",
    );
    let config = loaded(&main, MAPPINGS).config;
    let url = config.apps[0].authority.authorize_url.clone().unwrap();
    assert_eq!(url.as_str(), "https://login.example.com/contoso.onmicrosoft.com/a?b=c");
}

#[test]
fn delegated_scopes_are_a_list_or_a_table_by_protocol() {
    let scopes = |written: &str| {
        with(
            MAIN,
            "{ application = [\"mail\"] }",
            &format!("{{ application = [\"mail\"], delegated = {written} }}"),
        )
    };
    let config = loaded(&scopes("[\"a\", \"b\"]"), MAPPINGS).config;
    for kind in ProtocolKind::ALL {
        assert_eq!(config.apps[0].delegated_scopes[&kind], ["a", "b"]);
    }
    let config = loaded(&scopes("{ imap = [\"a\"] }"), MAPPINGS).config;
    assert_eq!(config.apps[0].delegated_scopes.keys().collect::<Vec<_>>(), [&ProtocolKind::Imap]);
    let replaced = with(&scopes("[\"a\"]"), "client_id =", "scopes = [\"c\"]\nclient_id =");
    let app = &loaded(&replaced, MAPPINGS).config.apps[0];
    assert_eq!(
        (app.application_scopes.as_slice(), &app.delegated_scopes[&ProtocolKind::Smtp]),
        (["c".to_owned()].as_slice(), &vec!["c".to_owned()])
    );
    for (written, cause) in [
        ("\"a\"", "footbridge.toml:23:48: delegated is a string, not a list"),
        ("{ imap = [] }", "footbridge.toml:23:57: imap is an empty list"),
        ("{ smpt = [\"a\"] }", "footbridge.toml:23:50: unknown key \"smpt\" in delegated"),
    ] {
        assert_eq!(causes(&printed(&scopes(written), MAPPINGS)), [cause]);
    }
}
