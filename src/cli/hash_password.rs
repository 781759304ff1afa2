//! `footbridge hash-password`: the argon2id hash of a password, for the mappings file.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use zeroize::Zeroizing;

use crate::{
    account::hash,
    secret::{Secret, generated},
};

/// Reads a password, from the terminal twice and without showing it or from stdin once, and prints
/// its hash on stdout. With `generate` it makes a password, and prints that on the line before.
#[must_use]
pub fn run(generate: bool) -> ExitCode {
    match printed(generate) {
        Ok(lines) => {
            if generate {
                eprintln!("the password, for the mail program, and its hash, for the mappings file:");
            }
            match io::stdout().write_all(lines.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&format!("cannot print the hash: {error}")),
            }
        }
        Err(trouble) => failed(&trouble),
    }
}

fn failed(trouble: &str) -> ExitCode {
    eprintln!("error: {trouble}");
    ExitCode::FAILURE
}

/// What goes to stdout.
fn printed(generate: bool) -> Result<Zeroizing<String>, String> {
    if generate {
        let password = generated().ok_or("the system has no randomness")?;
        let hash = hash(&Secret::new(password.as_bytes()));
        return Ok(Zeroizing::new(format!("{}\n{hash}\n", *password)));
    }
    let password = if io::stdin().is_terminal() { asked_for()? } else { piped()? };
    hashed(&password)
}

fn hashed(password: &Secret) -> Result<Zeroizing<String>, String> {
    if password.is_empty() {
        return Err("an empty password would let everybody in".to_owned());
    }
    if password.is_unsendable() {
        return Err("a password is one line without NUL: no mail program can send this one".to_owned());
    }
    Ok(Zeroizing::new(format!("{}\n", hash(password))))
}

fn asked_for() -> Result<Secret, String> {
    let ask = |prompt: &str| {
        let typed = rpassword::prompt_password(prompt);
        typed.map(Secret::new).map_err(|error| format!("cannot read from the terminal: {error}"))
    };
    let password = ask("Password: ")?;
    if !password.is_empty() && ask("Once more: ")? != password {
        return Err("the two passwords are not the same".to_owned());
    }
    Ok(password)
}

fn piped() -> Result<Secret, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin().read_to_end(&mut bytes).map_err(|error| format!("cannot read from stdin: {error}"))?;
    Ok(Secret::new(without_line_end(&bytes)))
}

/// Takes one line end off, which `echo` and editors put there.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::StoredPassword;

    #[test]
    fn one_line_end_is_taken_off_and_no_more() {
        for (piped, expected) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", ""), (" a ", " a ")]
        {
            assert_eq!(without_line_end(piped.as_bytes()), expected.as_bytes(), "{piped:?}");
        }
    }

    #[test]
    fn a_hash_is_printed_on_a_line_of_its_own_and_of_no_password_that_cannot_be_sent() {
        let printed = hashed(&Secret::new("secret")).unwrap();
        assert!(StoredPassword::parse(printed.strip_suffix('\n').unwrap()).is_ok());
        for wrong in ["", "two\nlines", "carriage\rreturn", "n\0l"] {
            assert!(hashed(&Secret::new(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_made_and_printed_before_its_hash() {
        let lines = printed(true).unwrap();
        let (password, hash) = lines.trim_end().split_once('\n').unwrap();
        assert_eq!(password.len(), 24);
        assert!(StoredPassword::parse(hash).is_ok());
        assert_ne!(*lines, *printed(true).unwrap());
    }
}
