//! Mail is read: curl, mbsync, fetchmail and imaplib on one side, Dovecot on the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{Running, command, file, python, run};
use crate::lab::{Lab, PASSWORD, Setup, WRONG_PASSWORD};
use crate::message::{large, sha256, tricky};

#[test]
fn curl_lists_appends_and_fetches_a_message_unchanged() {
    let lab = Lab::start("curl-imap");
    let message = tricky("curl-imap");
    let file = file(&message);
    run(lab.curl().arg(lab.imap_url("INBOX")).arg("-T").arg(file.path())).succeeded();
    assert_eq!(sha256(&lab.servers.only_message(&lab.mailbox)), sha256(&message), "what Dovecot has");

    let listed = run(lab.curl().arg(lab.imap_url(""))).succeeded().text();
    assert!(listed.contains("INBOX"), "{listed}");
    let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
    assert_eq!(sha256(&fetched), sha256(&message), "what curl got");
}

#[test]
fn a_message_of_25_megabytes_is_fetched_unchanged() {
    let lab = Lab::start("large-fetch");
    let message = large("large-fetch");
    lab.servers.append(&lab.mailbox, &message);
    let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
    assert_eq!(fetched.len(), message.len());
    assert_eq!(sha256(&fetched), sha256(&message));
}

#[test]
fn a_message_of_25_megabytes_is_appended_unchanged() {
    let lab = Lab::start("large-append");
    let message = large("large-append");
    let file = file(&message);
    run(lab.curl().arg(lab.imap_url("INBOX")).arg("-T").arg(file.path())).succeeded();
    assert_eq!(sha256(&lab.servers.only_message(&lab.mailbox)), sha256(&message));
}

#[test]
fn imaplib_reads_a_message_unchanged_after_login_and_after_authenticate_plain() {
    let lab = Lab::start("imaplib");
    let message = tricky("imaplib");
    lab.servers.append(&lab.mailbox, &message);
    for mechanism in ["LOGIN", "PLAIN"] {
        let read = run(lab.python_imap("imap").arg(mechanism)).succeeded().text();
        assert_eq!(read.trim(), format!("{} {}", sha256(&message), message.len()), "{mechanism}");
    }
}

#[test]
fn mbsync_carries_messages_both_ways() {
    let lab = Lab::start("mbsync");
    let [theirs, ours] = [tricky("theirs"), tricky("ours")];
    lab.servers.append(&lab.mailbox, &theirs);
    let maildir = lab.dir.path().join("maildir");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(folder)).unwrap();
    }
    fs::write(maildir.join("new/1.ours.here"), unix_lines(&ours)).unwrap();

    run(&mut mbsync(&lab, &maildir, PASSWORD)).succeeded();

    // mbsync marks with a header line of its own what it carries to a server, and keeps Unix line ends here.
    let uploaded = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=2"))).succeeded().stdout;
    assert_eq!(sha256(&without_mark(&uploaded)), sha256(&ours));
    let downloaded = files_in(&maildir)
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .find(|content| content.windows(15).any(|bytes| bytes == b"Subject: theirs"))
        .expect("their message is here");
    assert_eq!(sha256(&without_mark(&downloaded)), sha256(&unix_lines(&theirs)));
}

#[test]
fn fetchmail_takes_a_message_out_of_the_mailbox() {
    let lab = Lab::start("fetchmail");
    let message = tricky("fetchmail");
    lab.servers.append(&lab.mailbox, &message);
    let target = lab.dir.path().join("delivered");

    run(&mut fetchmail(&lab, &target, PASSWORD)).succeeded();

    // fetchmail puts lines of its own on top, and hands over Unix line ends.
    let delivered = fs::read(&target).unwrap();
    let body = |message: &[u8]| {
        let start = message.windows(2).position(|bytes| bytes == b"\n\n").unwrap();
        sha256(&message[start..])
    };
    assert_eq!(body(&delivered), body(&unix_lines(&message)));
    let left = lab.servers.imap(&lab.mailbox, "STATUS INBOX (MESSAGES)").succeeded().text();
    assert!(left.contains("MESSAGES 0"), "{left}");
}

#[test]
fn idle_tells_of_a_new_message() {
    let lab = Lab::start("idle");
    let mut idle = Running::start(&mut lab.python_imap("idle"));
    assert_eq!(idle.line(), "idling");
    lab.servers.append(&lab.mailbox, &tricky("idle"));
    assert_eq!(idle.line(), "* 1 EXISTS");
    assert_eq!(idle.line(), "OK");
    idle.finish();
}

