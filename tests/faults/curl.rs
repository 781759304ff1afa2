//! curl as the mail program, and what is said of its login in every place.

use std::process::{Command, Stdio};

use footbridge::failure::Explanation;
use serde_json::Value;

use crate::harness::{
    browser::Browser,
    cli::Cli,
    world::{PASSWORD, World},
};

/// Where a fault is explained, and how.
pub(crate) struct Told {
    /// The reply that ended curl's attempt, as it came over the wire.
    pub(crate) reply: String,
    /// What the log says: cause and cure.
    pub(crate) logged: (String, String),
    /// The word for whose fault it is.
    pub(crate) fault: String,
}

/// Has curl open the mailbox of `login`, or send a message for it, and returns its conversation.
pub(crate) fn converse(world: &World, protocol: &str, login: &str, password: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sv", "--max-time", "30", "--user", &format!("{login}:{password}")]);
    curl.arg(format!("{protocol}://{}/{}", world.bridge.addr(protocol), place(protocol)));
    if protocol == "smtp" {
        curl.args(["--mail-from", login, "--mail-rcpt", "bob@example.com", "-T", "-"]);
    }
    let mut child = curl
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl is there");
    // Where curl does not come as far it does not read the message.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"Subject: hello\r\n\r\nhello\r\n");
    let ended = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

fn place(protocol: &str) -> &'static str {
    match protocol {
        "imap" => "INBOX;MAILINDEX=1",
        "pop3" => "1",
        _ => "client.example.test",
    }
}

/// The lines that came from the server.
pub(crate) fn heard(conversation: &str) -> Vec<String> {
    conversation
        .lines()
        .filter_map(|line| line.strip_prefix("< "))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Logs in by curl, which fails, and sees that every place says the same. `words` stand in the reply.
pub(crate) fn refused(fault: &str, world: &World, protocol: &str, login: &str, words: &[&str]) -> Told {
    let told = attempted(fault, world, protocol, login);
    for word in words {
        assert!(told.reply.contains(word), "{fault}: no {word:?} in {:?}", told.reply);
    }
    let (cause, cure) = &told.logged;
    let line = Explanation::new(cause, cure).line();
    assert!(told.reply.ends_with(&line), "{fault}: {:?} is not {:?}", told.reply, told.logged);
    assert!(told.reply.len() <= 512 && told.reply.is_ascii(), "{fault}: {:?}", told.reply);
    let last = last_failure(world, login);
    assert_eq!((last["cause"].as_str(), last["cure"].as_str()), (Some(&**cause), Some(&**cure)), "{fault}");
    examined(fault, world, login, cause, cure);
    on_the_console(fault, world, cause, cure);
    told
}

/// The same without a word on the wire that tells why.
pub(crate) fn refused_without_words(
    fault: &str,
    world: &World,
    protocol: &str,
    login: &str,
    logged: &[&str],
) -> Told {
    let told = attempted(fault, world, protocol, login);
    for word in logged {
        let (cause, cure) = &told.logged;
        assert!(cause.contains(word) || cure.contains(word), "{fault}: no {word:?} in {:?}", told.logged);
        assert!(!told.reply.contains(word), "{fault}: {:?} tells", told.reply);
    }
    told
}

fn attempted(fault: &str, world: &World, protocol: &str, login: &str) -> Told {
    let before = world.bridge.logged("login refused").len();
    let conversation = converse(world, protocol, login, PASSWORD);
    assert!(
        !conversation.contains(PASSWORD) || protocol == "pop3",
        "curl shows no password of its own accord"
    );
    let reply =
        heard(&conversation).pop().unwrap_or_else(|| panic!("{fault}: curl heard nothing: {conversation}"));
    let line = world.bridge.wait_for_logged("login refused", before + 1).pop().unwrap();
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let logged = (text("cause"), text("cure"));
    println!("| {fault} | `{reply}` | {} | {}: {} |", text("fault"), logged.0, logged.1);
    world.log_is_discreet();
    Told { reply, logged, fault: text("fault") }
}

/// What `footbridge accounts` says of the last failure.
pub(crate) fn last_failure(world: &World, login: &str) -> Value {
    let rows = Cli::run(world.folder.path(), ["accounts", "--json"]).json();
    rows.as_array().unwrap().iter().find(|row| row["login"] == login).unwrap()["last_failure"].clone()
}

/// The doctor comes to the same conclusion.
fn examined(fault: &str, world: &World, login: &str, cause: &str, cure: &str) {
    let report = Cli::run(world.folder.path(), ["doctor", "--json", login]).expect(1).json();
    let hops = report["accounts"][0]["hops"].as_array().unwrap().clone();
    let says = |hop: &Value| hop["outcome"] == "failed" && hop["cause"] == cause && hop["cure"] == cure;
    assert!(hops.iter().any(says), "{fault}: the doctor does not say {cause:?}, {cure:?}: {report:#}");
}

/// The console's first page says the same.
pub(crate) fn on_the_console(fault: &str, world: &World, cause: &str, cure: &str) {
    let page = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(console(world)));
    let page = unescaped(&page);
    assert!(page.contains(cause) && page.contains(cure), "{fault}: {cause:?}, {cure:?}\n{page}");
}

/// The console's first page, for who knows the password.
async fn console(world: &World) -> String {
    let line = world.bridge.wait_for_log("the console", |line| line["message"] == "console");
    let home = format!("http://{}", line["listener.addr"].as_str().unwrap());
    let password = std::fs::read_to_string(world.folder.path().join("state/console.password")).unwrap();
    let browser: Browser = world.browser();
    let signed_in =
        browser.post_with(&format!("{home}/login"), &[("password", password.trim_end())], &[]).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    browser.get_with(&format!("{home}/"), &[("cookie", &cookie)]).await.body
}

/// The text of a page, as far as it matters here.
fn unescaped(page: &str) -> String {
    page.replace("&#38;", "&")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&#62;", ">")
        .replace("&#60;", "<")
}
