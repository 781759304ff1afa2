//! Our files.

use std::fmt::Write as _;

use super::{
    Asked,
    account::{Accounts, App, Credential},
    authority::Provider,
    server::Server,
};
use crate::{account::Grant, net::UpstreamTls, secret::Secret};

/// The texts of `footbridge.toml` and the mappings, and the files with secrets.
pub(super) fn all(
    servers: &[Server],
    accounts: &Accounts<'_>,
    asked: &Asked<'_>,
) -> (String, String, Vec<(String, Secret)>) {
    let mut config =
        "# Made by `footbridge import`. `footbridge check` says what is still missing.\n".to_owned();
    config.push_str("state_dir = \"state\" # the tokens, beside this file\nmappings = \"mappings.toml\"\n");
    for server in servers {
        listener(&mut config, server);
    }
    let providers = providers(&accounts.apps);
    for (name, provider) in &providers {
        if !provider.is_preset() {
            self::provider(&mut config, name, provider);
        }
    }
    let names = names(&accounts.apps);
    let mut secrets = Vec::new();
    for (name, app) in names.iter().zip(&accounts.apps) {
        let provider = providers.iter().find(|(_, provider)| **provider == app.provider);
        self::app(&mut config, name, provider.map_or("", |(name, _)| name), app, &mut secrets);
    }
    let mut mappings = "# Made by `footbridge import`.\n".to_owned();
    for account in &accounts.entries {
        let _ = writeln!(mappings, "\n[[account]]\nlogin = {}", quoted(&account.login));
        if !account.authority_checks {
            let _ = writeln!(mappings, "password = {}", quoted(&(asked.hash)(&account.login)));
        }
        let app = names.get(account.app).map_or("", String::as_str);
        let _ = writeln!(mappings, "app = {}\ngrant = {}", quoted(app), quoted(Grant::name(account.grant)));
    }
    (config, mappings, secrets)
}

fn listener(text: &mut String, server: &Server) {
    let (kind, bind) = (quoted(server.kind.name()), quoted(&server.bind));
    let _ = writeln!(text, "\n[[listener]]\nprotocol = {kind}\nbind = {bind}");
    match &server.tls {
        Some((certificate, key, by_command)) => {
            let tls = if *by_command { "starttls" } else { "implicit" };
            let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
            let _ = writeln!(
                text,
                "tls = \"{tls}\"\ncertificate = {}\nkey = {}",
                quoted(&certificate),
                quoted(&key)
            );
        }
        None if server.plaintext => text.push_str("allow_plaintext = true\n"),
        None => {}
    }
}

fn provider(text: &mut String, name: &str, provider: &Provider) {
    let _ = writeln!(text, "\n[provider.{name}]");
    if let Some(extends) = provider.extends {
        let _ = writeln!(text, "extends = {}", quoted(extends));
    }
    for (key, url) in &provider.urls {
        let _ = writeln!(text, "{key} = {}", quoted(url));
    }
    for (kind, endpoint) in &provider.endpoints {
        let tls = match endpoint.tls {
            UpstreamTls::Implicit => "implicit",
            UpstreamTls::StartTls => "starttls",
        };
        let (kind, host, port) = (kind.name(), quoted(&endpoint.host), endpoint.port);
        let _ = writeln!(text, "{kind} = {{ host = {host}, port = {port}, tls = \"{tls}\" }}");
    }
}

fn app(text: &mut String, name: &str, provider: &str, app: &App, secrets: &mut Vec<(String, Secret)>) {
    let _ = writeln!(text, "\n[app.{name}]\nprovider = {}", quoted(provider));
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    };
    if let Some(tenant) = &app.tenant {
        line("tenant", tenant);
    }
    line("client_id", &app.client_id);
    for (key, value) in [
        ("redirect_uri", &app.redirect_uri),
        ("redirect_listen", &app.redirect_listen),
        ("resource", &app.resource),
    ] {
        if let Some(value) = value {
            line(key, value);
        }
    }
    if !app.scopes.is_empty() {
        let scopes: Vec<_> = app.scopes.iter().map(|scope| quoted(scope)).collect();
        let _ = writeln!(text, "scopes = [{}]", scopes.join(", "));
    }
    credential(text, name, &app.credential, secrets);
}

fn credential(text: &mut String, name: &str, credential: &Credential, secrets: &mut Vec<(String, Secret)>) {
    match credential {
        Credential::None => {}
        Credential::LoginPassword => text.push_str("secret = \"login-password\"\n"),
        Credential::Secret(secret) => {
            let file = format!("{name}.secret");
            let _ = writeln!(text, "secret = {{ file = {} }}", quoted(&file));
            secrets.extend(secret.clone().map(|secret| (file, secret)));
        }
        Credential::Certificate(certificate, key) => {
            let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
            let _ = writeln!(text, "certificate = {}\nkey = {}", quoted(&certificate), quoted(&key));
        }
        Credential::KeyFile(path) => {
            let _ = writeln!(text, "service_account = {{ file = {} }}", quoted(&path.to_string_lossy()));
        }
        Credential::Key(key) => {
            let file = format!("{name}.json");
            let _ = writeln!(text, "service_account = {{ file = {} }}", quoted(&file));
            secrets.push((file, key.clone()));
        }
    }
}

/// A name for each provider: a preset's own, else one that no preset has.
fn providers(apps: &[App]) -> Vec<(String, &Provider)> {
    let mut named = Vec::<(String, &Provider)>::new();
    for app in apps {
        if named.iter().any(|(_, known)| **known == app.provider) {
            continue;
        }
        let stem = app.provider.stem.as_str();
        let name = if app.provider.is_preset() {
            stem.to_owned()
        } else {
            let stem = if app.provider.extends.is_some() { format!("my-{stem}") } else { stem.to_owned() };
            fresh(&stem, &|name| named.iter().any(|(known, _)| known == name))
        };
        named.push((name, &app.provider));
    }
    named
}

/// A name for each app: the tenant's, where it has one, else the provider's.
fn names(apps: &[App]) -> Vec<String> {
    let mut names = Vec::<String>::new();
    for app in apps {
        let tenant = app.tenant.as_deref().filter(|tenant| tenant.contains('.'));
        let stem = tenant.and_then(|tenant| tenant.split('.').next()).unwrap_or(&app.provider.stem);
        names.push(fresh(stem, &|name| names.iter().any(|known| known == name)));
    }
    names
}

/// A name of letters, digits and hyphens that is not taken.
fn fresh(stem: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let stem: String =
        stem.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let numbered = (2_u32..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(stem)
}

/// A string in TOML's notation.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
