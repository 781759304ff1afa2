//! Mail is sent: curl, msmtp, swaks and smtplib on one side, Postfix on the other, which delivers to Dovecot.

use std::fs;
use std::process::Command;

use tempfile::NamedTempFile;

use crate::clients::{command, file, python, run, run_with};
use crate::lab::{Lab, PASSWORD, Setup, WRONG_PASSWORD};
use crate::message::{large, sha256, tricky};

#[test]
fn curl_sends_a_message_unchanged() {
    let lab = Lab::start("curl-smtp");
    let message = tricky("curl-smtp");
    run(&mut lab.curl_send(file(&message).path())).succeeded();
    assert_eq!(sha256(&lab.servers.only_message_as_sent(&lab.mailbox)), sha256(&message));
}

#[test]
fn msmtp_sends_a_message_unchanged() {
    for mechanism in ["plain", "login"] {
        let lab = Lab::start(&format!("msmtp-{mechanism}"));
        let message = tricky("msmtp");
        run_with(&mut msmtp(&lab, mechanism, PASSWORD), &message).succeeded();
        assert_eq!(sha256(&lab.servers.only_message_as_sent(&lab.mailbox)), sha256(&message), "{mechanism}");
    }
}

#[test]
fn swaks_sends_a_message_after_plain_and_after_login() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let lab = Lab::start(&format!("swaks-{}", mechanism.to_lowercase()));
        let message = tricky("swaks");
        let file = file(&message);
        run(swaks(&lab, mechanism, PASSWORD).args(["--data", &from(&file)])).succeeded();
        assert_eq!(
            sha256(&lab.servers.only_message_as_sent(&lab.mailbox)),
            sha256(&as_swaks_sends(&message)),
            "{mechanism}"
        );
    }
}

#[test]
fn smtplib_sends_a_message_unchanged_with_and_without_initial_response() {
    for (name, arguments) in [
        ("smtplib-plain", &["PLAIN"][..]),
        ("smtplib-plain-asked", &["PLAIN", "no-initial"]),
        ("smtplib-login", &["LOGIN"]),
        ("smtplib-login-asked", &["LOGIN", "no-initial"]),
    ] {
        let lab = Lab::start(name);
        let message = tricky(name);
        let mut smtplib = lab.python_smtp("smtp");
        smtplib.arg(arguments[0]).arg(&lab.mailbox).args(&arguments[1..]);
        run_with(&mut smtplib, &message).succeeded();
        assert_eq!(sha256(&lab.servers.only_message_as_sent(&lab.mailbox)), sha256(&message), "{name}");
    }
}

#[test]
fn a_message_of_25_megabytes_is_sent_and_read_back_unchanged() {
    let lab = Lab::start("large-smtp");
    let message = large("large-smtp");
    run(&mut lab.curl_send(file(&message).path())).succeeded();
    let stored = lab.servers.only_message(&lab.mailbox);
    assert_eq!(sha256(crate::message::as_sent(&stored)), sha256(&message));
    let fetched = run(lab.curl().arg(lab.imap_url("INBOX;MAILINDEX=1"))).succeeded().stdout;
    assert_eq!(sha256(&fetched), sha256(&stored), "read back through the bridge");
}

#[test]
fn an_upstream_with_implicit_tls_serves_as_one_with_starttls() {
    let lab = Lab::with("smtp-implicit", &Setup { smtp_tls: "implicit", ..Setup::default() });
    let message = tricky("smtp-implicit");
    run(&mut lab.curl_send(file(&message).path())).succeeded();
    assert_eq!(sha256(&lab.servers.only_message_as_sent(&lab.mailbox)), sha256(&message));
}

#[test]
fn every_program_tells_a_wrong_password_from_other_trouble() {
    let lab = Lab::start("smtp-wrong-password");
    let curl = run(lab.curl_with(WRONG_PASSWORD).arg(lab.smtp_url()).args(["-X", "NOOP"]));
    assert_eq!(curl.code, 67, "curl: login denied: {curl}");

    let msmtp = run_with(&mut msmtp(&lab, "plain", WRONG_PASSWORD), &tricky("wrong"));
    assert_eq!(msmtp.code, 77, "msmtp: permission denied: {msmtp}");
    assert!(msmtp.said().contains("535 5.7.8"), "{msmtp}");

    for mechanism in ["PLAIN", "LOGIN"] {
        let swaks = run(&mut swaks(&lab, mechanism, WRONG_PASSWORD));
        assert_eq!(swaks.code, 28, "swaks: no authentication succeeded: {swaks}");
        let smtplib =
            run(python("smtp", lab.smtp_port(), &lab.login, WRONG_PASSWORD).args([mechanism, &lab.mailbox]));
        assert_eq!(smtplib.code, 1, "{smtplib}");
        assert!(smtplib.text().starts_with("SMTPAuthenticationError: (535,"), "{smtplib}");
    }
    assert_eq!(lab.count().requests, 0, "nothing leaves the machine for a wrong password");
}

pub fn msmtp(lab: &Lab, mechanism: &str, password: &str) -> Command {
    let secret = lab.dir.path().join("password");
    fs::write(&secret, password).unwrap();
    let port = lab.smtp_port().to_string();
    let ask = format!("--passwordeval=cat {}", secret.display());
    let mut msmtp = command("msmtp");
    msmtp.args(["--file=/dev/null", "--host=127.0.0.1", "--port", &port, "--tls=off"]);
    msmtp.args([
        &format!("--auth={mechanism}"),
        "--user",
        &lab.login,
        &ask,
        "--from",
        &lab.mailbox,
        &lab.mailbox,
    ]);
    msmtp
}

/// swaks adds an empty line at the end.
fn as_swaks_sends(message: &[u8]) -> Vec<u8> {
    [message, b"\r\n"].concat()
}

/// swaks' way to name a file of which the message is taken.
fn from(file: &NamedTempFile) -> String {
    format!("@{}", file.path().display())
}

fn swaks(lab: &Lab, mechanism: &str, password: &str) -> Command {
    let port = lab.smtp_port().to_string();
    let mut swaks = command("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &port, "--from", &lab.mailbox, "--to", &lab.mailbox]);
    swaks.args(["--auth", mechanism, "--auth-user", &lab.login, "--auth-password", password]);
    swaks
}
