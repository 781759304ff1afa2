//! One script against a real bridge, and what its log must and must not say.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::{
    Script, Stage, Step, What, Who,
    stage::{Door, Way},
};
use crate::harness::{
    authority::{APP, Answer, Authority},
    bridge::Bridge,
    certs::Certs,
    config::{Config, Keys},
    pattern,
};

/// The accounts of every script: login, password, more lines of TOML.
const ACCOUNTS: [(&str, &str, &str); 11] = [
    ("ann@example.com", "correct horse", ""),
    ("bob@example.com", "battery-staple", ""),
    ("quinn@example.com", r#"q"uo\te"#, ""),
    ("spaces@example.com", " two  spaces ", ""),
    ("umlaut@example.com", "pässwörd", ""),
    ("imap-only@example.com", "correct horse", "protocols = [\"imap\"]"),
    ("smtp-only@example.com", "correct horse", "protocols = [\"smtp\"]"),
    (
        "clerk@example.com",
        "correct horse",
        "protocols = [\"smtp\"]\nsenders = [\"*@example.com\", \"info@other.example\"]",
    ),
    ("elsewhere@example.com", "correct horse", "from_networks = [\"192.0.2.0/24\"]"),
    ("scanner", "correct horse", "mailbox = \"scanner@example.com\""),
    ("*@wild.example.com", "correct horse", "mailboxes = [\"one@wild.example.com\"]"),
];

/// The public client of the accounts that act for a person.
const PUBLIC: &str = "33333333-3333-4333-8333-333333333333";

/// The accounts of that app: login, password, grant.
const PEOPLE: [(&str, Option<&str>, &str); 2] = [
    ("delegate@example.com", Some("correct horse"), "authorization_code"),
    ("own@example.com", None, "password"),
];

/// Plays the script in `path` to a real bridge that listens for `protocol`.
///
/// # Panics
/// Where anybody says something else than written, the log holds what it must not, or it lacks what
/// it must hold.
pub async fn hold(protocol: &str, path: &Path) {
    let script = Script::read(path);
    let certs = Certs::new();
    let authority = Arc::new(Authority::scripted(&certs));
    let door = Door::open(&certs, script.setting.starttls).await;
    let tls = if script.setting.starttls { "starttls" } else { "implicit" };
    let upstream = (door.addr(), tls);

    let mut config = Config::empty().app("contoso", &authority, upstream, upstream);
    for (login, password, more) in ACCOUNTS {
        config = config.account_of("contoso", login, password, more);
    }
    config = config.delegated_app_to("people", &authority, upstream, upstream, Keys::of(PUBLIC));
    for (login, password, grant) in PEOPLE {
        config = config.account_with("people", login, password, grant, "");
    }
    if let Some(senders) = &script.setting.printer {
        let more = format!("no_password_from = [\"127.0.0.1\"]\nsenders = [{senders}]");
        config = config.account_with("contoso", "printer@example.com", None, "client_credentials", &more);
    }
    config = config.pop3(upstream);
    for line in &script.setting.limits {
        config = config.limit(line);
    }
    config = match script.setting.listener.as_str() {
        "starttls" => config.encrypted(protocol, "starttls", "require_tls = false"),
        "required" => config.encrypted(protocol, "starttls", "require_tls = true"),
        "implicit" => config.encrypted(protocol, "implicit", ""),
        _ => config,
    };
    let folder = config.write(&certs);
    let bridge = Bridge::start(folder.path());

    let is_implicit = script.setting.listener == "implicit";
    let way = Way { bridge: bridge.addr(protocol), connector: certs.connector(), is_implicit };
    let mut stage = Stage::new(way, door, authority);
    let failed = |number: usize, trouble: String, log: String| {
        panic!("{}:{number}: {trouble}\n\nthe script proves: {}\n\n{log}", path.display(), script.sentence)
    };
    for step in &script.steps {
        if let Err(trouble) = stage.play(step).await {
            failed(step.number, trouble, bridge.log());
        }
    }
    let last = script.steps.last().map_or(0, |step| step.number);
    if let Err(trouble) = stage.clear().await {
        failed(last, trouble, bridge.log());
    }
    // Every session ends with its client, before the bridge is told to end.
    bridge.wait_for_logged("session closed", stage.connections);
    let (status, log) = bridge.terminate();
    assert!(status.success(), "{}: the bridge ended with {status}:\n{log}", path.display());
    let verdict = stage.nobody_else_came().and_then(|()| judge(&script, stage.connections, &log));
    if let Err(trouble) = verdict {
        failed(last, trouble, log);
    }
}

fn judge(script: &Script, connections: usize, log: &str) -> Result<(), String> {
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let closed: Vec<&Value> = lines.iter().filter(|line| line["message"] == "session closed").collect();
    if closed.len() != connections {
        return Err(format!("{connections} sessions and {} closing lines", closed.len()));
    }
    let told = lines
        .iter()
        .filter(|line| matches!(line["message"].as_str(), Some("session closed" | "login refused")));
    let failures: BTreeSet<String> =
        told.filter_map(|line| line["failure"].as_str()).map(str::to_owned).collect();
    if failures != script.setting.failures {
        return Err(format!(
            "the log names the failures {failures:?}, the script {:?}",
            script.setting.failures
        ));
    }
    // What a log line quotes is escaped in it.
    let unescaped = log.replace("\\\"", "\"").replace("\\\\", "\\");
    let holds =
        |text: &[u8]| [log, &unescaped].iter().any(|log| pattern::find(log.as_bytes(), text).is_some());
    for secret in secrets(script) {
        if holds(&secret) {
            return Err(format!("the log holds a secret: {}", secret.escape_ascii()));
        }
    }
    for data in message_data(script) {
        if holds(data) {
            return Err(format!("the log holds message data: {}", data.escape_ascii()));
        }
    }
    Ok(())
}

/// Every password and token of the script and of the configuration, as it is and in base64.
fn secrets(script: &Script) -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = vec![APP.2.into()];
    secrets.extend(ACCOUNTS.iter().map(|(_, password, _)| password.as_bytes().to_vec()));
    secrets.extend(script.setting.secrets.iter().map(|secret| secret.as_bytes().to_vec()));
    for step in &script.steps {
        if let What::Says(text) = &step.what
            && matches!(step.who, Who::Client | Who::BridgeUp)
        {
            secrets.extend(text.secrets.iter().cloned());
        }
        if let What::Answers(Answer::Token(token)) = &step.what {
            secrets.extend([super::name_of(token).into(), token.clone().into()]);
        }
    }
    // Logins are no secrets, and two or three letters are found anywhere.
    let login = |secret: &[u8]| ACCOUNTS.iter().any(|(login, ..)| login.as_bytes() == secret);
    secrets.retain(|secret| secret.len() > 4 && !login(secret));
    let encoded: Vec<Vec<u8>> = secrets.iter().map(|secret| BASE64_STANDARD.encode(secret).into()).collect();
    secrets.extend(encoded);
    secrets
}

/// What client and upstream say to each other after the last login was answered.
fn message_data(script: &Script) -> Vec<&[u8]> {
    let shows = |step: &Step| matches!(&step.what, What::Says(text) if text.shows_token);
    let shown = script.steps.iter().rposition(|step| step.who == Who::BridgeUp && shows(step));
    let Some(shown) = shown else {
        return Vec::new();
    };
    let after = script.steps[shown..].iter().skip_while(|step| step.who != Who::Bridge).skip(1);
    let said = after.filter_map(|step| match (&step.what, step.who) {
        (What::Says(text), Who::Client | Who::Upstream) => Some(text.longest()),
        _ => None,
    });
    said.filter(|data| data.len() > 8).collect()
}
