//! `[ann@example.com]`: who logs in, and the app that gets the token.

use std::path::PathBuf;

use super::{
    Asked, Notes,
    authority::{self, Found, Provider},
    fernet::Keys,
    ini::{Section, Setting},
    server::{Server, TEXTS, is_server, is_true, path},
};
use crate::{account::Grant, ids::ProtocolKind, secret::Secret};

/// The section with what holds for all.
const GLOBAL: &str = "emailproxy";

/// What is said of every secret that becomes a file.
const OWN_FILE: &str = "it stands in a file of its own now, which footbridge.toml names";

/// What is said where the other program did not use it, as it does unless it is told to.
const PKCE: &str =
    "consent is bound by PKCE now; for an authority that refuses it write pkce = \"off\" in [app.NAME]";

/// What proves who the app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    None,
    LoginPassword,
    /// A client secret; nothing where it could not be decrypted.
    Secret(Option<Secret>),
    Certificate(PathBuf, PathBuf),
    /// The file of a service account's key.
    KeyFile(PathBuf),
    /// The key itself.
    Key(Secret),
}

/// An `[app.NAME]` to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct App {
    pub(super) provider: Provider,
    pub(super) tenant: Option<String>,
    pub(super) client_id: String,
    pub(super) credential: Credential,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: Option<String>,
    pub(super) redirect_listen: Option<String>,
    pub(super) resource: Option<String>,
}

/// An `[[account]]` to be.
pub(super) struct Account {
    pub(super) login: String,
    /// The number of its app.
    pub(super) app: usize,
    pub(super) grant: Grant,
    /// Whether the authority checks the password, so that none is kept here.
    pub(super) authority_checks: bool,
}

/// The accounts of a file and their apps.
pub(super) struct Accounts<'a> {
    sections: &'a [Section],
    pub(super) servers: &'a [Server],
    asked: &'a Asked<'a>,
    pub(super) apps: Vec<App>,
    pub(super) entries: Vec<Account>,
    pub(super) refresh_tokens: Vec<(String, Secret)>,
}

/// One account section with those whose options it takes where it has none.
struct Entry<'a> {
    own: &'a Section,
    inherited: Vec<&'a Section>,
}

impl<'a> Entry<'a> {
    fn get(&self, key: &str) -> Option<&'a Setting> {
        self.own.get(key).or_else(|| self.inherited.iter().find_map(|section| section.get(key)))
    }

    fn domain(&self) -> String {
        self.own.name.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase()
    }
}

