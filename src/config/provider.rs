//! `[provider.NAME]` and the presets: where mailboxes are and who issues tokens for them.

use std::{cell::RefCell, collections::HashMap, path::PathBuf, sync::Arc};

use rustls::pki_types::ServerName;

use super::{
    Provider,
    mistake::quoted,
    preset::{self, Host, OPENID, PRESETS, Preset},
    proxy,
    reader::{Item, Table},
    schema::{self, nearest},
    scopes::{self, ByProtocol, owned},
    urls,
};
use crate::{
    account::Grant,
    dialogue::Capabilities,
    ids::ProtocolKind,
    net::{
        Endpoint, UpstreamTls,
        tls::{Trust, TrustError},
    },
    sasl::Mechanism,
    secret::Environment,
};

/// A provider with what its apps need to know beside the upstreams.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) provider: Arc<Provider>,
    /// Where the authority is asked.
    pub(super) endpoints: Endpoints,
    /// The grants that the authority has.
    pub(super) grants: &'static [Grant],
    /// Whether the authority is Microsoft Entra, whose rules are known.
    pub(super) entra: bool,
    pub(super) application_scopes: Vec<String>,
    pub(super) delegated_scopes: ByProtocol,
    /// See [`crate::oauth::Consent::identity_scopes`].
    pub(super) identity_scopes: Vec<String>,
    /// See [`crate::oauth::Consent::parameters`].
    pub(super) parameters: Vec<(String, String)>,
    /// What to do about a host that the preset does not have; nothing where there is no preset.
    pub(super) without_host: Option<&'static str>,
}

/// The authority's endpoints, `{tenant}` unfilled.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) token: String,
    pub(super) authorize: Option<String>,
    pub(super) device: Option<String>,
    /// The token endpoint that takes a `resource`, where it is another one.
    pub(super) resource_token: Option<String>,
}

impl Endpoints {
    fn of_preset(preset: &Preset) -> Self {
        let owned = |url: Option<&str>| url.map(str::to_owned);
        let preset::Endpoints { token, authorize, device, resource_token } = preset.endpoints;
        Self {
            token: token.to_owned(),
            authorize: owned(authorize),
            device: owned(device),
            resource_token: owned(resource_token),
        }
    }

    /// Reads those of a `[provider.NAME]`. Who writes a `token_url` means another authority: nothing of
    /// the preset's goes on with it.
    fn read(table: &Table<'_>, base: Option<&Preset>) -> Option<Self> {
        let inherited = base.filter(|_| table.lacks("token_url")).map(Self::of_preset);
        let read = |key: &'static str, inherited: Option<String>| {
            table.get(key).map_or(Some(inherited), |item| urls::endpoint(&item).map(Some))
        };
        let other = |url: fn(&Self) -> &Option<String>| inherited.as_ref().and_then(|all| url(all).clone());
        let authorize = read("authorize_url", other(|all| &all.authorize));
        let device = read("device_url", other(|all| &all.device));
        let token = match &inherited {
            Some(inherited) => Some(inherited.token.clone()),
            None => table
                .need("token_url", "add token_url = \"https://…\", the authority's token endpoint")
                .and_then(|item| urls::endpoint(&item)),
        };
        let resource_token = other(|all| &all.resource_token);
        Some(Self { token: token?, authorize: authorize?, device: device?, resource_token })
    }
}

/// Every provider that an app may name.
pub(super) struct Providers<'t> {
    /// `None` where its table has mistakes.
    written: HashMap<&'t str, Option<Settings>>,
    presets: RefCell<HashMap<&'static str, Settings>>,
    trusts: Trusts,
}

/// Trust anchors, each set read once.
#[derive(Default)]
struct Trusts(RefCell<HashMap<Option<PathBuf>, Arc<Trust>>>);

impl Trusts {
    fn with(&self, ca_file: Option<PathBuf>) -> Result<Arc<Trust>, TrustError> {
        if let Some(trust) = self.0.borrow().get(&ca_file) {
            return Ok(Arc::clone(trust));
        }
        let trust = Arc::new(Trust::new(ca_file.clone())?);
        self.0.borrow_mut().insert(ca_file, Arc::clone(&trust));
        Ok(trust)
    }
}

