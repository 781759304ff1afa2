//! Stored passwords: argon2id in PHC string form, and plain ones that are hashed when they are read.

use argon2::{
    Algorithm, Argon2, Block, Error, Params, Version,
    password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A password as it is kept: an argon2id hash in PHC string form.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(Box<str>);

/// Why a text is no usable password hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// Not `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    #[error("not an argon2id hash in PHC string form ($argon2id$v=19$m=19456,t=2,p=1$salt$hash)")]
    NotPhc,
    /// Another scheme, which is too weak or not known here.
    #[error("hash scheme {0} is not supported, only argon2id is")]
    OtherScheme(String),
    /// The hash itself has a length that no program makes, in bytes.
    #[error("hash is {0} bytes long, not 32: it seems cut off")]
    CutOff(usize),
    /// More memory than the bridge will spend on one login, in KiB.
    #[error("hash asks for {0} KiB of memory, at most {LARGEST_MEMORY_KIB} are allowed")]
    TooExpensive(u32),
    /// A parameter that argon2 does not take, so that no password would ever match, or that no login
    /// may cost.
    #[error("hash has {name}={value}, {wanted}")]
    Parameter {
        /// The parameter as the PHC string calls it: `m`, `t`, `p`, or `v` for the version.
        name: &'static str,
        /// What is written.
        value: u32,
        /// What may be written.
        wanted: &'static str,
    },
}

/// The lengths in bytes that programs give a hash; 32 is the one that all of them have as a default.
const WHOLE: [usize; 5] = [16, 24, 32, 48, 64];

/// A ceiling on one verification, so that a mistyped parameter cannot take the machine down.
const LARGEST_MEMORY_KIB: u32 = 256 * 1024;

/// A ceiling on the passes over that memory.
const MOST_PASSES: u32 = 32;

/// A ceiling on the lanes. RFC 9106 §4 recommends 4; more than the cores of a large machine is a mistake.
const MOST_LANES: u32 = 16;

impl StoredPassword {
    /// Takes a PHC string, as `footbridge hash-password` prints it.
    ///
    /// # Errors
    /// [`InvalidHash`] where it is none, or asks for what no login may cost.
    pub fn parse(written: &str) -> Result<Self, InvalidHash> {
        let stored = PasswordHash::new(written).map_err(|_| InvalidHash::NotPhc)?;
        if stored.algorithm.as_str() != "argon2id" {
            return Err(InvalidHash::OtherScheme(stored.algorithm.to_string()));
        }
        let Some(hash) = stored.hash.filter(|_| stored.salt.is_some()) else {
            return Err(InvalidHash::NotPhc);
        };
        if !WHOLE.contains(&hash.len()) {
            return Err(InvalidHash::CutOff(hash.len()));
        }
        Cost::of(&stored)?;
        Ok(Self(written.into()))
    }

    /// The PHC string: public by the nature of a hash, but it names nothing in logs either.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the salt: hashes with the same have the same [`StoredPassword::cost`].
    pub(super) fn parameters(&self) -> &str {
        self.0.rsplitn(3, '$').nth(2).unwrap_or_default()
    }

    /// What one verification costs.
    pub(super) fn cost(&self) -> Cost {
        PasswordHash::new(&self.0).ok().and_then(|stored| Cost::of(&stored).ok()).unwrap_or_default()
    }

    /// Whether `password` is the one that was hashed. Takes as long as the hash's parameters say.
    pub(super) fn matches(&self, password: &Secret) -> bool {
        let Ok(stored) = PasswordHash::new(&self.0) else { return false };
        let (Ok(cost), Some(salt), Some(expected)) = (Cost::of(&stored), &stored.salt, &stored.hash) else {
            return false;
        };
        let mut found = Zeroizing::new(vec![0; expected.len()]);
        cost.hash(password, salt, &mut found).is_ok() && found.ct_eq(expected.as_bytes()).into()
    }
}

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredPassword(…)")
    }
}

/// The parameters of one verification: whoever shares them costs the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
    pub(super) version: Version,
}

