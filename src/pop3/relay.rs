//! What a POP3 upstream says after the login and a person should know of.
//!
//! Exchange Online accepts a token and then tells the trouble in the reply to the next command. The bytes are
//! carried as they are; this only recognises refusals.

use crate::dialogue::Remark;

/// Recognises a known reply at the very beginning of `chunk`, where all of it is replies: other lines are mail.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    let is_reply = |line: &[u8]| line.starts_with(b"+OK") || line.starts_with(b"-ERR");
    if !chunk.split_inclusive(|&byte| byte == b'\n').all(is_reply) {
        return None;
    }
    if chunk.starts_with(b"-ERR ") { Remark::of(chunk) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_replies_are_recognised_at_the_beginning_of_a_chunk_only() {
        let cases: [(&str, Option<&str>); 10] = [
            ("-ERR User is authenticated but not connected.\r\n", Some("authenticated_not_connected")),
            ("-ERR Session invalidated - AccessTokenExpired\r\n", Some("access_token_expired")),
            ("-ERR Request is throttled. Suggested Backoff Time: 5000 milliseconds\r\n", Some("throttled")),
            ("-ERR Server Unavailable. 21\r\n", Some("upstream_trouble")),
            ("-ERR [IN-USE] locked\r\n", Some("mailbox_in_use")),
            ("+OK\r\n-ERR Server Unavailable. 21\r\n", None),
            ("-ERR no such message\r\n", None),
            ("-ERR [IN-USE] says a mail\r\n.\r\n", None),
            ("-ERR [IN-USE] locked\r\n-ERR [IN-USE] locked\r\n", Some("mailbox_in_use")),
            ("", None),
        ];
        for (chunk, name) in cases {
            assert_eq!(remark(chunk.as_bytes()).map(|remark| remark.name), name, "{chunk}");
        }
    }
}
