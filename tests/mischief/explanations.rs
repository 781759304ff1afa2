//! Whether the log names who is to blame, and a cure that cures.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
};

use crate::harness::{
    bridge::Bridge,
    certs::{Certs, Leaf},
    config::Config,
    door::Door,
    exchange::Exchange,
    world::{ANN, PASSWORD, World},
};

fn turned_away(bridge: &Bridge) -> (String, String) {
    let line = bridge.wait_for_log("client turned away", |line| line["message"] == "client turned away");
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    (text("cause"), text("cure"))
}

/// The hello of TLS 1.2 and older, as far as the first look at it goes.
const HELLO: [u8; 7] = [22, 3, 1, 0, 45, 1, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_tls_at_once_on_a_starttls_port_is_told_to_choose_starttls() {
    let world = World::with(|config, _, _| config.encrypted("imap", "starttls", "require_tls = true"));
    let mut client = world.connect("imap").await;
    client.expect("* OK {…}").await;
    client.send(HELLO).await;
    let (_, cure) = turned_away(&world.bridge);
    assert!(cure.contains("STARTTLS"), "to switch TLS off lets nobody in here: {cure}");
}

/// A hello in the frame of SSL 2, which offers no more than TLS 1.0 (RFC 5246 §E.2), as Java 6 sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_in_the_old_frame_is_known_for_one_that_is_too_old() {
    let world = World::with(|config, _, _| config.encrypted("imap", "implicit", ""));
    let mut hello = vec![0x80, 0x2e, 1, 3, 1, 0, 21, 0, 0, 0, 16];
    hello.extend([0, 0, 4, 0, 0, 5, 0, 0, 0x0a, 1, 0, 0x80, 0, 0, 9, 0, 0, 3, 0, 0, 6]);
    hello.extend([7; 16]);
    let mut client = world.connect("imap").await;
    client.send(hello).await;
    let (cause, _) = turned_away(&world.bridge);
    assert!(cause.contains("no TLS version that is safe"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_starttls_and_then_nothing_is_not_told_to_point_at_a_starttls_port() {
    let world = World::with(|config, _, exchange| {
        let config = config.pop3(exchange.endpoint("pop3", false));
        config.encrypted("pop3", "starttls", "").limit("login_timeout = \"1s\"")
    });
    let mut client = world.connect("pop3").await;
    client.expect("+OK {…}").await;
    // As some do it: the hello does not wait for the consent, and is dropped with what may be injected.
    client.send([b"STLS\r\n".as_slice(), &HELLO].concat()).await;
    client.expect("+OK {…}").await;
    client.expect_end().await;
    let (_, cure) = turned_away(&world.bridge);
    assert!(!cure.contains("not STARTTLS"), "{cure}");
}

/// As proxies do it that look for viruses: consent, and a certificate of their own. One port is left alone.
fn prying(spared: Arc<AtomicU16>) -> Door {
    let acceptor = Certs::new().acceptor();
    Door::open(move |mut stream, _| {
        let (acceptor, spared) = (acceptor.clone(), spared.load(Ordering::SeqCst));
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            if String::from_utf8_lossy(&head).starts_with(&format!("CONNECT localhost:{spared} ")) {
                let mut upstream = TcpStream::connect(("127.0.0.1", spared)).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            } else {
                let _ = acceptor.accept(stream).await;
            }
        }
    })
}

async fn cause_of_refusal(proxy: &Door, spare: impl FnOnce(&World)) -> String {
    let world = World::with(|config, _, _| {
        let proxy = format!("outbound_proxy = \"http://{}\"", proxy.addr());
        config.provider_line(&proxy).limit("login_timeout = \"2s\"")
    });
    spare(&world);
    world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await;
    let line = world.bridge.wait_for_log("login refused", |line| line["message"] == "login refused");
    line["cause"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_breaks_tls_to_the_authority_open_is_named() {
    let proxy = prying(Arc::default());
    let cause = cause_of_refusal(&proxy, |_| ()).await;
    assert!(cause.contains(&proxy.addr().to_string()), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_breaks_tls_to_the_mailbox_open_is_named() {
    let spared = Arc::default();
    let proxy = prying(Arc::clone(&spared));
    let spare = |world: &World| spared.store(world.authority.addr().port(), Ordering::SeqCst);
    let cause = cause_of_refusal(&proxy, spare).await;
    assert!(cause.contains(&proxy.addr().to_string()), "{cause}");
}

/// What a mail program is told of a mail server with this certificate.
async fn told_of(leaf: impl FnOnce(&Certs) -> Leaf) -> String {
    let mut elsewhere = None;
    let world = World::built(|certs, authority, _| {
        let exchange = Exchange::start_as(leaf(certs), authority);
        Config::new(authority, elsewhere.insert(exchange)).account(ANN, PASSWORD)
    });
    world.connect("imap").await.imap_login_refused(ANN, PASSWORD).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_certificate_is_told_with_who_issued_it_and_for_whom_it_is() {
    let inspected = told_of(|_| Certs::new().leaf_for(&["localhost"])).await;
    assert!(inspected.contains("Throw-away test CA is unknown"), "{inspected}");
    assert!(inspected.contains("ca_file"), "{inspected}");
    let own = told_of(|_| Certs::self_signed()).await;
    assert!(own.contains("certificate of localhost refused: it is self-signed: "), "{own}");
    let another = told_of(|certs| certs.leaf_for(&["mail.example.org"])).await;
    assert!(another.contains("it is for mail.example.org, not for localhost: "), "{another}");
}

/// The log tells whose act is wanted by what is known, not by the kind of failure alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_an_administrator_from_the_operator_and_whether_waiting_helps() {
    let world = World::start();
    world.exchange.disable_smtp_auth();
    let told = world.connect("smtp").await.smtp_login(ANN, PASSWORD).await;
    assert!(told.contains("SmtpClientAuthenticationDisabled"), "{told}");
    let refused = world.bridge.wait_for_logged("login refused", 1).remove(0);
    assert_eq!(
        (&refused["failure"], &refused["fault"]),
        (&"upstream_refused".into(), &"administrator".into())
    );
    assert_eq!(refused["retry_helps"], false);
}
