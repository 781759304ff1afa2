//! An authority and a program that asks it: what the tests of the grants have in common.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::harness::{
    authority::{APP, Authority, Registration},
    browser::{Browser, Page, parameter},
    certs::Certs,
};

/// Who signs in.
pub(crate) const ALICE: &str = "alice@contoso.com";

/// What a mail program asks for.
pub(crate) const SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send \
                         openid profile offline_access";

/// A registration of a program without secrets.
pub(crate) const PUBLIC: &str = "33333333-3333-4333-8333-333333333333";

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its S256 challenge.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An authority, and a program that knows it.
pub(crate) struct Lab {
    pub(crate) certs: Arc<Certs>,
    pub(crate) authority: Authority,
    pub(crate) browser: Browser,
}

impl Lab {
    /// An authority that knows the app [`PUBLIC`], and [`APP`].
    pub(crate) fn new() -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        authority.register_app(Registration::public(PUBLIC));
        let browser = Browser::new(&certs);
        Self { certs, authority, browser }
    }

    /// The URL of an endpoint in the tenant of [`APP`].
    pub(crate) fn url(endpoint: &str) -> String {
        endpoint.replace("{tenant}", APP.0)
    }

    /// An authorization request of [`PUBLIC`] with these parameters besides or instead; an empty one is left out.
    pub(crate) fn authorize_url(&self, instead: &[(&str, &str)]) -> String {
        let mut parameters = vec![
            ("client_id", PUBLIC),
            ("response_type", "code"),
            ("redirect_uri", "http://localhost:8025"),
            ("scope", SCOPE),
            ("state", "the state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("login_hint", ALICE),
        ];
        parameters.retain(|(name, _)| instead.iter().all(|(other, _)| other != name));
        parameters.extend(instead.iter().filter(|(_, value)| !value.is_empty()));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}?{query}", Self::url(&self.authority.authorize_url()))
    }

    /// Where an authorization request is redirected to.
    pub(crate) async fn authorize(&self, instead: &[(&str, &str)]) -> Url {
        self.browser.leaves_for(&self.authorize_url(instead)).await
    }

    /// The code that an authorization request gets.
    pub(crate) async fn code(&self, instead: &[(&str, &str)]) -> String {
        let url = self.authorize(instead).await;
        parameter(&url, "code").unwrap_or_else(|| panic!("no code in {url}"))
    }

    /// A token request of [`PUBLIC`], with these fields besides or instead; an empty one is left out.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Page {
        let mut all = vec![("client_id", PUBLIC)];
        all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
        all.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
        self.browser.post(&Self::url(&self.authority.token_url()), &all).await
    }

    /// The request that redeems a code, with these fields besides or instead.
    pub(crate) async fn redeem(&self, code: &str, instead: &[(&str, &str)]) -> Page {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", "http://localhost:8025"),
            ("code_verifier", VERIFIER),
        ];
        fields.retain(|(name, _)| instead.iter().all(|(other, _)| other != name));
        fields.extend(instead);
        self.token(&fields).await
    }

    /// The whole way of a consent, to the tokens.
    pub(crate) async fn consent(&self) -> Value {
        let code = self.code(&[]).await;
        granted(&self.redeem(&code, &[]).await)
    }

    /// Uses a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> Page {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }
}

/// The body of an answer that brings tokens.
#[track_caller]
pub(crate) fn granted(page: &Page) -> Value {
    assert_eq!(page.status, 200, "{}", page.body);
    page.json()
}

/// Checks that an answer refuses with this class and this code.
#[track_caller]
pub(crate) fn refused(page: &Page, status: u16, error: &str, code: u64) -> Value {
    let body = page.json();
    assert_eq!((page.status, body["error"].as_str()), (status, Some(error)), "{}", page.body);
    assert_eq!(body["error_codes"], serde_json::json!([code]), "{}", page.body);
    assert!(
        body["error_description"].as_str().unwrap_or_default().starts_with(&format!("AADSTS{code}: ")),
        "{body}"
    );
    body
}

/// What a JWT says, whoever signed it.
pub(crate) fn claims(token: &Value) -> Value {
    let token = token.as_str().expect("there is a token");
    let payload = token.split('.').nth(1).expect("it is a JWT");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("it is base64");
    serde_json::from_slice(&payload).expect("it is JSON")
}

/// A text of an answer.
pub(crate) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}
