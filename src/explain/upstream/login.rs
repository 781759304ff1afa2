//! What mail servers answer to the login by token.

use Fault::{Administrator, Client, Operator, Upstream, User};

use super::{PRINTERS, SUBMISSION};
use crate::{
    explain::entry::{
        Entry, Met,
        Sign::{self, Begins, BeginsAndSays, Says},
    },
    failure::Fault,
};

const OUTLOOK: &str = "Microsoft, \"Authenticate an IMAP, POP or SMTP connection using OAuth\"";

const HVE: &str = "reported by users of High Volume Email with sasl-xoauth2";

const GMAIL: &str = "reported by users of Gmail";

const WORKSPACE: &str = "Google, \"Gmail SMTP errors and codes\"";

const fn entry(
    name: &'static str,
    sign: Sign,
    fault: Fault,
    cause: &'static str,
    cure: &'static str,
) -> Entry {
    Entry::new(Met::Login, sign, fault, cause, cure).named(name)
}

/// Replies that no token will change: a switch of the tenant or the mailbox.
pub(super) const SETTINGS: &[Entry] = &[
    entry(
        "smtp_auth_off_tenant",
        Says(&["SmtpClientAuthentication is disabled for the Tenant"]),
        Administrator,
        "SMTP AUTH is off for the tenant (5.7.139)",
        "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
    )
    .seen_as(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit \
         https://aka.ms/smtp_auth_disabled for more information.",
    )
    .by(PRINTERS),
    entry(
        "smtp_auth_off_mailbox",
        Says(&["SmtpClientAuthentication is disabled for the Mailbox"]),
        Administrator,
        "SMTP AUTH is off for the mailbox (5.7.139)",
        "Set-CASMailbox -SmtpClientAuthenticationDisabled $false",
    )
    .seen_as(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit \
         https://aka.ms/smtp_auth_disabled for more information.",
    )
    .by("Microsoft, \"Set-CASMailbox\""),
    entry(
        "security_defaults",
        Says(&["security defaults policy"]),
        Administrator,
        "the tenant's security defaults lock the mailbox (5.7.139)",
        "ask the tenant's administrator",
    )
    .seen_as(
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. \
         Contact your administrator.",
    )
    .by(PRINTERS),
    entry(
        "access_policy",
        Says(&["did not meet the criteria"]),
        Administrator,
        "a Conditional Access or authentication policy refuses (5.7.139)",
        "see Entra > Sign-in logs",
    )
    .seen_as(
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated \
         successfully. Contact your administrator.",
    )
    .by("reported by users of MailKit"),
    entry(
        "basic_auth_off",
        Says(&["basic authentication is disabled"]),
        Operator,
        "it takes the login for one by password (5.7.139)",
        "check sasl and host of the provider",
    )
    .seen_as("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")
    .by(PRINTERS),
    entry(
        "federated_sts",
        Says(&["federated STS"]),
        Administrator,
        "the tenant's own sign-in server fails (5.7.139)",
        "check that it is reachable by HTTPS",
    )
    .seen_as("535 5.7.139 Authentication unsuccessful, federated STS service was unreachable.")
    .by(PRINTERS),
    entry(
        "tenant_refuses",
        Begins(&["535 5.7.139"]),
        Administrator,
        "the tenant's settings refuse (5.7.139)",
        "see https://aka.ms/smtp_auth_disabled",
    )
    .seen_as("535 5.7.139 Authentication unsuccessful")
    .by(PRINTERS),
    entry(
        "basic_auth_gone",
        Begins(&["550 5.7.30"]),
        Operator,
        "it takes the login for one by password (5.7.30)",
        "check sasl and host of the provider",
    )
    .seen_as("550 5.7.30 Basic authentication is not supported for Client Submission.")
    .by("Microsoft, \"Exchange Online to retire Basic auth for Client Submission (SMTP AUTH)\""),
    entry(
        "hve_user",
        Begins(&["501 5.5.124"]),
        Operator,
        "the user is no address of High Volume Email (5.5.124)",
        "set mailbox to the HVE account's own",
    )
    .seen_as("501 5.5.124 Invalid XOAUTH2 auth data - User address provided is not valid")
    .by(HVE),
    entry(
        "imap_off_gmail",
        Says(&["not enabled for IMAP use"]),
        User,
        "IMAP is switched off for the mailbox",
        "switch it on in the settings of the mailbox",
    )
    .seen_as(
        "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable \
         your account for IMAP access. (Failure)",
    )
    .by(GMAIL),
    entry(
        "pop_off_gmail",
        Says(&["not enabled for POP access"]),
        User,
        "POP is switched off for the mailbox",
        "switch it on in the settings of the mailbox",
    )
    .seen_as(
        "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page and \
         enable your account for POP access.",
    )
    .by(GMAIL),
    entry(
        "domain_off_gmail",
        Says(&["access is disabled for your domain"]),
        Administrator,
        "IMAP and POP are off for the Workspace",
        "allow them in Google Admin > Gmail > End User Access",
    )
    .seen_as(
        "NO [ALERT] IMAP access is disabled for your domain. Please contact your domain administrator for questions \
         about this feature. (Failure)",
    )
    .by("Google, \"Turn POP and IMAP on and off for users\""),
    entry(
        "web_login_gmail",
        Says(&["og in via your web browser", "og in with your web browser", "Web login required"]),
        User,
        "Google asks for a sign-in on its page",
        "sign in there by browser, and confirm that it was you",
    )
    .seen_as(
        "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 \
         (Failure)",
    )
    .by(WORKSPACE),
    entry(
        "app_password_gmail",
        Says(&["pplication-specific password required"]),
        Operator,
        "Google takes the login for one by password",
        "check sasl and host of the provider",
    )
    .seen_as("534 5.7.9 Application-specific password required.")
    .by(WORKSPACE),
    entry(
        "ehlo_without_auth",
        Begins(&["EHLO offers no AUTH"]),
        Operator,
        "it does not offer the login by token",
        "check the provider's host and port, and SMTP AUTH of the mailbox",
    )
    .seen_as("EHLO offers no AUTH XOAUTH2 (AUTH LOGIN PLAIN)")
    .by("RFC 4954 §3"),
    entry(
        "mechanism_refused",
        Begins(&["AUTH XOAUTH2 refused", "AUTH OAUTHBEARER refused"]),
        Operator,
        "it does not take the login by token",
        "check POP of the mailbox, and the provider's host, port and sasl",
    )
    .seen_as("AUTH XOAUTH2 refused: -ERR Protocol error. 14")
    .by("RFC 5034 §4"),
    entry(
        "not_authenticated",
        Begins(&["530 5.7.57"]),
        Administrator,
        "SMTP AUTH is off, or the login is not taken for one (5.7.57)",
        "check SMTP AUTH of the tenant and the mailbox",
    )
    .seen_as("530 5.7.57 Client not authenticated to send mail.")
    .by(PRINTERS),
    entry(
        "auth_unknown",
        Begins(&["500 5.3.3", "502", "503 5.5.2"]),
        Operator,
        "it does not know AUTH here",
        "check SMTP AUTH of the mailbox, and the provider's host, port and tls",
    )
    .seen_as("500 5.3.3 Unrecognized command")
    .by("RFC 5321 §4.2.4"),
    entry(
        "auth_unrecognized",
        Begins(&["504"]),
        Operator,
        "it does not take the login by token (504)",
        "check SMTP AUTH of tenant and mailbox, and the provider's sasl",
    )
    .seen_as("504 5.7.4 Unrecognized authentication type")
    .by("RFC 4954 §4"),
];

