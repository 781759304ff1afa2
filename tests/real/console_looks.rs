//! How the console's pages are: for eyes, hands and screen readers, on screens of any width, in the light and in the dark.

use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::clients::{command, here, run, run_with};
use crate::console::Console;
use crate::home::{Home, Setup, secret};
use crate::lab::{curl_as, hash};
use crate::servers::packages;

/// The client that serves accounts of the app and of people; where a sign-in leads is nobody's concern here.
const CLIENT: &str = "conf-console-looks";

/// Whose names are long, and whose are ordinary.
pub const SCANNER: &str = "scanner@contoso.example";
pub const ANNA: &str = "anna@contoso.example";
pub const BEN: &str = "ben@contoso.example";
const LONG: &str = "invoices-and-reminders-of-the-accounting-department@subsidiary.contoso.example";

const PASSWORD: &str = "correct horse";

/// A console that has something of everything to show: a session, a chart, accounts that are well and that are not.
pub struct House {
    pub console: Console,
    _sessions: Vec<Box<dyn std::any::Any>>,
}

impl House {
    pub fn new(client: &str) -> Self {
        let setup =
            Setup { credential: format!("{}\nsecret_expires = {}", secret(), soon()), ..Setup::default() };
        let home = Home::with(client, &[], &setup);
        let accounts = [
            (SCANNER, "client_credentials"),
            (ANNA, "authorization_code"),
            (BEN, "device_code"),
            (LONG, "client_credentials"),
        ];
        let hash = hash(PASSWORD);
        let account = |(login, grant): (&str, &str)| {
            format!(
                "[[account]]\nlogin = \"{login}\"\npassword = \"{hash}\"\napp = \"people\"\ngrant = \"{grant}\"\n\n"
            )
        };
        fs::write(home.dir.path().join("mappings.toml"), accounts.map(account).concat()).unwrap();
        let console = Console::serving(home);
        let sessions: Vec<Box<dyn std::any::Any>> =
            [SCANNER, SCANNER, LONG].map(|login| Box::new(console.stays_with(login, PASSWORD)) as _).into();
        for (login, password) in [(ANNA, PASSWORD), (BEN, PASSWORD), (SCANNER, "an old one")] {
            let url = format!("imap://127.0.0.1:{}/", console.home.bridge().addr("imap").port());
            assert_ne!(run(curl_as(login, password).arg(url)).code, 0);
        }
        Self { console, _sessions: sessions }
    }

    /// Every page that a person comes to, by its path; a sign-in and tests are begun for that.
    pub fn pages(&self, browser: &Browser) -> Vec<String> {
        let path = |browser: &Browser| {
            let url = browser.page().url;
            url.strip_prefix(&self.console.address).unwrap().to_owned()
        };
        let mut pages: Vec<_> =
            ["/", "/accounts", "/accounts?q=nobody", "/sessions", "/failures"].map(str::to_owned).into();
        pages.extend([SCANNER, ANNA, LONG].map(|login| format!("/account?login={login}")));
        self.console.open_account(browser, BEN);
        browser.press("Use a device code");
        browser.shows("This page says when it is done.");
        pages.push(path(browser));
        self.console.open_account(browser, ANNA);
        browser.press("Authorize in the browser");
        browser.shows("Next");
        self.console.open_account(browser, ANNA);
        browser.press("The sign-in that was begun here last");
        browser.shows("The address that the browser ended at");
        pages.push(path(browser));
        for (login, verdict) in [(SCANNER, "All is well"), (BEN, "A hop failed")] {
            self.console.open_account(browser, login);
            browser.press("Test this account");
            browser.shows(verdict);
            pages.push(path(browser));
        }
        browser.open(&format!("{}/sessions", self.console.address));
        browser.shows(LONG);
        browser.run("document.querySelector('a[href^=\"/sessions/end\"]').click()");
        browser.shows("End this session?");
        pages.push(path(browser));
        pages
    }
}

/// A day that warns of the end of a secret.
fn soon() -> String {
    let date = run(command("date").args(["-u", "-d", "12 days", "+%F"])).succeeded();
    date.text().trim().to_owned()
}

#[test]
fn every_page_is_good_for_eyes_hands_and_screen_readers_in_the_light_and_in_the_dark() {
    let house = House::new(CLIENT);
    let console = &house.console;
    let browser = console.browser("console-looks");
    let mut pages = house.pages(&browser);
    assert_eq!(browser.complaints(&console.address), [""; 0]);
    pages.extend(["/login", "/nothing-here", "/doctor/unknown"].map(str::to_owned));
    let mut texts = Vec::new();
    for page in &pages {
        for (width, height, mobile) in [(1280, 800, false), (390, 844, true)] {
            browser.is_wide(width, height, mobile);
            for theme in ["light", "dark"] {
                browser.likes(theme);
                browser.open(&format!("{}{page}", console.address));
                let place = format!("{page} at {width} in the {theme}");
                accessible(&browser, &place);
                fits(&browser, &place, mobile);
            }
        }
        let text = browser.run_to_its_end(
            "const done = arguments[0]; fetch(location.href).then((answer) => answer.text()).then(done, done)",
        );
        texts.extend(text.as_str().map(str::to_owned));
    }
    // Pages without forms let nothing be fetched from them.
    assert!(texts.len() >= pages.len() - 3, "{} of {}", texts.len(), pages.len());
    assert_eq!(wrong(&texts), json!([]));
}

