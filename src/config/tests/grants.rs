//! Which grants go with which apps, and which accounts they make.

use super::*;
use crate::{
    account::{Account, Grant},
    config::{
        file::File,
        grants::complaint,
        provider::{Providers, Settings},
        reader::Table,
        schema,
    },
    ids::ProtocolKind,
    oauth::{App, Credential},
    secret::Source,
};

/// A provider that has all that every grant asks for.
fn lab() -> String {
    let main = with(
        MAIN,
        "[provider.lab]\n",
        "[provider.lab]\nauthorize_url = \"https://login.example.com/a\"\ndevice_url = \"https://login.example.com/d\"\n",
    );
    with(&main, "{ application = [\"mail\"] }", "{ application = [\"mail\"], delegated = [\"mail\"] }")
}

fn microsoft() -> String {
    with(MAIN, "provider = \"lab\"", "provider = \"microsoft365\"")
}

fn granted(grant: &str, more: &str) -> String {
    with(MAPPINGS, "grant = \"client_credentials\"", &format!("grant = \"{grant}\"\n{more}"))
}

fn account(main: &str, mappings: &str) -> Account {
    loaded(main, mappings).accounts[0].clone()
}

const PASSWORD: &str = "password = \"$argon2id$v=19$m=19456,t=2,p=1$UGU/26b4IfIiDDkxEcCe7g$2qN5PMfrxodvOUclF+vUWhNQcLai6SETDpAYm4MMZEA\"\n";

#[test]
fn every_grant_is_read() {
    for grant in [Grant::ClientCredentials, Grant::AuthorizationCode, Grant::DeviceCode, Grant::Password] {
        let account = account(&lab(), &granted(grant.name(), ""));
        assert_eq!(account.grant, grant);
        assert_eq!(account.authority_checks, grant == Grant::Password);
        let signs_in: &[&str] =
            if grant == Grant::ClientCredentials { &[] } else { &["scanner@contoso.com"] };
        assert_eq!(account.sign_in.join(" "), signs_in.join(" "));
        assert_eq!((account.smtp_user, account.passwords.len()), (None, 1));
    }
}

#[test]
fn who_signs_in_is_the_user_of_smtp_where_that_is_another_than_the_mailbox() {
    let signed = |more: &str| account(&lab(), &granted("authorization_code", more));
    let delegate = signed("sign_in = [\"Alice@Contoso.com\", \"alice@fabrikam.com\"]");
    assert_eq!(delegate.sign_in.join(" "), "alice@contoso.com alice@fabrikam.com");
    assert_eq!(delegate.smtp_user.as_deref(), Some("alice@contoso.com"));
    assert_eq!(delegate.mailbox.as_deref(), Some("scanner@contoso.com"));
    assert_eq!(signed("sign_in = \"Scanner@contoso.com\"").smtp_user, None);
    let own = signed("sign_in = \"alice@contoso.com\"\nsmtp_user = \"info@contoso.com\"");
    assert_eq!(own.smtp_user.as_deref(), Some("info@contoso.com"));
    let with_app = printed(&lab(), &granted("client_credentials", "sign_in = \"a@contoso.com\""));
    assert_eq!(
        causes(&with_app),
        ["mappings.toml:6:11: nobody signs in with client_credentials: the token is the app's own"]
    );
    let empty = printed(&lab(), &granted("device_code", "sign_in = []"));
    assert_eq!(causes(&empty), ["mappings.toml:6:11: sign_in is an empty list"]);
}

#[test]
fn a_password_is_needed_unless_the_authority_checks_it() {
    let without = |grant: &str| with(&granted(grant, ""), PASSWORD, "");
    for grant in ["client_credentials", "authorization_code", "device_code"] {
        let expected = "mappings.toml:1:1: [[account]] \"scanner@contoso.com\" has no password";
        assert_eq!(causes(&printed(&lab(), &without(grant))), [expected]);
    }
    assert_eq!(account(&lab(), &without("password")).passwords.len(), 0);
}

