//! The console in a real browser: somebody is authorized, an account is tested, a session ended, with scripts and without.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use crate::browser::Browser;
use crate::home::{Home, Setup, login, mailbox, secret};
use crate::lab::PASSWORD;
use crate::servers::servers;

/// A home with a console, whose bridge serves.
pub struct Console {
    pub home: Home<'static>,
    /// Where the browser finds it.
    pub address: String,
}

impl Console {
    /// People who consent in the browser.
    pub fn of(client: &str, people: &[&str]) -> Self {
        Self::serving(Home::of(client, people))
    }

    /// One account that needs nobody.
    pub fn with_an_app(client: &str, account: &str) -> Self {
        let setup = Setup { credential: secret(), grant: "client_credentials", ..Setup::default() };
        Self::serving(Home::with(client, &[account], &setup))
    }

    /// A home that has its accounts.
    pub fn serving(home: Home<'static>) -> Self {
        Self::serving_with(home, "")
    }

    /// The same, with more lines in the console's table.
    fn serving_with(mut home: Home<'static>, more: &str) -> Self {
        let mut config =
            OpenOptions::new().append(true).open(home.dir.path().join("footbridge.toml")).unwrap();
        writeln!(config, "[console]\nbind = \"127.0.0.1:0\"\n{more}").unwrap();
        home.serve();
        let line = home.bridge().wait_for_log("the console", |line| line["message"] == "console");
        Self { home, address: line["url"].as_str().unwrap().to_owned() }
    }

    /// A browser that has signed in, and says what pages complain of.
    pub fn browser(&self, name: &str) -> Browser {
        let browser = Browser::start(name);
        browser.watches_policies();
        self.sign_in(&browser);
        browser
    }

    /// Signs in with the password.
    #[track_caller]
    pub fn sign_in(&self, browser: &Browser) {
        let password = fs::read_to_string(self.home.dir.path().join("state/console.password")).unwrap();
        browser.open(&format!("{}/login", self.address));
        browser.type_into("password", password.trim());
        browser.press("Sign in");
        browser.shows("Overview");
    }

    /// Opens the page of an account.
    #[track_caller]
    pub fn open_account(&self, browser: &Browser, login: &str) {
        browser.open(&format!("{}/account?login={login}", self.address));
        browser.shows("What to type into a mail program");
    }

    /// Checks that no page of the console has made the browser complain.
    #[track_caller]
    pub fn nothing_is_complained_of(&self, browser: &Browser) {
        assert_eq!(browser.complaints(&self.address), [""; 0]);
    }

    /// A mail program that has logged in by IMAP and stays.
    #[track_caller]
    pub fn stays(&self, login: &str) -> BufReader<TcpStream> {
        self.stays_with(login, PASSWORD)
    }

    /// The same with a password of its own.
    #[track_caller]
    pub fn stays_with(&self, login: &str, password: &str) -> BufReader<TcpStream> {
        let mut stream = BufReader::new(TcpStream::connect(self.home.bridge().addr("imap")).unwrap());
        write!(stream.get_mut(), "a LOGIN \"{login}\" \"{password}\"\r\n").unwrap();
        let mut line = String::new();
        while !line.starts_with("a ") {
            line.clear();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the connection ended");
        }
        assert!(line.starts_with("a OK "), "{line}");
        stream
    }
}

#[test]
fn a_person_is_authorized_and_the_account_is_seen_to_change_by_itself() {
    let person = "console-authorized";
    let console = Console::of("public-console-authorized", &[person]);
    let browser = console.browser("console-authorized");
    browser.open(&console.address);
    browser.shows("1 needs attention");
    console.open_account(&browser, &login(person));
    browser.shows("a person has to sign in");
    browser.press("Authorize in the browser");
    browser.sign_in(&mailbox(person));
    let page = browser.page_at(&console.address);
    assert!(page.text.contains("Authorized") && page.text.contains(&mailbox(person)), "{page:?}");
    console.open_account(&browser, &login(person));
    browser.shows("ready");
    browser.shows("none yet");
    browser.run("window.stays = true");
    console.home.lists(person);
    browser.shows("s ago");
    assert_eq!(browser.run("return window.stays"), true, "the page was not loaded again");
    browser.shows("Re-authorize in the browser");
    console.nothing_is_complained_of(&browser);
}

#[test]
fn a_console_that_speaks_https_is_used_like_any_other() {
    let account = "console-https";
    let files = servers().dir.display();
    let tls =
        format!("tls = \"implicit\"\ncertificate = \"{files}/server.pem\"\nkey = \"{files}/server.key\"");
    let setup = Setup { credential: secret(), grant: "client_credentials", ..Setup::default() };
    let console = Console::serving_with(Home::with("conf-console-https", &[account], &setup), &tls);
    assert!(console.address.starts_with("https://localhost:"), "{}", console.address);
    let browser = console.browser("console-https");
    console.open_account(&browser, &login(account));
    browser.press("Test this account");
    browser.shows("All is well: no hop failed.");
    browser.open(&format!("{}/sessions", console.address));
    browser.shows("Nobody is logged in.");
    let _session = console.stays(&login(account));
    // The page asks for itself again, by its script.
    browser.shows(&login(account));
    assert_eq!(browser.run("return [isSecureContext, document.cookie]"), serde_json::json!([true, ""]));
    browser.press("Sign out");
    browser.shows("Password of the console");
    console.nothing_is_complained_of(&browser);
}

