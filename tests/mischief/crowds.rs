//! Strangers who take every place at the console.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::{harness::world::World, visitor::Visitor};

/// One stranger connects as often as there are places, and says nothing or hardly anything. The orchestrator that asks
/// `/healthz` within a second, as Kubernetes does by default, would kill the bridge with all its sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_with_many_silent_connections_keeps_nobody_from_asking_whether_the_bridge_lives() {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0"));
    let visitor = Visitor::of(&world);
    let port = visitor.port();
    let form = format!("POST /login HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 60000\r\n\r\np");
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(form.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let asked = visitor.answer("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let said = timeout(Duration::from_secs(5), asked).await.unwrap_or_default();
    assert!(said.starts_with("HTTP/1.1 200 "), "no answer within 5 s: {said}");
}
