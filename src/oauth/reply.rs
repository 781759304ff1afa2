//! What the authority's answer means: tokens, trouble that passes, a refusal, or that a person is needed.

use std::{fmt, time::Duration};

use oauth2::{DeviceCodeErrorResponse, HttpResponse, RequestTokenError, TokenResponse as _};
use serde_json::Value;

use super::{
    App,
    credential::Proof,
    grant::TokenResponse,
    slot::Spec,
    state::{Issued, Unissued},
};
use crate::{
    explain::{
        authority::{self, CLOCK_AHEAD, Class, ErrorBody, Flow},
        consent,
    },
    failure::{Explanation, Failure, Refusal},
    secret::Secret,
};

/// How long a token is taken to live whose answer does not say: the usual hour. RFC 6749 §5.1 only
/// recommends `expires_in`; an upstream's rejection corrects a wrong guess.
const UNSTATED_LIFETIME: Duration = Duration::from_hours(1);

/// Entra: "The grant is invalid", for whatever reason.
const INVALID_GRANT: u64 = 70_000;

/// What a token request has brought.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) issued: Issued,
    /// The refresh token that replaces the one before, where there is one.
    pub(super) refresh_token: Option<Secret>,
    /// Who signed in, where the authority says so.
    pub(super) id_token: Option<Secret>,
    /// What was granted, where it is not what was asked for (RFC 6749 §5.1).
    pub(super) scopes: Option<Vec<String>>,
}

/// Why there is no answer to classify. The text says what happened, to be put behind the host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAnswer {
    /// What happened: `HTTP 503`, `connection refused`.
    pub(super) trouble: String,
    /// The answer's Retry-After (RFC 9110 §10.2.3).
    pub(super) retry_after: Option<Duration>,
    /// Whether the authority may have done what it was asked all the same.
    pub(super) may_be_done: bool,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.trouble)
    }
}

impl std::error::Error for NoAnswer {}

/// What was answered to a token request.
pub(super) type Answer = Result<TokenResponse, RequestTokenError<NoAnswer, ErrorBody>>;

/// Takes the body of an answer for a token response or an error, by its status.
#[expect(clippy::result_large_err, reason = "the crate's requests answer with the same")]
pub(super) fn answered(answer: Result<HttpResponse, NoAnswer>) -> Answer {
    let response = answer.map_err(RequestTokenError::Request)?;
    let unread = |_| RequestTokenError::Other("not a token response".to_owned());
    if response.status().is_success() {
        return serde_json::from_slice(response.body()).map_err(unread);
    }
    Err(serde_json::from_slice(response.body()).map_or_else(unread, RequestTokenError::ServerResponse))
}

/// Reads a token response; `sent` is what the request had in it that must not come back in a text.
///
/// # Errors
/// [`Unissued`] with what to tell the client; nothing of the authority's body but its error fields
/// is kept, since a body that cannot be read may hold a token.
pub(super) fn read(spec: &Spec, flow: Flow, sent: &[&Secret], answer: Answer) -> Result<Granted, Unissued> {
    match answer {
        Ok(response) if response.access_token().secret().is_empty() => Err(garbage(&spec.app)),
        Ok(response) => Ok(granted(&response)),
        Err(error) => Err(unread(spec, flow, sent, error)),
    }
}

