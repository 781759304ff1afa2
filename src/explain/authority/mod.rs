//! What the token authority said.
//!
//! Decisions are taken on the error class of RFC 6749 §5.2, as Microsoft asks for ("apps that take a
//! dependency on text or error code numbers will be broken"); the numbers are for people, but for
//! the few that mean "try again" under a class that does not.
//! Meanings: Microsoft, "Microsoft Entra authentication and authorization error codes"; Google's in
//! `google.rs`.

mod class;
mod clock;
mod google;
mod meaning;
mod operator;
mod people;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    explain::{entry::Entry, network},
    failure::{Explanation, Fault, LONGEST_LINE},
};
pub use class::{Class, Flow};

/// Every entry of the authorities.
pub(super) const TABLES: [&[Entry]; 5] = meaning::TABLES;

/// The body of an error response, RFC 6749 §5.2, with Entra's and Google's additions.
///
/// A stranger wrote it: what has another type than expected counts as absent, but for `error`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error class.
    pub error: String,
    /// Text for the developer; Entra begins it with `AADSTS` and a number.
    #[serde(default, deserialize_with = "text")]
    pub error_description: Option<String>,
    /// Entra's numbers.
    #[serde(default, deserialize_with = "numbers")]
    pub error_codes: Vec<u64>,
    /// What is behind an `invalid_grant` of Entra's: `bad_token`, `consent_required`.
    #[serde(default, deserialize_with = "text")]
    pub suberror: Option<String>,
    /// What is behind an `invalid_grant` of Google's: `invalid_rapt`.
    #[serde(default, deserialize_with = "text")]
    pub error_subtype: Option<String>,
    /// Entra's name for this very answer, which its support asks for.
    #[serde(default, deserialize_with = "text")]
    pub trace_id: Option<String>,
    /// Entra's name for the request, by which the tenant's sign-in log is searched.
    #[serde(default, deserialize_with = "text")]
    pub correlation_id: Option<String>,
    /// When Entra answered: `2026-01-09 02:02:12Z`.
    #[serde(default, deserialize_with = "text")]
    pub timestamp: Option<String>,
    /// By how many seconds the bridge's clock was ahead of the authority's when this was answered, where that is far.
    /// The bridge puts it there itself, by the name of [`CLOCK_AHEAD`].
    #[serde(default, rename = "footbridge_clock_ahead", deserialize_with = "seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
}

/// The name of [`ErrorBody::clock_ahead`] in a body.
pub const CLOCK_AHEAD: &str = "footbridge_clock_ahead";

