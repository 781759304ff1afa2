//! Taking our own token out of what an upstream says.
//!
//! Every good login goes this way, with a token of some thousand bytes and a sentence of some dozens. So the long
//! text is gone through once, with a few instructions a byte, and what is looked up is of the short one.

use std::collections::HashSet;

use super::{Rejected, UpstreamLogin};
use crate::failure::Failure;

/// So many bytes of a secret in a row are no coincidence. Eight of them are one number.
const TELLING: usize = 8;

impl UpstreamLogin {
    /// Takes out of `said` whatever it has in common with the access token or the response that holds
    /// it: a server may quote a command that it does not understand, in base64 or in clear, whole or
    /// cut, and neither logs nor clients may see a token.
    #[must_use]
    pub fn redact(&self, said: &str) -> String {
        let mut ours = vec![false; said.len()];
        for secret in [self.response.expose(), self.access_token.expose()] {
            mark_common(said.as_bytes(), secret, &mut ours);
        }
        if !ours.contains(&true) {
            return said.to_owned();
        }
        let mut clean = Vec::with_capacity(said.len());
        for (at, &byte) in said.as_bytes().iter().enumerate() {
            if !ours[at] {
                clean.push(byte);
            } else if at == 0 || !ours[at - 1] {
                clean.extend_from_slice(b"[our token]");
            }
        }
        String::from_utf8_lossy(&clean).into_owned()
    }

    /// Keeps what an upstream said, and what it had against the token (RFC 7628 §3.2.2) behind it, where it told; but
    /// for our own token, which a server may quote: logs must not hold it.
    #[must_use]
    pub fn rejected(&self, failure: Failure, said: &str, challenge: Option<&str>) -> Rejected {
        let whole = challenge.map_or_else(|| said.to_owned(), |challenge| format!("{said} {challenge}"));
        Rejected::new(failure, &self.redact(&whole))
    }
}

/// Marks the bytes of `said` that stand in pieces of eight which `secret` has as well, or in the whole of a shorter one.
fn mark_common(said: &[u8], secret: &[u8], ours: &mut [bool]) {
    let size = TELLING.min(secret.len()).max(1);
    let mut told = Sketch::default();
    pieces(said, size).for_each(|piece| told.add(piece));
    let common: HashSet<u64> = pieces(secret, size).filter(|&piece| told.may_have(piece)).collect();
    if common.is_empty() {
        return;
    }
    for (at, piece) in pieces(said, size).enumerate() {
        if common.contains(&piece) {
            ours[at..at + size].fill(true);
        }
    }
}

/// All pieces of `size` bytes, 1 to 8, each as a number that no other piece of that size has.
fn pieces(bytes: &[u8], size: usize) -> impl Iterator<Item = u64> {
    let mask = u64::MAX >> (u64::BITS as usize - 8 * size);
    let numbers = bytes.iter().scan(0, move |last: &mut u64, &byte| {
        *last = ((*last << 8) | u64::from(byte)) & mask;
        Some(*last)
    });
    numbers.skip(size - 1)
}

/// What may be among some numbers and what certainly is not: 4096 bits, of which each number sets one.
struct Sketch([u64; 64]);

impl Default for Sketch {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Sketch {
    fn add(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.0[word] |= bit;
    }

    fn may_have(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.0[word] & bit != 0
    }

    /// The word and its bit: twelve bits of a product by 2^64 and the golden ratio (Knuth, volume 3, §6.4).
    fn place(number: u64) -> (usize, u64) {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        (usize::from(mixed[0] & 63), 1 << (mixed[1] & 63))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        sasl::{self, Mechanism},
        secret::Secret,
    };

    const TOKEN: &str = "EwB4A8l6BAAUbDba3x2OMJElkF7gJ4z/VbCPEz0AAZj";

    #[test]
    fn a_token_that_an_upstream_repeats_is_taken_out_in_clear_in_base64_and_in_pieces() {
        let access_token = Secret::new(TOKEN);
        let response = sasl::response(Mechanism::Xoauth2, "ann@contoso.com", &access_token);
        let base64 = response.expose_str().unwrap().to_owned();
        let login = UpstreamLogin {
            mechanism: Mechanism::Xoauth2,
            response,
            access_token,
            introduced_as: String::new(),
            starttls: false,
            known: None,
        };
        let cases = [
            (format!("NO bad {base64}, or {TOKEN}?"), "NO bad [our token], or [our token]?"),
            (
                format!("user=ann@contoso.com auth=Bearer {TOKEN}"),
                "user=ann@contoso.com auth=Bearer [our token]",
            ),
            (format!("AUTHENTICATE XOAUTH2 {}...", &base64[..30]), "AUTHENTICATE XOAUTH2 [our token]..."),
            (
                format!("token {}... {} twice", &TOKEN[..12], &TOKEN[20..]),
                "token [our token]... [our token] twice",
            ),
            (format!("{} {}", &base64[..40], &base64[40..]), "[our token] [our token]"),
            (format!("m\u{fc}de {TOKEN}\u{fc}"), "m\u{fc}de [our token]\u{fc}"),
            ("535 5.7.3 Authentication unsuccessful".to_owned(), "535 5.7.3 Authentication unsuccessful"),
            (String::new(), ""),
        ];
        for (said, clean) in cases {
            assert_eq!(login.redact(&said), clean);
        }
        let nothing = UpstreamLogin { response: Secret::new(""), access_token: Secret::new("abc"), ..login };
        assert_eq!(nothing.redact("xabcx ab"), "x[our token]x ab");
    }

    /// What is common, found in the simplest way.
    fn simply(said: &[u8], secret: &[u8]) -> Vec<bool> {
        let size = TELLING.min(secret.len()).max(1);
        let mut ours = vec![false; said.len()];
        for (at, piece) in said.windows(size).enumerate() {
            if secret.windows(size).any(|own| own == piece) {
                ours[at..at + size].fill(true);
            }
        }
        ours
    }

    proptest! {
        #[test]
        fn what_is_common_is_found_wherever_it_stands(
            before in "[ab]{0,20}", common in "[abc]{0,24}", after in "[ab\u{fc}]{0,20}", secret in "[abc]{0,30}",
        ) {
            let said = format!("{before}{common}{after}");
            for secret in [secret.clone(), format!("{secret}{common}"), format!("{common}{secret}")] {
                let mut ours = vec![false; said.len()];
                mark_common(said.as_bytes(), secret.as_bytes(), &mut ours);
                prop_assert_eq!(ours, simply(said.as_bytes(), secret.as_bytes()));
            }
        }
    }
}