#[test]
fn a_wildcard_stands_for_many_only_where_each_has_a_password() {
    let wildcard = |grant: &str| with(&granted(grant, ""), "scanner@contoso.com", "*@contoso.com");
    for grant in ["authorization_code", "device_code"] {
        let expected = "mappings.toml:1:1: a wildcard login stands for many people, whose consents one password would open";
        assert_eq!(causes(&printed(&lab(), &wildcard(grant))), [expected]);
    }
    let account = account(&lab(), &wildcard("password"));
    assert_eq!(
        (account.mailbox.as_deref(), account.rules.mailboxes.len(), account.sign_in.len()),
        (None, 0, 0)
    );
    let one = with(&wildcard("password"), "grant =", "sign_in = \"a@contoso.com\"\ngrant =");
    assert_eq!(
        causes(&printed(&lab(), &one)),
        ["mappings.toml:5:11: a wildcard stands for many, and sign_in for one"]
    );
    let nameless = with(&wildcard("password"), "\"*@contoso.com\"", "[\"*@contoso.com\", \"scanner\"]");
    assert_eq!(
        causes(&printed(&lab(), &nameless)),
        ["mappings.toml:1:1: login \"scanner\" is no address, and the login is the mailbox"]
    );
}

#[test]
fn a_grant_that_the_authority_does_not_have_is_refused_with_those_that_it_has() {
    for (provider, grant, cure) in [
        ("outlook", "client_credentials", "grant = \"authorization_code\" or grant = \"device_code\""),
        ("outlook", "password", "grant = \"authorization_code\""),
        ("google", "device_code", "grant = \"authorization_code\" or grant = \"service_account\""),
        ("yahoo", "device_code", "grant = \"authorization_code\""),
        ("microsoft365", "service_account", "grant = \"client_credentials\""),
    ] {
        let main = with(MAIN, "provider = \"lab\"", &format!("provider = \"{provider}\""));
        let main = if provider == "microsoft365" {
            main
        } else {
            with(&main, "tenant = \"contoso.onmicrosoft.com\"\n", "")
        };
        let printed = printed(&main, &granted(grant, ""));
        assert_eq!(
            causes(&printed),
            [format!("mappings.toml:5:9: provider \"{provider}\" has no {grant} for mail")]
        );
        assert!(printed.contains(cure), "{printed}");
    }
}

#[test]
fn a_grant_needs_the_endpoint_where_it_begins_and_scopes() {
    for (main, grant, cause) in [
        (
            MAIN.to_owned(),
            "authorization_code",
            "provider \"lab\" has no authorize_url, where authorization_code begins",
        ),
        (MAIN.to_owned(), "device_code", "provider \"lab\" has no device_url, where device_code begins"),
        (
            with(&lab(), ", delegated = [\"mail\"]", ""),
            "authorization_code",
            "app \"contoso\" has no delegated scopes for imap or smtp",
        ),
    ] {
        assert_eq!(causes(&printed(&main, &granted(grant, ""))), [format!("mappings.toml:5:9: {cause}")]);
    }
    let for_imap = with(&lab(), "delegated = [\"mail\"]", "delegated = { imap = [\"mail\"] }");
    assert_eq!(causes(&printed(&for_imap, &granted("authorization_code", ""))), [""; 0]);
    let sends = printed(&for_imap, &granted("authorization_code", "protocols = [\"smtp\"]"));
    assert_eq!(causes(&sends), ["mappings.toml:5:9: app \"contoso\" has no delegated scopes for smtp"]);
    assert_eq!(causes(&printed(MAIN, &granted("password", ""))), [""; 0]);
}

