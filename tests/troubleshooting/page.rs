//! `docs/troubleshooting.md` is made of the table, and never edited by hand.

use std::{fmt::Write as _, fs, path::Path};

use footbridge::{
    explain::{
        self, Entry, Met, Sign,
        authority::{self, ErrorBody},
        upstream::{self, Asked},
    },
    failure::Failure,
};

const INTRODUCTION: &str = include_str!("introduction.md");

/// Where entries are met, and the heading and the words above them.
const SECTIONS: [(&[Met], &str, &str); 8] = [
    (
        &[Met::Login],
        "The mail server refuses the login",
        "What a mail server answers to the token. The mail program is told the meaning and the cure, the log also the code.",
    ),
    (
        &[Met::Session],
        "The mail server lets the login in, and then refuses",
        "These replies pass to the mail program unchanged. The log explains them in the line `upstream ends or limits the session`; `footbridge doctor` does so too.",
    ),
    (
        &[Met::Token],
        "What the token says about itself",
        "`footbridge doctor` reads the token where it can be read. The log warns of it when a token is obtained.",
    ),
    (
        &[Met::Network],
        "Names, connections, TLS and proxies",
        "On the way to the mail server, and to the authority.",
    ),
    (
        &[Met::Authority],
        "The authority refuses the app",
        "In the answer to any request for a token. Numbers of the form `AADSTS…` are Microsoft Entra's; the others are words of OAuth, and of Google.",
    ),
    (
        &[Met::AuthorityToApp, Met::AuthorityToService],
        "The authority refuses an app that logs in as itself",
        "With `grant = \"client_credentials\"`, and with service accounts of Google's. What is not here means what it means above.",
    ),
    (
        &[Met::AuthorityToPerson],
        "The authority refuses a sign-in",
        "Where somebody has signed in for the account, or should: `authorization_code` and `device_code`.",
    ),
    (
        &[Met::AuthorityToPassword],
        "The authority refuses a password",
        "With `grant = \"password\"`. What is not here means what it means above.",
    ),
];

/// What a person sees.
fn seen(entry: &Entry) -> String {
    match entry.sign {
        Sign::Number(number) => format!("`AADSTS{number}`"),
        Sign::Error(error, "") => format!("`{error}`"),
        Sign::Error(error, _) => format!("`{error}`: `{}`", entry.sample),
        Sign::Claim(claim) => format!("`{claim}`"),
        Sign::Begins(_) | Sign::Says(_) | Sign::BeginsAndSays(..) => format!("`{}`", entry.sample),
    }
}

fn written(entry: &Entry, page: &mut String) {
    let again = if entry.passes { "may help: it passes" } else { "does not help before that" };
    let _ = write!(
        page,
        "\n### {}\n\n\
         - **You see:** {}\n\
         - **Who must act:** {}\n\
         - **What to do:** {}\n\
         {}- **Trying again:** {again}\n\
         - **Source:** {}\n",
        heading(entry),
        seen(entry),
        entry.fault.name(),
        in_markdown(entry.cure),
        for_people(entry),
        entry.source
    );
}

fn for_people(entry: &Entry) -> String {
    let cure = entry.cure_for_people.map(in_markdown);
    cure.map(|cure| format!("- **Where a person has signed in:** {cure}\n")).unwrap_or_default()
}

/// What it means, behind the number that a person searches for.
fn heading(entry: &Entry) -> String {
    let cause = in_markdown(entry.cause);
    match entry.code() {
        Some(code) => format!("{code}: {cause}"),
        None => cause[..1].to_uppercase() + &cause[1..],
    }
}

/// What a page would take for marks.
fn in_markdown(text: &str) -> String {
    text.replace('*', "\\*").replace('_', "\\_").replace('<', "\\<")
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (met, heading, words) in SECTIONS {
        let _ = write!(page, "\n## {heading}\n\n{words}\n");
        let mut entries: Vec<_> = explain::table().filter(|entry| met.contains(&entry.met)).collect();
        entries.sort_by_key(|entry| if let Sign::Number(number) = entry.sign { number } else { 0 });
        for entry in entries {
            written(entry, &mut page);
        }
    }
    page
}

#[test]
fn the_page_for_people_is_made_of_what_is_known() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = page();
    if std::env::var_os("FOOTBRIDGE_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let first = kept.lines().zip(page.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == page,
        "docs/troubleshooting.md is not what the table says, first at {first:?}; write it anew with \
         FOOTBRIDGE_WRITE_DOCS=1 cargo test --test troubleshooting"
    );
}

#[test]
fn every_entry_stands_on_the_page_once() {
    for entry in explain::table() {
        let sections = SECTIONS.iter().filter(|(met, ..)| met.contains(&entry.met)).count();
        assert_eq!(sections, 1, "{entry:?}");
    }
}

/// The explanations that the README shows: to a mail program, and by the doctor.
#[test]
fn what_the_readme_quotes_is_what_is_said() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let expired = ErrorBody {
        error: "invalid_client".to_owned(),
        error_codes: vec![7_000_222],
        ..ErrorBody::default()
    };
    let reply = format!("a1 NO [CONTACTADMIN] {}\n", authority::refused("contoso", &expired).line());
    assert!(readme.contains(&reply), "{reply}");

    let asked =
        Asked { endpoint: "smtp.office365.com:587", mailbox: "scanner@contoso.com", is_delegated: false };
    let said =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.";
    let why = upstream::rejected(asked, Failure::UpstreamRefused, said).refusal.explanation.unwrap();
    let hop = format!("      {}\n      cure: {}\n", why.cause, why.cure);
    assert!(readme.contains(&hop), "{hop}");
}
