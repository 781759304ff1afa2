//! Passwords that are made and not chosen.

use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

/// Characters that are told apart in any typeface, read aloud and typed on any keyboard: no 0 O o,
/// 1 I l, 5 S s, Z, and no signs that old programs mistake for their own.
const ALPHABET: &[u8; 52] = b"2346789abcdefghijkmnpqrtuvwxyzABCDEFGHJKLMNPQRTUVWXY";

/// With 52 characters to choose from 24 of them have 136 bits: beyond guessing, even without argon2.
const GENERATED_LENGTH: usize = 24;

/// A new password, or none where the system has no randomness.
#[must_use]
pub fn generated() -> Option<Zeroizing<String>> {
    let mut password = Zeroizing::new(String::with_capacity(GENERATED_LENGTH));
    let mut bytes = Zeroizing::new([0; GENERATED_LENGTH]);
    while password.len() < GENERATED_LENGTH {
        fill(bytes.as_mut()).ok()?;
        let missing = GENERATED_LENGTH - password.len();
        password.extend(bytes.iter().filter_map(|byte| character(*byte)).take(missing));
    }
    Some(password)
}

/// The character for a random byte, or none for those at the end of the range, which would make the
/// first characters of the alphabet likelier than the others.
fn character(byte: u8) -> Option<char> {
    let rounds = usize::from(u8::MAX) / ALPHABET.len();
    let number = usize::from(byte);
    (number < rounds * ALPHABET.len()).then(|| char::from(ALPHABET[number % ALPHABET.len()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_its_length_and_characters_that_are_told_apart() {
        let password = generated().unwrap();
        assert_eq!(password.len(), GENERATED_LENGTH);
        assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)), "{}", *password);
        assert_ne!(*password, *generated().unwrap());
    }

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut drawn = [0; 128];
        (0..=u8::MAX).filter_map(character).for_each(|char| drawn[char as usize] += 1);
        assert!(ALPHABET.iter().all(|byte| drawn[usize::from(*byte)] == 4), "{drawn:?}");
    }
}
