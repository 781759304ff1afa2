//! The authorization server, and the tests' hold on it: what it was asked, what goes wrong with it, whether it runs.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::certificates::make_application_certificate;
use crate::clients::{command, here, run};
use crate::servers::{CLIENT_SECRET, TENANT, free_ports, guardian, packages, wait_for_ports};

/// The `grant_type` of who asks whether a device code is approved (RFC 8628 §3.4).
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// An authorization server. Each has the same name and key, so that the upstream takes the tokens of each.
///
/// It knows every application; what one may do is told by how its id begins: `public-`, `conf-` and `jwt-` sign users in, without a
/// secret, with [`CLIENT_SECRET`], with the key of a certificate; all but `public-` ask for themselves too; any other id is of one
/// that asks for itself with [`CLIENT_SECRET`]. It knows every user: see [`Authority::sign_in`].
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

impl From<String> for Count {
    fn from(answer: String) -> Self {
        let mut numbers = answer.split_whitespace().map(|number| number.parse().unwrap());
        Self { requests: numbers.next().unwrap(), tokens: numbers.next().unwrap() }
    }
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

    /// Starts the process again, on the same ports, with the same key, grants, refresh tokens and settings. Counts and faults
    /// begin anew.
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The token endpoint, as a bridge's configuration has it.
    pub fn token_url(&self) -> String {
        self.endpoint("token")
    }

    /// The authorization endpoint, as a bridge's configuration has it. Takes the redirects `http://localhost`,
    /// `http://localhost/`, and the same of `127.0.0.1`, at any port.
    pub fn authorize_url(&self) -> String {
        self.endpoint("authorize")
    }

    /// The device authorization endpoint, as a bridge's configuration has it.
    pub fn device_url(&self) -> String {
        self.endpoint("devicecode")
    }

    fn endpoint(&self, name: &str) -> String {
        format!("{}/{{tenant}}/oauth2/v2.0/{name}", self.origin())
    }

    /// With what all its addresses begin.
    pub fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate of every `jwt-` application that has none of its own.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("app.crt")
    }

    /// The private key of [`Authority::certificate`], PKCS #8.
    pub fn certificate_key(&self) -> PathBuf {
        self.dir.join("app.key")
    }

    /// Registers a new certificate for one `jwt-` application, in place of any before. Returns it and its private key.
    pub fn new_certificate(&self, client: &str) -> (PathBuf, PathBuf) {
        make_application_certificate(&self.dir, client)
    }

    /// Where the authority's own certificate authority lies, for who wants to trust it.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The token requests of an application since the authority started.
    pub fn count(&self, client: &str) -> Count {
        Count::from(self.control(format_args!("count?client={client}")))
    }

    /// As [`Authority::count`], of one `grant_type`: `refresh_token`, `authorization_code`, `client_credentials`,
    /// [`DEVICE_GRANT`]; or of the requests for device codes: `devicecode`, which are no token requests.
    pub fn count_of(&self, client: &str, grant: &str) -> Count {
        Count::from(self.control(format_args!("count?client={client}&grant={grant}")))
    }

    /// Makes the next `times` requests of an application, to the token or the device code endpoint, fail: `503`, `429`,
    /// `garbage`, `reset`; wait: `hold`; be carried out but not answered: `lose`; or be refused with an OAuth error, whose
    /// word `kind` is then: `invalid_grant`, ...
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

    /// Whether an application's refresh token stays good when it has been used, as Entra's do. If not, which is so at first, the
    /// second use of one ends all that came of the user's consent.
    pub fn keep_old_tokens(&self, client: &str, keep: bool) {
        self.control(format_args!("rotation?client={client}&on={}", u8::from(!keep)));
    }

    /// How many seconds apart an application may ask whether its device code is approved (1 at first; who asks more often hears
    /// `slow_down`), and how many seconds its device codes live (900 at first).
    pub fn device_codes(&self, client: &str, interval: u32, lifetime: u32) {
        self.control(format_args!("device?client={client}&interval={interval}&lifetime={lifetime}"));
    }

    /// Ends what a user granted, to any application: refresh tokens meet `invalid_grant`. Returns how many grants that were.
    pub fn revoke(&self, user: &str) -> u32 {
        self.control(format_args!("revoke?user={user}")).parse().unwrap()
    }

    /// What one of its endpoints, named as in a bridge's configuration, answers to a form.
    #[track_caller]
    pub fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Value {
        let mut curl = command("curl");
        curl.args(["-sS", "--cacert"]).arg(self.ca()).arg(endpoint.replace("{tenant}", TENANT));
        for (name, value) in form {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let outcome = run(&mut curl).succeeded();
        serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
    }

    /// A token, asked for as any program would.
    #[track_caller]
    pub fn token(&self, client: &str) -> String {
        let reply = self.post(
            &self.token_url(),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client),
                ("client_secret", CLIENT_SECRET),
                ("scope", "https://outlook.office365.com/.default"),
            ],
        );
        reply["access_token"].as_str().unwrap_or_else(|| panic!("no token: {reply}")).to_owned()
    }

    fn control(&self, request: impl Display) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control_port)).unwrap();
        write!(stream, "GET /{request} HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split_once("\r\n\r\n").expect("an HTTP reply").1.to_owned()
    }
}
