//! How encrypted lines end before a login.

use std::io::ErrorKind;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::harness::{PATIENCE, world::World};

fn world() -> World {
    World::with(|config, _, exchange| {
        let config = config.pop3(exchange.endpoint("pop3", false));
        ["imap", "smtp", "pop3"]
            .into_iter()
            .fold(config, |config, kind| config.encrypted(kind, "implicit", ""))
    })
}

async fn connected(world: &World, protocol: &str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(world.bridge.addr(protocol)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    world.certs.connector().connect(name, stream).await.unwrap()
}

/// Everything up to the end, and whether TLS has said goodbye: without it a strict program takes the reply
/// for one that somebody has cut (RFC 8446 §6.1).
async fn rest(stream: &mut TlsStream<TcpStream>) -> (String, bool) {
    let mut read = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut read)).await.unwrap();
    let whole = match ended {
        Ok(_) => true,
        Err(error) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) => false,
        Err(error) => panic!("{error}"),
    };
    (String::from_utf8(read).unwrap(), whole)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_goodbye_before_the_login_is_told_goodbye_by_tls_too() {
    let world = world();
    let goodbyes = [("imap", "a LOGOUT\r\n"), ("smtp", "QUIT\r\n"), ("pop3", "QUIT\r\n")];
    let mut cut = Vec::new();
    for (protocol, goodbye) in goodbyes {
        let mut stream = connected(&world, protocol).await;
        stream.write_all(goodbye.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let (text, whole) = rest(&mut stream).await;
        assert!(text.lines().count() >= 2, "{text}");
        if !whole {
            cut.push(protocol);
        }
    }
    assert_eq!(cut, Vec::<&str>::new(), "protocols whose end is a cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_is_not_overtaken_by_a_reset_when_the_client_says_goodbye_by_tls_too() {
    let world = world();
    for protocol in ["smtp", "pop3"] {
        for _ in 0..50 {
            let mut stream = connected(&world, protocol).await;
            stream.write_all(b"QUIT\r\n").await.unwrap();
            stream.flush().await.unwrap();
            // TLS's own goodbye comes in a packet of its own, as every library sends it.
            let told = stream.shutdown().await;
            let (text, _) = rest(&mut stream).await;
            let bye = text.contains("+OK bye") || text.contains("221 ");
            assert!(told.is_ok() && bye, "{protocol}: {told:?} {text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_before_the_login_has_left_also_where_tls_was_not_told() {
    let world = world();
    let mut stream = connected(&world, "imap").await;
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    let (mut tcp, _) = stream.into_inner();
    // Nothing more is said, in TLS or otherwise, and what comes is read: the end is an end and no reset.
    tcp.shutdown().await.unwrap();
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut Vec::new())).await.unwrap();
    let closed = world.bridge.wait_for_logged("session closed", 1);
    assert_eq!(closed[0]["outcome"], "left", "as it is in clear: {}", closed[0]);
}
