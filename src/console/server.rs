//! A small HTTP server: one request for each connection, and bounds on everything.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
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

use crate::ids::ClientAddr;

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
    serve_while_open(listener, router, stop).await.wait().await;
}

/// Serves `router` by `listener` until `stop`. Nothing listens any more when this returns; what has begun
/// by then is in the tracker.
pub(super) async fn serve_while_open(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> TaskTracker {
    let (permits, connections) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        answer(stream, ClientAddr::new(peer), router, stop).await;
                    });
                }
                Err(error) => rest(&error).await,
            }
        }
    };
    let _ = stop.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    connections
}

/// Answers one request, which carries the address that it comes from. Who has asked for nothing by the time of `stop` is not waited for: browsers
/// connect ahead of time.
async fn answer(stream: TcpStream, client: ClientAddr, router: Router, stop: CancellationToken) {
    let asked = AtomicBool::new(false);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(client);
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false);
    let idle = async {
        stop.cancelled().await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let serving = timeout(CONNECTION, builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whoever hangs up, or speaks another protocol, has its reasons.
        ended = serving => if let Ok(Err(error)) = ended { debug!(%error, "web connection ended") },
        () = idle => {}
    }
}

async fn rest(error: &io::Error) {
    debug!(%error, "web connection not accepted");
    sleep(REST).await;
}
