//! What mail servers say after they have accepted the login.
//!
//! It passes to the client as it is. Exchange Online accepts a token and then refuses for reasons that only an
//! administrator can remove, which the log and `doctor` tell by this. Its IMAP and its POP3 have much in common, so
//! that what users of the one have posted is looked for in the other's form as well.

use Fault::{Administrator, Client, Upstream};

use super::{PRINTERS, SUBMISSION};
use crate::{
    explain::entry::{
        Entry, Met,
        Sign::{self, Begins, BeginsAndSays},
    },
    failure::Fault,
};

const fn entry(
    name: &'static str,
    sign: Sign,
    fault: Fault,
    cause: &'static str,
    cure: &'static str,
) -> Entry {
    Entry::new(Met::Session, sign, fault, cause, cure).named(name)
}

const SEND_AS: &str = "the sender is not the mailbox, which may not send as it";

const GRANT_SEND_AS: &str = "let it: Add-RecipientPermission -AccessRights SendAs";

/// Each entry is known by how the reply begins, without its tag: what follows may be mail.
pub(super) const TABLE: &[Entry] = &[
    entry(
        "authenticated_not_connected",
        Begins(&[
            "BAD User is authenticated but not connected",
            "NO User is authenticated but not connected",
            "-ERR User is authenticated but not connected",
        ]),
        Administrator,
        "accepted, but it may not open this mailbox",
        "check the mailbox's name, Add-MailboxPermission, New-ServicePrincipal, and IMAP and POP of it",
    )
    .seen_as("BAD User is authenticated but not connected.")
    .by("reported by users of MailKit, php-imap and imapsync"),
    entry(
        "connection_closed_14",
        Begins(&["* BYE Connection closed. 14"]),
        Administrator,
        "the token is accepted and the mailbox could not be opened",
        "check the mailbox's name, Add-MailboxPermission and New-ServicePrincipal",
    )
    .seen_as("* BYE Connection closed. 14")
    .by("reported by users of node-imap"),
    entry(
        "connection_closed_13",
        Begins(&["* BYE Connection is closed. 13"]),
        Client,
        "a quiet session was closed",
        "nothing: the mail program logs in again",
    )
    .seen_as("* BYE Connection is closed. 13")
    .that_passes()
    .by("reported by users of node-imap"),
    entry(
        "access_token_expired",
        Begins(&[
            "* BYE Session invalidated - AccessTokenExpired",
            "-ERR Session invalidated - AccessTokenExpired",
            "* BYE Session expired",
        ]),
        Upstream,
        "a session ends when its access token expires",
        "nothing: the mail program logs in again",
    )
    .seen_as("* BYE Session invalidated - AccessTokenExpired")
    .that_passes()
    .by("reported by users of aioimaplib and imapsync"),
    entry(
        "throttled",
        Begins(&["BAD Request is throttled", "NO Request is throttled", "-ERR Request is throttled"]),
        Client,
        "commands come faster than the mail server allows",
        "the mail server wants fewer commands; try later",
    )
    .seen_as("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    .that_passes()
    .by("reported by users of imapsync"),
    entry(
        "mailbox_in_use",
        Begins(&["-ERR [IN-USE]", "NO [INUSE]"]),
        Client,
        "another session has the mailbox open, and locks it",
        "close the other session of the mailbox, and try again",
    )
    .seen_as("-ERR [IN-USE] locked")
    .that_passes()
    .by("RFC 2449 §8.1.2"),
    entry(
        "too_many_connections",
        Begins(&[
            "* BYE [ALERT] Too many simultaneous connections",
            "NO [ALERT] Too many simultaneous connections",
        ]),
        Client,
        "too many connections to the mailbox",
        "let fewer programs or connections share it; try later",
    )
    .seen_as("NO [ALERT] Too many simultaneous connections. (Failure)")
    .that_passes()
    .by("Google, \"Add Gmail to another email client\""),
    entry(
        "bandwidth",
        Begins(&[
            "NO [ALERT] Account exceeded command or bandwidth limits",
            "* BYE [ALERT] Account exceeded command or bandwidth limits",
            "NO [OVERQUOTA]",
            "* BYE [OVERQUOTA]",
        ]),
        Client,
        "the mailbox is full or has had its traffic for now",
        "make room, or wait up to a day and let programs fetch less",
    )
    .seen_as("NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
    .that_passes()
    .by("Google, \"Gmail bandwidth limits\""),
    entry(
        "too_many_sends",
        Begins(&["432 4.3.2"]),
        Client,
        "the mailbox has as many sends under way as the mail server allows",
        "let fewer programs send at once",
    )
    .seen_as("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded")
    .that_passes()
    .by(SUBMISSION),
    entry(
        "mailbox_logon_failed",
        BeginsAndSays("430 4.2.0", "MapiExceptionLogonFailed"),
        Administrator,
        "the app may not open the mailbox that it sends from",
        "Add-MailboxPermission for its service principal",
    )
    .seen_as("430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed")
    .by("reported by users of email-oauth2-proxy"),
    entry(
        "not_authenticated",
        Begins(&["530 5.7.57"]),
        Administrator,
        "the mail server does not take the login for one that may send",
        "check SMTP AUTH of the tenant and the mailbox",
    )
    .seen_as("530 5.7.57 Client not authenticated to send mail.")
    .by(PRINTERS),
    entry(
        "send_as_denied",
        Begins(&["550 5.7.60", "554 5.2.252 SendAsDenied"]),
        Administrator,
        SEND_AS,
        GRANT_SEND_AS,
    )
    .seen_as("550 5.7.60 SMTP; Client does not have permissions to send as this sender")
    .by(PRINTERS),
    entry(
        "send_as_denied_by_store",
        BeginsAndSays("554 5.2.0", "SendAsDenied"),
        Administrator,
        SEND_AS,
        GRANT_SEND_AS,
    )
    .seen_as(
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed",
    )
    .by(SUBMISSION),
    entry(
        "submission_quota_exceeded",
        BeginsAndSays("554 5.2.0", "SubmissionQuotaExceeded"),
        Client,
        "the mailbox has sent to as many recipients as the mail server allows in a day",
        "wait a day, or spread the mail over several mailboxes",
    )
    .seen_as("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed")
    .that_passes()
    .by(SUBMISSION),
    entry(
        "mailbox_full",
        Begins(&["554 5.2.2"]),
        Client,
        "the mailbox is full, and what it sends has no room in Sent Items",
        "make room in the mailbox, or give it a larger quota",
    )
    .seen_as(
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.\
         MapiExceptionShutoffQuotaExceeded",
    )
    .by(SUBMISSION),
    entry(
        "daily_limit",
        Begins(&["550 5.4.5"]),
        Client,
        "the mailbox has sent as much as the mail server allows in a day",
        "wait a day, or spread the mail over several mailboxes",
    )
    .seen_as("550 5.4.5 Daily user sending limit exceeded.")
    .that_passes()
    .by("Google, \"Gmail SMTP errors and codes\""),
    entry(
        "sender_blocked",
        BeginsAndSays("550 5.1.8", "outbound sender"),
        Administrator,
        "the mailbox is blocked from sending, usually after spam",
        "release it in Microsoft Defender > Restricted entities, and change its password",
    )
    .seen_as("550 5.1.8 Access denied, bad outbound sender")
    .by(PRINTERS),
    entry(
        "upstream_trouble",
        Begins(&[
            "451 4.7.0 Temporary server error",
            "421 4.3.0 Temporary System Problem",
            "-ERR Server Unavailable",
            "-ERR [SYS/TEMP]",
            "NO Server Unavailable",
            "* BYE [UNAVAILABLE]",
        ]),
        Upstream,
        "the mail server has a trouble of its own, which may pass",
        "the mail server is in trouble; try later",
    )
    .seen_as("451 4.7.0 Temporary server error. Please try again later. PRX4")
    .that_passes()
    .by("reported by users of MailKit"),
    entry(
        "login_refused_by_upstream",
        Begins(&["535 5.7.3", "535 5.7.8", "535 5.7.139"]),
        Client,
        "the client logged in a second time, with its local password",
        "let the mail program log in once for each connection",
    )
    .seen_as("535 5.7.3 Authentication unsuccessful")
    .by("RFC 4954 §4"),
    entry(
        "upstream_timed_out",
        Begins(&["421 4.4.2"]),
        Client,
        "a quiet connection was closed",
        "nothing: the mail program connects again",
    )
    .seen_as("421 4.4.2 Connection timed out")
    .that_passes()
    .by("RFC 5321 §4.5.3.2.7"),
    entry(
        "command_unknown",
        Begins(&["500 5.3.3"]),
        Client,
        "the mail server does not know the command, or not at this moment",
        "let the mail program's log show which: the bridge carries it as it is",
    )
    .seen_as("500 5.3.3 Unrecognized command")
    .by("RFC 5321 §4.2.4"),
    entry(
        "invalid_state",
        Begins(&["BAD Command received in Invalid state"]),
        Client,
        "the mail program goes on in a session that the mail server has ended",
        "nothing: the mail program logs in again",
    )
    .seen_as("BAD Command received in Invalid state.")
    .that_passes()
    .by("reported by users of imap-backup"),
];
