//! rustls' own buffered connection is the peer, over a pipe that cuts what goes through it and makes both wait.

mod hostile;
mod pipe;
mod traffic;

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use self::pipe::Choppy;
use super::*;

/// Both versions of TLS that we speak.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate for `localhost` and its key.
static LEAF: LazyLock<(CertificateDer<'static>, PrivateKeyDer<'static>)> = LazyLock::new(|| {
    crate::net::tls::install_cryptography();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    (made.cert.into(), key.into())
});

fn server_config(version: &'static SupportedProtocolVersion) -> ServerConfig {
    let (certificate, key) = &*LEAF;
    ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .unwrap()
}

fn client_config(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(LEAF.0.clone()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A line to a server of rustls' own.
async fn to_server(
    near: Choppy,
    far: DuplexStream,
    version: &'static SupportedProtocolVersion,
) -> (Box<ClientLine<Choppy>>, server::TlsStream<DuplexStream>) {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(version)));
    let line = ClientLine::connect(client_config(version), localhost(), near);
    tokio::try_join!(line, acceptor.accept(far)).unwrap()
}

/// A line to a client of rustls' own.
async fn to_client(
    near: Choppy,
    far: DuplexStream,
    version: &'static SupportedProtocolVersion,
) -> (Box<ServerLine<Choppy>>, client::TlsStream<DuplexStream>) {
    let line = ServerLine::accept(Arc::new(server_config(version)), near);
    let connecting = TlsConnector::from(client_config(version)).connect(localhost(), far);
    tokio::try_join!(line, connecting).unwrap()
}

impl<E, S> Line<E, S> {
    /// How much memory is kept, in bytes.
    fn keeps(&self) -> usize {
        self.sealed.capacity() + self.opened.len() + self.unsent.capacity()
    }
}

/// Runs to the end, or fails where everybody waits for somebody else.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("all wait") })
}