#[test]
fn what_the_client_compresses_passes() {
    let lab = Lab::start("compress");
    let message = tricky("compress");
    lab.servers.append(&lab.mailbox, &message);
    let read = run(&mut lab.python_imap("compress")).succeeded().text();
    assert_eq!(read.trim(), format!("{} {}", sha256(&message), message.len()));
}

#[test]
fn an_upstream_with_starttls_serves_as_one_with_implicit_tls() {
    let lab = Lab::with("imap-starttls", &Setup { imap_tls: "starttls", ..Setup::default() });
    let message = tricky("imap-starttls");
    lab.servers.append(&lab.mailbox, &message);
    let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
    assert_eq!(sha256(&fetched), sha256(&message));
}

#[test]
fn every_program_tells_a_wrong_password_from_other_trouble() {
    let lab = Lab::start("imap-wrong-password");
    let curl = run(lab.curl_with(WRONG_PASSWORD).arg(lab.imap_url("")));
    assert_eq!(curl.code, 67, "curl: login denied: {curl}");

    for mechanism in ["LOGIN", "PLAIN"] {
        let imaplib = run(python("imap", lab.imap_port(), &lab.login, WRONG_PASSWORD).arg(mechanism));
        assert_eq!(imaplib.code, 1, "{imaplib}");
        assert!(imaplib.text().contains("AUTHENTICATIONFAILED"), "{imaplib}");
    }

    let maildir = lab.dir.path().join("maildir");
    let mbsync = run(&mut mbsync(&lab, &maildir, WRONG_PASSWORD));
    assert_ne!(mbsync.code, 0);
    assert!(mbsync.said().contains("AUTHENTICATIONFAILED"), "{mbsync}");

    let fetchmail = run(&mut fetchmail(&lab, Path::new("/dev/null"), WRONG_PASSWORD));
    assert_eq!(fetchmail.code, 3, "fetchmail: authentication failed: {fetchmail}");

    assert_eq!(lab.count().requests, 0, "nothing leaves the machine for a wrong password");
}

fn mbsync(lab: &Lab, maildir: &Path, password: &str) -> Command {
    let config = lab.dir.path().join("mbsyncrc");
    let text = format!(
        "IMAPAccount bridge\nHost 127.0.0.1\nPort {}\nUser {}\nPass \"{password}\"\nSSLType None\n\n\
         IMAPStore far\nAccount bridge\n\n\
         MaildirStore near\nInbox {}\nPath {}/\n\n\
         Channel both\nFar :far:INBOX\nNear :near:INBOX\nCreate Near\nSync All\nSyncState *\n",
        lab.imap_port(),
        lab.login,
        maildir.display(),
        lab.dir.path().display(),
    );
    fs::write(&config, text).unwrap();
    let mut mbsync = command("mbsync");
    mbsync.arg("-V").arg("-c").arg(config).arg("both");
    mbsync
}

pub fn fetchmail(lab: &Lab, target: &Path, password: &str) -> Command {
    let config = lab.dir.path().join("fetchmailrc");
    let text = format!(
        "poll 127.0.0.1 service {} protocol imap auth password\n\
         user \"{}\" password \"{password}\" sslproto \"\" fetchall no rewrite no keep mda \"cat > {}\"\n",
        lab.imap_port(),
        lab.login,
        target.display(),
    );
    fs::write(&config, text).unwrap();
    Command::new("chmod").arg("600").arg(&config).status().unwrap();
    let mut fetchmail = command("fetchmail");
    fetchmail.env("HOME", lab.dir.path()).arg("-v").arg("-f").arg(config).arg("--pidfile");
    fetchmail.arg(lab.dir.path().join("fetchmail.pid"));
    fetchmail
}

fn unix_lines(message: &[u8]) -> Vec<u8> {
    message.iter().copied().filter(|byte| *byte != b'\r').collect()
}

fn without_mark(message: &[u8]) -> Vec<u8> {
    message
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"X-TUID:"))
        .flatten()
        .copied()
        .collect()
}

fn files_in(maildir: &Path) -> Vec<PathBuf> {
    let list = |folder| fs::read_dir(maildir.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    list("cur").chain(list("new")).collect()
}
