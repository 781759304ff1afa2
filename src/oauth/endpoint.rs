//! The HTTP client under the `oauth2` crate: one bounded request, no redirects, no body on failure.

use std::{
    error::Error as _,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{
    StatusCode,
    header::{DATE, RETRY_AFTER},
};
use hyper_util::client::proxy::matcher::Matcher;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::reply::{self, NoAnswer};
use crate::{
    clock::SharedClock,
    explain::authority::ErrorBody,
    net::{distrust, proxy::Proxy, tls::Trust},
    policy::timing,
};

/// The largest answer that is read, in bytes. A token is a few kilobytes.
const LARGEST: usize = 256 * 1024;

/// From when on clocks that differ are worth a word: Entra and Google allow some minutes.
const FAR: Duration = Duration::from_mins(5);

/// Posts to token endpoints.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    /// The proxy of the configuration.
    proxy: Option<Arc<Proxy>>,
    clock: SharedClock,
}

impl Http {
    /// A client that accepts the certificates of `trust`, and asks by way of `proxy`; without one it obeys
    /// `HTTPS_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// Where the TLS settings or the proxy do not fit the HTTP client.
    pub(super) fn new(
        trust: &Trust,
        proxy: Option<&Arc<Proxy>>,
        clock: &SharedClock,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config())
            // A redirected token request would carry the secret elsewhere (RFC 9700 §4.11).
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timing::TOKEN_REQUEST)
            .user_agent(concat!("footbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            builder = builder.proxy(for_all(proxy)?);
        }
        Ok(Self { client: builder.build()?, proxy: proxy.cloned(), clock: Arc::clone(clock) })
    }

    async fn post(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let url = request.uri().clone();
        let no_answer = |error| no_answer(&error, self.way(&url).as_deref());
        let request = reqwest::Request::try_from(request).map_err(no_answer)?;
        let mut response = self.client.execute(request).await.map_err(no_answer)?;
        let status = response.status();
        if is_trouble(status) {
            let retry_after =
                response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
            let body = read(&mut response, no_answer).await.unwrap_or_default();
            let trouble = format!("HTTP {}{}", status.as_u16(), code(&body));
            return Err(NoAnswer { trouble, retry_after, may_be_done: status.is_server_error() });
        }
        let ahead =
            response.headers().get(DATE).and_then(|date| ahead(date.to_str().ok()?, self.clock.now()));
        let body = read(&mut response, no_answer).await?;
        if !status.is_success() && serde_json::from_slice::<ErrorBody>(&body).is_err() {
            let trouble = format!("HTTP {} and no word of OAuth", status.as_u16());
            return Err(NoAnswer { trouble, retry_after: None, may_be_done: false });
        }
        let body = if status.is_success() {
            reply::with_numeric_lifetime(body)
        } else {
            reply::with_clock(body, ahead)
        };
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = status;
        Ok(answer)
    }

    /// By way of which proxy a URL is asked, for people: without credentials.
    fn way(&self, url: &http::Uri) -> Option<String> {
        match &self.proxy {
            Some(proxy) => Some(proxy.to_string()),
            None => Matcher::from_env().intercept(url).map(|found| {
                // The host and the port alone: the rest may be a user and a password.
                let uri = found.uri();
                let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
                format!("{}{port} of HTTPS_PROXY", uri.host().unwrap_or_default())
            }),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

/// Reads the body of an answer, as far as one may be long.
async fn read(
    response: &mut reqwest::Response,
    no_answer: impl Fn(reqwest::Error) -> NoAnswer,
) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&no_answer)? {
        if body.len() + chunk.len() > LARGEST {
            let trouble = format!("its answer is over {LARGEST} bytes");
            return Err(NoAnswer { trouble, retry_after: None, may_be_done: true });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Entra's number in an answer that is trouble, to be put behind its status.
fn code(body: &[u8]) -> String {
    let code = serde_json::from_slice::<ErrorBody>(body).ok().and_then(|body| body.code());
    code.map(|code| format!(" (AADSTS{code})")).unwrap_or_default()
}

/// Statuses that say nothing about the request: RFC 9110 §15.5.9, RFC 6585 §4, RFC 9110 §15.6.
fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// By how many seconds our clock is ahead of an answer's Date (RFC 9110 §6.6.1), where that is further than the time
/// for which assertions are taken.
fn ahead(date: &str, now: SystemTime) -> Option<i64> {
    let date = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    let ahead = (OffsetDateTime::from(now) - date).whole_seconds();
    (ahead.abs() > FAR.as_secs().cast_signed()).then_some(ahead)
}

/// The delay form of Retry-After. The date form is rare and would need a clock that agrees.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The proxy for every URL. Its credentials are kept out of the client's own texts by being no part of its URL.
fn for_all(proxy: &Proxy) -> Result<reqwest::Proxy, reqwest::Error> {
    let (url, credentials) = proxy.for_http_client();
    let all = reqwest::Proxy::all(url)?;
    let texts = credentials.and_then(|(user, password)| user.expose_str().zip(password.expose_str()));
    Ok(match texts {
        Some((user, password)) => all.basic_auth(user, password),
        None => all,
    })
}

/// The innermost cause is the one that a person understands: `Connection refused`, not `error sending
/// request`. None of them quotes the request.
fn no_answer(error: &reqwest::Error, proxy: Option<&str>) -> NoAnswer {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    let trouble = if error.is_timeout() {
        format!("no answer within {} s", timing::TOKEN_REQUEST.as_secs())
    } else {
        cause.map_or_else(|| error.to_string(), in_words)
    };
    let trouble = match proxy {
        Some(proxy) if error.is_connect() && !is_of_tls(cause) => {
            format!("proxy {proxy} {}", as_proxys(&trouble))
        }
        Some(proxy) if error.is_connect() || error.is_timeout() => {
            format!("{trouble} (by way of proxy {proxy})")
        }
        Some(_) | None => trouble,
    };
    NoAnswer { trouble, retry_after: None, may_be_done: !error.is_connect() }
}

/// A cause as it is told of a mail server.
fn in_words(cause: &(dyn std::error::Error + 'static)) -> String {
    let distrusted = of_tls(cause).and_then(distrust::in_words);
    let distrusted = distrusted.map(|why| format!("its certificate is refused: {why}"));
    distrusted.unwrap_or_else(|| cause.to_string())
}

/// TLS's own error in a cause. The HTTP client wraps it in errors of input and output, once or more.
fn of_tls<'c>(cause: &'c (dyn std::error::Error + 'static)) -> Option<&'c rustls::Error> {
    let mut cause = cause;
    while let Some(within) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        cause = within;
    }
    cause.downcast_ref()
}

/// Whether a cause is TLS's, which is spoken with the authority and not with a proxy. A handshake that is broken
/// off has no type of its own.
fn is_of_tls(cause: Option<&(dyn std::error::Error + 'static)>) -> bool {
    cause.is_some_and(|cause| cause.to_string() == "tls handshake eof" || of_tls(cause).is_some())
}

/// What the HTTP client says of a proxy, in the words that are used of a mail server's.
fn as_proxys(trouble: &str) -> String {
    let said = trouble.trim_start_matches("tunnel error: ").trim_start_matches("SOCKS error: ");
    match said {
        "proxy authorization required"
        | "credentials not accepted"
        // It took none of the methods that it was offered, that without credentials among them.
        | "server does not support user/pass authentication" => {
            "refuses the user and password, or wants some".to_owned()
        }
        "failed to create underlying connection" => "cannot be reached".to_owned(),
        said if said.starts_with("Connection refused") => format!("cannot be reached: {said}"),
        "unsuccessful" => "does not connect us there".to_owned(),
        "unexpected end of file" | "unexpected eof" => "broke the connection off".to_owned(),
        said => format!("is in trouble: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::clock::System;

    /// What is made of an answer's head and body.
    async fn answered(head: &str, body: &str) -> ErrorBody {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\n{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let clock: SharedClock = Arc::new(System);
        let http = Http::new(&Trust::new(None).unwrap(), None, &clock).unwrap();
        let request = http::Request::post(url).body(Vec::new()).unwrap();
        let (answer, ()) = tokio::join!(http.post(request), serving);
        serde_json::from_slice(answer.unwrap().body()).unwrap()
    }

    #[tokio::test]
    async fn an_error_says_how_far_our_clock_is_from_the_authoritys() {
        let body = r#"{"error":"invalid_client","error_codes":[700024]}"#;
        let read = answered("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", body).await;
        assert!(read.clock_ahead.unwrap() > 30 * 365 * 86_400, "{read:?}");
        assert_eq!(read.error_codes, [700_024]);
        assert_eq!(answered("", body).await.clock_ahead, None);
    }

    #[test]
    fn clocks_that_differ_by_more_than_five_minutes_are_told_apart() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:45:00 GMT", None),
            ("Sun, 06 Nov 1994 08:29:37 GMT", Some(1_200)),
            ("Sun, 06 Nov 1994 10:49:37 GMT", Some(-7_200)),
            ("yesterday", None),
            ("", None),
        ];
        for (date, expected) in cases {
            assert_eq!(ahead(date, now), expected, "{date}");
        }
    }
}