/// Reads an error in the place of a response.
pub(super) fn unread(
    spec: &Spec,
    flow: Flow,
    sent: &[&Secret],
    error: RequestTokenError<NoAnswer, ErrorBody>,
) -> Unissued {
    match error {
        RequestTokenError::ServerResponse(body) => refused(spec, flow, &without(body, sent)),
        RequestTokenError::Request(NoAnswer { trouble, retry_after, may_be_done }) => {
            Unissued { may_be_done, ..unavailable(&spec.app, &trouble, retry_after) }
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => garbage(&spec.app),
    }
}

/// Nobody has entered the device code in time.
pub(super) fn device_code_over(spec: &Spec) -> Refusal {
    Refusal::explained(Failure::AuthorityRefused, consent::device_code_expired(&spec.login))
}

/// An error of the device flow as every other one. The crate has a type of its own for it.
pub(super) fn device_error(
    error: RequestTokenError<NoAnswer, DeviceCodeErrorResponse>,
) -> RequestTokenError<NoAnswer, ErrorBody> {
    match error {
        RequestTokenError::ServerResponse(said) => RequestTokenError::ServerResponse(ErrorBody {
            error: said.error().to_string(),
            error_description: said.error_description().cloned(),
            ..ErrorBody::default()
        }),
        RequestTokenError::Request(none) => RequestTokenError::Request(none),
        RequestTokenError::Parse(error, _) => RequestTokenError::Parse(error, Vec::new()),
        RequestTokenError::Other(text) => RequestTokenError::Other(text),
    }
}

fn granted(response: &TokenResponse) -> Granted {
    let secret = |text: &String| Secret::new(text.as_bytes());
    let refresh_token = response.refresh_token().map(oauth2::RefreshToken::secret);
    let scopes = response.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect());
    Granted {
        issued: Issued {
            token: secret(response.access_token().secret()),
            lifetime: response.expires_in().unwrap_or(UNSTATED_LIFETIME),
        },
        refresh_token: refresh_token.filter(|token| !token.is_empty()).map(secret),
        id_token: response.extra_fields().id_token.as_ref().map(secret),
        scopes,
    }
}

fn refused(spec: &Spec, flow: Flow, body: &ErrorBody) -> Unissued {
    let explained = || match flow {
        Flow::Device => consent::device_flow_ended(spec.app.name.as_str(), &spec.login, body),
        Flow::ClientCredentials | Flow::Refresh | Flow::Code | Flow::Password | Flow::ServiceAccount => {
            authority::explained(flow, spec.app.name.as_str(), Some(&spec.login), body)
        }
    };
    match body.class(flow) {
        Class::Temporary => {
            let known = authority::known(flow, spec.app.name.as_str(), Some(&spec.login), body);
            if let Some(known) = known {
                return Unissued::new(Refusal::explained(Failure::AuthorityUnavailable, known));
            }
            let said = body.code().map_or_else(|| body.error.clone(), |code| format!("AADSTS{code}"));
            unavailable(&spec.app, &said, None)
        }
        Class::Consent { known } => Unissued {
            doubtful: !known,
            unspecific: !known || matches!(body.code(), None | Some(INVALID_GRANT)),
            ..Unissued::new(Refusal::explained(Failure::ConsentNeeded, explained()))
        },
        Class::WrongPassword => bad_password(explained()),
        Class::SecretUnusable if spec.is_released_to_a_password() => bad_password(explained()),
        Class::SecretUnusable | Class::Refused => {
            Unissued::new(Refusal::explained(Failure::AuthorityRefused, explained()))
        }
    }
}

fn bad_password(explanation: Explanation) -> Unissued {
    Unissued::new(Refusal::explained(Failure::BadCredentials, explanation))
}

/// Whether another proof of the same app may be taken where this one was not.
pub(super) fn blames_the_proof(answer: &Answer) -> bool {
    matches!(answer, Err(RequestTokenError::ServerResponse(body)) if body.is_secret_unusable())
}

/// Trouble that passes.
pub(super) fn unavailable(app: &App, trouble: &str, retry_after: Option<Duration>) -> Unissued {
    let host = app.authority.token_url.host_str().unwrap_or_default();
    let explanation = authority::unavailable(host, trouble);
    let refusal = Refusal::explained(Failure::AuthorityUnavailable, explanation);
    Unissued { retry_after, ..Unissued::new(refusal) }
}

