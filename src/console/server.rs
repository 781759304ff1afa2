//! A small HTTP server: one request for each connection, and bounds on everything.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hyper::{
    Request,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::places::{Place, Places};
use crate::ids::ClientAddr;

/// How long a request may take to arrive, its body too.
const REQUEST: Duration = Duration::from_secs(10);

/// How long a connection may last: a code is exchanged meanwhile, with an authority that may be slow.
const CONNECTION: Duration = Duration::from_mins(1);

/// The longest request line and headers, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// The largest body, in bytes: the longest that a form holds is the address that a browser has ended at.
const LONGEST_BODY: usize = 64 * 1024;

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
    let (places, connections) = (Arc::new(Places::default()), TaskTracker::new());
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let client = ClientAddr::new(peer);
                    let place = places.take(&client.network()).await;
                    connections.spawn(answer(stream, client, router.clone(), place, stop.clone()));
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

/// Answers one request, which carries the address that it comes from. Who has not sent a whole one by the time of
/// `stop` is not waited for: browsers connect ahead of time, and strangers may keep still.
async fn answer(
    stream: TcpStream,
    client: ClientAddr,
    router: Router,
    place: Place,
    stop: CancellationToken,
) {
    let (asked, router) = (AtomicBool::new(false), TowerToHyperService::new(router));
    let (asked, router, place, deadline) = (&asked, &router, &place, Instant::now() + REQUEST);
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut request = match whole(request.map(Body::new), deadline).await {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(client);
        place.keep(router.call(request)).await
    });
    let idle = async {
        stop.cancelled().await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let serving = timeout(CONNECTION, connection().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whoever hangs up, or speaks another protocol, has its reasons.
        ended = serving => if let Ok(Err(error)) = ended { debug!(%error, "web connection ended") },
        () = place.given_up().cancelled() => debug!(client.addr = %client, "web connection gave way to others"),
        () = idle => {}
    }
}

fn connection() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false);
    builder
}

/// The request with all of its body, or what is answered where that is too large or too slow.
async fn whole(request: Request<Body>, deadline: Instant) -> Result<Request<Body>, Response> {
    let (head, body) = request.into_parts();
    let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, "This is too much.\n").into_response();
    if body.size_hint().lower() > LONGEST_BODY as u64 {
        return Err(too_large());
    }
    match timeout_at(deadline, to_bytes(body, LONGEST_BODY)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, Body::from(bytes))),
        // Or it broke off, and nobody reads this.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "This took too long.\n").into_response()),
    }
}

async fn rest(error: &io::Error) {
    debug!(%error, "web connection not accepted");
    sleep(REST).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};

    use super::*;

    async fn answered(body: Body) -> Result<usize, StatusCode> {
        let request = whole(Request::new(body), Instant::now() + REQUEST).await;
        let body = request.map_err(|refused| refused.status())?.into_body();
        Ok(to_bytes(body, usize::MAX).await.unwrap().len())
    }

    fn pieces(count: usize) -> impl futures::Stream<Item = Result<Vec<u8>, Infallible>> {
        stream::iter((0..count).map(|_| Ok(vec![b'p'; 1024])))
    }

    #[tokio::test]
    async fn a_body_is_taken_to_its_ceiling_and_not_beyond_whether_its_length_is_told_or_not() {
        let told = |length: usize| Body::from(vec![b'p'; length]);
        assert_eq!(answered(told(LONGEST_BODY)).await, Ok(LONGEST_BODY));
        assert_eq!(answered(told(LONGEST_BODY + 1)).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(answered(Body::from_stream(pieces(64))).await, Ok(LONGEST_BODY));
        let endless = Body::from_stream(pieces(65).chain(stream::pending()));
        assert_eq!(answered(endless).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_waited_for_ten_seconds() {
        let began = Instant::now();
        let slow = Body::from_stream(pieces(1).chain(stream::pending()));
        assert_eq!(answered(slow).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert!((REQUEST..REQUEST + Duration::from_secs(1)).contains(&began.elapsed()));
    }
}
