//! Programs that send a message: msmtp, swaks.

use super::errand::{Done, Errand, HOST, SENDER, Tls, finish};
use super::fetchers::{auth, tls_options};

pub fn msmtp(errand: &Errand) -> Done<()> {
    let ask = format!("--passwordeval=cat {}", errand.write("password", errand.password).display());
    let mut msmtp = errand.command("msmtp");
    msmtp.args(["--file=/dev/null", &format!("--host={HOST}"), "--port", &errand.port()]);
    msmtp.args(tls_options(errand));
    msmtp.args([&auth(errand, "plain"), "--user", errand.login, &ask, "--from", SENDER, errand.mailbox]);
    finish(&mut msmtp, errand.message).map(drop)
}

pub fn swaks(errand: &Errand) -> Done<()> {
    let mut swaks = errand.command("swaks");
    swaks.args(["--server", HOST, "--port", &errand.port(), "--from", SENDER, "--to", errand.mailbox]);
    swaks.args(["--auth", "--auth-user", errand.login, "--auth-password", errand.password]);
    swaks.arg("--data").arg(format!("@{}", errand.write("message", errand.message).display()));
    match errand.tls {
        Tls::None => {}
        Tls::StartTls => drop(swaks.arg("--tls")),
        Tls::Implicit => drop(swaks.arg("--tlsc")),
    }
    if errand.tls != Tls::None {
        swaks.args(["--tls-verify", "--tls-ca-path"]).arg(errand.ca);
    }
    finish(&mut swaks, b"").map(drop)
}