/// The app's credential cannot be read. Trouble that passes: a file is being replaced, a vault is slow.
pub(super) fn no_secret(app: &App) -> Unissued {
    let explanation = authority::no_secret(app.name.as_str());
    Unissued::new(Refusal::explained(Failure::AuthorityUnavailable, explanation))
}

/// Takes what was sent out of what an authority says, should it repeat it.
fn without(mut body: ErrorBody, sent: &[&Secret]) -> ErrorBody {
    for sent in sent.iter().filter_map(|secret| secret.expose_str()).filter(|sent| !sent.is_empty()) {
        for text in body.error_description.iter_mut().chain([&mut body.error]) {
            *text = text.replace(sent, "[secret]");
        }
    }
    body
}

/// What of a proof must not come back in a text.
pub(super) fn sent(proof: &Proof) -> Option<&Secret> {
    match proof {
        Proof::Secret(secret) | Proof::Assertion(secret) => Some(secret),
        Proof::None => None,
    }
}

fn garbage(app: &App) -> Unissued {
    Unissued { may_be_done: true, ..unavailable(app, "its answer is no token response", None) }
}

/// The body with a number for an `expires_in` that is written as text, as 21Vianet's older endpoint and
/// some others do; everything else as it is.
pub(super) fn with_numeric_lifetime(body: Vec<u8>) -> Vec<u8> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&body) else { return body };
    let seconds = fields.get("expires_in").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    let Some(seconds) = seconds else { return body };
    fields.insert("expires_in".to_owned(), seconds.into());
    serde_json::to_vec(&Value::Object(fields)).unwrap_or(body)
}

