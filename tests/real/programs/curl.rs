//! curl, in all three protocols.

use std::process::Command;

use super::errand::{Done, Errand, HOST, Protocol, SENDER, Tls, finish};

pub fn read(errand: &Errand) -> Done<Vec<u8>> {
    let what = match errand.protocol {
        Protocol::Imap => "INBOX;MAILINDEX=1",
        Protocol::Pop3 => "1",
        Protocol::Smtp => unreachable!("nothing is read by SMTP"),
    };
    finish(curl(errand).arg(url(errand, what)), b"")
}

pub fn send(errand: &Errand) -> Done<()> {
    let file = errand.write("message", errand.message);
    let mut curl = curl(errand);
    curl.arg(url(errand, "client.example.test"));
    curl.args(["--mail-from", SENDER, "--mail-rcpt", errand.mailbox, "-T"]).arg(file);
    finish(&mut curl, b"").map(drop)
}

fn curl(errand: &Errand) -> Command {
    let mut curl = errand.command("curl");
    curl.args(["-sS", "--user", &format!("{}:{}", errand.login, errand.password), "--cacert"]);
    curl.arg(errand.ca);
    if errand.tls == Tls::StartTls {
        curl.arg("--ssl-reqd");
    }
    curl
}

fn url(errand: &Errand, what: &str) -> String {
    let end = if errand.tls == Tls::Implicit { "s" } else { "" };
    format!("{}{end}://{HOST}:{}/{what}", errand.protocol.name(), errand.port)
}
