//! Who is slow holds up nobody else.

use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{
    authority::Authority,
    client::Client,
    door::Door,
    world::{ANN, BOB, PASSWORD, World},
};

/// A client with the smallest buffers that the system gives.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(world.bridge.addr("imap")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_no_further_holds_up_nobody() {
    let world = World::start();
    assert!(world.exchange.mailboxes().deliver(ANN, vec![b'x'; 30_000_000]));
    let mut stuck = Client::on(narrow(&world).await);
    assert!(stuck.imap_login(ANN, PASSWORD).await.starts_with("in OK "));
    stuck.send("s SELECT INBOX\r\n").await;
    stuck.until("s OK {…}").await;
    stuck.send("f FETCH 1 BODY.PEEK[]\r\n").await;
    // The message is on its way, and more than all buffers hold.
    stuck.expect("* 1 FETCH {…}").await;
    for login in [ANN, BOB] {
        let mut other = world.imap(login).await;
        other.send("n NOOP\r\n").await;
        other.expect("n OK {…}").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_says_nothing_holds_up_nobody_elses_login() {
    let mut opened = None;
    let world = World::with(|config, certs, _| {
        let silent = Door::open(|stream, _| async move {
            let _kept = stream;
            std::future::pending::<()>().await;
        });
        let authority = Authority::start(certs);
        let upstream = (silent.addr(), "implicit");
        let config = config.app("silent", &authority, upstream, upstream);
        opened = Some((silent, authority));
        config.account_of("silent", "eve@example.com", PASSWORD, "")
    });
    let (silent, _authority) = opened.expect("it was opened");
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut client = world.connect("imap").await;
        client.send(format!("in LOGIN eve@example.com \"{PASSWORD}\"\r\n")).await;
        waiting.push(client);
    }
    silent.accepted().reached(16).await;
    drop(world.imap(ANN).await);
    drop(world.smtp(BOB).await);
}
