//! A bridge of its own for each test, between the mail programs and the servers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::authority::{Authority, Count};
use crate::bridge::Bridge;
use crate::clients::{command, python, run_with};
use crate::servers::{CLIENT_SECRET, Servers, TENANT, servers};

/// What the mail programs know. No program may stumble over what a password may contain.
pub const PASSWORD: &str = "correct horse & #battery% $taple";
pub const WRONG_PASSWORD: &str = "correct horse & #battery% $stapel";

/// How a test's bridge differs from the usual one.
pub struct Setup<'a> {
    /// TLS on the way to the upstream's IMAP: `implicit` or `starttls`.
    pub imap_tls: &'a str,
    /// As `imap_tls`, for submission.
    pub smtp_tls: &'a str,
    pub authority: &'a Authority,
    /// What stands under `[limits]`.
    pub limits: &'a str,
    /// What stands under `[provider.lab]` beside the rest.
    pub provider: &'a str,
}

/// One bridge, and one mailbox behind it.
pub struct Lab {
    pub servers: &'static Servers,
    pub bridge: Bridge,
    /// With what the mail programs log in. It differs from the mailbox's name, as it may.
    pub login: String,
    /// Which mailbox that opens.
    pub mailbox: String,
    /// The application as which the bridge asks for tokens: no other test counts on it.
    pub client: String,
    pub dir: TempDir,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        let authority = &servers().authority;
        Self { imap_tls: "implicit", smtp_tls: "starttls", authority, limits: "", provider: "" }
    }
}

impl Lab {
    /// The usual bridge. `name` is of this test alone.
    pub fn start(name: &str) -> Self {
        Self::with(name, &Setup::default())
    }

    pub fn with(name: &str, setup: &Setup) -> Self {
        let servers = servers();
        let dir = tempfile::tempdir().unwrap();
        let [login, mailbox] = [format!("{name}@legacy.test"), format!("{name}@example.test")];
        configure(dir.path(), servers, setup, name);
        fs::write(
            dir.path().join("mappings.toml"),
            format!(
                "[[account]]\nlogin = \"{login}\"\npassword = \"{}\"\nmailbox = \"{mailbox}\"\n\
                 app = \"contoso\"\ngrant = \"client_credentials\"\n",
                hash(PASSWORD)
            ),
        )
        .unwrap();
        let bridge = Bridge::start(dir.path());
        Self { servers, bridge, login, mailbox, client: name.to_owned(), dir }
    }

    pub fn imap_port(&self) -> u16 {
        self.bridge.addr("imap").port()
    }

    pub fn smtp_port(&self) -> u16 {
        self.bridge.addr("smtp").port()
    }

    /// curl's name for the inbox, or for what is in it.
    pub fn imap_url(&self, rest: &str) -> String {
        format!("imap://127.0.0.1:{}/{rest}", self.imap_port())
    }

    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}/client.example.test", self.smtp_port())
    }

    /// curl as a mail program that knows the password.
    pub fn curl(&self) -> Command {
        self.curl_with(PASSWORD)
    }

    pub fn curl_with(&self, password: &str) -> Command {
        curl_as(&self.login, password)
    }

    /// curl, about to send `message` to this lab's own mailbox.
    pub fn curl_send(&self, file: &Path) -> Command {
        let mut curl = self.curl();
        curl.arg(self.smtp_url())
            .args(["--mail-from", &self.mailbox, "--mail-rcpt", &self.mailbox])
            .arg("-T")
            .arg(file);
        curl
    }

    /// A task of `mail.py` by IMAP.
    pub fn python_imap(&self, task: &str) -> Command {
        python(task, self.imap_port(), &self.login, PASSWORD)
    }

    /// A task of `mail.py` by SMTP.
    pub fn python_smtp(&self, task: &str) -> Command {
        python(task, self.smtp_port(), &self.login, PASSWORD)
    }

    /// What the authority was asked for this bridge.
    pub fn count(&self) -> Count {
        self.servers.authority.count(&self.client)
    }
}

/// curl as a mail program; a URL is missing.
pub fn curl_as(login: &str, password: &str) -> Command {
    let mut curl = command("curl");
    curl.args(["-sS", "--user", &format!("{login}:{password}")]);
    curl
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the bridge's log:\n{}", self.bridge.log());
        }
    }
}

fn configure(dir: &Path, servers: &Servers, setup: &Setup, client: &str) {
    let Setup { imap_tls, smtp_tls, authority, limits, provider } = setup;
    let imap_port = if *imap_tls == "implicit" { servers.imaps_port } else { servers.imap_port };
    let smtp_port = if *smtp_tls == "implicit" { servers.smtps_port } else { servers.submission_port };
    fs::write(dir.join("client-secret"), format!("{CLIENT_SECRET}\n")).unwrap();
    let text = format!(
        r#"state_dir = "state"
mappings = "mappings.toml"

[[listener]]
protocol = "imap"
bind = "127.0.0.1:0"
tls = "none"

[[listener]]
protocol = "smtp"
bind = "127.0.0.1:0"
tls = "none"

[limits]
{limits}

[app.contoso]
provider = "lab"
tenant = "{TENANT}"
client_id = "{client}"
secret = {{ file = "client-secret" }}

[provider.lab]
token_url = "{token_url}"
scopes = {{ application = ["https://outlook.office365.com/.default"] }}
imap = {{ host = "localhost", port = {imap_port}, tls = "{imap_tls}" }}
smtp = {{ host = "localhost", port = {smtp_port}, tls = "{smtp_tls}" }}
ca_file = "{ca_file}"
{provider}
"#,
        token_url = authority.token_url(),
        ca_file = servers.dir.join("ca.pem").display(),
    );
    fs::write(dir.join("footbridge.toml"), text).unwrap();
}

/// The hash that stands in the mappings, made as an operator makes it.
pub fn hash(password: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    let outcome =
        run_with(command.arg("hash-password").stdin(Stdio::piped()), password.as_bytes()).succeeded();
    outcome.text().trim().to_owned()
}
