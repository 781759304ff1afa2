//! TLS sessions with upstreams are resumed, by those who trust the same authorities.

use futures::future::join_all;
use tokio_rustls::rustls::{
    HandshakeKind::{Full, Resumed},
    version::{TLS12, TLS13},
};

use crate::harness::{
    authority::Authority,
    certs::Certs,
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_login_resumes_the_session_of_the_first() {
    for version in [&TLS12, &TLS13] {
        let mut other = None;
        let world = World::with(|config, certs, _| {
            let authority = Authority::start(certs);
            let exchange = Exchange::start_with(certs.leaf().acceptor_of(&[version]), &authority);
            let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
            exchange.mailboxes().create("eve@example.com");
            let config = config.app("other", &authority, imap, smtp);
            other = Some((authority, exchange));
            config.account_of("other", "eve@example.com", PASSWORD, "")
        });
        let (_authority, exchange) = other.expect("it was started");
        for _ in 0..3 {
            drop(world.imap("eve@example.com").await);
        }
        // Another port of the same host may be another program, which knows nothing of those sessions.
        for _ in 0..2 {
            drop(world.smtp("eve@example.com").await);
        }
        let expected = [Full, Resumed, Resumed, Full, Resumed];
        assert_eq!(exchange.handshakes(), expected, "{version:?}");
    }
}

/// A ticket serves once: there must be one for each of those who come at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_logins_at_once_all_resume() {
    let world = World::start();
    let come = || join_all((0..16).map(|number| world.imap([ANN, BOB][number % 2])));
    drop(come().await);
    drop(come().await);
    let handshakes = world.exchange.handshakes();
    assert_eq!(handshakes.len(), 32);
    assert_eq!(handshakes[16..], [Resumed; 16]);
}

/// A session that one provider's `ca_file` has vouched for is none of another provider's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_trust_does_not_resume_the_session() {
    let strangers = Certs::new();
    let authority = Authority::start(&strangers);
    let world = World::with(|config, _, exchange| {
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        let config = config.app("other", &authority, imap, smtp).trusting(&strangers);
        config.account_of("other", "eve@example.com", PASSWORD, "")
    });
    drop(world.imap(ANN).await);
    let told = world.connect("imap").await.imap_login_refused("eve@example.com", PASSWORD).await;
    assert!(told.contains("certificate of localhost refused"), "{told}");
    drop(world.imap(ANN).await);
    assert_eq!(world.exchange.handshakes(), [Full, Resumed], "one more was broken off");
    assert_eq!(world.exchange.attempted().get(), 2);
}

/// Trust anchors are read again, and what the old ones have vouched for is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_ends_the_sessions() {
    let world = World::start();
    drop(world.imap(ANN).await);
    world.bridge.signal("HUP");
    world.bridge.wait_for_logged("configuration reloaded", 1);
    drop(world.imap(ANN).await);
    drop(world.imap(ANN).await);
    assert_eq!(world.exchange.handshakes(), [Full, Full, Resumed]);
}