impl<'t> Providers<'t> {
    /// Reads every `[provider.NAME]`.
    pub(super) fn read(top: &Table<'t>, environment: &Environment<'_>) -> Self {
        let trusts = Trusts::default();
        let tables = top.named("provider", &schema::PROVIDER).into_iter();
        let written = tables.map(|(name, table)| (name, read(name, &table, &trusts, environment))).collect();
        Self { written, presets: RefCell::default(), trusts }
    }

    /// The provider that an app names, unless its own table has mistakes.
    pub(super) fn find(&self, item: &Item<'_>) -> Option<Settings> {
        let name = item.string()?;
        if let Some(preset) = preset::find(name) {
            return self.preset(preset, item);
        }
        if let Some(written) = self.written.get(name) {
            return written.clone();
        }
        if !item.file.is_broken() {
            let known = PRESETS.iter().map(|preset| preset.name).chain(self.written.keys().copied());
            let cure = match nearest(name, known) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("write \"microsoft365\", or add [provider.{}]", name.escape_debug()),
            };
            item.wrong(format!("there is no provider {}", quoted(name)), cure);
        }
        None
    }

    fn preset(&self, preset: &'static Preset, item: &Item<'_>) -> Option<Settings> {
        if let Some(settings) = self.presets.borrow().get(preset.name) {
            return Some(settings.clone());
        }
        let trust = self.trusts.with(None).map_err(|error| {
            item.wrong(error.to_string(), "install the system's CA certificates (package ca-certificates)");
        });
        let provider = Provider {
            name: preset.name.to_owned(),
            imap: host_of(preset.imap.as_ref()),
            smtp: host_of(preset.smtp.as_ref()),
            pop3: host_of(preset.pop3.as_ref()),
            smtp_capabilities: Capabilities(owned(preset.smtp_capabilities)),
            mechanism: preset.mechanism,
            trust: trust.ok()?,
            proxy: None,
        };
        let settings = Settings {
            provider: Arc::new(provider),
            endpoints: Endpoints::of_preset(preset),
            grants: preset.grants,
            entra: preset.entra,
            application_scopes: owned(preset.application_scopes),
            delegated_scopes: scopes::of_preset(preset),
            identity_scopes: owned(preset.identity_scopes),
            parameters: parameters(preset),
            without_host: Some(preset.without_host),
        };
        self.presets.borrow_mut().insert(preset.name, settings.clone());
        Some(settings)
    }
}

