//! What the authority's answer means: a token, trouble that passes, or a refusal.

use std::{fmt, time::Duration};

use oauth2::{RequestTokenError, TokenResponse as _};

use super::{
    App,
    grant::TokenResponse,
    state::{Issued, Unissued},
};
use crate::{
    explain::authority::{self, ErrorBody},
    failure::{Failure, Refusal},
    secret::Secret,
};

/// How long a token is taken to live whose answer does not say: the usual hour. RFC 6749 §5.1 only
/// recommends `expires_in`; an upstream's rejection corrects a wrong guess.
const UNSTATED_LIFETIME: Duration = Duration::from_hours(1);

/// Why there is no answer to classify. The text says what happened, to be put behind the host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAnswer {
    /// What happened: `HTTP 503`, `connection refused`.
    pub(super) trouble: String,
    /// The answer's Retry-After (RFC 9110 §10.2.3).
    pub(super) retry_after: Option<Duration>,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.trouble)
    }
}

impl std::error::Error for NoAnswer {}

/// Reads a token response.
///
/// # Errors
/// [`Unissued`] with what to tell the client; nothing of the authority's body but its error fields
/// is kept, since a body that cannot be read may hold a token.
pub(super) fn read(
    app: &App,
    secret: &Secret,
    answer: Result<TokenResponse, RequestTokenError<NoAnswer, ErrorBody>>,
) -> Result<Issued, Unissued> {
    match answer {
        Ok(response) if response.access_token().secret().is_empty() => Err(garbage(app)),
        Ok(response) => Ok(Issued {
            token: Secret::new(response.access_token().secret().as_bytes()),
            lifetime: response.expires_in().unwrap_or(UNSTATED_LIFETIME),
        }),
        Err(RequestTokenError::ServerResponse(body)) if body.is_temporary() => {
            let said = body.code().map_or_else(|| body.error.clone(), |code| format!("AADSTS{code}"));
            Err(unavailable(app, &said, None))
        }
        Err(RequestTokenError::ServerResponse(body)) => {
            let explanation = authority::refused(app.name.as_str(), &without(body, secret));
            let refusal = Refusal::explained(Failure::AuthorityRefused, explanation);
            Err(Unissued { refusal, retry_after: None })
        }
        Err(RequestTokenError::Request(NoAnswer { trouble, retry_after })) => {
            Err(unavailable(app, &trouble, retry_after))
        }
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(garbage(app)),
    }
}

/// Trouble that passes.
pub(super) fn unavailable(app: &App, trouble: &str, retry_after: Option<Duration>) -> Unissued {
    let host = app.authority.token_url.host_str().unwrap_or_default();
    let explanation = authority::unavailable(host, trouble);
    Unissued { refusal: Refusal::explained(Failure::AuthorityUnavailable, explanation), retry_after }
}

/// The app's secret cannot be read. Trouble that passes: a file is being replaced, a vault is slow.
pub(super) fn no_secret(app: &App) -> Unissued {
    let explanation = authority::no_secret(app.name.as_str());
    Unissued { refusal: Refusal::explained(Failure::AuthorityUnavailable, explanation), retry_after: None }
}

/// Takes the secret out of what an authority says, should it repeat what it was sent.
fn without(mut body: ErrorBody, secret: &Secret) -> ErrorBody {
    let Some(secret) = secret.expose_str() else { return body };
    for text in body.error_description.iter_mut().chain([&mut body.error]) {
        *text = text.replace(secret, "[secret]");
    }
    body
}

fn garbage(app: &App) -> Unissued {
    unavailable(app, "its answer is no token response", None)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::{
        super::{Authority, Consent, Credential, Pkce, Redirect},
        *,
    };
    use crate::{ids::AppName, net::tls::Trust, secret::Source};

    fn app() -> App {
        App {
            name: AppName::new("contoso"),
            client_id: "id".to_owned(),
            credential: Credential::Secrets(vec![Source::Env("X".to_owned())]),
            authority: Authority {
                token_url: "https://login.example.com/t/token".parse().unwrap(),
                authorize_url: None,
                device_url: None,
            },
            application_scopes: Vec::new(),
            delegated_scopes: BTreeMap::new(),
            consent: Consent {
                redirect: Redirect::AnyPort,
                pkce: Pkce::S256,
                identity_scopes: Vec::new(),
                parameters: Vec::new(),
            },
            resource: None,
            credential_expires: None,
            trust: Arc::new(Trust::new(None).unwrap()),
        }
    }

    fn response(json: &str) -> Result<Issued, Unissued> {
        read(&app(), &Secret::new("s3cr~t"), Ok(serde_json::from_str(json).unwrap()))
    }

    fn error(json: &str) -> Unissued {
        let body = serde_json::from_str(json).unwrap();
        read(&app(), &Secret::new("s3cr~t"), Err(RequestTokenError::ServerResponse(body))).unwrap_err()
    }

    #[test]
    fn a_token_is_read_with_its_lifetime_or_the_usual_hour() {
        let issued = response(r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#).unwrap();
        assert_eq!((issued.token, issued.lifetime), (Secret::new("t"), Duration::from_mins(1)));
        let issued = response(r#"{"access_token":"t","token_type":"Bearer"}"#).unwrap();
        assert_eq!(issued.lifetime, UNSTATED_LIFETIME);
    }

    #[test]
    fn an_empty_token_is_garbage_and_garbage_is_temporary() {
        let unissued = response(r#"{"access_token":"","token_type":"Bearer"}"#).unwrap_err();
        assert_eq!(unissued.refusal.failure, Failure::AuthorityUnavailable);
        let unissued =
            read(&app(), &Secret::new("s3cr~t"), Err(RequestTokenError::Other("x".to_owned()))).unwrap_err();
        assert_eq!(unissued.refusal.failure, Failure::AuthorityUnavailable);
    }

    #[test]
    fn the_error_class_decides() {
        let cases = [
            (r#"{"error":"invalid_client","error_codes":[7000215]}"#, Failure::AuthorityRefused),
            (r#"{"error":"unauthorized_client"}"#, Failure::AuthorityRefused),
            (r#"{"error":"temporarily_unavailable"}"#, Failure::AuthorityUnavailable),
            (r#"{"error":"invalid_request","error_codes":[90033]}"#, Failure::AuthorityUnavailable),
        ];
        for (json, failure) in cases {
            assert_eq!(error(json).refusal.failure, failure, "{json}");
        }
    }

    #[test]
    fn a_secret_that_an_authority_repeats_is_taken_out() {
        let unissued = error(r#"{"error":"invalid_client","error_description":"wrong secret s3cr~t given"}"#);
        let said = unissued.refusal.to_string();
        assert!(said.contains("wrong secret [secret] given"), "{said}");
    }

    #[test]
    fn no_answer_names_the_host_and_keeps_retry_after() {
        let none = NoAnswer { trouble: "HTTP 503".to_owned(), retry_after: Some(Duration::from_secs(3)) };
        let unissued =
            read(&app(), &Secret::new("s3cr~t"), Err(RequestTokenError::Request(none))).unwrap_err();
        assert_eq!(unissued.retry_after, Some(Duration::from_secs(3)));
        let line = unissued.refusal.line().unwrap();
        assert_eq!(line, "no access token: login.example.com: HTTP 503: the bridge keeps trying");
    }
}
