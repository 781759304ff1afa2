//! What every TCP connection of the bridge is set to.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

/// How long a connection may be silent until the system asks whether the other end is still there. Mail programs
/// are idle for half an hour (RFC 2177), and routers with address translation forget a silent connection
/// sooner: five minutes are usual, where RFC 5382 §5 wants two hours. A probe keeps it known.
const IDLE: Duration = Duration::from_mins(1);

/// Between probes that nobody answers, and after how many of them the connection is given up: a peer that is
/// gone without a word is noticed within two minutes.
const INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Sends small writes at once, and asks after peers that are silent for long.
///
/// A system that refuses either serves all the same, a little slower or later.
pub(super) fn tune(stream: &TcpStream) {
    set(&SockRef::from(stream));
}

/// Tunes a listening socket, whose settings Linux hands on to what it accepts: five system calls less for each
/// connection.
pub(super) fn tune_listener(listener: &TcpListener) {
    set(&SockRef::from(listener));
}

/// Tunes an accepted connection where the system has not done so already.
pub(super) fn tune_accepted(stream: &TcpStream) {
    if cfg!(not(target_os = "linux")) {
        tune(stream);
    }
}

fn set(socket: &SockRef<'_>) {
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// Whether a connection is tuned, for tests.
#[cfg(test)]
pub(super) fn is_tuned(stream: &TcpStream) -> bool {
    let socket = SockRef::from(stream);
    socket.keepalive().unwrap()
        && socket.tcp_keepalive_time().unwrap() == IDLE
        && socket.tcp_keepalive_interval().unwrap() == INTERVAL
        && socket.tcp_keepalive_retries().unwrap() == PROBES
        && stream.nodelay().unwrap()
}
