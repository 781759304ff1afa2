//! What an error of the token endpoint means for what we asked with.
//!
//! The error class of RFC 6749 §5.2 decides; where one class covers both "never again" and "later",
//! the numbers of Entra and the sentences of Google tell how sure that is. An unknown number or
//! sentence always takes the milder meaning.

use super::ErrorBody;

/// What was asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// The app's own secret or certificate, RFC 6749 §4.4.
    ClientCredentials,
    /// A refresh token, RFC 6749 §6.
    Refresh,
    /// A code from the browser, RFC 6749 §4.1.3.
    Code,
    /// A device code, RFC 8628 §3.4.
    Device,
    /// A person's name and password, RFC 6749 §4.3.
    Password,
    /// An assertion signed by a Google service account, RFC 7523 §2.1.
    ServiceAccount,
}

impl Flow {
    /// Every flow.
    pub const ALL: [Self; 6] = [
        Self::ClientCredentials,
        Self::Refresh,
        Self::Code,
        Self::Device,
        Self::Password,
        Self::ServiceAccount,
    ];

    /// Whether a person signs in, or has signed in, at the authority.
    #[must_use]
    pub fn is_delegated(self) -> bool {
        match self {
            Self::Refresh | Self::Code | Self::Device => true,
            Self::ClientCredentials | Self::Password | Self::ServiceAccount => false,
        }
    }
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same request may succeed later. A device code that nobody has confirmed yet is that, too.
    Temporary,
    /// The refresh token is not taken: somebody must sign in again.
    Consent {
        /// The authority says so in words that we know. Otherwise the same error may have a cause that
        /// passes, and one answer is no proof.
        known: bool,
    },
    /// The name or the password that was sent is wrong.
    WrongPassword,
    /// The app's secret, certificate or key is wrong or has expired: another one may serve.
    SecretUnusable,
    /// A person must change something at the authority or in the configuration.
    Refused,
}

/// Error classes that pass by themselves: RFC 6749 §4.1.2.1, RFC 8628 §3.5, and Google's
/// `internal_failure` and `rate_limit_exceeded`, which its own libraries and device page repeat.
const PASSING: [&str; 6] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "authorization_pending",
    "internal_failure",
    "rate_limit_exceeded",
];

/// Transient failures (90024, 90033), a throttled tenant (90055), and "the same request too often"
/// (50196): they come under `invalid_request` or `invalid_grant` and pass by themselves.
const TRY_AGAIN: [u64; 4] = [50_196, 90_024, 90_033, 90_055];

/// A secret or certificate that is wrong or has expired; 70002 and 50012 are the older numbers.
const SECRET: [u64; 5] = [7_000_215, 7_000_222, 700_027, 70_002, 50_012];

/// A wrong name or password, or an account that may not sign in at all.
const PASSWORD: [u64; 5] = [50_126, 50_034, 50_053, 50_055, 50_057];

/// Numbers that end a refresh token until somebody signs in.
///
/// Not among them: 50053 (a locked account opens again) and 50105 (an administrator assigns the person
/// to the app, and the same refresh token serves).
const ENDED: &[&[u64]] = &[
    // The token itself: invalid, expired, unused for too long, of a web page, too old for a policy.
    &[70_000, 70_008, 700_082, 700_084, 70_043],
    // Its session: revoked, or the password was changed.
    &[50_132, 50_133, 50_173],
    // More than a password is asked for.
    &[50_072, 50_074, 50_076, 50_077, 50_078, 50_079, 50_097],
    // Conditional Access and other policies.
    &[50_131, 53_000, 53_001, 53_002, 53_003, 53_004, 53_011, 530_031, 530_032, 530_034, 530_035],
    // Consent is missing, was declined, or is an administrator's to give.
    &[65_001, 65_004, 90_094, 90_095],
    // The account: absent, expired, disabled, foreign, to be reset.
    &[50_020, 500_208, 50_034, 50_055, 50_057, 50_125],
];

/// Numbers that pass, or that an administrator settles without a new sign-in, whatever else is said.
const UNENDED: [u64; 2] = [50_053, 50_105];

