//! Entra's numbers for the operator: the app's registration, its secret, its tenant, its scopes.
//!
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes".

use super::meaning::{
    Entry,
    Who::{Admin, Nobody, Operator},
};

/// What is said only of an app that logs in as itself, or otherwise of it than of a person.
pub(super) const AS_ITSELF: &[Entry] = &[
    (
        1_002_012,
        Operator,
        "the scope is not valid",
        "client credentials ask for https://outlook.office365.com/.default",
    ),
    (70_011, Operator, "the scope is not valid", "check scopes: https://outlook.office365.com/.default"),
    (65_001, Admin, "nobody has consented to the app", "grant admin consent in Entra"),
    (53_003, Admin, "Conditional Access blocks the app", "see Entra > Sign-in logs"),
    (530_032, Admin, "a security policy blocks the app", "see Entra > Sign-in logs"),
    (530_035, Admin, "security defaults block the app", "see Entra > Sign-in logs"),
    (50_194, Operator, "the app belongs to one tenant", "set tenant to its id, not common"),
    (9_001_023, Operator, "this grant needs a tenant", "set tenant to its id, not common"),
];

/// What any flow can meet.
pub(super) const CODES: &[Entry] = &[
    // The secret or the certificate.
    (
        7_000_215,
        Operator,
        "the client secret is wrong",
        "put the secret's value, not its id, from Entra > App registrations > Certificates & secrets",
    ),
    (
        7_000_222,
        Operator,
        "the client secret has expired",
        "create a new one in Entra > App registrations > Certificates & secrets",
    ),
    (7_000_218, Operator, "the app must authenticate", "give the app a secret, or allow public client flows"),
    (
        700_025,
        Operator,
        "the app is registered as public",
        "register it as confidential, or give it no secret",
    ),
    (70_002, Operator, "the app's credentials are wrong", "check the app's secret or certificate"),
    (50_012, Operator, "the app's credentials are wrong", "check the app's secret or certificate"),
    (
        700_027,
        Operator,
        "the certificate's signature is not taken",
        "check that this certificate is uploaded in Entra, and the clock",
    ),
    (700_030, Operator, "the certificate is not valid", "check its subject, and that Entra has it"),
    (
        700_229,
        Operator,
        "the federated credential does not match",
        "check its issuer, subject and audience in Entra > App registrations",
    ),
    // The app and its tenant.
    (700_016, Operator, "the tenant does not know this client_id", "check client_id, tenant and cloud"),
    (7_000_112, Admin, "the app is disabled", "enable it in Entra > Enterprise applications"),
    (90_002, Operator, "no such tenant", "check tenant and cloud"),
    (90_038, Operator, "the tenant lives in another cloud", "use that cloud's provider"),
    (50_059, Operator, "nothing tells the tenant", "set tenant to its id"),
    (50_128, Operator, "nothing tells the tenant", "set tenant to its id"),
    (50_194, Operator, "the app belongs to one tenant", "set tenant to its id, not common"),
    (9_001_023, Operator, "this grant is not for common or consumers", "set tenant to its id"),
    (
        9_002_332,
        Operator,
        "the app is not for personal accounts",
        "register it for them, or set tenant to the organization's id",
    ),
    (650_052, Admin, "the tenant lacks a service that the app needs", "check its Exchange Online in Entra"),
    (650_056, Admin, "the app's permissions are not set up", "check API permissions and consent in Entra"),
    (650_057, Admin, "the app has no permission for this resource", "add it in Entra > API permissions"),
    (50_011, Operator, "the redirect address is not registered", "register http://localhost in Entra"),
    (700_005, Operator, "the code is of another tenant", "check tenant, and sign in again"),
    // The request.
    (500_011, Operator, "the tenant has no such resource", "check scopes, and that it has Exchange Online"),
    (700_022, Operator, "the scopes are of several resources", "ask for scopes of Exchange alone"),
    (28_003, Operator, "the scopes do not fit the code", "ask for scopes of Exchange alone"),
    (
        70_011,
        Operator,
        "the scope is not valid",
        "check scopes: https://outlook.office.com/IMAP.AccessAsUser.All",
    ),
    (
        901_002,
        Operator,
        "it takes no parameter resource",
        "check token_url: it should end in oauth2/v2.0/token",
    ),
    (9_002_313, Operator, "the request is malformed", "check token_url, client_id and scopes"),
    (90_014, Operator, "the request lacks a parameter", "check the app's grant, client_id and scopes"),
    (900_144, Operator, "the request lacks a parameter", "check the app's grant, client_id and scopes"),
    // What passes.
    (50_196, Nobody, "the same request came too often", "the bridge keeps trying"),
    (90_024, Nobody, "the authority has a passing failure", "the bridge keeps trying"),
    (90_033, Nobody, "the authority has a passing failure", "the bridge keeps trying"),
    (90_055, Nobody, "the tenant is asked too often", "the bridge keeps trying"),
    (70_016, Nobody, "nobody has entered the device code yet", "enter it on the page shown"),
];
