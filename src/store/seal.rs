//! Sealing: AES-256-GCM under keys that HKDF-SHA256 (RFC 5869) derives from those of the operator.
//!
//! The seal binds a record to its slot, its version and the version of the schema, so that none can be
//! put in another's place. It does not tell an old store from the present one: who may write the
//! folder may put back a backup.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf,
};
use zeroize::Zeroizing;

use super::schema;
use crate::{ids::SlotId, secret::Secret};

/// The least bytes of a key: as many as AES-128's, below which guessing gets cheaper than breaking.
pub(super) const SHORTEST_KEY: usize = 16;

/// Tells which key sealed a record. It is derived from the key and says nothing of it.
pub(super) type KeyId = [u8; 8];

/// The keys of the operator. The first seals, all of them open.
pub(super) struct Keyring {
    first: Key,
    others: Vec<Key>,
    file: Option<PathBuf>,
}

struct Key {
    id: KeyId,
    aead: RandomizedNonceKey,
}

/// A record as it stands in the file.
#[derive(Clone)]
pub(super) struct Sealed {
    /// The slot that it belongs to.
    pub(super) slot: SlotId,
    /// How often it was written.
    pub(super) version: u64,
    /// The key that sealed it.
    pub(super) key_id: Vec<u8>,
    /// The nonce, what is sealed, and the tag.
    pub(super) bytes: Vec<u8>,
}

/// Why a seal does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// It is the seal of a key that is not on the ring.
    WrongKey,
    /// It is broken.
    Broken,
}

/// Whether a key is too short. HKDF makes a long key of a short one, but no better one (RFC 5869 §4).
pub(super) fn is_weak(key: &Secret) -> bool {
    key.expose().len() < SHORTEST_KEY
}

impl Keyring {
    /// Derives the keys, of which `None` is too few to have a ring.
    pub(super) fn new(secrets: &[Secret]) -> Option<Self> {
        let (first, others) = secrets.split_first()?;
        Some(Self { first: Key::new(first), others: others.iter().map(Key::new).collect(), file: None })
    }

    /// The key of the key file `file`.
    pub(super) fn made(secret: &Secret, file: PathBuf) -> Self {
        Self { first: Key::new(secret), others: Vec::new(), file: Some(file) }
    }

    /// The key file, where the key is from there.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The key that seals.
    pub(super) fn first(&self) -> KeyId {
        self.first.id
    }

    /// Seals what is in `plain`, which becomes unreadable in place.
    ///
    /// # Errors
    /// Where there is no randomness for the nonce.
    pub(super) fn seal(
        &self,
        slot: &SlotId,
        version: u64,
        mut plain: Zeroizing<Vec<u8>>,
    ) -> Result<Sealed, Unspecified> {
        let (nonce, tag) = self.first.aead.seal_in_place_separate_tag(bound_to(slot, version), &mut plain)?;
        let bytes = [nonce.as_ref().as_slice(), plain.as_slice(), tag.as_ref()].concat();
        Ok(Sealed { slot: slot.clone(), version, key_id: self.first.id.to_vec(), bytes })
    }

    /// Opens a seal into a buffer that is wiped.
    ///
    /// # Errors
    /// [`Shut`] tells a seal that is broken from one that is somebody else's.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Shut> {
        if let Some(key) = self.keys().find(|key| sealed.key_id == key.id) {
            return key.open(sealed).ok_or(Shut::Broken);
        }
        // Where one of the keys fits, it is the name of the key that is damaged.
        let fits = self.keys().any(|key| key.open(sealed).is_some());
        Err(if fits { Shut::Broken } else { Shut::WrongKey })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Key {
    fn new(secret: &Secret) -> Self {
        const FITS: &str = "the length is the algorithm's own";
        let source = hkdf::Salt::new(hkdf::HKDF_SHA256, b"footbridge token store").extract(secret.expose());
        let (mut id, mut key) = (KeyId::default(), Zeroizing::new([0; 32]));
        source.expand(&[b"id"], Length(id.len())).and_then(|out| out.fill(&mut id)).expect(FITS);
        source.expand(&[b"seal"], Length(key.len())).and_then(|out| out.fill(&mut *key)).expect(FITS);
        Self { id, aead: RandomizedNonceKey::new(&AES_256_GCM, &*key).expect(FITS) }
    }

    fn open(&self, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, bytes) = sealed.bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(bytes.to_vec());
        let bound = bound_to(&sealed.slot, sealed.version);
        let length = self.aead.open_in_place(Nonce::from(nonce), bound, &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// How many bytes to derive.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// What a seal is of, besides what it hides. Every part has its one length.
fn bound_to(slot: &SlotId, version: u64) -> Aad<Vec<u8>> {
    let schema = schema::VERSION.to_be_bytes();
    Aad::from([&schema[..], slot.as_str().as_bytes(), &version.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[&str]) -> Keyring {
        Keyring::new(&keys.iter().map(|key| Secret::new(*key)).collect::<Vec<_>>()).unwrap()
    }

    fn seal(ring: &Keyring) -> Sealed {
        ring.seal(&SlotId::of(&["a"]), 7, Zeroizing::new(b"a token".to_vec())).unwrap()
    }

    #[test]
    fn a_seal_opens_by_every_key_of_the_ring_that_made_it() {
        let sealed = seal(&ring(&["old"]));
        assert_eq!(&**ring(&["old"]).open(&sealed).unwrap(), b"a token");
        assert_eq!(&**ring(&["new", "old"]).open(&sealed).unwrap(), b"a token");
        assert_eq!(ring(&["new"]).open(&sealed), Err(Shut::WrongKey));
    }

    #[test]
    fn a_seal_opens_for_nothing_but_what_it_was_made_for() {
        let ring = ring(&["key"]);
        let sealed = seal(&ring);
        let mut others = vec![
            Sealed { slot: SlotId::of(&["b"]), ..sealed.clone() },
            Sealed { version: 8, ..sealed.clone() },
            Sealed { key_id: vec![0; 8], ..sealed.clone() },
        ];
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            others.push(Sealed { bytes, ..sealed.clone() });
            others.push(Sealed { bytes: sealed.bytes[..at].to_vec(), ..sealed.clone() });
        }
        for other in others {
            assert_eq!(ring.open(&other), Err(Shut::Broken));
        }
    }

    #[test]
    fn no_two_seals_are_the_same() {
        let ring = ring(&["key"]);
        assert_ne!(seal(&ring).bytes, seal(&ring).bytes);
    }
}
