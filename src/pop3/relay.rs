//! What a POP3 upstream says after the login and a person should know of.
//!
//! Exchange Online accepts a token and then tells the trouble in the reply to the next command. The bytes are
//! carried as they are; this only recognises them. Its IMAP and its POP3 have much in common, so that what users of
//! the one have posted is looked for in the other's form as well.

use crate::dialogue::Remark;

/// Replies by how they begin.
const KNOWN: [(&[u8], Remark); 6] = [
    (
        b"-ERR User is authenticated but not connected",
        Remark {
            name: "authenticated_not_connected",
            meaning: "the upstream accepted the access token, but it may not open this mailbox: wrong mailbox name, \
                      no permission on it, POP disabled for it, or a service principal that is not registered",
        },
    ),
    (
        b"-ERR Session invalidated - AccessTokenExpired",
        Remark {
            name: "access_token_expired",
            meaning: "the upstream ends a session when its access token expires; the client logs in again",
        },
    ),
    (
        b"-ERR Request is throttled",
        Remark { name: "throttled", meaning: "the upstream asks the client to send commands more slowly" },
    ),
    (b"-ERR Server Unavailable", UPSTREAM_TROUBLE),
    (b"-ERR [SYS/TEMP]", UPSTREAM_TROUBLE),
    (
        b"-ERR [IN-USE]",
        Remark { name: "mailbox_in_use", meaning: "another session has the mailbox open, and locks it" },
    ),
];

const UPSTREAM_TROUBLE: Remark =
    Remark { name: "upstream_trouble", meaning: "the upstream has a trouble of its own, which may pass" };

/// Recognises a known reply at the very beginning of `chunk`.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    KNOWN.iter().find(|(head, _)| chunk.starts_with(head)).map(|&(_, remark)| remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_replies_are_recognised_at_the_beginning_of_a_chunk_only() {
        let cases: [(&str, Option<&str>); 8] = [
            ("-ERR User is authenticated but not connected.\r\n", Some("authenticated_not_connected")),
            ("-ERR Session invalidated - AccessTokenExpired\r\n", Some("access_token_expired")),
            ("-ERR Request is throttled. Suggested Backoff Time: 5000 milliseconds\r\n", Some("throttled")),
            ("-ERR Server Unavailable. 21\r\n", Some("upstream_trouble")),
            ("-ERR [IN-USE] locked\r\n", Some("mailbox_in_use")),
            ("+OK\r\n-ERR Server Unavailable. 21\r\n", None),
            ("-ERR no such message\r\n", None),
            ("", None),
        ];
        for (chunk, name) in cases {
            assert_eq!(remark(chunk.as_bytes()).map(|remark| remark.name), name, "{chunk}");
        }
    }
}
