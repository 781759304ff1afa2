//! What a client may be promised about an upstream before it is known which one it will get.
//!
//! A client does not repeat its EHLO after AUTH (RFC 4954 §4), so what it was told before the login
//! binds the bridge after it. Each upstream's own list is learned at a login and kept; until then what
//! its provider is known to have stands for it, or the room's safe list.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Provider, acquaintance::Acquaintance};
use crate::{
    account::Accounts,
    dialogue::{Capabilities, Protocol},
    ids::{AppName, ProtocolKind},
    net::Endpoint,
    policy::access,
};

/// Capabilities by protocol and upstream.
#[derive(Debug, Default)]
pub struct Promises {
    /// The upstreams that some account may get, with what is known of them before a login.
    upstreams: HashMap<ProtocolKind, HashMap<Endpoint, Capabilities>>,
    learned: Arc<Mutex<HashMap<(ProtocolKind, Endpoint), Learned>>>,
    /// What mailboxes need not be asked again; a reload has all of them asked.
    pub(super) acquaintance: Acquaintance,
}

#[derive(Debug, Default)]
struct Learned {
    capabilities: Capabilities,
    /// A broken promise is worth one warning, not one for each login.
    warned: bool,
}

impl Promises {
    /// Knows which upstreams a client of each protocol may get: those of apps that no account uses
    /// bind nobody, nor do those of protocols that an app's accounts may not use.
    #[must_use]
    pub fn new(accounts: &Accounts, providers: &HashMap<AppName, Arc<Provider>>) -> Self {
        let mut upstreams: HashMap<_, HashMap<_, Capabilities>> = HashMap::new();
        for account in accounts.iter() {
            let Some(provider) = providers.get(&account.app) else { continue };
            for kind in ProtocolKind::ALL.into_iter().filter(|kind| access::may_speak(account, *kind)) {
                let Some(endpoint) = provider.endpoint(kind) else { continue };
                let of_kind = upstreams.entry(kind).or_default();
                if of_kind.get(endpoint).is_none_or(|known| known.0.is_empty()) {
                    of_kind.insert(endpoint.clone(), provider.capabilities(kind));
                }
            }
        }
        Self { upstreams, learned: Arc::default(), acquaintance: Acquaintance::default() }
    }

    /// The same for another configuration: what was learned is kept.
    #[must_use]
    pub fn renewed(&self, accounts: &Accounts, providers: &HashMap<AppName, Arc<Provider>>) -> Self {
        Self { learned: Arc::clone(&self.learned), ..Self::new(accounts, providers) }
    }

    /// What may be promised to a client that has not logged in.
    #[must_use]
    pub fn to_client<P: Protocol>(&self) -> Capabilities {
        let learned = self.learned();
        let of =
            |(endpoint, known): (&Endpoint, &Capabilities)| match learned.get(&(P::KIND, endpoint.clone())) {
                Some(learned) => learned.capabilities.clone(),
                None if known.0.is_empty() => P::safe(),
                None => known.clone(),
            };
        let lists: Vec<_> = self.upstreams.get(&P::KIND).into_iter().flatten().map(of).collect();
        if lists.is_empty() { P::safe() } else { P::common(&lists) }
    }

    /// Keeps what an upstream has said. Returns what the client of this very login was promised in
    /// vain, where nobody was warned of this upstream yet.
    pub(super) fn learn<P: Protocol>(
        &self,
        endpoint: &Endpoint,
        promised: &Capabilities,
        found: &Capabilities,
    ) -> Vec<String> {
        let broken = P::broken_promises(promised, found);
        let mut learned = self.learned();
        let known = learned.entry((P::KIND, endpoint.clone())).or_default();
        if known.capabilities != *found {
            known.capabilities = found.clone();
        }
        if broken.is_empty() || std::mem::replace(&mut known.warned, true) { Vec::new() } else { broken }
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<(ProtocolKind, Endpoint), Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{Account, Rules, tests::account as fixture},
        imap::Imap,
        net::{UpstreamTls, tls::Trust},
        sasl::Mechanism,
        smtp::Smtp,
    };

