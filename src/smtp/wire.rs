//! SMTP on the wire: bytes to commands and replies.
//!
//! Pure functions. Commands are read as clients write them: any case, doubled spaces, bare LF.

use bytes::BytesMut;

/// The most bytes in one reply of an upstream, all its lines together. EHLO has the most to say before
/// a login, and that is below one thousand at every provider; RFC 5321 §4.5.3.1.5 allows 512 a line.
const LONGEST_REPLY: usize = 64 * 1024;

/// The longest domain, RFC 5321 §4.5.3.1.2.
const LONGEST_DOMAIN: usize = 255;

/// A client's command, its arguments not yet taken apart.
pub(super) struct Command<'a> {
    pub(super) verb: Verb,
    arguments: &'a [u8],
}

/// The commands that have a meaning to the bridge, RFC 5321 §4.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Auth,
    StartTls,
    Noop,
    Rset,
    Quit,
    Help,
    Vrfy,
    /// A part of a message, which comes right behind the command (RFC 3030 §2).
    Bdat,
    Mail,
    Rcpt,
    Data,
    Expn,
    /// Another command that needs a login.
    Other,
    Unknown,
}

impl Verb {
    /// How it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::Auth => "AUTH",
            Self::StartTls => "STARTTLS",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
            Self::Help => "HELP",
            Self::Vrfy => "VRFY",
            Self::Bdat => "BDAT",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Expn => "EXPN",
            Self::Other | Self::Unknown => "",
        }
    }
}

impl<'a> Command<'a> {
    /// Splits a line into verb and arguments.
    pub(super) fn read(line: &'a [u8]) -> Self {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (verb, arguments) = line.split_at(end);
        let verb = match verb.to_ascii_uppercase().as_slice() {
            b"EHLO" => Verb::Ehlo,
            b"HELO" => Verb::Helo,
            b"AUTH" => Verb::Auth,
            b"STARTTLS" => Verb::StartTls,
            b"NOOP" => Verb::Noop,
            b"RSET" => Verb::Rset,
            b"QUIT" => Verb::Quit,
            b"HELP" => Verb::Help,
            b"VRFY" => Verb::Vrfy,
            b"BDAT" => Verb::Bdat,
            b"MAIL" => Verb::Mail,
            b"RCPT" => Verb::Rcpt,
            b"DATA" => Verb::Data,
            b"EXPN" => Verb::Expn,
            b"BURL" | b"ETRN" => Verb::Other,
            _ => Verb::Unknown,
        };
        Self { verb, arguments }
    }

    /// The arguments, whatever white space is between them.
    pub(super) fn words(&self) -> Vec<&'a [u8]> {
        self.arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
    }

    /// The domain of EHLO or HELO, empty where it is none that could be handed on.
    pub(super) fn domain(&self) -> &'a str {
        match self.words().as_slice() {
            [word] => std::str::from_utf8(word).ok().filter(|domain| is_domain(domain)).unwrap_or_default(),
            _ => "",
        }
    }

    /// Writes the command in the form that everybody reads alike.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.verb.name().as_bytes());
        let arguments = self.arguments.trim_ascii();
        if !arguments.is_empty() {
            out.extend_from_slice(b" ");
            out.extend_from_slice(arguments);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The octets that follow a BDAT, and whether they are the last; `None` where it is not written to the letter, so
    /// that servers may take it differently.
    pub(super) fn chunk_exactly(&self) -> Option<(u64, bool)> {
        let (digits, last) = match *self.words().as_slice() {
            [digits] => (digits, false),
            [digits, last] if last.eq_ignore_ascii_case(b"LAST") => (digits, true),
            _ => return None,
        };
        let digits = std::str::from_utf8(digits).ok()?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((digits.parse().ok().filter(|_| is_number)?, last))
    }

    /// The octets that follow a BDAT: `"BDAT" SP chunk-size [ SP "LAST" ]`, RFC 3030 §2. A number beyond
    /// any ceiling is as good as the largest.
    pub(super) fn chunk(&self) -> Option<usize> {
        let words = self.words();
        let digits = words.first().filter(|word| word.iter().all(u8::is_ascii_digit))?;
        let add = |sum: usize, digit: &u8| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        Some(digits.iter().fold(0, add))
    }
}

