//! Entra's numbers for people: who signed in, or should sign in again, and their administrator.
//!
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes".

use Fault::{Administrator, User};

use super::meaning::{of_password, of_person};
use crate::{explain::entry::Entry, failure::Fault};

/// The cure for what a new sign-in mends.
pub(super) const SIGN_IN: &str = "sign in again: footbridge authorize LOGIN";

/// The cure for what a policy forbids: the log names it to an administrator.
const LOGS: &str = "see Entra > Sign-in logs";

/// The cure for a second factor where a password is all that is sent.
const NOT_BY_PASSWORD: &str = "set grant to authorization_code or device_code";

/// What a refresh, a code or a device code can meet.
pub(super) const CODES: &[Entry] = &[
    // The refresh token and its session.
    of_person(70_000, User, "the sign-in is not valid any more", SIGN_IN),
    of_person(70_008, User, "the sign-in has expired", SIGN_IN),
    of_person(700_082, User, "the sign-in was unused for too long", SIGN_IN),
    of_person(70_043, User, "the tenant's policy asks for a new sign-in", SIGN_IN),
    of_person(50_132, User, "the session was ended or the password changed", SIGN_IN),
    of_person(50_133, User, "the session was ended or the password changed", SIGN_IN),
    of_person(50_173, User, "the sign-in was revoked or the password changed", SIGN_IN),
    // More than a password.
    of_person(50_072, User, "multi-factor sign-in must be set up", SIGN_IN),
    of_person(50_074, User, "multi-factor sign-in is required", SIGN_IN),
    of_person(50_076, User, "multi-factor sign-in is required", SIGN_IN),
    of_person(50_077, User, "multi-factor sign-in is required", SIGN_IN),
    of_person(50_078, User, "the multi-factor sign-in has expired", SIGN_IN),
    of_person(50_079, User, "multi-factor sign-in must be set up", SIGN_IN),
    of_person(
        50_097,
        User,
        "the tenant asks for a registered device",
        "on such a device: footbridge authorize LOGIN",
    ),
    // The account.
    of_person(50_034, User, "no such account", "check sign_in and tenant, then footbridge authorize LOGIN"),
    of_person(
        50_020,
        User,
        "its account is foreign to the tenant",
        "check sign_in and tenant, then footbridge authorize LOGIN",
    ),
    of_person(
        500_208,
        User,
        "its account is foreign to the tenant",
        "check sign_in and tenant, then footbridge authorize LOGIN",
    ),
    of_person(50_126, User, "wrong user name or password", SIGN_IN),
    of_person(
        50_053,
        Administrator,
        "locked, or a suspect address",
        "wait, or ask the tenant's administrator",
    )
    .that_passes(),
    of_person(50_055, User, "the password has expired", "change it, then footbridge authorize LOGIN"),
    of_person(
        50_057,
        Administrator,
        "the account is disabled",
        "ask the tenant's administrator to enable it",
    ),
    of_person(50_125, User, "the password must be reset", "reset it, then footbridge authorize LOGIN"),
    of_person(
        50_105,
        Administrator,
        "not assigned to the app",
        "assign it in Entra > Enterprise applications",
    ),
    // Policies.
    of_person(50_131, Administrator, "Conditional Access refuses the sign-in", LOGS),
    of_person(53_000, Administrator, "Conditional Access wants a compliant device", LOGS),
    of_person(53_001, Administrator, "Conditional Access wants a joined device", LOGS),
    of_person(53_002, Administrator, "Conditional Access wants an approved app", LOGS),
    of_person(53_003, Administrator, "Conditional Access blocks the sign-in", LOGS),
    of_person(53_004, User, "multi-factor sign-in must be set up first", SIGN_IN),
    of_person(53_011, Administrator, "the account is blocked as a risk", LOGS),
    of_person(530_031, Administrator, "a security policy blocks the sign-in", LOGS),
    of_person(530_032, Administrator, "a security policy blocks the sign-in", LOGS),
    of_person(530_034, Administrator, "a security policy blocks the sign-in", LOGS),
    of_person(530_035, Administrator, "security defaults block the sign-in", LOGS),
    // Consent.
    of_person(
        65_001,
        User,
        "consent is missing",
        "footbridge authorize LOGIN, or grant admin consent in Entra",
    ),
    of_person(65_004, User, "consent was declined", SIGN_IN),
    of_person(90_094, Administrator, "only an administrator may consent", "grant admin consent in Entra"),
    of_person(90_095, Administrator, "only an administrator may consent", "grant admin consent in Entra"),
    // A sign-in under way.
    of_person(54_005, User, "the code has been used already", SIGN_IN),
    of_person(50_134, User, "the sign-in reached the wrong data centre", SIGN_IN),
    of_person(70_018, User, "the device code is wrong", SIGN_IN),
    of_person(70_019, User, "the device code has expired", SIGN_IN),
];

/// What a password that is sent to the authority can meet, other than a sign-in on its page.
pub(super) const PASSWORD: &[Entry] = &[
    of_password(50_126, User, "wrong user name or password", "check the password"),
    of_password(50_034, User, "no such account", "check sign_in and tenant"),
    of_password(
        50_053,
        Administrator,
        "locked, or a suspect address",
        "wait, or ask the tenant's administrator",
    )
    .that_passes(),
    of_password(50_055, User, "the password has expired", "change it on the authority's own page"),
    of_password(
        50_057,
        Administrator,
        "the account is disabled",
        "ask the tenant's administrator to enable it",
    ),
    of_password(50_125, User, "the password must be reset", "reset it on the authority's own page"),
    of_password(50_072, User, "multi-factor sign-in must be set up", NOT_BY_PASSWORD),
    of_password(50_074, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    of_password(50_076, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    of_password(50_077, User, "multi-factor sign-in is required", NOT_BY_PASSWORD),
    of_password(50_078, User, "the multi-factor sign-in has expired", NOT_BY_PASSWORD),
    of_password(50_079, User, "multi-factor sign-in must be set up", NOT_BY_PASSWORD),
    of_password(50_097, User, "the tenant asks for a registered device", NOT_BY_PASSWORD),
    of_password(53_004, User, "multi-factor sign-in must be set up first", NOT_BY_PASSWORD),
    of_password(50_020, User, "its account is foreign to the tenant", "check sign_in and tenant"),
    of_password(500_208, User, "its account is foreign to the tenant", "check sign_in and tenant"),
    of_password(65_001, Administrator, "consent is missing", "grant admin consent in Entra"),
];
