//! Texts of the configuration as words of a script, whatever is in them.

use std::fmt::{self, Display, Formatter, Write as _};

/// A text as an expression of PowerShell, quotes and all.
///
/// What is not ASCII is written by its number: Windows PowerShell takes a script for one in the code page of the
/// system, where half a letter may look like one of the typographic quotes that end a text as the plain one does
/// (Microsoft Learn, `about_Quoting_Rules`, `about_Character_Encoding`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PowerShell(pub String);

impl PowerShell {
    fn is_plain(char: char) -> bool {
        char == ' ' || char.is_ascii_graphic()
    }
}

impl Display for PowerShell {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.chars().all(Self::is_plain) {
            return write!(f, "'{}'", self.0.replace('\'', "''"));
        }
        // Begins with a text, so that all of it is one.
        f.write_str("(''")?;
        let mut rest = self.0.as_str();
        while let Some(char) = rest.chars().next() {
            let plain = rest.find(|char| !Self::is_plain(char)).unwrap_or(rest.len());
            if plain > 0 {
                write!(f, " + '{}'", rest[..plain].replace('\'', "''"))?;
                rest = &rest[plain..];
            } else {
                write!(f, " + [char]::ConvertFromUtf32(0x{:X})", u32::from(char))?;
                rest = &rest[char.len_utf8()..];
            }
        }
        f.write_char(')')
    }
}

/// A text as a word of a POSIX shell, quotes and all (POSIX.1-2024, Shell Command Language, 2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posix(pub String);

impl Display for Posix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Reads an expression as PowerShell does, whatever the code page: a doubled quote is one, a single one ends a text.
    fn read(expression: &str) -> Option<String> {
        let sum = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(expression);
        let (mut text, mut rest) = (String::new(), sum);
        loop {
            if let Some(number) = rest.strip_prefix("[char]::ConvertFromUtf32(0x") {
                let (number, behind) = number.split_once(')')?;
                text.push(char::from_u32(u32::from_str_radix(number, 16).ok()?)?);
                rest = behind;
            } else {
                rest = rest.strip_prefix('\'')?;
                while let Some((plain, behind)) = rest.split_once('\'') {
                    text.push_str(plain);
                    rest = behind;
                    match rest.strip_prefix('\'') {
                        Some(behind) => rest = behind,
                        None => break,
                    }
                    text.push('\'');
                }
            }
            if rest.is_empty() {
                return Some(text);
            }
            rest = rest.strip_prefix(" + ")?;
        }
    }

    proptest! {
        #[test]
        fn whatever_a_text_holds_powershell_reads_it_as_one(text in "(\\PC|['‘’‚‛\"$`;()+]|\\n)*") {
            let expression = PowerShell(text.clone()).to_string();
            prop_assert!(expression.is_ascii(), "{}", expression);
            prop_assert_eq!(read(&expression), Some(text));
        }
    }

    #[test]
    fn whatever_a_text_holds_a_shell_hands_it_on_as_one_word() {
        for text in ["", "'; rm -rf ~; '", "$(id) `id` \\ \" !! * ~", "-n", "a\nb", "‘curly’ ünï", "'''"]
        {
            let script = format!("printf '%s' {}", Posix(text.to_owned()));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
            assert!(said.stderr.is_empty());
        }
    }

    #[test]
    fn a_plain_text_is_a_plain_literal_and_another_is_put_together() {
        assert_eq!(PowerShell("O'Neil".to_owned()).to_string(), "'O''Neil'");
        let expression = "('' + 'a' + [char]::ConvertFromUtf32(0x2019) + '; calc')";
        assert_eq!(PowerShell("a’; calc".to_owned()).to_string(), expression);
    }
}
