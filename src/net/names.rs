//! Looking up host names, once for all who ask at the same time.
//!
//! The system's resolver blocks a thread for as long as it likes, and cannot be told to stop. One
//! lookup for each name, however many logins want it, keeps a dead resolver from using up the threads
//! that everybody shares.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::spawn_blocking, time::Instant};

/// How long an answer is used again: short enough to follow a provider that moves its front ends,
/// whose own records live for a minute or so.
const REMEMBERED: Duration = Duration::from_secs(30);

/// What the resolver said, and when.
#[derive(Debug, Clone)]
struct Answer {
    at: Instant,
    addresses: Result<Arc<[SocketAddr]>, Arc<io::Error>>,
}

type Question = (String, u16);

/// Lookups in flight, and answers of the last half minute.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>);

impl Names {
    /// The addresses of a host, in the resolver's order.
    ///
    /// # Errors
    /// What the resolver said. An error is not remembered.
    ///
    /// # Cancel safety
    /// Safe: the lookup goes on, and the next who asks finds its answer.
    pub async fn look_up(&self, host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
        let mut pending = self.ask((host.to_owned(), port));
        let answer = pending.wait_for(Option::is_some).await;
        let answer = answer.map_err(|_| io::Error::other("the lookup broke down"))?.clone();
        let addresses = answer.map_or_else(|| Ok(Arc::default()), |answer| answer.addresses);
        addresses.map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    fn ask(&self, question: Question) -> watch::Receiver<Option<Answer>> {
        let mut asked = self.asked();
        if let Some(pending) = asked.get(&question).filter(|pending| is_of_use(pending)) {
            return pending.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let (host, port) = question.clone();
        asked.insert(question, receiver.clone());
        spawn_blocking(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            let addresses = found.map(Iterator::collect).map_err(Arc::new);
            sender.send_replace(Some(Answer { at: Instant::now(), addresses }));
        });
        receiver
    }

    /// Knows the addresses of a host without having looked it up.
    #[cfg(test)]
    pub(super) fn knowing(host: &str, port: u16, addresses: &[SocketAddr]) -> Self {
        let answer = Answer { at: Instant::now(), addresses: Ok(addresses.into()) };
        let (_, receiver) = watch::channel(Some(answer));
        Self(Mutex::new(HashMap::from([((host.to_owned(), port), receiver)])))
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Answer>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a lookup is in flight, or has found something a short while ago.
fn is_of_use(pending: &watch::Receiver<Option<Answer>>) -> bool {
    match &*pending.borrow() {
        None => pending.has_changed().is_ok(),
        Some(answer) => answer.addresses.is_ok() && answer.at.elapsed() < REMEMBERED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_its_answer_used_again() {
        let names = Names::default();
        let (first, second) = tokio::join!(names.look_up("localhost", 993), names.look_up("localhost", 993));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 993), "{first:?}");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first, &names.look_up("localhost", 993).await.unwrap()));
    }

    #[tokio::test]
    async fn a_failed_lookup_is_not_remembered() {
        let names = Names::default();
        for _ in 0..2 {
            names.look_up("no such host", 1).await.unwrap_err();
            let known = names.asked().values().filter(|pending| is_of_use(pending)).count();
            assert_eq!(known, 0);
        }
    }
}
