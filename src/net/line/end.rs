//! The two ends of TLS, as rustls has them without buffers.

use rustls::{
    CommonState, client::UnbufferedClientConnection, server::UnbufferedServerConnection, unbuffered,
};

/// An end of a TLS connection: the client's or the server's.
pub trait End {
    /// What rustls knows of this end alone.
    type Data;

    /// Works through `sealed` until there is something to do about it.
    fn process<'c, 'i>(
        &'c mut self,
        sealed: &'i mut [u8],
    ) -> unbuffered::UnbufferedStatus<'c, 'i, Self::Data>;

    /// What both ends have in common.
    fn common(&self) -> &CommonState;
}

impl End for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        sealed: &'i mut [u8],
    ) -> unbuffered::UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(sealed)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl End for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        sealed: &'i mut [u8],
    ) -> unbuffered::UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(sealed)
    }

    fn common(&self) -> &CommonState {
        self
    }
}
