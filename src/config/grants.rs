//! Whether an account's grant and its app go together.

use std::sync::Arc;

use super::{
    app::{Apps, Entry},
    mistake::quoted,
    preset::no_tenants,
    provider::Settings,
    reader::{Item, Table},
};
use crate::{
    account::Grant,
    ids::ProtocolKind,
    oauth::{App, Credential},
};

/// What does not go together, and the way out.
pub(super) struct Complaint {
    place: Place,
    pub(super) cause: String,
    pub(super) cure: String,
}

/// Where a complaint is shown.
#[derive(PartialEq, Eq)]
enum Place {
    /// At the account's grant.
    Grant,
    /// At the app's tenant, where one is written.
    Tenant,
    /// At the app's scopes, where some are written.
    Scopes,
}

impl Complaint {
    fn new(place: Place, cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { place, cause: cause.into(), cure: cure.into() }
    }
}

/// Notes what of an account's grant and its app does not go together. What is the app's fault is
/// noted there, once for all its accounts.
pub(super) fn check(
    apps: &Apps<'_>,
    entry: &Entry<'_>,
    item: &Item<'_>,
    grant: Grant,
    protocols: &[ProtocolKind],
) {
    let (Some(app), Some(settings)) = (&entry.app, &entry.settings) else {
        return; // They have mistakes of their own.
    };
    if apps.are_to_be_registered() && app.credential == Credential::None {
        return; // What proves it is made with the registration.
    }
    let tenant = entry.tenant.as_ref().map(|(tenant, _)| tenant.as_str());
    let Some(complaint) = complaint(app, settings, tenant, grant, protocols) else {
        return;
    };
    let Complaint { place, cause, cure } = complaint;
    let elsewhere = match place {
        Place::Grant => None,
        Place::Tenant => entry.tenant.as_ref().map(|(_, item)| item),
        Place::Scopes => entry.scopes.as_ref(),
    };
    match elsewhere {
        Some(item) if apps.tell(&cause) => item.wrong(cause, cure),
        Some(_) => {}
        None => item.wrong(cause, cure),
    }
}

/// The first thing that does not go together.
pub(super) fn complaint(
    app: &App,
    settings: &Settings,
    tenant: Option<&str>,
    grant: Grant,
    protocols: &[ProtocolKind],
) -> Option<Complaint> {
    unknown_to_authority(settings, grant)
        .or_else(|| of_credential(app, grant))
        .or_else(|| of_tenant(settings, tenant, grant))
        .or_else(|| of_endpoints(app, settings, grant))
        .or_else(|| of_resource(app, grant))
        .or_else(|| of_scopes(app, settings, grant, protocols))
}

fn unknown_to_authority(settings: &Settings, grant: Grant) -> Option<Complaint> {
    if settings.grants.contains(&grant) {
        return None;
    }
    let cause = format!("provider {} has no {} for mail", quoted(&settings.provider.name), grant.name());
    let known: Vec<_> = settings.grants.iter().map(|grant| format!("grant = \"{}\"", grant.name())).collect();
    Some(Complaint::new(Place::Grant, cause, format!("write {}", known.join(" or "))))
}

fn of_credential(app: &App, grant: Grant) -> Option<Complaint> {
    let name = quoted(app.name.as_str());
    let complain = |cause: String, cure: String| Some(Complaint::new(Place::Grant, cause, cure));
    match (&app.credential, grant) {
        (Credential::ServiceAccount(_), Grant::ServiceAccount)
        | (Credential::LoginPassword, Grant::ClientCredentials) => None,
        (Credential::ServiceAccount(_), _) => complain(
            format!("app {name} has a service account, and {} has no use for one", grant.name()),
            "write grant = \"service_account\", or give the app a secret".to_owned(),
        ),
        (_, Grant::ServiceAccount) => complain(
            format!("app {name} has no service account"),
            "add service_account = { file = \"key.json\" } to it, in the place of secret".to_owned(),
        ),
        (Credential::None, Grant::ClientCredentials) => complain(
            format!("app {name} has nothing to prove itself with, as client_credentials asks for"),
            format!("add secret = {{ env = \"…\" }} or a certificate to [app.{}]", app.name),
        ),
        (Credential::LoginPassword, _) => complain(
            format!("app {name} has secret = \"login-password\", which is for client_credentials alone"),
            "write grant = \"client_credentials\", or keep the secret elsewhere: { env = \"…\" }".to_owned(),
        ),
        (
            Credential::None
            | Credential::Secrets(_)
            | Credential::Certificate(_)
            | Credential::FederatedToken(_),
            _,
        ) => None,
    }
}