impl<'a> Accounts<'a> {
    pub(super) fn new(sections: &'a [Section], servers: &'a [Server], asked: &'a Asked<'a>) -> Self {
        let (apps, entries, refresh_tokens) = (Vec::new(), Vec::new(), Vec::new());
        Self { sections, servers, asked, apps, entries, refresh_tokens }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn read_all(&mut self, notes: &mut Notes) {
        let sections = self.sections;
        for section in sections {
            if section.name == GLOBAL {
                global(section, notes);
            } else if section.name.contains('@') {
                self.read(section, notes);
            } else if !is_server(section) && !is_text(section) {
                let text = "it is neither a server (IMAP-1143) nor an account (an address), and is left out";
                notes.lost(section.line, format!("[{}]", section.name), text);
            }
        }
    }

    /// Whether a global option is on.
    fn is_on(&self, key: &str) -> bool {
        let global = self.sections.iter().find(|section| section.name == GLOBAL);
        global.and_then(|global| global.get(key)).is_some_and(is_true)
    }

    fn entry(&self, own: &'a Section) -> Entry<'a> {
        let domain = own.name.rsplit_once('@').map_or("", |(_, domain)| domain);
        let wider = [format!("@{domain}"), "@".to_owned()];
        let inherited =
            wider.iter().filter(|name| **name != own.name && self.is_on("allow_catch_all_accounts"));
        let inherited =
            inherited.filter_map(|name| self.sections.iter().find(|section| section.name == *name));
        Entry { own, inherited: inherited.collect() }
    }

    fn read(&mut self, section: &'a Section, notes: &mut Notes) {
        let (entry, place) = (self.entry(section), format!("[{}]", section.name));
        say_of_options(section, notes);
        let wildcard = section.name.starts_with('@');
        if wildcard && !self.is_on("allow_catch_all_accounts") {
            let text = "allow_catch_all_accounts is off, so that it had no effect: it is left out";
            notes.lost(section.line, place, text);
            return;
        }
        let Some(grant) = grant(&entry, notes) else { return };
        let login_password = grant == Grant::ClientCredentials
            && self.is_on("use_login_password_as_client_credentials_secret");
        let authority_checks = login_password || grant == Grant::Password;
        if wildcard && (section.name == "@" || !authority_checks) {
            notes.lost(section.line, place, why_no_wildcard(&section.name, grant));
            return;
        }
        let login = if wildcard { format!("*{}", section.name) } else { section.name.clone() };
        if self.entries.iter().any(|known| known.login.eq_ignore_ascii_case(&login)) {
            let text = "logins are the same in small and in capital letters here, and this one is there already: it is left out";
            notes.lost(section.line, place, text);
            return;
        }
        let keys = self.keys(&entry);
        let Some(app) = self.app(&entry, grant, login_password, keys.as_ref(), notes) else { return };
        if grant.needs_consent() {
            self.refresh_token(&entry, keys.as_ref(), notes);
        }
        let is_first = self.entries.iter().all(|known| known.grant != Grant::AuthorizationCode);
        if grant == Grant::AuthorizationCode && is_first && entry.get("use_pkce").is_none() {
            notes.changed(section.line, format!("[{}]", section.name), PKCE);
        }
        let known = self.apps.iter().position(|known| *known == app);
        let app = known.unwrap_or_else(|| {
            self.apps.push(app);
            self.apps.len() - 1
        });
        self.entries.push(Account { login, app, grant, authority_checks });
    }

    /// What the login's password opens, where it is known.
    fn keys(&self, entry: &Entry<'_>) -> Option<Keys> {
        let salt = entry.get("token_salt")?;
        // A person may be asked for it.
        let password = (self.asked.password)(&entry.own.name)?;
        let rounds = entry.get("token_iterations").and_then(|rounds| rounds.text().parse().ok());
        Keys::derive(&password, salt.text(), rounds)
    }

    fn app(
        &self,
        entry: &Entry<'_>,
        grant: Grant,
        login_password: bool,
        keys: Option<&Keys>,
        notes: &mut Notes,
    ) -> Option<App> {
        let place = || format!("[{}]", entry.own.name);
        let (Some(token_url), Some(client_id)) = (entry.get("token_url"), entry.get("client_id")) else {
            let text = "it has no token_url or no client_id: the account is left out";
            notes.lost(entry.own.line, place(), text);
            return None;
        };
        let urls = (token_url, entry.get("permission_url"));
        let found = authority::find(urls, grant, &entry.domain(), self.servers, notes)?;
        let credential = if login_password {
            Credential::LoginPassword
        } else {
            self.credential(entry, grant, keys, notes)
        };
        let (redirect_uri, redirect_listen) =
            if grant == Grant::AuthorizationCode { redirect(entry, notes) } else { (None, None) };
        let resource = resource(entry, grant, notes);
        let scopes = if resource.is_some() { Vec::new() } else { self.scopes(entry, grant, &found) };
        let client_id = match &credential {
            // The words "file" and "key" say where the key is.
            Credential::KeyFile(_) | Credential::Key(_) => "service-account".to_owned(),
            Credential::None
            | Credential::LoginPassword
            | Credential::Secret(_)
            | Credential::Certificate(..) => client_id.text().to_owned(),
        };
        Some(App {
            provider: found.provider,
            tenant: found.tenant,
            client_id,
            credential,
            scopes,
            redirect_uri,
            redirect_listen,
            resource: resource.map(|resource| resource.text().to_owned()),
        })
    }

    fn credential(
        &self,
        entry: &Entry<'_>,
        grant: Grant,
        keys: Option<&Keys>,
        notes: &mut Notes,
    ) -> Credential {
        let secret = entry.get("client_secret");
        if grant == Grant::ServiceAccount {
            let in_file = entry.get("client_id").is_some_and(|id| id.text().eq_ignore_ascii_case("file"));
            return match secret {
                Some(secret) if in_file => Credential::KeyFile(path(secret, self.asked.folder)),
                Some(secret) => {
                    notes.changed(secret.line, "client_secret", OWN_FILE);
                    Credential::Key(secret.secret())
                }
                None => Credential::None,
            };
        }
        let pair = (entry.get("jwt_certificate_path"), entry.get("jwt_key_path"));
        if let Some(secret) = secret {
            for unused in [pair.0, pair.1].into_iter().flatten() {
                let text = "a client_secret stands beside it, which was taken and still is: it is left out";
                notes.lost(unused.line, unused.key.as_str(), text);
            }
            if secret.is_of_the_example() {
                return Credential::Secret(None);
            }
            notes.changed(secret.line, "client_secret", OWN_FILE);
            return Credential::Secret(Some(secret.secret()));
        }
        if let Some(encrypted) = entry.get("client_secret_encrypted") {
            let opened = keys.and_then(|keys| keys.open(encrypted.text()));
            if opened.is_some() {
                notes.changed(
                    encrypted.line,
                    encrypted.key.as_str(),
                    "it is decrypted, and stands in a file of its own now",
                );
            } else {
                let text = "only the login's password opens it: import again with --password-stdin, or put the secret into the file \
                            that footbridge.toml names";
                notes.lost(encrypted.line, encrypted.key.as_str(), text);
            }
            return Credential::Secret(opened);
        }
        match pair {
            (Some(certificate), Some(key)) => {
                notes.changed(
                    certificate.line,
                    "jwt_certificate_path",
                    "assertions are signed with PS256 now, as Entra recommends; for an authority that wants RS256 write assertion_alg = \"RS256\"",
                );
                Credential::Certificate(path(certificate, self.asked.folder), path(key, self.asked.folder))
            }
            (Some(alone), None) | (None, Some(alone)) => {
                let text =
                    "it has no effect without jwt_certificate_path and jwt_key_path both: it is left out";
                notes.lost(alone.line, alone.key.as_str(), text);
                Credential::None
            }
            (None, None) => Credential::None,
        }
    }

    /// The scopes, where they are not what the provider has anyway.
    fn scopes(&self, entry: &Entry<'_>, grant: Grant, found: &Found) -> Vec<String> {
        let Some(written) = entry.get("oauth2_scope") else { return Vec::new() };
        // The bridge asks for these by itself.
        let identity = ["openid", "profile", "email", "offline_access"];
        let all = written.text().split_whitespace().filter(|scope| !identity.contains(scope));
        let all: Vec<_> = all.map(str::to_owned).collect();
        let Some(preset) = found.preset else { return all };
        let delegated = &preset.delegated_scopes;
        let of = |kind| match kind {
            ProtocolKind::Imap => delegated.imap,
            ProtocolKind::Smtp => delegated.smtp,
            ProtocolKind::Pop3 => delegated.pop3,
        };
        let usual = if matches!(grant, Grant::ClientCredentials | Grant::ServiceAccount) {
            preset.application_scopes.iter().eq(all.iter())
        } else {
            let known =
                |scope: &String| ProtocolKind::ALL.iter().any(|kind| of(*kind).contains(&scope.as_str()));
            let asked = |scope: &&str| all.iter().any(|written| written == scope);
            all.iter().all(known) && self.servers.iter().all(|server| of(server.kind).iter().all(asked))
        };
        if usual { Vec::new() } else { all }
    }

    fn refresh_token(&mut self, entry: &Entry<'_>, keys: Option<&Keys>, notes: &mut Notes) {
        let (login, Some(token)) = (&entry.own.name, entry.own.get("refresh_token")) else { return };
        let opened = keys.and_then(|keys| keys.open(token.text()));
        let Some(opened) = opened else {
            let why = if keys.is_some() {
                "the password that was given does not open it"
            } else {
                "only the login's password opens it"
            };
            let text = format!(
                "{why}: import again with --password-stdin, or have the person consent once more: footbridge authorize {login}"
            );
            notes.lost(token.line, "refresh_token", text);
            return;
        };
        notes.changed(
            token.line,
            "refresh_token",
            "it is decrypted, and kept in the store: nobody has to consent again",
        );
        self.refresh_tokens.push((login.clone(), opened));
    }
}

/// The parameter in the place of scopes, which the password grant alone has.
fn resource<'a>(entry: &Entry<'a>, grant: Grant, notes: &mut Notes) -> Option<&'a Setting> {
    let resource = entry.get("oauth2_resource")?;
    if grant != Grant::Password {
        let text = "it had no effect but with oauth2_flow = password: it is left out";
        notes.lost(resource.line, "oauth2_resource", text);
        return None;
    }
    if let Some(scope) = entry.get("oauth2_scope") {
        notes.changed(scope.line, "oauth2_scope", "oauth2_resource is sent in its place");
    }
    Some(resource)
}

