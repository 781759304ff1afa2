//! neomutt, which reads by IMAP and POP3 in a terminal of its own, and sends by SMTP without one.

use std::fmt::Write as _;

use super::errand::{Done, Errand, HOST, Protocol, SENDER, Tls, finish, finish_in, quoted};
use crate::clients::here;

/// With what neomutt asks whether a certificate is to be believed that it cannot check.
const DOUBT: &str = "(r)eject";

pub fn read(errand: &Errand) -> Done<Vec<u8>> {
    let maildir = errand.maildir("maildir");
    let mut rc = settings(errand);
    // What a person would type: copy the message to a folder, leave.
    writeln!(
        rc,
        "set mbox_type=Maildir confirmcreate=no confirmappend=no delete=no pop_delete=no quit=yes wait_key=no\n\
         push \"<copy-message><kill-line>{}<enter><exit>\"",
        maildir.display(),
    )
    .unwrap();
    let rc = errand.write("neomuttrc", rc);
    let scheme = if errand.protocol == Protocol::Imap { "imap" } else { "pop" };
    let mut terminal = errand.command("python3");
    terminal.arg(here().join("programs/terminal.py")).arg(DOUBT).env("TERM", "xterm");
    terminal.args(["neomutt", "-n", "-F"]).arg(rc).arg("-f").arg(url(errand, scheme));
    finish_in(&maildir, &mut terminal)
}

pub fn send(errand: &Errand) -> Done<()> {
    let mut rc = settings(errand);
    writeln!(
        rc,
        "set smtp_url={} copy=no send_charset=utf-8 from={SENDER} use_envelope_from=yes envelope_from_address={SENDER}",
        quoted(&url(errand, "smtp")),
    )
    .unwrap();
    let rc = errand.write("neomuttrc", rc);
    let mut neomutt = errand.command("neomutt");
    neomutt.arg("-n").arg("-F").arg(rc).args(["-s", "by neomutt", "--", errand.mailbox]);
    finish(&mut neomutt, body(errand.message)).map(drop)
}

fn settings(errand: &Errand) -> String {
    let [login, password] = [errand.login, errand.password].map(quoted);
    let starttls = if errand.tls == Tls::StartTls { "yes" } else { "no" };
    let force = if errand.tls == Tls::None { "no" } else { "yes" };
    format!(
        "set imap_user={login} imap_pass={password} pop_user={login} pop_pass={password} smtp_user={login} \
         smtp_pass={password} ssl_starttls={starttls} ssl_force_tls={force} ssl_ca_certificates_file={}\n\
         set folder={} header_cache= message_cachedir= sleep_time=0 timeout=1\n",
        errand.ca.display(),
        errand.dir.display(),
    )
}

fn url(errand: &Errand, scheme: &str) -> String {
    let end = if errand.tls == Tls::Implicit { "s" } else { "" };
    let inbox = if errand.protocol == Protocol::Imap { "INBOX" } else { "" };
    format!("{scheme}{end}://{HOST}:{}/{inbox}", errand.port)
}

/// neomutt writes the header itself.
fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    &message[end + 4..]
}
