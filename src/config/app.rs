//! `[app.NAME]`: app registrations.

use std::{collections::BTreeMap, sync::Arc};

use url::Url;

use super::{
    Provider,
    mistake::quoted,
    provider::{Providers, Settings, read_scopes},
    reader::{Item, Table},
    schema::{self, nearest},
    secret,
};
use crate::{
    ids::AppName,
    oauth::{App, Authority, Consent, Credential, Pkce, Redirect},
    secret::{Environment, Source},
};

/// Every app that was written, those with mistakes too: accounts that name them name something.
pub(super) struct Apps<'t> {
    entries: BTreeMap<&'t str, Entry>,
    /// Whether the file could be read as a whole, so that all apps are here.
    complete: bool,
}

/// What an account wants to know of its app.
pub(super) struct Entry {
    pub(super) name: AppName,
    /// Nothing where the app's table or its provider's has mistakes.
    pub(super) provider: Option<Arc<Provider>>,
    app: Option<App>,
}

impl<'t> Apps<'t> {
    /// Reads every `[app.NAME]`, of which there must be one.
    pub(super) fn read(top: &Table<'t>, providers: &Providers<'_>, environment: &Environment<'_>) -> Self {
        let tables = top.named("app", &schema::APP);
        let entries = tables
            .into_iter()
            .map(|(name, table)| (name, read(name, &table, providers, environment)))
            .collect();
        if top.lacks("app") {
            top.missing(
                "there is no [app.NAME], so no token can be had",
                "add [app.NAME] with provider, tenant, client_id and secret",
            );
        }
        Self { entries, complete: !top.file.is_broken() }
    }

    /// The app that an account names.
    pub(super) fn find(&self, item: &Item<'_>) -> Option<&Entry> {
        let name = item.string()?;
        let entry = self.entries.get(name);
        if entry.is_none() && self.complete {
            let cure = match nearest(name, self.entries.keys().copied()) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("add [app.{}] to footbridge.toml", name.escape_debug()),
            };
            item.wrong(format!("there is no app {}", quoted(name)), cure);
        }
        entry
    }

    /// The apps, and the upstreams of their accounts in the same order.
    pub(super) fn into_parts(self) -> (Vec<App>, Vec<(AppName, Arc<Provider>)>) {
        let whole = |entry: Entry| Some((entry.app?, (entry.name, entry.provider?)));
        self.entries.into_values().filter_map(whole).unzip()
    }
}

fn read(name: &str, table: &Table<'_>, providers: &Providers<'_>, environment: &Environment<'_>) -> Entry {
    let app_name = AppName::new(name);
    if !name.chars().all(|char| char.is_alphanumeric() || "-_.".contains(char)) || name.is_empty() {
        table.wrong(format!("{} is no name", quoted(name)), "use letters, digits, hyphens and underscores");
    }
    let settings =
        table.need("provider", "add provider = \"microsoft365\"").and_then(|item| providers.find(&item));
    let client_id =
        table.need("client_id", "add client_id = \"…\", which the authority shows for the registration");
    let client_id = client_id.and_then(|item| client_id_of(&item, environment));
    let secret = read_secret(name, table, environment);
    let scopes = table.get("scopes").map(|item| read_scopes(&item));
    let tenant = table.get("tenant").map(|item| tenant(&item, environment));
    let token_url = settings.as_ref().and_then(|settings| token_url(name, table, settings, tenant));
    let provider = settings.as_ref().map(|settings| Arc::clone(&settings.provider));
    let app = || {
        let settings = settings?;
        Some(App {
            name: app_name.clone(),
            client_id: client_id?,
            credential: Credential::Secrets(vec![secret?]),
            authority: Authority { token_url: token_url?, authorize_url: None, device_url: None },
            application_scopes: scopes.unwrap_or(Some(settings.application_scopes))?,
            delegated_scopes: BTreeMap::new(),
            consent: Consent {
                redirect: Redirect::AnyPort,
                pkce: Pkce::S256,
                identity_scopes: Vec::new(),
                parameters: Vec::new(),
            },
            resource: None,
            credential_expires: None,
            trust: Arc::clone(&settings.provider.trust),
        })
    };
    Entry { app: app(), provider, name: app_name }
}

