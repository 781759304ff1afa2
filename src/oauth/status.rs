//! What is known of an account's token, for people.

use std::time::SystemTime;

use super::Tokens;
use crate::{account::Account, failure::Failure};

/// What is known of an account's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    /// What an operator wants to know first.
    pub standing: Standing,
    /// When the access token at hand expires, or has expired. It is renewed before a login needs it.
    pub expires_at: Option<SystemTime>,
    /// Why there is no other token, where the last attempt failed.
    pub trouble: Option<String>,
    /// When the app's secret or certificate ends, where that is known.
    pub credential_expires: Option<SystemTime>,
}

/// Whether an account can log in, as far as its token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A token is at hand, or can be had.
    Ready,
    /// Nobody has asked for one yet; the first login does.
    Unused,
    /// A person has to consent first.
    ConsentNeeded,
    /// The last attempt to get one failed.
    Failing,
    /// Each login brings its own proof; nothing is kept.
    PerLogin,
}

impl Standing {
    /// The name for people and machines: `consent_needed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unused => "unused",
            Self::ConsentNeeded => "consent_needed",
            Self::Failing => "failing",
            Self::PerLogin => "per_login",
        }
    }
}

impl Tokens {
    /// What is known of an account's token; that of its first mailbox where it has several. `None` where
    /// the account is of another configuration.
    #[must_use]
    pub fn status(&self, account: &Account) -> Option<TokenStatus> {
        let mailbox = account.mailbox.as_ref().or(account.mailboxes.first()).cloned().unwrap_or_default();
        let spec = self.plan().spec(account, &mailbox)?;
        let credential_expires = spec.app.credential_expires;
        if account.authority_checks {
            let (expires_at, trouble) = (None, None);
            return Some(TokenStatus {
                standing: Standing::PerLogin,
                expires_at,
                trouble,
                credential_expires,
            });
        }
        let slot = self.slot(spec).ok()?;
        let state = slot.state();
        let failure = state.last_failure();
        let expires_at = state.expires_at();
        let standing = match failure.map(|refusal| refusal.failure) {
            Some(Failure::ConsentNeeded) => Standing::ConsentNeeded,
            Some(_) => Standing::Failing,
            None if expires_at.is_none() => Standing::Unused,
            None => Standing::Ready,
        };
        let trouble = failure.map(ToString::to_string);
        Some(TokenStatus { standing, expires_at, trouble, credential_expires })
    }
}
