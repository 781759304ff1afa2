//! `deploy/footbridge.service`, by systemd's own word and run as it says.

use std::{
    fs,
    os::unix::{net::UnixDatagram, process::CommandExt as _},
    process::{Child, Command, Stdio},
};

use crate::{
    container::run,
    harness::{PATIENCE, authority::Registration, client::Client},
    island::{Island, on},
    pod,
};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/footbridge.service");

/// Settings of the unit; the last one of a name counts.
fn setting(name: &str) -> String {
    let text = fs::read_to_string(UNIT).unwrap();
    let found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).next_back();
    found.unwrap_or_else(|| panic!("the unit has no {name}")).to_owned()
}

/// Ended when it is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line of the unit as the manager runs it, by the user of the service.
fn command(line: &str, socket: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new("/usr/bin/setpriv");
    let user = format!("--reuid={}", setting("User"));
    command.args([&user, &format!("--regid={}", setting("Group")), "--clear-groups", "--no-new-privs"]);
    command.arg(words.next().unwrap()).args(words).env_clear().stdin(Stdio::null());
    command.env("STATE_DIRECTORY", format!("/var/lib/{}", setting("StateDirectory")));
    command.env("NOTIFY_SOCKET", socket).process_group(0);
    command
}

/// Waits for a word to the service manager.
fn told(socket: &UnixDatagram, word: &str) {
    let mut text = [0; 4096];
    loop {
        let length = socket.recv(&mut text).unwrap_or_else(|error| panic!("nobody says {word}: {error}"));
        if String::from_utf8_lossy(&text[..length]).lines().any(|line| line == word) {
            return;
        }
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_finds_well_fenced() {
    on("systemd::the_unit_is_one_that_systemd_takes_and_finds_well_fenced", async |_island| {
        run(["install", env!("CARGO_BIN_EXE_footbridge"), "/usr/local/bin/footbridge"]);
        let verified = Command::new("systemd-analyze").args(["verify", UNIT]).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && !said.contains("footbridge"), "{said}");
        // In tenths; a unit without a fence has 96.
        run(["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", UNIT]);
    });
}

#[test]
fn the_unit_starts_tells_that_it_is_ready_reloads_and_stops() {
    on("systemd::the_unit_starts_tells_that_it_is_ready_reloads_and_stops", async |island| {
        run(["install", env!("CARGO_BIN_EXE_footbridge"), "/usr/local/bin/footbridge"]);
        run(["useradd", "--system", "--user-group", "--no-create-home", &setting("User")]);
        let state = format!("/var/lib/{}", setting("StateDirectory"));
        run(["install", "-d", "-m", &setting("StateDirectoryMode"), "-o", &setting("User"), &state]);
        let app = Registration::confidential(pod::CLIENT_ID).tenant(pod::TENANT).secret(pod::CLIENT_SECRET);
        island.authority.register_app(app);
        island.exchange.mailboxes().create(pod::MAILBOX);
        for (name, text, mode) in [
            ("footbridge.toml", include_str!("../../deploy/footbridge/footbridge.toml"), "640"),
            ("mappings.toml", include_str!("../../deploy/footbridge/mappings.toml"), "640"),
            ("client_secret", pod::CLIENT_SECRET, "640"),
            ("mail_password", pod::PASSWORD, "640"),
        ] {
            let written = Island::folder("written").join(name);
            let text = text.replace("/run/secrets/", "/etc/footbridge/");
            let text = text.replace("${TENANT}", pod::TENANT).replace("${CLIENT_ID}", pod::CLIENT_ID);
            fs::write(&written, text.replace("${MAILBOX}", pod::MAILBOX)).unwrap();
            let to = format!("/etc/footbridge/{name}");
            run(["install", "-D", "-m", mode, "-g", &setting("Group"), written.to_str().unwrap(), &to]);
        }

        let path = "/run/notify";
        let socket = UnixDatagram::bind(path).unwrap();
        run(["chmod", "666", path]);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut service = Service(command(&setting("ExecStart"), path).spawn().unwrap());
        told(&socket, "READY=1");
        let mut client = Client::connect("127.0.0.1:1143".parse().unwrap()).await;
        let reply = client.imap_login("mail", pod::PASSWORD).await;
        assert!(reply.starts_with("in OK"), "{reply}");
        client.say("bye LOGOUT").await;
        client.until("bye OK {…}").await;
        drop(client);

        assert!(command(&setting("ExecReload"), path).status().unwrap().success());
        fs::write("/etc/footbridge/mappings.toml", "").unwrap();
        assert!(!command(&setting("ExecReload"), path).status().unwrap().success(), "a mistake is told");
        run(["kill", "-s", "TERM", &service.0.id().to_string()]);
        told(&socket, "STOPPING=1");
        assert!(service.0.wait().unwrap().success());
    });
}
