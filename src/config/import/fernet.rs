//! What the other program encrypts with a login's password: Fernet with a key of PBKDF2-HMAC-SHA256.
//!
//! By hand over aws-lc-rs, which is linked anyway: the crate for it would bring nine others.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    hmac,
    iv::FixedLength,
    pbkdf2,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The rounds of its versions, the latest first; a file says which where it was not the first one.
const USUAL_ROUNDS: [u32; 2] = [1_200_000, 100_000];

/// More than that takes seconds, and no version has it.
const MOST_ROUNDS: u32 = 10_000_000;

/// Version, time and IV before what is encrypted, and the HMAC behind it.
const BEFORE: usize = 1 + 8 + 16;
const BEHIND: usize = 32;

/// Keys of one account.
pub(super) struct Keys(Vec<Zeroizing<[u8; 32]>>);

impl Keys {
    /// Derives the keys of a password. `None` where the salt is none.
    pub(super) fn derive(password: &Secret, salt: &str, rounds: Option<u32>) -> Option<Self> {
        let salt = decode(salt)?;
        let mut all: Vec<_> = rounds.filter(|rounds| *rounds <= MOST_ROUNDS).into_iter().collect();
        all.extend(USUAL_ROUNDS.into_iter().filter(|usual| Some(*usual) != rounds));
        let key = |rounds| {
            let mut key = Zeroizing::new([0; 32]);
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                NonZeroU32::new(rounds)?,
                &salt,
                password.expose(),
                &mut *key,
            );
            Some(key)
        };
        Some(Self(all.into_iter().filter_map(key).collect()))
    }

    /// What a token holds, where one of the keys is its own.
    pub(super) fn open(&self, token: &str) -> Option<Secret> {
        let token = decode(token)?;
        self.0.iter().find_map(|key| open(key, &token))
    }
}

/// The form of a token: github.com/fernet/spec.
fn open(key: &[u8; 32], token: &[u8]) -> Option<Secret> {
    let (signed, tag) = token.split_at_checked(token.len().checked_sub(BEHIND)?)?;
    let (head, sealed) = signed.split_at_checked(BEFORE)?;
    let (signing, encrypting) = key.split_at(16);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, signing), signed, tag).ok()?;
    if head[0] != 0x80 {
        return None;
    }
    let iv = FixedLength::<16>::try_from(&head[9..]).ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, encrypting).ok()?).ok()?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opened = key.decrypt(&mut sealed, DecryptionContext::Iv128(iv)).ok()?;
    Some(Secret::new(&*opened))
}

/// Base64 in either alphabet, padded or not.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engines =
        [alphabet::URL_SAFE, alphabet::STANDARD].map(|alphabet| GeneralPurpose::new(&alphabet, config));
    engines.iter().find_map(|engine| engine.decode(text.trim()).ok()).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::import::{SALT, TOKEN};

    /// Of the specification's `verify.json`.
    #[test]
    fn the_example_of_the_specification_is_opened() {
        let key = decode("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap();
        let token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        let opened = open(&key.as_slice().try_into().unwrap(), &decode(token).unwrap()).unwrap();
        assert_eq!(opened.expose(), b"hello");
        let broken = token.replace("gAAAAAAdwJ6w", "gAAAAAAdwJ6x");
        assert!(open(&key.as_slice().try_into().unwrap(), &decode(&broken).unwrap()).is_none());
        assert!(open(&key.as_slice().try_into().unwrap(), b"short").is_none());
    }

    /// Made with Python's `cryptography`: the password `correct horse`, 1000 rounds.
    #[test]
    fn what_python_has_encrypted_is_opened_by_its_password_alone() {
        let open = |password: &str| {
            let keys = Keys::derive(&Secret::new(password), SALT, Some(1000)).unwrap();
            keys.open(TOKEN).map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap())
        };
        assert_eq!(open("correct horse").as_deref(), Some("0.AXoA-refresh"));
        assert_eq!(open("correct house"), None);
        assert!(Keys::derive(&Secret::new("x"), "no salt!", None).is_none());
    }
}
