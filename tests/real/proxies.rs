//! Mail and tokens by way of proxies that other people wrote: tinyproxy (HTTP CONNECT) and microsocks (SOCKS5).

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::clients::{Running, command, eventually, file, run};
use crate::lab::{Lab, Setup};
use crate::message::{sha256, tricky};
use crate::servers::free_ports;

/// What a proxy may want to be shown.
const CREDENTIALS: (&str, &str) = ("footbridge", "proxy-Passw0rd");

/// A proxy, ended when this is dropped.
struct Proxy {
    running: Running,
    scheme: &'static str,
    port: u16,
    guarded: bool,
    dir: TempDir,
}

impl Proxy {
    fn start(scheme: &'static str, guarded: bool) -> Self {
        let (dir, [port]) = (tempfile::tempdir().unwrap(), free_ports());
        let mut program = match scheme {
            "http" => tinyproxy(dir.path(), port, guarded),
            _ => microsocks(port, guarded),
        };
        let log = fs::File::create(dir.path().join("stderr.log")).unwrap();
        let running = Running::start(program.stderr(log));
        let proxy = Self { running, scheme, port, guarded, dir };
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        eventually(|| format!("{scheme} proxy to listen; its log:\n{}", proxy.log()), listens);
        proxy
    }

    /// Its URL as it is shown to people.
    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The line of the configuration that leads to it.
    fn line(&self) -> String {
        let (user, password) = CREDENTIALS;
        let credentials = if self.guarded { format!("{user}:{password}@") } else { String::new() };
        format!("outbound_proxy = \"{}://{credentials}127.0.0.1:{}\"", self.scheme, self.port)
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("tinyproxy.log") + &read("stderr.log")
    }
}

fn tinyproxy(dir: &Path, port: u16, guarded: bool) -> Command {
    let config = dir.join("tinyproxy.conf");
    let (user, password) = CREDENTIALS;
    let guard = if guarded { format!("BasicAuth {user} {password}\n") } else { String::new() };
    let log = dir.join("tinyproxy.log");
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nLogLevel Connect\nLogFile \"{}\"\n{guard}",
        log.display()
    );
    fs::write(&config, text).unwrap();
    let mut tinyproxy = command("tinyproxy");
    tinyproxy.arg("-d").arg("-c").arg(config).stdout(Stdio::null());
    tinyproxy
}

fn microsocks(port: u16, guarded: bool) -> Command {
    let mut microsocks = command("microsocks");
    microsocks.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
    if guarded {
        microsocks.args(["-u", CREDENTIALS.0, "-P", CREDENTIALS.1]);
    }
    microsocks
}

#[test]
fn a_message_is_sent_and_read_by_way_of_either_proxy() {
    for (scheme, guarded) in [("http", false), ("http", true), ("socks5", false), ("socks5", true)] {
        let proxy = Proxy::start(scheme, guarded);
        let name = format!("{scheme}-{}", if guarded { "guarded" } else { "open" });
        let line = proxy.line();
        let lab = Lab::with(&name, &Setup { provider: &line, ..Setup::default() });
        let message = tricky(&name);
        let file = file(&message);
        run(&mut lab.curl_send(file.path())).succeeded();
        assert_eq!(sha256(&lab.servers.only_message_as_sent(&lab.mailbox)), sha256(&message), "{name}");
        let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
        assert_eq!(sha256(&fetched), sha256(&lab.servers.only_message(&lab.mailbox)), "{name}");
        let servers = lab.servers;
        for port in [servers.imaps_port, servers.submission_port, servers.authority.port()] {
            let target = format!("localhost:{port}");
            assert!(proxy.log().contains(&target), "{target} is asked for: {}", proxy.log());
        }
        assert!(!lab.bridge.log().contains(CREDENTIALS.1), "{name}");
    }
}

#[test]
fn a_proxy_that_refuses_or_is_gone_is_told_as_the_trouble() {
    for scheme in ["http", "socks5"] {
        let mut proxy = Proxy::start(scheme, true);
        // Without the credentials that it wants.
        let line = format!("outbound_proxy = \"{}\"", proxy.url());
        let limits = "login_timeout = \"2s\"";
        let lab =
            Lab::with(&format!("{scheme}-refused"), &Setup { provider: &line, limits, ..Setup::default() });
        let told = run(lab.curl().arg("-v").arg(lab.imap_url(""))).said();
        let refusal = format!("proxy {} refuses the user and password, or wants some", proxy.url());
        assert!(told.contains(&refusal), "{told}");

        proxy.running.end();
        let told = run(lab.curl().arg("-v").arg(lab.imap_url(""))).said();
        let gone = format!("proxy {} cannot be reached", proxy.url());
        assert!(told.contains(&gone), "{told}");
    }
}
