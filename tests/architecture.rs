//! The rules of the house that a machine can keep. Each failure names the file and the rule.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms by floor, from the ground up. A room may import rooms of lower floors only.
const FLOORS: &[&[&str]] = &[
    &["secret", "failure", "ids", "clock"],
    &["sasl", "net", "explain", "store"],
    &["dialogue", "account"],
    &["imap", "smtp", "pop3", "policy"],
    &["oauth"],
    &["session", "console", "doctor"],
    &["config"],
    &["app"],
    &["cli"],
    &["main", "lib"],
];

/// The protocol rooms.
const ROOMS: &[&str] = &["imap", "smtp", "pop3"];

/// The files of a protocol room, the same in each.
const ROOM: [&str; 6] = ["client.rs", "mod.rs", "relay.rs", "reply.rs", "upstream.rs", "wire.rs"];

/// Rooms and files that do nothing but compute.
const PURE: &[&str] = &[
    "imap/",
    "smtp/",
    "pop3/",
    "config/entra/",
    "config/import/",
    "dialogue/",
    "sasl/",
    "policy/",
    "explain/",
    "failure.rs",
    "ids.rs",
    "oauth/state/",
    "oauth/grant.rs",
    "oauth/judged.rs",
    "oauth/reply.rs",
    "oauth/slot.rs",
    "oauth/credential/assertion.rs",
    "oauth/credential/contents.rs",
    "oauth/credential/keyfile.rs",
    "oauth/credential/private_key.rs",
    "oauth/credential/refusal.rs",
    "oauth/credential/service_account.rs",
    "oauth/identity.rs",
];

/// What a pure file must not mention.
const IMPURE: &[&str] = &[
    "tokio",
    "std::net::Tcp",
    "std::fs",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "tracing",
    "async ",
];

/// The files that may look inside a secret, and why.
const EXPOSING: &[&str] = &[
    "secret/mod.rs",        // the type itself
    "sasl/bearer.rs",       // the access token goes into the XOAUTH2 response
    "account/password.rs",  // the shown password goes into the hash
    "account/verify.rs",    // and into the keyed digest
    "net/proxy/connect.rs", // a proxy's user and password go into its request
    "net/proxy/socks.rs",
    "oauth/endpoint.rs",                   // and into the HTTP client
    "config/proxy.rs",                     // a proxy's URL that is kept elsewhere is parsed
    "oauth/keeper.rs",                     // a shown password goes into the keyed digest of its slot
    "oauth/grant.rs",                      // the client secret goes into the token request
    "oauth/credential/contents.rs",        // a password opens a PFX file
    "oauth/credential/private_key.rs",     // or an encrypted key
    "oauth/credential/service_account.rs", // the key file of a service account is parsed
    "oauth/reply.rs",                      // and is taken out of what an authority repeats
    "explain/claims.rs",                   // the claims of a token are read for its owner and its permissions
    "console/gate.rs", // the shown password goes into a digest, a token into its cookie or link
    "config/store.rs", // the length of a sealing key is checked
    "config/import/ini.rs", // what another tool's file says, secrets among it, is read
    "config/tests/import.rs", // its tests write them to files
    "config/import/fernet.rs", // and what it has encrypted is opened by a password
    "cli/import.rs",   // secrets of that file are written into files of their own
    "dialogue/redact.rs", // the token is taken out of what an upstream repeats
    "dialogue/response.rs", // the response goes to the upstream
    "imap/upstream.rs",
    "session/lobby.rs",    // a wrong password is told from another one by a keyed number
    "net/certificate.rs",  // the key of a listener's certificate is parsed
    "net/self_signed.rs",  // or signs that certificate
    "app/certificates.rs", // or is written to the state folder
    "store/record.rs",     // tokens go into the record that is sealed
    "store/seal.rs",       // the sealing key goes into the derivation
];

/// The longest file that is still one room.
const LONGEST: usize = 500;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path below `src`, and its text.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&source(), &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(source()).unwrap().to_str().unwrap().replace('\\', "/");
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(named).collect()
}

/// The text without its test module and its comments.
fn code(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]\n";
    let is_tests = |(at, _): &(usize, &str)| {
        text[at + MARK.len()..].lines().next().is_some_and(|line| line.contains("mod tests"))
    };
    let code = &text[..text.match_indices(MARK).find(is_tests).map_or(text.len(), |(at, _)| at)];
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a file names by `crate::`, alone or in a list.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (start, path) in code.match_indices("crate::") {
        let rest = &code[start + path.len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_level(list).iter().map(|item| name(item.trim()))),
            None => _ = found.insert(name(rest)),
        }
    }
    found.remove("");
    found
}

/// The items of a list in braces whose opening brace has been taken, up to its closing one.
fn top_level(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 1;
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => (),
        }
        match (c, depth) {
            (_, 0) => break,
            (',', 1) => items.push(String::new()),
            _ => items.last_mut().unwrap().push(c),
        }
    }
    items
}

#[track_caller]
fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

#[test]
fn every_room_has_a_floor_and_imports_lower_floors_only() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let here = room(&file);
        let Some(floor_here) = floor(here) else {
            broken.push(format!("src/{file}: room {here} has no floor"));
            continue;
        };
        // The root names every room to declare it.
        if here == "lib" {
            continue;
        }
        for there in imports(&code(&text)) {
            match floor(&there) {
                _ if there == here => (),
                Some(below) if below < floor_here => (),
                _ => broken.push(format!("src/{file}: room {here} imports {there}")),
            }
        }
    }
    assert_none(&broken, "a room may import rooms of lower floors only (ARCHITECTURE.md, floor plan)");
}

