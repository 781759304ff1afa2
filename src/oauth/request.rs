//! One token request, by whatever a slot's token comes by.

use std::time::Duration;

use aws_lc_rs::rand;
use http::{HeaderValue, Method, header};
use oauth2::{
    AsyncHttpClient as _, HttpRequest, RedirectUrl, RefreshToken, ResourceOwnerPassword,
    ResourceOwnerUsername, StandardDeviceAuthorizationResponse,
};
use tokio::sync::mpsc;
use tracing::warn;
use url::Url;

use super::{
    App,
    credential::{CredentialError, Occasion, Proof},
    endpoint::Http,
    grant,
    reply::{self, Answer, Granted},
    slot::{Kind, Spec},
    state::Unissued,
};
use crate::{clock::SharedClock, explain::authority::Flow, failure::Failure, policy::timing, secret::Secret};

/// Asks the authority on behalf of one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) http: &'a Http,
    pub(super) spec: &'a Spec,
    pub(super) clock: &'a SharedClock,
}

/// What one question about a device code comes to.
enum Asked {
    /// Nobody has entered it yet; the authority wants to be left alone so much longer than agreed.
    Pending(Duration),
    Answered(Answer),
}

/// What is asked with, beside the app's own proof.
enum With<'a> {
    Nothing,
    RefreshToken(RefreshToken),
    Password(ResourceOwnerUsername, ResourceOwnerPassword),
    Code { code: &'a Secret, verifier: Option<&'a Secret>, redirect_uri: &'a RedirectUrl },
}

impl With<'_> {
    fn flow(&self) -> Flow {
        match self {
            Self::Nothing => Flow::ClientCredentials,
            Self::RefreshToken(_) => Flow::Refresh,
            Self::Password(..) => Flow::Password,
            Self::Code { .. } => Flow::Code,
        }
    }
}

