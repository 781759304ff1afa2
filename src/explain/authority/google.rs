//! What authorities without numbers say: Google's words, and the common words of RFC 6749 and 8628.

use Fault::{Administrator, Authority, Operator, User};
use Met::{AuthorityToPerson as People, AuthorityToService as Service};

use super::{ErrorBody, Flow, people::SIGN_IN};
use crate::{
    explain::entry::{Entry, Met, Sign},
    failure::Fault,
};

const WEB: &str = "Google, \"Using OAuth 2.0 for Web Server Applications\"";

const SERVER: &str = "Google, \"Using OAuth 2.0 for Server to Server Applications\"";

const DEVICE: &str = "Google, \"OAuth 2.0 for TV and Limited-Input Device Applications\"";

const REPORTED: &str = "reported by users of Google's client libraries";

const PASSING: &str = "RFC 6749 §4.1.2.1";

const POLLING: &str = "RFC 8628 §3.5";

const INTERACTION: &str = "OpenID Connect Core 1.0 §3.1.2.6";

/// The cure for what passes.
const KEEPS_TRYING: &str = "the bridge keeps trying";

/// The cure for what an administrator of a Workspace has to allow.
const DELEGATE: &str = "add its client id and scopes in Google Admin > Domain-wide delegation";

const fn entry(
    met: Met,
    sign: (&'static str, &'static str),
    fault: Fault,
    text: (&'static str, &'static str),
) -> Entry {
    Entry::new(met, Sign::Error(sign.0, sign.1), fault, text.0, text.1)
}

