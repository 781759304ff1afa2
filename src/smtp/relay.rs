//! What an SMTP upstream says after the login and a person should know of.
//!
//! Exchange Online accepts a token and then refuses the message for reasons that only an administrator
//! can remove. The bytes are carried as they are; this only recognises them.

use crate::dialogue::Remark;

/// Replies by how they begin.
const KNOWN: [(&[u8], Remark); 8] = [
    (
        b"432 4.3.2",
        Remark {
            name: "too_many_sends",
            meaning: "the mailbox has as many connections or sends under way as the upstream allows",
        },
    ),
    (
        b"530 5.7.57",
        Remark {
            name: "not_authenticated",
            meaning: "the upstream does not take the login for one that may send: SMTP AUTH may be disabled",
        },
    ),
    (b"550 5.7.60", SEND_AS_DENIED),
    (b"554 5.2.252 SendAsDenied", SEND_AS_DENIED),
    (
        b"550 5.1.8",
        Remark {
            name: "sender_blocked",
            meaning: "the upstream has blocked the mailbox from sending, usually after spam",
        },
    ),
    (
        b"451 4.7.0 Temporary server error",
        Remark { name: "upstream_trouble", meaning: "the upstream has a trouble of its own" },
    ),
    (
        b"535 5.7.",
        Remark {
            name: "login_refused_by_upstream",
            meaning: "the client logged in a second time, behind the bridge and with its local password",
        },
    ),
    (b"421 4.4.2", Remark { name: "upstream_timed_out", meaning: "the upstream closed a quiet connection" }),
];

const SEND_AS_DENIED: Remark = Remark {
    name: "send_as_denied",
    meaning: "the message's sender is not the mailbox, which has no permission to send as that sender",
};

/// `554 5.2.0` is said for many reasons, which only the exception behind it tells apart.
const STORE_REFUSED: &[u8] = b"554 5.2.0 ";

const EXCEPTIONS: [(&[u8], Remark); 2] = [
    (b"SendAsDenied", SEND_AS_DENIED),
    (
        b"SubmissionQuotaExceeded",
        Remark {
            name: "submission_quota_exceeded",
            meaning: "the mailbox has sent to as many recipients as the upstream allows in a day",
        },
    ),
];

/// How far into a reply its exception is looked for: a reply line has 512 octets (RFC 5321
/// §4.5.3.1.5).
const LONGEST_LINE: usize = 512;

/// Recognises a known reply at the very beginning of `chunk`.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    if chunk.starts_with(STORE_REFUSED) {
        let line = &chunk[..chunk.len().min(LONGEST_LINE)];
        let holds = |exception: &[u8]| line.windows(exception.len()).any(|part| part == exception);
        return EXCEPTIONS.iter().find(|(exception, _)| holds(exception)).map(|&(_, remark)| remark);
    }
    KNOWN.iter().find(|(head, _)| chunk.starts_with(head)).map(|&(_, remark)| remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_replies_are_recognised_at_the_beginning_of_a_chunk_only() {
        let cases: [(&str, Option<&str>); 10] = [
            ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded\r\n", Some("too_many_sends")),
            ("432 4.3.2 Concurrent connections limit exceeded.\r\n", Some("too_many_sends")),
            ("530 5.7.57 Client not authenticated to send mail.\r\n", Some("not_authenticated")),
            (
                "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                Some("send_as_denied"),
            ),
            ("554 5.2.252 SendAsDenied; ann@example.com not allowed", Some("send_as_denied")),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed",
                Some("submission_quota_exceeded"),
            ),
            ("554 5.2.0 STOREDRV.Submission.Exception:Other", None),
            ("550 5.1.8 Bad outbound sender", Some("sender_blocked")),
            ("250 2.0.0 OK 432 4.3.2", None),
            ("", None),
        ];
        for (chunk, name) in cases {
            assert_eq!(remark(chunk.as_bytes()).map(|remark| remark.name), name, "{chunk}");
        }
    }
}
