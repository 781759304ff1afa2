//! `[provider.NAME]` and the presets: where mailboxes are and who issues tokens for them.

use std::{cell::RefCell, collections::HashMap, net::IpAddr, path::PathBuf, sync::Arc};

use rustls::pki_types::ServerName;
use url::Url;

use super::{
    Provider,
    mistake::quoted,
    preset::{self, LATER, PRESETS, Preset},
    reader::{Item, Table},
    schema::{self, nearest},
};
use crate::{
    dialogue::Capabilities,
    ids::ProtocolKind,
    net::{
        Endpoint, UpstreamTls,
        tls::{Trust, TrustError},
    },
    sasl::Mechanism,
};

/// A provider with what its apps need to know beside the upstreams.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) provider: Arc<Provider>,
    /// The token endpoint, `{tenant}` unfilled.
    pub(super) token_url: String,
    pub(super) application_scopes: Vec<String>,
    /// See [`Preset::no_tenants`].
    pub(super) no_tenants: &'static [&'static str],
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
    pub(super) fn read(top: &Table<'t>) -> Self {
        let trusts = Trusts::default();
        let tables = top.named("provider", &schema::PROVIDER);
        let written = tables.into_iter().map(|(name, table)| (name, read(name, &table, &trusts))).collect();
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
        if LATER.contains(&name) {
            let cause = format!("provider {} is not available in this version", quoted(name));
            item.wrong(cause, "describe it in a [provider.NAME] of your own, or use \"microsoft365\"");
        } else if !item.file.is_broken() {
            let known = PRESETS.iter().map(|preset| preset.name).chain(self.written.keys().copied());
            let cure = match nearest(name, known.chain(LATER)) {
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
            imap: Some(preset.imap.endpoint()),
            smtp: Some(preset.smtp.endpoint()),
            smtp_capabilities: Capabilities(owned(preset.smtp_capabilities)),
            mechanism: preset.mechanism,
            trust: trust.ok()?,
        };
        let settings = Settings {
            provider: Arc::new(provider),
            token_url: preset.token_url.to_owned(),
            application_scopes: owned(preset.application_scopes),
            no_tenants: preset.no_tenants,
        };
        self.presets.borrow_mut().insert(preset.name, settings.clone());
        Some(settings)
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn read(name: &str, table: &Table<'_>, trusts: &Trusts) -> Option<Settings> {
    if preset::find(name).is_some() || LATER.contains(&name) {
        table.wrong(
            format!("{} is the name of a preset", quoted(name)),
            format!("take another name and write extends = \"{name}\" in it"),
        );
    }
    let base = match table.get("extends") {
        Some(item) => Some(extended(&item)?),
        None => None,
    };
    let imap = endpoint(table, ProtocolKind::Imap, base.map(|base| base.imap.endpoint()));
    let smtp = endpoint(table, ProtocolKind::Smtp, base.map(|base| base.smtp.endpoint()));
    if base.is_none() && table.lacks("imap") && table.lacks("smtp") {
        table.missing(
            format!("provider {} has neither imap nor smtp", quoted(name)),
            "add imap = { host = \"…\" } or smtp = { host = \"…\" }",
        );
    }
    let token_url = match (table.get("token_url"), base) {
        (None, Some(base)) => Some(base.token_url.to_owned()),
        _ => table
            .need("token_url", "add token_url = \"https://…\", the authority's token endpoint")
            .and_then(|item| token_url(&item)),
    };
    let scopes = table.get("scopes").and_then(|item| item.table(&schema::SCOPES));
    let scopes = scopes.and_then(|table| table.get("application")).map(|item| read_scopes(&item));
    let mechanism = table.get("sasl").and_then(|item| mechanism(&item));
    let trust = trust(table, trusts);
    let (imap, smtp) = (imap?, smtp?);
    // The same host behind another port is the same service.
    let is_it = |base: &&Preset| {
        smtp.as_ref().is_some_and(|smtp| smtp.host.eq_ignore_ascii_case(&base.smtp.endpoint().host))
    };
    let known = base.filter(is_it);
    let provider = Provider {
        name: name.to_owned(),
        imap,
        smtp,
        smtp_capabilities: Capabilities(known.map_or_else(Vec::new, |base| owned(base.smtp_capabilities))),
        mechanism: mechanism.or(base.map(|base| base.mechanism)).unwrap_or_default(),
        trust: trust?,
    };
    Some(Settings {
        provider: Arc::new(provider),
        token_url: token_url?,
        application_scopes: scopes
            .or(base.map(|base| Some(owned(base.application_scopes))))
            .unwrap_or_else(|| Some(Vec::new()))?,
        no_tenants: base.filter(|_| !table.has("token_url")).map_or(&[], |base| base.no_tenants),
    })
}

fn extended(item: &Item<'_>) -> Option<&'static Preset> {
    let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    preset::find(item.word(&names, &LATER)?)
}

fn mechanism(item: &Item<'_>) -> Option<Mechanism> {
    Some(match item.word(&["xoauth2", "oauthbearer"], &[])? {
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

/// Reads a list of scopes.
pub(super) fn read_scopes(item: &Item<'_>) -> Option<Vec<String>> {
    let scopes: Vec<_> = item.list()?.iter().map(scope).collect();
    scopes.into_iter().collect()
}

fn scope(item: &Item<'_>) -> Option<String> {
    let scope = item.string()?;
    // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    let may_stand = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.is_empty() || !scope.bytes().all(may_stand) {
        item.wrong(format!("{} is no scope", quoted(scope)), "write each scope as an item of its own");
        return None;
    }
    Some(scope.to_owned())
}

/// The endpoint for a protocol, or that there is none; `None` where it has mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
fn endpoint(table: &Table<'_>, kind: ProtocolKind, base: Option<Endpoint>) -> Option<Option<Endpoint>> {
    let Some(item) = table.get(kind.name()) else {
        return Some(base);
    };
    let table = item.table(&schema::ENDPOINT)?;
    let tls = table.get("tls").map(|item| item.word(&["implicit", "starttls"], &[]));
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
        ProtocolKind::Imap => UpstreamTls::Implicit,
        ProtocolKind::Smtp => UpstreamTls::StartTls,
    }
}

/// RFC 9051 §2.1 and RFC 8314 §7 for IMAP, RFC 6409 §3.1 and RFC 8314 §7.3 for submission.
fn usual_port(kind: ProtocolKind, tls: UpstreamTls) -> u16 {
    match (kind, tls) {
        (ProtocolKind::Imap, UpstreamTls::Implicit) => 993,
        (ProtocolKind::Imap, UpstreamTls::StartTls) => 143,
        (ProtocolKind::Smtp, UpstreamTls::Implicit) => 465,
        (ProtocolKind::Smtp, UpstreamTls::StartTls) => 587,
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

fn token_url(item: &Item<'_>) -> Option<String> {
    let written = item.string()?;
    let filled = written.replace("{tenant}", "tenant");
    if filled.contains(['{', '}']) {
        item.wrong("token_url has a placeholder that is not {tenant}", "write {tenant}, or the value itself");
        return None;
    }
    let url = match Url::parse(&filled) {
        Ok(url) => url,
        Err(error) => {
            item.wrong(format!("token_url is no URL: {error}"), "write https://host/path");
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        let cause = "token_url has a user or a password in it";
        item.file.wrong_hiding(
            item.span.clone(),
            item.span.clone(),
            cause,
            "take them out: the app's secret stands in [app.NAME]",
        );
    } else if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        let cause = "token_url is not https: the app's secret would cross the network in clear";
        item.wrong(cause, "write https://; http:// may only be used with a loopback host, for tests");
    } else if url.fragment().is_some() {
        // RFC 6749 §3.2: "The endpoint URI MUST NOT include a fragment component."
        item.wrong("token_url has a fragment", "take out the # and what follows it");
    } else {
        return Some(written.to_owned());
    }
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}