#[test]
fn tenants_that_are_none_are_refused_by_grant() {
    for (tenant, grant, fine) in [
        ("common", "client_credentials", false),
        ("organizations", "client_credentials", false),
        ("common", "password", false),
        ("consumers", "password", false),
        ("organizations", "password", true),
        ("common", "authorization_code", true),
        ("consumers", "device_code", true),
    ] {
        let main = with(&microsoft(), "contoso.onmicrosoft.com", tenant);
        let printed = printed(&main, &granted(grant, ""));
        assert_eq!(printed.is_empty(), fine, "{tenant} {grant}: {printed}");
        assert!(
            fine || printed.starts_with("footbridge.toml:17:10: ") && printed.contains("is no tenant that")
        );
    }
}

#[test]
fn delegated_scopes_with_an_app_token_are_explained_where_they_stand() {
    let main =
        with(&microsoft(), "client_id =", "scopes = [\"https://outlook.office.com/SMTP.Send\"]\nclient_id =");
    let two = format!("{MAPPINGS}{}", with(MAPPINGS, "scanner", "printer"));
    let shown = printed(&main, &two);
    assert_eq!(causes(&shown).len(), 1, "{shown}");
    assert!(shown.starts_with("footbridge.toml:18:10: ") && shown.contains("AADSTS1002012"), "{shown}");
    assert_eq!(causes(&printed(&main, &granted("authorization_code", ""))), [""; 0]);
}

#[test]
fn a_resource_takes_the_older_endpoint_and_the_password_grant_alone() {
    let china = with(MAIN, "provider = \"lab\"", "provider = \"microsoft365-china\"");
    let china = with(&china, "client_id =", "resource = \"https://partner.outlook.cn\"\nclient_id =");
    let mappings = granted("password", "protocols = [\"imap\"]");
    let app = &loaded(&china, &mappings).config.apps[0];
    assert_eq!(app.resource.as_deref(), Some("https://partner.outlook.cn"));
    let token_url = "https://login.partner.microsoftonline.cn/contoso.onmicrosoft.com/oauth2/token";
    assert_eq!(app.authority.token_url.as_str(), token_url);
    let refused = printed(&china, &granted("client_credentials", "protocols = [\"imap\"]"));
    let expected = "mappings.toml:5:9: app \"contoso\" has a resource, which is for the password grant alone: its token endpoint is an older one";
    assert_eq!(causes(&refused), [expected]);
    let bad = with(&china, "https://partner.outlook.cn", "");
    assert_eq!(causes(&printed(&bad, &mappings)), ["footbridge.toml:18:12: \"\" is no resource"]);
}

#[test]
fn credentials_go_with_the_grants_that_use_them() {
    let app = loaded(&lab(), MAPPINGS).config.apps[0].clone();
    let settings = settings();
    let source = || Source::Env("CONTOSO_SECRET".to_owned());
    let credentials = [
        (Credential::None, [false, true, true, true, false]),
        (Credential::Secrets(vec![source()]), [true, true, true, true, false]),
        (Credential::FederatedToken("token".into()), [true, true, true, true, false]),
        (Credential::LoginPassword, [true, false, false, false, false]),
        (Credential::ServiceAccount(source()), [false, false, false, false, true]),
    ];
    for (credential, fine) in credentials {
        let app = App { credential, ..app.clone() };
        let found =
            Grant::ALL.map(|grant| complaint(&app, &settings, None, grant, &ProtocolKind::ALL).is_none());
        assert_eq!(found, fine, "{:?}", app.credential);
    }
}

/// Those of a provider that has every grant.
fn settings() -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footbridge.toml");
    std::fs::write(&path, "[app.x]\nprovider = \"microsoft365\"\n").unwrap();
    let file = File::read(&path).unwrap();
    let tree = file.parse();
    let top = Table::top(&file, &tree, &schema::TOP);
    let (_, table) = top.named("app", &schema::APP).remove(0);
    let settings = Providers::read(&top, &|_| None).find(&table.get("provider").unwrap()).unwrap();
    Settings { grants: &Grant::ALL, entra: false, ..settings }
}