/// Whether a section is a heading with text for people, as the other program's own example has them.
fn is_text(section: &Section) -> bool {
    let is_text = |option: &Setting| TEXTS.contains(&option.key.as_str());
    !section.options.is_empty() && section.options.iter().all(is_text)
}

fn why_no_wildcard(name: &str, grant: Grant) -> String {
    let domain = if name == "@" { "every domain" } else { name };
    let cure = match grant {
        Grant::AuthorizationCode | Grant::DeviceCode => "write an [[account]] for each person",
        Grant::ClientCredentials | Grant::ServiceAccount => {
            "it would open every mailbox that the app may open: write an [[account]] for each login, or one with login = \"*@domain\" and its mailboxes"
        }
        Grant::Password => "write an [[account]] with login = \"*@domain\" for each domain",
    };
    format!(
        "one entry for all logins at {domain} has no counterpart: {cure}. Options that other sections took from it are in theirs"
    )
}

fn grant(entry: &Entry<'_>, notes: &mut Notes) -> Option<Grant> {
    let Some(flow) = entry.get("oauth2_flow") else {
        if entry.get("permission_url").is_some() {
            return Some(Grant::AuthorizationCode);
        }
        let text = "it has neither permission_url nor oauth2_flow: it is taken for client_credentials";
        notes.changed(entry.own.line, format!("[{}]", entry.own.name), text);
        return Some(Grant::ClientCredentials);
    };
    match flow.text() {
        "authorization_code" => Some(Grant::AuthorizationCode),
        "device" => Some(Grant::DeviceCode),
        "client_credentials" => Some(Grant::ClientCredentials),
        "password" => Some(Grant::Password),
        "service_account" => Some(Grant::ServiceAccount),
        _ => {
            notes.lost(flow.line, "oauth2_flow", "this flow is not known: the account is left out");
            None
        }
    }
}

