//! SASL as all three protocols use it: PLAIN and LOGIN from the client, XOAUTH2 and OAUTHBEARER to
//! the upstream.
//!
//! RFC 4422, 4616 (PLAIN), draft-murchison-sasl-login-00 (LOGIN), RFC 7628 (OAUTHBEARER), and
//! Microsoft's and Google's pages on XOAUTH2. Base64 and line ends belong to the protocols' profiles
//! (RFC 4954 §4, RFC 3501 §6.2.2, RFC 5034 §4), which agree, so that [`Exchange`] serves them all.

mod bearer;
mod exchange;

pub use bearer::{Mechanism, error_challenge, response};
pub use exchange::{ClientMechanism, Exchange, Turn};

use crate::secret::Secret;

/// Who a client says it is, and the password that it shows for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The login as typed. Bytes that are no UTF-8 are read as Latin-1, which old clients send.
    pub username: String,
    /// The password as typed, bytes untouched.
    pub password: Secret,
    /// Whom the client wants to act as (RFC 4616 §2); empty where the mechanism has no such thing.
    pub authzid: String,
}

impl Credentials {
    /// Takes a username and a password as they came.
    #[must_use]
    pub fn new(username: &[u8], password: impl Into<Vec<u8>>) -> Self {
        Self { username: text(username), password: Secret::new(password), authzid: String::new() }
    }
}

/// Reads UTF-8, and Latin-1 where the bytes are none.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect(), str::to_owned)
}
