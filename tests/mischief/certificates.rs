//! Certificates that are replaced, damaged, completed and forgotten while the bridge serves.

use std::{path::PathBuf, sync::Arc};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::harness::{PATIENCE, bridge::Bridge, door::Reserved, world::World};

const MADE: &str = "certificate made: mail programs have to trust it";

/// A bridge with a certificate of its own making for IMAP, and one from files for SMTP, by which its
/// looks at the files can be counted.
fn own(more: &str) -> World {
    World::with(|config, _, _| {
        config
            .listener("imap", "127.0.0.1:0", "tls = \"implicit\"")
            .encrypted("smtp", "starttls", "")
            .more(more)
    })
}

fn state(world: &World, file: &str) -> PathBuf {
    world.folder.path().join("state").join(file)
}

/// Waits until the bridge has looked at its files so many times more.
fn looks(world: &World, count: usize) {
    for _ in 0..count {
        let leaf = world.certs.leaf();
        leaf.write(world.folder.path(), "listener");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf.der());
        let fingerprint: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = fingerprint.join(":");
        world.bridge.wait_for_log("another look", |line| line["fingerprint.sha256"] == fingerprint.as_str());
    }
}

/// The chain that the IMAP listener shows to who does not check it against anything.
async fn chain(bridge: &Bridge) -> Vec<CertificateDer<'static>> {
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anybody::Anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(bridge.addr("imap")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = timeout(PATIENCE, shaking).await.unwrap().unwrap();
    stream.get_ref().1.peer_certificates().unwrap().to_vec()
}

fn edit(world: &World, change: impl FnOnce(String) -> String) {
    let path = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_spelled_in_another_way_makes_no_new_certificate_at_each_look() {
    let world = own("[tls]\nnames = [\"2001:db8:0:0:0:0:0:1\"]");
    looks(&world, 3);
    assert_eq!(world.bridge.logged(MADE).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_is_completed_behind_the_same_certificate_is_shown() {
    let world = World::with(|config, _, _| config.encrypted("imap", "implicit", ""));
    assert_eq!(chain(&world.bridge).await.len(), 1);
    let path = world.folder.path().join("listener.pem");
    let leaf = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, leaf + &world.certs.ca_pem()).unwrap();
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration reloaded", 1);
    assert_eq!(chain(&world.bridge).await.len(), 2, "not even by a reload");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_refused_leaves_the_certificate_alone() {
    let world = own("");
    let before = chain(&world.bridge).await;
    let key = std::fs::read(state(&world, "listener.key")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    edit(&world, |text| {
        text + &format!(
            "\n[tls]\nkey_type = \"rsa-2048\"\n\n[[listener]]\nprotocol = \"imap\"\nbind = \"{bind}\"\n"
        )
    });
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration not reloaded", 1);
    assert_eq!(std::fs::read(state(&world, "listener.key")).unwrap(), key, "the key on the disk");
    assert_eq!(chain(&world.bridge).await, before, "what is shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_no_listener_shows_any_more_are_not_looked_at() {
    let world = own("");
    let path = world.folder.path();
    world.certs.leaf().write(path, "other");
    edit(&world, |text| {
        text.replacen(
            "tls = \"implicit\"",
            "tls = \"implicit\"\ncertificate = \"other.pem\"\nkey = \"other.key\"",
            1,
        )
    });
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration reloaded", 1);
    for file in ["listener.pem", "listener.key"] {
        std::fs::remove_file(state(&world, file)).unwrap();
    }
    looks(&world, 3);
    assert!(!state(&world, "listener.key").exists(), "nobody shows the bridge's own certificate");
    assert_eq!(world.bridge.logged(MADE).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_bridges_own_whose_time_has_not_begun_is_warned_of_and_kept() {
    // As it is made where the clock was years ahead, before it was set.
    let world = own("");
    let path = state(&world, "listener.pem");
    let key = KeyPair::from_pem(&std::fs::read_to_string(state(&world, "listener.key")).unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2060, 1, 1), date_time_ymd(2062, 1, 1));
    let World { folder, bridge, .. } = world;
    assert!(bridge.terminate().0.success());
    std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    let bridge = Bridge::start(folder.path());
    // A machine without a battery begins in the past: what mail programs trust must outlive that.
    assert_eq!(bridge.logged(MADE).len(), 0);
    bridge.wait_for_log("a word about the time", |line| {
        line["level"] == "WARN" && line["cause"].as_str().unwrap_or_default().contains("not valid before")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_read_for_a_moment_is_not_thrown_away() {
    let world = own("");
    let before = chain(&world.bridge).await;
    let path = state(&world, "listener.key");
    let key = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &key[..key.len() / 2]).unwrap();
    looks(&world, 2);
    assert_eq!(world.bridge.logged(MADE).len(), 1, "a restore that was half done");
    std::fs::write(&path, &key).unwrap();
    looks(&world, 2);
    assert_eq!(chain(&world.bridge).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_that_takes_no_certificate_is_told_once() {
    let world = own("");
    let before = chain(&world.bridge).await;
    let path = state(&world, "listener.pem");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let told = "certificate not replaced, the old one is shown";
    world.bridge.wait_for_logged(told, 1);
    looks(&world, 3);
    assert_eq!(chain(&world.bridge).await, before);
    assert_eq!(world.bridge.logged(told).len(), 1, "seventeen thousand lines a day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_goes_from_clear_to_implicit_to_starttls_by_reloads() {
    let port = Reserved::new();
    let bind = format!("127.0.0.1:{}", port.port());
    let world = World::with(|config, _, _| config.bind("imap", &bind));
    let _in_clear = world.imap(crate::harness::world::ANN).await;
    for (was, is) in [("none", "implicit"), ("implicit", "starttls")] {
        edit(&world, |text| {
            let (head, tail) = text.split_once(&bind).unwrap();
            let (was, is) = (format!("tls = \"{was}\""), format!("tls = \"{is}\""));
            format!("{head}{bind}{}", tail.replacen(&was, &is, 1))
        });
        let before = world.bridge.logged("configuration reloaded").len();
        world.bridge.signal("HUP");
        world.bridge.wait_for_logged("configuration reloaded", before + 1);
        if is == "implicit" {
            assert_eq!(chain(&world.bridge).await.len(), 1);
        } else {
            let mut client = world.connect("imap").await;
            client.expect("* OK {…}STARTTLS{…}").await;
        }
    }
    let pem = CertificateDer::from_pem_file(state(&world, "listener.pem")).unwrap();
    assert!(!pem.is_empty());
}

/// Trust in whoever is there: what is shown is to be looked at, not relied on.
mod anybody {
    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub(super) struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
