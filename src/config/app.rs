//! `[app.NAME]`: app registrations.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Provider, authority, console, credential,
    mistake::quoted,
    provider::{Providers, Settings},
    reader::{Item, Table},
    redirect,
    schema::{self, nearest},
    scopes,
};
use crate::{
    ids::AppName,
    oauth::{App, Consent, Pkce},
    secret::{Environment, Secret},
};

/// What a client id is where there is none yet.
pub const NO_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000000";

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Everything has to be there.
    Serving,
    /// What a registration brings may be missing: it is to be made.
    Registering,
}

/// Every app that was written, those with mistakes too: accounts that name them name something.
pub(super) struct Apps<'t> {
    entries: BTreeMap<&'t str, Entry<'t>>,
    /// Whether the file could be read as a whole, so that all apps are here.
    complete: bool,
    purpose: Purpose,
    /// What has been found in `footbridge.toml` on behalf of an account, so that it is said once.
    told: RefCell<HashSet<String>>,
}

/// What an account wants to know of its app.
pub(super) struct Entry<'t> {
    pub(super) name: AppName,
    /// Nothing where the provider's table has mistakes.
    pub(super) settings: Option<Settings>,
    /// Nothing where the app's table or its provider's has mistakes.
    pub(super) app: Option<App>,
    /// The tenant as it is meant, and where it is written.
    pub(super) tenant: Option<(String, Item<'t>)>,
    /// Where the scopes are written.
    pub(super) scopes: Option<Item<'t>>,
}

impl<'t> Apps<'t> {
    /// Reads every `[app.NAME]`, of which there must be one.
    pub(super) fn read(
        top: &Table<'t>,
        providers: &Providers<'_>,
        console: &console::Written<'_>,
        (purpose, environment, now): (Purpose, &Environment<'_>, SystemTime),
    ) -> Self {
        let tables = top.named("app", &schema::APP);
        let named = !top.has_nameless("app");
        let entries = tables
            .into_iter()
            .map(|(name, table)| (name, read(name, &table, providers, console, (purpose, environment, now))))
            .collect();
        if top.lacks("app") {
            top.missing(
                "there is no [app.NAME], so no token can be had",
                "add [app.NAME] with provider, tenant, client_id and secret",
            );
        }
        Self { entries, complete: named && !top.file.is_broken(), purpose, told: RefCell::default() }
    }

    /// The app that an account names.
    pub(super) fn find(&self, item: &Item<'_>) -> Option<&Entry<'t>> {
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

    /// Whether an app need not have what proves it yet.
    pub(super) fn are_to_be_registered(&self) -> bool {
        self.purpose == Purpose::Registering
    }

    /// Whether this is said for the first time.
    pub(super) fn tell(&self, cause: &str) -> bool {
        self.told.borrow_mut().insert(cause.to_owned())
    }

    /// The apps, and the upstreams of their accounts in the same order.
    pub(super) fn into_parts(self) -> (Vec<App>, Vec<(AppName, Arc<Provider>)>) {
        let whole = |entry: Entry<'_>| Some((entry.app?, (entry.name, entry.settings?.provider)));
        self.entries.into_values().filter_map(whole).unzip()
    }
}

fn read<'t>(
    name: &str,
    table: &Table<'t>,
    providers: &Providers<'_>,
    console: &console::Written<'_>,
    (purpose, environment, now): (Purpose, &Environment<'_>, SystemTime),
) -> Entry<'t> {
    let app_name = AppName::new(name);
    if !name.chars().all(|char| char.is_alphanumeric() || "-_.".contains(char)) || name.is_empty() {
        table.wrong(format!("{} is no name", quoted(name)), "use letters, digits, hyphens and underscores");
    }
    let settings =
        table.need("provider", "add provider = \"microsoft365\"").and_then(|item| providers.find(&item));
    let client_id = client_id(table, settings.as_ref(), purpose, environment);
    let credential = credential::read(name, table, purpose, environment, now);
    let scopes = table.get("scopes").map(|item| scopes::list(&item));
    let tenant = table.get("tenant").map(|item| tenant(&item, environment));
    let written_tenant = tenant.clone().flatten().zip(table.get("tenant"));
    let authority = settings.as_ref().and_then(|settings| authority::fill(name, table, settings, tenant));
    let redirect = redirect::read(table, console);
    let pkce = table.get("pkce").map_or(Some(Pkce::default()), |item| pkce(&item));
    let resource = table.get("resource").map_or(Some(None), |item| resource(&item).map(Some));
    let app = |settings: &Settings| {
        let (application_scopes, delegated_scopes) = match scopes {
            Some(scopes) => scopes.map(|scopes| (scopes.clone(), scopes::for_all(&scopes)))?,
            None => (settings.application_scopes.clone(), settings.delegated_scopes.clone()),
        };
        let (credential, credential_expires) = credential?;
        Some(App {
            name: app_name.clone(),
            client_id: client_id?,
            credential,
            authority: authority?,
            application_scopes,
            delegated_scopes,
            consent: Consent {
                redirect: redirect?,
                pkce: pkce?,
                identity_scopes: settings.identity_scopes.clone(),
                parameters: settings.parameters.clone(),
                page: console.page(),
            },
            resource: resource?,
            credential_expires,
            trust: Arc::clone(&settings.provider.trust),
            proxy: settings.provider.proxy.clone(),
        })
    };
    let app = settings.as_ref().and_then(app);
    Entry { app, settings, tenant: written_tenant, scopes: table.get("scopes"), name: app_name }
}

fn pkce(item: &Item<'_>) -> Option<Pkce> {
    Some(match item.word(&schema::PKCE, &[])? {
        "plain" => Pkce::Plain,
        "off" => Pkce::Off,
        _ => Pkce::S256,
    })
}

fn resource(item: &Item<'_>) -> Option<String> {
    let resource = item.string()?;
    if resource.is_empty() || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
        item.wrong(
            format!("{} is no resource", quoted(resource)),
            "write the address that the token is for: \"https://partner.outlook.cn\"",
        );
        return None;
    }
    Some(resource.to_owned())
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

fn client_id(
    table: &Table<'_>,
    settings: Option<&Settings>,
    purpose: Purpose,
    environment: &Environment<'_>,
) -> Option<String> {
    let cure = "add client_id = \"…\", which the authority shows for the registration";
    match purpose {
        Purpose::Serving => client_id_of(&table.need("client_id", cure)?, settings, environment),
        Purpose::Registering if table.lacks("client_id") => Some(NO_CLIENT_ID.to_owned()),
        Purpose::Registering => {
            let set = |name: &str| environment(name).filter(|value| !value.is_empty());
            client_id_of(&table.get("client_id")?, settings, &|name| {
                set(name).or_else(|| Some(NO_CLIENT_ID.into()))
            })
        }
    }
}

fn client_id_of(
    item: &Item<'_>,
    settings: Option<&Settings>,
    environment: &Environment<'_>,
) -> Option<String> {
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
    if settings.is_some_and(|settings| settings.entra) && !Secret::new(client_id.as_str()).has_form_of_guid()
    {
        item.doubtful(
            format!("{} has not the form of a GUID, as the client ids of Entra have", quoted(&client_id)),
            "copy Application (client) ID from Entra > App registrations > Overview",
        );
    }
    Some(client_id)
}
