//! A bridge for people who sign in: its folder outlives it, so that a test can end it and start it again.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use footbridge::clock::{Clock as _, System};
use footbridge::store::{Record, Store};
use serde_json::Value;
use tempfile::TempDir;

use crate::authority::{Authority, Count};
use crate::bridge::Bridge;
use crate::cli::{Cli, Ended, Running};
use crate::clients::{Outcome, eventually, file, run};
use crate::lab::{PASSWORD, curl_as, hash};
use crate::message::{sha256, tricky};
use crate::servers::{CLIENT_SECRET, Servers, TENANT, servers};

/// How a test's home differs from the usual one.
pub struct Setup<'a> {
    pub authority: &'a Authority,
    /// The lines by which the application proves itself; none where it is a public one.
    pub credential: String,
    /// How the accounts get their tokens.
    pub grant: &'a str,
    /// What stands under `[limits]`.
    pub limits: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        let authority = &servers().authority;
        Self { authority, credential: String::new(), grant: "authorization_code", limits: "" }
    }
}

/// A folder with a configuration, and the bridge on it while there is one.
///
/// Its people are known by a name of one word that no other test uses: see [`login`] and [`mailbox`].
pub struct Home<'a> {
    pub servers: &'static Servers,
    pub authority: &'a Authority,
    /// The application as which the bridge asks for tokens: no other test counts on it.
    pub client: String,
    pub dir: TempDir,
    bridge: Option<Bridge>,
}

/// With what somebody's mail program logs in.
pub fn login(person: &str) -> String {
    format!("{person}@legacy.test")
}

/// The mailbox that this opens, and who has to sign in for that.
pub fn mailbox(person: &str) -> String {
    format!("{person}@example.test")
}

/// What a client that shows [`CLIENT_SECRET`] has in its configuration.
pub fn secret() -> String {
    "secret = { file = \"client-secret\" }".to_owned()
}

impl Home<'static> {
    /// The usual home: a public client, people who consent in a browser. No bridge yet.
    pub fn of(client: &str, people: &[&str]) -> Self {
        Home::with(client, people, &Setup::default())
    }
}

impl<'a> Home<'a> {
    pub fn with(client: &str, people: &[&str], setup: &Setup<'a>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers = servers();
        fs::write(dir.path().join("client-secret"), format!("{CLIENT_SECRET}\n")).unwrap();
        fs::write(dir.path().join("footbridge.toml"), configuration(servers, setup, client)).unwrap();
        let authority = setup.authority;
        let home = Self { servers, authority, client: client.to_owned(), dir, bridge: None };
        home.write_accounts(&people.iter().map(|person| (*person, setup.grant)).collect::<Vec<_>>());
        home
    }

