//! A folder with a configuration that leads to the pretend authority and the pretend Exchange.

mod app;

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use footbridge::secret::Secret;

use super::{authority::Authority, certs::Certs, exchange::Exchange};
use app::App;

pub use app::Keys;

/// What a configuration says, before it is written.
pub struct Config {
    limits: String,
    doors: String,
    /// Protocol, address and more lines of TOML.
    listeners: Vec<(String, String, String)>,
    apps: Vec<App>,
    accounts: String,
    console: String,
    more: String,
}

/// Where a protocol is spoken and how its TLS starts.
pub type Upstream = (SocketAddr, &'static str);

impl Config {
    /// Listeners for IMAP and SMTP on free ports, and the app `contoso` at an authority and an
    /// Exchange, the usual way to each: IMAP with implicit TLS, submission with STARTTLS.
    pub fn new(authority: &Authority, exchange: &Exchange) -> Self {
        Self::empty().app(
            "contoso",
            authority,
            exchange.endpoint("imap", false),
            exchange.endpoint("smtp", true),
        )
    }

    /// Listeners and nothing to lead to.
    pub fn empty() -> Self {
        let listeners = ["imap", "smtp"]
            .map(|protocol| (protocol.to_owned(), "127.0.0.1:0".to_owned(), "tls = \"none\"".to_owned()));
        Self {
            limits: String::new(),
            doors: String::new(),
            listeners: listeners.to_vec(),
            apps: Vec::new(),
            accounts: String::new(),
            console: String::new(),
            more: String::new(),
        }
    }

    /// Puts a protocol's listener elsewhere.
    #[must_use]
    pub fn bind(self, protocol: &str, addr: &str) -> Self {
        self.listener(protocol, addr, "tls = \"none\"")
    }

    /// Puts a protocol's listener elsewhere, with these lines of TOML.
    #[must_use]
    pub fn listener(mut self, protocol: &str, addr: &str, more: &str) -> Self {
        self.listeners.retain(|(known, ..)| known != protocol);
        self.listeners.push((protocol.to_owned(), addr.to_owned(), more.to_owned()));
        self
    }

    /// Has a protocol's listener encrypt its line, `"starttls"` or `"implicit"`, by a certificate for
    /// [`super::certs::NAMES`]; with more lines of TOML.
    #[must_use]
    pub fn encrypted(self, protocol: &str, tls: &str, more: &str) -> Self {
        let files = "certificate = \"listener.pem\"\nkey = \"listener.key\"";
        self.listener(protocol, "127.0.0.1:0", &format!("tls = {}\n{files}\n{more}", quoted(tls)))
    }

    /// Adds the app registration [`super::authority::APP`] under a name of its own; it gets tokens of its own.
    #[must_use]
    pub fn app(mut self, name: &str, authority: &Authority, imap: Upstream, smtp: Upstream) -> Self {
        self.apps.push(App::by_secret(name, authority, imap, smtp));
        self
    }

    /// Adds an app whose provider has every endpoint and the scopes of every grant, with the credentials and settings
    /// of `keys`; the usual way to the Exchange.
    #[must_use]
    pub fn delegated_app(self, name: &str, authority: &Authority, exchange: &Exchange, keys: Keys) -> Self {
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        self.delegated_app_to(name, authority, imap, smtp, keys)
    }

    /// As [`Config::delegated_app`], with other upstreams.
    #[must_use]
    pub fn delegated_app_to(
        mut self,
        name: &str,
        authority: &Authority,
        imap: Upstream,
        smtp: Upstream,
        keys: Keys,
    ) -> Self {
        self.apps.push(App::with_keys(name, authority, imap, smtp, keys));
        self
    }

    /// Adds a listener for POP3 on a free port, and where the apps so far have POP3.
    #[must_use]
    pub fn pop3(mut self, upstream: Upstream) -> Self {
        self.listeners.push(("pop3".to_owned(), "127.0.0.1:0".to_owned(), "tls = \"none\"".to_owned()));
        self.apps = self.apps.into_iter().map(|app| app.with_upstream("pop3", upstream)).collect();
        self
    }

    /// Lets the latest app trust the certificates of `certs`, in place of those of the folder's.
    #[must_use]
    pub fn trusting(mut self, certs: &Certs) -> Self {
        self.apps.last_mut().unwrap().trust(certs.ca_pem());
        self
    }

    /// Adds a line of TOML to the provider of the latest app: `outbound_proxy = "…"`.
    #[must_use]
    pub fn provider_line(mut self, line: &str) -> Self {
        self.apps.last_mut().unwrap().provider_line(line);
        self
    }

    /// Adds the console, which serves the redirects of consents as well: `127.0.0.1:0`.
    #[must_use]
    pub fn console(self, bind: &str) -> Self {
        self.console_with(bind, "")
    }

    /// As [`Config::console`], with more lines of TOML: `public_url = "…"`.
    #[must_use]
    pub fn console_with(mut self, bind: &str, more: &str) -> Self {
        self.console = format!("\n[console]\nbind = {}\n{more}\n", quoted(bind));
        self
    }

    /// Adds a key to `[limits]`: `login_timeout = "5s"`.
    #[must_use]
    pub fn limit(mut self, line: &str) -> Self {
        let _ = writeln!(self.limits, "{line}");
        self
    }

    /// Adds a key to every `[[listener]]`: `proxy_protocol = ["127.0.0.0/8"]`.
    #[must_use]
    pub fn every_listener(mut self, line: &str) -> Self {
        let _ = writeln!(self.doors, "{line}");
        self
    }

    /// Adds an account of the first app that opens the mailbox of its login.
    #[must_use]
    pub fn account(self, login: &str, password: &str) -> Self {
        let app = self.apps[0].name.clone();
        self.account_of(&app, login, password, "")
    }

    /// Adds an account of an app, with more lines of TOML.
    #[must_use]
    pub fn account_of(self, app: &str, login: &str, password: &str, more: &str) -> Self {
        self.account_with(app, login, Some(password), "client_credentials", more)
    }

    /// Adds an account of an app with any grant, and more lines of TOML: `sign_in = "…"`. Without a password of its own
    /// the authority is the check.
    #[must_use]
    pub fn account_with(
        mut self,
        app: &str,
        login: &str,
        password: Option<&str>,
        grant: &str,
        more: &str,
    ) -> Self {
        let _ = writeln!(self.accounts, "[[account]]\nlogin = {}", quoted(login));
        if let Some(password) = password {
            let _ = writeln!(self.accounts, "password = {}", quoted(&hash(password)));
        }
        let (app, grant) = (quoted(app), quoted(grant));
        let _ = writeln!(self.accounts, "app = {app}\ngrant = {grant}\n{more}\n");
        self
    }

    /// Adds lines of TOML to the end of the file.
    #[must_use]
    pub fn more(mut self, lines: &str) -> Self {
        let _ = writeln!(self.more, "{lines}");
        self
    }

    /// Writes everything into a fresh folder, which is removed with what is returned.
    pub fn write(&self, certs: &Certs) -> Folder {
        let folder = Folder(tempfile::Builder::new().prefix("footbridge-").tempdir().unwrap());
        self.write_to(folder.path(), certs);
        folder
    }

    /// Writes everything into `folder`.
    pub fn write_to(&self, folder: &Path, certs: &Certs) {
        certs.write_ca(folder);
        certs.leaf().write(folder, "listener");
        for (name, text) in self.apps.iter().flat_map(App::files) {
            write_private(&folder.join(name), text);
        }
        std::fs::write(folder.join("footbridge.toml"), self.text()).unwrap();
        std::fs::write(folder.join("mappings.toml"), &self.accounts).unwrap();
    }

    fn text(&self) -> String {
        let mut text = "state_dir = \"state\"\nmappings = \"mappings.toml\"\n".to_owned();
        for (protocol, addr, more) in &self.listeners {
            let (protocol, addr, doors) = (quoted(protocol), quoted(addr), &self.doors);
            let _ = write!(text, "\n[[listener]]\nprotocol = {protocol}\nbind = {addr}\n{more}\n{doors}\n");
        }
        let _ = write!(text, "\n[limits]\n{}", self.limits);
        text.push_str(&self.console);
        self.apps.iter().for_each(|app| app.write(&mut text));
        text + "\n" + &self.more
    }
}

/// A folder that is removed when this is dropped.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the client secret of an app is kept.
    pub fn secret(&self, app: &str) -> PathBuf {
        self.path().join(format!("{app}.secret"))
    }
}

/// Writes a file that nobody else may read, as the bridge wants a secret to be kept.
fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Hashing is slow on purpose, so that every password is hashed once in a process.
fn hash(password: &str) -> String {
    static HASHES: OnceLock<Mutex<HashMap<String, String>>> = OnceLock::new();
    let mut hashes = HASHES.get_or_init(Mutex::default).lock().unwrap();
    let hash = || footbridge::account::hash(&Secret::new(password)).to_string();
    hashes.entry(password.to_owned()).or_insert_with(hash).clone()
}

/// A string in TOML's notation.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
