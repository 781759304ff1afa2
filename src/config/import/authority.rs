//! Which provider an account's URLs and servers mean.

use url::Url;

use super::{Notes, ini::Setting, server::Server};
use crate::{
    account::Grant,
    config::preset::{Host, PRESETS, Preset},
    ids::ProtocolKind,
    net::Endpoint,
};

/// A provider: a preset, or a table of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provider {
    /// What it is named after: a preset, or a domain.
    pub(super) stem: String,
    pub(super) extends: Option<&'static str>,
    /// Endpoints of the authority that no preset has, by key.
    pub(super) urls: Vec<(&'static str, String)>,
    /// Mail servers that no preset has.
    pub(super) endpoints: Vec<(ProtocolKind, Endpoint)>,
}

impl Provider {
    /// Whether the preset says it all.
    pub(super) fn is_preset(&self) -> bool {
        self.extends.is_some() && self.urls.is_empty() && self.endpoints.is_empty()
    }

    /// Whether mail of a protocol goes to this host.
    pub(super) fn leads_to(&self, kind: ProtocolKind, host: &str) -> bool {
        let own = self.endpoints.iter().find(|(own, _)| *own == kind).map(|(_, own)| own.clone());
        let of_preset = || PRESETS.iter().find(|preset| Some(preset.name) == self.extends);
        let endpoint = own.or_else(|| endpoint(of_preset()?, kind));
        endpoint.is_some_and(|endpoint| endpoint.host.eq_ignore_ascii_case(host))
    }
}

/// What an account's URLs mean.
pub(super) struct Found {
    pub(super) provider: Provider,
    pub(super) preset: Option<&'static Preset>,
    pub(super) tenant: Option<String>,
}

/// Domains of personal accounts at Microsoft, which sign in to one tenant.
const PERSONAL: [&str; 4] = ["outlook.com", "hotmail.com", "live.com", "msn.com"];

/// Hosts that once issued Google's tokens.
const GOOGLES: [&str; 2] = ["accounts.google.com", "www.googleapis.com"];

pub(super) fn find(
    (token, consent): (&Setting, Option<&Setting>),
    grant: Grant,
    domain: &str,
    servers: &[Server],
    notes: &mut Notes,
) -> Option<Found> {
    let Ok(token_url) = Url::parse(token.text()) else {
        notes.lost(token.line, "token_url", "it is no URL: the account is left out");
        return None;
    };
    let segment = token_url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
    let preset = preset(&token_url, segment, domain, servers);
    let Some(preset) = preset else {
        return Some(custom((token, &token_url, consent), grant, domain, servers, notes));
    };
    let tenant = preset.endpoints.token.contains("{tenant}").then(|| segment.to_owned());
    let filled = |url: &str| url.replace("{tenant}", tenant.as_deref().unwrap_or_default());
    let known = [Some(preset.endpoints.token), preset.endpoints.resource_token];
    let is_known = known.into_iter().flatten().any(|known| filled(known) == token.text());
    // Of what is yet to be written nothing can be said.
    if !is_known && !token.is_of_the_example() {
        let text = format!(
            "{} is asked now, as provider \"{}\" has it",
            filled(preset.endpoints.token),
            preset.name
        );
        notes.changed(token.line, "token_url", text);
    }
    let urls = consent.and_then(|consent| other_consent(consent, preset, grant, &filled, notes));
    let endpoints = ProtocolKind::ALL.into_iter().filter_map(|kind| other_endpoint(preset, kind, servers));
    let provider = Provider {
        stem: preset.name.to_owned(),
        extends: Some(preset.name),
        urls: urls.into_iter().collect(),
        endpoints: endpoints.collect(),
    };
    Some(Found { provider, preset: Some(preset), tenant })
}

/// The preset whose authority it is, and of several the one that has the most of the servers.
fn preset(token: &Url, segment: &str, domain: &str, servers: &[Server]) -> Option<&'static Preset> {
    let host = token.host_str()?;
    let host = if GOOGLES.contains(&host) { "oauth2.googleapis.com" } else { host };
    let same = PRESETS.iter().filter(|preset| host_of(preset.endpoints.token).as_deref() == Some(host));
    let personal = segment == "consumers" || segment == "common" && PERSONAL.contains(&domain);
    let same: Vec<_> = same
        .filter(|preset| {
            let has_tenants = preset.endpoints.token.contains("{tenant}");
            !preset.entra || has_tenants != personal
        })
        .collect();
    let fit = |preset: &&'static Preset| servers.iter().filter(|server| has(preset, server)).count();
    let best = same.iter().map(fit).max()?;
    same.into_iter().find(|preset| fit(preset) == best)
}

fn has(preset: &Preset, server: &Server) -> bool {
    let theirs = endpoint(preset, server.kind).map(|endpoint| endpoint.host);
    let ours = server.upstream.as_ref().map(|upstream| upstream.host.to_lowercase());
    ours.is_some() && theirs == ours
}

