//! What the token authority said.
//!
//! Decisions are taken on the error class of RFC 6749 §5.2, as Microsoft asks for ("apps that take a
//! dependency on text or error code numbers will be broken"); the numbers are for people, but for
//! the few that mean "try again" under a class that does not.
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes".

use serde::{Deserialize, Serialize};

use crate::failure::Explanation;

/// The body of an error response, RFC 6749 §5.2, with Entra's additions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error class.
    pub error: String,
    /// Text for the developer; Entra begins it with `AADSTS` and a number.
    #[serde(default)]
    pub error_description: Option<String>,
    /// Entra's numbers.
    #[serde(default)]
    pub error_codes: Vec<u64>,
    /// Entra's name for this very answer, which its support asks for.
    #[serde(default)]
    pub trace_id: Option<String>,
}

impl ErrorBody {
    /// Entra's number, from the list or from the text.
    #[must_use]
    pub fn code(&self) -> Option<u64> {
        let in_text = || {
            let (_, rest) = self.error_description.as_deref()?.split_once("AADSTS")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        self.error_codes.first().copied().or_else(in_text)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.error.as_str(), "temporarily_unavailable" | "server_error")
            || self.code().is_some_and(|code| TRY_AGAIN.contains(&code))
    }

    /// The authority's first sentence, without the ids and times that Entra puts behind it.
    fn sentence(&self) -> &str {
        let text = self.error_description.as_deref().unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let sentence = line.split(" Trace ID:").next().unwrap_or_default().trim();
        // What no line will show need not be logged either.
        sentence.get(..sentence.floor_char_boundary(LONGEST_SENTENCE)).unwrap_or_default()
    }
}

impl std::fmt::Display for ErrorBody {
    /// The error class alone: the description is a stranger's text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

/// The most bytes of an authority's own words that are kept: Entra's sentences have up to 300.
const LONGEST_SENTENCE: usize = 400;

/// Transient failures (90024, 90033), a throttled tenant (90055), and "the same request too often"
/// (50196): they come under `invalid_request` or `invalid_grant` and pass by themselves.
const TRY_AGAIN: [u64; 4] = [50_196, 90_024, 90_033, 90_055];

/// A number, what it means, and what to do.
type Entry = (u64, &'static str, &'static str);

/// The numbers that a client-credentials request can meet.
const CODES: &[Entry] = &[
    (
        7_000_215,
        "the client secret is wrong",
        "put the secret's value, not its id, from Entra > App registrations > Certificates & secrets",
    ),
    (
        7_000_222,
        "the client secret has expired",
        "create a new one in Entra > App registrations > Certificates & secrets",
    ),
    (7_000_218, "the app must authenticate", "give the app a secret in the configuration"),
    (700_025, "the app is registered as public", "register it as confidential, with a secret"),
    (700_016, "the tenant does not know this client_id", "check client_id, tenant and cloud"),
    (7_000_112, "the app is disabled", "enable it in Entra > Enterprise applications"),
    (90_002, "no such tenant", "check tenant and cloud"),
    (90_038, "the tenant lives in another cloud", "use that cloud's provider"),
    (50_194, "the app belongs to one tenant", "set tenant to its id, not common"),
    (9_001_023, "this grant needs a tenant", "set tenant to its id, not common"),
    (500_011, "the tenant has no such resource", "check scopes, and that it has Exchange Online"),
    (70_011, "the scope is not valid", "check scopes: https://outlook.office365.com/.default"),
    (
        1_002_012,
        "the scope is not valid",
        "client credentials ask for https://outlook.office365.com/.default",
    ),
    (65_001, "nobody has consented to the app", "grant admin consent in Entra"),
    (53_003, "Conditional Access blocks the app", "see Entra > Sign-in logs"),
    (530_032, "a security policy blocks the app", "see Entra > Sign-in logs"),
    (530_035, "security defaults block the app", "see Entra > Sign-in logs"),
];

/// Explains a refusal that will not pass by itself.
#[must_use]
pub fn refused(app: &str, body: &ErrorBody) -> Explanation {
    let code = body.code();
    let name = code.map_or_else(|| body.error.clone(), |code| format!("AADSTS{code}"));
    if let Some((_, cause, cure)) = CODES.iter().find(|(number, ..)| Some(*number) == code) {
        return Explanation::new(format!("app {app}: {cause} ({name})"), *cure);
    }
    let said = body.sentence();
    let cause = if said.is_empty() {
        format!("the authority refuses app {app} ({name})")
    } else {
        format!("the authority refuses app {app} ({name}): {said}")
    };
    Explanation::new(cause, cure_for_class(&body.error))
}

fn cure_for_class(error: &str) -> &'static str {
    match error {
        "invalid_client" => "check client_id and secret",
        "unauthorized_client" => "check the app's registration and consent",
        "invalid_scope" => "check scopes",
        "unsupported_grant_type" => "the authority must allow client_credentials",
        _ => "check the app in the configuration",
    }
}