/// The error class and a part of its text in lower case. The first that fits is meant.
pub(super) const WORDS: &[Entry] = &[
    entry(
        People,
        ("invalid_grant", "invalid_rapt"),
        User,
        ("the Workspace's session control ends sign-ins", SIGN_IN),
    )
    .named("session_control")
    .seen_as("reauth related error (invalid_rapt)")
    .by("Google, \"Set session length for Google Cloud services\""),
    entry(
        People,
        ("invalid_grant", "token has been expired or revoked"),
        User,
        ("revoked, or ended (7 days if the app is in testing)", SIGN_IN),
    )
    .named("expired_or_revoked")
    .seen_as("Token has been expired or revoked.")
    .by("Google, \"Using OAuth 2.0 to Access Google APIs\""),
    entry(People, ("invalid_grant", "token has been revoked"), User, ("the sign-in was revoked", SIGN_IN))
        .named("revoked")
        .seen_as("Token has been revoked.")
        .by(REPORTED),
    entry(
        People,
        ("invalid_grant", "account has been deleted"),
        Administrator,
        ("the Google account was deleted", "restore it, or set sign_in; then footbridge authorize LOGIN"),
    )
    .named("account_deleted")
    .seen_as("Account has been deleted")
    .by(REPORTED),
    entry(People, ("invalid_grant", "malformed auth code"), User, ("the code is damaged or was used", SIGN_IN))
        .named("malformed_code")
        .seen_as("Malformed auth code.")
        .by(REPORTED),
    entry(
        Met::Authority,
        ("admin_policy_enforced", ""),
        Administrator,
        ("the Workspace's policy blocks the app", "trust its client_id in Google Admin > API controls"),
    )
    .named("admin_policy_enforced")
    .seen_as("The account is restricted by policies of its Workspace administrator.")
    .by(WEB),
    entry(
        Met::Authority,
        ("org_internal", ""),
        Operator,
        (
            "it is for its own organization alone",
            "use an account of that, or make the app external in Google Cloud",
        ),
    )
    .named("org_internal")
    .seen_as("This client is restricted to users within its organization.")
    .by(WEB),
    entry(
        Met::Authority,
        ("disabled_client", ""),
        Operator,
        ("the OAuth client is disabled", "check it in Google Cloud > Credentials"),
    )
    .named("disabled_client")
    .seen_as("The OAuth client was disabled.")
    .by(SERVER),
    entry(
        Met::Authority,
        ("deleted_client", ""),
        Operator,
        ("the OAuth client was deleted", "restore it within 30 days, or create one, in Google Cloud > Clients"),
    )
    .named("deleted_client")
    .seen_as("The OAuth client was deleted.")
    .by(WEB),
    entry(
        Met::Authority,
        ("invalid_client", "client was not found"),
        Operator,
        ("Google knows no such client_id", "copy it anew from Google Cloud > Clients"),
    )
    .named("client_not_found")
    .seen_as("The OAuth client was not found.")
    .by(WEB),
    entry(
        Met::Authority,
        ("invalid_client", "client secret is invalid"),
        Operator,
        ("the client secret is wrong", "copy it anew from Google Cloud > Clients"),
    )
    .named("client_secret_invalid")
    .seen_as("The provided client secret is invalid.")
    .by(REPORTED),
    entry(
        Met::Authority,
        ("redirect_uri_mismatch", ""),
        Operator,
        (
            "the redirect address is not registered",
            "add it to the app's authorized redirect URIs, or set redirect_uri as registered",
        ),
    )
    .named("redirect_uri_mismatch")
    .seen_as("Bad Request")
    .by(WEB),
    entry(
        Service,
        ("unauthorized_client", ""),
        Administrator,
        ("domain-wide delegation lacks it or its scopes", DELEGATE),
    )
    .named("not_delegated")
    .seen_as(
        "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of \
         the scopes requested.",
    )
    .by(SERVER),
    entry(
        Service,
        ("access_denied", ""),
        Administrator,
        ("domain-wide delegation lacks its scopes", DELEGATE),
    )
    .named("scopes_not_delegated")
    .seen_as("Requested client not authorized.")
    .by(SERVER),
    entry(
        Service,
        ("invalid_grant", "invalid jwt signature"),
        Operator,
        ("the service account's key is wrong or deleted", "create a new key in Google Cloud > Service accounts"),
    )
    .named("jwt_signature")
    .seen_as("Invalid JWT Signature.")
    .by(SERVER),
    entry(
        Service,
        ("invalid_grant", "no valid verifier found"),
        Operator,
        ("no such service account", "check the key file, and the account in Google Cloud"),
    )
    .named("jwt_issuer")
    .seen_as("Invalid JWT: No valid verifier found for issuer.")
    .by(REPORTED),
    entry(
        Service,
        ("invalid_grant", "timeframe"),
        Operator,
        ("the bridge's clock is wrong", "set this machine's clock (NTP)"),
    )
    .named("jwt_time")
    .seen_as(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat \
         and exp values in the JWT claim.",
    )
    .by(SERVER),
    entry(
        Service,
        ("invalid_grant", "account not found"),
        Operator,
        ("no such service account", "check the key file, and the account in Google Cloud"),
    )
    .named("account_not_found")
    .seen_as("Invalid grant: account not found")
    .by(REPORTED),
    entry(
        Service,
        ("invalid_grant", "email"),
        Operator,
        ("the Workspace has no such user", "check mailbox and sign_in"),
    )
    .named("no_such_user")
    .seen_as("Invalid email or User ID")
    .by(SERVER),
    entry(
        Met::Authority,
        ("rate_limit_exceeded", ""),
        Authority,
        ("the app asks more often than its quota allows", KEEPS_TRYING),
    )
    .named("rate_limit_exceeded")
    .seen_as("Rate Limit Exceeded")
    .that_passes()
    .by(DEVICE),
    entry(Met::Authority, ("internal_failure", ""), Authority, ("it has a passing failure", KEEPS_TRYING))
        .named("internal_failure")
        .seen_as("Internal error")
        .that_passes()
        .by(REPORTED),
    entry(Met::Authority, ("temporarily_unavailable", ""), Authority, ("it is overloaded", KEEPS_TRYING))
        .named("temporarily_unavailable")
        .seen_as("The service is temporarily overloaded.")
        .that_passes()
        .by(PASSING),
    entry(Met::Authority, ("server_error", ""), Authority, ("it has a passing failure", KEEPS_TRYING))
        .named("server_error")
        .seen_as("Unexpected condition.")
        .that_passes()
        .by(PASSING),
    entry(Met::Authority, ("slow_down", ""), Authority, ("it is asked too often", KEEPS_TRYING))
        .named("slow_down")
        .seen_as("Forbidden")
        .that_passes()
        .by(POLLING),
    entry(
        Met::Authority,
        ("authorization_pending", ""),
        User,
        ("nobody has entered the device code yet", "enter it on the page shown"),
    )
    .named("authorization_pending")
    .seen_as("Precondition Required")
    .that_passes()
    .by(POLLING),
    entry(People, ("access_denied", ""), User, ("consent was declined, or is not this user's to give", SIGN_IN))
        .named("access_denied")
        .seen_as("The user denied the request.")
        .by("RFC 6749 §4.1.2.1"),
    entry(People, ("authorization_declined", ""), User, ("consent was declined", SIGN_IN))
        .named("authorization_declined")
        .seen_as("The user declined.")
        .by("Microsoft, \"OAuth 2.0 device authorization grant flow\""),
    entry(People, ("expired_token", ""), User, ("the device code has expired", SIGN_IN))
        .named("expired_token")
        .seen_as("The device code has expired.")
        .by(POLLING),
    entry(People, ("bad_verification_code", ""), User, ("the device code is wrong", SIGN_IN))
        .named("bad_verification_code")
        .seen_as("The device code was not recognized.")
        .by("Microsoft, \"OAuth 2.0 device authorization grant flow\""),
    entry(People, ("login_required", ""), User, ("the authority asks for a new sign-in", SIGN_IN))
        .named("login_required")
        .seen_as("Login required.")
        .by(INTERACTION),
    entry(People, ("interaction_required", ""), User, ("the authority asks for a new sign-in", SIGN_IN))
        .named("interaction_required")
        .seen_as("Interaction required.")
        .by(INTERACTION),
    entry(People, ("consent_required", ""), User, ("the authority asks for a new consent", SIGN_IN))
        .named("consent_required")
        .seen_as("Consent required.")
        .by(INTERACTION),
];

