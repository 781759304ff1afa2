//! Axum behind TLS behind a [`Door`], on connections that can be reset.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Router, extract::connect_info::Connected, serve::IncomingStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::AbortOnDropHandle,
};

use crate::harness::door::Door;

/// A running web server.
pub(super) struct Server {
    pub(super) door: Door,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    pub(super) fn start(acceptor: TlsAcceptor, router: Router) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let door = Door::open(move |stream, cut| {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ =
                        sender.send(Line { stream, cutting: Box::pin(cut.clone().cancelled_owned()), cut });
                }
            }
        });
        let app = router.into_make_service_with_connect_info::<Hangup>();
        let lines = Lines { lines, addr: door.addr() };
        let serving = tokio::spawn(async move {
            let _ = axum::serve(lines, app).await;
        });
        Self { door, _serving: AbortOnDropHandle::new(serving) }
    }
}

/// Resets the connection that a request came on.
#[derive(Clone)]
pub(super) struct Hangup(CancellationToken);

impl Hangup {
    pub(super) fn now(&self) {
        self.0.cancel();
    }
}

impl Connected<IncomingStream<'_, Lines>> for Hangup {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        Self(stream.io().cut.clone())
    }
}

/// The connections that have shaken hands.
struct Lines {
    lines: mpsc::UnboundedReceiver<Line>,
    addr: SocketAddr,
}

impl axum::serve::Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        match self.lines.recv().await {
            Some(line) => (line, self.addr),
            // The door is gone for good, and so is the server in a moment.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// An encrypted connection that fails as soon as it is cut.
struct Line {
    stream: TlsStream<TcpStream>,
    cut: CancellationToken,
    cutting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cutting.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        // Closing then sends a reset and no goodbye.
        let _ = self.stream.get_ref().0.set_zero_linger();
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