fn text<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(field)? {
        Value::String(text) => Ok(Some(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Ok(None),
    }
}

fn seconds<'de, D: Deserializer<'de>>(field: D) -> Result<Option<i64>, D::Error> {
    Ok(Value::deserialize(field)?.as_i64())
}

fn numbers<'de, D: Deserializer<'de>>(field: D) -> Result<Vec<u64>, D::Error> {
    let field = Value::deserialize(field)?;
    Ok(field.as_array().into_iter().flatten().filter_map(Value::as_u64).collect())
}

impl ErrorBody {
    /// Entra's number, from the list or from the text.
    #[must_use]
    pub fn code(&self) -> Option<u64> {
        self.codes().next()
    }

    /// Entra's numbers: those of the list, else the one in the text.
    fn codes(&self) -> impl Iterator<Item = u64> {
        let in_text = || {
            let (_, rest) = self.error_description.as_deref()?.split_once("AADSTS")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let in_text = if self.error_codes.is_empty() { in_text() } else { None };
        self.error_codes.iter().copied().chain(in_text)
    }

    /// The authority's first sentence, without its number and the ids and times that Entra puts behind it.
    fn sentence(&self) -> &str {
        let text = self.error_description.as_deref().unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let sentence = line.split(" Trace ID:").next().unwrap_or_default();
        let numbered = sentence.split_once(": ").filter(|(number, _)| self.is_own_number(number));
        let sentence = numbered.map_or(sentence, |(_, rest)| rest).trim();
        // What no line will show need not be logged either.
        sentence.get(..sentence.floor_char_boundary(LONGEST_SENTENCE)).unwrap_or_default()
    }

    fn is_own_number(&self, word: &str) -> bool {
        let number = word.trim().strip_prefix("AADSTS").and_then(|digits| digits.parse().ok());
        number.is_some_and(|number| self.code() == Some(number))
    }

    /// The ids that a search begins with, as `trace 0000aaaa-…, 2026-01-09 02:02:12Z`; empty where
    /// there are none.
    fn reference(&self, name: &str, id: Option<&String>) -> String {
        let id = id.filter(|id| is_reference(id)).map(|id| format!("{name} {id}"));
        let time = self.timestamp.clone().filter(|time| is_reference(time));
        id.into_iter().chain(time).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a stranger's text has the form of an id or a time: it is shown whole, and must be neither
/// long nor anything else.
fn is_reference(text: &str) -> bool {
    const LONGEST: usize = 40;
    let part = |c: char| c.is_ascii_hexdigit() || " -:.TZ".contains(c);
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(part)
}

impl std::fmt::Display for ErrorBody {
    /// The error class alone: the description is a stranger's text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

/// The most bytes of an authority's own words that are kept: Entra's sentences have up to 300.
const LONGEST_SENTENCE: usize = 400;

/// Explains a refusal of the app's own request that will not pass by itself.
#[must_use]
pub fn refused(app: &str, body: &ErrorBody) -> Explanation {
    explained(Flow::ClientCredentials, app, None, body)
}

/// Explains any answer of the token endpoint but a token.
///
/// `login` is the account that was signed in for, where there is one: it is named in the cure of whoever
/// has to sign in again, and otherwise stands there as `LOGIN`. The text names no secret, and a
/// stranger's words only where the answer is unknown; [`Explanation::line`] makes it safe to send.
#[must_use]
pub fn explained(flow: Flow, app: &str, login: Option<&str>, body: &ErrorBody) -> Explanation {
    known(flow, app, login, body).unwrap_or_else(|| quoted(flow, app, login, body))
}

/// Explains an answer that is known.
#[must_use]
pub fn known(flow: Flow, app: &str, login: Option<&str>, body: &ErrorBody) -> Option<Explanation> {
    let entry = entry(flow, body)?;
    let is_of_people = matches!(entry.fault, Fault::User | Fault::Administrator);
    let subject = match login.filter(|_| is_of_people) {
        Some(login) => format!("account {login}"),
        None => format!("app {app}"),
    };
    let name = entry.code().unwrap_or_else(|| body.error.clone());
    let cause = format!("{subject}: {} ({name})", entry.cause);
    if let Some(skew) = clock::skew(entry, body) {
        return Some(clock::explained(&cause, skew));
    }
    let explanation = entry.explains(cause, login);
    Some(if entry.fault == Fault::Administrator { traced(explanation, body) } else { explanation })
}

/// The entry of an answer that is known.
pub(super) fn entry(flow: Flow, body: &ErrorBody) -> Option<&'static Entry> {
    meaning::of(flow, body)
}

/// The same with the ids by which the tenant's sign-in log is searched, as far as there is room.
fn traced(explanation: Explanation, body: &ErrorBody) -> Explanation {
    let with = |place: String| {
        let cause = format!("{} [{place}]", explanation.cause);
        (!place.is_empty()).then(|| Explanation { cause, ..explanation.clone() })
    };
    let untimed = ErrorBody { timestamp: None, ..body.clone() };
    let whole = with(body.reference("correlation", body.correlation_id.as_ref()));
    let whole = whole.filter(|whole| whole.cause.len() + whole.cure.len() + 2 <= LONGEST_LINE);
    let short = || with(untimed.reference("correlation", untimed.correlation_id.as_ref()));
    whole.or_else(short).unwrap_or(explanation)
}

/// The authority's own words, behind what a search for them begins with: a line is cut at its end.
fn quoted(flow: Flow, app: &str, login: Option<&str>, body: &ErrorBody) -> Explanation {
    let name = body.code().map_or_else(|| body.error.clone(), |code| format!("AADSTS{code}"));
    let place = body.reference("trace", body.trace_id.as_ref());
    let place = if place.is_empty() { place } else { format!(" [{place}]") };
    let said = body.sentence();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let cause = format!("the authority refuses app {app} ({name}){place}{said}");
    Explanation::new(cause, named(cure_for_class(flow, &body.error), login))
}

fn named(cure: &str, login: Option<&str>) -> String {
    cure.replace("LOGIN", login.unwrap_or("LOGIN"))
}

fn cure_for_class(flow: Flow, error: &str) -> &'static str {
    match error {
        "invalid_client" => "check client_id and secret",
        "unauthorized_client" => "check the app's registration and consent",
        "invalid_scope" => "check scopes",
        "unsupported_grant_type" => unsupported_grant(flow),
        "invalid_grant" if flow.is_delegated() => people::SIGN_IN,
        "invalid_grant" if flow == Flow::Password => "check the user name and the password",
        _ => "check the app in the configuration",
    }
}

fn unsupported_grant(flow: Flow) -> &'static str {
    match flow {
        Flow::ClientCredentials => "the authority must allow client_credentials",
        Flow::Refresh => "the authority must allow refresh_token",
        Flow::Code => "the authority must allow authorization_code",
        Flow::Device => "the authority must allow device_code",
        Flow::Password => "the authority must allow password",
        Flow::ServiceAccount => "the authority must allow jwt-bearer: check token_url",
    }
}

/// Explains an authority that could not be asked. The bridge keeps trying meanwhile.
#[must_use]
pub fn unavailable(host: &str, trouble: &str) -> Explanation {
    let cause = format!("no access token: {host}: {trouble}");
    match network::of(trouble) {
        // What stands for a mail server's fault on the way there stands for the authority's here.
        Some(entry) if entry.fault == Fault::Upstream => {
            Entry { fault: Fault::Authority, ..*entry }.explains(cause, None)
        }
        Some(entry) => entry.explains(cause, None),
        None => Explanation::new(cause, "the bridge keeps trying"),
    }
}

/// Explains a secret of our own configuration that could not be read. Where it is kept is for the log.
#[must_use]
pub fn no_secret(app: &str) -> Explanation {
    Explanation::new(format!("the secret of app {app} cannot be read"), "the bridge's log says why")
}

#[cfg(test)]
fn body(error: &str, description: &str, codes: &[u64]) -> ErrorBody {
    ErrorBody {
        error: error.to_owned(),
        error_description: Some(description.to_owned()),
        error_codes: codes.to_vec(),
        ..ErrorBody::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "0000aaaa-11bb-cccc-dd22-eeeeee333333";
    const TIME: &str = "2026-01-09 02:02:12Z";

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
            "the authority refuses app contoso (AADSTS12345): The moon is full.: \
             check the app in the configuration"
        );
    }

    #[test]
    fn an_unknown_answer_is_shown_with_its_trace_and_time_even_where_it_is_cut() {
        let said = format!("AADSTS12345: {}", "The moon is full. ".repeat(9));
        let body = ErrorBody {
            trace_id: Some(TRACE.to_owned()),
            timestamp: Some(TIME.to_owned()),
            ..body("invalid_grant", &said, &[12_345])
        };
        let line = explained(Flow::Refresh, "contoso", Some("ann@contoso.com"), &body).line();
        assert!(line.contains(&format!("(AADSTS12345) [trace {TRACE}, {TIME}]: The moon")), "{line}");
        assert!(line.ends_with("...: sign in again: footbridge authorize ann@contoso.com"), "{line}");
        assert_eq!(line.len(), LONGEST_LINE);
    }

    #[test]
    fn an_administrator_hears_where_to_look_in_the_sign_in_log() {
        let body = ErrorBody {
            correlation_id: Some(TRACE.to_owned()),
            timestamp: Some(TIME.to_owned()),
            ..body("invalid_grant", "AADSTS53003: Blocked.", &[53_003])
        };
        let line = explained(Flow::Refresh, "contoso", Some("ann@contoso.com"), &body).line();
        assert_eq!(
            line,
            "account ann@contoso.com: Conditional Access blocks the sign-in (AADSTS53003) [correlation \
             0000aaaa-11bb-cccc-dd22-eeeeee333333, 2026-01-09 02:02:12Z]: see Entra > Sign-in logs"
        );
        let blame = explained(Flow::Refresh, "contoso", None, &body).blame.unwrap();
        assert_eq!((blame.fault, blame.passes), (Fault::Administrator, false));
    }

    #[test]
    fn what_has_no_form_of_an_id_or_a_time_is_not_shown_as_one() {
        for id in ["x".repeat(8), "a".repeat(41), "0\r\n* OK".to_owned(), String::new()] {
            let body = ErrorBody { trace_id: Some(id.clone()), ..body("invalid_request", "no", &[]) };
            assert!(!refused("a", &body).cause.contains("trace"), "{id}");
        }
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        let json = r#"{"error":"invalid_grant","error_description":{"a":[1]},"error_codes":["x",50173,null,-1],
            "suberror":7,"trace_id":null,"timestamp":1700000000,"correlation_id":[],"error_subtype":true}"#;
        let read: ErrorBody = serde_json::from_str(json).unwrap();
        let expected = ErrorBody {
            error_codes: vec![50_173],
            error_description: None,
            ..body("invalid_grant", "", &[])
        };
        assert_eq!(read, expected);
        let read: ErrorBody = serde_json::from_str(r#"{"error":"x","error_codes":null}"#).unwrap();
        assert_eq!(read.error_codes, Vec::<u64>::new());
    }

    #[test]
    fn an_answer_is_written_and_read_back() {
        let written = serde_json::to_string(&body("invalid_grant", "no", &[1])).unwrap();
        assert_eq!(serde_json::from_str::<ErrorBody>(&written).unwrap(), body("invalid_grant", "no", &[1]));
    }

    fn hostile() -> impl Strategy<Value = ErrorBody> {
        let text = || {
            proptest::option::of("[\\x00-\\xff]{0,300}|AADSTS[0-9]{1,25}: \\PC*\r\n* OK|\\PC*|[0-9a-f-]{36}")
        };
        let code = prop_oneof![any::<u64>(), Just(53_003), Just(65_001), Just(70_008)];
        let error = "invalid_grant|invalid_client|access_denied|[\\x00-\\xff]*";
        let codes = proptest::collection::vec(code, 0..3);
        (error, codes, [text(), text(), text(), text(), text(), text()]).prop_map(
            |(error, error_codes, texts)| {
                let [error_description, suberror, error_subtype, trace_id, correlation_id, timestamp] = texts;
                ErrorBody {
                    error,
                    error_description,
                    error_codes,
                    suberror,
                    error_subtype,
                    trace_id,
                    correlation_id,
                    timestamp,
                    clock_ahead: Some(-900),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn no_answer_breaks_or_begins_a_reply_line(body in hostile(), login in proptest::option::of("\\PC{0,80}\r\n")) {
            for flow in Flow::ALL {
                let _ = body.class(flow);
                let line = explained(flow, "contoso", login.as_deref(), &body).line();
                prop_assert!(line.len() <= LONGEST_LINE);
                prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            }
        }
    }
}
