//! Why a request gets nothing, in the words of Entra and of the RFCs.

use axum::response::Response;
use serde_json::json;

/// Why a request gets nothing.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// An AADSTS code; the note tells a test what was wrong.
    Entra { code: u64, note: String },
    /// An OAuth error without a code, as others send it.
    Plain { status: u16, error: &'static str, description: String },
}

impl From<u64> for Refusal {
    fn from(code: u64) -> Self {
        Self::Entra { code, note: String::new() }
    }
}

impl Refusal {
    /// An AADSTS code with what was wrong.
    pub(super) fn noted(code: u64, note: impl Into<String>) -> Self {
        Self::Entra { code, note: note.into() }
    }

    /// An OAuth error of somebody else than Entra.
    pub(super) fn plain(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self::Plain { status, error, description: description.into() }
    }

    /// The OAuth error class.
    pub(super) fn error(&self) -> &'static str {
        match self {
            Self::Entra { code, .. } => meaning(*code).1,
            Self::Plain { error, .. } => error,
        }
    }

    /// The text for people.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Entra { code, note } => {
                let text = meaning(*code).2;
                let space = if note.is_empty() { "" } else { " " };
                format!(
                    "AADSTS{code}: {text}{space}{note} Trace ID: {TRACE} Correlation ID: {CORRELATION} \
                     Timestamp: {TIMESTAMP}"
                )
            }
            Self::Plain { description, .. } => description.clone(),
        }
    }

    /// The error body of a token endpoint.
    pub(super) fn response(&self) -> Response {
        let (error, error_description) = (self.error(), self.description());
        let code = match self {
            Self::Entra { code, .. } => *code,
            Self::Plain { status, .. } => {
                let body = json!({ "error": error, "error_description": error_description });
                return super::json(*status, &body);
            }
        };
        let mut body = json!({
            "error": error,
            "error_description": error_description,
            "error_codes": [code],
            "timestamp": TIMESTAMP,
            "trace_id": TRACE,
            "correlation_id": CORRELATION,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        if let Some(suberror) = suberror(code) {
            body["suberror"] = suberror.into();
        }
        super::json(meaning(code).0, &body)
    }
}

const TRACE: &str = "0c1a3f5e-7d2b-4e6a-9b8c-112233445566";
const CORRELATION: &str = "5f0e9d3c-1b2a-4c8d-8e7f-665544332211";
const TIMESTAMP: &str = "2026-11-20 12:00:00Z";

/// What Entra adds to `invalid_grant` for programs that would ask the user.
fn suberror(code: u64) -> Option<&'static str> {
    match code {
        50072 | 50074 | 50076 | 50078 | 50079 => Some("basic_action"),
        50055 => Some("user_password_expired"),
        53000..=53003 => Some("message_only"),
        65001 => Some("consent_required"),
        _ => None,
    }
}

/// Status, `error` and text of an AADSTS code, as Entra words them.
fn meaning(code: u64) -> (u16, &'static str, &'static str) {
    match code {
        50126
        | 50034
        | 50053
        | 50055
        | 50057
        | 50072
        | 50074
        | 50076
        | 50078
        | 50079
        | 50133
        | 50173
        | 53000..=53003
        | 54005
        | 65001
        | 70000
        | 70008
        | 70043
        | 99999
        | 501_481
        | 501_491
        | 700_082
        | 700_084 => (400, "invalid_grant", grant_text(code)),
        65004 | 70016 | 70018 | 70019 | 70020 => device(code),
        700_025 | 700_027 | 700_211 | 500_112 | 7_000_215 | 7_000_218 | 7_000_222 => {
            (401, "invalid_client", client_text(code))
        }
        50011 => (400, "invalid_request", "The redirect URI specified in the request does not match."),
        50059 | 50128 => (400, "invalid_request", "No tenant-identifying information found in the request."),
        50194 => (400, "invalid_request", "The application is not configured as a multi-tenant application."),
        50196 => (
            400,
            "invalid_grant",
            "The server terminated an operation because it encountered a client request loop.",
        ),
        70003 => (400, "unsupported_grant_type", "The app requested an unsupported grant type."),
        70011 => (400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
        90002 => {
            (400, "invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID.")
        }
        90014 | 900_144 => {
            (400, "invalid_request", "The request body must contain a parameter that is missing:")
        }
        90024 => (400, "invalid_request", "RequestBudgetExceededError - A transient error has occurred."),
        90033 => (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
        90055 => (429, "temporarily_unavailable", "The tenant is throttled because of too many requests."),
        90094 => (400, "access_denied", "Admin consent is required for the permissions requested."),
        500_011 => (400, "invalid_resource", "The resource principal was not found in the tenant."),
        700_016 => (400, "unauthorized_client", "Application was not found in the directory."),
        901_002 => (400, "invalid_request", "The 'resource' request parameter is not supported."),
        1_002_012 => (400, "invalid_scope", "The provided value for scope is not valid: use /.default."),
        7_000_112 => (401, "unauthorized_client", "Application is disabled."),
        9_001_023 => (400, "invalid_request", "The grant type is not supported over the /common endpoint."),
        9_002_325 => (400, "invalid_request", "Proof Key for Code Exchange is required."),
        _ => (400, "invalid_request", "An error that the pretend authority has no words for."),
    }
}

fn grant_text(code: u64) -> &'static str {
    match code {
        50034 => {
            "The user account does not exist in the directory. To sign into this application, the account \
                  must be added to the directory."
        }
        50053 => "The account is locked, you've tried to sign in too many times.",
        50055 => "The password is expired.",
        50057 => "The user account is disabled.",
        50126 => "Error validating credentials due to invalid username or password.",
        50072 | 50074 | 50076 | 50078 | 50079 => {
            "Due to a configuration change made by your administrator, or because you moved to a new location, \
             you must use multi-factor authentication."
        }
        50173 => "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
        53000..=53003 => "Access has been blocked by Conditional Access policies.",
        54005 => "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
        65001 => "The user or administrator has not consented to use the application.",
        70000 => "Provided grant is invalid or malformed.",
        70008 => "The provided authorization code or refresh token has expired due to inactivity.",
        70043 => "The refresh token has expired or is invalid due to sign-in frequency checks.",
        501_481 => {
            "The Code_Verifier does not match the code_challenge supplied in the authorization request."
        }
        501_491 => "Invalid size of Code_Verifier parameter.",
        700_082 => "The refresh token has expired due to inactivity.",
        700_084 => "The refresh token was issued to a single page app, and therefore has a fixed lifetime.",
        // 50133, and 99999 for a code that nobody has heard of.
        _ => "The grant is not valid.",
    }
}

/// RFC 8628 §3.5, with two words of Entra's own.
fn device(code: u64) -> (u16, &'static str, &'static str) {
    match code {
        65004 => (400, "authorization_declined", "User declined to consent to access the app."),
        70016 => (
            400,
            "authorization_pending",
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        ),
        70018 => (400, "bad_verification_code", "Invalid verification code."),
        _ => (400, "expired_token", "The provided value for the input parameter 'device_code' has expired."),
    }
}

fn client_text(code: u64) -> &'static str {
    match code {
        700_025 => "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        700_027 => {
            "The certificate with identifier used to sign the client assertion is not registered on \
                    application, or the assertion is not valid."
        }
        700_211 => "No matching federated identity record found for presented assertion.",
        500_112 => {
            "The reply address does not match the one provided when requesting the authorization code."
        }
        7_000_218 => {
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        }
        7_000_222 => "The provided client secret keys for the app are expired.",
        _ => {
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
              value, not the client secret ID, for a secret added to the app."
        }
    }
}
