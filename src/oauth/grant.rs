//! What is asked of the authority: requests as the `oauth2` crate has them.

use oauth2::{
    AuthType, ClientCredentialsTokenRequest, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointNotSet,
    EndpointSet, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};

use super::App;
use crate::{explain::authority::ErrorBody, secret::Secret};

/// A success response, RFC 6749 §5.1.
pub(super) type TokenResponse = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

impl oauth2::ErrorResponse for ErrorBody {}

/// The `oauth2` client with the authority's own error body, which says more than RFC 6749's.
pub(super) type Client = oauth2::Client<
    ErrorBody,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A client-credentials request, RFC 6749 §4.4.2.
pub(super) type ClientCredentials<'a> = ClientCredentialsTokenRequest<'a, ErrorBody, TokenResponse>;

/// Knows the app by its secret, sent in the body (RFC 6749 §2.3.1): Entra documents that form.
///
/// `None` where the secret is no text, which no authority issues.
pub(super) fn client(app: &App, secret: &Secret) -> Option<Client> {
    Some(
        oauth2::Client::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(secret.expose_str()?.to_owned()))
            .set_token_uri(TokenUrl::from_url(app.authority.token_url.clone()))
            .set_auth_type(AuthType::RequestBody),
    )
}

/// Asks for a token of the app itself.
pub(super) fn client_credentials<'a>(client: &'a Client, app: &App) -> ClientCredentials<'a> {
    client.exchange_client_credentials().add_scopes(app.application_scopes.iter().cloned().map(Scope::new))
}
