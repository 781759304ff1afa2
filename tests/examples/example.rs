//! One example on its island: its files, the bridge on them, and mail programs.

use std::{fmt::Write as _, fs, path::PathBuf};

use footbridge::secret::Secret;
use toml::{Table, Value};

use crate::{
    harness::{
        authority::{Registration, TokenRequest},
        bridge::Bridge,
        cli::{Cli, Running},
        client::Client,
    },
    island::Island,
};

/// A letter, whose subject tells it from others.
pub fn letter(subject: &str) -> String {
    format!("From: Shop <shop@example.net>\r\nSubject: {subject}\r\n\r\nThe body of {subject}.\r\n")
}

/// An example that was copied to an island.
pub struct Example<'a> {
    pub island: &'a Island,
    pub folder: PathBuf,
    /// What the bridge finds in its environment.
    environment: Vec<(&'static str, &'static str)>,
}

impl<'a> Example<'a> {
    /// Copies an example, with hashes of the passwords `password-1`, `password-2` and so on in the order of the
    /// file, and has the mail server make the mailboxes that it names.
    pub fn copied(island: &'a Island, name: &str, environment: &[(&'static str, &'static str)]) -> Self {
        let folder = Island::folder(name);
        let text = |file: &str| fs::read_to_string(super::folder().join(name).join(file)).unwrap();
        fs::write(folder.join("footbridge.toml"), text("footbridge.toml")).unwrap();
        fs::write(folder.join("mappings.toml"), with_known_passwords(&text("mappings.toml"))).unwrap();
        let example = Self { island, folder, environment: environment.to_vec() };
        for account in example.tables("mappings.toml", "account") {
            example
                .mailboxes(&account)
                .iter()
                .for_each(|mailbox| island.exchange.mailboxes().create(mailbox));
        }
        example
    }

    /// A table of one of its files, as a list.
    fn tables(&self, file: &str, name: &str) -> Vec<Table> {
        let text = fs::read_to_string(self.folder.join(file)).unwrap();
        let Value::Array(tables) = text.parse::<Table>().unwrap().remove(name).unwrap() else {
            panic!("{name} of {file} is no list");
        };
        tables.into_iter().map(|table| table.as_table().unwrap().clone()).collect()
    }

    fn mailboxes(&self, account: &Table) -> Vec<String> {
        let key =
            ["mailboxes", "mailbox", "login"].into_iter().find(|key| account.contains_key(*key)).unwrap();
        let names = account[key].as_array().cloned().unwrap_or_else(|| vec![account[key].clone()]);
        let names = names.iter().map(|name| self.filled(name.as_str().unwrap()));
        names.filter(|name| name.contains('@')).collect()
    }

    /// A text with what stands in it for an environment variable.
    fn filled(&self, text: &str) -> String {
        let all = self.environment.iter();
        all.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    }

    /// The only app of the configuration, as a registration without credentials and with the ways to come back that `of` adds.
    pub fn registration(&self, of: impl FnOnce(Registration) -> Registration) {
        let text = fs::read_to_string(self.folder.join("footbridge.toml")).unwrap();
        let config: Table = text.parse().unwrap();
        let app = config["app"].as_table().unwrap().values().next().unwrap();
        let text = |key: &str| self.filled(app[key].as_str().unwrap());
        let registration = Registration::confidential(&text("client_id")).tenant(&text("tenant"));
        self.island.authority.register_app(of(registration));
    }

    /// Runs another subcommand to its end.
    pub fn run(&self, arguments: &[&str]) -> crate::harness::cli::Ended {
        Cli::run_with(&self.folder, arguments, &self.environment)
    }

    /// Starts another subcommand.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        Cli::spawn_with(&self.folder, arguments, &self.environment)
    }

    /// Checks the files and starts the bridge on them.
    pub fn serve(&self) -> Bridge {
        let checked = self.run(&["check"]).expect(0);
        assert!(!checked.stderr.contains("warning"), "{}", checked.stderr);
        Bridge::start_with(&self.folder, &[], &self.environment)
    }

    /// Has the person whom an account acts for consent in the browser, beside the running bridge.
    pub async fn consent(&self, login: &str) {
        let running = self.spawn(&["authorize", login, "--no-browser"]);
        let url = running.wait_for_stdout(|line| line.starts_with("https://"));
        let page = self.island.browser().open(&url).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let ended = running.wait().expect(0);
        assert!(ended.stdout.contains(&format!("{login}: authorized")), "{}", ended.stdout);
    }

    /// The only token request of a grant.
    pub fn only_request(&self, grant: &str) -> TokenRequest {
        let mut all = self.island.authority.token_requests();
        all.retain(|request| request.grant == grant);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

/// A text whose hashes are of `password-1`, `password-2` and so on.
fn with_known_passwords(text: &str) -> String {
    let mut known = String::new();
    let mut parts = text.split("\"$argon2id$");
    known.push_str(parts.next().unwrap());
    for (at, part) in parts.enumerate() {
        let password = Secret::new(format!("password-{}", at + 1));
        let (_, behind) = part.split_once('"').unwrap();
        let _ = write!(known, "\"{}\"{behind}", footbridge::account::hash(&password));
    }
    known
}

/// Logs in by IMAP and opens the inbox.
pub async fn imap(addr: &str, login: &str, password: &str) -> Client {
    let mut client = Client::connect(addr.parse().unwrap()).await;
    let reply = client.imap_login(login, password).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    client.say("s SELECT INBOX").await;
    client.until("s OK {…}").await;
    client
}

/// What IMAP says to a login that must not work.
pub async fn imap_refusal(addr: &str, login: &str, password: &str) -> String {
    let mut client = Client::connect(addr.parse().unwrap()).await;
    let reply = client.imap_login(login, password).await;
    assert!(reply.starts_with("in NO "), "{reply}");
    reply
}

/// The subjects of all messages of the inbox.
pub async fn subjects(client: &mut Client) -> Vec<String> {
    client.say("f FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").await;
    let lines = client.until("f {…}").await;
    let subjects = lines.iter().filter_map(|line| line.strip_prefix("Subject: "));
    subjects.map(str::to_owned).collect()
}

/// Logs in by SMTP and hands a letter in.
pub async fn send(addr: &str, login: &str, password: &str, from: &str) {
    let mut client = Client::connect(addr.parse().unwrap()).await;
    let reply = client.smtp_login(login, password).await;
    assert!(reply.starts_with("235 "), "{reply}");
    hand_in(&mut client, from).await;
}

/// Hands a letter in, where everything before MAIL was said.
pub async fn hand_in(client: &mut Client, from: &str) {
    client.say(&format!("MAIL FROM:<{from}>")).await;
    client.until("250 {…}").await;
    client.say("RCPT TO:<customer@example.net>").await;
    client.expect("250 {…}").await;
    client.say("DATA").await;
    client.expect("354 {…}").await;
    client.send(letter("an answer") + ".\r\n").await;
    client.expect("250 {…}").await;
    client.say("QUIT").await;
    client.expect("221 {…}").await;
}