#[test]
fn what_judges_the_pages_would_find_something() {
    let console = Console::of("public-console-judged", &["console-judged"]);
    let browser = console.browser("console-judged");
    accessible(&browser, "the overview");
    browser.run("document.querySelector('main').append(new Image())");
    assert_eq!(violations(&browser, "an image without a text").len(), 1);
    console.nothing_is_complained_of(&browser);
    browser
        .run("document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))");
    let complaints = browser.complaints(&console.address).concat();
    assert!(complaints.contains("violates script-src"), "{complaints}");
    browser.run("document.querySelector('h1').insertAdjacentHTML('afterend', '<p style=\"color: red\">')");
    let complaints = browser.complaints(&console.address).concat();
    assert!(complaints.contains("violates style-src"), "{complaints}");
    assert_ne!(wrong(&["<!DOCTYPE html><title>t</title><p><p id=a><ul id=a><p></ul>".to_owned()]), json!([]));
}

#[test]
fn who_has_a_keyboard_alone_comes_past_the_navigation_and_to_every_place() {
    let console = Console::of("public-console-keys", &["console-keys"]);
    let browser = console.browser("console-keys");
    browser.open(&console.address);
    browser.type_key("Tab", 9);
    let active = "return document.activeElement.textContent.trim()";
    assert_eq!(browser.run(active), "Skip to the content");
    assert_eq!(browser.run("return document.activeElement.getBoundingClientRect().height > 20"), true);
    browser.type_key("Enter", 13);
    assert_eq!(browser.run("return location.hash + document.activeElement.id"), "#mainmain");
    browser.type_key("Tab", 9);
    assert_eq!(browser.run("return document.querySelector('main').contains(document.activeElement)"), true);
    browser.open(&console.address);
    let mut seen = Vec::new();
    for _ in 0..7 {
        browser.type_key("Tab", 9);
        seen.push(browser.run(active).as_str().unwrap().to_owned());
    }
    let expected =
        ["Skip to the content", "Footbridge", "Overview", "Accounts", "Sessions", "Failures", "Sign out"];
    assert_eq!(seen, expected);
}

/// axe-core finds nothing: <https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md>.
#[track_caller]
fn accessible(browser: &Browser, place: &str) {
    let violations = violations(browser, place);
    assert!(violations.is_empty(), "{place}:\n  {}", violations.join("\n  "));
}

#[track_caller]
fn violations(browser: &Browser, place: &str) -> Vec<String> {
    static AXE: OnceLock<String> = OnceLock::new();
    let axe = AXE.get_or_init(|| {
        let file = packages().join("node_modules/axe-core/axe.min.js");
        fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}: run tests/install", file.display()))
    });
    let run = "const done = arguments[arguments.length - 1]; \
               axe.run(document, { resultTypes: ['violations'] }).then(\
               ({ violations, passes }) => done({ violations, passes: passes.length }), \
               (error) => done(String(error)));";
    let found = browser.run_to_its_end(&format!("{axe};{run}"));
    let violations = found["violations"].as_array().unwrap_or_else(|| panic!("{place}: {found}"));
    let in_short = |violation: &Value| {
        let nodes = violation["nodes"].as_array().unwrap().iter();
        let nodes: Vec<_> =
            nodes.map(|node| format!("{}: {}", node["html"], node["failureSummary"])).collect();
        format!("{}: {}", violation["id"], nodes.join("\n    "))
    };
    assert!(found["passes"].as_u64().unwrap() > 10, "{place}: {found}");
    violations.iter().map(in_short).collect()
}

/// Nothing is wider than the window, and what a finger presses is large enough: 24 pixels are WCAG 2.2's least, 44 what
/// its best practice wants of buttons.
#[track_caller]
fn fits(browser: &Browser, place: &str, mobile: bool) {
    let wide =
        browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]");
    assert!(wide[0].as_u64() <= wide[1].as_u64(), "{place} is {} of {} pixels wide", wide[0], wide[1]);
    if mobile {
        let small = browser.run(
            "return [...document.querySelectorAll('button, .button, input:not([type=hidden]), select, nav a')]\
             .filter((one) => one.getBoundingClientRect().height < 43.5).map((one) => one.outerHTML)",
        );
        assert_eq!(small, json!([]), "{place}");
    }
}

/// What is wrong with pages of HTML by its standard: <https://html-validate.org/rules/presets/>.
fn wrong(pages: &[String]) -> Value {
    let mut node = command("node");
    node.arg(here().join("console-html.mjs")).arg(packages());
    let found = run_with(&mut node, json!(pages).to_string().as_bytes()).succeeded();
    serde_json::from_str(&found.text()).unwrap()
}
