//! The doctor behind the console: examinations that go on while a page shows them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use lettre::Address;
use tokio::{sync::mpsc, time::timeout};
use tracing::info;

use super::{
    authorize,
    bridge::Bridge,
    control::EVENTS,
    doctor::{Examine, Practice, Queue},
};
use crate::{
    console::{Examination, Hop, Mark, Part, Verdict, blamed},
    doctor::report::{self, Event, Outcome, Step, Waiting},
    failure::{Explanation, Fault},
};

/// How many examinations go on at a time: each opens connections to the mail servers.
const AT_A_TIME: usize = 4;

/// How many are remembered, and for how long after their beginning.
const KEPT: usize = 50;
const REMEMBERED: Duration = Duration::from_mins(30);

/// How long one may take. Each of its hops has a time of its own, which is shorter.
const LONGEST: Duration = Duration::from_mins(15);

/// The examinations that were begun from the console.
#[derive(Debug, Clone, Default)]
pub(super) struct Examinations(Arc<Mutex<VecDeque<Kept>>>);

#[derive(Debug)]
struct Kept {
    id: String,
    begun_at: SystemTime,
    /// Whether the doctor has said that it is done.
    done: bool,
    shown: Examination,
}

impl Examinations {
    /// Begins to examine the account of a login, and returns what its progress is asked for by.
    pub(super) fn begin(
        &self,
        bridge: &Bridge,
        login: &str,
        send_to: Option<&str>,
    ) -> Result<String, Explanation> {
        let send_to = send_to.map(recipient).transpose()?;
        let practice = bridge.practice();
        let wanted = Examine { logins: vec![login.to_owned()], send_to: send_to.clone() };
        let queue = practice.queue(&wanted)?;
        let id = authorize::id()?;
        let shown = Examination { login: login.to_owned(), send_to, ..Examination::default() };
        self.keep(Kept { id: id.clone(), begun_at: bridge.clock.now(), done: false, shown })?;
        let (all, stop, of) = (self.clone(), bridge.stop.gently.clone(), id.clone());
        bridge.accepting.spawn(async move {
            let examining = Box::pin(timeout(LONGEST, all.examine(&of, practice, queue)));
            let _ = stop.run_until_cancelled(examining).await;
            all.change(&of, |kept| {
                let verdict = kept.end();
                info!(login = kept.shown.login, ?verdict, "test from the console is over");
            });
        });
        Ok(id)
    }

    /// How far an examination has come. `None` where it was never begun, or is forgotten.
    pub(super) fn shown(&self, id: &str) -> Option<Examination> {
        self.all().iter().find(|kept| kept.id == id).map(|kept| kept.shown.clone())
    }

    async fn examine(&self, id: &str, practice: Practice, queue: Queue) {
        let (listener, mut events) = mpsc::channel(EVENTS);
        tokio::join!(async move { practice.examine(queue, &listener).await }, async {
            while let Some(event) = events.recv().await {
                self.change(id, |kept| kept.hear(event));
            }
        });
    }

    fn keep(&self, kept: Kept) -> Result<(), Explanation> {
        let mut all = self.all();
        if all.iter().filter(|known| known.shown.verdict.is_none()).count() >= AT_A_TIME {
            let cause = format!("{AT_A_TIME} accounts are being tested already");
            return Err(Explanation::new(cause, "wait until one of these tests is done, and try again"));
        }
        let since = kept.begun_at;
        let is_old = |known: &Kept| since.duration_since(known.begun_at).is_ok_and(|age| age > REMEMBERED);
        all.retain(|known| known.shown.verdict.is_none() || !is_old(known));
        while all.len() >= KEPT {
            let Some(oldest) = all.iter().position(|known| known.shown.verdict.is_some()) else { break };
            all.remove(oldest);
        }
        all.push_back(kept);
        Ok(())
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.all().iter_mut().find(|kept| kept.id == id) {
            change(kept);
        }
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Account(heading) => self.shown.mailbox = heading.mailbox,
            Event::Waiting(Waiting { what, seconds, at_most }) => {
                self.shown.waiting = Some(format!("waiting for {what}: {seconds} s of at most {at_most} s"));
            }
            Event::Hop(hop) => {
                self.shown.waiting = None;
                let protocol = hop.heading();
                let parts = &mut self.shown.parts;
                if parts.last().is_none_or(|last| last.protocol != protocol) {
                    parts.push(Part { protocol, hops: Vec::new() });
                }
                if let Some(part) = parts.last_mut() {
                    part.hops.push(in_words(hop));
                }
            }
            Event::Done => self.done = true,
        }
    }

    fn end(&mut self) -> Verdict {
        let hops = || self.shown.parts.iter().flat_map(|part| &part.hops);
        let count = |mark| hops().filter(|hop| hop.mark == mark).count();
        let verdict = match (self.done, count(Mark::Failed)) {
            (false, _) => Verdict::BrokenOff,
            (true, 0) if count(Mark::Well) <= 1 && count(Mark::Skipped) > 0 => Verdict::NotTried,
            (true, 0) => Verdict::Well { warnings: count(Mark::Warning) },
            (true, failed) => Verdict::Ill { failed },
        };
        self.shown.waiting = None;
        self.shown.verdict = Some(verdict);
        verdict
    }
}