impl Default for Cost {
    fn default() -> Self {
        let params = Params::DEFAULT;
        Self {
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
            version: Version::default(),
        }
    }
}

impl Cost {
    /// Reads the parameters as the crate's own check does: a version or lanes that are not written have
    /// its default.
    fn of(stored: &PasswordHash) -> Result<Self, InvalidHash> {
        let wrong = |name, value, wanted| InvalidHash::Parameter { name, value, wanted };
        let (mut memory_kib, mut passes, mut lanes) = (None, None, None);
        let mut has_others = false;
        for (name, value) in stored.params.iter() {
            let number = match name.as_str() {
                "m" => &mut memory_kib,
                "t" => &mut passes,
                "p" => &mut lanes,
                _ => {
                    has_others = true;
                    continue;
                }
            };
            *number = Some(value.decimal().map_err(|_| InvalidHash::NotPhc)?);
        }
        let memory_kib = memory_kib.ok_or(InvalidHash::NotPhc)?;
        let passes = passes.ok_or(InvalidHash::NotPhc)?;
        let lanes = lanes.unwrap_or(Params::DEFAULT_P_COST);
        let version = match stored.version {
            Some(written) => Version::try_from(written)
                .map_err(|_| wrong("v", written, "only versions 19 and 16 are known"))?,
            None => Version::default(),
        };
        if memory_kib > LARGEST_MEMORY_KIB {
            return Err(InvalidHash::TooExpensive(memory_kib));
        }
        if passes > MOST_PASSES {
            return Err(wrong("t", passes, "at most 32 passes are allowed"));
        }
        if lanes > MOST_LANES {
            return Err(wrong("p", lanes, "at most 16 lanes are allowed"));
        }
        Params::new(memory_kib, passes, lanes, None).map_err(|error| {
            if error == Error::TimeTooSmall {
                wrong("t", passes, "at least one pass is needed")
            } else if error == Error::ThreadsTooFew {
                wrong("p", lanes, "at least one lane is needed")
            } else {
                wrong("m", memory_kib, "at least 8 KiB are needed for each lane")
            }
        })?;
        // What else is written may be unknown to argon2.
        if has_others {
            Params::try_from(stored).map_err(|_| InvalidHash::NotPhc)?;
        }
        Ok(Self { memory_kib, passes, lanes, version })
    }

    /// Memory written, in KiB: what the time of argon2id is proportional to.
    pub(super) fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// Hashes for nothing: the result is of no interest, the time is.
    pub(super) fn spend(self, shown: &Secret) {
        let _ = self.hash(shown, b"nobody's salt", &mut [0; 32]);
    }

    fn hash(self, password: &Secret, salt: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(out.len()))?;
        // The GNU allocator learns to keep blocks of the sizes that it is given back, 19 MiB for each
        // thread that ever hashed; what is larger than 32 MiB it returns to the system at once. The
        // surplus is never touched and costs nothing.
        let mut memory = Vec::with_capacity(params.block_count().max(RETURNED_AT_ONCE / Block::SIZE));
        memory.resize(params.block_count(), Block::default());
        Argon2::new(Algorithm::Argon2id, self.version, params).hash_password_into_with_memory(
            password.expose(),
            salt,
            out,
            &mut memory,
        )
    }
}

/// Above `DEFAULT_MMAP_THRESHOLD_MAX` of glibc on 64 bits, with what its header takes.
const RETURNED_AT_ONCE: usize = 33 * 1024 * 1024;

/// Hashes a password with argon2id, the crate's default parameters (OWASP's first choice: 19 MiB,
/// two passes, one lane) and a fresh salt.
///
/// # Panics
/// Where the system has no randomness to give, which leaves nothing safe to do.
#[must_use]
pub fn hash(password: &Secret) -> StoredPassword {
    const VALID: &str = "the default parameters are valid";
    let (salt, mut out) = (Salt::generate(), [0; 32]);
    Cost::default().hash(password, &salt, &mut out).expect(VALID);
    let hash = PasswordHash {
        algorithm: Ident::new("argon2id").expect(VALID),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(&Params::DEFAULT).expect(VALID),
        salt: Some(salt),
        hash: Some(Output::new(&out).expect(VALID)),
    };
    StoredPassword(hash.to_string().into())
}

