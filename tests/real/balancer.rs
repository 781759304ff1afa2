//! `haproxy` in front of the bridge: who connects to it is who the bridge sees.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};

use crate::clients::{Running, command, eventually, run};
use crate::lab::{Lab, Setup};
use crate::message::{sha256, tricky};
use crate::servers::{free_ports, servers};

/// Where the client comes from; `haproxy` itself comes from 127.0.0.1.
const CLIENT: &str = "127.0.0.2";

#[test]
fn a_client_behind_a_balancer_is_known_by_its_own_address_over_clear_and_encrypted_lines() {
    let certificates = servers().dir.display();
    let listener = |tls: &str| {
        format!(
            "\n[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
             proxy_protocol = [\"127.0.0.1/32\"]\n"
        )
    };
    let files = format!("certificate = \"{certificates}/server.pem\"\nkey = \"{certificates}/server.key\"\n");
    let listeners = listener("none") + &listener("implicit") + &files;
    let lab = Lab::with("balanced", &Setup { provider: &listeners, ..Setup::default() });
    let bound: Vec<u16> = lab
        .bridge
        .logged("listening")
        .iter()
        .map(|line| line["listener.addr"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    let [.., clear, encrypted] = bound[..] else { panic!("{bound:?}") };

    let (dir, ports): (_, [u16; 4]) = (tempfile::tempdir().unwrap(), free_ports());
    let ways = [
        (clear, "send-proxy"),
        (clear, "send-proxy-v2"),
        (encrypted, "send-proxy"),
        (encrypted, "send-proxy-v2"),
    ];
    let mut config = "global\n  maxconn 20\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n".to_owned();
    for (number, ((to, header), port)) in ways.iter().zip(ports).enumerate() {
        let _ = writeln!(
            config,
            "listen way{number}\n  bind 127.0.0.1:{port}\n  bind {CLIENT}:{port}\n  server bridge 127.0.0.1:{to} {header}"
        );
    }
    let path = dir.path().join("haproxy.cfg");
    fs::write(&path, config).unwrap();
    let _haproxy = Running::start(command("haproxy").arg("-db").arg("-f").arg(&path));
    for port in ports {
        eventually(|| format!("haproxy on {port}"), || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    }

    let message = tricky("balanced");
    lab.servers.append(&lab.mailbox, &message);
    for (number, ((_, header), port)) in ways.iter().zip(ports).enumerate() {
        let scheme = if number < 2 { "imap" } else { "imaps" };
        let url = format!("{scheme}://localhost:{port}/INBOX;MAILINDEX=1");
        let mut curl = lab.curl();
        curl.args(["--interface", CLIENT, "--connect-to", &format!("::{CLIENT}:")]);
        curl.arg("--cacert").arg(servers().dir.join("ca.pem")).arg(url);
        let fetched = run(&mut curl).succeeded().stdout;
        assert_eq!(sha256(&fetched), sha256(&lab.servers.only_message(&lab.mailbox)), "{header}");
    }
    let spliced = eventually(
        || "four sessions to end".to_owned(),
        || {
            let closed = lab.bridge.logged("session closed");
            let spliced: Vec<_> = closed.into_iter().filter(|line| line["login"] == lab.login).collect();
            (spliced.len() == 4).then_some(spliced)
        },
    );
    for line in spliced {
        let from = line["span"]["client.addr"].as_str().unwrap();
        assert!(from.starts_with(&format!("{CLIENT}:")), "{line}");
    }
}