/// Error classes by which a refresh token is refused: RFC 6749 §5.2, and OIDC Core §3.1.2.6,
/// whose three say outright that a person is needed.
const GRANT: [&str; 4] = ["invalid_grant", "interaction_required", "consent_required", "login_required"];

/// Entra's `suberror`s under `invalid_grant` that ask for a new sign-in. Microsoft, "Handle errors and
/// exceptions in MSAL": the others may pass, or are an administrator's.
const SUBERRORS: [&str; 5] =
    ["bad_token", "token_expired", "basic_action", "consent_required", "user_password_expired"];

/// Google's sentences for an ended consent. "Bad Request", and what other authorities say of grants
/// that are not valid, may have other causes.
const SENTENCES: [&str; 2] = ["token has been expired or revoked", "invalid_rapt"];

impl ErrorBody {
    /// What the error means for what was asked with.
    #[must_use]
    pub fn class(&self, flow: Flow) -> Class {
        if self.is_temporary() {
            return Class::Temporary;
        }
        let verdict = match flow {
            Flow::ClientCredentials => self.is_secret_unusable().then_some(Class::SecretUnusable),
            Flow::ServiceAccount => self.says("invalid jwt signature").then_some(Class::SecretUnusable),
            Flow::Password => self.is_wrong_password().then_some(Class::WrongPassword),
            Flow::Refresh => {
                GRANT.contains(&self.error.as_str()).then(|| Class::Consent { known: self.ends_consent() })
            }
            // The page or the command that asked shows why; nothing that is kept depends on it.
            Flow::Code | Flow::Device => None,
        };
        verdict.unwrap_or(Class::Refused)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        PASSING.contains(&self.error.as_str()) || self.has_any(&TRY_AGAIN)
    }

    /// Whether the app's secret, certificate or key is at fault, whatever else was sent with it: a
    /// refresh or a code with the second secret of a roll-over may succeed.
    #[must_use]
    pub fn is_secret_unusable(&self) -> bool {
        self.has_any(&SECRET) || (self.error == "invalid_client" && self.code().is_none())
    }

    fn is_wrong_password(&self) -> bool {
        self.has_any(&PASSWORD) || (self.error == "invalid_grant" && self.code().is_none())
    }

    /// Whether the refresh token is known to be of no more use.
    fn ends_consent(&self) -> bool {
        let suberror = self.suberror.as_deref().unwrap_or_default();
        !self.has_any(&UNENDED)
            && (self.error != "invalid_grant"
                || ENDED.iter().any(|codes| self.has_any(codes))
                || SUBERRORS.contains(&suberror)
                || SENTENCES.iter().any(|sentence| self.says(sentence)))
    }

    /// Whether any of Entra's numbers is one of `codes`.
    fn has_any(&self, codes: &[u64]) -> bool {
        self.codes().any(|code| codes.contains(&code))
    }

