//! What an SMTP upstream says after the login and a person should know of.
//!
//! Exchange Online accepts a token and then refuses the message for reasons that only an administrator
//! can remove. The bytes are carried as they are; this only recognises refusals.

use crate::dialogue::Remark;

/// Recognises a known reply at the very beginning of `chunk`.
pub(super) fn remark(chunk: &[u8]) -> Option<Remark> {
    if chunk.starts_with(b"4") || chunk.starts_with(b"5") { Remark::of(chunk) } else { None }
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
