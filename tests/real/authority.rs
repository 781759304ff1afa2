//! The authorization server, and the tests' hold on it: what it was asked, what goes wrong with it, whether it runs.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use crate::clients::{command, here, run};
use crate::servers::{CLIENT_SECRET, TENANT, free_ports, guardian, packages, wait_for_ports};

/// An authorization server. Each has the same name and key, so that the upstream takes the tokens of each.
pub struct Authority {
    name: String,
    dir: PathBuf,
    port: u16,
    control_port: u16,
}

/// What an application asked of an authority.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Count {
    /// How many token requests arrived.
    pub requests: u32,
    /// To how many of them the answer was a token.
    pub tokens: u32,
}

impl Authority {
    pub fn start(name: &str, dir: &Path) -> Self {
        let [port, control_port] = free_ports();
        let authority = Self { name: name.to_owned(), dir: dir.to_owned(), port, control_port };
        authority.restart();
        authority
    }

    /// Ends the process: nothing listens any more, and what was under way is cut.
    pub fn stop(&self) {
        guardian(&self.dir).stop(&self.name);
    }

    /// Starts the process again, on the same ports and with the same key.
    pub fn restart(&self) {
        let script = here().join("authority.mjs");
        let [script, packages, dir] = [&script, packages(), &self.dir].map(|path| path.to_str().unwrap());
        let [tenant, secret] = [format!("TENANT={TENANT}"), format!("CLIENT_SECRET={CLIENT_SECRET}")];
        let [port, control_port] = [self.port, self.control_port].map(|port| port.to_string());
        guardian(&self.dir).start(
            &self.name,
            &["env", &tenant, &secret, "node", script, packages, dir, &port, &control_port],
        );
        wait_for_ports(&self.dir, &self.name, &[self.port, self.control_port]);
    }

    /// The token endpoint, as a bridge's configuration has it.
    pub fn token_url(&self) -> String {
        format!("https://localhost:{}/{{tenant}}/oauth2/v2.0/token", self.port)
    }

    pub fn count(&self, client: &str) -> Count {
        let answer = self.control(format_args!("count?client={client}"));
        let mut numbers = answer.split_whitespace().map(|number| number.parse().unwrap());
        Count { requests: numbers.next().unwrap(), tokens: numbers.next().unwrap() }
    }

    /// Makes the next `times` token requests of an application fail: `503`, `429`, `garbage`, `reset`; or wait: `hold`.
    pub fn fault(&self, client: &str, kind: &str, times: u32) {
        self.control(format_args!("fault?client={client}&kind={kind}&times={times}"));
    }

    /// Answers the requests that wait.
    pub fn release(&self, client: &str) {
        self.control(format_args!("release?client={client}"));
    }

    /// How many seconds an application's tokens live, and by how many characters they are longer than needed.
    pub fn tokens(&self, client: &str, lifetime: u32, padding: u32) {
        self.control(format_args!("tokens?client={client}&lifetime={lifetime}&padding={padding}"));
    }

    /// A token, asked for as any program would.
    pub fn token(&self, client: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={CLIENT_SECRET}\
             &scope=https://outlook.office365.com/.default"
        );
        let mut curl = command("curl");
        curl.args(["-sS", "--cacert"]).arg(self.dir.join("ca.pem")).args(["--data", &form]);
        let outcome = run(curl.arg(self.token_url().replace("{tenant}", TENANT))).succeeded();
        let reply: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
        reply["access_token"].as_str().unwrap_or_else(|| panic!("no token: {outcome}")).to_owned()
    }

    fn control(&self, request: impl Display) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control_port)).unwrap();
        write!(stream, "GET /{request} HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split_once("\r\n\r\n").expect("an HTTP reply").1.to_owned()
    }
}
