//! Accepting clients.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::socket;

/// The first and the longest pause after a failed accept. The usual reason is that the process is
/// out of descriptors, which ends when a session does; spinning meanwhile would slow those down.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Binds `host:port`; port 0 lets the system pick one.
    ///
    /// # Errors
    /// What the system said: the port is taken, or needs privileges.
    pub async fn bind(addr: &str) -> io::Result<Self> {
        let socket = TcpListener::bind(addr).await?;
        socket::tune_listener(&socket);
        let addr = socket.local_addr()?;
        Ok(Self { socket, addr })
    }

    /// The address that was bound, with the port that was picked.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts until `stop` is cancelled and starts one task for each client that `serve` takes, owned by `tasks`.
    pub async fn run<F>(
        self,
        stop: CancellationToken,
        tasks: TaskTracker,
        serve: impl Fn(TcpStream, SocketAddr) -> Option<F>,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut pause = PAUSES.0;
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    pause = PAUSES.0;
                    socket::tune_accepted(&stream);
                    if let Some(session) = serve(stream, peer) {
                        tasks.spawn(session);
                    }
                }
                Err(error) => {
                    if pause == PAUSES.0 {
                        warn!(listener.addr = %self.addr, %error, "cannot accept connections");
                    }
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_client_that_falls_silent_is_asked_whether_it_is_there() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop, tasks) = (listener.addr(), CancellationToken::new(), TaskTracker::new());
        let (sender, mut accepted) = mpsc::unbounded_channel();
        let serving = listener.run(stop.clone(), tasks, |stream, _| {
            sender.send(socket::is_tuned(&stream)).unwrap();
            Some(async {})
        });
        let asking = async {
            let _client = TcpStream::connect(addr).await.unwrap();
            assert_eq!(accepted.recv().await, Some(true));
            stop.cancel();
        };
        tokio::join!(serving, asking);
    }
}
