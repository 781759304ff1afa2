//! Secret values and where they are read from.
//!
//! [`Secret`] holds passwords, tokens and keys. It wipes its bytes when it is dropped, and neither
//! `Debug` nor `Display` shows them; [`Secret::expose`] is the only way in, and
//! `tests/architecture.rs` holds the list of files that may call it. [`Source`] says where a secret
//! of the configuration is kept.

mod generate;
mod source;

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use generate::generated;
pub use source::{Environment, Source, SourceError};

/// A password, token or key: bytes that are wiped after use and never printed.
///
/// Bytes, not a string, because legacy clients send passwords in whatever character set they grew
/// up with. Clones share them: a token of some thousand bytes is neither copied nor wiped once more for every login,
/// and is wiped with the last of them.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes ownership of `bytes`, which are wiped when the secret is dropped.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.into())))
    }

    /// Shows the bytes. Only the files listed in `tests/architecture.rs` may call this.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Shows the secret as text, or `None` where it is not UTF-8.
    ///
    /// Held to the same list of files as [`Secret::expose`].
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// Whether the secret has no bytes at all, which no password, token or key may have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the secret is written as a GUID is. Entra's secrets never are; their ids, which stand
    /// in the column beside them and are often copied instead, always are.
    #[must_use]
    pub fn has_form_of_guid(&self) -> bool {
        let groups = self.0.split(|&byte| byte == b'-');
        groups.clone().map(<[u8]>::len).eq([8, 4, 4, 4, 12]) && groups.flatten().all(u8::is_ascii_hexdigit)
    }

    /// Whether the secret holds what no login can carry: a line end (RFC 3501 §9, `quoted`) or NUL
    /// (RFC 4616 §2).
    #[must_use]
    pub fn is_unsendable(&self) -> bool {
        self.0.iter().any(|byte| b"\r\n\0".contains(byte))
    }

    /// Whether the secret is a password hash and not a password: whoever keeps that where a plain one
    /// belongs would have the hash itself for a password.
    #[must_use]
    pub fn has_form_of_hash(&self) -> bool {
        self.0.starts_with(b"$argon2")
    }
}

/// Compares in time that depends on the lengths alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_its_bytes() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("horse").count(), 0);
    }

    #[test]
    fn a_guid_is_recognised() {
        for (secret, expected) in [
            ("22222222-3333-4444-5555-66666666abCD", true),
            ("22222222-3333-4444-5555-66666666abC", false),
            ("22222222-3333-4444-5555-66666666abCX", false),
            ("abc8Q~22222222-3333-4444-5555", false),
            ("", false),
        ] {
            assert_eq!(Secret::new(secret).has_form_of_guid(), expected, "{secret}");
        }
    }

    #[test]
    fn secrets_are_compared_by_their_bytes() {
        assert_eq!(Secret::new("a"), Secret::new(b"a".to_vec()));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }
}
