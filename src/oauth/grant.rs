//! What is asked of the authority: requests as the `oauth2` crate has them.

use std::borrow::Cow;

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientCredentialsTokenRequest, ClientId, ClientSecret,
    CodeTokenRequest, CsrfToken, DeviceAccessTokenRequest, DeviceAuthorizationRequest,
    DeviceAuthorizationUrl, EmptyExtraDeviceAuthorizationFields, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PasswordTokenRequest, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RefreshTokenRequest, ResourceOwnerPassword, ResourceOwnerUsername, Scope,
    StandardDeviceAuthorizationResponse, StandardRevocableToken, StandardTokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::{App, Pkce, credential::Proof};
use crate::{explain::authority::ErrorBody, secret::Secret};

/// What a token response has beside RFC 6749's fields.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Extra {
    /// Who signed in (`OpenID` Connect Core §3.1.3.3).
    #[serde(default)]
    pub(super) id_token: Option<String>,
}

impl ExtraTokenFields for Extra {}

impl std::fmt::Debug for Extra {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra").finish_non_exhaustive()
    }
}

/// A success response, RFC 6749 §5.1.
pub(super) type TokenResponse = StandardTokenResponse<Extra, BasicTokenType>;

impl oauth2::ErrorResponse for ErrorBody {}

/// The `oauth2` client with the authority's own error body, which says more than RFC 6749's.
pub(super) type Client<Device = EndpointNotSet> = oauth2::Client<
    ErrorBody,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicErrorResponse,
    EndpointNotSet,
    Device,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// RFC 7523 §2.2: the only kind of client assertion that there is.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Puts the proof's assertion, where it is one, into a request of whatever type.
macro_rules! asserted {
    ($request:expr, $proof:expr) => {
        match $proof {
            Proof::Assertion(assertion) => $request
                .add_extra_param("client_assertion_type", JWT_BEARER)
                .add_extra_param("client_assertion", text(assertion).into_owned()),
            Proof::None | Proof::Secret(_) => $request,
        }
    };
}

/// Knows the app by its proof. A secret is sent in the body (RFC 6749 §2.3.1): Entra documents that
/// form. A public client is known by its id alone, and no secret is ever sent for it.
pub(super) fn client(app: &App, proof: &Proof) -> Client {
    let client = oauth2::Client::new(ClientId::new(app.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(app.authority.token_url.clone()))
        .set_auth_type(AuthType::RequestBody);
    match proof {
        Proof::Secret(secret) => client.set_client_secret(ClientSecret::new(text(secret).into_owned())),
        Proof::None | Proof::Assertion(_) => client,
    }
}

/// Asks for a token of the app itself, RFC 6749 §4.4.2.
pub(super) fn client_credentials<'a>(
    client: &'a Client,
    proof: &Proof,
    scopes: &[String],
) -> ClientCredentialsTokenRequest<'a, ErrorBody, TokenResponse> {
    asserted!(client.exchange_client_credentials().add_scopes(listed(scopes)), proof)
}

/// Asks for another token by a refresh token, RFC 6749 §6.
pub(super) fn refresh<'a>(
    client: &'a Client,
    proof: &Proof,
    refresh_token: &'a RefreshToken,
    scopes: &[String],
) -> RefreshTokenRequest<'a, ErrorBody, TokenResponse> {
    asserted!(client.exchange_refresh_token(refresh_token).add_scopes(listed(scopes)), proof)
}

/// A refresh token as the crate wants it.
pub(super) fn refresh_token(secret: &Secret) -> RefreshToken {
    RefreshToken::new(text(secret).into_owned())
}

/// Asks for a token by a user's own password, RFC 6749 §4.3.2. 21Vianet's older form names a resource
/// where the newer has scopes.
pub(super) fn password<'a>(
    client: &'a Client,
    proof: &Proof,
    (user, password): (&'a ResourceOwnerUsername, &'a ResourceOwnerPassword),
    scopes: &[String],
    resource: Option<&'a str>,
) -> PasswordTokenRequest<'a, ErrorBody, TokenResponse> {
    let request = client.exchange_password(user, password);
    let request = match resource {
        Some(resource) => request.add_extra_param("resource", resource),
        None => request.add_scopes(listed(scopes)),
    };
    asserted!(request, proof)
}

/// A user and a password as the crate wants them; `None` where the password is no text, which no
/// authority takes.
pub(super) fn owner(user: &str, password: &Secret) -> Option<(ResourceOwnerUsername, ResourceOwnerPassword)> {
    let password = password.expose_str()?.to_owned();
    Some((ResourceOwnerUsername::new(user.to_owned()), ResourceOwnerPassword::new(password)))
}