fn parameters(preset: &Preset) -> Vec<(String, String)> {
    preset.parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(name: &str, table: &Table<'_>, trusts: &Trusts, environment: &Environment<'_>) -> Option<Settings> {
    if preset::find(name).is_some() {
        table.wrong(
            format!("{} is the name of a preset", quoted(name)),
            format!("take another name and write extends = \"{name}\" in it"),
        );
    }
    let base = match table.get("extends") {
        Some(item) => Some(extended(&item)?),
        None => None,
    };
    let imap = endpoint(table, ProtocolKind::Imap, base.and_then(|base| host_of(base.imap.as_ref())));
    let smtp = endpoint(table, ProtocolKind::Smtp, base.and_then(|base| host_of(base.smtp.as_ref())));
    let pop3 = endpoint(table, ProtocolKind::Pop3, base.and_then(|base| host_of(base.pop3.as_ref())));
    if base.is_none() && ProtocolKind::ALL.iter().all(|kind| table.lacks(kind.name())) {
        table.missing(
            format!("provider {} has none of imap, smtp and pop3", quoted(name)),
            "add imap = { host = \"…\" }, or smtp or pop3",
        );
    }
    let endpoints = Endpoints::read(table, base);
    let scopes = scopes::of_provider(table, base);
    let mechanism = table.get("sasl").and_then(|item| mechanism(&item));
    let trust = trust(table, trusts);
    let proxy = proxy::read(table, environment);
    let (imap, smtp, pop3) = (imap?, smtp?, pop3?);
    // The same host behind another port is the same service.
    let is_it = |base: &&Preset| match (&smtp, &base.smtp) {
        (Some(smtp), Some(base)) => smtp.host.eq_ignore_ascii_case(&base.endpoint().host),
        _ => false,
    };
    let known = base.filter(is_it);
    let provider = Provider {
        name: name.to_owned(),
        imap,
        smtp,
        pop3,
        smtp_capabilities: Capabilities(known.map_or_else(Vec::new, |base| owned(base.smtp_capabilities))),
        mechanism: mechanism.or(base.map(|base| base.mechanism)).unwrap_or_default(),
        trust: trust?,
        proxy: proxy?,
    };
    let (application_scopes, delegated_scopes) = scopes?;
    let same_authority = base.filter(|_| !table.has("token_url"));
    Some(Settings {
        provider: Arc::new(provider),
        endpoints: endpoints?,
        grants: same_authority.map_or(&Grant::ALL, |base| base.grants),
        entra: same_authority.is_some_and(|base| base.entra),
        application_scopes,
        delegated_scopes,
        identity_scopes: owned(base.map_or(OPENID, |base| base.identity_scopes)),
        parameters: base.map_or_else(|| vec![("prompt".to_owned(), "select_account".to_owned())], parameters),
        without_host: None,
    })
}

fn host_of(host: Option<&Host>) -> Option<Endpoint> {
    host.map(Host::endpoint)
}

fn extended(item: &Item<'_>) -> Option<&'static Preset> {
    let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    preset::find(item.word(&names, &[])?)
}

fn mechanism(item: &Item<'_>) -> Option<Mechanism> {
    Some(match item.word(&schema::SASL, &[])? {
        "oauthbearer" => Mechanism::OauthBearer,
        _ => Mechanism::Xoauth2,
    })
}

fn trust(table: &Table<'_>, trusts: &Trusts) -> Option<Arc<Trust>> {
    let item = table.get("ca_file");
    let path = match &item {
        Some(item) => Some(item.path()?),
        None => None,
    };
    let cure = match &item {
        Some(_) => "give a file with certificates in PEM form",
        None => "install the system's CA certificates, or name yours with ca_file",
    };
    let noted = |error: TrustError| match &item {
        Some(item) => item.wrong(error.to_string(), cure),
        None => table.wrong(error.to_string(), cure),
    };
    trusts.with(path).map_err(noted).ok()
}

/// The endpoint for a protocol, or that there is none; `None` where it has mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
fn endpoint(table: &Table<'_>, kind: ProtocolKind, base: Option<Endpoint>) -> Option<Option<Endpoint>> {
    let Some(item) = table.get(kind.name()) else {
        return Some(base);
    };
    let table = item.table(&schema::ENDPOINT)?;
    let tls = table.get("tls").map(|item| item.word(&schema::UPSTREAM_TLS, &[]));
    let port = table.get("port").map(|item| item.port());
    let host = match (table.get("host"), &base) {
        (None, Some(base)) => Some(base.host.clone()),
        _ => table.need("host", "add host = \"…\", the name of the mail server").and_then(|item| host(&item)),
    };
    let tls = match tls {
        Some(word) => {
            if word? == "implicit" {
                UpstreamTls::Implicit
            } else {
                UpstreamTls::StartTls
            }
        }
        None => base.as_ref().map_or_else(|| usual_tls(kind), |base| base.tls),
    };
    let port = match (port, base.filter(|base| base.tls == tls)) {
        (Some(port), _) => port?,
        (None, Some(base)) => base.port,
        (None, None) => usual_port(kind, tls),
    };
    Some(Some(Endpoint { host: host?, port, tls }))
}

fn usual_tls(kind: ProtocolKind) -> UpstreamTls {
    match kind {
        ProtocolKind::Imap | ProtocolKind::Pop3 => UpstreamTls::Implicit,
        ProtocolKind::Smtp => UpstreamTls::StartTls,
    }
}

/// RFC 9051 §2.1 and RFC 8314 §7 for IMAP, RFC 6409 §3.1 and RFC 8314 §7.3 for submission, RFC 1939 §3 and
/// RFC 8314 §7.2 for POP3.
fn usual_port(kind: ProtocolKind, tls: UpstreamTls) -> u16 {
    match (kind, tls) {
        (ProtocolKind::Imap, UpstreamTls::Implicit) => 993,
        (ProtocolKind::Imap, UpstreamTls::StartTls) => 143,
        (ProtocolKind::Smtp, UpstreamTls::Implicit) => 465,
        (ProtocolKind::Smtp, UpstreamTls::StartTls) => 587,
        (ProtocolKind::Pop3, UpstreamTls::Implicit) => 995,
        (ProtocolKind::Pop3, UpstreamTls::StartTls) => 110,
    }
}

fn host(item: &Item<'_>) -> Option<String> {
    let host = item.string()?;
    if ServerName::try_from(host).is_err() {
        let cause = format!("{} is no host name", quoted(host));
        item.wrong(cause, "write the name alone; the port stands in port");
        return None;
    }
    Some(host.to_owned())
}
