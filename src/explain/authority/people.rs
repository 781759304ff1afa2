//! Entra's numbers for people: who signed in, or should sign in again, and their administrator.
//!
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes".

use super::meaning::{
    Entry,
    Who::{Admin, User},
};

/// The cure for what a new sign-in mends.
pub(super) const SIGN_IN: &str = "sign in again: footbridge authorize LOGIN";

/// The cure for what a policy forbids: the log names it to an administrator.
const LOGS: &str = "see Entra > Sign-in logs";

/// The cure for a second factor where a password is all that is sent.
const NOT_BY_PASSWORD: &str = "set grant to authorization_code or device_code";

/// What a refresh, a code or a device code can meet.
pub(super) const CODES: &[Entry] = &[
    // The refresh token and its session.
    (70_000, User, "the sign-in is not valid any more", SIGN_IN),
    (70_008, User, "the sign-in has expired", SIGN_IN),
    (700_082, User, "the sign-in was unused for too long", SIGN_IN),
    (
        700_084,
        User,
        "a web page's sign-in ends after a day",
        "register the app as mobile/desktop, then footbridge authorize LOGIN",
    ),
    (70_043, User, "the tenant's policy asks for a new sign-in", SIGN_IN),
    (50_132, User, "the session was ended or the password changed", SIGN_IN),
    (50_133, User, "the session was ended or the password changed", SIGN_IN),
    (50_173, User, "the sign-in was revoked or the password changed", SIGN_IN),
    // More than a password.
    (50_072, User, "multi-factor sign-in must be set up", SIGN_IN),
    (50_074, User, "multi-factor sign-in is required", SIGN_IN),
    (50_076, User, "multi-factor sign-in is required", SIGN_IN),
    (50_077, User, "multi-factor sign-in is required", SIGN_IN),
    (50_078, User, "the multi-factor sign-in has expired", SIGN_IN),
    (50_079, User, "multi-factor sign-in must be set up", SIGN_IN),
    (50_097, User, "the tenant asks for a registered device", "on such a device: footbridge authorize LOGIN"),
    // The account.
    (50_034, User, "no such account", "check sign_in and tenant, then footbridge authorize LOGIN"),
    (
        50_020,
        User,
        "its account is foreign to the tenant",
        "check sign_in and tenant, then footbridge authorize LOGIN",
    ),
    (
        500_208,
        User,
        "its account is foreign to the tenant",
        "check sign_in and tenant, then footbridge authorize LOGIN",
    ),
    (50_126, User, "wrong user name or password", SIGN_IN),
    (50_053, Admin, "locked, or a suspect address", "wait, or ask the tenant's administrator"),
    (50_055, User, "the password has expired", "change it, then footbridge authorize LOGIN"),
    (50_057, Admin, "the account is disabled", "ask the tenant's administrator to enable it"),
    (50_125, User, "the password must be reset", "reset it, then footbridge authorize LOGIN"),
    (50_105, Admin, "not assigned to the app", "assign it in Entra > Enterprise applications"),
    // Policies.
    (50_131, Admin, "Conditional Access refuses the sign-in", LOGS),
    (53_000, Admin, "Conditional Access wants a compliant device", LOGS),
    (53_001, Admin, "Conditional Access wants a joined device", LOGS),
    (53_002, Admin, "Conditional Access wants an approved app", LOGS),
    (53_003, Admin, "Conditional Access blocks the sign-in", LOGS),
    (53_004, User, "multi-factor sign-in must be set up first", SIGN_IN),
    (53_011, Admin, "the account is blocked as a risk", LOGS),
    (530_031, Admin, "a security policy blocks the sign-in", LOGS),
    (530_032, Admin, "a security policy blocks the sign-in", LOGS),
    (530_034, Admin, "a security policy blocks the sign-in", LOGS),
    (530_035, Admin, "security defaults block the sign-in", LOGS),
    // Consent.
    (65_001, User, "consent is missing", "footbridge authorize LOGIN, or grant admin consent in Entra"),
    (65_004, User, "consent was declined", SIGN_IN),
    (90_094, Admin, "only an administrator may consent", "grant admin consent in Entra"),
    (90_095, Admin, "only an administrator may consent", "grant admin consent in Entra"),
    // A sign-in under way.
    (54_005, User, "the code has been used already", SIGN_IN),
    (50_134, User, "the sign-in reached the wrong data centre", SIGN_IN),
    (70_018, User, "the device code is wrong", SIGN_IN),
    (70_019, User, "the device code has expired", SIGN_IN),
];

/// What a password that is sent to the authority can meet, other than a sign-in on its page.
pub(super) const PASSWORD: &[Entry] = &[
    (50_126, User, "wrong user name or password", "check the password"),
    (50_034, User, "no such account", "check sign_in and tenant"),
    (50_053, Admin, "locked, or a suspect address", "wait, or ask the tenant's administrator"),
    (50_055, User, "the password has expired", "change it on the authority's own page"),
    (50_057, Admin, "the account is disabled", "ask the tenant's administrator to enable it"),
    (50_125, User, "the password must be reset", "reset it on the authority's own page"),
    (50_072, User, "multi-factor sign-in must be set up", NOT_BY_PASSWORD),
    (50_074, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    (50_076, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    (50_077, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    (50_078, User, "the multi-factor sign-in has expired", NOT_BY_PASSWORD),
    (50_079, User, "multi-factor sign-in must be set up", NOT_BY_PASSWORD),
    (50_097, User, "the tenant asks for a registered device", NOT_BY_PASSWORD),
    (53_004, User, "multi-factor sign-in must be set up first", NOT_BY_PASSWORD),
    (50_020, User, "its account is foreign to the tenant", "check sign_in and tenant"),
    (500_208, User, "its account is foreign to the tenant", "check sign_in and tenant"),
    (65_001, Admin, "consent is missing", "grant admin consent in Entra"),
];