/// Explains an authority that could not be asked.
#[must_use]
pub fn unavailable(host: &str, trouble: &str) -> Explanation {
    Explanation::new(format!("no access token: {host}: {trouble}"), cure_for_trouble(trouble))
}

/// What an operator can do about a trouble that may be a slip in the configuration. The bridge keeps
/// trying meanwhile.
fn cure_for_trouble(trouble: &str) -> &'static str {
    const KNOWN: [(&str, &str); 7] = [
        ("UnknownIssuer", "trust its issuer with ca_file in the provider"),
        ("invalid peer certificate", "the host in token_url must be that of its certificate"),
        ("no word of OAuth", "check token_url"),
        ("HTTP version", "check the port in token_url"),
        ("InvalidContentType", "check the port in token_url: it does not speak TLS"),
        ("failed to lookup", "check the host in token_url, and DNS"),
        ("Name or service", "check the host in token_url, and DNS"),
    ];
    let known = KNOWN.iter().find(|(text, _)| trouble.contains(text));
    known.map_or("the bridge keeps trying", |(_, cure)| cure)
}

/// Explains a secret of our own configuration that could not be read. Where it is kept is for the log.
#[must_use]
pub fn no_secret(app: &str) -> Explanation {
    Explanation::new(format!("the secret of app {app} cannot be read"), "the bridge's log says why")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::LONGEST_LINE;

    fn body(error: &str, description: &str, codes: &[u64]) -> ErrorBody {
        ErrorBody {
            error: error.to_owned(),
            error_description: Some(description.to_owned()),
            error_codes: codes.to_vec(),
            trace_id: None,
        }
    }

    #[test]
    fn the_code_is_read_from_the_list_or_from_the_text() {
        assert_eq!(body("invalid_client", "AADSTS7000222: expired", &[]).code(), Some(7_000_222));
        assert_eq!(body("invalid_client", "AADSTS1: x", &[7_000_215]).code(), Some(7_000_215));
        assert_eq!(body("invalid_client", "no", &[]).code(), None);
    }

    #[test]
    fn a_known_code_is_explained_and_an_unknown_one_quoted() {
        let known = refused("contoso", &body("invalid_client", "AADSTS7000222: …", &[7_000_222])).line();
        assert_eq!(
            known,
            "app contoso: the client secret has expired (AADSTS7000222): \
             create a new one in Entra > App registrations > Certificates & secrets"
        );
        let said = "AADSTS12345: The moon is full.\r\nTrace ID: 0\r\nTimestamp: now";
        let unknown = refused("contoso", &body("invalid_request", said, &[12_345])).line();
        assert_eq!(
            unknown,
            "the authority refuses app contoso (AADSTS12345): AADSTS12345: The moon is full.: \
             check the app in the configuration"
        );
    }

    #[test]
    fn the_class_decides_but_for_the_few_codes_that_mean_try_again() {
        assert!(body("temporarily_unavailable", "", &[]).is_temporary());
        assert!(body("invalid_request", "AADSTS90033: transient", &[90_033]).is_temporary());
        assert!(!body("invalid_client", "AADSTS7000215: wrong", &[7_000_215]).is_temporary());
    }

    #[test]
    fn every_entry_fits_on_one_line_whole() {
        for (code, cause, cure) in CODES {
            let line = refused(&"a".repeat(20), &body("invalid_client", "", &[*code])).line();
            assert!(line.contains(cause) && line.ends_with(cure) && line.len() <= LONGEST_LINE, "{line}");
        }
    }
}
