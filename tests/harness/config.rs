//! A folder with a configuration that leads to the pretend authority and the pretend Exchange.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use footbridge::secret::Secret;

use super::{
    authority::{APP, Authority},
    certs::Certs,
    exchange::Exchange,
};

/// What a configuration says, before it is written.
pub struct Config {
    limits: String,
    listeners: Vec<(String, String)>,
    apps: Vec<App>,
    accounts: String,
    more: String,
}

/// An app registration with the provider of its own.
struct App {
    name: String,
    tenant: String,
    client_id: String,
    secret: String,
    token_url: String,
    imap: Upstream,
    smtp: Upstream,
}

/// Where a protocol is spoken and how its TLS starts.
pub type Upstream = (SocketAddr, &'static str);

impl Config {
    /// Listeners for both protocols on free ports, and the app `contoso` at an authority and an
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
        let listeners = ["imap", "smtp"].map(|protocol| (protocol.to_owned(), "127.0.0.1:0".to_owned()));
        Self {
            limits: String::new(),
            listeners: listeners.to_vec(),
            apps: Vec::new(),
            accounts: String::new(),
            more: String::new(),
        }
    }

    /// Puts a protocol's listener elsewhere.
    #[must_use]
    pub fn bind(mut self, protocol: &str, addr: &str) -> Self {
        self.listeners.retain(|(known, _)| known != protocol);
        self.listeners.push((protocol.to_owned(), addr.to_owned()));
        self
    }

    /// Adds an app registration [`APP`] under a name of its own; it gets tokens of its own.
    #[must_use]
    pub fn app(mut self, name: &str, authority: &Authority, imap: Upstream, smtp: Upstream) -> Self {
        self.apps.push(App {
            name: name.to_owned(),
            tenant: APP.0.to_owned(),
            client_id: APP.1.to_owned(),
            secret: APP.2.to_owned(),
            token_url: authority.token_url(),
            imap,
            smtp,
        });
        self
    }

    /// Adds a key to `[limits]`: `login_timeout = "5s"`.
    #[must_use]
    pub fn limit(mut self, line: &str) -> Self {
        let _ = writeln!(self.limits, "{line}");
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
    pub fn account_of(mut self, app: &str, login: &str, password: &str, more: &str) -> Self {
        let (login, hash) = (quoted(login), quoted(&hash(password)));
        let _ = writeln!(
            self.accounts,
            "[[account]]\nlogin = {login}\npassword = {hash}\napp = {}\ngrant = \"client_credentials\"\n{more}\n",
            quoted(app)
        );
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
        for app in &self.apps {
            write_private(&folder.join(format!("{}.secret", app.name)), &app.secret);
        }
        std::fs::write(folder.join("footbridge.toml"), self.text()).unwrap();
        std::fs::write(folder.join("mappings.toml"), &self.accounts).unwrap();
    }

    fn text(&self) -> String {
        let mut text = "state_dir = \"state\"\nmappings = \"mappings.toml\"\n".to_owned();
        for (protocol, addr) in &self.listeners {
            let _ = write!(
                text,
                "\n[[listener]]\nprotocol = {}\nbind = {}\ntls = \"none\"\n",
                quoted(protocol),
                quoted(addr)
            );
        }
        let _ = write!(text, "\n[limits]\n{}", self.limits);
        for app in &self.apps {
            let name = &app.name;
            let _ = write!(
                text,
                "\n[app.{name}]\nprovider = \"{name}-lab\"\ntenant = {}\nclient_id = {}\n\
                 secret = {{ file = \"{name}.secret\" }}\n",
                quoted(&app.tenant),
                quoted(&app.client_id)
            );
            let _ = write!(
                text,
                "\n[provider.{name}-lab]\ntoken_url = {}\nca_file = \"ca.pem\"\n\
                 scopes = {{ application = [\"https://outlook.office365.com/.default\"] }}\n\
                 imap = {{ host = \"localhost\", port = {}, tls = \"{}\" }}\n\
                 smtp = {{ host = \"localhost\", port = {}, tls = \"{}\" }}\n",
                quoted(&app.token_url),
                app.imap.0.port(),
                app.imap.1,
                app.smtp.0.port(),
                app.smtp.1
            );
        }
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
