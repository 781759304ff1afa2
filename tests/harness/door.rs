//! A listening port that can be closed and opened again, and that cuts its connections when told to.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::count::Count;

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
type Serve = Arc<dyn Fn(TcpStream, CancellationToken) -> Serving + Send + Sync>;

/// A port on 127.0.0.1 behind which something is served to every connection.
pub struct Door {
    addr: SocketAddr,
    serve: Serve,
    /// Bound and never listening: keeps the port ours while the door is closed.
    _reserved: TcpSocket,
    open: Mutex<Option<Open>>,
    accepted: Count,
}

/// What there is while the door is open. Aborting the task drops the listener and every connection.
struct Open {
    accepting: AbortOnDropHandle<()>,
    cut: Arc<Mutex<CancellationToken>>,
}

/// A port of 127.0.0.1 that nobody else is given as long as this lives, and at which a program may listen that is
/// told its number.
pub struct Reserved(TcpSocket);

impl Reserved {
    /// Reserves a free port.
    pub fn new() -> Self {
        Self(bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap())
    }

    /// Its number.
    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

impl Door {
    /// Opens a door on a free port. `serve` gets every connection, and a token that says when the
    /// connection is cut: its future is dropped then.
    pub fn open<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, CancellationToken) -> F + Send + Sync + 'static,
    {
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = reserved.local_addr().unwrap();
        let serve: Serve = Arc::new(move |stream, cut| Box::pin(serve(stream, cut)));
        let accepted = Count::of("connections");
        let open = Open::start(listening(addr), &serve, &accepted);
        Self { addr, serve, _reserved: reserved, open: Mutex::new(Some(open)), accepted }
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every connection that was accepted so far.
    pub fn accepted(&self) -> &Count {
        &self.accepted
    }

    /// Cuts every connection and refuses new ones, on the same port.
    pub async fn close(&self) {
        let open = self.open.lock().unwrap().take();
        if let Some(open) = open {
            open.accepting.abort();
            let _ = open.accepting.await;
            open.cut.lock().unwrap().cancel();
        }
    }

    /// Takes connections again.
    pub fn reopen(&self) {
        let mut open = self.open.lock().unwrap();
        if open.is_none() {
            *open = Some(Open::start(listening(self.addr), &self.serve, &self.accepted));
        }
    }

    /// Cuts every connection and goes on taking new ones.
    pub fn cut(&self) {
        if let Some(open) = &*self.open.lock().unwrap() {
            std::mem::take(&mut *open.cut.lock().unwrap()).cancel();
        }
    }
}

impl Open {
    fn start(listener: TcpListener, serve: &Serve, accepted: &Count) -> Self {
        let cut = Arc::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(serve), accepted.clone(), Arc::clone(&cut)));
        Self { accepting: AbortOnDropHandle::new(accepting), cut }
    }
}

async fn accept(listener: TcpListener, serve: Serve, accepted: Count, cut: Arc<Mutex<CancellationToken>>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = connections.join_next() => continue,
            stream = listener.accept() => stream,
        };
        if let Ok((stream, _)) = stream {
            let _ = stream.set_nodelay(true);
            let cut = cut.lock().unwrap().child_token();
            let serving = serve(stream, cut.clone());
            connections.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => (),
                    () = serving => (),
                }
            });
            accepted.add();
        }
    }
}

fn listening(addr: SocketAddr) -> TcpListener {
    bound(addr).and_then(|socket| socket.listen(128)).unwrap()
}

fn bound(addr: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
