//! What authorities without numbers say: Google's words, and the common words of RFC 6749 and 8628.
//!
//! Meanings: Google, "Using OAuth 2.0 for Web Server Applications", "… for Server to Server
//! Applications" and "… for TV and Limited-Input Device Applications", the sections on errors.

use Only::{Any, People, Service};
use Who::{Admin, Operator, User};

use super::{
    ErrorBody, Flow,
    meaning::{Meaning, Who},
    people::SIGN_IN,
};

/// In which flows words have this meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Any,
    /// Where a person signs in.
    People,
    /// A service account.
    Service,
}

impl Only {
    fn covers(self, flow: Flow) -> bool {
        match self {
            Self::Any => true,
            Self::People => flow.is_delegated(),
            Self::Service => flow == Flow::ServiceAccount,
        }
    }
}

/// The error class, a part of the text in lower case (empty: any), who acts, what it means, what to do.
type Entry = (Only, &'static str, &'static str, Who, &'static str, &'static str);

/// The first that fits is meant.
const WORDS: &[Entry] = &[
    (People, "invalid_grant", "invalid_rapt", User, "the Workspace's session control ends sign-ins", SIGN_IN),
    (
        People,
        "invalid_grant",
        "token has been expired or revoked",
        User,
        "revoked, or ended (after 7 days if the app is in testing)",
        SIGN_IN,
    ),
    (
        Any,
        "admin_policy_enforced",
        "",
        Admin,
        "the Workspace's policy blocks the app",
        "the administrator: trust its client_id in Google Admin > API controls",
    ),
    (
        Any,
        "org_internal",
        "",
        Operator,
        "it is for its own organization alone",
        "use an account of that, or make the app external in Google Cloud",
    ),
    (
        Any,
        "disabled_client",
        "",
        Operator,
        "the OAuth client is disabled",
        "check it in Google Cloud > Credentials",
    ),
    (Any, "deleted_client", "", Operator, "the OAuth client was deleted", "create a new one in Google Cloud"),
    (
        Service,
        "unauthorized_client",
        "",
        Admin,
        "domain-wide delegation lacks it or its scopes",
        "add its client id and scopes in Google Admin > Domain-wide delegation",
    ),
    (
        Service,
        "access_denied",
        "",
        Admin,
        "domain-wide delegation lacks its scopes",
        "add its client id and scopes in Google Admin > Domain-wide delegation",
    ),
    (
        Service,
        "invalid_grant",
        "invalid jwt signature",
        Operator,
        "the service account's key is wrong or deleted",
        "create a new key in Google Cloud > Service accounts",
    ),
    (Service, "invalid_grant", "timeframe", Operator, "the bridge's clock is wrong", "set the clock (NTP)"),
    (
        Service,
        "invalid_grant",
        "email",
        Operator,
        "the Workspace has no such user",
        "check mailbox and sign_in",
    ),
    (
        Service,
        "invalid_grant",
        "account not found",
        Operator,
        "no such service account",
        "check the key file, and the account in Google Cloud",
    ),
    (People, "access_denied", "", User, "consent was declined", SIGN_IN),
    (People, "authorization_declined", "", User, "consent was declined", SIGN_IN),
    (People, "expired_token", "", User, "the device code has expired", SIGN_IN),
    (People, "bad_verification_code", "", User, "the device code is wrong", SIGN_IN),
    (People, "login_required", "", User, "the authority asks for a new sign-in", SIGN_IN),
    (People, "interaction_required", "", User, "the authority asks for a new sign-in", SIGN_IN),
    (People, "consent_required", "", User, "the authority asks for a new consent", SIGN_IN),
];

/// What an answer without a number means, if it is known.
pub(super) fn meaning(flow: Flow, body: &ErrorBody) -> Option<Meaning> {
    let fits = |&&(only, error, says, ..): &&Entry| {
        only.covers(flow) && error == body.error && body.says_or_any(says)
    };
    let &(.., who, cause, cure) = WORDS.iter().find(fits)?;
    Some(Meaning { who, cause, cure, code: None })
}

impl ErrorBody {
    fn says_or_any(&self, words: &str) -> bool {
        words.is_empty() || self.says(words)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::body, *};
    use crate::{explain::authority::explained, failure::LONGEST_LINE};

    #[test]
    fn every_entry_fits_on_one_line_whole() {
        for &(only, error, says, _, cause, cure) in WORDS {
            let flow = if only == Service { Flow::ServiceAccount } else { Flow::Refresh };
            for login in [None, Some("ann.ottilie@accounts.contoso.com")] {
                let line = explained(flow, &"a".repeat(20), login, &body(error, says, &[])).line();
                assert!(line.contains(cause) && line.len() <= LONGEST_LINE, "{line}");
                assert!(line.ends_with(&cure.replace("LOGIN", login.unwrap_or("LOGIN"))), "{line}");
            }
        }
    }

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
