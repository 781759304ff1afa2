//! IMAP on the wire: bytes to commands and replies.
//!
//! Pure functions. Commands are read as clients write them, not as RFC 3501 §9 would have it: any byte
//! in an atom, 8-bit text in quotes, doubled spaces, bare LF. Replies are read as far as a login needs.

use zeroize::Zeroizing;

use crate::dialogue::{Capabilities, Ceilings, Violation};

/// What stands at the front of a client's input, and where it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A command that is not whole yet.
    Partial,
    /// A command up to a synchronising literal that waits for its `+` (RFC 3501 §4.3).
    Literal(usize),
    /// A command up to a synchronising literal that is too long to be asked for.
    OversizedLiteral(usize),
    /// A command, literals and line end included.
    Whole(usize),
}

/// Finds the end of the command at the front of `input`.
///
/// `command = tag SP command-body CRLF`, where a line that ends in `{n}` or `{n+}` goes on after `n`
/// more bytes (RFC 3501 §4.3, RFC 7888). `asked` is how many synchronising literals have had their `+`.
///
/// # Errors
/// [`Violation::LineTooLong`] where the command has too many bytes beside its literals,
/// [`Violation::LiteralTooLong`] for a literal that is on its way already.
pub(super) fn frame(input: &[u8], ceilings: Ceilings, asked: usize) -> Result<Frame, Violation> {
    let (mut at, mut in_lines, mut in_literals, mut unasked) = (0, 0_usize, 0_usize, asked);
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
        in_lines += end.unwrap_or(rest.len());
        if in_lines > ceilings.line {
            return Err(Violation::LineTooLong(ceilings.line));
        }
        let Some(end) = end else { return Ok(Frame::Partial) };
        at += end;
        let Some(literal) = announced(&rest[..end]) else { return Ok(Frame::Whole(at)) };
        in_literals = in_literals.saturating_add(literal.octets);
        // A login has two literals: what is more than two ceilings is none.
        if literal.octets > ceilings.literal || in_literals > ceilings.literal.saturating_mul(2) {
            return if literal.synchronising {
                Ok(Frame::OversizedLiteral(at))
            } else {
                Err(Violation::LiteralTooLong(ceilings.literal))
            };
        }
        if literal.synchronising {
            let Some(left) = unasked.checked_sub(1) else { return Ok(Frame::Literal(at)) };
            unasked = left;
        }
        at += literal.octets;
        if at > input.len() {
            return Ok(Frame::Partial);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Literal {
    octets: usize,
    synchronising: bool,
}

/// The literal that a line announces at its end, line end included.
///
/// Only after a space or a parenthesis, so that a password may be `secret{12}`.
fn announced(line: &[u8]) -> Option<Literal> {
    let line = without_line_end(line);
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let before = line[..open].last();
    if !matches!(before, Some(b' ' | b'(')) {
        return None;
    }
    literal_header(&line[open..])
}

/// `{n}` or `{n+}` and nothing else. A number beyond any ceiling is as good as the largest.
fn literal_header(text: &[u8]) -> Option<Literal> {
    let inner = text.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let (digits, synchronising) = inner.strip_suffix(b"+").map_or((inner, true), |digits| (digits, false));
    if digits.is_empty() {
        return None;
    }
    let octets = digits.iter().try_fold(0_usize, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
    })?;
    Some(Literal { octets, synchronising })
}

/// A client's command, not yet taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) tag: &'a str,
    pub(super) verb: Verb,
    arguments: &'a [u8],
}

/// The commands that have a meaning before login, RFC 3501 §6.1 and §6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate,
    Login,
    /// A command that needs a login.
    Mailbox,
    Unknown,
}

/// The commands of RFC 3501 §6.3 and §6.4, and the extensions that clients try first.
const MAILBOX_COMMANDS: [&str; 33] = [
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "STATUS",
    "APPEND",
    "CHECK",
    "CLOSE",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
    "UID",
    "IDLE",
    "NAMESPACE",
    "ENABLE",
    "MOVE",
    "UNSELECT",
    "SORT",
    "THREAD",
    "GETQUOTA",
    "GETQUOTAROOT",
    "GETACL",
    "MYRIGHTS",
    "COMPRESS",
    "NOTIFY",
    "XLIST",
];

impl Verb {
    fn new(word: &[u8]) -> Self {
        match word.to_ascii_uppercase().as_slice() {
            b"CAPABILITY" => Self::Capability,
            b"NOOP" => Self::Noop,
            b"LOGOUT" => Self::Logout,
            b"ID" => Self::Id,
            b"STARTTLS" => Self::StartTls,
            b"AUTHENTICATE" => Self::Authenticate,
            b"LOGIN" => Self::Login,
            other if MAILBOX_COMMANDS.iter().any(|name| name.as_bytes() == other) => Self::Mailbox,
            _ => Self::Unknown,
        }
    }
}

impl<'a> Command<'a> {
    /// Splits a framed command into tag, verb and arguments.
    ///
    /// `None` where it has no tag that could be answered: RFC 3501 §9 allows fewer characters than
    /// this, but a reply must not look like an untagged one or a continuation.
    pub(super) fn read(framed: &'a [u8]) -> Option<Self> {
        let (tag, rest) = word(framed);
        let (verb, rest) = word(rest);
        if tag.is_empty() || tag == b"*" || tag == b"+" || !tag.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        Some(Self { tag: std::str::from_utf8(tag).ok()?, verb: Verb::new(verb), arguments: rest })
    }