/// The envelope of a `"MAIL FROM:" Reverse-path [SP Mail-parameters]`, RFC 5321 §4.1.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct From {
    /// The sender, empty for that of bounces.
    pub(super) sender: String,
    parameters: Vec<String>,
}

impl From {
    /// Reads the arguments of MAIL. `None` where they could be read in two ways: with a source route
    /// (RFC 5321 §C), a quoted local part, or a second address behind the first. Spaces around the path and a path without
    /// brackets are what old devices write.
    pub(super) fn read(command: &Command) -> Option<Self> {
        let arguments = std::str::from_utf8(command.arguments.trim_ascii()).ok()?;
        let (keyword, rest) = arguments.split_at_checked("FROM:".len())?;
        let rest = rest.trim_ascii_start();
        let (sender, parameters) = match rest.strip_prefix('<') {
            Some(path) => path.split_once('>')?,
            None => rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len())),
        };
        let is_null = rest.starts_with("<>");
        let is_apart = parameters.is_empty() || parameters.starts_with([' ', '\t']);
        let parameters: Vec<_> = parameters.split_ascii_whitespace().map(str::to_owned).collect();
        // RFC 4954 §5: AUTH= names who handed the mail in first, nobody in particular by `<>`. Whoever else it names would
        // be a second sender.
        let is_plain = |word: &String| match word.split_at_checked("AUTH=".len()) {
            Some((name, whose)) if name.eq_ignore_ascii_case("AUTH=") => whose == "<>" || whose == sender,
            _ => !word.contains(['<', '>']),
        };
        let is_read = keyword.eq_ignore_ascii_case("FROM:")
            && (is_null || is_address(sender))
            && is_apart
            && parameters.iter().all(is_plain);
        is_read.then(|| Self { sender: sender.to_owned(), parameters })
    }

    /// The command in the form that everybody reads alike, without its line end.
    pub(super) fn command(&self) -> String {
        let parameters: String = self.parameters.iter().flat_map(|parameter| [" ", parameter]).collect();
        format!("MAIL FROM:<{}>{parameters}", self.sender)
    }
}

/// Whether this is a mailbox without quotes, perhaps without a domain.
fn is_address(text: &str) -> bool {
    let is_odd = |char: char| char.is_control() || char.is_whitespace() || "<>()[]\\,;:\"".contains(char);
    let parts = text.split('@').collect::<Vec<_>>();
    parts.len() <= 2 && parts.iter().all(|part| !part.is_empty()) && !text.contains(is_odd)
}

/// Whether this is a domain or an address literal (RFC 5321 §4.1.2, §4.1.3) that an upstream may be
/// shown. Underscores are allowed: machines of Windows networks have them in their names.
/// The zone of a link-local address (`%eth0`) is not: RFC 5321 has none, and it means nothing elsewhere.
pub(super) fn is_domain(text: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let in_literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let is_sane = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => !literal.is_empty() && literal.bytes().all(in_literal),
        None => !text.is_empty() && text.bytes().all(in_name),
    };
    is_sane && text.len() <= LONGEST_DOMAIN
}

/// A reply of an upstream: a code, and the text of each of its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Takes one reply off the front of `input`: `Reply-line`, RFC 5321 §4.2. `None`, and nothing taken,
    /// while it is not whole.
    ///
    /// # Errors
    /// What was said instead, in words fit for a log.
    pub(super) fn take(input: &mut BytesMut) -> Result<Option<Self>, String> {
        let mut reply: Option<Self> = None;
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let end = rest.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
            if at + end.unwrap_or(rest.len()) > LONGEST_REPLY {
                return Err("a reply longer than 64 KiB".to_owned());
            }
            let Some(end) = end else { return Ok(None) };
            let line = String::from_utf8_lossy(&rest[..end]);
            let line = line.trim_end();
            let Some((code, goes_on, text)) = reply_line(line) else { return Err(line.to_owned()) };
            let reply = reply.get_or_insert(Self { code, lines: Vec::new() });
            if reply.code != code {
                return Err(line.to_owned());
            }
            reply.lines.push(text.to_owned());
            at += end;
            if !goes_on {
                break;
            }
        }
        let _ = input.split_to(at);
        Ok(reply)
    }

    /// The reply as one line: `535 5.7.3 Authentication unsuccessful`.
    pub(super) fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }
}