fn host_of(url: &str) -> Option<String> {
    Url::parse(&url.replace("{tenant}", "t")).ok()?.host_str().map(str::to_owned)
}

pub(super) fn endpoint(preset: &Preset, kind: ProtocolKind) -> Option<Endpoint> {
    let host = match kind {
        ProtocolKind::Imap => &preset.imap,
        ProtocolKind::Smtp => &preset.smtp,
        ProtocolKind::Pop3 => &preset.pop3,
    };
    host.as_ref().map(Host::endpoint)
}

/// The key of the URL where consent begins.
fn consent_key(grant: Grant) -> &'static str {
    if grant == Grant::DeviceCode { "device_url" } else { "authorize_url" }
}

/// Where consent begins, where that is no endpoint of the preset's authority.
fn other_consent(
    consent: &Setting,
    preset: &Preset,
    grant: Grant,
    filled: &dyn Fn(&str) -> String,
    notes: &mut Notes,
) -> Option<(&'static str, String)> {
    if !grant.needs_consent() {
        return None;
    }
    let own = if grant == Grant::DeviceCode { preset.endpoints.device } else { preset.endpoints.authorize };
    let own = own.filter(|own| host_of(own) == host_of(consent.text()));
    let Some(own) = own.map(filled) else {
        return Some((consent_key(grant), consent.text().to_owned()));
    };
    if own != consent.text() && !consent.is_of_the_example() {
        let text = format!("consent begins at {own} now, as provider \"{}\" has it", preset.name);
        notes.changed(consent.line, "permission_url", text);
    }
    None
}

/// The server of a protocol that belongs to a preset and is not the one that the preset has.
fn other_endpoint(
    preset: &Preset,
    kind: ProtocolKind,
    servers: &[Server],
) -> Option<(ProtocolKind, Endpoint)> {
    let known = endpoint(preset, kind);
    let of_kind = || {
        servers.iter().filter(move |server| server.kind == kind).filter_map(|server| server.upstream.as_ref())
    };
    if of_kind().any(|upstream| Some(upstream) == known.as_ref()) {
        return None;
    }
    let family: Vec<_> = PRESETS
        .iter()
        .filter(|other| host_of(other.endpoints.token) == host_of(preset.endpoints.token))
        .flat_map(|other| ProtocolKind::ALL.into_iter().filter_map(|kind| endpoint(other, kind)))
        .map(|endpoint| site(&endpoint.host))
        .collect();
    let mut kin = of_kind().filter(|upstream| family.contains(&site(&upstream.host)));
    let strangers: Vec<_> = of_kind().filter(|upstream| !is_of_a_preset(upstream)).collect();
    let only = || strangers.first().copied().filter(|_| strangers.len() == 1 && of_kind().count() == 1);
    kin.next().or_else(only).map(|upstream| (kind, upstream.clone()))
}

/// The last two labels of a name: `office365.com`.
fn site(host: &str) -> String {
    let host = host.to_lowercase();
    let labels: Vec<_> = host.split('.').collect();
    labels[labels.len().saturating_sub(2)..].join(".")
}

fn is_of_a_preset(upstream: &Endpoint) -> bool {
    let sites = PRESETS.iter().flat_map(|preset| ProtocolKind::ALL.map(|kind| endpoint(preset, kind)));
    sites.flatten().any(|known| site(&known.host) == site(&upstream.host))
}

/// A provider that no preset describes.
fn custom(
    (token, token_url, consent): (&Setting, &Url, Option<&Setting>),
    grant: Grant,
    domain: &str,
    servers: &[Server],
    notes: &mut Notes,
) -> Found {
    let host = token_url.host_str().unwrap_or_default();
    let mut urls = vec![("token_url", token.text().to_owned())];
    if let Some(consent) = consent.filter(|_| grant.needs_consent()) {
        urls.push((consent_key(grant), consent.text().to_owned()));
    }
    let mut endpoints = Vec::new();
    for kind in ProtocolKind::ALL {
        let of_kind: Vec<_> = servers
            .iter()
            .filter(|server| server.kind == kind)
            .filter_map(|server| server.upstream.as_ref())
            .collect();
        let own: Vec<_> = of_kind.iter().filter(|upstream| !is_of_a_preset(upstream)).collect();
        let near = own.iter().find(|upstream| [site(host), site(domain)].contains(&site(&upstream.host)));
        let Some(upstream) = near.or(own.first()) else { continue };
        if own.len() > 1 && near.is_none() {
            let text = format!(
                "which of its servers this account uses is not written: {} is taken for {kind}",
                upstream.host
            );
            notes.changed(token.line, "token_url", text);
        }
        endpoints.push((kind, (**upstream).clone()));
    }
    if endpoints.is_empty() {
        notes.lost(
            token.line,
            "token_url",
            "no server of the file goes with it: add imap, smtp or pop3 to its [provider.NAME]",
        );
    }
    Found {
        provider: Provider { stem: site(host), extends: None, urls, endpoints },
        preset: None,
        tenant: None,
    }
}
