//! What people have been told by Entra, by Google, by Exchange Online and by Gmail, and what must not be unknown to us.

use footbridge::{
    explain::{
        authority::{self, ErrorBody, Flow},
        upstream,
    },
    failure::{Explanation, Failure, Fault},
};

/// Entra's numbers, and who has to act where somebody has signed in.
const NUMBERS: [(u64, Fault); 81] = {
    use Fault::{Administrator, Authority, Operator, User};
    [
        (7_000_215, Operator),
        (7_000_222, Operator),
        (7_000_218, Operator),
        (700_025, Operator),
        (70_002, Operator),
        (50_012, Operator),
        (700_027, Operator),
        (700_030, Operator),
        (700_229, Operator),
        (700_016, Operator),
        (7_000_112, Administrator),
        (90_002, Operator),
        (90_038, Operator),
        (50_059, Operator),
        (50_128, Operator),
        (50_194, Operator),
        (9_001_023, Operator),
        (9_002_332, Operator),
        (9_002_313, Operator),
        (500_011, Operator),
        (700_022, Operator),
        (28_003, Operator),
        (70_011, Operator),
        (65_001, User),
        (90_094, Administrator),
        (90_095, Administrator),
        (65_004, User),
        (650_052, Administrator),
        (650_056, Administrator),
        (650_057, Administrator),
        (50_105, Administrator),
        (50_034, User),
        (50_020, User),
        (500_208, User),
        (50_053, Administrator),
        (50_055, User),
        (50_057, Administrator),
        (50_126, User),
        (50_072, User),
        (50_074, User),
        (50_076, User),
        (50_078, User),
        (50_079, User),
        (50_097, User),
        (50_125, User),
        (50_131, Administrator),
        (53_000, Administrator),
        (53_001, Administrator),
        (53_002, Administrator),
        (53_003, Administrator),
        (530_032, Administrator),
        (530_035, Administrator),
        (70_043, User),
        (50_132, User),
        (50_133, User),
        (50_173, User),
        (70_000, User),
        (70_008, User),
        (700_082, User),
        (700_084, Operator),
        (54_005, User),
        (700_005, Operator),
        (50_134, User),
        (70_016, User),
        (70_018, User),
        (70_019, User),
        (90_014, Operator),
        (900_144, Operator),
        (50_196, Authority),
        (90_055, Authority),
        (90_024, Authority),
        (90_033, Authority),
        (50_011, Operator),
        (901_002, Operator),
        // An assertion out of its time, of another app, for another tenant; a federated one that fits nothing.
        (700_024, Operator),
        (700_021, Operator),
        (700_023, Operator),
        (50_013, Operator),
        (700_213, Operator),
        (7_000_229, Administrator),
        (50_077, User),
    ]
};

#[test]
fn every_number_that_people_have_met_is_known_and_says_who_acts() {
    for (number, fault) in NUMBERS {
        let body = ErrorBody {
            error: "invalid_grant".to_owned(),
            error_codes: vec![number],
            ..ErrorBody::default()
        };
        for flow in Flow::ALL {
            let told = authority::known(flow, "contoso", Some("ann@contoso.com"), &body);
            let told = told.unwrap_or_else(|| panic!("AADSTS{number} is unknown to {flow:?}"));
            assert!(told.cause.contains(&format!("AADSTS{number}")), "{told:?}");
            if flow == Flow::Refresh {
                assert_eq!(told.blame.unwrap().fault, fault, "AADSTS{number}");
            }
        }
    }
}

