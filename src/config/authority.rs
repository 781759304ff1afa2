//! Where an app asks for tokens: the provider's endpoints with the tenant filled in.

use url::Url;

use super::{
    mistake::quoted,
    provider::{Endpoints, Settings},
    reader::Table,
};
use crate::oauth::Authority;

/// Fills the tenant into the provider's endpoints. `tenant` is nothing where none is written, and
/// `Some(None)` where what is written has a mistake. With a `resource` the older token endpoint is
/// taken, where the provider has one.
#[expect(clippy::option_option, reason = "as said above")]
pub(super) fn fill(
    name: &str,
    table: &Table<'_>,
    settings: &Settings,
    tenant: Option<Option<String>>,
) -> Option<Authority> {
    let Endpoints { token, authorize, device, resource_token } = &settings.endpoints;
    let token = resource_token.as_ref().filter(|_| table.has("resource")).unwrap_or(token);
    let has_place = [Some(token), authorize.as_ref(), device.as_ref()]
        .into_iter()
        .flatten()
        .any(|template| template.contains("{tenant}"));
    let tenant = tenant_for(name, table, settings, has_place, tenant)?;
    let url = |key: &str, template: &str| {
        let url = Url::parse(&template.replace("{tenant}", &tenant));
        url.map_err(|error| {
            table.wrong(format!("with this tenant, {key} is no URL: {error}"), "correct the tenant");
        })
        .ok()
    };
    let other = |key: &str, template: &Option<String>| {
        template.as_ref().map_or(Some(None), |template| url(key, template).map(Some))
    };
    Some(Authority {
        token_url: url("token_url", token)?,
        authorize_url: other("authorize_url", authorize)?,
        device_url: other("device_url", device)?,
    })
}

/// The tenant to fill in; nothing to fill in is an empty one.
#[expect(clippy::option_option, reason = "as for fill")]
fn tenant_for(
    name: &str,
    table: &Table<'_>,
    settings: &Settings,
    has_place: bool,
    tenant: Option<Option<String>>,
) -> Option<String> {
    let provider = quoted(&settings.provider.name);
    match (has_place, tenant) {
        (true, None) => {
            if table.lacks("tenant") {
                let cause = format!("app {} has no tenant, which provider {provider} needs", quoted(name));
                table.missing(cause, "add tenant = \"…\", the tenant's domain or id");
            }
            None
        }
        (true, Some(tenant)) => tenant,
        (false, tenant) => {
            if let (Some(_), Some(item)) = (tenant, table.get("tenant")) {
                let cause =
                    format!("tenant has no effect: token_url of provider {provider} has no {{tenant}}");
                item.doubtful(cause, "take it out, or write {tenant} where it belongs in token_url");
            }
            Some(String::new())
        }
    }
}
