//! A small HTTP server: one request for each connection, and bounds on everything.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

/// How many connections are served at a time; a browser opens six.
const CONNECTIONS: usize = 64;

/// How long a request may take to arrive.
const HEADERS: Duration = Duration::from_secs(10);

/// How long a connection may last: a code is exchanged meanwhile, with an authority that may be slow.
const CONNECTION: Duration = Duration::from_mins(1);

/// The longest request line and headers, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// How long to rest where the system has no descriptors left.
const REST: Duration = Duration::from_millis(200);

/// Serves `router` by `listener` until `stop`, and what has begun by then to its end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (permits, connections) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        answer(stream, router).await;
                    });
                }
                Err(error) => rest(&error).await,
            }
        }
    };
    let _ = stop.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn answer(stream: TcpStream, router: Router) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false);
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whoever hangs up, or speaks another protocol, has its reasons.
    if let Ok(Err(error)) = timeout(CONNECTION, serving).await {
        debug!(%error, "web connection ended");
    }
}

async fn rest(error: &io::Error) {
    debug!(%error, "web connection not accepted");
    sleep(REST).await;
}
