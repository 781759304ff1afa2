//! Who has signed in, and whether that is who should have.

use super::{reply::Granted, slot::Spec};
use crate::{
    explain::{claims::Claims, consent},
    failure::Explanation,
    store::Identity,
};

/// Compares who has signed in with who should have, by the `id_token`, else by an access token that can
/// be read. Returns what to keep; what was known before where the authority does not say.
///
/// # Errors
/// Both addresses and the cure, where somebody else has signed in.
pub(super) fn check(
    spec: &Spec,
    known: Option<&Identity>,
    granted: &Granted,
) -> Result<Option<Identity>, Explanation> {
    let read = |token: Option<&_>| token.and_then(Claims::read).filter(|claims| !claims.users.is_empty());
    let claims = read(granted.id_token.as_ref()).or_else(|| read(Some(&granted.issued.token)));
    let Some(claims) = claims else { return Ok(known.cloned()) };
    let expected = spec.sign_in.join(" or ");
    let named = claims.users.iter().find(|user| spec.sign_in.contains(user));
    let user = named.or(claims.users.first()).cloned().unwrap_or_default();
    // Once the person is known by ids that never change, an address may: it can be given away, and taken.
    if let Some(Identity { tenant: tenant @ Some(_), object: object @ Some(_), .. }) = known
        && let (Some(_), Some(_)) = (&claims.tenant, &claims.object)
    {
        let same = *tenant == claims.tenant && *object == claims.object;
        let kept = Identity { user: user.clone(), tenant: claims.tenant, object: claims.object };
        return if same { Ok(Some(kept)) } else { Err(consent::someone_else(&user, &expected)) };
    }
    match named {
        Some(_) => Ok(Some(Identity { user, tenant: claims.tenant, object: claims.object })),
        None => Err(consent::someone_else(&user, &expected)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        oauth::{slot::tests::spec, state::Issued},
        secret::Secret,
    };

    fn jwt(claims: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    fn granted(access: Secret, id_token: Option<Secret>) -> Granted {
        let issued = Issued { token: access, lifetime: Duration::from_hours(1) };
        Granted { issued, refresh_token: None, id_token, scopes: None }
    }

    #[test]
    fn the_id_token_says_who_signed_in_and_else_the_access_token() {
        let alice = jwt(r#"{"preferred_username":"Alice@Example.com","tid":"t","oid":"o"}"#);
        let bob = jwt(r#"{"upn":"bob@example.com"}"#);
        let kept = check(&spec(), None, &granted(bob.clone(), Some(alice.clone()))).unwrap().unwrap();
        assert_eq!((kept.user.as_str(), kept.tenant.as_deref()), ("alice@example.com", Some("t")));
        assert!(check(&spec(), None, &granted(alice, None)).unwrap().is_some());
        let wrong = check(&spec(), None, &granted(bob, None)).unwrap_err();
        assert!(
            wrong.cause.contains("bob@example.com") && wrong.cause.contains("alice@example.com"),
            "{wrong:?}"
        );
    }

    #[test]
    fn an_authority_that_does_not_say_changes_nothing() {
        let known = Identity { user: "alice@example.com".to_owned(), tenant: None, object: None };
        let opaque = granted(Secret::new("EwB4A8l6"), None);
        assert_eq!(check(&spec(), Some(&known), &opaque).unwrap(), Some(known));
        assert_eq!(check(&spec(), None, &opaque).unwrap(), None);
    }

    #[test]
    fn a_person_is_known_by_ids_and_not_by_an_address_that_may_be_anothers_by_now() {
        let identity = |object: &str| Identity {
            user: "alice@example.com".to_owned(),
            tenant: Some("t".to_owned()),
            object: Some(object.to_owned()),
        };
        let renamed = jwt(r#"{"preferred_username":"a.smith@example.com","tid":"t","oid":"o"}"#);
        assert!(check(&spec(), Some(&identity("o")), &granted(renamed, None)).is_ok());
        let successor = jwt(r#"{"preferred_username":"alice@example.com","tid":"t","oid":"other"}"#);
        assert!(check(&spec(), Some(&identity("o")), &granted(successor, None)).is_err());
    }
}