/// Google's answers: with what was asked, the error class, its text, and a word of what to do.
const GOOGLE: [(Flow, &str, &str, &str); 22] = [
    (Flow::Refresh, "invalid_grant", "Token has been expired or revoked.", "sign in again"),
    (Flow::Refresh, "invalid_grant", "Token has been revoked.", "sign in again"),
    (Flow::Refresh, "invalid_grant", "reauth related error (invalid_rapt)", "sign in again"),
    (Flow::Refresh, "invalid_grant", "Account has been deleted", "footbridge authorize"),
    (Flow::Code, "invalid_grant", "Malformed auth code.", "sign in again"),
    (Flow::ServiceAccount, "invalid_grant", "Invalid JWT Signature.", "new key"),
    (Flow::ServiceAccount, "invalid_grant", "Invalid grant: account not found", "key file"),
    (Flow::ServiceAccount, "invalid_grant", "Invalid email or User ID", "sign_in"),
    (Flow::ServiceAccount, "invalid_grant", "Not a valid email or user ID.", "sign_in"),
    (
        Flow::ServiceAccount,
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and \
         exp values in the JWT claim.",
        "clock",
    ),
    (
        Flow::ServiceAccount,
        "unauthorized_client",
        "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the \
         scopes requested.",
        "Domain-wide delegation",
    ),
    (Flow::ServiceAccount, "access_denied", "Requested client not authorized.", "Domain-wide delegation"),
    (Flow::Code, "org_internal", "", "external"),
    (Flow::Refresh, "disabled_client", "The OAuth client was disabled.", "Google Cloud"),
    (Flow::Refresh, "deleted_client", "The OAuth client was deleted.", "Google Cloud"),
    (Flow::Refresh, "invalid_client", "The OAuth client was not found.", "Google Cloud"),
    (Flow::Refresh, "invalid_client", "The provided client secret is invalid.", "Google Cloud"),
    (Flow::Code, "redirect_uri_mismatch", "Bad Request", "redirect"),
    (Flow::Code, "admin_policy_enforced", "", "API controls"),
    (Flow::Code, "access_denied", "", "sign in again"),
    (Flow::Refresh, "rate_limit_exceeded", "Rate Limit Exceeded", "keeps trying"),
    (Flow::Device, "slow_down", "Forbidden", "keeps trying"),
];

#[test]
fn every_answer_of_google_that_people_have_met_is_known() {
    for (flow, error, description, cure) in GOOGLE {
        let body = ErrorBody {
            error: error.to_owned(),
            error_description: Some(description.to_owned()),
            ..ErrorBody::default()
        };
        let told = authority::known(flow, "google", Some("ann@example.com"), &body);
        let told = told.unwrap_or_else(|| panic!("{error} is unknown: {description}"));
        assert!(told.cure.contains(cure), "{told:?}");
    }
}

