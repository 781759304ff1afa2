//! The resource owner password grant (RFC 6749 §4.3), which Entra still has, and 21Vianet's older form of it.

use super::{
    Shared,
    answer::Tokens,
    apps::Registration,
    delegated::{self, Consent},
    refusal::Refusal,
    request::Ask,
};

impl Shared {
    /// `grant_type=password`
    pub(super) fn password(&self, app: &Registration, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        if ask.older && ask.resource().is_none() {
            return Err(Refusal::noted(900_144, "'resource'."));
        }
        let person = self.people.lock().unwrap().known(ask.field("username"));
        let person = person.ok_or(50034)?;
        if person.password.as_deref() != Some(ask.field("password")) {
            return Err(50126.into());
        }
        if person.needs_mfa {
            return Err(50076.into());
        }
        let scopes = match ask.resource() {
            // The older form knows no scopes: the token has all that the app may.
            Some(resource) => delegated::everything(resource),
            None => delegated::scopes(ask.field("scope")),
        };
        let consent = Consent {
            app: app.client_id.clone(),
            tenant: delegated::home(app, ask.tenant),
            user: person.upn,
            scopes,
            nonce: None,
        };
        self.issue(&consent, ask, None)
    }
}
