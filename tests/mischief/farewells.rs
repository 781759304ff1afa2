//! A bridge that is told to stop while a stranger is at the console.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::spawn_blocking, time::timeout};

use crate::{
    harness::{bridge::Bridge, world::World},
    visitor::{Visitor, says},
};

/// A bridge that nobody uses but a stranger, who has sent the half of a form and keeps still.
async fn half_a_form() -> (World, TcpStream) {
    let world = World::with(|config, _, _| config.console("127.0.0.1:0").limit("drain_grace = \"1s\""));
    let visitor = Visitor::of(&world);
    let host = visitor.home.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let form = format!("POST /login HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6000\r\n\r\npassword=");
    stream.write_all(form.as_bytes()).await.unwrap();
    // Connections are taken in their order.
    says(&visitor.get("/login").await, 200, &[]);
    (world, stream)
}

async fn stops_soon(bridge: Bridge) {
    let stopped = timeout(Duration::from_secs(8), spawn_blocking(move || bridge.terminate())).await;
    let (status, _) = stopped.expect("it stops within 8 s").unwrap();
    assert!(status.success());
}

/// With a grace of a second for sessions it has to be gone soon: whoever has told it to stop kills it after a while, and
/// token requests under way with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_form_keeps_no_bridge_from_stopping() {
    let (World { bridge, .. }, _stream) = half_a_form().await;
    stops_soon(bridge).await;
}

/// A second signal means now, whoever is at the console.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_form_keeps_no_bridge_from_stopping_at_a_second_signal() {
    let (World { bridge, .. }, _stream) = half_a_form().await;
    bridge.signal("TERM");
    bridge.wait_for_logged("draining", 1);
    stops_soon(bridge).await;
}