/// Replies to a token: the service principal or its permissions, seldom the token itself.
pub(super) const TOKEN: &[Entry] = &[
    entry(
        "imap_refused",
        Begins(&["NO AUTHENTICATE failed"]),
        Administrator,
        "NO AUTHENTICATE failed",
        "check IMAP.AccessAsApp, its consent, New-ServicePrincipal, Add-MailboxPermission",
    )
    .or_for_people("check that IMAP is on, that sign_in may open the mailbox, or sign in again")
    .seen_as("NO AUTHENTICATE failed.")
    .by(OUTLOOK),
    entry(
        "smtp_refused",
        Begins(&["535 5.7.3"]),
        Administrator,
        "535 5.7.3, token refused",
        "check SMTP.SendAsApp, its consent, New-ServicePrincipal, SMTP AUTH of the mailbox",
    )
    .or_for_people("check SMTP AUTH of the mailbox, that smtp_user signed in, or sign in again")
    .seen_as("535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com 2026-01-01T00:00:00.000Z 08DE]")
    .by(OUTLOOK),
    entry(
        "pop_refused",
        Begins(&["-ERR Authentication failure"]),
        Administrator,
        "-ERR Authentication failure",
        "check POP.AccessAsApp, New-ServicePrincipal, Add-MailboxPermission, PopEnabled",
    )
    .or_for_people("check that POP is on, that sign_in may open the mailbox, or sign in again")
    .seen_as("-ERR Authentication failure: unknown user name or bad password.")
    .by(OUTLOOK),
    entry(
        "hve_token",
        BeginsAndSays("501 5.5.127", ""),
        Upstream,
        "the token would expire too soon for High Volume Email (5.5.127)",
        "try again: the bridge fetches a new one",
    )
    .seen_as("501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon error")
    .that_passes()
    .by(HVE),
    entry(
        "gmail_smtp_refused",
        Says(&["Username and Password not accepted", "Username and password not accepted"]),
        Operator,
        "Google does not take the token for it",
        "check sign_in, mailbox, and the scope https://mail.google.com/",
    )
    .seen_as(
        "535 5.7.8 Username and Password not accepted. For more information, go to 5.7.8 \
         https://support.google.com/mail/?p=BadCredentials",
    )
    .by(WORKSPACE),
    entry(
        "gmail_imap_refused",
        Says(&["Invalid credentials (Failure)"]),
        Operator,
        "Google does not take the token for it",
        "check sign_in, mailbox, and the scope https://mail.google.com/",
    )
    .seen_as("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")
    .by("Google, \"OAuth 2.0 Mechanism\""),
    entry(
        "authentication_failed",
        Says(&["[AUTHENTICATIONFAILED]", "[AUTHORIZATIONFAILED]"]),
        Operator,
        "it does not take the token for it",
        "check the mailbox's name, and scopes of the app",
    )
    .seen_as("NO [AUTHENTICATIONFAILED] Authentication failed.")
    .by("RFC 5530 §3"),
];