/// Fills the tenant into the provider's token endpoint. `tenant` is nothing where none is written,
/// and `Some(None)` where what is written has a mistake.
#[expect(clippy::option_option, reason = "as said above")]
fn token_url(
    name: &str,
    table: &Table<'_>,
    settings: &Settings,
    tenant: Option<Option<String>>,
) -> Option<Url> {
    let template = &settings.token_url;
    let provider = quoted(&settings.provider.name);
    let filled = match (template.contains("{tenant}"), tenant) {
        (true, None) => {
            if table.lacks("tenant") {
                let cause = format!("app {} has no tenant, which provider {provider} needs", quoted(name));
                table.missing(cause, "add tenant = \"…\", the tenant's domain or id");
            }
            return None;
        }
        (true, Some(tenant)) => {
            let tenant = tenant?;
            if settings.no_tenants.contains(&tenant.to_lowercase().as_str())
                && let Some(item) = table.get("tenant")
            {
                item.wrong(
                    format!(
                        "{} is no tenant that an app can log in to as itself (AADSTS50194)",
                        quoted(&tenant)
                    ),
                    "write the tenant's own domain or id, such as \"contoso.onmicrosoft.com\"",
                );
                return None;
            }
            template.replace("{tenant}", &tenant)
        }
        (false, tenant) => {
            if let (Some(_), Some(item)) = (tenant, table.get("tenant")) {
                let cause =
                    format!("tenant has no effect: token_url of provider {provider} has no {{tenant}}");
                item.doubtful(cause, "take it out, or write {tenant} where it belongs in token_url");
            }
            template.clone()
        }
    };
    let url = Url::parse(&filled);
    url.map_err(|error| {
        table.wrong(format!("with this tenant, token_url is no URL: {error}"), "correct the tenant");
    })
    .ok()
}

fn tenant(item: &Item<'_>, environment: &Environment<'_>) -> Option<String> {
    let tenant = item.substituted(environment)?;
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if tenant.trim_matches('.').is_empty() || !tenant.bytes().all(may_stand) {
        item.wrong(
            format!("{} is no tenant", quoted(&tenant)),
            "write its domain (contoso.onmicrosoft.com) or its id (a GUID)",
        );
        return None;
    }
    Some(tenant)
}

fn client_id_of(item: &Item<'_>, environment: &Environment<'_>) -> Option<String> {
    let client_id = item.substituted(environment)?;
    // RFC 6749 §A.1 allows all of visible ASCII and the space; these would change a URL or a form.
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !b"?&=#%+\"'\\<>{}".contains(&byte);
    if client_id.is_empty() || !client_id.bytes().all(may_stand) {
        item.wrong(
            format!("{} is no client id", quoted(&client_id)),
            "copy it from the registration; Entra calls it application (client) ID",
        );
        return None;
    }
    Some(client_id)
}

/// What may stand in the place of a secret, none of which is built.
const INSTEAD: [&str; 3] = ["certificate", "federated_token_file", "service_account"];

fn read_secret(name: &str, table: &Table<'_>, environment: &Environment<'_>) -> Option<Source> {
    if INSTEAD.iter().any(|key| table.has(key)) && !table.has("secret") {
        return None;
    }
    let item = table.need(
        "secret",
        "add secret = { env = \"…\" }, { file = \"…\" }, { command = [\"…\"] } or { credential = \"…\" }",
    )?;
    if item.is_string() {
        if item.string() == Some("login-password") {
            let cause = "secret = \"login-password\" is not available in this version";
            item.wrong(cause, "write secret = { env = \"…\" } or { file = \"…\" }");
        } else {
            let cause = "the secret stands in the configuration itself";
            item.wrong(cause, "keep it elsewhere: secret = { env = \"…\" } or { file = \"…\" }");
        }
        return None;
    }
    if item.is_list() {
        let cause = "a list of secrets is not available in this version";
        item.wrong(cause, "write one: secret = { env = \"…\" } or { file = \"…\" }");
        return None;
    }
    let (source, value) = secret::read(&item, environment)?;
    if value.is_some_and(|value| value.has_form_of_guid()) {
        item.doubtful(
            format!("the secret of app {} has the form of a GUID, as its id has, not its value", quoted(name)),
            "copy the column Value in Entra > App registrations > Certificates & secrets; it is shown only once",
        );
    }
    Some(source)
}