fn recipient(text: &str) -> Result<String, Explanation> {
    let refused = |error| {
        let cause = format!("no message can be sent to {text:?}: {error}");
        Explanation::new(cause, "write a mail address: name@example.com")
    };
    text.parse::<Address>().map(|address| address.to_string()).map_err(refused)
}

fn in_words(hop: report::Hop) -> Hop {
    let mark = match hop.outcome {
        Outcome::Ok => Mark::Well,
        Outcome::Warning => Mark::Warning,
        Outcome::Failed => Mark::Failed,
        Outcome::Skipped => Mark::Skipped,
    };
    let is_read = matches!(hop.hop, Step::Configuration | Step::Claims);
    let took = match (hop.milliseconds, mark) {
        (_, Mark::Warning | Mark::Skipped) => String::new(),
        (0, _) if is_read => String::new(),
        (0, _) => "under 1 ms".to_owned(),
        (milliseconds @ 1..1000, _) => format!("{milliseconds} ms"),
        (milliseconds, _) => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    };
    let fault = Fault::ALL.into_iter().find(|fault| hop.fault.as_deref() == Some(fault.name()));
    let blame = fault.map(|fault| blamed(fault, hop.retry_helps == Some(true)));
    Hop { mark, name: hop.hop.label(), found: hop.found, cause: hop.cause, cure: hop.cure, blame, took }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProtocolKind;

    fn kept(id: &str, minute: u64) -> Kept {
        let begun_at = SystemTime::UNIX_EPOCH + Duration::from_mins(minute);
        Kept { id: id.to_owned(), begun_at, done: false, shown: Examination::default() }
    }

    fn hop(protocol: Option<ProtocolKind>, step: Step, outcome: Outcome) -> Event {
        Event::Hop(report::Hop { outcome, ..report::Hop::well(protocol, step, "found") })
    }

    fn end(all: &Examinations, id: &str) {
        all.change(id, |kept| _ = kept.end());
    }

    #[test]
    fn hops_are_told_by_protocol_and_the_verdict_at_the_end() {
        let (imap, smtp) = (Some(ProtocolKind::Imap), Some(ProtocolKind::Smtp));
        let mut kept = kept("a", 0);
        kept.hear(hop(None, Step::Configuration, Outcome::Ok));
        kept.hear(hop(None, Step::Token, Outcome::Ok));
        kept.hear(hop(imap, Step::Login, Outcome::Ok));
        kept.hear(Event::Waiting(Waiting { what: "INBOX".to_owned(), seconds: 2, at_most: 30 }));
        assert_eq!(kept.shown.waiting.as_deref(), Some("waiting for INBOX: 2 s of at most 30 s"));
        kept.hear(hop(smtp, Step::Login, Outcome::Warning));
        assert_eq!((kept.shown.waiting.as_ref(), kept.shown.verdict), (None, None));
        let parts: Vec<_> = kept.shown.parts.iter().map(|p| (p.protocol.as_deref(), p.hops.len())).collect();
        assert_eq!(parts, [(None, 2), (Some("IMAP"), 1), (Some("SMTP"), 1)]);
        kept.hear(Event::Done);
        kept.end();
        assert_eq!(kept.shown.verdict, Some(Verdict::Well { warnings: 1 }));
        kept.hear(hop(smtp, Step::Login, Outcome::Failed));
        kept.end();
        assert_eq!(kept.shown.verdict, Some(Verdict::Ill { failed: 1 }));
    }

    #[test]
    fn what_is_cut_off_is_not_well_and_what_is_passed_over_was_not_tried() {
        let mut cut = kept("a", 0);
        cut.hear(hop(None, Step::Token, Outcome::Ok));
        cut.end();
        assert_eq!(cut.shown.verdict, Some(Verdict::BrokenOff));
        let mut passed_over = kept("b", 0);
        passed_over.hear(hop(None, Step::Configuration, Outcome::Skipped));
        passed_over.hear(Event::Done);
        passed_over.end();
        assert_eq!(passed_over.shown.verdict, Some(Verdict::NotTried));
    }

    #[test]
    fn few_go_on_at_a_time_and_what_has_ended_is_forgotten_by_and_by() {
        let all = Examinations::default();
        for id in ["a", "b", "c", "d"] {
            all.keep(kept(id, 0)).unwrap();
        }
        assert!(all.keep(kept("e", 1)).unwrap_err().cause.starts_with("4 accounts"));
        end(&all, "a");
        all.keep(kept("e", 1)).unwrap();
        assert!(all.shown("a").is_some() && all.shown("x").is_none());
        end(&all, "e");
        all.keep(kept("f", 31)).unwrap();
        assert!(all.shown("a").is_none() && all.shown("e").is_some() && all.shown("b").is_some());
        for number in 0..2 * KEPT {
            let id = number.to_string();
            end(&all, "f");
            all.keep(kept(&id, 32)).unwrap();
            end(&all, &id);
        }
        assert_eq!(all.all().len(), KEPT);
    }

    #[test]
    fn a_test_message_goes_to_an_address() {
        assert_eq!(recipient("ann@example.com").unwrap(), "ann@example.com");
        for wrong in ["ann", "a b@example.com", "ann@example.com\r\nRCPT"] {
            assert!(recipient(wrong).unwrap_err().cause.contains("no message can be sent"), "{wrong}");
        }
    }
}
