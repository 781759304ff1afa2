//! What the log says of a session, and what it never says.

mod harness;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use harness::{
    authority::APP,
    client::{plain, xoauth2},
    world::{ANN, BOB, PASSWORD, World},
};
use serde_json::Value;

const LETTER: &str = "Subject: the-secret-of-the-letter\r\n\r\nnobody-else-reads-this\r\n";

/// One good session of each protocol, and what the bridge wrote meanwhile.
async fn good_sessions() -> (World, String, [Value; 2]) {
    let world = World::start();
    world.exchange.mailboxes().deliver(ANN, LETTER);
    let mut imap = world.imap(ANN).await;
    imap.say("a EXAMINE INBOX").await;
    imap.until("a OK {…}").await;
    imap.say("b FETCH 1 BODY[]").await;
    let fetched = imap.until("b OK {…}").await;
    assert!(fetched.iter().any(|line| line.contains("nobody-else-reads-this")), "{fetched:?}");
    imap.say("c LOGOUT").await;
    imap.until("c OK {…}").await;
    imap.expect_end().await;
    drop(imap);

    let mut smtp = world.smtp(BOB).await;
    smtp.send(format!("MAIL FROM:<{BOB}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n")).await;
    smtp.until("354 {…}").await;
    smtp.send(format!("{LETTER}.\r\nQUIT\r\n")).await;
    smtp.until("221 {…}").await;
    smtp.expect_end().await;
    drop(smtp);

    let closing = world.bridge.wait_for_logged("session closed", 2);
    let of = |protocol: &str| {
        let found = closing.iter().find(|line| field(line, "protocol") == protocol);
        found.unwrap_or_else(|| panic!("no closing line of {protocol}: {closing:?}")).clone()
    };
    let lines = [of("imap"), of("smtp")];
    let log = world.bridge.log();
    (world, log, lines)
}

/// A field of a line or of its span.
fn field(line: &Value, name: &str) -> Value {
    [&line[name], &line["span"][name]].into_iter().find(|value| !value.is_null()).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_session_logs_nothing_above_info() {
    let (_world, log, _) = good_sessions().await;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(matches!(line["level"].as_str(), Some("INFO" | "DEBUG" | "TRACE")), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_closing_line_says_who_with_whom_how_much_and_how_long() {
    let (world, _, [imap, smtp]) = good_sessions().await;
    for (line, account, upstream) in
        [(&imap, ANN, world.exchange.imaps.addr()), (&smtp, BOB, world.exchange.smtp.addr())]
    {
        assert_eq!(line["outcome"], "spliced");
        assert_eq!(line["account"], account);
        assert_eq!(line["upstream.addr"], format!("localhost:{}", upstream.port()));
        assert!(field(line, "client.addr").as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert!(!field(line, "session.id").is_null(), "{line}");
        let (login, session) = (line["login.ms"].as_u64().unwrap(), line["session.ms"].as_u64().unwrap());
        assert!(login <= session, "{line}");
    }
    let up = "a EXAMINE INBOX\r\nb FETCH 1 BODY[]\r\nc LOGOUT\r\n".len();
    assert_eq!(imap["bytes.up"], up);
    assert!(imap["bytes.down"].as_u64().unwrap() > LETTER.len() as u64, "{imap}");
    let up = format!("MAIL FROM:<{BOB}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n{LETTER}.\r\nQUIT\r\n").len();
    assert_eq!(smtp["bytes.up"], up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_talkative_log_holds_no_secret_and_no_mail() {
    let (world, log, _) = good_sessions().await;
    let mut unspeakable = vec![
        PASSWORD.to_owned(),
        BASE64_STANDARD.encode(PASSWORD),
        plain("", BOB, PASSWORD),
        APP.2.to_owned(),
        "the-secret-of-the-letter".to_owned(),
        "nobody-else-reads-this".to_owned(),
        "EXAMINE INBOX".to_owned(),
        "$argon2id$".to_owned(),
    ];
    for (_, token) in world.authority.issuer().issued() {
        unspeakable.extend([xoauth2(ANN, &token), xoauth2(BOB, &token), token]);
    }
    assert!(unspeakable.len() > 8, "a token was issued");
    for text in unspeakable {
        assert!(!log.contains(&text), "the log holds {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_one_warning_with_its_reason() {
    let world = World::start();
    let mut client = world.connect("imap").await;
    let reply = client.imap_login(ANN, "incorrect horse").await;
    assert!(reply.starts_with("in NO [AUTHENTICATIONFAILED]"), "{reply}");
    client.say(&format!("x LOGIN nobody@example.com \"{PASSWORD}\"")).await;
    client.expect("x NO [AUTHENTICATIONFAILED] {…}").await;
    drop(client);
    world.bridge.wait_for_logged("session closed", 1);
    let refused = world.bridge.logged("login refused");
    let told: Vec<_> =
        refused.iter().map(|line| (&line["level"], &line["failure"], &line["reason"])).collect();
    let warned = |reason: &str| (Value::from("WARN"), Value::from("bad_credentials"), Value::from(reason));
    let wanted = [warned("wrong_password"), warned("unknown_login")];
    let wanted: Vec<_> = wanted.iter().map(|(level, failure, reason)| (level, failure, reason)).collect();
    assert_eq!(told, wanted);
    assert_eq!(world.exchange.connections(), 0, "nothing leaves the machine for a stranger");
    assert_eq!(world.authority.requests().get(), 0, "nothing leaves the machine for a stranger");
}

/// Hashing takes 19 MiB at a time, and a stranger can cause as much of it as there are cores for. What
/// it took must be given back: an allocator that keeps it turns wrong passwords into gigabytes.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_leave_no_memory_behind() {
    let world = World::start();
    let status = format!("/proc/{}/status", world.bridge.pid());
    let resident = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    let guess = async |world: &World| {
        let mut client = world.connect("imap").await;
        client.expect("* OK {…}").await;
        for _ in 0..4 {
            client.say(&format!("a LOGIN {ANN} wrong")).await;
            client.expect("a NO {…}").await;
        }
    };
    futures::future::join_all((0..16).map(|_| guess(&world))).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more than the {before} KiB at the start");
}