    /// Whether the text or the subtype holds `words`, which are in lower case.
    pub(super) fn says(&self, words: &str) -> bool {
        let texts = [&self.error_description, &self.error_subtype];
        texts.into_iter().flatten().any(|text| text.to_ascii_lowercase().contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::body, *};

    const KNOWN: Class = Class::Consent { known: true };
    const UNKNOWN: Class = Class::Consent { known: false };

    #[test]
    fn trouble_that_passes_is_temporary_under_any_class_and_flow() {
        for flow in Flow::ALL {
            for error in PASSING {
                assert_eq!(body(error, "", &[]).class(flow), Class::Temporary, "{error} {flow:?}");
            }
            for code in TRY_AGAIN {
                for error in ["invalid_grant", "invalid_request", "invalid_client"] {
                    assert_eq!(body(error, "", &[code]).class(flow), Class::Temporary, "{code} {flow:?}");
                    assert_eq!(body(error, "", &[70_000, code]).class(flow), Class::Temporary, "{code}");
                }
            }
        }
    }

    #[test]
    fn a_refresh_token_is_given_up_only_for_a_cause_that_is_known() {
        for &code in ENDED.iter().copied().flatten() {
            assert_eq!(body("invalid_grant", "", &[code]).class(Flow::Refresh), KNOWN, "{code}");
            let in_text = format!("AADSTS{code}: no.");
            assert_eq!(body("invalid_grant", &in_text, &[]).class(Flow::Refresh), KNOWN, "{code}");
        }
        for error in ["interaction_required", "consent_required", "login_required"] {
            assert_eq!(body(error, "", &[]).class(Flow::Refresh), KNOWN, "{error}");
        }
        let unknown = [
            "",
            "Bad Request",
            "The provided authorization grant is invalid",
            "grant request is invalid",
            "refresh token not found",
            "AADSTS12345: The moon is full.",
        ];
        for said in unknown {
            assert_eq!(body("invalid_grant", said, &[]).class(Flow::Refresh), UNKNOWN, "{said}");
        }
        for code in UNENDED {
            for error in ["invalid_grant", "interaction_required"] {
                assert_eq!(body(error, "", &[code]).class(Flow::Refresh), UNKNOWN, "{code}");
            }
        }
    }

    #[test]
    fn a_subtype_or_sentence_may_tell_that_a_consent_has_ended() {
        let google = body("invalid_grant", "Token has been expired or revoked.", &[]);
        assert_eq!(google.class(Flow::Refresh), KNOWN);
        let rapt =
            r#"{"error":"invalid_grant","error_description":"Bad Request","error_subtype":"invalid_rapt"}"#;
        assert_eq!(serde_json::from_str::<ErrorBody>(rapt).unwrap().class(Flow::Refresh), KNOWN);
        let suberror = |suberror: &str| {
            let body = ErrorBody { suberror: Some(suberror.to_owned()), ..body("invalid_grant", "", &[]) };
            body.class(Flow::Refresh)
        };
        for known in SUBERRORS {
            assert_eq!(suberror(known), KNOWN, "{known}");
        }
        assert_eq!(suberror("message_only"), UNKNOWN);
    }

    #[test]
    fn an_operators_mistake_leaves_the_refresh_token_alone() {
        for error in ["invalid_client", "unauthorized_client", "invalid_scope", "admin_policy_enforced", "x"]
        {
            assert_eq!(body(error, "", &[]).class(Flow::Refresh), Class::Refused, "{error}");
        }
        let expired = body("invalid_client", "", &[7_000_222]);
        assert_eq!(expired.class(Flow::Refresh), Class::Refused);
        assert!(expired.is_secret_unusable());
    }

    #[test]
    fn a_wrong_password_is_told_from_a_second_factor() {
        for code in PASSWORD {
            assert_eq!(body("invalid_grant", "", &[code]).class(Flow::Password), Class::WrongPassword);
        }
        assert_eq!(body("invalid_grant", "no", &[]).class(Flow::Password), Class::WrongPassword);
        for code in [50_072, 50_074, 50_076, 50_079, 65_001, 53_003, 12_345] {
            let class = body("invalid_grant", "", &[code]).class(Flow::Password);
            assert_eq!(class, Class::Refused, "{code}");
        }
        assert_eq!(body("invalid_client", "", &[]).class(Flow::Password), Class::Refused);
    }

    #[test]
    fn a_bad_secret_lets_the_next_one_be_tried() {
        for code in SECRET {
            let class = body("invalid_client", "", &[code]).class(Flow::ClientCredentials);
            assert_eq!(class, Class::SecretUnusable, "{code}");
        }
        let class = |error, codes| body(error, "", codes).class(Flow::ClientCredentials);
        assert_eq!(class("invalid_client", &[]), Class::SecretUnusable);
        assert_eq!(class("invalid_client", &[7_000_218]), Class::Refused);
        assert_eq!(class("unauthorized_client", &[700_016]), Class::Refused);
        let key = body("invalid_grant", "Invalid JWT Signature.", &[]);
        assert_eq!(key.class(Flow::ServiceAccount), Class::SecretUnusable);
        assert_eq!(body("unauthorized_client", "", &[]).class(Flow::ServiceAccount), Class::Refused);
    }

    #[test]
    fn a_declined_or_expired_device_code_is_refused() {
        for error in ["authorization_declined", "access_denied", "expired_token", "invalid_grant"] {
            for flow in [Flow::Code, Flow::Device] {
                assert_eq!(body(error, "", &[]).class(flow), Class::Refused, "{error}");
            }
        }
    }
}