/// Answers to a login, with what the room of the protocol takes them for, and a word of what to do.
const LOGIN: [(Failure, &str, &str); 37] = {
    use Failure::{UpstreamRefused as No, UpstreamUnavailable as Later};
    [
        (No, "NO AUTHENTICATE failed.", "IMAP.AccessAsApp"),
        (No, "-ERR Authentication failure: unknown user name or bad password.", "POP.AccessAsApp"),
        (
            No,
            "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001 2026-01-01T00:00:00.000Z 08DE]",
            "SMTP.SendAsApp",
        ),
        (
            No,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit \
             https://aka.ms/smtp_auth_disabled for more information.",
            "Set-TransportConfig",
        ),
        (
            No,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit \
             https://aka.ms/smtp_auth_disabled for more information.",
            "Set-CASMailbox",
        ),
        (No, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "sasl"),
        (
            No,
            "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. \
             Contact your administrator.",
            "administrator",
        ),
        (
            No,
            "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated \
             successfully. Contact your administrator.",
            "Sign-in logs",
        ),
        (No, "535 5.7.139 Authentication unsuccessful, federated STS service was unreachable.", "HTTPS"),
        (
            No,
            "535 5.7.139 Authentication unsuccessful, the federated STS URL does not support HTTPS.",
            "HTTPS",
        ),
        (No, "550 5.7.30 Basic authentication is not supported for Client Submission.", "sasl"),
        (No, "501 5.5.124 Invalid XOAUTH2 auth data - User address provided is not valid", "mailbox"),
        (No, "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon error", "try again"),
        (No, "504 5.7.4 Unrecognized authentication type", "SMTP AUTH"),
        (No, "500 5.3.3 Unrecognized command", "SMTP AUTH"),
        (No, "503 5.5.2 Send hello first", "SMTP AUTH"),
        (No, "530 5.7.57 Client not authenticated to send mail.", "SMTP AUTH"),
        (Later, "451 4.7.0 Temporary server error. Please try again later. PRX4", "try later"),
        (Later, "432 4.3.2 Concurrent connections limit exceeded.", "fewer"),
        (Later, "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", "try later"),
        (No, "NO Request is throttled. Suggested Backoff Time: 299609 milliseconds", "try later"),
        (Later, "NO Server Unavailable. 15", "try later"),
        (No, "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "mail.google.com"),
        (No, "NO [ALERT] Invalid credentials (Failure)", "mail.google.com"),
        (
            No,
            "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 \
             (Failure)",
            "browser",
        ),
        (
            No,
            "534 5.7.14 <https://accounts.google.com/signin/continue?x> Please log in via your web browser",
            "browser",
        ),
        (No, "534 5.7.9 Please log in with your web browser and then try again.", "browser"),
        (No, "535 5.7.8 Username and Password not accepted. For more information, go to", "mail.google.com"),
        (No, "535 5.7.1 Username and Password not accepted. Learn more at", "mail.google.com"),
        (No, "-ERR [AUTH] Username and password not accepted.", "mail.google.com"),
        (No, "534 5.7.9 Application-specific password required.", "sasl"),
        (Later, "421 4.7.0 Too many login attempts, please try again later.", "try later"),
        (Later, "454 4.7.0 Too many login attempts, please try again later.", "try later"),
        (
            No,
            "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your \
             account for IMAP access. (Failure)",
            "switch it on",
        ),
        (
            No,
            "NO [ALERT] IMAP access is disabled for your domain. Please contact your domain administrator for questions \
             about this feature. (Failure)",
            "Google Admin",
        ),
        (No, "-ERR [SYS/PERM] Your account is not enabled for POP access.", "switch it on"),
        (No, "NO [ALERT] Too many simultaneous connections. (Failure)", "fewer"),
    ]
};

fn known(told: &Explanation, said: &str, cure: &str) {
    assert!(told.blame.is_some(), "unknown: {said}");
    assert!(told.cure.contains(cure), "{said}: {told:?}");
}

#[test]
fn every_answer_to_a_login_that_people_have_met_is_known() {
    for (failure, said, cure) in LOGIN {
        let verdict = upstream::rejected(
            upstream::Asked { endpoint: "h:993", mailbox: "ann@contoso.com", is_delegated: false },
            failure,
            said,
        );
        known(&verdict.refusal.explanation.unwrap(), said, cure);
    }
}

/// What comes after a login that was let in, and a word of what to do.
const AFTERWARDS: [(&str, &str); 20] = [
    ("BAD User is authenticated but not connected.", "Add-MailboxPermission"),
    ("* BYE Connection closed. 14", "Add-MailboxPermission"),
    ("* BYE Connection is closed. 13", "nothing"),
    ("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", "fewer commands"),
    ("NO Request is throttled. Suggested Backoff Time: 299609 milliseconds", "fewer commands"),
    ("* BYE Session invalidated - AccessTokenExpired", "logs in again"),
    ("BAD Command received in Invalid state.", "logs in again"),
    ("530 5.7.57 Client not authenticated to send mail.", "SMTP AUTH"),
    ("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", "SMTP AUTH"),
    ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "Add-RecipientPermission"),
    ("554 5.2.252 SendAsDenied; ann@example.com not allowed", "Add-RecipientPermission"),
    ("550 5.1.8 Bad outbound sender", "Restricted entities"),
    ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "fewer programs"),
    ("432 4.3.2 Concurrent connections limit exceeded.", "fewer programs"),
    ("430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed", "Add-MailboxPermission"),
    ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed", "wait a day"),
    (
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionQuotaExceeded",
        "make room",
    ),
    ("451 4.7.0 Temporary server error. Please try again later. PRX4", "try later"),
    ("500 5.3.3 Unrecognized command", "log"),
    ("550 5.4.5 Daily user sending limit exceeded.", "wait a day"),
];

