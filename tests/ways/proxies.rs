//! `outbound_proxy`, and `HTTPS_PROXY` for tokens.

use crate::harness::{
    proxy::{CREDENTIALS, Kind, Proxy, Treatment},
    world::{ANN, BOB, PASSWORD, World},
};

/// A world whose mail and tokens go by way of a proxy.
fn world_behind(proxy: &str) -> World {
    World::with(|config, _, _| config.provider_line(&format!("outbound_proxy = \"{proxy}\"")))
}

/// As the proxy is asked for it.
fn named(addr: std::net::SocketAddr) -> String {
    format!("localhost:{}", addr.port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_and_tokens_go_by_way_of_the_proxy_which_looks_names_up() {
    for kind in Kind::ALL {
        for guarded in [false, true] {
            let proxy = if guarded { Proxy::guarded(kind) } else { Proxy::start(kind) };
            let world = world_behind(&if guarded { proxy.url_with(CREDENTIALS) } else { proxy.url() });
            let mut imap = world.imap(ANN).await;
            imap.say("s SELECT INBOX").await;
            imap.until("s OK {…}").await;
            let _smtp = world.smtp(BOB).await;
            let exchange = &world.exchange;
            let expected = [world.authority.addr(), exchange.imaps.addr(), exchange.smtp.addr()].map(named);
            assert_eq!(proxy.asked(), expected, "{kind:?}");
            assert_eq!(exchange.connections(), 2, "nothing goes past the proxy");
            let log = world.bridge.log();
            assert!(!log.contains(CREDENTIALS.1) && !log.contains("s3cret"), "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_in_one_packet_with_the_proxys_consent_is_not_lost() {
    for kind in Kind::ALL {
        let proxy = Proxy::start(kind);
        let world = World::with(|config, _, exchange| {
            proxy.treat(exchange.smtp.addr().port(), Treatment::Glue);
            config.provider_line(&format!("outbound_proxy = \"{}\"", proxy.url()))
        });
        world.smtp(BOB).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_cannot_be_asked_because_of_the_proxy_is_not_blamed() {
    let wrong = (CREDENTIALS.0, "wrong");
    for kind in Kind::ALL {
        let guarded = Proxy::guarded(kind);
        let gone = Proxy::start(kind);
        let forbidding = Proxy::start(kind);
        gone.door.close().await;
        let cases = [
            (&guarded, guarded.url(), "user and password"),
            (&guarded, guarded.url_with(wrong), "user and password"),
            (&gone, gone.url(), "check the proxy"),
            (&forbidding, forbidding.url(), "proxy"),
        ];
        for (proxy, url, cure) in cases {
            let world = World::with(|config, _, _| {
                let config = config.limit("login_timeout = \"1s\"");
                config.provider_line(&format!("outbound_proxy = \"{url}\""))
            });
            let refusal = if kind == Kind::Http { 403 } else { 2 };
            proxy.treat(world.authority.addr().port(), Treatment::Refuse(refusal));
            let told = world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
            let named = format!("no access token: localhost: proxy {}", proxy.url());
            assert!(told.starts_with("* BYE [UNAVAILABLE] ") && told.contains(&named), "{told}");
            assert!(told.contains(cure), "{told}");
            assert_eq!(world.exchange.connections(), 0);
            assert!(!world.bridge.log().contains("s3cret"));
        }
    }
}

/// Who broke the handshake off cannot be known: the proxy is named beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_with_the_authority_that_is_broken_off_is_told_with_the_proxy() {
    let proxy = Proxy::start(Kind::Http);
    let world = World::with(|config, _, _| {
        let config = config.limit("login_timeout = \"1s\"");
        config.provider_line(&format!("outbound_proxy = \"{}\"", proxy.url()))
    });
    proxy.treat(world.authority.addr().port(), Treatment::Die);
    let told = world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
    let expected = format!("no access token: localhost: tls handshake eof (by way of proxy {})", proxy.url());
    assert!(told.contains(&expected), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_cannot_be_reached_because_of_the_proxy_is_not_blamed() {
    for kind in Kind::ALL {
        let proxy = Proxy::start(kind);
        let world = World::with(|config, _, _| {
            let config = config.limit("login_timeout = \"1s\"\nconnect_timeout = \"300ms\"");
            config.provider_line(&format!("outbound_proxy = \"{}\"", proxy.url()))
        });
        // The token is at hand from here on.
        drop(world.imap(ANN).await);
        let port = world.exchange.imaps.addr().port();
        let (forbidden, no_way) = if kind == Kind::Http { (403, 502) } else { (2, 4) };
        let (url, mail) = (proxy.url(), named(world.exchange.imaps.addr()));
        let cases = [
            (
                Treatment::Refuse(forbidden),
                format!("proxy {url} forbids connections to {mail}: let the proxy connect there"),
            ),
            (Treatment::Refuse(no_way), format!("proxy {url} cannot connect to {mail}: ")),
            (
                Treatment::Hang,
                format!(
                    "asking proxy {url} for a connection to {mail} took longer than 0.3 s: check the proxy"
                ),
            ),
            (Treatment::Die, format!("TLS handshake with localhost (by way of proxy {url}) failed")),
        ];
        for (treatment, expected) in cases {
            proxy.treat(port, treatment);
            let told = world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
            assert!(told.starts_with("* BYE [UNAVAILABLE] ") && told.contains(&expected), "{told}");
        }
        proxy.forgive(port);
        drop(world.imap(ANN).await);
        proxy.door.close().await;
        let told = world.connect("smtp").await.smtp_login(BOB, PASSWORD).await;
        assert!(told.starts_with("454 4.7.0 "), "{told}");
        assert!(told.contains(&format!("proxy {url} cannot be reached: Connection refused")), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_a_proxy_that_dies_and_the_next_ones_do_not() {
    for kind in Kind::ALL {
        let proxy = Proxy::start(kind);
        let world = world_behind(&proxy.url());
        let (mut imap, mut smtp) = (world.imap(ANN).await, world.smtp(BOB).await);
        proxy.door.cut();
        imap.expect_end().await;
        smtp.expect_end().await;
        drop(world.imap(ANN).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environments_proxy_is_for_tokens_alone_and_for_those_of_a_provider_without_its_own() {
    for (kind, scheme) in [(Kind::Http, "http"), (Kind::Socks5, "socks5h")] {
        let of_environment = Proxy::start(kind);
        let address = format!("{scheme}://{}", of_environment.door.addr());
        let world =
            World::with_environment(|config, _, _| config, |_| vec![("https_proxy", address.clone())]);
        drop(world.imap(ANN).await);
        assert_eq!(of_environment.asked(), [named(world.authority.addr())]);

        let excepted = vec![("HTTPS_PROXY", address.clone()), ("NO_PROXY", "localhost".to_owned())];
        let world = World::with_environment(|config, _, _| config, |_| excepted);
        drop(world.imap(ANN).await);
        assert_eq!(of_environment.asked().len(), 1, "NO_PROXY says so");

        let own = Proxy::start(Kind::Socks5);
        let line = format!("outbound_proxy = \"{}\"", own.url());
        let both = vec![("HTTPS_PROXY", address.clone()), ("NO_PROXY", "localhost".to_owned())];
        let world = World::with_environment(|config, _, _| config.provider_line(&line), |_| both);
        drop(world.imap(ANN).await);
        assert_eq!((of_environment.asked().len(), own.asked().len()), (1, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environments_proxy_is_named_where_it_is_the_trouble() {
    let gone = Proxy::start(Kind::Http);
    gone.door.close().await;
    let address = gone.url_with(CREDENTIALS);
    let world = World::with_environment(
        |config, _, _| config.limit("login_timeout = \"1s\""),
        |_| vec![("HTTPS_PROXY", address)],
    );
    let told = world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
    assert!(told.contains(&format!("proxy {} of HTTPS_PROXY", gone.door.addr())), "{told}");
    assert!(!world.bridge.log().contains("s3cret"));
}