/// The one of `known` that is a hash of the password, else a new one.
#[must_use]
pub fn hash_or_known(password: &Secret, known: Vec<StoredPassword>) -> StoredPassword {
    known.into_iter().find(|stored| stored.matches(password)).unwrap_or_else(|| hash(password))
}

impl std::fmt::Display for StoredPassword {
    /// The PHC string, for `footbridge hash-password` to print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_and_no_other() {
        let stored = StoredPassword::parse(&hash(&Secret::new("p\\ä\"ss")).to_string()).unwrap();
        assert!(stored.matches(&Secret::new("p\\ä\"ss")));
        assert!(!stored.matches(&Secret::new("p\\ä\"s")));
        assert!(!stored.matches(&Secret::new("")));
    }

    #[test]
    fn what_is_no_argon2id_hash_is_refused_with_the_reason() {
        let cases = [
            ("secret", InvalidHash::NotPhc),
            ("", InvalidHash::NotPhc),
            ("$argon2id$v=19$m=19456,t=2,p=1", InvalidHash::NotPhc),
            (
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$d2FzaGVyZXdhc2hlcmV3YXNoZXJld2FzaGVyZXdhc2g",
                InvalidHash::OtherScheme("argon2i".to_owned()),
            ),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$d2FzaGVyZXdhc2hlcmV3YXNo", InvalidHash::CutOff(18)),
            (
                "$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$d2FzaGVyZXdhc2hlcmV3YXNoZXJld2FzaGVyZXdhc2g",
                InvalidHash::TooExpensive(9_999_999),
            ),
        ];
        for (written, expected) in cases {
            assert_eq!(StoredPassword::parse(written), Err(expected), "{written}");
        }
    }

    fn parse(parameters: &str) -> Result<StoredPassword, InvalidHash> {
        StoredPassword::parse(&format!(
            "$argon2id${parameters}$c29tZXNhbHQ$d2FzaGVyZXdhc2hlcmV3YXNoZXJld2FzaGVyZXdhc2g"
        ))
    }

    #[test]
    fn parameters_that_can_never_match_are_refused_by_their_name() {
        let cases = [
            ("v=19$m=64,t=0,p=1", "hash has t=0, at least one pass is needed"),
            ("v=19$m=64,t=33,p=1", "hash has t=33, at most 32 passes are allowed"),
            ("v=19$m=64,t=2,p=0", "hash has p=0, at least one lane is needed"),
            ("v=19$m=65536,t=2,p=17", "hash has p=17, at most 16 lanes are allowed"),
            ("v=19$m=65536,t=2,p=4294967295", "hash has p=4294967295, at most 16 lanes are allowed"),
            ("v=19$m=7,t=2,p=1", "hash has m=7, at least 8 KiB are needed for each lane"),
            ("v=19$m=127,t=2,p=16", "hash has m=127, at least 8 KiB are needed for each lane"),
            ("v=7$m=64,t=2,p=1", "hash has v=7, only versions 19 and 16 are known"),
            ("v=20$m=64,t=2,p=1", "hash has v=20, only versions 19 and 16 are known"),
        ];
        for (parameters, expected) in cases {
            assert_eq!(parse(parameters).unwrap_err().to_string(), expected, "{parameters}");
        }
        for parameters in ["v=19$t=2,p=1", "v=19$m=64,t=2,p=1,x=1", "v=19$m=64,t=2,p=x"] {
            assert_eq!(parse(parameters), Err(InvalidHash::NotPhc), "{parameters}");
        }
    }

    #[test]
    fn parameters_that_argon2_takes_are_taken() {
        for parameters in ["v=19$m=8,t=1,p=1", "v=16$m=128,t=1,p=16", "m=64,t=1,p=1", "v=19$m=64,t=1"] {
            parse(parameters).unwrap_or_else(|error| panic!("{parameters}: {error}"));
        }
    }
}
