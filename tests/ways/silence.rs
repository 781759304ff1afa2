//! A mail server that says nothing: which step took too long is told.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::harness::{
    door::Door,
    wire::Wire,
    world::{PASSWORD, World},
};

/// How far a mail server comes.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// It accepts, and waits for nobody knows what.
    BeforeTls,
    /// It shakes hands and does not greet.
    BeforeGreeting,
    /// It greets and does not answer.
    AfterGreeting,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_step_at_which_a_mail_server_falls_silent_is_told() {
    let cases = [
        ("implicit", Silence::BeforeTls, "the TLS handshake with {} took longer than 0.5 s"),
        ("implicit", Silence::BeforeGreeting, "{}: no greeting in time (1 s)"),
        ("starttls", Silence::BeforeTls, "{}: no greeting in time (1 s)"),
        ("implicit", Silence::AfterGreeting, "{}: no answer to the login in time (1 s)"),
    ];
    for (tls, silence, expected) in cases {
        let mut opened = None;
        let world = World::with(|config, certs, _| {
            let acceptor = Arc::new(certs.acceptor());
            let door = Door::open(move |stream, _| serve(stream, silence, Arc::clone(&acceptor)));
            let authority = crate::harness::authority::Authority::start(certs);
            let config = config.limit("login_timeout = \"1500ms\"\nconnect_timeout = \"500ms\"");
            let config = config.app("silent", &authority, (door.addr(), tls), (door.addr(), tls));
            opened = Some((door, authority));
            config.account_of("silent", "eve@example.com", PASSWORD, "")
        });
        let (door, _authority) = opened.expect("it was opened");
        let expected = expected.replace("{}", &format!("localhost:{}", door.addr().port()));
        let told = world.connect("imap").await.imap_login_refused("eve@example.com", PASSWORD).await;
        assert!(told.starts_with("* BYE [UNAVAILABLE] ") && told.contains(&expected), "{told}");
    }
}

async fn serve(stream: TcpStream, silence: Silence, acceptor: Arc<tokio_rustls::TlsAcceptor>) {
    let mut wire = Wire::new(stream);
    if !matches!(silence, Silence::BeforeTls) {
        let Ok(encrypted) = wire.accept_tls(&acceptor).await else { return };
        wire = encrypted;
    }
    if matches!(silence, Silence::AfterGreeting) {
        let greeting = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n";
        let _ = wire.send(greeting).await;
    }
    // Reads on and says nothing, until the bridge has had enough.
    while wire.fill().await.is_ok_and(|read| read > 0) {}
}
