//! Postfix as those run it who send all their mail by one account of a provider: `relayhost` and SASL.

use std::fs;

use super::errand::{Done, Errand, HOST, SENDER, Tls, finish};
use crate::clients::{eventually, here};
use crate::servers::{free_ports, guardian, servers, wait_for_ports};

pub fn send(errand: &Errand) -> Done<()> {
    let name = errand.dir.file_name().unwrap().to_str().unwrap();
    let [port] = free_ports();
    configure(errand, port);
    let dir = errand.dir.display();
    let guardian = guardian(&servers().dir);
    // What `postfix start` does, but as a process that stays ours.
    let postfix = format!(
        "install -d -o postfix -g root {dir}/data && postfix -c {dir}/etc check && \
         exec /usr/lib/postfix/sbin/master -c {dir}/etc -s"
    );
    guardian.start(name, &["sh", "-c", &postfix]);
    wait_for_ports(&servers().dir, name, &[port]);
    let outcome = submit(errand, port).and_then(|()| relayed(errand));
    guardian.stop(name);
    outcome
}

fn configure(errand: &Errand, port: u16) {
    fs::create_dir_all(errand.dir.join("etc")).unwrap();
    fs::create_dir_all(errand.dir.join("queue")).unwrap();
    let level = if errand.tls == Tls::None { "none" } else { "secure" };
    let wrapper = if errand.tls == Tls::Implicit { "yes" } else { "no" };
    let known = [
        ("@DIR@", errand.dir.display().to_string()),
        ("@PORT@", port.to_string()),
        ("@RELAYHOST@", relayhost(errand)),
        ("@LEVEL@", level.to_owned()),
        ("@WRAPPER@", wrapper.to_owned()),
        ("@CA@", errand.ca.display().to_string()),
    ];
    for file in ["main.cf", "master.cf"] {
        let text = fs::read_to_string(here().join("programs").join(format!("relay-{file}"))).unwrap();
        let text = known.iter().fold(text, |text, (name, value)| text.replace(name, value));
        fs::write(errand.dir.join("etc").join(file), text).unwrap();
    }
    // So that whoever runs the tests may read it, and not only root, who runs Postfix.
    errand.write("postfix.log", "");
    errand.write("passwords", format!("{} {}:{}\n", relayhost(errand), errand.login, errand.password));
}

fn relayhost(errand: &Errand) -> String {
    format!("[{HOST}]:{}", errand.port)
}

fn submit(errand: &Errand, port: u16) -> Done<()> {
    let mut curl = errand.command("curl");
    curl.args(["-sS", &format!("smtp://127.0.0.1:{port}/printer.example.test")]);
    curl.args(["--mail-from", SENDER, "--mail-rcpt", errand.mailbox, "-T"]);
    finish(curl.arg(errand.write("message", errand.message)), b"").map(drop)
}

/// Waits until Postfix has said how its first try ended.
fn relayed(errand: &Errand) -> Done<()> {
    let log = errand.dir.join("postfix.log");
    let status = eventually(
        || format!("an end of Postfix's try in {}", log.display()),
        || {
            let log = fs::read_to_string(&log).ok()?;
            log.lines().find(|line| line.contains("status=")).map(ToOwned::to_owned)
        },
    );
    if status.contains("status=sent") { Ok(()) } else { Err(status) }
}