/// Exchanges an authorization code, RFC 6749 §4.1.3 and RFC 7636 §4.5.
pub(super) fn code<'a>(
    client: &'a Client,
    proof: &Proof,
    code: &Secret,
    verifier: Option<&Secret>,
    redirect_uri: &'a RedirectUrl,
) -> CodeTokenRequest<'a, ErrorBody, TokenResponse> {
    let request = client.exchange_code(AuthorizationCode::new(text(code).into_owned()));
    let request = request.set_redirect_uri(Cow::Borrowed(redirect_uri));
    let request = match verifier {
        Some(verifier) => request.set_pkce_verifier(PkceCodeVerifier::new(text(verifier).into_owned())),
        None => request,
    };
    asserted!(request, proof)
}

/// What goes into the address that a person opens.
pub(super) struct Asked<'a> {
    pub(super) authorize_url: &'a Url,
    pub(super) redirect_uri: &'a RedirectUrl,
    pub(super) state: &'a Secret,
    pub(super) verifier: Option<&'a Secret>,
    pub(super) scopes: &'a [String],
    pub(super) login_hint: &'a str,
}

/// The address that a person opens to consent, RFC 6749 §4.1.1.
///
/// The person chooses the account even where one is signed in already: a browser's session is often
/// the administrator's own, and never the mailbox's.
pub(super) fn authorize_url(app: &App, asked: &Asked<'_>) -> Url {
    let client: oauth2::Client<
        ErrorBody,
        TokenResponse,
        BasicTokenIntrospectionResponse,
        StandardRevocableToken,
        BasicErrorResponse,
    > = oauth2::Client::new(ClientId::new(app.client_id.clone()));
    let client = client.set_auth_uri(AuthUrl::from_url(asked.authorize_url.clone()));
    let mut request = client
        .authorize_url(|| CsrfToken::new(text(asked.state).into_owned()))
        .add_scopes(listed(asked.scopes))
        .add_scopes(listed(&app.consent.identity_scopes))
        .set_redirect_uri(Cow::Borrowed(asked.redirect_uri))
        .add_extra_param("login_hint", asked.login_hint);
    if !app.consent.parameters.iter().any(|(name, _)| name == "prompt") {
        request = request.add_extra_param("prompt", "select_account");
    }
    for (name, value) in &app.consent.parameters {
        request = request.add_extra_param(name.as_str(), value.as_str());
    }
    if let Some(challenge) = asked.verifier.and_then(|verifier| challenge(app.consent.pkce, verifier)) {
        request = request.set_pkce_challenge(challenge);
    }
    request.url().0
}

fn challenge(pkce: Pkce, verifier: &Secret) -> Option<PkceCodeChallenge> {
    let verifier = PkceCodeVerifier::new(text(verifier).into_owned());
    match pkce {
        Pkce::S256 => Some(PkceCodeChallenge::from_code_verifier_sha256(&verifier)),
        Pkce::Plain => Some(PkceCodeChallenge::from_code_verifier_plain(&verifier)),
        Pkce::Off => None,
    }
}

/// Knows the app where a device code is asked for as well.
pub(super) fn device_client(app: &App, proof: &Proof, device_url: &Url) -> Client<EndpointSet> {
    client(app, proof).set_device_authorization_url(DeviceAuthorizationUrl::from_url(device_url.clone()))
}

/// Asks for a device code, RFC 8628 §3.1. A client that has a secret need not show it here, and Entra
/// does not ask for it.
pub(super) fn device_code<'a>(
    client: &'a Client<EndpointSet>,
    app: &App,
    scopes: &[String],
) -> DeviceAuthorizationRequest<'a, ErrorBody> {
    client.exchange_device_code().add_scopes(listed(scopes)).add_scopes(listed(&app.consent.identity_scopes))
}

/// Asks whether a person has consented by device code, RFC 8628 §3.4.
pub(super) fn device_token<'a>(
    client: &'a Client<EndpointSet>,
    proof: &Proof,
    granted: &'a StandardDeviceAuthorizationResponse,
) -> DeviceAccessTokenRequest<'a, 'static, TokenResponse, EmptyExtraDeviceAuthorizationFields> {
    asserted!(client.exchange_device_access_token(granted), proof)
}

fn listed(scopes: &[String]) -> impl Iterator<Item = Scope> + '_ {
    scopes.iter().cloned().map(Scope::new)
}

/// Everything that goes into a form is text; what is none is replaced, and refused by the authority.
fn text(secret: &Secret) -> Cow<'_, str> {
    String::from_utf8_lossy(secret.expose())
}

/// A form of known fields and one secret one, for a grant that the crate has no request for.
pub(super) fn form(fields: &[(&str, &str)], name: &str, secret: &Secret) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    form.append_pair(name, &text(secret)).finish()
}