    fn list(lines: &[&str]) -> Capabilities {
        Capabilities(lines.iter().map(ToString::to_string).collect())
    }

    fn submission(host: &str) -> Endpoint {
        Endpoint { host: host.to_owned(), port: 587, tls: UpstreamTls::StartTls }
    }

    /// An app of a provider of its own, which has this submission host and is known to have that.
    fn app(name: &str, host: &str, known: &[&str]) -> (AppName, Arc<Provider>) {
        let provider = Provider {
            name: name.to_owned(),
            imap: None,
            smtp: Some(submission(host)),
            pop3: None,
            smtp_capabilities: list(known),
            mechanism: Mechanism::Xoauth2,
            trust: Arc::new(Trust::new(None).unwrap()),
            proxy: None,
        };
        (AppName::new(name), Arc::new(provider))
    }

    fn account(app: &str, protocols: &[ProtocolKind]) -> Account {
        let rules = Rules { protocols: protocols.to_vec(), ..Rules::default() };
        Account { app: AppName::new(app), rules: rules.into(), ..fixture(&["ann"]) }
    }

    fn promises<const N: usize>(apps: [(AppName, Arc<Provider>); N], accounts: Vec<Account>) -> Promises {
        Promises::new(&Accounts::new(accounts), &apps.into())
    }

    #[test]
    fn an_upstream_that_no_account_gets_by_smtp_binds_nobody() {
        let known = ["SIZE 1000", "DSN"];
        let apps = || [app("known", "one", &known), app("unknown", "two", &[])];
        let alone = || vec![account("known", &[])];
        assert_eq!(promises(apps(), alone()).to_client::<Smtp>(), list(&known));
        let mut reading = alone();
        reading.push(account("unknown", &[ProtocolKind::Imap]));
        assert_eq!(promises(apps(), reading).to_client::<Smtp>(), list(&known));
        for protocols in [&[][..], &[ProtocolKind::Smtp]] {
            let mut sending = alone();
            sending.push(account("unknown", protocols));
            let common = Smtp::common(&[list(&known), Smtp::safe()]);
            assert_eq!(promises(apps(), sending).to_client::<Smtp>(), common);
        }
    }

    #[test]
    fn nobody_to_send_for_leaves_the_safe_list() {
        let reading = vec![account("known", &[ProtocolKind::Imap])];
        for accounts in [Vec::new(), reading] {
            let promises = promises([app("known", "one", &["DSN"])], accounts);
            assert_eq!(promises.to_client::<Smtp>(), Smtp::safe());
            assert_eq!(promises.to_client::<Imap>(), Imap::safe());
        }
    }

    #[test]
    fn what_is_known_of_an_upstream_holds_for_every_provider_of_it() {
        let known = app("known", "one", &["DSN"]);
        let unknown = app("unknown", "one", &[]);
        let (one, other) = (account("known", &[]), account("unknown", &[]));
        for accounts in [vec![one.clone(), other.clone()], vec![other, one]] {
            let promises = promises([known.clone(), unknown.clone()], accounts);
            assert_eq!(promises.to_client::<Smtp>(), list(&["DSN"]));
        }
    }

    #[test]
    fn what_an_upstream_says_stands_above_what_was_known() {
        let promises = promises([app("known", "one", &["SIZE 1000", "DSN"])], vec![account("known", &[])]);
        let told = promises.to_client::<Smtp>();
        let found = list(&["SIZE 1000", "CHUNKING"]);
        assert_eq!(promises.learn::<Smtp>(&submission("one"), &told, &found), ["DSN"]);
        assert_eq!(promises.to_client::<Smtp>(), found);
        assert!(promises.learn::<Smtp>(&submission("one"), &told, &found).is_empty());
    }
}
