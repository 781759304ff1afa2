//! `[IMAP-1993]` and its siblings: where mail programs connect, and where that leads.

use std::path::{Path, PathBuf};

use super::{
    Notes,
    ini::{Section, Setting},
};
use crate::{
    ids::ProtocolKind,
    net::{Endpoint, UpstreamTls},
};

/// A server section.
pub(super) struct Server {
    /// The name and the line of its section.
    pub(super) place: (String, usize),
    pub(super) kind: ProtocolKind,
    /// `host:port`.
    pub(super) bind: String,
    /// The certificate and the key of the line to mail programs, and whether TLS starts by a command.
    pub(super) tls: Option<(PathBuf, PathBuf, bool)>,
    /// Whether passwords may cross a network in clear.
    pub(super) plaintext: bool,
    /// Where it leads; nothing where that is not written.
    pub(super) upstream: Option<Endpoint>,
}

/// The options of a server section that have a meaning here.
const KNOWN: [&str; 8] = [
    "server_address",
    "server_port",
    "server_starttls",
    "starttls",
    "local_address",
    "local_starttls",
    "local_certificate_path",
    "local_key_path",
];

/// Text for people, which the other program ignores too.
pub(super) const TEXTS: [&str; 3] = ["documentation", "format", "warning"];

/// The protocol and port of a section's name.
fn named(section: &Section) -> Option<(ProtocolKind, u16)> {
    let (kind, port) = section.name.split_once('-')?;
    let kind = match kind {
        "IMAP" => ProtocolKind::Imap,
        "POP" => ProtocolKind::Pop3,
        "SMTP" => ProtocolKind::Smtp,
        _ => return None,
    };
    Some((kind, port.parse().ok()?))
}

/// Whether a text stands for true, as `configparser` takes it.
pub(super) fn is_true(setting: &Setting) -> bool {
    ["1", "yes", "true", "on"].contains(&setting.text().to_lowercase().as_str())
}

/// A path of the file, made absolute.
pub(super) fn path(setting: &Setting, folder: &Path) -> PathBuf {
    folder.join(setting.text())
}

pub(super) fn read_all(sections: &[Section], folder: &Path, notes: &mut Notes) -> Vec<Server> {
    let mut seen = Vec::new();
    for section in sections {
        let Some((kind, _)) = named(section) else { continue };
        if seen.contains(&kind) {
            let text = "where a login leads is its account's to say now, and no longer the port's: any account may use any port of \
                        its protocol";
            notes.changed(section.line, format!("[{}]", section.name), text);
        }
        seen.push(kind);
    }
    sections.iter().filter_map(|section| read(section, named(section)?, folder, notes)).collect()
}

/// Whether a section is a server's.
pub(super) fn is_server(section: &Section) -> bool {
    named(section).is_some()
}

fn read(
    section: &Section,
    (kind, port): (ProtocolKind, u16),
    folder: &Path,
    notes: &mut Notes,
) -> Option<Server> {
    if port == 0 {
        notes.lost(section.line, format!("[{}]", section.name), "0 is no port: the section is left out");
        return None;
    }
    for option in &section.options {
        if !KNOWN.contains(&option.key.as_str()) && !TEXTS.contains(&option.key.as_str()) {
            let cure = if option.key == "plugins" {
                "there are no plugins: mail passes unchanged"
            } else {
                "it is not known"
            };
            notes.lost(option.line, option.shown(), cure);
        }
    }
    let tls = tls(section, kind, folder, notes);
    let (bind, plaintext) = bind(section, port, tls.is_some(), notes);
    let upstream = upstream(section, kind, notes);
    let place = (format!("[{}]", section.name), section.line);
    Some(Server { place, kind, bind, tls, plaintext, upstream })
}

fn tls(
    section: &Section,
    kind: ProtocolKind,
    folder: &Path,
    notes: &mut Notes,
) -> Option<(PathBuf, PathBuf, bool)> {
    let (certificate, key) = (section.get("local_certificate_path"), section.get("local_key_path"));
    let starttls = section.get("local_starttls").filter(|option| is_true(option));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        if let Some(one) = certificate.or(key).or(starttls) {
            let cure = "without both a certificate and its key the line stays in clear, as it did";
            notes.lost(one.line, one.key.as_str(), cure);
        }
        return None;
    };
    let by_command = match (starttls, kind) {
        (Some(_), ProtocolKind::Smtp) => true,
        (Some(option), ProtocolKind::Imap | ProtocolKind::Pop3) => {
            notes.changed(
                option.line,
                "local_starttls",
                "it had no effect here, and TLS began with the first byte: it still does; write tls = \"starttls\" for the other way",
            );
            false
        }
        (None, _) => false,
    };
    Some((path(certificate, folder), path(key, folder), by_command))
}

fn bind(section: &Section, port: u16, encrypted: bool, notes: &mut Notes) -> (String, bool) {
    let Some(written) = section.get("local_address") else {
        if encrypted {
            return (format!("[::]:{port}"), false);
        }
        let text = "without local_address it listened on all interfaces, in clear; now on 127.0.0.1 alone. Where programs \
                    on other machines log in, give the [[listener]] tls = \"starttls\" or \"implicit\" and another bind";
        notes.changed(section.line, format!("[{}]", section.name), text);
        return (format!("127.0.0.1:{port}"), false);
    };
    let host = written.text();
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let inner = host.trim_matches(['[', ']']);
    let is_loopback = inner.eq_ignore_ascii_case("localhost")
        || inner.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let plaintext = !is_loopback && !encrypted;
    if plaintext {
        let text = "passwords cross the network in clear, as they did: allow_plaintext = true says so; better take it out and write \
                    tls = \"starttls\" or \"implicit\"";
        notes.changed(written.line, "local_address", text);
    }
    (format!("{host}:{port}"), plaintext)
}

fn upstream(section: &Section, kind: ProtocolKind, notes: &mut Notes) -> Option<Endpoint> {
    let starttls =
        section.get("server_starttls").or_else(|| section.get("starttls")).filter(|option| is_true(option));
    let tls = match (starttls, kind) {
        (Some(_), ProtocolKind::Smtp) => UpstreamTls::StartTls,
        (Some(option), ProtocolKind::Imap | ProtocolKind::Pop3) => {
            let text = "it had no effect here, and TLS began with the first byte: it still does; for the other way write \
                        tls = \"starttls\" in the provider";
            notes.changed(option.line, option.key.as_str(), text);
            UpstreamTls::Implicit
        }
        (None, _) => UpstreamTls::Implicit,
    };
    let port = section.get("server_port").and_then(|port| port.text().parse().ok());
    let (Some(host), Some(port)) = (section.get("server_address"), port) else {
        let text = "server_address or server_port is missing: the listener leads to where the provider of each account is";
        notes.lost(section.line, format!("[{}]", section.name), text);
        return None;
    };
    Some(Endpoint { host: host.text().to_owned(), port, tls })
}
