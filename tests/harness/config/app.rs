//! What a configuration says about an app registration, with a provider of its own.

use std::fmt::Write as _;

use super::{Upstream, quoted};
use crate::harness::{
    authority::{APP, Authority},
    certs::Identity,
};

/// What an application asks for.
const APPLICATION: &str = "[\"https://outlook.office365.com/.default\"]";

/// What somebody lets an application do.
const DELEGATED: &str =
    "[\"https://outlook.office.com/IMAP.AccessAsUser.All\", \"https://outlook.office.com/SMTP.Send\"]";

/// An app registration with the provider of its own.
pub(super) struct App {
    pub(super) name: String,
    keys: Keys,
    provider: String,
    /// The trust anchor, where it is not that of everybody else.
    ca_pem: Option<String>,
}

/// The credentials and the settings of an app registration.
#[derive(Debug, Clone)]
pub struct Keys {
    tenant: String,
    client_id: String,
    secrets: Vec<String>,
    token_url: Option<String>,
    /// Lines of TOML, where `{name}` is the name of the app.
    lines: String,
    /// The end of a file's name, and what is in it.
    files: Vec<(&'static str, String)>,
    /// Instead of the provider's: delegated and application, in TOML.
    provider_scopes: (String, String),
}

impl Keys {
    /// An app without a credential, in the tenant of [`APP`].
    pub fn of(client_id: &str) -> Self {
        Self {
            tenant: APP.0.to_owned(),
            client_id: client_id.to_owned(),
            secrets: Vec::new(),
            token_url: None,
            lines: String::new(),
            files: Vec::new(),
            provider_scopes: (DELEGATED.to_owned(), APPLICATION.to_owned()),
        }
    }

    /// The app [`APP`] with its secret.
    pub fn contoso() -> Self {
        Self::of(APP.1).secret(APP.2)
    }

    /// Puts it into another tenant, or `common`.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// Gives it a client secret, in the file `NAME.secret`; called again, a list with one more, `NAME.secret.2`.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// The password of each login is the client secret.
    #[must_use]
    pub fn login_password(self) -> Self {
        self.line("secret = \"login-password\"")
    }

    /// Gives it a certificate and its key, in the files `NAME.pem` and `NAME.key`.
    #[must_use]
    pub fn certificate(self, identity: &Identity) -> Self {
        self.certificate_pem(&identity.certificate_pem(), &identity.key_pem())
    }

    /// As [`Keys::certificate`], with these texts in the files.
    #[must_use]
    pub fn certificate_pem(mut self, certificate: &str, key: &str) -> Self {
        self.files.push((".pem", certificate.to_owned()));
        self.files.push((".key", key.to_owned()));
        self.line("certificate = \"{name}.pem\"\nkey = \"{name}.key\"")
    }

    /// Gives it the token of a federated identity, in the file `NAME.token`.
    #[must_use]
    pub fn federated_token_file(mut self, token: &str) -> Self {
        self.files.push((".token", token.to_owned()));
        self.line("federated_token_file = \"{name}.token\"")
    }

    /// Gives it the key file of a service account, `NAME.json`, at Google: a provider with Google's scope and endpoint.
    #[must_use]
    pub fn service_account(mut self, authority: &Authority, key_file: &str) -> Self {
        self.files.push((".json", key_file.to_owned()));
        let scope = "[\"https://mail.google.com/\"]".to_owned();
        self.provider_scopes = (scope.clone(), scope);
        self.token_url(&authority.google_token_url()).line("service_account = { file = \"{name}.json\" }")
    }

    /// `redirect_uri = "http://localhost:3017/"`
    #[must_use]
    pub fn redirect_uri(self, uri: &str) -> Self {
        self.line(&format!("redirect_uri = {}", quoted(uri)))
    }

    /// `redirect_listen = "127.0.0.1:3017"`
    #[must_use]
    pub fn redirect_listen(self, addr: &str) -> Self {
        self.line(&format!("redirect_listen = {}", quoted(addr)))
    }

    /// `pkce = "S256"`, `plain`, `off`
    #[must_use]
    pub fn pkce(self, method: &str) -> Self {
        self.line(&format!("pkce = {}", quoted(method)))
    }

    /// `resource = "https://partner.outlook.cn"`, and a provider with the older token endpoint.
    #[must_use]
    pub fn resource(self, authority: &Authority, resource: &str) -> Self {
        self.token_url(&authority.older_token_url()).line(&format!("resource = {}", quoted(resource)))
    }

    /// `scopes = [ … ]`, instead of the provider's.
    #[must_use]
    pub fn scopes(self, scopes: &[&str]) -> Self {
        self.line(&format!("scopes = {}", list(scopes)))
    }