#[test]
fn every_refusal_behind_a_login_that_people_have_met_is_known() {
    for (said, cure) in AFTERWARDS {
        let entry = upstream::afterwards(said).unwrap_or_else(|| panic!("unknown: {said}"));
        assert!(entry.cure.contains(cure), "{said}: {entry:?}");
        known(&upstream::declined("h:993", "open INBOX", said, None), said, cure);
    }
}

/// Troubles on the way, in the words of the bridge, of systems and of TLS, and a word of what to do.
const NETWORK: [(&str, &str); 32] = [
    ("cannot look up h: failed to lookup address information: Name or service not known", "check the host"),
    ("cannot look up h: failed to lookup address information: Name does not resolve", "check the host"),
    (
        "cannot look up h: failed to lookup address information: Temporary failure in name resolution",
        "name server",
    ),
    ("looking up h took longer than 10 s", "name server"),
    ("cannot connect to 192.0.2.1:993: Connection refused (os error 111)", "host and port"),
    ("cannot connect to 192.0.2.1:993: Network is unreachable (os error 101)", "this machine's network"),
    ("cannot connect to 192.0.2.1:993: No route to host (os error 113)", "this machine's network"),
    ("cannot connect to 192.0.2.1:993: Connection timed out (os error 110)", "firewalls"),
    ("connecting to h:993 took longer than 10 s", "firewalls"),
    ("no answer within 20 s", "firewalls"),
    ("TLS handshake with h failed: Connection reset by peer (os error 104)", "port and tls"),
    ("TLS handshake with h failed: tls handshake eof", "port and tls"),
    ("TLS handshake with h failed: received corrupt message of type InvalidContentType", "check the port"),
    ("TLS handshake with h failed: received fatal alert: HandshakeFailure", "firewall"),
    ("TLS handshake with h failed: peer is incompatible: Tls12NotOffered", "TLS 1.2"),
    ("the TLS handshake with h:143 took longer than 10 s", "port and tls"),
    ("certificate of h refused: UnknownIssuer", "inspects TLS"),
    ("invalid peer certificate: UnknownIssuer", "ca_file"),
    ("certificate of h refused: its issuer CN=Contoso TLS Inspection is unknown", "inspects TLS"),
    ("its certificate is refused: its issuer CN=Contoso TLS Inspection is unknown", "inspects TLS"),
    ("certificate of h refused: it is self-signed", "ca_file"),
    ("certificate of h refused: it is the certificate of a CA, not of a server", "CA:FALSE"),
    (
        "certificate of h refused: it is for a.example.net, b.example.net and 7 more, not for h",
        "as its certificate does",
    ),
    ("certificate of h refused: it expired on 2026-03-01, and this clock says 2026-11-21", "clock"),
    ("certificate of h refused: it begins on 2026-11-01, and this clock says 1970-01-02", "clock"),
    ("its certificate is refused: it was revoked", "renew"),
    (
        "invalid peer certificate: certificate not valid for name \"h\"; certificate is only valid for DnsName(\"x\")",
        "as its certificate does",
    ),
    ("invalid peer certificate: Expired", "clock"),
    ("invalid peer certificate: NotValidYet", "clock"),
    ("HTTP 404 and no word of OAuth", "token_url"),
    ("HTTP 503", "keeps trying"),
    ("proxy http://p:3128 wants a user and a password", "outbound_proxy"),
];

#[test]
fn every_trouble_on_the_way_is_known_to_mail_servers_and_authorities() {
    for (trouble, cure) in NETWORK {
        let refusal = upstream::unreachable(trouble, Failure::UpstreamUnavailable);
        known(&refusal.explanation.unwrap(), trouble, cure);
        known(&authority::unavailable("login.example.com", trouble), trouble, cure);
    }
}
