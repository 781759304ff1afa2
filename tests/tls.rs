//! Listeners that encrypt their line: which certificate they show, and what is told when it does not work.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{net::SocketAddr, os::unix::fs::symlink, path::Path, sync::Arc};

use harness::{
    PATIENCE,
    bridge::Bridge,
    certs::Certs,
    client::Client,
    world::{ANN, PASSWORD, World},
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A bridge whose IMAP listener encrypts its line from the first byte.
fn implicit() -> World {
    World::with(|config, _, _| config.encrypted("imap", "implicit", ""))
}

/// A bridge with a certificate of its own making.
fn own(more: &str) -> World {
    World::with(|config, _, _| {
        config
            .listener("imap", "127.0.0.1:0", "tls = \"implicit\"")
            .listener("smtp", "127.0.0.1:0", "tls = \"starttls\"")
            .more(more)
    })
}

/// What the bridge made, as a client that was told to trust it alone.
fn trusting(folder: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("state/listener.pem")).unwrap()).unwrap();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

async fn shake(addr: SocketAddr, name: &str, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(addr).await.unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// The certificate that the IMAP listener shows to a client that trusts everybody of this world.
async fn shown(world: &World) -> CertificateDer<'static> {
    let stream = shake(world.bridge.addr("imap"), "localhost", world.certs.client_config()).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn turned_away(bridge: &Bridge) -> (String, String) {
    let line = bridge.wait_for_log("client turned away", |line| line["message"] == "client turned away");
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    (text("cause"), text("cure"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_tls_carry_a_session_and_the_log_names_them() {
    let world = World::with(|config, _, _| {
        config.encrypted("imap", "implicit", "").encrypted("smtp", "starttls", "require_tls = true")
    });
    let versions: [(&'static SupportedProtocolVersion, &str); 2] = [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")];
    for (number, (version, name)) in (1..).zip(versions) {
        let config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots_of(&world.certs))
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let mut client = Client::connect_tls(world.bridge.addr("imap"), &connector).await;
        assert!(client.imap_login(ANN, PASSWORD).await.starts_with("in OK "));
        client.say("out LOGOUT").await;
        client.until("out OK {…}").await;
        drop(client);
        let closed = world.bridge.wait_for_logged("session closed", number);
        assert_eq!(closed[number - 1]["client.tls"], name);
    }
    let mut client = world.connect("smtp").await;
    client.expect("220 {…}").await;
    client.say("STARTTLS").await;
    client.expect("220 {…}").await;
    let mut client = client.start_tls(&world.certs.connector()).await;
    client.say("EHLO client.test").await;
    client.until("250 AUTH PLAIN LOGIN").await;
}

fn roots_of(certs: &Certs) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certs.ca_pem().as_bytes()).unwrap()).unwrap();
    roots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_made_once_for_the_names_of_the_listeners_and_its_fingerprint_is_told() {
    let world = own("[tls]\nnames = [\"bridge.example.com\"]");
    let told = world.bridge.wait_for_log("certificate", |line| line["message"] == "certificate");
    let path = world.folder.path().join("state/listener.pem");
    assert_eq!(told["path"], path.to_str().unwrap());
    let openssl = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&path)
        .output()
        .unwrap();
    let fingerprint = String::from_utf8(openssl.stdout).unwrap();
    let fingerprint = fingerprint.trim().split_once('=').unwrap().1;
    assert_eq!(told["fingerprint.sha256"], fingerprint);
    for name in ["localhost", "127.0.0.1", "bridge.example.com"] {
        shake(world.bridge.addr("imap"), name, trusting(world.folder.path())).await.unwrap();
    }
    shake(world.bridge.addr("imap"), "other.example.com", trusting(world.folder.path())).await.unwrap_err();

    let before = trusting(world.folder.path());
    let World { folder, bridge, .. } = world;
    assert!(bridge.terminate().0.success());
    let bridge = Bridge::start(folder.path());
    shake(bridge.addr("imap"), "localhost", before).await.unwrap();
    assert!(bridge.logged("certificate made: mail programs have to trust it").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_that_was_made_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = own("[tls]\nkey_type = \"rsa-2048\"");
    let key = world.folder.path().join("state/listener.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = std::fs::read_to_string(&key).unwrap();
    assert!(pem.len() > 1500, "an RSA key, as it was wanted");
    let secret: String = pem.lines().filter(|line| !line.starts_with('-')).take(1).collect();
    assert!(!world.bridge.log().contains(&secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_added_makes_another_certificate_with_the_same_key() {
    let world = own("");
    let read = |name: &str| std::fs::read_to_string(world.folder.path().join("state").join(name)).unwrap();
    let (certificate, key) = (read("listener.pem"), read("listener.key"));
    let config = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "\n[tls]\nnames = [\"added.example.com\"]\n";
    std::fs::write(&config, text).unwrap();
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration reloaded", 1);
    assert_eq!(read("listener.key"), key);
    assert_ne!(read("listener.pem"), certificate);
    shake(world.bridge.addr("imap"), "added.example.com", trusting(world.folder.path())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_replaced_is_shown_to_the_next_client_without_a_reload() {
    let world = implicit();
    let mut session = Client::connect_tls(world.bridge.addr("imap"), &world.certs.connector()).await;
    assert!(session.imap_login(ANN, PASSWORD).await.starts_with("in OK "));
    let before = shown(&world).await;
    let leaf = world.certs.leaf();
    leaf.write(world.folder.path(), "listener");
    world.bridge.wait_for_logged("certificate replaced", 1);
    assert_eq!(shown(&world).await, leaf.der());
    assert_ne!(before, leaf.der());
    session.say("a1 NOOP").await;
    session.until("a1 OK {…}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_behind_a_symbolic_link_that_is_swapped_is_shown() {
    // As Kubernetes mounts a secret: the files are links into a folder that is itself a link.
    let folder = tempfile::tempdir().unwrap();
    let mounted = folder.path();
    let world = World::with(|config, certs, _| {
        for name in ["..1", "..2"] {
            std::fs::create_dir(mounted.join(name)).unwrap();
            certs.leaf().write(&mounted.join(name), "tls");
        }
        symlink("..1", mounted.join("..data")).unwrap();
        for name in ["tls.pem", "tls.key"] {
            symlink(Path::new("..data").join(name), mounted.join(name)).unwrap();
        }
        let at = mounted.display();
        let files = format!("tls = \"implicit\"\ncertificate = \"{at}/tls.pem\"\nkey = \"{at}/tls.key\"");
        config.listener("imap", "127.0.0.1:0", &files)
    });
    let before = shown(&world).await;
    symlink("..2", mounted.join("..next")).unwrap();
    std::fs::rename(mounted.join("..next"), mounted.join("..data")).unwrap();
    world.bridge.wait_for_logged("certificate replaced", 1);
    assert_ne!(shown(&world).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_fit_its_key_is_told_once_and_the_old_one_is_shown() {
    let world = implicit();
    let before = shown(&world).await;
    let folder = world.folder.path();
    std::fs::copy(folder.join("ca.pem"), folder.join("listener.pem")).unwrap();
    let told = "certificate not replaced, the old one is shown";
    let line = world.bridge.wait_for_log(told, |line| line["message"] == told);
    assert!(line["cause"].as_str().unwrap().contains("does not belong to the certificate"), "{line}");
    assert_eq!(shown(&world).await, before);
    let leaf = world.certs.leaf();
    leaf.write(folder, "listener");
    world.bridge.wait_for_logged("certificate replaced", 1);
    assert_eq!(world.bridge.logged(told).len(), 1);
    assert_eq!(shown(&world).await, leaf.der());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_tls_on_an_encrypted_port_is_told_to_the_log_with_the_cure() {
    let world = implicit();
    let mut client = world.connect("imap").await;
    client.say("a1 LOGIN ann@example.com \"correct horse\"").await;
    let (cause, cure) = turned_away(&world.bridge);
    assert_eq!(cause, "the client speaks without TLS to this listener");
    assert!(cure.starts_with("switch on SSL/TLS in the mail program"), "{cure}");
    assert!(!world.bridge.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_a_greeting_in_clear_is_told_to_the_log_when_its_time_is_over() {
    let world =
        World::with(|config, _, _| config.encrypted("imap", "implicit", "").limit("login_timeout = \"1s\""));
    let mut client = world.connect("imap").await;
    client.expect_end().await;
    let (cause, cure) = turned_away(&world.bridge);
    assert!(cause.contains("has not begun the TLS handshake"), "{cause}");
    assert!(cure.starts_with("switch on SSL/TLS in the mail program"), "{cure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_trust_the_certificate_is_told_to_the_log() {
    let world = implicit();
    let stranger = Certs::new();
    shake(world.bridge.addr("imap"), "localhost", stranger.client_config()).await.unwrap_err();
    let (cause, cure) = turned_away(&world.bridge);
    assert!(cause.starts_with("the client does not accept the listener's certificate"), "{cause}");
    assert!(cure.starts_with("have the mail program trust the certificate"), "{cure}");
}

/// Python checks the name after the handshake, and so do others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_right_after_the_handshake_is_told_to_the_log() {
    let world = implicit();
    drop(Client::connect_tls(world.bridge.addr("imap"), &world.certs.connector()).await);
    let left = world.bridge.wait_for_log("client left", |line| line["message"] == "client left");
    assert_eq!(left["cause"], "the client left right after the TLS handshake, before any command");
    assert!(left["cure"].as_str().unwrap().starts_with("have the mail program trust"), "{left}");
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closed[0]["outcome"], "left", "{}", closed[0]);
}

/// A hello of TLS 1.0, as old devices send it (RFC 2246 §7.4.1.2).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_too_old_for_tls_is_told_to_the_log_with_the_way_out() {
    let world = implicit();
    let hello: Vec<u8> =
        [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let mut client = world.connect("imap").await;
    client.send(hello).await;
    let (cause, cure) = turned_away(&world.bridge);
    assert_eq!(cause, "the client knows no TLS version that is safe (1.2 or 1.3)");
    assert!(cure.contains("tls = \"none\""), "{cure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_an_encrypted_port_is_no_trouble() {
    let world = implicit();
    drop(TcpStream::connect(world.bridge.addr("imap")).await.unwrap());
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closed[0]["outcome"], "left", "{}", closed[0]);
    assert_eq!(world.bridge.logged("client turned away"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_hangs_is_cut_when_the_bridge_stops() {
    let world = implicit();
    let mut client = world.connect("imap").await;
    client.send([22, 3, 1]).await;
    let (status, log) = world.bridge.terminate();
    assert!(status.success());
    assert!(!log.contains("cutting the sessions that are left"), "{log}");
}