    /// The scopes that the provider has for delegated grants: a list or a table by protocol, in TOML.
    #[must_use]
    pub fn provider_delegated(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.provider_scopes.0);
        self
    }

    /// Another token endpoint of the provider.
    #[must_use]
    pub fn token_url(mut self, url: &str) -> Self {
        self.token_url = Some(url.to_owned());
        self
    }

    /// Adds a line of TOML, where `{name}` is the name of the app.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        let _ = writeln!(self.lines, "{line}");
        self
    }
}

impl App {
    /// [`APP`], at a provider that knows application permissions only.
    pub(super) fn by_secret(name: &str, authority: &Authority, imap: Upstream, smtp: Upstream) -> Self {
        let provider = format!(
            "token_url = {}\nscopes = {{ application = {APPLICATION} }}\n{}",
            quoted(&authority.token_url()),
            upstreams(imap, smtp)
        );
        Self { name: name.to_owned(), keys: Keys::contoso(), provider, ca_pem: None }
    }

    /// An app at a provider that knows everything.
    pub(super) fn with_keys(
        name: &str,
        authority: &Authority,
        imap: Upstream,
        smtp: Upstream,
        keys: Keys,
    ) -> Self {
        let token_url = keys.token_url.clone().unwrap_or_else(|| authority.token_url());
        let (delegated, application) = &keys.provider_scopes;
        let provider = format!(
            "authorize_url = {}\ndevice_url = {}\ntoken_url = {}\n\
             scopes = {{ delegated = {delegated}, application = {application} }}\n{}",
            quoted(&authority.authorize_url()),
            quoted(&authority.device_url()),
            quoted(&token_url),
            upstreams(imap, smtp)
        );
        Self { name: name.to_owned(), keys, provider, ca_pem: None }
    }

    /// Trusts another authority than everybody else.
    pub(super) fn trust(&mut self, ca_pem: String) {
        self.ca_pem = Some(ca_pem);
    }

    fn ca_file(&self) -> String {
        if self.ca_pem.is_some() { format!("{}-ca.pem", self.name) } else { "ca.pem".to_owned() }
    }

    /// Adds a line of TOML to its provider.
    pub(super) fn provider_line(&mut self, line: &str) {
        let _ = writeln!(self.provider, "{line}");
    }

    /// The same with one more protocol at its provider.
    pub(super) fn with_upstream(mut self, protocol: &str, upstream: Upstream) -> Self {
        let _ = writeln!(self.provider, "{protocol} = {}", endpoint(upstream));
        self
    }

    /// The files beside the configuration: their names and what is in them.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, &str)> {
        let secrets = self.keys.secrets.iter().enumerate();
        let secrets = secrets.map(|(at, secret)| (self.secret_file(at), secret.as_str()));
        let others = self.keys.files.iter();
        let ca = self.ca_pem.iter().map(|text| (self.ca_file(), text.as_str()));
        secrets.chain(others.map(|(end, text)| (format!("{}{end}", self.name), text.as_str()))).chain(ca)
    }

    fn secret_file(&self, at: usize) -> String {
        let name = &self.name;
        if at == 0 { format!("{name}.secret") } else { format!("{name}.secret.{}", at + 1) }
    }

    /// Its two tables.
    pub(super) fn write(&self, text: &mut String) {
        let name = &self.name;
        let (tenant, client_id) = (quoted(&self.keys.tenant), quoted(&self.keys.client_id));
        let _ = writeln!(
            text,
            "\n[app.{name}]\nprovider = \"{name}-lab\"\ntenant = {tenant}\nclient_id = {client_id}"
        );
        let secrets = 0..self.keys.secrets.len();
        let secrets: Vec<_> =
            secrets.map(|at| format!("{{ file = {} }}", quoted(&self.secret_file(at)))).collect();
        match &secrets[..] {
            [] => (),
            [one] => _ = writeln!(text, "secret = {one}"),
            several => _ = writeln!(text, "secret = [{}]", several.join(", ")),
        }
        text.push_str(&self.keys.lines.replace("{name}", name));
        let _ = write!(text, "\n[provider.{name}-lab]\nca_file = \"{}\"\n{}", self.ca_file(), self.provider);
    }
}

/// Where mail is.
fn upstreams(imap: Upstream, smtp: Upstream) -> String {
    format!("imap = {}\nsmtp = {}\n", endpoint(imap), endpoint(smtp))
}

fn endpoint((addr, tls): Upstream) -> String {
    format!("{{ host = \"localhost\", port = {}, tls = \"{tls}\" }}", addr.port())
}

fn list(texts: &[&str]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}
