//! Entra's numbers for the operator: the app's registration, its secret, its tenant, its scopes.
//!
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes".

use Fault::{Administrator, Authority, Operator, User};

use super::meaning::{of_any, of_app};
use crate::{explain::entry::Entry, failure::Fault};

/// What is said only of an app that logs in as itself, or otherwise of it than of a person.
pub(super) const AS_ITSELF: &[Entry] = &[
    of_app(
        1_002_012,
        Operator,
        "the scope is not valid",
        "client credentials ask for https://outlook.office365.com/.default",
    ),
    of_app(
        70_011,
        Operator,
        "the scope is not valid",
        "check scopes: https://outlook.office365.com/.default",
    ),
    of_app(65_001, Administrator, "nobody has consented to the app", "grant admin consent in Entra"),
    of_app(53_003, Administrator, "Conditional Access blocks the app", "see Entra > Sign-in logs"),
    of_app(530_032, Administrator, "a security policy blocks the app", "see Entra > Sign-in logs"),
    of_app(530_035, Administrator, "security defaults block the app", "see Entra > Sign-in logs"),
    of_app(50_194, Operator, "the app belongs to one tenant", "set tenant to its id, not common"),
    of_app(9_001_023, Operator, "this grant needs a tenant", "set tenant to its id, not common"),
];

const NO_FEDERATION: &str = "no federated credential fits the token";

const CHECK_FEDERATION: &str = "compare its issuer, subject and audience in Entra > App registrations";

const FEDERATION: &str = "reported by users of workload identity federation";

/// What any flow can meet.
pub(super) const CODES: &[Entry] = &[
    // The secret or the certificate.
    of_any(
        7_000_215,
        Operator,
        "the client secret is wrong",
        "put the secret's value, not its id, from Entra > App registrations > Certificates & secrets",
    ),
    of_any(
        7_000_222,
        Operator,
        "the client secret has expired",
        "create a new one in Entra > App registrations > Certificates & secrets",
    ),
    of_any(
        7_000_218,
        Operator,
        "the app must authenticate",
        "give the app a secret, or allow public client flows",
    ),
    of_any(
        700_025,
        Operator,
        "the app is registered as public",
        "register it as confidential, or give it no secret",
    ),
    of_any(70_002, Operator, "the app's credentials are wrong", "check the app's secret or certificate"),
    of_any(50_012, Operator, "the app's credentials are wrong", "check the app's secret or certificate"),
    of_any(
        700_027,
        Operator,
        "the certificate's signature is not taken",
        "check that this certificate is uploaded in Entra, and the clock",
    ),
    of_any(
        700_024,
        Operator,
        "the app's assertion is out of its time",
        "set this machine's clock (NTP); of a federated token: is its file renewed?",
    )
    .by("reported by users of MSAL"),
    of_any(700_021, Operator, "the assertion is another app's", "check client_id, and whose assertion it is"),
    of_any(700_023, Operator, "the assertion is for another tenant", "check tenant, cloud and token_url"),
    of_any(
        50_013,
        Operator,
        "the assertion is not valid",
        "check its issuer, its audience, and the clock (NTP)",
    ),
    of_any(700_030, Operator, "the certificate is not valid", "check its subject, and that Entra has it"),
    of_any(
        700_229,
        Operator,
        "the federated credential does not match",
        "check its issuer, subject and audience in Entra > App registrations",
    ),
    of_any(70_021, Operator, NO_FEDERATION, CHECK_FEDERATION).by(FEDERATION),
    of_any(700_211, Operator, NO_FEDERATION, CHECK_FEDERATION).by(FEDERATION),
    of_any(700_212, Operator, NO_FEDERATION, CHECK_FEDERATION).by(FEDERATION),
    of_any(700_213, Operator, NO_FEDERATION, CHECK_FEDERATION).by(FEDERATION),
    // The app and its tenant.
    of_any(
        7_000_229,
        Administrator,
        "the app has no service principal in the tenant",
        "grant it admin consent there, which makes one",
    )
    .by("Microsoft, \"Retire service principal-less authentication\""),
    of_any(700_016, Operator, "the tenant does not know this client_id", "check client_id, tenant and cloud"),
    of_any(7_000_112, Administrator, "the app is disabled", "enable it in Entra > Enterprise applications"),
    of_any(90_002, Operator, "no such tenant", "check tenant and cloud"),
    of_any(90_038, Operator, "the tenant lives in another cloud", "use that cloud's provider"),
    of_any(50_059, Operator, "nothing tells the tenant", "set tenant to its id"),
    of_any(50_128, Operator, "nothing tells the tenant", "set tenant to its id"),
    of_any(50_194, Operator, "the app belongs to one tenant", "set tenant to its id, not common"),
    of_any(9_001_023, Operator, "this grant is not for common or consumers", "set tenant to its id"),
    of_any(
        9_002_332,
        Operator,
        "the app is not for personal accounts",
        "register it for them, or set tenant to the organization's id",
    ),
    of_any(
        650_052,
        Administrator,
        "the tenant lacks a service that the app needs",
        "check its Exchange Online in Entra",
    ),
    of_any(
        650_056,
        Administrator,
        "the app's permissions are not set up",
        "check API permissions and consent in Entra",
    ),
    of_any(
        650_057,
        Administrator,
        "the app has no permission for this resource",
        "add it in Entra > API permissions",
    ),
    of_any(
        50_011,
        Operator,
        "the redirect address is not registered",
        "register the app's redirect_uri in Entra > Authentication; it is public_url by default",
    ),
    of_any(
        700_084,
        Operator,
        "a single-page app's sign-in lasts a day",
        "register it as a mobile and desktop application in Entra > Authentication",
    ),
    of_any(700_005, Operator, "the code is of another tenant", "check tenant, and sign in again"),
    // The request.
    of_any(
        500_011,
        Operator,
        "the tenant has no such resource",
        "check scopes, and that it has Exchange Online",
    ),
    of_any(700_022, Operator, "the scopes are of several resources", "ask for scopes of Exchange alone"),
    of_any(28_003, Operator, "the scopes do not fit the code", "ask for scopes of Exchange alone"),
    of_any(
        70_011,
        Operator,
        "the scope is not valid",
        "check scopes: https://outlook.office.com/IMAP.AccessAsUser.All",
    ),
    of_any(
        901_002,
        Operator,
        "it takes no parameter resource",
        "check token_url: it should end in oauth2/v2.0/token",
    ),
    of_any(9_002_313, Operator, "the request is malformed", "check token_url, client_id and scopes"),
    of_any(90_014, Operator, "the request lacks a parameter", "check the app's grant, client_id and scopes"),
    of_any(900_144, Operator, "the request lacks a parameter", "check the app's grant, client_id and scopes"),
    // What passes.
    of_any(50_196, Authority, "the same request came too often", KEEPS_TRYING).that_passes(),
    of_any(90_024, Authority, "the authority has a passing failure", KEEPS_TRYING).that_passes(),
    of_any(90_033, Authority, "the authority has a passing failure", KEEPS_TRYING).that_passes(),
    of_any(90_055, Authority, "the tenant is asked too often", KEEPS_TRYING).that_passes(),
    of_any(70_016, User, "nobody has entered the device code yet", "enter it on the page shown")
        .that_passes(),
];

/// The cure for what passes.
const KEEPS_TRYING: &str = "the bridge keeps trying";
