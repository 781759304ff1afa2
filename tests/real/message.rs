//! Messages that a careless middleman would change, and their fingerprints.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What "a large message" means here.
pub const LARGE: usize = 25 * 1024 * 1024;

/// A short message with what goes wrong most easily: leading dots, eight-bit text, empty lines, blanks at line ends.
pub fn tricky(subject: &str) -> Vec<u8> {
    let mut message = header(subject);
    message.extend_from_slice(b".\r\n..\r\n.leading dot\r\n\r\n\r\ntrailing blanks \t \r\n");
    message.extend_from_slice("Grüße, 日本語, ✉\r\n".as_bytes());
    message.extend_from_slice(b"latin-1: \xe4\xf6\xfc\xdf \xff\xfe\r\n");
    message.extend_from_slice(b"+OK a1 OK * BYE 250 354 -ERR DONE {5}\r\n");
    message.extend_from_slice("long line ".repeat(99).as_bytes());
    message.extend_from_slice(b"\r\n.\r\n.last line\r\n");
    message
}

/// What a person types: lines of text, some of which begin with a dot.
pub fn text(subject: &str) -> Vec<u8> {
    let mut message = header(subject);
    message.extend_from_slice("Grüße, 日本語, ✉\r\n\r\n.leading dot\r\n.\r\nlast line\r\n".as_bytes());
    message
}

/// A message of at least [`LARGE`] bytes that does not repeat itself, some of whose lines begin with a dot.
pub fn large(subject: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
    let mut message = header(subject);
    message.reserve(LARGE + 4096);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    while message.len() < LARGE {
        for _ in 0..76 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            message.push(ALPHABET[usize::try_from(state >> 58).unwrap()]);
        }
        message.extend_from_slice(b"\r\n");
    }
    message
}

/// The fingerprint by which two messages are compared.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// What was handed to a server, without the lines that servers put before it on the way.
pub fn as_sent(received: &[u8]) -> &[u8] {
    let start = received.windows(MARK.len()).position(|bytes| bytes == MARK);
    &received[start.expect("the message's own first header line")..]
}

/// The first header line of every message here.
pub const MARK: &[u8] = b"X-First-Line: of the message as it was sent\r\n";

fn header(subject: &str) -> Vec<u8> {
    let mut header = MARK.to_vec();
    header.extend_from_slice(
        format!(
            "From: sender@example.test\r\nTo: receiver@example.test\r\nSubject: {subject}\r\n\
             Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{subject}@example.test>\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n"
        )
        .as_bytes(),
    );
    header
}
