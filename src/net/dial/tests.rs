//! Dialling, with upstreams and proxies that say nothing or too little.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::net::{race::tests::silent, socket::is_tuned};

/// More than any step takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// Less than anybody waits for something that never comes.
const SHORT: Duration = Duration::from_millis(200);

fn endpoint(port: u16, tls: UpstreamTls) -> Endpoint {
    Endpoint { host: "localhost".to_owned(), port, tls }
}

fn way<'w>(names: &'w Names, trust: &'w Trust, proxy: Option<&'w Proxy>, limit: Duration) -> Way<'w> {
    Way { names, trust, proxy, limit, deadline: Instant::now() + LONG }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn socks(addr: SocketAddr) -> Proxy {
    Proxy::parse(&format!("socks5://{addr}")).unwrap()
}

async fn trouble(endpoint: &Endpoint, way: Way<'_>) -> String {
    dial(endpoint, way).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_deaf_first_address_costs_a_head_start_and_its_attempt_is_dropped() {
    let (_listener, _held, deaf) = silent().await;
    let (_good, addr) = listener().await;
    let endpoint = endpoint(993, UpstreamTls::StartTls);
    let (names, trust) = (Names::knowing("localhost", 993, &[deaf, addr]), Trust::new(None).unwrap());
    // A deaf address that is waited for takes all of the limit; the system gives up after two minutes.
    let dialled =
        tokio::time::timeout(Duration::from_secs(5), dial(&endpoint, way(&names, &trust, None, LONG)));
    let conn = dialled.await.expect("the second address is tried meanwhile").unwrap();
    let (stream, _) = conn.into_parts();
    let Stream::Plain(stream) = stream else { panic!("TLS has not begun") };
    assert_eq!(stream.peer_addr().unwrap(), addr);
    assert!(is_tuned(&stream));
    #[cfg(target_os = "linux")]
    nobody_knocks_at(deaf).await;
}

/// Waits until no socket of the system is trying to connect there.
#[cfg(target_os = "linux")]
async fn nobody_knocks_at(addr: SocketAddr) {
    let SocketAddr::V4(addr) = addr else { panic!("an IPv4 address") };
    let octets = addr.ip().octets();
    // Addresses are in network order, read as numbers of this machine; 02 is SYN_SENT.
    let knocking = format!("{:08X}:{:04X} 02 ", u32::from_ne_bytes(octets), addr.port());
    let gone = async {
        while std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&knocking) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the attempt is dropped");
}

#[tokio::test]
async fn the_step_that_takes_too_long_is_named() {
    let (names, trust) = (Names::default(), Trust::new(None).unwrap());
    let (_listener, _held, deaf) = silent().await;
    let deaf_endpoint =
        Endpoint { host: deaf.ip().to_string(), port: deaf.port(), tls: UpstreamTls::Implicit };
    let told = trouble(&deaf_endpoint, way(&names, &trust, None, SHORT)).await;
    assert_eq!(told, format!("connecting to {deaf} took longer than 0.2 s"));

    // The system accepts, and nobody shakes hands.
    let (_mute, addr) = listener().await;
    let mute = endpoint(addr.port(), UpstreamTls::Implicit);
    let names = Names::knowing("localhost", addr.port(), &[addr]);
    let told = trouble(&mute, way(&names, &trust, None, SHORT)).await;
    assert_eq!(told, format!("the TLS handshake with {mute} took longer than 0.2 s"));

    let proxy = socks(addr);
    let told = trouble(&mute, way(&names, &trust, Some(&proxy), SHORT)).await;
    assert_eq!(told, format!("asking proxy {proxy} for a connection to {mute} took longer than 0.2 s"));

    let proxy = socks(deaf);
    let told = trouble(&mute, way(&names, &trust, Some(&proxy), SHORT)).await;
    assert_eq!(told, format!("connecting to proxy {proxy} took longer than 0.2 s"));
}

#[tokio::test]
async fn the_deadline_of_whoever_asks_ends_a_step_that_might_take_longer() {
    let (_mute, addr) = listener().await;
    let mute = endpoint(addr.port(), UpstreamTls::Implicit);
    let (names, trust) = (Names::knowing("localhost", addr.port(), &[addr]), Trust::new(None).unwrap());
    let way = Way { deadline: Instant::now() + SHORT, ..way(&names, &trust, None, LONG) };
    let told = trouble(&mute, way).await;
    assert!(told.starts_with(&format!("the TLS handshake with {mute} took longer than 0.")), "{told}");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named_and_the_upstream_is_not_looked_up() {
    let gone = listener().await.1;
    let (names, trust) = (Names::default(), Trust::new(None).unwrap());
    let proxy = Proxy::parse(&format!("http://user:password@{gone}")).unwrap();
    let nowhere = Endpoint { host: "mail.invalid".to_owned(), port: 993, tls: UpstreamTls::Implicit };
    let told = trouble(&nowhere, way(&names, &trust, Some(&proxy), LONG)).await;
    assert!(
        told.starts_with(&format!("proxy http://{gone} cannot be reached: Connection refused")),
        "{told}"
    );
}

/// What a SOCKS proxy is asked that answers with these bytes, step by step, and what is made of that.
async fn socks_told(
    endpoint: &Endpoint,
    credentials: &str,
    steps: &[(usize, &[u8])],
) -> (Vec<u8>, Result<Vec<u8>, String>) {
    let (listener, addr) = listener().await;
    let (names, trust) = (Names::default(), Trust::new(None).unwrap());
    let proxy = Proxy::parse(&format!("socks5://{credentials}{addr}")).unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        for (wanted, answer) in steps {
            let mut bytes = vec![0; *wanted];
            stream.read_exact(&mut bytes).await.unwrap();
            asked.extend(bytes);
            stream.write_all(answer).await.unwrap();
        }
        asked
    };
    let dialling = async {
        let conn = dial(endpoint, way(&names, &trust, Some(&proxy), LONG)).await;
        let mut conn = conn.map_err(|error| error.to_string().replace(&proxy.to_string(), "PROXY"))?;
        conn.fill(usize::MAX).await.unwrap();
        Ok(conn.input.to_vec())
    };
    let (asked, told) = tokio::join!(serving, dialling);
    (asked, told)
}

#[tokio::test]
async fn a_socks_proxy_looks_the_name_up_and_loses_no_byte_behind_its_consent() {
    let mail = Endpoint { host: "mail.invalid".to_owned(), port: 587, tls: UpstreamTls::StartTls };
    let consent = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x02\x4b220 mail ready\r\n";
    let steps: [(usize, &[u8]); 2] = [(3, b"\x05\x00"), (19, consent)];
    let (asked, told) = socks_told(&mail, "", &steps).await;
    assert_eq!(asked, b"\x05\x01\x00\x05\x01\x00\x03\x0cmail.invalid\x02\x4b");
    assert_eq!(told.unwrap(), b"220 mail ready\r\n");

    let six = Endpoint { host: "2001:db8::1".to_owned(), ..mail };
    let steps: [(usize, &[u8]); 3] = [(4, b"\x05\x02"), (9, b"\x01\x00"), (22, consent)];
    let (asked, told) = socks_told(&six, "ann:pass@", &steps).await;
    assert!(asked.starts_with(b"\x05\x02\x00\x02\x01\x03ann\x04pass\x05\x01\x00\x04\x20\x01\x0d\xb8"));
    assert_eq!(told.unwrap(), b"220 mail ready\r\n");
}

/// Credentials in a URL, the steps of a proxy, and what is made of them.
type Case = (&'static str, &'static [(usize, &'static [u8])], &'static str);

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_quoted() {
    let mail = Endpoint { host: "mail.invalid".to_owned(), port: 587, tls: UpstreamTls::StartTls };
    let cases: [Case; 8] = [
        ("", &[(3, b"\x05\xff")], "proxy PROXY wants a user and a password"),
        ("u:p@", &[(4, b"\x05\x02"), (5, b"\x01\x01")], "proxy PROXY refuses our user and password"),
        (
            "",
            &[(3, b"\x05\x00"), (19, b"\x05\x02\x00\x01")],
            "proxy PROXY forbids connections to mail.invalid:587",
        ),
        (
            "",
            &[(3, b"\x05\x00"), (19, b"\x05\x04\x00\x01")],
            "proxy PROXY cannot connect to mail.invalid:587: host unreachable",
        ),
        (
            "",
            &[(3, b"\x05\x00"), (19, b"\x05\x01\x00\x01")],
            "proxy PROXY cannot connect to mail.invalid:587: general socks server failure",
        ),
        (
            "",
            &[(3, b"HTTP/1.1 400 Bad Request")],
            "proxy PROXY does not speak SOCKS5: invalid response version",
        ),
        ("", &[(3, b"\x05")], "proxy PROXY broke off: unexpected end of file"),
        ("", &[(3, b"\x05\x00"), (19, b"")], "proxy PROXY broke off: unexpected end of file"),
    ];
    for (credentials, steps, why) in cases {
        let (_, told) = socks_told(&mail, credentials, steps).await;
        assert_eq!(told.unwrap_err(), why);
    }
}