/// `code [ ("-" / SP) text ]`: the code, whether another line follows, and the text.
pub(super) fn reply_line(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.parse().ok()).flatten()?;
    let goes_on = match rest.as_bytes().first() {
        None | Some(b' ') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    (200..600).contains(&code).then(|| (code, goes_on, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_that_could_start_another_line_is_none() {
        let sane = ["localhost", "pc.example.com", "MY_PC", "[192.0.2.1]", "[IPv6:2001:db8::1]"];
        let not_sane =
            ["", "a b", "a\r\nMAIL", "<a>", "[]", "[a b]", "m\u{fc}ller", "a@b", "a%b", "[fe80::1%eth0]"];
        assert!(sane.into_iter().all(is_domain));
        assert!(!not_sane.into_iter().any(is_domain));
        assert!(is_domain(&"a".repeat(255)) && !is_domain(&"a".repeat(256)));
    }

    #[test]
    fn the_sender_of_a_mail_is_read_where_it_can_be_read_in_one_way_only() {
        let read = |line: &str| {
            From::read(&Command::read(line.as_bytes())).map(|from| (from.sender.clone(), from.command()))
        };
        let cases = [
            ("MAIL FROM:<a@b>", "a@b", "MAIL FROM:<a@b>"),
            ("mail from: <a@b> SIZE=9\tBODY=8BITMIME ", "a@b", "MAIL FROM:<a@b> SIZE=9 BODY=8BITMIME"),
            ("MAIL FROM:a@b", "a@b", "MAIL FROM:<a@b>"),
            ("Mail From: a@b size=9", "a@b", "MAIL FROM:<a@b> size=9"),
            ("MAIL FROM:<> AUTH=<>", "", "MAIL FROM:<> AUTH=<>"),
            ("MAIL FROM:<scan>", "scan", "MAIL FROM:<scan>"),
            ("MAIL FROM:<\u{fc}@b> SMTPUTF8", "\u{fc}@b", "MAIL FROM:<\u{fc}@b> SMTPUTF8"),
        ];
        for (line, sender, command) in cases {
            assert_eq!(read(line), Some((sender.to_owned(), command.to_owned())), "{line}");
        }
        let ambiguous = [
            "MAIL",
            "MAIL FROM",
            "MAIL FROM:",
            "MAIL FROM :<a@b>",
            "MAIL TO:<a@b>",
            "MAIL FROM:<a@b",
            "MAIL FROM:<<a@b>>",
            "MAIL FROM:<a@b>x",
            "MAIL FROM:<a@b> <c@d>",
            "MAIL FROM:a@b <c@d>",
            "MAIL FROM:<@x,@y:a@b>",
            "MAIL FROM:<\"a b\"@c>",
            "MAIL FROM:<\"a\"@c>",
            "MAIL FROM:<a@b@c>",
            "MAIL FROM:<a@>",
            "MAIL FROM:<@b>",
            "MAIL FROM:<a b@c>",
            "MAIL FROM:Ann <a@b>",
            "MAIL FROM:<a(x)@b>",
            "MAIL FROM:<a\u{0}@b>",
        ];
        for line in ambiguous {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn a_reply_is_taken_whole_or_not_at_all() {
        let taken = |text: &str| {
            let mut input = BytesMut::from(text);
            let reply = Reply::take(&mut input).map(|reply| reply.map(|reply| reply.said()));
            (reply, String::from_utf8(input.to_vec()).unwrap())
        };
        let cases = [
            ("250 ok\r\n250 next\r\n", Ok(Some("250 ok")), "250 next\r\n"),
            ("250-a\r\n250-b c\n250 d\r\n", Ok(Some("250 a b c d")), ""),
            ("250\r\n", Ok(Some("250 ")), ""),
            ("250-a\r\n", Ok(None), "250-a\r\n"),
            ("250-a\r\n550 d\r\n", Err("550 d"), "250-a\r\n550 d\r\n"),
            ("* OK ready\r\n", Err("* OK ready"), "* OK ready\r\n"),
            ("2x0 ok\r\n", Err("2x0 ok"), "2x0 ok\r\n"),
            ("250\u{e9}\r\n", Err("250\u{e9}"), "250\u{e9}\r\n"),
            ("999 ok\r\n", Err("999 ok"), "999 ok\r\n"),
            ("\r\n", Err(""), "\r\n"),
        ];
        for (input, reply, left) in cases {
            let expected = reply.map(|said| said.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(taken(input), (expected, left.to_owned()));
        }
    }
}