/// Where the browser comes back to: the URI, and where that is listened for.
fn redirect(entry: &Entry<'_>, notes: &mut Notes) -> (Option<String>, Option<String>) {
    let listen = entry.get("redirect_listen_address").and_then(|setting| listen(setting, notes));
    let Some(written) = entry.get("redirect_uri") else { return (None, listen) };
    let url = url::Url::parse(written.text()).ok().filter(url::Url::has_host);
    let Some(url) = url else {
        notes.lost(written.line, "redirect_uri", "it is no address of a host: register http://localhost");
        return (None, None);
    };
    let host = url.host_str().unwrap_or_default();
    let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    if url.scheme() == "http" && !is_local {
        let text =
            "the code would cross the network in clear: register an https address, or http://localhost";
        notes.lost(written.line, "redirect_uri", text);
        return (None, None);
    }
    if listen.is_none() && url.scheme() == "http" && url.port().is_none() {
        if host == "localhost" && url.path() == "/" {
            return (None, None);
        }
        return (Some(written.text().to_owned()), Some("127.0.0.1:80".to_owned()));
    }
    if listen.is_none() && url.scheme() == "https" {
        let text = "something before the bridge has to answer there and to forward to 127.0.0.1:3017, as redirect_listen says; \
                    or paste the address into footbridge authorize";
        notes.changed(written.line, "redirect_uri", text);
        return (Some(written.text().to_owned()), Some("127.0.0.1:3017".to_owned()));
    }
    (Some(written.text().to_owned()), listen)
}

fn listen(written: &Setting, notes: &mut Notes) -> Option<String> {
    let url = url::Url::parse(written.text()).ok();
    let host = url.as_ref().and_then(url::Url::host_str).map(|host| host.replace("localhost", "127.0.0.1"));
    let host = host.filter(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok());
    let port = url.as_ref().and_then(url::Url::port_or_known_default);
    let Some((host, port)) = host.zip(port) else {
        let text = "it is no address to listen on: write redirect_listen = \"host:port\" in [app.NAME]";
        notes.lost(written.line, "redirect_listen_address", text);
        return None;
    };
    Some(format!("{host}:{port}"))
}

/// Options of the whole program, and what became of them.
fn global(section: &Section, notes: &mut Notes) {
    for option in &section.options {
        let text = match option.key.as_str() {
            "use_login_password_as_client_credentials_secret" | "allow_catch_all_accounts" => continue,
            "delete_account_token_on_password_error" => {
                "a wrong password deletes no token here: footbridge accounts --forget LOGIN does"
            }
            "encrypt_client_secret_on_first_use" => {
                "secrets stand in files of their own here, or in the environment, or are printed by a command"
            }
            key if TEXTS.contains(&key) => continue,
            _ => "it is not known",
        };
        notes.lost(option.line, option.shown(), text);
    }
}

/// Says what became of the options that are read nowhere else.
fn say_of_options(section: &Section, notes: &mut Notes) {
    for option in &section.options {
        match option.key.as_str() {
            key if option.is_of_the_example() && !TEXTS.contains(&key) => {
                notes.lost(option.line, option.shown(), "it is the example's: write your own");
            }
            "use_pkce" if !is_true(option) => notes.changed(option.line, "use_pkce", PKCE),
            "permission_url"
            | "token_url"
            | "oauth2_scope"
            | "oauth2_resource"
            | "oauth2_flow"
            | "redirect_uri"
            | "redirect_listen_address"
            | "client_id"
            | "client_secret"
            | "client_secret_encrypted"
            | "use_pkce"
            | "jwt_certificate_path"
            | "jwt_key_path"
            | "token_salt"
            | "token_iterations"
            | "access_token"
            | "access_token_expiry"
            | "refresh_token"
            | "last_activity" => {}
            key if TEXTS.contains(&key) => {}
            _ => notes.lost(option.line, option.shown(), "it is not known"),
        }
    }
}
