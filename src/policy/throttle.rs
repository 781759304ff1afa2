//! Ceilings on what a client may ask of the bridge before it has logged in.

use crate::dialogue::Ceilings;

/// Refused credentials on one connection before it is closed. RFC 3501 and RFC 4954 leave the number
/// to the server; a person mistypes twice, a program repeats itself.
pub const ATTEMPTS: u32 = 5;

/// What a client may send before it has logged in, from the `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line. RFC 4954 §4 wants 12,288 octets for a line of an AUTH exchange.
    pub line: usize,
    /// Bytes of one IMAP literal: a username or a password.
    pub literal: usize,
    /// Bytes in all before a login.
    pub before_login_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 * 1024, literal: 8 * 1024, before_login_bytes: 64 * 1024 }
    }
}

impl Limits {
    /// What the protocol rooms have to enforce.
    #[must_use]
    pub fn ceilings(&self) -> Ceilings {
        /// Commands in error before a login: scanners and strayed protocols send many, mail
        /// programs a handful while they find out what the server can do.
        const ERRORS: u32 = 20;
        Ceilings { line: self.line, literal: self.literal, errors: ERRORS }
    }
}
