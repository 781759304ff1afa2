//! The bridge that all the programs use: a listener of each kind, and an account for each case.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::cases::{Case, PASSWORD, WIDE_PASSWORD};
use super::errand::{Done, Errand, Protocol, Tls};
use crate::bridge::Bridge;
use crate::certificates::make_certificates;
use crate::clients::eventually;
use crate::lab::hash;
use crate::servers::{CLIENT_SECRET, Servers, TENANT, servers};

pub struct House {
    pub servers: &'static Servers,
    bridge: Bridge,
    listeners: Vec<Listener>,
    /// An authority that signed nothing here.
    pub strangers_ca: PathBuf,
    /// The authority that signed the bridge's certificate.
    pub ca: PathBuf,
    _dir: TempDir,
}

struct Listener {
    protocol: Protocol,
    tls: Tls,
    port: u16,
}

impl House {
    pub fn start(cases: &[Case]) -> Self {
        let servers = servers();
        let dir = tempfile::tempdir().unwrap();
        let strangers = dir.path().join("strangers");
        fs::create_dir(&strangers).unwrap();
        make_certificates(&strangers);
        let kinds = kinds(cases);
        fs::write(dir.path().join("client-secret"), CLIENT_SECRET).unwrap();
        fs::write(dir.path().join("footbridge.toml"), configuration(servers, &kinds)).unwrap();
        fs::write(dir.path().join("mappings.toml"), mappings(cases)).unwrap();
        let bridge = Bridge::start(dir.path());
        let listeners = listeners(&bridge, &kinds);
        let [strangers_ca, ca] = [strangers, servers.dir.clone()].map(|folder| folder.join("ca.pem"));
        Self { servers, bridge, listeners, strangers_ca, ca, _dir: dir }
    }

    /// What a case's program is to do. `purpose` tells two errands of one case apart.
    pub fn errand<'a>(&self, case: &'a Case, purpose: &str, ca: &'a Path, message: &'a [u8]) -> Errand<'a> {
        // Not in a folder of this process, whose owner may not remove what Postfix writes.
        let dir = self.servers.dir.join("programs").join(format!("{}-{purpose}", case.slug));
        fs::create_dir_all(&dir).unwrap();
        let wanted = (case.program.protocol, case.tls);
        let listener = self.listeners.iter().find(|listener| (listener.protocol, listener.tls) == wanted);
        Errand {
            dir,
            protocol: case.program.protocol,
            tls: case.tls,
            port: listener.unwrap().port,
            ca,
            login: &case.login,
            password: case.program.password,
            mailbox: &case.mailbox,
            message,
        }
    }

    /// Waits until the bridge has told of a wrong password of this case.
    pub fn refused(&self, case: &Case) {
        let tells = |line: &str| line.contains(&case.login) && line.contains("wrong_password");
        let look = || self.bridge.log().lines().any(tells).then_some(());
        eventually(|| format!("the refusal of {}", case.login), look);
    }

    /// Whether the case's program came through the bridge, and over TLS where that is the case.
    pub fn saw(&self, case: &Case) -> Done<()> {
        let closed = eventually(
            || format!("the end of the session of {}", case.login),
            || self.bridge.log().lines().find_map(|line| end_of_session(line, &case.login)),
        );
        let encrypted = closed["client.tls"].is_string();
        if encrypted == (case.tls != Tls::None) { Ok(()) } else { Err(format!("not as meant: {closed}")) }
    }

    /// What the bridge logged of the case's sessions.
    pub fn log_of(&self, case: &Case) -> String {
        let log = self.bridge.log();
        let session = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some(line["span"]["session.id"].as_str()?.to_owned())
        };
        let ours: Vec<String> =
            log.lines().filter(|line| line.contains(&case.login)).filter_map(session).collect();
        let told = log.lines().filter(|line| session(line).is_some_and(|id| ours.contains(&id)));
        told.collect::<Vec<_>>().join("\n")
    }
}

/// The line that ends a session which reached its mailbox, if this is one. How it ended is not asked: some programs hang up before
/// they have read the goodbye.
fn end_of_session(line: &str, login: &str) -> Option<Value> {
    let line: Value = line.contains(login).then(|| serde_json::from_str(line).ok())??;
    (line["message"] == "session closed" && line["phase"] == "relay" && line["login"] == login)
        .then_some(line)
}

/// The kinds of listeners that the cases need.
fn kinds(cases: &[Case]) -> Vec<(Protocol, Tls)> {
    let all = Protocol::ALL.iter().flat_map(|protocol| Tls::ALL.map(|tls| (*protocol, tls)));
    all.filter(|kind| cases.iter().any(|case| (case.program.protocol, case.tls) == *kind)).collect()
}

/// Which port each listener was given: they open in the order in which they are configured.
fn listeners(bridge: &Bridge, kinds: &[(Protocol, Tls)]) -> Vec<Listener> {
    let lines = bridge.wait_for_logged("listening", kinds.len());
    let pairs = kinds.iter().zip(lines);
    pairs
        .map(|(&(protocol, tls), line)| {
            assert_eq!(line["protocol"], protocol.name());
            let port = line["listener.addr"].as_str().unwrap().rsplit(':').next().unwrap();
            Listener { protocol, tls, port: port.parse().unwrap() }
        })
        .collect()
}

fn configuration(servers: &Servers, kinds: &[(Protocol, Tls)]) -> String {
    let mut text = "state_dir = \"state\"\nmappings = \"mappings.toml\"\n".to_owned();
    for (protocol, tls) in kinds {
        let [protocol, name] = [protocol.name(), tls.name()];
        writeln!(text, "\n[[listener]]\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\ntls = \"{name}\"")
            .unwrap();
        let folder = servers.dir.display();
        if *tls != Tls::None {
            writeln!(text, "certificate = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"").unwrap();
        }
        if *tls == Tls::StartTls {
            // A program that goes on without TLS does not get in.
            text.push_str("require_tls = true\n");
        }
    }
    let pop3 = if kinds.iter().any(|(protocol, _)| *protocol == Protocol::Pop3) {
        format!("pop3 = {{ host = \"localhost\", port = {}, tls = \"implicit\" }}", servers.pop3s_port)
    } else {
        String::new()
    };
    write!(
        text,
        r#"
[app.contoso]
provider = "lab"
tenant = "{TENANT}"
client_id = "programs"
secret = {{ file = "client-secret" }}

[provider.lab]
token_url = "{}"
scopes = {{ application = ["https://outlook.office365.com/.default"] }}
imap = {{ host = "localhost", port = {}, tls = "implicit" }}
smtp = {{ host = "localhost", port = {}, tls = "starttls" }}
{pop3}
ca_file = "{}"
"#,
        servers.authority.token_url(),
        servers.imaps_port,
        servers.submission_port,
        servers.dir.join("ca.pem").display(),
    )
    .unwrap();
    text
}

fn mappings(cases: &[Case]) -> String {
    let [narrow, wide] = [PASSWORD, WIDE_PASSWORD].map(hash);
    let accounts = cases.iter().map(|case| {
        let password = if case.program.password == PASSWORD { &narrow } else { &wide };
        format!(
            "[[account]]\nlogin = \"{}\"\npassword = \"{password}\"\nmailbox = \"{}\"\n\
             app = \"contoso\"\ngrant = \"client_credentials\"\n",
            case.login, case.mailbox,
        )
    });
    accounts.collect()
}