    /// Writes the mappings anew: people, each with the grant of their account.
    pub fn write_accounts(&self, accounts: &[(&str, &str)]) {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| hash(PASSWORD));
        let text = accounts.iter().fold(String::new(), |mut text, (person, grant)| {
            let [login, mailbox] = [login(person), mailbox(person)];
            writeln!(
                text,
                "[[account]]\nlogin = \"{login}\"\npassword = \"{hash}\"\nmailbox = \"{mailbox}\"\n\
                 app = \"people\"\ngrant = \"{grant}\"\n"
            )
            .unwrap();
            text
        });
        fs::write(self.dir.path().join("mappings.toml"), text).unwrap();
    }

    /// Starts the bridge, and waits until it is ready.
    pub fn serve(&mut self) {
        assert!(self.bridge.is_none(), "there is one already");
        self.bridge = Some(Bridge::start(self.dir.path()));
    }

    /// Ends the bridge as a service manager does.
    #[track_caller]
    pub fn end(&mut self) {
        assert!(self.bridge.take().unwrap().terminate().0.success());
    }

    /// Ends the bridge as a power cut does.
    pub fn kill(&mut self) {
        drop(self.bridge.take().unwrap());
    }

    pub fn bridge(&self) -> &Bridge {
        self.bridge.as_ref().expect("a bridge serves")
    }

    /// curl as somebody's mail program, at the inbox or what is in it.
    pub fn curl_imap(&self, person: &str, rest: &str) -> Command {
        let mut curl = curl_as(&login(person), PASSWORD);
        curl.arg(format!("imap://127.0.0.1:{}/{rest}", self.bridge().addr("imap").port()));
        curl
    }

    /// curl as somebody's mail program, at the door for mail.
    pub fn curl_smtp(&self, person: &str) -> Command {
        let mut curl = curl_as(&login(person), PASSWORD);
        curl.arg(format!("smtp://127.0.0.1:{}/client.example.test", self.bridge().addr("smtp").port()));
        curl
    }

    /// Lists the folders of somebody's mailbox.
    #[track_caller]
    pub fn lists(&self, person: &str) {
        let listed = run(&mut self.curl_imap(person, "")).succeeded().text();
        assert!(listed.contains("INBOX"), "{listed}");
    }

    /// Sends somebody a message from themselves, and sees it arrive unchanged. Once for each person.
    #[track_caller]
    pub fn sends(&self, person: &str) {
        let (message, mailbox) = (tricky(person), mailbox(person));
        let file = file(&message);
        let mut curl = self.curl_smtp(person);
        run(curl.args(["--mail-from", &mailbox, "--mail-rcpt", &mailbox, "-T"]).arg(file.path())).succeeded();
        assert_eq!(sha256(&self.servers.only_message_as_sent(&mailbox)), sha256(&message));
    }

    /// What curl meets that is not let in, by IMAP and by SMTP, with the words of the bridge.
    #[track_caller]
    pub fn refused(&self, person: &str) -> [Outcome; 2] {
        let curls = [self.curl_imap(person, ""), self.curl_smtp(person)];
        curls.map(|mut curl| {
            let outcome = run(curl.args(["-v", "-X", "NOOP"]));
            assert_ne!(outcome.code, 0, "{outcome}");
            outcome
        })
    }

    /// That both protocols ask for consent, with these words and with the command.
    #[track_caller]
    pub fn asks_for_consent(&self, person: &str, words: &str) {
        let command = format!("footbridge authorize {}", login(person));
        for (outcome, word) in self.refused(person).iter().zip(["NO [CONTACTADMIN] ", "< 454 4.7.0 "]) {
            let said = outcome.said();
            let line = said.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{outcome}"));
            assert!(line.contains(words) && line.contains(&command), "{line}");
        }
    }

    /// `footbridge authorize`, and the address that it prints.
    #[track_caller]
    pub fn authorize(&self, person: &str) -> (Running, String) {
        let running = Cli::spawn(self.dir.path(), ["authorize", &login(person), "--no-browser"]);
        let url = running.wait_for_stdout(|line| line.starts_with("https://"));
        (running, url)
    }

    /// `footbridge authorize --device`, and the page and the code that it prints.
    #[track_caller]
    pub fn authorize_device(&self, person: &str, arguments: &[&str]) -> (Running, String, String) {
        let login = login(person);
        let running = Cli::spawn(self.dir.path(), ["authorize", &login].iter().chain(arguments));
        let line = running.wait_for_stdout(|line| line.starts_with("Open https://"));
        let page = line.split(' ').nth(1).unwrap().to_owned();
        let is_code = |line: &str| line.starts_with("    ") && !line.trim().is_empty() && line.is_ascii();
        let code = running.wait_for_stdout(is_code).trim().to_owned();
        (running, page, code)
    }

    /// Somebody consents, by curl in the place of a browser.
    #[track_caller]
    pub fn consent(&self, person: &str) {
        let (running, url) = self.authorize(person);
        let landed = self.authority.sign_in(&url, &mailbox(person));
        let (status, page) = self.authority.get(&landed);
        assert!(status == 200 && page.contains("Authorized"), "{status} {page}");
        let ended = running.wait().expect(0);
        assert!(ended.stdout.contains(": authorized"), "{ended:?}");
    }

    /// These people consent, and then so much time passes that their access tokens have expired. Later ones live an hour.
    #[track_caller]
    pub fn consented_long_ago(&self, people: &[&str]) {
        assert!(self.bridge.is_none(), "it would renew them");
        self.authority.tokens(&self.client, 1, 0);
        for person in people {
            self.consent(person);
        }
        self.outlive(people);
        self.authority.tokens(&self.client, 3600, 0);
    }

    /// Waits until the access tokens that are kept for these people have expired.
    #[track_caller]
    pub fn outlive(&self, people: &[&str]) {
        for person in people {
            let expires_at = self.kept(person).access.expect("an access token").expires_at;
            let over = || (now() > expires_at).then_some(());
            eventually(|| format!("the token of {person} to expire"), over);
        }
    }

    /// What is kept for somebody.
    #[track_caller]
    pub fn kept(&self, person: &str) -> Record {
        self.stored(person).unwrap_or_else(|| panic!("nothing is kept for {person}"))
    }

    /// What is kept for somebody, if anything is.
    pub fn stored(&self, person: &str) -> Option<Record> {
        let store = Store::open_existing(&self.dir.path().join("state"), &[]).unwrap()?;
        let all = store.all().unwrap();
        all.into_iter().map(|(_, record)| record).find(|record| record.account == mailbox(person))
    }

    /// What `footbridge accounts --json` says of somebody.
    #[track_caller]
    pub fn account(&self, person: &str) -> Value {
        let rows = self.run(&["accounts", "--json"]).json();
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["login"] == login(person)).unwrap_or_else(|| panic!("{rows:?}")).clone()
    }

    /// Another subcommand on the same configuration.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Cli::run(self.dir.path(), arguments)
    }

    /// What the authority was asked for this home with a grant.
    pub fn count(&self, grant: &str) -> Count {
        self.authority.count_of(&self.client, grant)
    }

    /// Waits until so many requests with a grant have come.
    #[track_caller]
    pub fn asked(&self, grant: &str, requests: u32) {
        self.counts(grant, &format!("{requests} requests"), |count| count.requests >= requests);
    }

    /// Waits until so many tokens were issued for a grant.
    #[track_caller]
    pub fn issued(&self, grant: &str, tokens: u32) {
        self.counts(grant, &format!("{tokens} tokens"), |count| count.tokens >= tokens);
    }

    #[track_caller]
    fn counts(&self, grant: &str, what: &str, enough: impl Fn(Count) -> bool) {
        eventually(
            || format!("{what} with {grant}; there were {:?}", self.count(grant)),
            || enough(self.count(grant)).then_some(()),
        );
    }
}

