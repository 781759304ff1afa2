//! No byte is lost on encrypted lines.

use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::harness::{
    PATIENCE,
    client::plain,
    world::{ANN, PASSWORD, World},
};

fn world() -> World {
    World::with(|config, _, exchange| {
        let config = config.pop3(exchange.endpoint("pop3", false));
        ["imap", "smtp", "pop3"]
            .into_iter()
            .fold(config, |config, kind| config.encrypted(kind, "implicit", ""))
    })
}

/// A client with the smallest buffers that the system gives.
async fn narrow(world: &World, protocol: &str) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let stream = socket.connect(world.bridge.addr(protocol)).await.unwrap();
    SockRef::from(&stream).set_tcp_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    world.certs.connector().connect(name, stream).await.unwrap()
}

fn message(size: usize) -> Vec<u8> {
    let mut message = b"Subject: long\r\n\r\n".to_vec();
    let mut number = 0_u32;
    while message.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        message.extend_from_slice(format!("{number:010} {number:x}{number:o}\r\n").as_bytes());
    }
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_a_pop3_session_in_one_record_is_answered_to_the_last_byte() {
    let world = world();
    let sent = message(3_000_000);
    assert!(world.exchange.mailboxes().deliver(ANN, sent.clone()));
    let mut stream = narrow(&world, "pop3").await;
    let session = format!("USER {ANN}\r\nPASS {PASSWORD}\r\nSTAT\r\nRETR 1\r\nQUIT\r\n");
    stream.write_all(session.as_bytes()).await.unwrap();
    // Nothing more will come, and the upstream closes long before this begins to read.
    stream.shutdown().await.unwrap();
    let mut read = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut read)).await.unwrap().unwrap();
    let at = read.windows(sent.len()).position(|window| window == sent);
    assert!(at.is_some(), "{} bytes of {}", read.len(), sent.len());
    let end = String::from_utf8_lossy(&read[at.unwrap() + sent.len()..]).into_owned();
    assert!(end.starts_with(".\r\n+OK ") && end.ends_with("\r\n"), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused_in_the_middle_of_a_pipeline_leave_every_command_its_reply() {
    let world = world();
    let mut stream = narrow(&world, "pop3").await;
    let session = format!(
        "CAPA\r\nUSER {ANN}\r\nPASS wrong\r\nSTAT\r\nLIST\r\nUSER {ANN}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n"
    );
    stream.write_all(session.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut read = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut read)).await.unwrap().unwrap();
    let replies: Vec<_> = read.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    let signs: String = replies.iter().map(|line| if line.starts_with('+') { '+' } else { '-' }).collect();
    assert_eq!(signs, "+++---++++", "{read}");
    assert_eq!(read.lines().filter(|line| *line == ".").count(), 1, "{read}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_megabytes_go_up_and_come_down_unchanged_through_narrow_sockets() {
    let world = world();
    let sent = message(25_000_000);
    let mut stream = narrow(&world, "smtp").await;
    let begin = format!(
        "EHLO client.test\r\nAUTH PLAIN {}\r\nMAIL FROM:<{ANN}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n",
        plain("", ANN, PASSWORD)
    );
    stream.write_all(begin.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.windows(6).any(|window| window == b"\r\n354 ") {
        assert!(timeout(PATIENCE, stream.read_buf(&mut said)).await.unwrap().unwrap() > 0);
    }
    stream.write_all(&sent).await.unwrap();
    stream.write_all(b".\r\nQUIT\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.starts_with("250 ") && rest.contains("\r\n221 "), "{rest}");
    let got = world.exchange.sent();
    assert!(got.len() == 1 && got[0].message == sent, "{} bytes of {}", got[0].message.len(), sent.len());

    assert!(world.exchange.mailboxes().deliver(ANN, sent.clone()));
    let mut stream = narrow(&world, "pop3").await;
    let session = format!("USER {ANN}\r\nPASS {PASSWORD}\r\nRETR 1\r\nQUIT\r\n");
    stream.write_all(session.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    timeout(PATIENCE * 2, stream.read_to_end(&mut read)).await.unwrap().unwrap();
    let start = read.windows(64).position(|window| window == &sent[..64]).unwrap();
    assert!(read[start..].starts_with(&sent), "{} bytes of {}", read.len(), sent.len());
}
