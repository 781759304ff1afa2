//! A line of a script: bytes to the letter, and placeholders in braces.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::harness::client;

/// What is sent or expected, line ends included.
#[derive(Debug, Clone, Default)]
pub struct Text {
    pieces: Vec<Piece>,
    /// Secrets that were written into it: tokens, passwords and what holds them.
    pub secrets: Vec<Vec<u8>>,
    /// Whether it shows an access token.
    pub shows_token: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// Anything that fits on a line.
    Free,
    /// The upstream's tag: found in what the bridge says, repeated in what the upstream says.
    Tag,
}

impl Text {
    /// Reads the text behind the speaker.
    pub(super) fn parse(written: &str) -> Result<Self, &'static str> {
        let mut text = Self::default();
        let ended = text.pieces_of(written)?;
        if ended {
            text.bytes(b"\r\n");
        }
        Ok(text)
    }

    /// Adds a line to be sent in the same packet.
    pub(super) fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.secrets.extend(other.secrets);
        self.shows_token |= other.shows_token;
    }

    /// The bytes to send, the tag filled in.
    pub(super) fn to_send(&self, tag: &[u8]) -> Vec<u8> {
        let bytes = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::Tag => tag.to_vec(),
            Piece::Free => panic!("nobody can send {{…}}"),
        };
        self.pieces.iter().flat_map(bytes).collect()
    }

    /// The bytes to expect, where every one of them is said.
    pub(super) fn exact(&self) -> Option<Vec<u8>> {
        let all_said = self.pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_)));
        all_said.then(|| self.to_send(b""))
    }

    /// Compares a line with its line end; returns the tag that it has, empty where none is wanted.
    pub(super) fn matches(&self, line: &[u8]) -> Option<Vec<u8>> {
        matches(&self.pieces, line)
    }

    /// The longest piece that was said to the letter, without its line end: what a log must not hold.
    pub(super) fn longest(&self) -> &[u8] {
        let bytes = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.trim_ascii()),
            Piece::Free | Piece::Tag => None,
        });
        bytes.max_by_key(|bytes| bytes.len()).unwrap_or_default()
    }

    /// Reads text with placeholders; says whether a line end follows.
    fn pieces_of(&mut self, written: &str) -> Result<bool, &'static str> {
        let mut rest = written;
        let mut ended = true;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            self.bytes(before.as_bytes());
            // `{13}` is an IMAP literal, `{"status"` is JSON: only words are placeholders.
            if !from[1..].starts_with(|c: char| c.is_ascii_lowercase() || matches!(c, '…' | 'C' | 'L')) {
                self.bytes(b"{");
                rest = &from[1..];
                continue;
            }
            let close = closing(from).ok_or("a brace is not closed")?;
            ended &= self.placeholder(&from[1..close])?;
            rest = &from[close + 1..];
        }
        self.bytes(rest.as_bytes());
        Ok(ended)
    }

    fn placeholder(&mut self, written: &str) -> Result<bool, &'static str> {
        let (word, rest) = written.split_once(' ').unwrap_or((written, ""));
        match (word, rest) {
            ("…", "") => self.pieces.push(Piece::Free),
            ("tag", "") => self.pieces.push(Piece::Tag),
            ("space", "") => self.bytes(b" "),
            ("CR", "") => self.bytes(b"\r"),
            ("LF", "") => self.bytes(b"\n"),
            ("no", "line end") => return Ok(false),
            ("bytes", hex) => {
                let bytes: Result<Vec<u8>, _> =
                    hex.split(' ').map(|byte| u8::from_str_radix(byte, 16)).collect();
                self.bytes(&bytes.map_err(|_| "bytes are written in hexadecimal")?);
            }
            ("repeat", rest) => {
                let (times, what) = rest.split_once(' ').ok_or("repeat how often, and what?")?;
                let times = times.parse().map_err(|_| "repeat how often?")?;
                self.bytes(what.repeat(times).as_bytes());
            }
            ("base64", inner) => {
                let inner = bytes_of(inner)?;
                let encoded = BASE64_STANDARD.encode(&inner);
                self.secrets.extend([inner, encoded.clone().into_bytes()]);
                self.bytes(encoded.as_bytes());
            }
            ("plain", rest) => {
                let (login, password) = rest.split_once(' ').ok_or("plain needs a login and a password")?;
                let encoded = client::plain("", login, password);
                self.secrets.extend([password.into(), encoded.clone().into_bytes()]);
                self.bytes(encoded.as_bytes());
            }
            ("xoauth2", rest) => {
                let (user, name) = rest.split_once(' ').ok_or("xoauth2 needs a user and a token")?;
                self.xoauth2(user, &super::token(name));
            }
            ("short", rest) => {
                let rest = rest.strip_prefix("xoauth2 ").ok_or("only a token can be short")?;
                let (user, token) = rest.split_once(' ').ok_or("xoauth2 needs a user and a token")?;
                self.xoauth2(user, token);
            }
            _ => return Err("unknown placeholder"),
        }
        Ok(true)
    }

    fn xoauth2(&mut self, user: &str, token: &str) {
        let encoded = client::xoauth2(user, token);
        self.shows_token = true;
        self.secrets.extend([super::name_of(token).into(), token.into(), encoded.clone().into_bytes()]);
        self.bytes(encoded.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Bytes(bytes.to_vec())),
        }
    }
}

/// What stands inside a placeholder, placeholders included.
fn bytes_of(written: &str) -> Result<Vec<u8>, &'static str> {
    let mut inner = Text::default();
    inner.pieces_of(written)?;
    inner.exact().ok_or("only bytes can be encoded")
}

/// Where the brace is closed that `from` begins with.
fn closing(from: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in from.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            _ => (),
        }
    }
    None
}

fn matches(pieces: &[Piece], line: &[u8]) -> Option<Vec<u8>> {
    let Some((piece, others)) = pieces.split_first() else {
        return line.is_empty().then(Vec::new);
    };
    match piece {
        Piece::Bytes(bytes) => matches(others, line.strip_prefix(&bytes[..])?),
        Piece::Free => (0..=line.len()).find_map(|taken| matches(others, &line[taken..])),
        Piece::Tag => {
            let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(line.len());
            let (tag, rest) = line.split_at(end);
            matches(others, rest)?;
            (!tag.is_empty()).then(|| tag.to_vec())
        }
    }
}
