//! What upstreams have said when they were asked, so that the next login to the same mailbox does not ask again.
//!
//! It saves a program that looks for mail every minute two of five round trips. Mailboxes of one upstream may differ, so
//! that each is asked once; as soon as one tells something else than the others, all are asked anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{dialogue::Known, ids::ProtocolKind, net::Endpoint, policy::timing};

/// The most mailboxes of one upstream that are remembered, at some hundred bytes each. Where there are more, those
/// that come often are soon there again.
const MAILBOXES: usize = 10_000;

/// What is known of upstreams and their mailboxes.
#[derive(Debug, Default)]
pub(super) struct Acquaintance(Mutex<HashMap<(ProtocolKind, Endpoint), Told>>);

/// What an upstream has told.
#[derive(Debug)]
struct Told {
    known: Arc<Known>,
    /// The mailboxes that it has told this for, and when.
    mailboxes: HashMap<String, Instant>,
}

impl Acquaintance {
    /// What the upstream has told for this mailbox, if that was lately.
    pub(super) fn with(&self, kind: ProtocolKind, endpoint: &Endpoint, mailbox: &str) -> Option<Arc<Known>> {
        let upstreams = self.upstreams();
        let told = upstreams.get(&(kind, endpoint.clone()))?;
        let since = *told.mailboxes.get(mailbox)?;
        (since.elapsed() < timing::ACQUAINTANCE).then(|| Arc::clone(&told.known))
    }

    /// Keeps what the upstream has told for this mailbox.
    pub(super) fn keep(&self, kind: ProtocolKind, endpoint: &Endpoint, mailbox: &str, known: Known) {
        let mut upstreams = self.upstreams();
        let fresh = |known| Told { known: Arc::new(known), mailboxes: HashMap::new() };
        let told = upstreams.entry((kind, endpoint.clone())).or_insert_with(|| fresh(known.clone()));
        if *told.known != known || told.mailboxes.len() >= MAILBOXES {
            *told = fresh(known);
        }
        told.mailboxes.insert(mailbox.to_owned(), Instant::now());
    }

    /// Has the mailbox asked again.
    pub(super) fn forget(&self, kind: ProtocolKind, endpoint: &Endpoint, mailbox: &str) {
        if let Some(told) = self.upstreams().get_mut(&(kind, endpoint.clone())) {
            told.mailboxes.remove(mailbox);
        }
    }

    fn upstreams(&self) -> MutexGuard<'_, HashMap<(ProtocolKind, Endpoint), Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dialogue::Capabilities, net::UpstreamTls};

    const IMAP: ProtocolKind = ProtocolKind::Imap;

    fn endpoint() -> Endpoint {
        Endpoint { host: "imap.example.com".to_owned(), port: 993, tls: UpstreamTls::Implicit }
    }

    fn known(capability: &str) -> Known {
        Known { initial_response: true, capabilities: Some(Capabilities(vec![capability.to_owned()])) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_for_a_mailbox_holds_for_it_alone_and_for_a_while() {
        let acquaintance = Acquaintance::default();
        acquaintance.keep(IMAP, &endpoint(), "ann", known("IDLE"));
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "ann").as_deref(), Some(&known("IDLE")));
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "bob"), None);
        assert_eq!(acquaintance.with(ProtocolKind::Smtp, &endpoint(), "ann"), None);
        tokio::time::advance(timing::ACQUAINTANCE).await;
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "ann"), None);
    }

    #[test]
    fn a_mailbox_that_is_told_something_else_has_all_others_asked_again() {
        let acquaintance = Acquaintance::default();
        acquaintance.keep(IMAP, &endpoint(), "ann", known("IDLE"));
        acquaintance.keep(IMAP, &endpoint(), "bob", known("MOVE"));
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "ann"), None);
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "bob").as_deref(), Some(&known("MOVE")));
    }

    #[test]
    fn a_refusal_has_the_mailbox_asked_again_and_no_other() {
        let acquaintance = Acquaintance::default();
        for mailbox in ["ann", "bob"] {
            acquaintance.keep(IMAP, &endpoint(), mailbox, known("IDLE"));
        }
        acquaintance.forget(IMAP, &endpoint(), "ann");
        assert_eq!(acquaintance.with(IMAP, &endpoint(), "ann"), None);
        assert!(acquaintance.with(IMAP, &endpoint(), "bob").is_some());
    }

    #[test]
    fn more_mailboxes_than_are_remembered_cost_no_more_memory() {
        let acquaintance = Acquaintance::default();
        for number in 0..=MAILBOXES {
            acquaintance.keep(IMAP, &endpoint(), &number.to_string(), known("IDLE"));
        }
        let upstreams = acquaintance.upstreams();
        assert!(upstreams.values().all(|told| told.mailboxes.len() <= MAILBOXES));
    }
}
