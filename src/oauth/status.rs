//! What is known of an account's token, for people.

use std::{collections::HashMap, time::SystemTime};

use super::{App, Tokens, attempt, slot::Plan};
use crate::{
    account::{Account, Accounts},
    failure::Failure,
    ids::{AppName, ProtocolKind, SlotId},
    secret::Secret,
    store::Record,
};

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
    /// Every standing.
    pub const ALL: [Self; 5] =
        [Self::Ready, Self::Unused, Self::ConsentNeeded, Self::Failing, Self::PerLogin];

    /// Whether nobody has to do anything about it.
    #[must_use]
    pub fn is_well(self) -> bool {
        match self {
            Self::Ready | Self::Unused | Self::PerLogin => true,
            Self::ConsentNeeded | Self::Failing => false,
        }
    }

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
        let mailbox = account.mailboxes().next().cloned().unwrap_or_default();
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
    /// The other accounts whose logins use the same tokens.
    #[must_use]
    pub fn sharing(&self, account: &Account, accounts: &Accounts) -> Vec<String> {
        sharing(&self.plan(), account, accounts)
    }

    /// When the secret or certificate of each app ends, where that is known.
    #[must_use]
    pub fn credential_ends(&self) -> Vec<(AppName, SystemTime)> {
        let plan = self.plan();
        let mut ends: Vec<_> =
            plan.apps.values().filter_map(|app| Some((app.name.clone(), app.credential_expires?))).collect();
        ends.sort();
        ends
    }
}

/// What is stored of the tokens of a configuration that no bridge serves.
#[derive(Debug)]
pub struct Shelf {
    plan: Plan,
    records: HashMap<SlotId, Record>,
    /// How many accounts use each slot.
    uses: HashMap<SlotId, usize>,
}

impl Shelf {
    /// Sorts what is stored by what a configuration asks for.
    #[must_use]
    pub fn new(
        apps: Vec<App>,
        accounts: &Accounts,
        listening: &[ProtocolKind],
        records: Vec<(SlotId, Record)>,
    ) -> Self {
        let plan = Plan::new(apps, accounts, listening);
        let mut uses = HashMap::<_, usize>::new();
        for slot in accounts.iter().flat_map(|account| slots(&plan, account)) {
            *uses.entry(slot).or_default() += 1;
        }
        Self { plan, records: records.into_iter().collect(), uses }
    }

    /// As [`Tokens::status`].
    #[must_use]
    pub fn status(&self, account: &Account) -> Option<TokenStatus> {
        let mailbox = account.mailboxes().next().cloned().unwrap_or_default();
        let spec = self.plan.spec(account, &mailbox)?;
        let record = self.records.get(&spec.id);
        let expires_at = record.and_then(|record| Some(record.access.as_ref()?.expires_at));
        let lacks_consent = match record {
            Some(Record { consent: Some(why), .. }) => Some(why.clone()),
            Some(Record { refresh_token: Some(_), .. }) => None,
            Some(_) | None => spec.is_refreshed().then(|| attempt::not_given(&spec).to_string()),
        };
        let standing = match (account.authority_checks, &lacks_consent, record) {
            (true, _, _) => Standing::PerLogin,
            (false, Some(_), _) => Standing::ConsentNeeded,
            (false, None, Some(_)) => Standing::Ready,
            (false, None, None) => Standing::Unused,
        };
        let trouble = lacks_consent.filter(|_| standing == Standing::ConsentNeeded);
        Some(TokenStatus { standing, expires_at, trouble, credential_expires: spec.app.credential_expires })
    }

    /// When a token of the account last served a login. One that several accounts share says nothing of
    /// this one's.
    #[must_use]
    pub fn last_used(&self, account: &Account) -> Option<SystemTime> {
        let own = self.slots(account);
        let alone = own.iter().filter(|slot| self.uses.get(*slot) == Some(&1));
        alone.filter_map(|slot| self.records.get(slot)?.last_used).max()
    }

    /// The slot and the first record of a person's consent that was given to another program for the same app;
    /// nothing for an account whose token is not a person's.
    #[must_use]
    pub fn brought(&self, account: &Account, refresh_token: Secret) -> Option<(SlotId, Record)> {
        let spec = self.plan.spec(account, account.mailbox.as_ref()?)?;
        let record = Record { refresh_token: Some(refresh_token), ..attempt::blank(&spec) };
        spec.is_refreshed().then(|| (spec.id.clone(), record))
    }

    /// The slots that are kept for an account.
    #[must_use]
    pub fn slots(&self, account: &Account) -> Vec<SlotId> {
        slots(&self.plan, account)
    }

    /// As [`Tokens::sharing`].
    #[must_use]
    pub fn sharing(&self, account: &Account, accounts: &Accounts) -> Vec<String> {
        sharing(&self.plan, account, accounts)
    }
}

fn slots(plan: &Plan, account: &Account) -> Vec<SlotId> {
    if account.authority_checks {
        return Vec::new();
    }
    let kept =
        account.mailboxes().filter_map(|mailbox| plan.spec(account, mailbox)).filter(|spec| spec.is_stored());
    let mut slots: Vec<_> = kept.map(|spec| spec.id.clone()).collect();
    slots.sort();
    slots.dedup();
    slots
}

fn sharing(plan: &Plan, account: &Account, accounts: &Accounts) -> Vec<String> {
    let own = slots(plan, account);
    let shares = |other: &&std::sync::Arc<Account>| {
        ***other != *account && slots(plan, other).iter().any(|slot| own.contains(slot))
    };
    accounts.iter().filter(shares).map(|other| other.name().to_owned()).collect()
}
