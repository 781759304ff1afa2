//! POP3 on the wire: bytes to commands and replies.
//!
//! Pure functions. Commands are read as clients write them: any case, white space around, bare LF; but for the
//! password, of which every byte counts.

use bytes::BytesMut;

/// The most bytes in one line of an upstream. RFC 2449 §4 allows 512; a server that quotes our own command,
/// whose access token has several thousand, is not to be cut off for that.
const LONGEST_LINE: usize = 64 * 1024;

/// A client's command, its argument not yet taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) verb: Verb,
    /// What stands behind the one space that ends the verb, without the line end; `None` where nothing does.
    argument: Option<&'a [u8]>,
}

/// The commands that have a meaning before login, RFC 1939 §4 and §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Capa,
    User,
    Pass,
    Auth,
    Apop,
    Stls,
    Quit,
    /// A command of the transaction state.
    Mailbox,
    Unknown,
}

impl Verb {
    fn new(word: &[u8]) -> Self {
        match word.to_ascii_uppercase().as_slice() {
            b"CAPA" => Self::Capa,
            b"USER" => Self::User,
            b"PASS" => Self::Pass,
            b"AUTH" => Self::Auth,
            b"APOP" => Self::Apop,
            b"STLS" => Self::Stls,
            b"QUIT" => Self::Quit,
            b"STAT" | b"LIST" | b"RETR" | b"DELE" | b"NOOP" | b"RSET" | b"TOP" | b"UIDL" | b"LAST" => {
                Self::Mailbox
            }
            _ => Self::Unknown,
        }
    }
}

impl<'a> Command<'a> {
    /// Splits a line into verb and argument.
    pub(super) fn read(line: &'a [u8]) -> Self {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        Self { verb: Verb::new(verb), argument: rest.get(1..) }
    }

    /// The argument as it was written: "since the PASS command has exactly one argument, a POP3 server may
    /// treat spaces in the argument as part of the password" (RFC 1939 §7).
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        self.argument
    }

    /// The argument without the white space around it, `None` where nothing is left.
    pub(super) fn trimmed(&self) -> Option<&'a [u8]> {
        self.argument.map(<[u8]>::trim_ascii).filter(|argument| !argument.is_empty())
    }

    /// The argument's words, whatever white space is between them.
    pub(super) fn words(&self) -> Vec<&'a [u8]> {
        let argument = self.argument.unwrap_or_default();
        argument.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
    }
}

/// One line of an upstream, with the words behind its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK …`, RFC 1939 §3.
    Ok(String),
    /// `-ERR …`, RFC 1939 §3.
    Err(String),
    /// `+ …`, RFC 5034 §4.
    Continue(String),
}

impl Reply {
    /// Takes one line off the front of `input`. `None`, and nothing taken, while it is not whole.
    ///
    /// # Errors
    /// What was said instead, in words fit for a log.
    pub(super) fn take(input: &mut BytesMut) -> Result<Option<Self>, String> {
        let end = input.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
        if end.unwrap_or(input.len()) > LONGEST_LINE {
            return Err("a line longer than 64 KiB".to_owned());
        }
        let Some(end) = end else { return Ok(None) };
        let line = String::from_utf8_lossy(&input[..end]);
        let line = line.trim_end();
        let (first, text) = line.split_once(' ').unwrap_or((line, ""));
        let reply = match first.to_ascii_uppercase().as_str() {
            "+OK" => Self::Ok(text.to_owned()),
            "-ERR" => Self::Err(text.to_owned()),
            "+" => Self::Continue(text.trim_start().to_owned()),
            _ => return Err(line.to_owned()),
        };
        let _ = input.split_to(end);
        Ok(Some(reply))
    }

    /// The reply as one line: `-ERR Authentication failure`.
    pub(super) fn said(&self) -> String {
        let (first, text) = match self {
            Self::Ok(text) => ("+OK", text),
            Self::Err(text) => ("-ERR", text),
            Self::Continue(text) => ("+", text),
        };
        format!("{first} {text}")
    }
}

/// The response code at the beginning of a reply's words, `SYS/TEMP`; empty where there is none (RFC 2449 §8).
pub(super) fn code(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_stands_behind_one_space() {
        let cases: [(&[u8], Option<&[u8]>); 9] = [
            (b"PASS secret\r\n", Some(b"secret")),
            (b"pass secret\n", Some(b"secret")),
            (b" PASS  two words \r\n", Some(b" two words ")),
            (b"PASS \"quoted\"\r\n", Some(b"\"quoted\"")),
            (b"PASS \tx\t\r\n", Some(b"\tx\t")),
            (b"PASS a\rb\r\r\n", Some(b"a\rb\r")),
            (b"PASS p\xE4ss\r\n", Some(b"p\xE4ss")),
            (b"PASS \r\n", Some(b"")),
            (b"PASS\r\n", None),
        ];
        for (line, password) in cases {
            let command = Command::read(line);
            assert_eq!((command.verb, command.whole()), (Verb::Pass, password), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_name_and_words_are_rid_of_the_white_space_around_them() {
        assert_eq!(Command::read(b"USER  ann o \r\n").trimmed(), Some(&b"ann o"[..]));
        assert_eq!(Command::read(b"USER \r\n").trimmed(), None);
        assert_eq!(Command::read(b"auth\tPLAIN  = \r\n").words(), [b"PLAIN".as_slice(), b"="]);
        assert!(Command::read(b"AUTH\r\n").words().is_empty());
        assert_eq!(Command::read(b"\r\n").verb, Verb::Unknown);
    }

    #[test]
    fn a_reply_is_taken_whole_or_not_at_all() {
        let taken = |text: &str| {
            let mut input = BytesMut::from(text);
            let reply = Reply::take(&mut input).map(|reply| reply.map(|reply| reply.said()));
            (reply, String::from_utf8(input.to_vec()).unwrap())
        };
        let cases = [
            ("+OK ready\r\n+OK next\r\n", Ok(Some("+OK ready")), "+OK next\r\n"),
            ("+ok\n", Ok(Some("+OK ")), ""),
            ("-ERR [AUTH] no\r\n", Ok(Some("-ERR [AUTH] no")), ""),
            ("+ \r\n", Ok(Some("+ ")), ""),
            ("+\r\n", Ok(Some("+ ")), ""),
            ("+ eyJ9\r\n", Ok(Some("+ eyJ9")), ""),
            ("+OK", Ok(None), "+OK"),
            ("+OKAY\r\n", Err("+OKAY"), "+OKAY\r\n"),
            ("* OK ready\r\n", Err("* OK ready"), "* OK ready\r\n"),
            ("220 ready\r\n", Err("220 ready"), "220 ready\r\n"),
            ("\r\n", Err(""), "\r\n"),
        ];
        for (input, reply, left) in cases {
            let expected = reply.map(|said| said.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(taken(input), (expected, left.to_owned()));
        }
        assert!(taken(&"x".repeat(LONGEST_LINE + 1)).0.is_err());
    }

    #[test]
    fn a_response_code_stands_at_the_beginning() {
        for (text, expected) in
            [("[SYS/TEMP] later", "SYS/TEMP"), ("[AUTH]", "AUTH"), ("no [AUTH]", ""), ("[AUTH", ""), ("", "")]
        {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
