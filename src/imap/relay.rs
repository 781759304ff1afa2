//! What an IMAP upstream says after the login and a person should know of.
//!
//! Exchange Online accepts a token and then tells the trouble in the reply to the next command, or ends
//! the session with a sentence. The bytes are carried as they are; this only recognises where a reply begins.

use crate::dialogue::Remark;

/// Longer tags than this are no client's; the search for the tag's end stops here.
const LONGEST_TAG: usize = 64;

/// Recognises a known sentence at the very beginning of `chunk`, unless the end of a literal is in it: what stands before
/// that is mail.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    if chunk.split_inclusive(|&byte| byte == b'\n').skip(1).any(|line| line.starts_with(b")")) {
        return None;
    }
    if chunk.starts_with(b"* ") {
        return if chunk.starts_with(b"* BYE ") { Remark::of(chunk) } else { None };
    }
    let tag = chunk.iter().take(LONGEST_TAG).position(|&byte| byte == b' ')?;
    let said = &chunk[tag + 1..];
    if said.starts_with(b"BAD ") || said.starts_with(b"NO ") { Remark::of(said) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sentences_are_recognised_at_the_beginning_of_a_chunk_only() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"* BYE Session invalidated - AccessTokenExpired\r\n", Some("access_token_expired")),
            (b"* BYE Connection closed. 14\r\n", Some("connection_closed_14")),
            (b"A3 BAD User is authenticated but not connected.\r\n", Some("authenticated_not_connected")),
            (
                b"A3 BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds\r\n",
                Some("throttled"),
            ),
            (b"A3 NO Request is throttled. Suggested Backoff Time: 5000 milliseconds\r\n", Some("throttled")),
            (b"text A3 BAD Request is throttled\r\n", None),
            (b"* 1 FETCH (BODY[] {46}\r\n* BYE Session invalidated - AccessTokenExpired", None),
            (b"* BYE Session", None),
            (b"", None),
        ];
        for (chunk, name) in cases {
            assert_eq!(remark(chunk).map(|remark| remark.name), name, "{}", chunk.escape_ascii());
        }
    }
}
