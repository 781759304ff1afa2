//! Taking notes of an examination, and handing each on at once.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::report::{Event, Heading, Hop, Outcome, Step, Waiting};
use crate::{
    failure::{Explanation, Refusal},
    ids::ProtocolKind,
};

/// How often somebody is told that something is still waited for.
pub(super) const TELLS: Duration = Duration::from_secs(6);

/// Who hears of every event. When nobody does any more, the examination goes on unheard until it is dropped.
pub type Listener = mpsc::Sender<Event>;

/// Notes of what one account, or one of its protocols, comes to.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    listener: Listener,
    protocol: Option<ProtocolKind>,
    /// Whether a failure is one that somebody would meet.
    counts: bool,
    /// Whether nothing is told: what is tried again was told before.
    muted: bool,
}

impl Notes {
    pub(super) fn new(listener: &Listener) -> Self {
        Self { listener: listener.clone(), protocol: None, counts: true, muted: false }
    }

    /// Notes of one protocol, whose failures count or not.
    pub(super) fn of(&self, protocol: ProtocolKind, counts: bool) -> Self {
        Self { protocol: Some(protocol), counts, ..self.clone() }
    }

    /// The same for what has been told before.
    pub(super) fn muted(&self) -> Self {
        Self { muted: true, ..self.clone() }
    }

    pub(super) async fn heading(&self, heading: Heading) {
        self.tell(Event::Account(heading)).await;
    }

    /// A hop that is well.
    pub(super) async fn found(&self, step: Step, began: Instant, found: impl Into<String>) {
        let hop = Hop::well(self.protocol, step, found);
        self.tell(Event::Hop(Hop { milliseconds: since(began), ..hop })).await;
    }

    /// A hop that was not tried, and why.
    pub(super) async fn skipped(&self, step: Step, why: impl Into<String>) {
        let hop = Hop::well(self.protocol, step, why);
        self.tell(Event::Hop(Hop { outcome: Outcome::Skipped, ..hop })).await;
    }

    /// Something that may be the cause of a failure to come.
    pub(super) async fn doubted(&self, step: Step, why: Explanation) {
        self.trouble(step, Outcome::Warning, 0, String::new(), why).await;
    }

    /// A hop that failed.
    pub(super) async fn failed(&self, step: Step, began: Instant, why: Explanation) {
        if self.counts {
            self.trouble(step, Outcome::Failed, since(began), String::new(), why).await;
        } else {
            let found = "nobody meets it: no listener speaks this protocol".to_owned();
            self.trouble(step, Outcome::Warning, since(began), found, why).await;
        }
    }

    /// A hop that came to what a login would have been refused with.
    pub(super) async fn refused(&self, step: Step, began: Instant, refusal: Refusal) {
        let (name, fault, may_pass) = (refusal.failure.name(), refusal.fault(), refusal.may_pass());
        let why = refusal.explanation.unwrap_or_else(|| Explanation::new(name, "")).blaming(fault, may_pass);
        self.failed(step, began, why).await;
    }

    /// Something takes time, and so much has passed.
    pub(super) async fn waiting(&self, what: &str, seconds: u64, at_most: u64) {
        self.tell(Event::Waiting(Waiting { what: what.to_owned(), seconds, at_most })).await;
    }

    /// Does something that ends by itself after `at_most`, and tells that it is waited for while it is.
    pub(super) async fn during<T>(&self, what: &str, at_most: Duration, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            match timeout(TELLS, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.waiting(what, began.elapsed().as_secs(), at_most.as_secs()).await,
            }
        }
    }

    async fn trouble(
        &self,
        step: Step,
        outcome: Outcome,
        milliseconds: u64,
        found: String,
        Explanation { cause, cure, blame }: Explanation,
    ) {
        let cure = Some(cure).filter(|cure| !cure.is_empty());
        let hop = Hop::well(self.protocol, step, found);
        let fault = blame.map(|blame| blame.fault.name().to_owned());
        let retry_helps = blame.map(|blame| blame.passes);
        let hop = Hop { outcome, cause: Some(cause), cure, fault, retry_helps, milliseconds, ..hop };
        self.tell(Event::Hop(hop)).await;
    }

    async fn tell(&self, event: Event) {
        if !self.muted {
            // Who hears no more wants to know no more.
            let _ = self.listener.send(event).await;
        }
    }
}

fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_told_of_while_it_does_and_what_does_not_is_not() {
        let (teller, mut told) = mpsc::channel(10);
        let notes = Notes::new(&teller);
        let most = Duration::from_mins(1);
        notes.during("the token", most, sleep(TELLS / 2)).await;
        assert_eq!(told.len(), 0);
        notes.during("the token", most, sleep(TELLS * 5 / 2)).await;
        assert_eq!(told.len(), 2);
        let _ = told.recv().await;
        let Some(Event::Waiting(waiting)) = told.recv().await else { panic!("something else is told") };
        assert_eq!((waiting.what.as_str(), waiting.seconds, waiting.at_most), ("the token", 12, 60));
    }
}
