//! The addresses that authorities send browsers back to, open only while somebody consents.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Weak},
};

use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::info;

use super::{landing, server::serve_while_open};
use crate::{
    net::https::Https,
    oauth::{Redirect, Tokens},
};

/// How often another free port is tried, where IPv4 and IPv6 do not have the same one free.
const TRIES: usize = 5;

/// Opens addresses for consents, and shares each among those that need it at the same time.
#[derive(Debug)]
pub struct Redirects {
    tokens: Arc<Tokens>,
    tasks: TaskTracker,
    open: Mutex<HashMap<(Vec<SocketAddr>, Spoken), Opened>>,
    console: Console,
}

/// Who answers at the console's address.
#[derive(Debug, Clone)]
pub enum Console {
    /// This process does, by this port.
    Served(u16),
    /// Nobody yet: it is opened as any other address is.
    Closed {
        /// Where it is bound, where there is a console at all.
        bind: Option<String>,
        /// What it shakes hands with, where it speaks HTTPS.
        https: Option<Https>,
    },
}

/// What is spoken at an address: the console's may want TLS, those that apps have of their own have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Spoken {
    Http,
    Https,
}

/// An address that is listened on.
#[derive(Debug)]
struct Open {
    port: u16,
    _close: DropGuard,
}

/// What is known of an address that was opened.
#[derive(Debug)]
struct Opened {
    open: Weak<Open>,
    /// Cancelled when nothing listens there any more.
    closed: CancellationToken,
}

/// Where a browser may come back to, until this is dropped.
#[derive(Debug)]
pub struct Place {
    /// The redirect URI, as it is sent to the authority.
    pub uri: String,
    _open: Vec<Arc<Open>>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}, where the browser comes back to: {error}")]
pub struct OpenError {
    addr: String,
    error: io::Error,
}

impl OpenError {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        if self.error.kind() == io::ErrorKind::AddrInUse {
            "another program has that port, another footbridge perhaps: end it, or use a device code"
        } else {
            "choose another redirect_uri or redirect_listen, or use a device code"
        }
    }
}

impl Redirects {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>, console: Console) -> Self {
        Self { tokens, tasks: TaskTracker::new(), open: Mutex::default(), console }
    }

    /// Opens where `redirect` leads.
    ///
    /// # Errors
    /// [`OpenError`] names the address.
    pub async fn open(&self, redirect: &Redirect) -> Result<Place, OpenError> {
        let place = |uri: &str, open| Place { uri: uri.to_owned(), _open: open };
        let port = |open: &[Arc<Open>]| open.first().map_or(0, |open| open.port);
        match (redirect, &self.console) {
            (Redirect::Console(uri), Console::Served(port)) => Ok(place(&with_port(uri, *port), Vec::new())),
            (Redirect::Console(uri), Console::Closed { bind, https }) => {
                let bind = bind.as_deref().unwrap_or("127.0.0.1:0");
                let listen =
                    resolved(bind).await.map_err(|error| OpenError { addr: bind.to_owned(), error })?;
                let open = self.shared(&listen, https.as_ref()).await?;
                Ok(place(&with_port(uri, port(&open)), open))
            }
            (Redirect::Own { uri, listen }, _) => Ok(place(uri, self.shared(listen, None).await?)),
            (Redirect::AnyPort, _) => {
                let open = self.shared(&both(0), None).await?;
                Ok(place(&format!("http://localhost:{}", port(&open)), open))
            }
        }
    }

    /// Each address by itself, as others may need one of them only; but those together that are to get
    /// the same free port.
    async fn shared(
        &self,
        listen: &[SocketAddr],
        https: Option<&Https>,
    ) -> Result<Vec<Arc<Open>>, OpenError> {
        if listen.iter().any(|addr| addr.port() == 0) {
            return Ok(vec![self.unit(listen, https).await?]);
        }
        let (mut open, mut missing) = (Vec::new(), None);
        for addr in listen {
            match self.unit(&[*addr], https).await {
                Ok(opened) => open.push(opened),
                // A machine without IPv6.
                Err(error) if is_absent(&error.error) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        missing.filter(|_| open.is_empty()).map_or(Ok(open), Err)
    }

    async fn unit(&self, listen: &[SocketAddr], https: Option<&Https>) -> Result<Arc<Open>, OpenError> {
        let spoken = https.map_or(Spoken::Http, |_| Spoken::Https);
        let (mut all, key) = (self.open.lock().await, (listen.to_vec(), spoken));
        if let Some(opened) = all.get(&key) {
            if let Some(open) = opened.open.upgrade() {
                return Ok(open);
            }
            // Whoever was there last is leaving.
            opened.closed.cancelled().await;
        }
        all.retain(|_, opened| opened.open.strong_count() > 0);
        let listeners = bind(listen).await?;
        let (close, closed) = (CancellationToken::new(), CancellationToken::new());
        let closing = Arc::new(closed.clone().drop_guard());
        let mut port = 0;
        for listener in listeners {
            let addr =
                listener.local_addr().map_err(|error| OpenError { addr: format!("{listen:?}"), error })?;
            port = addr.port();
            info!(listener.addr = %addr, "waiting for browsers");
            let (router, close, closing) =
                (landing(Arc::clone(&self.tokens)), close.clone(), Arc::clone(&closing));
            let https = https.cloned();
            self.tasks.spawn(async move {
                let left = serve_while_open(listener, https, router, close).await;
                drop(closing);
                info!(listener.addr = %addr, "waiting for browsers no more");
                left.wait().await;
            });
        }
        let open = Arc::new(Open { port, _close: close.drop_guard() });
        all.insert(key, Opened { open: Arc::downgrade(&open), closed });
        Ok(open)
    }

    /// Waits until every address is closed, and what came there was answered.
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The URI with the port that the system has picked, where it has.
fn with_port(uri: &str, port: u16) -> String {
    match uri.strip_suffix(":0") {
        Some(host) => format!("{host}:{port}"),
        None => uri.to_owned(),
    }
}

fn both(port: u16) -> [SocketAddr; 2] {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, port))
}

async fn resolved(bind: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(bind).await?.collect())
}

/// Listens on all of them, or on those that the machine has. Where the port is free to choose, all get
/// the same: `localhost` is either.
async fn bind(listen: &[SocketAddr]) -> Result<Vec<TcpListener>, OpenError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_once(listen).await {
            Err(OpenError { error, .. })
                if error.kind() == io::ErrorKind::AddrInUse
                    && tries < TRIES
                    && listen.iter().any(|addr| addr.port() == 0) => {}
            bound => return bound,
        }
    }
}

async fn bind_once(listen: &[SocketAddr]) -> Result<Vec<TcpListener>, OpenError> {
    let mut listeners = Vec::new();
    let mut missing = None;
    let mut picked = 0;
    for addr in listen {
        let addr = if addr.port() == 0 { SocketAddr::new(addr.ip(), picked) } else { *addr };
        match TcpListener::bind(addr).await {
            Ok(listener) => {
                picked = listener.local_addr().map_or(picked, |addr| addr.port());
                listeners.push(listener);
            }
            // A machine without IPv6.
            Err(error) if is_absent(&error) => missing = Some(OpenError { addr: addr.to_string(), error }),
            Err(error) => return Err(OpenError { addr: addr.to_string(), error }),
        }
    }
    match missing {
        Some(missing) if listeners.is_empty() => Err(missing),
        _ => Ok(listeners),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.kind() == io::ErrorKind::Unsupported
}
