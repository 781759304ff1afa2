//! Looking up host names, once for all who ask at the same time.
//!
//! The system's resolver blocks a thread for as long as it likes, and cannot be told to stop. One
//! lookup for each name, however many logins want it, keeps a dead resolver from using up the threads
//! that everybody shares.

use std::{
    collections::HashMap,
    fmt, io,
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

type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Who is asked. Takes as long as it likes.
#[derive(Clone)]
struct Resolver(Arc<Resolve>);

impl Default for Resolver {
    fn default() -> Self {
        Self(Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// Lookups in flight, and answers of the last half minute.
#[derive(Debug, Default)]
pub struct Names {
    asked: Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>,
    resolver: Resolver,
}

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
        let ((host, port), resolver) = (question.clone(), self.resolver.clone());
        asked.insert(question, receiver.clone());
        spawn_blocking(move || {
            let addresses = (resolver.0)(&host, port).map(Arc::from).map_err(Arc::new);
            sender.send_replace(Some(Answer { at: Instant::now(), addresses }));
        });
        receiver
    }

    /// Knows the addresses of a host without having looked it up.
    #[cfg(test)]
    pub(super) fn knowing(host: &str, port: u16, addresses: &[SocketAddr]) -> Self {
        let answer = Answer { at: Instant::now(), addresses: Ok(addresses.into()) };
        let (_, receiver) = watch::channel(Some(answer));
        let asked = HashMap::from([((host.to_owned(), port), receiver)]);
        Self { asked: Mutex::new(asked), resolver: Resolver::default() }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Answer>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::sync::mpsc;

    use super::*;

    /// Names whose resolver counts the lookups that it is let end, and answers the number as the port; but for `lost`,
    /// which it does not know, and `quick`, for which it needs no leave.
    fn counting() -> (Names, mpsc::Sender<()>) {
        let (lets, is_let) = mpsc::channel::<()>();
        let state = Mutex::new((0, is_let));
        let resolve = move |host: &str, _: u16| {
            if host == "quick" {
                return Ok(vec![SocketAddr::from(([192, 0, 2, 1], 1))]);
            }
            let mut state = state.lock().unwrap();
            state.1.recv().map_err(io::Error::other)?;
            state.0 += 1;
            if host == "lost" {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(vec![([192, 0, 2, 2], state.0).into()])
            }
        };
        (Names { asked: Mutex::default(), resolver: Resolver(Arc::new(resolve)) }, lets)
    }

    /// The number of the lookup that has found a host.
    async fn number(names: &Names, host: &str) -> Result<u16, io::ErrorKind> {
        names.look_up(host, 993).await.map(|found| found[0].port()).map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_serves_for_thirty_seconds_and_no_longer() {
        let (names, lets) = counting();
        lets.send(()).unwrap();
        assert_eq!(number(&names, "host").await, Ok(1));
        tokio::time::advance(Duration::from_millis(29_900)).await;
        assert_eq!(number(&names, "host").await, Ok(1));
        tokio::time::advance(Duration::from_millis(100)).await;
        lets.send(()).unwrap();
        assert_eq!(number(&names, "host").await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_wait_for_one_lookup_and_an_error_is_asked_again() {
        let (names, lets) = counting();
        for (host, found) in [("lost", Err(io::ErrorKind::NotFound)), ("host", Ok(2))] {
            let asking = futures::future::join_all((0..9).map(|_| number(&names, host)));
            tokio::pin!(asking);
            // All nine have asked before there is an answer.
            assert!(futures::poll!(&mut asking).is_pending());
            lets.send(()).unwrap();
            assert_eq!(asking.await, [found; 9], "{host} is looked up once, as the second of all");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_whose_lookup_hangs_holds_up_no_other_name() {
        let (names, lets) = counting();
        let hanging = number(&names, "host");
        tokio::pin!(hanging);
        assert!(futures::poll!(&mut hanging).is_pending());
        assert_eq!(number(&names, "quick").await, Ok(1));
        assert!(futures::poll!(&mut hanging).is_pending());
        lets.send(()).unwrap();
        assert_eq!(hanging.await, Ok(1));
    }

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
