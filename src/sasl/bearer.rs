//! XOAUTH2 and OAUTHBEARER: an access token as a SASL response.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::exchange::LENIENT;
use crate::secret::Secret;

/// The mechanism by which the access token is shown to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mechanism {
    /// Google's and Microsoft's own form.
    #[default]
    Xoauth2,
    /// RFC 7628.
    OauthBearer,
}

impl Mechanism {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Xoauth2 => "XOAUTH2",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// What must be sent after an error challenge before the refusal itself is said: an empty line, or
    /// for OAUTHBEARER a lone ^A (RFC 7628 §3.2.3) in base64.
    #[must_use]
    pub fn acknowledgement(self) -> &'static str {
        match self {
            Self::Xoauth2 => "",
            Self::OauthBearer => "AQ==",
        }
    }
}

/// The text of an error challenge, `{"status":"401",…}` (RFC 7628 §3.2.2), from its base64. What is no
/// base64 is returned as it came.
#[must_use]
pub fn error_challenge(challenge: &str) -> String {
    LENIENT
        .decode(challenge.trim())
        .map_or_else(|_| challenge.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// The mechanism's response in base64, which may be sent as an initial response or after a challenge.
///
/// `user` is the mailbox that the token shall open. XOAUTH2: `user=…^Aauth=Bearer …^A^A`.
/// OAUTHBEARER: `n,a=…,^Aauth=Bearer …^A^A` (RFC 7628 §3.1), with `=` and `,` in the user escaped
/// (RFC 5801 §4).
#[must_use]
pub fn response(mechanism: Mechanism, user: &str, access_token: &Secret) -> Secret {
    let head = match mechanism {
        Mechanism::Xoauth2 => format!("user={user}\x01auth=Bearer "),
        Mechanism::OauthBearer => {
            format!("n,a={},\x01auth=Bearer ", user.replace('=', "=3D").replace(',', "=2C"))
        }
    };
    let token = access_token.expose();
    let mut clear = Zeroizing::new(Vec::with_capacity(head.len() + token.len() + 2));
    clear.extend_from_slice(head.as_bytes());
    clear.extend_from_slice(token);
    clear.extend_from_slice(b"\x01\x01");
    Secret::new(BASE64_STANDARD.encode(&*clear))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(mechanism: Mechanism, user: &str) -> String {
        let response = response(mechanism, user, &Secret::new("vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=="));
        String::from_utf8(BASE64_STANDARD.decode(response.expose()).unwrap()).unwrap()
    }

    #[test]
    fn xoauth2_has_the_form_that_microsoft_prints() {
        assert_eq!(
            decoded(Mechanism::Xoauth2, "test@contoso.onmicrosoft.com"),
            "user=test@contoso.onmicrosoft.com\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\x01\x01"
        );
    }

    #[test]
    fn oauthbearer_has_the_form_of_rfc_7628_and_escapes_the_user() {
        assert_eq!(
            decoded(Mechanism::OauthBearer, "a=b,c@example.com"),
            "n,a=a=3Db=2Cc@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\x01\x01"
        );
    }
}