    /// The arguments as strings, whichever way each is written: `astring`, RFC 3501 §9.
    ///
    /// `None` where a quote is not closed or something sticks to a closing quote or a literal.
    pub(super) fn strings(&self) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let mut strings = Vec::new();
        let mut rest = skip_spaces(self.arguments);
        while !is_line_end(rest) {
            let (string, after) = match rest[0] {
                b'"' => quoted(rest)?,
                b'{' => literal(rest).unwrap_or_else(|| atom(rest)),
                _ => atom(rest),
            };
            if !after.starts_with(b" ") && !is_line_end(after) {
                return None;
            }
            strings.push(string);
            rest = skip_spaces(after);
        }
        Some(strings)
    }
}

type Parsed<'a> = (Zeroizing<Vec<u8>>, &'a [u8]);

/// A backslash before anything but `"` and `\` is kept: who writes `"p\w"` has not escaped at all.
fn quoted(text: &[u8]) -> Option<Parsed<'_>> {
    // The capacity is that of the whole text: a string that grew would leave copies behind.
    let mut string = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some((string, &text[at + 1..])),
            b'\r' | b'\n' => return None,
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\')) => at += 1,
            _ => {}
        }
        string.push(text[at]);
        at += 1;
    }
}

fn literal(text: &[u8]) -> Option<Parsed<'_>> {
    let line_end = text.iter().position(|&byte| byte == b'\n')? + 1;
    let octets = literal_header(without_line_end(&text[..line_end]))?.octets;
    let (string, after) = text[line_end..].split_at_checked(octets)?;
    Some((Zeroizing::new(string.to_vec()), after))
}

/// Anything up to a space or a line end; a CR elsewhere is part of it.
fn atom(text: &[u8]) -> Parsed<'_> {
    let end = text.iter().position(|byte| b" \n".contains(byte)).unwrap_or(text.len());
    let before = without_line_end(text.get(..=end).unwrap_or(text));
    let (atom, after) = text.split_at(before.len().min(end));
    (Zeroizing::new(atom.to_vec()), after)
}

/// The next word and what follows it; a word ends at a space or at the end of the line.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = skip_spaces(text);
    text.split_at(text.iter().position(|byte| b" \r\n".contains(byte)).unwrap_or(text.len()))
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&byte| byte != b' ').unwrap_or(text.len())..]
}

fn is_line_end(text: &[u8]) -> bool {
    matches!(text, b"" | b"\n" | b"\r\n")
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// One line of an upstream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// `+ …`, with what follows it (RFC 3501 §7.5).
    Continue(&'a str),
    /// `* OK …` and its like (RFC 3501 §7.1).
    Status(Status, Text<'a>),
    /// `* CAPABILITY …` (RFC 3501 §7.2.1).
    Capability(Capabilities),
    /// Any other untagged reply.
    Data,
    /// The end of a command.
    Tagged(&'a str, Status, Text<'a>),
}

/// The status responses, RFC 3501 §7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

/// `resp-text`, RFC 3501 §9: a response code in brackets, perhaps, and words for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Status {
    fn new(word: &str) -> Option<Self> {
        let known = [
            ("OK", Self::Ok),
            ("NO", Self::No),
            ("BAD", Self::Bad),
            ("BYE", Self::Bye),
            ("PREAUTH", Self::PreAuth),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, status)| status)
    }
}

impl<'a> Reply<'a> {
    /// Reads one line, line end included. `None` for what RFC 3501 §7 does not know.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix('+') {
            return (rest.is_empty() || rest.starts_with(' ')).then(|| Self::Continue(rest.trim_start()));
        }
        let (tag, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = Status::new(first);
        match (tag, status) {
            ("*", Some(status)) => Some(Self::Status(status, Text(text))),
            ("*", None) if first.eq_ignore_ascii_case("CAPABILITY") => {
                Some(Self::Capability(capabilities(text)))
            }
            ("*", None) => (!first.is_empty()).then_some(Self::Data),
            (tag, Some(status @ (Status::Ok | Status::No | Status::Bad))) => {
                Some(Self::Tagged(tag, status, Text(text)))
            }
            (_, Some(Status::Bye | Status::PreAuth) | None) => None,
        }
    }
}

impl<'a> Text<'a> {
    /// The capabilities that the response code tells, RFC 3501 §7.1.
    pub(super) fn capabilities(self) -> Option<Capabilities> {
        let (code, _) = self.split();
        let (name, list) = code?.split_once(' ')?;
        name.eq_ignore_ascii_case("CAPABILITY").then(|| capabilities(list))
    }

    /// The words for a person, with any response code but CAPABILITY before them.
    pub(super) fn words(self) -> &'a str {
        if self.capabilities().is_some() { self.split().1 } else { self.0 }
    }

    /// The name of the response code, empty where there is none.
    pub(super) fn code(self) -> &'a str {
        self.split().0.and_then(|code| code.split(' ').next()).unwrap_or_default()
    }

    fn split(self) -> (Option<&'a str>, &'a str) {
        match self.0.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((code, words)) => (Some(code), words.trim_start()),
            None => (None, self.0),
        }
    }
}

/// What is no `atom` is left out: it could end the response code that it is handed on in.
fn capabilities(list: &str) -> Capabilities {
    let is_atom = |name: &&str| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b']');
    Capabilities(list.split_ascii_whitespace().filter(is_atom).map(str::to_owned).collect())
}
