//! The mail libraries of languages, by a script for each: all take the same arguments, print the message that they read, and
//! send the one on standard input.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::errand::{Done, Errand, HOST, SENDER, finish};
use crate::clients::{command, here, run};
use crate::servers::{packages, servers};

pub fn python(errand: &Errand) -> Done<Vec<u8>> {
    finish_script(errand, errand.command("python3").arg(script("mail.py")))
}

pub fn thunderbird(errand: &Errand) -> Done<Vec<u8>> {
    finish_script(errand, errand.command("python3").arg(script("thunderbird.py")))
}

/// `Mail::IMAPClient`, `Net::POP3`, `Net::SMTP`.
pub fn perl(errand: &Errand) -> Done<Vec<u8>> {
    finish_script(errand, errand.command("perl").arg(script("mail.pl")))
}

/// PHP's imap extension, which also speaks POP3, and `PHPMailer`.
pub fn php(errand: &Errand) -> Done<Vec<u8>> {
    // The extension believes whom OpenSSL believes.
    let mut php = errand.command("php");
    finish_script(
        errand,
        php.env("SSL_CERT_FILE", errand.ca).env("SSL_CERT_DIR", "/nonexistent").arg(script("mail.php")),
    )
}

/// imapflow and nodemailer.
pub fn node(errand: &Errand) -> Done<Vec<u8>> {
    finish_script(errand, errand.command("node").arg(script("mail.mjs")).env("PACKAGES", packages()))
}

pub fn java(errand: &Errand) -> Done<Vec<u8>> {
    let mut java = errand.command("java");
    // Small machines are quicker without the second compiler.
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
    finish_script(errand, java.arg(format!("{JAVA_MAIL}:{}", compiled().display())).arg("Mail"))
}

const JAVA_MAIL: &str = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar";

/// The folder of `Mail.class`: a Java machine without a compiler is a third of the size.
fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let folder = servers().dir.join("java");
        let mut ecj = command("ecj");
        ecj.args(["-11", "-proc:none", "-cp", JAVA_MAIL, "-d"]).arg(&folder);
        run(ecj.arg(script("Mail.java"))).succeeded();
        folder
    })
}

fn script(name: &str) -> PathBuf {
    here().join("programs").join(name)
}

fn finish_script(errand: &Errand, command: &mut Command) -> Done<Vec<u8>> {
    command.args([errand.protocol.name(), errand.tls.name(), HOST, &errand.port()]);
    command.arg(errand.ca).args([errand.login, SENDER, errand.mailbox]);
    command.env("PASSWORD", errand.password);
    finish(command, errand.message)
}
