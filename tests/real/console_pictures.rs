//! The pictures of the documentation: the console, and the doctor in a terminal, as they are.
//!
//! `FOOTBRIDGE_WRITE_DOCS=1 cargo test --test real pictures` writes them into `docs/pictures`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::Browser;
use crate::console_looks::{ANNA, House, SCANNER};

/// Pictures are read over slow lines, too.
const LARGEST: usize = 250_000;

/// Ports that the system has picked for the test, and what they would be;
/// and whose the certificates of the tests are.
fn replacements(house: &House) -> Vec<(String, &'static str)> {
    let home = &house.console.home;
    let port = |protocol| home.bridge().addr(protocol).port().to_string();
    let ours = [(port("imap"), "1143"), (port("smtp"), "1587")];
    let theirs =
        [(home.servers.imaps_port.to_string(), "993"), (home.servers.submission_port.to_string(), "587")];
    let console = house.console.address.rsplit_once(':').unwrap().1.to_owned();
    let authority =
        [("Authority of the tests".to_owned(), "Contoso CA"), ("4096-01-01".to_owned(), "2027-05-01")];
    ours.into_iter().chain(theirs).chain([(console, "8025")]).chain(authority).collect()
}

fn replaced(text: &str, replacements: &[(String, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (port, usual)| text.replace(port, usual))
}

/// The usual ports in the texts of the page, which asks for itself no more.
fn with_usual_ports(browser: &Browser, house: &House) {
    let all = serde_json::to_string(&replacements(house)).unwrap();
    browser.run(&format!(
        "document.querySelectorAll('[data-live]').forEach((live) => live.removeAttribute('data-live'));\
         const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);\
         while (texts.nextNode()) for (const [port, usual] of {all})\
           texts.currentNode.nodeValue = texts.currentNode.nodeValue.replaceAll(port, usual);"
    ));
}

/// Where pictures go.
fn folder() -> PathBuf {
    let folder = if writes_docs() {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures")
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures")
    };
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether the documentation's pictures are made anew.
fn writes_docs() -> bool {
    std::env::var_os("FOOTBRIDGE_WRITE_DOCS").is_some()
}

#[track_caller]
fn keep(name: &str, picture: &[u8]) {
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{name}");
    assert!(picture.len() < LARGEST, "{name} has {} bytes", picture.len());
    fs::write(folder().join(name), picture).unwrap();
}

#[test]
fn pictures_show_the_console_and_the_doctor_as_they_are() {
    let house = House::new("conf-mail-bridge");
    let address = &house.console.address;
    let browser = house.console.browser("console-pictures");
    browser.is_wide(1000, 700, false);
    browser.likes("light");
    let shoot = |path: &str, longest: u64, name: &str| {
        browser.open(&format!("{address}{path}"));
        with_usual_ports(&browser, &house);
        keep(name, &browser.photograph(longest));
    };
    house.console.open_account(&browser, SCANNER);
    browser.press("Test this account");
    browser.shows("All is well");
    let test = browser.page().url.strip_prefix(address).unwrap().to_owned();
    shoot("/", 1200, "console-overview.png");
    shoot("/accounts", 1200, "console-accounts.png");
    shoot(&format!("/account?login={ANNA}"), 1200, "console-account.png");
    shoot("/sessions", 1200, "console-sessions.png");
    shoot(&test, 1200, "console-doctor.png");
    shoot("/failures", 1200, "console-failures.png");
    browser.is_wide(390, 844, true);
    browser.likes("dark");
    shoot("/", 1000, "console-phone.png");
    terminal(&house, &browser);
}

/// What `footbridge doctor` prints, in the colours of a terminal.
fn terminal(house: &House, browser: &Browser) {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    let config = house.console.home.dir.path().join("footbridge.toml");
    doctor.args(["doctor", SCANNER, ANNA, "--config"]).arg(config).env("CLICOLOR_FORCE", "1");
    let printed = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
    assert!(printed.contains("\u{1b}[32m✓") && printed.contains("\u{1b}[31m✗"), "{printed}");
    let printed = replaced(&printed, &replacements(house));
    let page = house.console.home.dir.path().join("terminal.html");
    fs::write(&page, terminal_page(&format!("$ footbridge doctor {SCANNER} {ANNA}\n{printed}"))).unwrap();
    browser.is_wide(1000, 300, false);
    browser.open(&format!("file://{}", page.display()));
    keep("doctor-terminal.png", &browser.photograph(1400));
}

/// A terminal's text as a page: colours and weights are spans.
fn terminal_page(text: &str) -> String {
    let mut body = String::new();
    let mut open = 0;
    for (number, piece) in text.split("\u{1b}[").enumerate() {
        let (codes, rest) = if number == 0 { ("", piece) } else { piece.split_once('m').unwrap() };
        for code in codes.split(';').filter(|code| !code.is_empty()) {
            if code == "0" {
                body.push_str(&"</span>".repeat(std::mem::take(&mut open)));
            } else {
                write!(body, "<span class=\"c{code}\">").unwrap();
                open += 1;
            }
        }
        body.push_str(&rest.replace('&', "&amp;").replace('<', "&lt;"));
    }
    format!(
        "<!DOCTYPE html><meta charset=utf-8><style>body{{margin:0;background:#11161d;color:#d7dee6}}\
         pre{{margin:0;padding:1.2rem 1.4rem;font:14px/1.5 'DejaVu Sans Mono',monospace;white-space:pre-wrap}}\
         .c1{{font-weight:700}}.c2{{opacity:.65}}.c31{{color:#ff7b72}}.c32{{color:#56d364}}.c33{{color:#e3b341}}</style>\
         <pre>{body}</pre>"
    )
}