#[test]
fn the_protocol_rooms_have_the_same_files() {
    for room in ROOMS {
        let mut found: Vec<_> = fs::read_dir(source().join(room))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ROOM, "src/{room} must have the files of every protocol room");
    }
}

#[test]
fn pure_rooms_do_no_input_or_output() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        if !PURE.iter().any(|pure| file.starts_with(pure)) {
            continue;
        }
        let code = code(&text);
        for word in IMPURE.iter().filter(|word| code.contains(**word)) {
            broken.push(format!("src/{file} mentions {word:?}"));
        }
    }
    assert_none(&broken, "pure rooms compute and do nothing else");
}

#[test]
fn secrets_are_looked_into_in_the_listed_files_only() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let exposes = code(&text).contains(".expose");
        let listed = EXPOSING.contains(&file.as_str());
        if exposes && !listed {
            broken.push(format!("src/{file} calls expose"));
        }
        if listed && !exposes && file != "secret/mod.rs" {
            broken.push(format!("src/{file} is listed and calls expose no more"));
        }
    }
    assert_none(&broken, "only the files of EXPOSING may look inside a secret");
}

/// A permit without a password is the operator's alone.
#[test]
fn mailboxes_are_opened_without_a_password_by_the_doctor_alone() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let may = ["policy/access.rs", "app/doctor.rs"].contains(&file.as_str());
        if code(&text).contains("for_operator") && !may {
            broken.push(format!("src/{file} mentions for_operator"));
        }
    }
    assert_none(&broken, "a login needs its password: a permit without one is made in app/doctor.rs only");
}

/// An address alone is the proof for mail of devices, where policy has asked for it.
#[test]
fn who_stands_for_an_account_by_its_address_is_decided_in_one_place() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let may = ["policy/access.rs", "account/sender.rs"].contains(&file.as_str());
        if code(&text).contains(".by_address(") && !may {
            broken.push(format!("src/{file} calls by_address"));
        }
    }
    assert_none(&broken, "access::recognise decides who is known by its address");
}

/// Locks that may be held while others are waited for, and why. Those of the standard library are clippy's to watch
/// (`await_holding_lock`).
const LOCKING_ACROSS_WAITS: &[&str] = &[
    "app/bridge.rs",        // one reload after the other; no login asks for it
    "console/redirects.rs", // addresses for consents are opened and closed one after the other; no login asks for it
];

/// A login that holds a lock while it waits makes all others wait for one slow authority, mail server or client.
#[test]
fn no_login_holds_a_lock_while_it_waits() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let locks = paths_of_tokio(&code(&text)).iter().any(|path| {
            let words: Vec<&str> = path.split(|c: char| !c.is_alphanumeric()).collect();
            words.contains(&"sync") && (words.contains(&"Mutex") || words.contains(&"RwLock"))
        });
        let listed = LOCKING_ACROSS_WAITS.contains(&file.as_str());
        if locks && !listed {
            broken.push(format!("src/{file} uses a lock of tokio's"));
        }
        if listed && !locks {
            broken.push(format!("src/{file} is listed and uses no such lock"));
        }
    }
    assert_none(&broken, "only the files of LOCKING_ACROSS_WAITS may hold locks across waits");
}

/// The paths behind each `tokio::`, one for each item where it is a list.
fn paths_of_tokio(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, path) in code.match_indices("tokio::") {
        let rest = &code[start + path.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            found.extend(top_level(list));
            continue;
        }
        let ends: &[char] = &[';', '(', ')', ' ', '<', '>', ',', '{'];
        let (name, behind) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        let list = behind.strip_prefix('{').map(|list| top_level(list).concat());
        found.push(name.to_owned() + &list.unwrap_or_default());
    }
    found
}

#[test]
fn every_way_to_name_a_lock_is_seen() {
    let code = "use tokio::{net::{A, B}, sync::{watch, Mutex}}; use tokio::sync::{watch, Mutex}; \
                let x: tokio::sync::RwLock<()>; use std::sync::Mutex;";
    let expected = ["net::{A, B}", " sync::{watch, Mutex}", "sync::watch Mutex", "sync::RwLock"];
    assert_eq!(paths_of_tokio(code), expected);
}

/// lettre's own STARTTLS takes what came in clear for what came encrypted, and its logs hold tokens.
#[test]
fn mail_libraries_neither_dial_nor_encrypt() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let code = code(&text);
        for word in ["connect_tokio1", ".starttls(", "SmtpTransport", "async_imap::connect"] {
            if file.starts_with("doctor/") && code.contains(word) {
                broken.push(format!("src/{file} mentions {word}"));
            }
        }
    }
    assert_none(&broken, "async-imap and lettre take over lines that net has dialled and encrypted");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let lettre = manifest.lines().filter(|line| line.starts_with("lettre = "));
    assert!(lettre.clone().count() > 0 && lettre.into_iter().all(|line| !line.contains("tracing")));
}

#[test]
fn files_are_short_and_open_with_what_they_are_for() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let lines = text.lines().count();
        if lines > LONGEST {
            broken.push(format!("src/{file} has {lines} lines, more than {LONGEST}"));
        }
        if !text.starts_with("//!") {
            broken.push(format!("src/{file} does not open with a //! comment"));
        }
        if text.contains(concat!("TO", "DO")) || text.contains(concat!("FIX", "ME")) {
            broken.push(format!("src/{file} leaves work to be done in a comment"));
        }
    }
    assert_none(&broken, "a file is one thing, says what, and is finished");
}

#[test]
fn every_import_form_is_seen() {
    let code = "use crate::{\n    a::{B, c::D},\n    e, f::*,\n};\nuse crate::g::H; let x = crate::i::j();";
    let expected: BTreeSet<String> = ["a", "e", "f", "g", "i"].map(str::to_owned).into();
    assert_eq!(imports(code), expected);
}
