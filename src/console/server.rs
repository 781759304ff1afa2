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
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::places::{Place, Places};
use crate::{
    ids::ClientAddr,
    net::{
        accept::HandshakeError,
        https::{self, Arrived, Https},
    },
};

/// How long a request may take to arrive, its body and the handshake before it too.
const REQUEST: Duration = Duration::from_secs(10);

/// How long a connection may last: a code is exchanged meanwhile, with an authority that may be slow.
const CONNECTION: Duration = Duration::from_mins(1);

/// The longest request line and headers, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// The largest body, in bytes: the longest that a form holds is the address that a browser has ended at.
const LONGEST_BODY: usize = 64 * 1024;

/// How long to rest where the system has no descriptors left.
const REST: Duration = Duration::from_millis(200);

/// What is answered to a request in clear where HTTPS is spoken. It is answered in clear as well: the client could not
/// read anything else.
const IN_CLEAR: &str = "This is HTTPS: open the address with https:// in the place of http://.\n";

/// Serves `router` by `listener` until `stop`, and what has begun by then to its end. With `https` it is served to who
/// shakes hands, and nobody else.
pub async fn serve(listener: TcpListener, https: Option<Https>, router: Router, stop: CancellationToken) {
    serve_while_open(listener, https, router, stop).await.wait().await;
}

/// Serves `router` by `listener` until `stop`. Nothing listens any more when this returns; what has begun
/// by then is in the tracker.
pub(super) async fn serve_while_open(
    listener: TcpListener,
    https: Option<Https>,
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
                    let arrived = (stream, client, https.clone());
                    connections.spawn(answer(arrived, router.clone(), place, stop.clone()));
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
    (stream, client, https): (TcpStream, ClientAddr, Option<Https>),
    router: Router,
    place: Place,
    stop: CancellationToken,
) {
    let (asked, deadline) = (AtomicBool::new(false), Instant::now() + REQUEST);
    let serving = async {
        let Some((line, is_safe)) = arrive(stream, https.as_ref(), client, deadline).await else { return };
        let router = if is_safe { router } else { Router::new().fallback(refuse_clear) };
        let (asked, router, place) = (&asked, &TowerToHyperService::new(router), &place);
        let service = service_fn(|request: Request<Incoming>| async move {
            let mut request = match whole(request.map(Body::new), deadline).await {
                Ok(request) => request,
                Err(refused) => return Ok(refused),
            };
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(client);
            place.keep(router.call(request)).await
        });
        // Whoever hangs up, or speaks another protocol, has its reasons.
        if let Err(error) = connection(deadline).serve_connection(TokioIo::new(line), service).await {
            debug!(%error, "web connection ended");
        }
    };
    let idle = async {
        stop.cancelled().await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = timeout(CONNECTION, serving) => {}
        () = place.given_up().cancelled() => debug!(client.addr = %client, "web connection gave way to others"),
        () = idle => {}
    }
}

/// The line of a client, and whether it is encrypted as far as it has to be; nothing where the handshake has failed.
async fn arrive(
    stream: TcpStream,
    https: Option<&Https>,
    client: ClientAddr,
    deadline: Instant,
) -> Option<(Box<dyn Line>, bool)> {
    let Some(https) = https else { return Some((Box::new(stream), true)) };
    let arrived = timeout_at(deadline, https.accept(stream)).await;
    match arrived.unwrap_or(Err(HandshakeError::TimedOut)) {
        Ok(Arrived::Encrypted(line)) => Some((line, true)),
        Ok(Arrived::Clear(stream)) => {
            tell(&HandshakeError::NotTls, client);
            Some((Box::new(stream), false))
        }
        Err(error) => {
            tell(&error, client);
            None
        }
    }
}

fn tell(error: &HandshakeError, client: ClientAddr) {
    debug!(client.addr = %client, cause = %error, cure = https::cure(error), "web client turned away");
}

async fn refuse_clear() -> (StatusCode, &'static str) {
    (StatusCode::BAD_REQUEST, IN_CLEAR)
}

/// What a request comes by.
trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<L: AsyncRead + AsyncWrite + Send + Unpin> Line for L {}

fn connection(deadline: Instant) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(deadline.saturating_duration_since(Instant::now()))
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
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::{advance, pause, resume},
    };
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::{
        net::certificate::{Certificate, Pair},
        secret::Secret,
    };

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

    /// What the server shakes hands with, and the certificate that it shows.
    fn https() -> (Https, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let (pem, key) = (Secret::new(made.pem()), Secret::new(key.serialize_pem()));
        let pair = Pair::from_pem(("a.pem".as_ref(), &pem), ("a.key".as_ref(), &key)).unwrap();
        (Https::new(Arc::new(Certificate::new(pair))), made.der().clone())
    }

    /// A client whose connection is being answered from now on.
    async fn connected(https: Https) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        let client = ClientAddr::new(peer);
        let place = Arc::new(Places::default()).take(&client.network()).await;
        let arrived = (accepted, client, Some(https));
        TaskTracker::new().spawn(answer(arrived, Router::new(), place, CancellationToken::new()));
        tokio::task::yield_now().await;
        stream
    }

    async fn ended(mut line: impl AsyncRead + Unpin) {
        // Who is cut off in the middle of TLS is told so by an error.
        let _ = line.read_to_end(&mut Vec::new()).await;
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_begin_or_does_not_end_is_waited_for_as_long_as_a_request() {
        for begins in [&[][..], &[22, 3, 1, 2]] {
            let mut stream = connected(https().0).await;
            stream.write_all(begins).await.unwrap();
            pause();
            let began = Instant::now();
            ended(stream).await;
            let (took, second) = (began.elapsed(), Duration::from_secs(1));
            assert!(took + second > REQUEST && took < REQUEST + second, "{took:?}");
            resume();
        }
    }

    #[tokio::test]
    async fn a_slow_handshake_leaves_less_time_for_the_request() {
        let (https, certificate) = https();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = connected(https).await;
        pause();
        let began = Instant::now();
        advance(Duration::from_secs(6)).await;
        resume();
        let name = ServerName::try_from("localhost").unwrap();
        let line = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        pause();
        ended(line).await;
        assert!(began.elapsed() < REQUEST + Duration::from_secs(1), "{:?}", began.elapsed());
    }
}