const KEEPS: &str = "the mail server is in trouble; try later";

/// Trouble in the place of an answer about the token, most of which passes.
pub(super) const TROUBLE: &[Entry] = &[
    entry(
        "throttled",
        Says(&["Request is throttled"]),
        Client,
        "too many commands or logins",
        "the mail server wants fewer; try later",
    )
    .seen_as("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    .that_passes()
    .by("reported by users of imapsync"),
    entry(
        "login_delay",
        Says(&["[LOGIN-DELAY]"]),
        Client,
        "it is asked too often",
        "let the mail program look for mail less often",
    )
    .seen_as("-ERR [LOGIN-DELAY] minimum time between mail checks is 5 minutes")
    .that_passes()
    .by("RFC 2449 §8.1.1"),
    entry(
        "mailbox_in_use",
        Says(&["[IN-USE]", "[INUSE]"]),
        Client,
        "another session has the mailbox",
        "close that, and try again",
    )
    .seen_as("-ERR [IN-USE] do you have another POP session running?")
    .that_passes()
    .by("RFC 2449 §8.1.2"),
    entry(
        "too_many_connections",
        Says(&["Too many simultaneous connections", "Concurrent connections limit", "thread limit exceeded"]),
        Client,
        "too many connections to the mailbox",
        "let fewer programs or connections share it; try later",
    )
    .seen_as("NO [ALERT] Too many simultaneous connections. (Failure)")
    .that_passes()
    .by("Google, \"Add Gmail to another email client\""),
    entry(
        "bandwidth",
        Says(&["exceeded command or bandwidth limits", "[OVERQUOTA]"]),
        Client,
        "the mailbox has had its traffic for now",
        "wait up to a day; let programs fetch less",
    )
    .seen_as("NO [ALERT] Account exceeded command or bandwidth limits. (Failure)")
    .that_passes()
    .by("Google, \"Gmail bandwidth limits\""),
    entry(
        "too_many_logins",
        Says(&["Too many login attempts"]),
        Client,
        "too many logins of late",
        "let the mail program keep its connection; try later",
    )
    .seen_as("454 4.7.0 Too many login attempts, please try again later.")
    .that_passes()
    .by(WORKSPACE),
    entry("front_end", BeginsAndSays("451 4.7.0", "PRX"), Upstream, "its front end is in trouble", KEEPS)
        .seen_as("451 4.7.0 Temporary server error. Please try again later. PRX4")
        .that_passes()
        .by("reported by users of MailKit"),
    entry("server_unavailable", Says(&["Server Unavailable"]), Upstream, "its back end is away", KEEPS)
        .seen_as("NO Server Unavailable. 15")
        .that_passes()
        .by("reported by users of Exchange Online"),
    entry(
        "system_problem",
        Says(&["emporary system problem", "emporary System Problem", "emporary System Error"]),
        Upstream,
        "it has a passing failure",
        KEEPS,
    )
    .seen_as("454 4.7.0 Cannot authenticate due to temporary system problem. Try again later.")
    .that_passes()
    .by(WORKSPACE),
    entry(
        "says_unavailable",
        Says(&["[UNAVAILABLE]", "[SYS/TEMP]"]),
        Upstream,
        "it has a passing failure",
        KEEPS,
    )
    .seen_as("NO [UNAVAILABLE] Try again later.")
    .that_passes()
    .by("RFC 5530 §3 and RFC 3206 §4"),
    entry("too_many_sends", Begins(&["432 4.3.2"]), Client, "too many connections send at once", KEEPS)
        .seen_as("432 4.3.2 The mailbox is busy.")
        .that_passes()
        .by(SUBMISSION),
    entry(
        "no_greeting",
        Begins(&["no greeting in time"]),
        Upstream,
        "it does not greet",
        "the mail server is in trouble, or waits for TLS: check host, port and tls of the provider",
    )
    .seen_as("no greeting in time (20 s)")
    .that_passes()
    .by("RFC 5321 §4.5.3.2.1"),
    entry("no_answer", Begins(&["no answer"]), Upstream, "it does not answer", KEEPS)
        .seen_as("no answer to the login in time (20 s)")
        .that_passes()
        .by("RFC 5321 §4.5.3.2"),
    entry(
        "closed",
        Begins(&["it closed the connection", "connection lost"]),
        Upstream,
        "it hung up before it had answered",
        KEEPS,
    )
    .seen_as("it closed the connection")
    .that_passes()
    .by("RFC 9293 §3.6"),
];

/// Another protocol on the port: a slip in the configuration. Asked where the greeting cannot be understood.
pub(super) const STRANGERS: &[Entry] = &[
    entry(
        "is_smtp",
        Begins(&["220"]),
        Operator,
        "another protocol's greeting",
        "that is an SMTP server: check imap and pop3 of the provider",
    )
    .seen_as("220 smtp.office365.com Microsoft ESMTP MAIL Service ready")
    .by("RFC 5321 §3.1"),
    entry(
        "is_imap",
        Begins(&["* OK"]),
        Operator,
        "another protocol's greeting",
        "that is an IMAP server: check smtp and pop3 of the provider",
    )
    .seen_as("* OK The Microsoft Exchange IMAP4 service is ready.")
    .by("RFC 3501 §7.1.1"),
    entry(
        "is_pop3",
        Begins(&["+OK"]),
        Operator,
        "another protocol's greeting",
        "that is a POP3 server: check imap and smtp of the provider",
    )
    .seen_as("+OK The Microsoft Exchange POP3 service is ready.")
    .by("RFC 1939 §4"),
];