#[test]
fn somebody_else_is_refused_in_plain_words_and_the_account_stays_as_it_was() {
    let person = "console-expected";
    let console = Console::of("public-console-other", &[person]);
    let browser = console.browser("console-other");
    console.open_account(&browser, &login(person));
    browser.press("Authorize in the browser");
    browser.sign_in("mallory@example.test");
    let page = browser.page_at(&console.address);
    for words in ["Not authorized", "mallory@example.test", &mailbox(person), "nothing was stored"] {
        assert!(page.text.contains(words), "no {words:?}: {page:?}");
    }
    console.open_account(&browser, &login(person));
    browser.shows("a person has to sign in");
    assert_eq!(console.home.stored(person), None);
}

#[test]
fn an_account_is_tested_live_to_the_arrival_of_a_message() {
    let account = "console-tested";
    let console = Console::with_an_app("conf-console-tested", account);
    let browser = console.browser("console-tested");
    console.home.authority.fault(&console.home.client, "hold", 1);
    console.open_account(&browser, &login(account));
    browser.type_into("send_to", &mailbox(account));
    browser.press("Test this account");
    browser.page_at(&format!("{}/doctor/", console.address));
    browser.shows("The test goes on.");
    browser.run("window.stays = true");
    console.home.asked("client_credentials", 1);
    console.home.authority.release(&console.home.client);
    let page = browser.shows("All is well: no hop failed.");
    for words in ["token says", "IMAP", "INBOX", "SMTP", "test message", "arrival", "in INBOX"] {
        assert!(page.text.contains(words), "no {words:?}: {page:?}");
    }
    assert_eq!(browser.run("return window.stays"), true, "the page was not loaded again");
    console.nothing_is_complained_of(&browser);
    let message = String::from_utf8(console.home.servers.only_message(&mailbox(account))).unwrap();
    assert!(message.contains("Subject: Footbridge test message fb"), "{message}");
}

#[test]
fn a_test_that_fails_says_what_to_do() {
    let account = "console-ill";
    let console = Console::with_an_app("conf-console-ill", account);
    let browser = console.browser("console-ill");
    console.home.authority.fault(&console.home.client, "invalid_client", 9);
    console.open_account(&browser, &login(account));
    browser.press("Test this account");
    let page = browser.shows("A hop failed.");
    assert!(page.text.contains("What to do:"), "{page:?}");
    console.nothing_is_complained_of(&browser);
}

#[test]
fn a_session_is_ended_by_a_button_and_the_page_of_sessions_follows_by_itself() {
    let account = "console-ended";
    let console = Console::with_an_app("conf-console-ended", account);
    let browser = console.browser("console-ended");
    browser.open(&format!("{}/sessions", console.address));
    browser.shows("Nobody is logged in.");
    let mut session = console.stays(&login(account));
    browser.shows(&login(account));
    browser.run("document.querySelector('a[href^=\"/sessions/end\"]').click()");
    browser.shows("End this session?");
    browser.press("End the session");
    browser.shows("The session is told to end.");
    browser.shows("Nobody is logged in.");
    let mut rest = String::new();
    while session.read_line(&mut rest).is_ok_and(|read| read > 0) {}
    console.nothing_is_complained_of(&browser);
}

#[test]
fn all_that_matters_is_done_without_scripts() {
    let person = "console-plain";
    let console = Console::of("public-console-plain", &[person]);
    let browser = Browser::start("console-plain");
    browser.runs_no_scripts();
    console.sign_in(&browser);
    browser.press("Accounts");
    browser.type_into("q", person);
    browser.press("Filter");
    browser.shows("1 to 1 of 1");
    browser.press(&login(person));
    browser.press("Authorize in the browser");
    browser.sign_in(&mailbox(person));
    browser.shows("Authorized");
    console.open_account(&browser, &login(person));
    browser.shows("ready");
    browser.press("Test this account");
    browser.shows("All is well: no hop failed.");
    browser.press("Sign out");
    browser.shows("Password of the console");
}

#[test]
fn an_address_that_the_browser_could_not_reach_is_pasted() {
    let person = "console-pasted";
    let console = Console::of("public-console-pasted", &[person]);
    let browser = console.browser("console-pasted");
    console.open_account(&browser, &login(person));
    browser.press("Authorize in the browser");
    browser.shows("Next");
    console.open_account(&browser, &login(person));
    browser.press("The sign-in that was begun here last");
    browser.shows("The address that the browser ended at");
    let url = browser.run("return document.querySelector('main a.primary').href");
    // Another browser signs in, on another machine: it ends at an address that leads nowhere there.
    let landed = console.home.authority.sign_in(url.as_str().unwrap(), &mailbox(person));
    browser.type_into("address", "http://localhost/?state=other&code=other");
    browser.press("That is the address");
    browser.shows("this sign-in is unknown here");
    browser.type_into("address", &landed);
    browser.press("That is the address");
    browser.shows("Authorized");
    console.home.lists(person);
    assert_eq!(browser.complaints(&console.address).len(), 1, "the address that was none");
}
