//! Client assertions (RFC 7523 §2.2): signed by the key of a registered certificate, or by somebody who is trusted.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, Validation, decode_header};
use serde::Deserialize;

use super::{Authority, Shared, apps::Registration, refusal::Refusal, request::Ask, token};
use crate::harness::certs::Identity;

/// The longest life that Entra recommends, in seconds.
const LONGEST: u64 = 600;

#[derive(Deserialize)]
struct Assertion {
    aud: String,
    iss: String,
    sub: String,
    jti: String,
    nbf: u64,
    exp: u64,
}

/// The numbers of the assertions that were seen.
pub(super) type Seen = HashSet<String>;

impl Shared {
    pub(super) fn check_assertion(&self, app: &Registration, ask: &Ask<'_>) -> Result<(), Refusal> {
        let kind = ask.field("client_assertion_type");
        if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            return Err(Refusal::noted(900_144, format!("'client_assertion_type' is {kind:?}.")));
        }
        let assertion = ask.field("client_assertion");
        match &app.federated {
            Some(trusted) if trusted == assertion => return Ok(()),
            Some(_) if app.certificates.is_empty() => return Err(700_211.into()),
            _ => (),
        }
        let read = self.read_assertion(app, ask, assertion);
        read.map_err(|trouble| Refusal::noted(700_027, trouble))
    }

    fn read_assertion(&self, app: &Registration, ask: &Ask<'_>, assertion: &str) -> Result<(), String> {
        let header = decode_header(assertion).map_err(|error| error.to_string())?;
        if !matches!(header.alg, Algorithm::PS256 | Algorithm::RS256) {
            return Err(format!("Its alg is {:?}.", header.alg));
        }
        let is_named = |identity: &&Identity| match (&header.x5t_s256, &header.x5t) {
            (Some(thumbprint), _) => *thumbprint == identity.sha256(),
            (None, Some(thumbprint)) => *thumbprint == identity.sha1(),
            (None, None) => false,
        };
        let signer = app.certificates.iter().find(is_named).ok_or("No such certificate is registered.")?;
        let claims: Assertion = read(assertion, header.alg, signer)?;
        // A tenant has two names.
        let known = [&app.tenant, &token::tenant_id(&app.tenant), ask.tenant]
            .map(|tenant| self.url(&format!("/{tenant}/oauth2/v2.0/token")));
        if !known.contains(&claims.aud) {
            return Err(format!("Its aud is {}.", claims.aud));
        }
        if claims.iss != app.client_id || claims.sub != app.client_id {
            return Err(format!("Its iss and sub are {} and {}.", claims.iss, claims.sub));
        }
        let now = token::now();
        if claims.nbf > now || claims.exp <= now || claims.exp - claims.nbf > LONGEST {
            return Err(format!("It is good from {} to {}, and now is {now}.", claims.nbf, claims.exp));
        }
        if claims.jti.is_empty() || !self.assertions.lock().unwrap().insert(claims.jti) {
            return Err("Its jti was seen before.".to_owned());
        }
        Ok(())
    }
}

/// Checks the signature; what else is to be checked the caller checks.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    assertion: &str,
    alg: Algorithm,
    signer: &Identity,
) -> Result<T, String> {
    let mut validation = Validation::new(alg);
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.required_spec_claims = HashSet::new();
    let read = jsonwebtoken::decode(assertion, &signer.checking(), &validation);
    read.map(|token| token.claims).map_err(|error| format!("Its signature or form is wrong: {error}."))
}

impl Authority {
    /// Trusts another text as the token of a federated identity from here on, and the one before no more.
    pub fn set_federated(&self, client_id: &str, assertion: &str) {
        let mut apps = self.shared.apps.lock().unwrap();
        let app = apps.iter_mut().find(|app| app.client_id == client_id);
        app.expect("the app is registered").federated = Some(assertion.to_owned());
    }
}