fn of_tenant(settings: &Settings, tenant: Option<&str>, grant: Grant) -> Option<Complaint> {
    let written = tenant.filter(|_| settings.entra && settings.endpoints.token.contains("{tenant}"))?;
    if !no_tenants(grant).contains(&written.to_lowercase().as_str()) {
        return None;
    }
    let (who, code) = match grant {
        Grant::ClientCredentials | Grant::ServiceAccount | Grant::AuthorizationCode | Grant::DeviceCode => {
            ("an app can log in to as itself", "AADSTS50194, AADSTS9001023")
        }
        Grant::Password => ("a password can be shown to", "AADSTS9001023"),
    };
    Some(Complaint::new(
        Place::Tenant,
        format!("{} is no tenant that {who} ({code})", quoted(written)),
        "write the tenant's own domain or id, such as \"contoso.onmicrosoft.com\"",
    ))
}

fn of_endpoints(app: &App, settings: &Settings, grant: Grant) -> Option<Complaint> {
    let (url, key, instead) = match grant {
        Grant::AuthorizationCode => (&app.authority.authorize_url, "authorize_url", Grant::DeviceCode),
        Grant::DeviceCode => (&app.authority.device_url, "device_url", Grant::AuthorizationCode),
        Grant::ClientCredentials | Grant::Password | Grant::ServiceAccount => return None,
    };
    if url.is_some() {
        return None;
    }
    let provider = &settings.provider.name;
    let cause = format!("provider {} has no {key}, where {} begins", quoted(provider), grant.name());
    let cure = format!(
        "add {key} = \"https://…\" to [provider.{provider}], or write grant = \"{}\"",
        instead.name()
    );
    Some(Complaint::new(Place::Grant, cause, cure))
}

fn of_resource(app: &App, grant: Grant) -> Option<Complaint> {
    if app.resource.is_none() || grant == Grant::Password {
        return None;
    }
    let cause = format!(
        "app {} has a resource, which is for the password grant alone: its token endpoint is an older one",
        quoted(app.name.as_str())
    );
    Some(Complaint::new(Place::Grant, cause, "take resource out, or make an app of its own for this grant"))
}

fn of_scopes(app: &App, settings: &Settings, grant: Grant, protocols: &[ProtocolKind]) -> Option<Complaint> {
    let name = &app.name;
    if grant == Grant::ClientCredentials && settings.entra {
        // AADSTS1002012; none at all is 900144.
        let wrong = app.application_scopes.iter().find(|scope| !scope.ends_with("/.default"));
        let scope = wrong.map_or_else(|| "none".to_owned(), |scope| quoted(scope));
        let cause = format!(
            "client_credentials asks for what the app has permission for, by a scope that ends with /.default; \
             of app {} it is {scope} (AADSTS1002012)",
            quoted(name.as_str())
        );
        let cure = "take scopes out, or write [\"https://outlook.office365.com/.default\"]; others are for grants \
                    with a person's consent";
        return (wrong.is_some() || app.application_scopes.is_empty())
            .then(|| Complaint::new(Place::Scopes, cause, cure));
    }
    let lacks = |kind: &ProtocolKind| !app.delegated_scopes.contains_key(kind);
    if grant.needs_consent() && !protocols.is_empty() && protocols.iter().all(lacks) {
        let spoken = protocols.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let cause = format!("app {} has no delegated scopes for {spoken}", quoted(name.as_str()));
        let cure = format!(
            "add scopes = {{ delegated = [\"…\"] }} to its [provider.NAME], or scopes = [\"…\"] to [app.{name}]"
        );
        return Some(Complaint::new(Place::Grant, cause, cure));
    }
    None
}

/// Whether the authority is the one that checks the password: with the password grant, and where the
/// password that is shown is the app's own secret.
pub(super) fn authority_checks(grant: Grant, app: Option<&App>) -> bool {
    grant == Grant::Password || app.is_some_and(|app| app.credential == Credential::LoginPassword)
}

/// Shares the text where that is in small letters already.
fn in_small_letters(address: &Arc<str>) -> Arc<str> {
    let lower = address.to_lowercase();
    if lower == **address { Arc::clone(address) } else { lower.into() }
}

/// Who signs in, in small letters; nobody for the grants of the app itself.
pub(super) fn sign_in(
    table: &Table<'_>,
    written: Option<Box<[Arc<str>]>>,
    grant: Grant,
    mailbox: Option<&Arc<str>>,
) -> Option<Box<[Arc<str>]>> {
    let Some(written) = written else {
        let mailbox = mailbox.filter(|_| grant.is_delegated());
        return Some(mailbox.map(in_small_letters).into_iter().collect());
    };
    let item = table.get("sign_in")?;
    if !grant.is_delegated() {
        let cause = format!("nobody signs in with {}: the token is the app's own", grant.name());
        item.wrong(cause, "take sign_in out, or write grant = \"authorization_code\" or \"device_code\"");
        return None;
    }
    if mailbox.is_none() {
        let cause = "a wildcard stands for many, and sign_in for one";
        item.wrong(cause, "take sign_in out, or write mailbox = \"…\"");
        return None;
    }
    Some(written)
}