impl Asking<'_> {
    /// Asks for a token, by the refresh token where that is how the slot's come.
    ///
    /// # Errors
    /// [`Unissued`], with what to tell the client.
    pub(super) async fn token(self, refresh_token: Option<&Secret>) -> Result<Granted, Unissued> {
        match (&self.spec.kind, refresh_token) {
            (Kind::App, _) => self.proven(With::Nothing, None, &[]).await,
            (Kind::LoginSecret(shown), _) => self.proven(With::Nothing, Some(shown), &[]).await,
            (Kind::Delegated, Some(token)) => {
                self.proven(With::RefreshToken(grant::refresh_token(token)), None, &[token]).await
            }
            (Kind::Delegated, None) => Err(Unissued::new(Failure::Internal.into())),
            (Kind::Password { user, password }, _) => {
                let Some((user, owner)) = grant::owner(user, password) else {
                    return Err(Unissued::new(Failure::BadCredentials.into()));
                };
                self.proven(With::Password(user, owner), None, &[password]).await
            }
            (Kind::ServiceAccount(mailbox), _) => self.service_account(mailbox).await,
        }
    }

    /// RFC 7523 §2.1, which the `oauth2` crate has no request for.
    async fn service_account(self, mailbox: &str) -> Result<Granted, Unissued> {
        const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let (app, now) = (&*self.spec.app, self.clock.now());
        let token_url = &app.authority.token_url;
        let assertion = app.credential.service_account_assertion(&self.spec.scopes, mailbox, now).await;
        let assertion = assertion.map_err(|error| cannot_prove(app, &error))?;
        let assertion = assertion.ok_or_else(|| Unissued::new(Failure::Internal.into()))?;
        let form = grant::form(&[("grant_type", GRANT_TYPE)], "assertion", &assertion);
        let answer = reply::answered(self.http.call(form_request(token_url, form)).await);
        reply::read(self.spec, Flow::ServiceAccount, &[&assertion], answer)
    }

    /// Exchanges the code that a consent in the browser has brought.
    ///
    /// # Errors
    /// [`Unissued`], with what to tell the person.
    pub(super) async fn code(
        self,
        code: &Secret,
        verifier: Option<&Secret>,
        redirect_uri: &RedirectUrl,
    ) -> Result<Granted, Unissued> {
        let mut sent = vec![code];
        sent.extend(verifier);
        self.proven(With::Code { code, verifier, redirect_uri }, None, &sent).await
    }

    /// Asks for a code that a person enters elsewhere, RFC 8628 §3.2.
    ///
    /// # Errors
    /// [`Unissued`], with what to tell the person.
    pub(super) async fn device_code(
        self,
        device_url: &Url,
    ) -> Result<StandardDeviceAuthorizationResponse, Unissued> {
        let app = &*self.spec.app;
        let proof = self.proof(None, 0).await?;
        let client = grant::device_client(app, &proof, device_url);
        let answer = grant::device_code(&client, app, &self.spec.scopes).request_async(self.http).await;
        let sent: Vec<_> = reply::sent(&proof).into_iter().collect();
        answer.map_err(|error| reply::unread(self.spec, Flow::Device, &sent, error))
    }

    /// Waits until a person has entered the code, asking no more often than the authority allows.
    ///
    /// # Errors
    /// [`Unissued`], with what to tell the person.
    pub(super) async fn device_token(
        self,
        device_url: &Url,
        granted: &StandardDeviceAuthorizationResponse,
    ) -> Result<Granted, Unissued> {
        let polling = async {
            let (mut interval, mut number) = (granted.interval(), 0);
            loop {
                // Each question has a proof of its own: an assertion lives shorter than a person may take.
                let proof = self.proof(None, number).await?;
                match self.ask_once(device_url, granted, &proof).await {
                    Asked::Pending(longer) => {
                        interval = (interval + longer).min(timing::LONGEST_POLL);
                        tokio::time::sleep(interval).await;
                    }
                    Asked::Answered(answer)
                        if number + 1 < self.spec.app.credential.proofs()
                            && reply::blames_the_proof(&answer) =>
                    {
                        number += 1;
                    }
                    Asked::Answered(answer) => {
                        let code = Secret::new(granted.device_code().secret().as_bytes());
                        let sent: Vec<_> = reply::sent(&proof).into_iter().chain([&code]).collect();
                        return reply::read(self.spec, Flow::Device, &sent, answer);
                    }
                }
            }
        };
        let patience = granted.expires_in().min(timing::CONSENT);
        let over = |_| Err(Unissued::new(reply::device_code_over(self.spec)));
        tokio::time::timeout(patience, polling).await.unwrap_or_else(over)
    }

    /// Asks once. The crate would ask on in a loop, with one and the same proof: it is left at its first
    /// pause, which tells how much longer than agreed the authority wants to be left alone.
    async fn ask_once(
        self,
        device_url: &Url,
        granted: &StandardDeviceAuthorizationResponse,
        proof: &Proof,
    ) -> Asked {
        let client = grant::device_client(&self.spec.app, proof, device_url);
        let (sender, mut paused) = mpsc::channel(1);
        let pause = |pause: Duration| {
            let sender = sender.clone();
            async move {
                let _ = sender.send(pause).await;
                std::future::pending::<()>().await;
            }
        };
        let request = grant::device_token(&client, proof, granted);
        tokio::select! {
            answer = request.request_async(self.http, pause, None) => {
                Asked::Answered(answer.map_err(reply::device_error))
            }
            pause = paused.recv() => {
                Asked::Pending(pause.unwrap_or_default().saturating_sub(granted.interval()))
            }
        }
    }

    /// Asks with each of the app's proofs until the authority blames something else.
    async fn proven(
        self,
        with: With<'_>,
        shown: Option<&Secret>,
        sent: &[&Secret],
    ) -> Result<Granted, Unissued> {
        let last = self.spec.app.credential.proofs().saturating_sub(1);
        let mut number = 0;
        loop {
            let proof = match self.proof(shown, number).await {
                Ok(proof) => proof,
                // The other one of a roll-over may be readable.
                Err(_) if number < last => {
                    number += 1;
                    continue;
                }
                Err(unissued) => return Err(unissued),
            };
            let answer = self.answer(&with, &proof).await;
            if number < last && reply::blames_the_proof(&answer) {
                warn!(app = %self.spec.app.name, "the authority refuses the first secret, trying the second");
                number += 1;
                continue;
            }
            let mut sent = sent.to_vec();
            sent.extend(reply::sent(&proof));
            return reply::read(self.spec, with.flow(), &sent, answer);
        }
    }

    async fn answer(self, with: &With<'_>, proof: &Proof) -> Answer {
        let (http, app, scopes) = (self.http, &*self.spec.app, &self.spec.scopes);
        let client = grant::client(app, proof);
        match with {
            With::Nothing => grant::client_credentials(&client, proof, scopes).request_async(http).await,
            With::RefreshToken(token) => {
                grant::refresh(&client, proof, token, scopes).request_async(http).await
            }
            With::Password(user, password) => {
                let resource = app.resource.as_deref();
                let request = grant::password(&client, proof, (user, password), scopes, resource);
                request.request_async(http).await
            }
            With::Code { code, verifier, redirect_uri } => {
                grant::code(&client, proof, code, *verifier, redirect_uri).request_async(http).await
            }
        }
    }

    async fn proof(self, shown: Option<&Secret>, number: usize) -> Result<Proof, Unissued> {
        let app = &*self.spec.app;
        let mut unique = [0; 16];
        rand::fill(&mut unique).map_err(|_| Unissued::new(Failure::Internal.into()))?;
        let occasion = Occasion {
            client_id: &app.client_id,
            audience: app.authority.token_url.as_str(),
            now: self.clock.now(),
            unique,
        };
        let proof = app.credential.proof(shown, number, occasion).await;
        proof.map_err(|error| cannot_prove(app, &error))
    }
}

/// The place is for the log alone: a mailbox's user has no business with it.
fn cannot_prove(app: &App, error: &CredentialError) -> Unissued {
    warn!(app = %app.name, %error, cure = error.cure(), "the app's credential cannot be used");
    reply::no_secret(app)
}

fn form_request(url: &Url, form: String) -> HttpRequest {
    let mut request = HttpRequest::new(form.into_bytes());
    *request.method_mut() = Method::POST;
    // A `Url` is a URI but for characters that it has encoded.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    let value = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, value);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_goes_where_it_is_sent() {
        let url = Url::parse("https://login.example.com/t/token?x=1").unwrap();
        let form: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("a", "b c&").finish();
        let request = form_request(&url, form);
        assert_eq!(
            (request.uri().to_string().as_str(), request.body().as_slice()),
            (url.as_str(), &b"a=b+c%26"[..])
        );
    }
}