/// The body of an error with how far our clock is ahead, where that is far: what the crate hands on is the body alone.
/// What an authority says by that name itself does not count.
pub(super) fn with_clock(body: Vec<u8>, ahead: Option<i64>) -> Vec<u8> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&body) else { return body };
    let own = fields.remove(CLOCK_AHEAD);
    if ahead.is_none() && own.is_none() {
        return body;
    }
    fields.extend(ahead.map(|ahead| (CLOCK_AHEAD.to_owned(), ahead.into())));
    serde_json::to_vec(&Value::Object(fields)).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::slot::tests::spec;

    fn read_with(flow: Flow, answer: Answer) -> Result<Granted, Unissued> {
        read(&spec(), flow, &[&Secret::new("s3cr~t")], answer)
    }

    fn response(json: &str) -> Result<Granted, Unissued> {
        let body = with_numeric_lifetime(json.as_bytes().to_vec());
        read_with(Flow::ClientCredentials, Ok(serde_json::from_slice(&body).unwrap()))
    }

    fn error(flow: Flow, json: &str) -> Unissued {
        let body = serde_json::from_str(json).unwrap();
        read_with(flow, Err(RequestTokenError::ServerResponse(body))).unwrap_err()
    }

    #[test]
    fn a_token_is_read_with_its_lifetime_or_the_usual_hour() {
        let granted = response(r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#).unwrap();
        assert_eq!(
            (granted.issued.token, granted.issued.lifetime),
            (Secret::new("t"), Duration::from_mins(1))
        );
        let granted = response(r#"{"access_token":"t","token_type":"Bearer"}"#).unwrap();
        assert_eq!(granted.issued.lifetime, UNSTATED_LIFETIME);
        assert_eq!(granted.refresh_token, None);
    }

    #[test]
    fn a_lifetime_may_be_written_as_text() {
        let granted = response(r#"{"access_token":"t","token_type":"Bearer","expires_in":"3599"}"#).unwrap();
        assert_eq!(granted.issued.lifetime, Duration::from_secs(3599));
        for body in ["{", "[]", r#"{"expires_in":"soon"}"#, r#"{"expires_in":5}"#] {
            assert_eq!(with_numeric_lifetime(body.as_bytes().to_vec()), body.as_bytes(), "{body}");
        }
    }

    #[test]
    fn how_far_the_clocks_differ_is_the_bridges_to_say() {
        let read = |body: &str, ahead| -> ErrorBody {
            serde_json::from_slice(&with_clock(body.as_bytes().to_vec(), ahead)).unwrap()
        };
        let body = r#"{"error":"invalid_client","footbridge_clock_ahead":7}"#;
        assert_eq!(read(body, Some(900)).clock_ahead, Some(900));
        assert_eq!(read(body, None).clock_ahead, None);
        assert_eq!(read(r#"{"error":"x"}"#, Some(-900)).clock_ahead, Some(-900));
        assert_eq!(with_clock(b"junk".to_vec(), Some(1)), b"junk");
    }

    #[test]
    fn an_empty_token_is_garbage_and_garbage_is_temporary() {
        let unissued = response(r#"{"access_token":"","token_type":"Bearer"}"#).unwrap_err();
        assert_eq!(unissued.refusal.failure, Failure::AuthorityUnavailable);
        let answer = Err(RequestTokenError::Other("x".to_owned()));
        let unissued = read_with(Flow::Refresh, answer).unwrap_err();
        assert_eq!(unissued.refusal.failure, Failure::AuthorityUnavailable);
    }

    #[test]
    fn the_error_class_decides() {
        use Failure::{AuthorityRefused, AuthorityUnavailable, BadCredentials, ConsentNeeded};
        let cases = [
            (
                Flow::ClientCredentials,
                r#"{"error":"invalid_client","error_codes":[7000215]}"#,
                AuthorityRefused,
            ),
            (Flow::ClientCredentials, r#"{"error":"unauthorized_client"}"#, AuthorityRefused),
            (Flow::ClientCredentials, r#"{"error":"temporarily_unavailable"}"#, AuthorityUnavailable),
            (Flow::Refresh, r#"{"error":"invalid_request","error_codes":[90033]}"#, AuthorityUnavailable),
            (Flow::Refresh, r#"{"error":"invalid_grant","error_codes":[50196]}"#, AuthorityUnavailable),
            (Flow::Refresh, r#"{"error":"invalid_grant","error_codes":[700082]}"#, ConsentNeeded),
            (Flow::Refresh, r#"{"error":"invalid_client","error_codes":[7000222]}"#, AuthorityRefused),
            (Flow::Password, r#"{"error":"invalid_grant","error_codes":[50126]}"#, BadCredentials),
            (Flow::Password, r#"{"error":"invalid_grant","error_codes":[50076]}"#, AuthorityRefused),
        ];
        for (flow, json, failure) in cases {
            assert_eq!(error(flow, json).refusal.failure, failure, "{json}");
        }
    }

    #[test]
    fn only_an_invalid_grant_that_nobody_knows_is_worth_asking_about_again() {
        assert!(error(Flow::Refresh, r#"{"error":"invalid_grant","error_codes":[99999]}"#).doubtful);
        assert!(!error(Flow::Refresh, r#"{"error":"invalid_grant","error_codes":[50173]}"#).doubtful);
    }

    #[test]
    fn a_secret_that_an_authority_repeats_is_taken_out() {
        let json = r#"{"error":"invalid_client","error_description":"wrong secret s3cr~t given"}"#;
        let said = error(Flow::ClientCredentials, json).refusal.to_string();
        assert!(said.contains("[secret]") && !said.contains("s3cr~t"), "{said}");
    }

    #[test]
    fn no_answer_names_the_host_and_keeps_retry_after() {
        let none = NoAnswer {
            trouble: "HTTP 503".to_owned(),
            retry_after: Some(Duration::from_secs(3)),
            may_be_done: false,
        };
        let unissued = read_with(Flow::Refresh, Err(RequestTokenError::Request(none))).unwrap_err();
        assert_eq!(unissued.retry_after, Some(Duration::from_secs(3)));
        let line = unissued.refusal.line().unwrap();
        assert_eq!(line, "no access token: login.example.com: HTTP 503: the bridge keeps trying");
    }
}
