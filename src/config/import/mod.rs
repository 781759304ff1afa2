//! From another tool's file to ours: the `emailproxy.config` of Email OAuth 2.0 Proxy.
//!
//! Pure: a text goes in, texts come out, with a note on each option that changed its meaning or has no counterpart.
//! `ini` reads the file, `server` its servers, `authority` its URLs, `account` its accounts and their apps, `fernet` what
//! it has encrypted; `write` writes ours.

mod account;
mod authority;
mod fernet;
mod ini;
mod server;
mod write;

use std::path::Path;

use crate::secret::Secret;

/// What the translation asks of its caller.
pub struct Asked<'a> {
    /// The folder of the file, absolute: what is relative in it was meant from there.
    pub folder: &'a Path,
    /// The password of a login, where it is known.
    pub password: &'a dyn Fn(&str) -> Option<Secret>,
    /// The hash of the password that a login is to have from now on.
    pub hash: &'a dyn Fn(&str) -> String,
}

/// What a file became.
pub struct Imported {
    /// The text of `footbridge.toml`.
    pub config: String,
    /// The text of `mappings.toml`.
    pub mappings: String,
    /// Secrets, by the names of the files beside `footbridge.toml` that it names.
    pub secrets: Vec<(String, Secret)>,
    /// Refresh tokens of people, by login.
    pub refresh_tokens: Vec<(String, Secret)>,
    /// What changed and what is lost, in the order of the file.
    pub notes: Vec<Note>,
    /// Whether the file has no section at all, so that it is none of the other program's.
    pub is_foreign: bool,
}

/// What is said of one line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line, counted from 1.
    pub line: usize,
    /// Whether something is lost, or only in another form.
    pub lost: bool,
    /// The option or section.
    pub option: String,
    /// Why, and what to do.
    pub text: String,
}

/// Notes as they are made.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    /// What has another form now.
    fn changed(&mut self, line: usize, option: impl Into<String>, text: impl Into<String>) {
        self.0.push(Note { line, lost: false, option: option.into(), text: text.into() });
    }

    /// What has no counterpart.
    fn lost(&mut self, line: usize, option: impl Into<String>, text: impl Into<String>) {
        self.0.push(Note { line, lost: true, option: option.into(), text: text.into() });
    }

    /// What was said, in the order of the file and each thing once.
    fn into_list(mut self) -> Vec<Note> {
        self.0.sort_by_key(|note| note.line);
        self.0.dedup();
        self.0
    }
}

/// Translates a file.
#[must_use]
pub fn translate(text: &str, asked: &Asked<'_>) -> Imported {
    let mut notes = Notes::default();
    let sections = ini::parse(text.trim_start_matches('\u{feff}'), &mut notes);
    let servers = server::read_all(&sections, asked.folder, &mut notes);
    if servers.is_empty() {
        notes.lost(
            1,
            "the file",
            "it has no [IMAP-PORT], [POP-PORT] or [SMTP-PORT]: add a [[listener]] to footbridge.toml",
        );
    }
    let mut accounts = account::Accounts::new(&sections, &servers, asked);
    accounts.read_all(&mut notes);
    if accounts.is_empty() {
        notes.lost(
            1,
            "the file",
            "it has no account that could be carried over: add an [[account]] to mappings.toml",
        );
    }
    say_of_servers(&servers, &accounts, &mut notes);
    let (config, mappings, secrets) = write::all(&servers, &accounts, asked);
    Imported {
        config,
        mappings,
        secrets,
        refresh_tokens: accounts.refresh_tokens,
        notes: notes.into_list(),
        is_foreign: sections.is_empty(),
    }
}

/// Says of each server whose host no account's provider has: where a login leads is its account's to say now.
fn say_of_servers(servers: &[server::Server], accounts: &account::Accounts<'_>, notes: &mut Notes) {
    for server in servers.iter().filter(|_| !accounts.is_empty()) {
        let Some(upstream) = &server.upstream else { continue };
        let mut providers = accounts.apps.iter().map(|app| &app.provider);
        if !providers.any(|provider| provider.leads_to(server.kind, &upstream.host)) {
            let (place, line) = &server.place;
            let text = format!("no account goes with {}: its host is left out", upstream.host);
            notes.lost(*line, place.as_str(), text);
        }
    }
}
