//! Refresh tokens: who has them, what using one does to it, and what takes them back.

use super::{
    Authority, Shared,
    answer::Tokens,
    apps::Registration,
    delegated::{self, Consent},
    refusal::Refusal,
    request::Ask,
};

/// What becomes of a refresh token that is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rotation {
    /// Each answer has a new one, and the old ones live on: Entra.
    #[default]
    KeepsOld,
    /// Each answer has a new one, and an old one that is used again revokes all that came of the same consent
    /// (RFC 9700 §4.14.2).
    DetectsReuse,
    /// The same one serves for good, and the answers have none: Google.
    None,
}

/// All that were ever issued.
#[derive(Default)]
pub(super) struct Refreshes {
    rotation: Rotation,
    issued: Vec<Refresh>,
    families: usize,
}

struct Refresh {
    token: String,
    family: usize,
    consent: Consent,
    /// A newer one was issued for it.
    used: bool,
    /// Why it is good no more.
    dead: Option<u64>,
}

impl Refreshes {
    /// The consent behind a token, and its family.
    fn check(&mut self, shown: &str, app: &Registration) -> Result<(Consent, usize), Refusal> {
        let at = self.issued.iter().position(|refresh| refresh.token == shown);
        let at = at.ok_or_else(|| Refusal::noted(70000, "This refresh token was never issued."))?;
        let refresh = &self.issued[at];
        let (consent, family) = (refresh.consent.clone(), refresh.family);
        if consent.app != app.client_id {
            return Err(Refusal::noted(70000, "The refresh token was issued to another client id."));
        }
        if let Some(code) = refresh.dead {
            return Err(code.into());
        }
        if refresh.used && self.rotation == Rotation::DetectsReuse {
            let family = self.issued.iter_mut().filter(|refresh| refresh.family == family);
            family.for_each(|refresh| refresh.dead = Some(70000));
            return Err(Refusal::noted(70000, "The refresh token was used before; its family is revoked."));
        }
        Ok((consent, family))
    }

    /// What a person ever let an app do: Entra remembers it beyond any token.
    fn may(&self, consent: &Consent, permission: &str) -> bool {
        let theirs = self
            .issued
            .iter()
            .map(|refresh| &refresh.consent)
            .filter(|other| other.app == consent.app && other.user.eq_ignore_ascii_case(&consent.user));
        theirs.flat_map(|other| delegated::permissions(&other.scopes)).any(|known| known == permission)
    }
}

impl Shared {
    /// `grant_type=refresh_token` (RFC 6749 §6).
    pub(super) fn refresh(&self, app: &Registration, ask: &Ask<'_>) -> Result<Tokens, Refusal> {
        let shown = ask.field("refresh_token");
        if shown.is_empty() {
            return Err(Refusal::noted(900_144, "'refresh_token'."));
        }
        let (consent, family) = {
            let mut refreshes = self.refreshes.lock().unwrap();
            let (consent, family) = refreshes.check(shown, app)?;
            let asked = delegated::permissions(&delegated::scopes(ask.field("scope")));
            let beyond = asked.iter().find(|asked| *asked != ".default" && !refreshes.may(&consent, asked));
            if let Some(beyond) = beyond {
                return Err(Refusal::noted(65001, format!("Not consented to: {beyond}.")));
            }
            // Under the lock that has checked it: of two uses at once, one is the second.
            let refresh = refreshes.issued.iter_mut().find(|refresh| refresh.token == shown);
            refresh.unwrap().used = true;
            (consent, family)
        };
        self.issue(&consent, ask, Some(family))
    }

    /// The refresh token of an answer, where it has one.
    pub(super) fn next_refresh_token(&self, consent: &Consent, family: Option<usize>) -> Option<String> {
        let mut refreshes = self.refreshes.lock().unwrap();
        if family.is_some() && refreshes.rotation == Rotation::None {
            return None;
        }
        refreshes.families += 1;
        let family = family.unwrap_or(refreshes.families);
        let token = super::unguessable("1.AXoAr");
        self.keep_secret(&token);
        refreshes.issued.push(Refresh {
            token: token.clone(),
            family,
            consent: consent.clone(),
            used: false,
            dead: None,
        });
        Some(token)
    }
}

impl Authority {
    /// What becomes of a refresh token that is used, from here on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.shared.refreshes.lock().unwrap().rotation = rotation;
    }

    /// How many refresh tokens were issued for somebody so far.
    pub fn refresh_tokens(&self, upn: &str) -> usize {
        self.refresh_token_texts(upn).len()
    }

    /// The refresh tokens that were issued for somebody so far, oldest first.
    pub fn refresh_token_texts(&self, upn: &str) -> Vec<String> {
        let refreshes = self.shared.refreshes.lock().unwrap();
        let theirs = refreshes.issued.iter().filter(|refresh| refresh.consent.user.eq_ignore_ascii_case(upn));
        theirs.map(|refresh| refresh.token.clone()).collect()
    }

    /// Takes back all the refresh tokens of somebody, as a password reset does: AADSTS50173.
    pub fn revoke(&self, upn: &str) {
        self.revoke_with(upn, 50173);
    }

    /// As [`Authority::revoke`], with another code: 700082 after 90 days of silence.
    pub fn revoke_with(&self, upn: &str, code: u64) {
        let mut refreshes = self.shared.refreshes.lock().unwrap();
        let theirs =
            refreshes.issued.iter_mut().filter(|refresh| refresh.consent.user.eq_ignore_ascii_case(upn));
        theirs.for_each(|refresh| refresh.dead = Some(code));
    }
}