impl Drop for Home<'_> {
    fn drop(&mut self) {
        if let Some(bridge) = self.bridge.as_ref().filter(|_| std::thread::panicking()) {
            eprintln!("the bridge's log:\n{}", bridge.log());
        }
    }
}

fn now() -> SystemTime {
    System.now()
}

fn configuration(servers: &Servers, setup: &Setup, client: &str) -> String {
    let Setup { authority, credential, limits, .. } = setup;
    format!(
        r#"state_dir = "state"
mappings = "mappings.toml"

[[listener]]
protocol = "imap"
bind = "127.0.0.1:0"

[[listener]]
protocol = "smtp"
bind = "127.0.0.1:0"

[limits]
{limits}

[app.people]
provider = "lab"
tenant = "{TENANT}"
client_id = "{client}"
{credential}

[provider.lab]
token_url = "{token_url}"
authorize_url = "{authorize_url}"
device_url = "{device_url}"
imap = {{ host = "localhost", port = {imap}, tls = "implicit" }}
smtp = {{ host = "localhost", port = {smtp}, tls = "starttls" }}
ca_file = "{ca_file}"

[provider.lab.scopes]
application = ["https://outlook.office365.com/.default"]
delegated = ["https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"]
"#,
        token_url = authority.token_url(),
        authorize_url = authority.authorize_url(),
        device_url = authority.device_url(),
        imap = servers.imaps_port,
        smtp = servers.submission_port,
        ca_file = servers.dir.join("ca.pem").display(),
    )
}