/// What an answer without a number means, if it is known.
pub(super) fn meaning(flow: Flow, body: &ErrorBody) -> Option<&'static Entry> {
    WORDS.iter().find(|entry| covers(entry.met, flow) && has(entry.sign, body))
}

/// Whether words have their meaning in a flow.
fn covers(met: Met, flow: Flow) -> bool {
    match met {
        Met::AuthorityToPerson => flow.is_delegated(),
        Met::AuthorityToService => flow == Flow::ServiceAccount,
        Met::Authority => true,
        Met::AuthorityToApp
        | Met::AuthorityToPassword
        | Met::Token
        | Met::Network
        | Met::Login
        | Met::Session => false,
    }
}

fn has(sign: Sign, body: &ErrorBody) -> bool {
    matches!(sign, Sign::Error(error, says) if error == body.error && (says.is_empty() || body.says(says)))
}

#[cfg(test)]
mod tests {
    use super::{super::body, *};
    use crate::explain::authority::explained;

    #[test]
    fn a_service_account_hears_of_delegation_and_a_person_of_a_new_sign_in() {
        let refused = |flow, error, said| explained(flow, "g", Some("ann"), &body(error, said, &[])).line();
        let service = refused(Flow::ServiceAccount, "unauthorized_client", "Client is unauthorized to …");
        assert!(service.contains("Domain-wide delegation"), "{service}");
        let person = refused(Flow::Refresh, "invalid_grant", "Token has been expired or revoked.");
        assert!(person.ends_with("sign in again: footbridge authorize ann"), "{person}");
        let client = refused(Flow::Refresh, "unauthorized_client", "Unauthorized");
        assert!(!client.contains("delegation"), "{client}");
    }

    #[test]
    fn words_do_not_count_beside_a_number() {
        let body = body("access_denied", "AADSTS12345: The moon is full.", &[]);
        assert!(super::super::meaning::of(Flow::Device, &body).is_none());
    }
}
