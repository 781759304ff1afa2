//! Who is served: a bounded number of connections, of which those that say nothing give way to others.
//!
//! Whoever has sent a whole request keeps its place while that is answered. The others - those that have not yet asked,
//! and those that do not take the answer - keep theirs as long as there are enough. Where there are not, the client
//! with the most of them loses its oldest, so that nobody keeps others out by connecting often.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::ids::ClientNet;

/// How many connections are served at a time; a browser opens six.
const CONNECTIONS: usize = 64;

/// How old a connection is at least that has to give way: who has connected with a request at hand has sent it by then.
const GRACE: Duration = Duration::from_millis(100);

/// All places of one server.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<Taken>,
    /// Told of every place that is free again.
    left: Notify,
}

/// The places that are taken, the oldest first.
#[derive(Debug, Default)]
struct Taken {
    seats: BTreeMap<u64, Seat>,
    /// How many there ever were.
    numbered: u64,
}

#[derive(Debug)]
struct Seat {
    client: ClientNet,
    since: Instant,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the house is at work on its request.
    is_served: AtomicBool,
    given_up: CancellationToken,
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    state: Arc<State>,
}

impl Places {
    /// A place for a connection of `client`. Where all are taken, it waits until one is free or may be given up.
    pub(super) async fn take(self: &Arc<Self>, client: &ClientNet) -> Place {
        loop {
            let taken = self.taken().take(client, Instant::now());
            match taken {
                Ok((number, state)) => return Place { places: Arc::clone(self), number, state },
                Err(Some(wait)) => _ = timeout(wait, self.left.notified()).await,
                Err(None) => self.left.notified().await,
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes a place, that of another where there is none. Else says when to ask again at the latest: where all are
    /// being served, not before one has ended.
    fn take(&mut self, client: &ClientNet, now: Instant) -> Result<(u64, Arc<State>), Option<Duration>> {
        if self.seats.len() >= CONNECTIONS {
            self.give_one_up(now)?;
        }
        let (number, state) = (self.numbered, Arc::new(State::default()));
        self.numbered += 1;
        let seat = Seat { client: client.clone(), since: now, state: Arc::clone(&state) };
        self.seats.insert(number, seat);
        Ok((number, state))
    }

    fn give_one_up(&mut self, now: Instant) -> Result<(), Option<Duration>> {
        let number = self.idlest().ok_or(None)?;
        let age = self.seats.get(&number).map_or(GRACE, |seat| now.duration_since(seat.since));
        if age < GRACE {
            return Err(Some(GRACE.saturating_sub(age)));
        }
        if let Some(seat) = self.seats.remove(&number) {
            seat.state.given_up.cancel();
        }
        Ok(())
    }

    /// The oldest connection that is not being served, of the client that has the most of those; of several such
    /// clients, the oldest of all.
    fn idlest(&self) -> Option<u64> {
        let idle = || self.seats.iter().filter(|(_, seat)| !seat.state.is_served.load(Ordering::Relaxed));
        let mut counts = HashMap::<_, usize>::new();
        for (_, seat) in idle() {
            *counts.entry(&seat.client).or_default() += 1;
        }
        let most = counts.values().max()?;
        idle().find(|(_, seat)| counts.get(&seat.client) == Some(most)).map(|(number, _)| *number)
    }
}

impl Place {
    /// Cancelled when the place is wanted for others.
    pub(super) fn given_up(&self) -> &CancellationToken {
        &self.state.given_up
    }

    /// Keeps the place while `work` goes on.
    pub(super) async fn keep<T>(&self, work: impl Future<Output = T>) -> T {
        self.state.is_served.store(true, Ordering::Relaxed);
        let done = work.await;
        self.state.is_served.store(false, Ordering::Relaxed);
        done
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().seats.remove(&self.number);
        // There is one who takes places, and a notice that nobody waits for is kept.
        self.places.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientAddr;

    fn client(number: u8) -> ClientNet {
        ClientAddr::new(([192, 0, 2, number], 1).into()).network()
    }

    /// All places, every other one for client 2 among the first twenty; they are a millisecond apart.
    fn full(start: Instant) -> (Taken, Vec<Arc<State>>) {
        let mut taken = Taken::default();
        let states = (0..64_u64).map(|number| {
            let whose = if number < 20 && number % 2 == 0 { 2 } else { 1 };
            taken.take(&client(whose), start + Duration::from_millis(number)).unwrap().1
        });
        let states = states.collect();
        (taken, states)
    }

    fn given_up(states: &[Arc<State>]) -> Vec<usize> {
        (0..states.len()).filter(|at| states[*at].given_up.is_cancelled()).collect()
    }

    #[test]
    fn the_client_with_the_most_silent_connections_loses_its_oldest() {
        let start = Instant::now();
        let (mut taken, states) = full(start);
        let later = start + Duration::from_secs(1);
        assert_eq!(given_up(&states), [0; 0]);
        taken.take(&client(3), later).unwrap();
        taken.take(&client(1), later).unwrap();
        assert_eq!(given_up(&states), [1, 3]);
        assert_eq!(taken.seats.len(), CONNECTIONS);
    }

    #[test]
    fn who_has_just_come_is_waited_for() {
        let start = Instant::now();
        let (mut taken, states) = full(start);
        let wait = taken.take(&client(3), start + Duration::from_millis(64)).unwrap_err();
        assert_eq!(wait, Some(Duration::from_millis(37)));
        assert_eq!(given_up(&states), [0; 0]);
        taken.take(&client(3), start + Duration::from_millis(101)).unwrap();
        assert_eq!(given_up(&states), [1]);
    }

    #[test]
    fn who_is_being_served_keeps_its_place() {
        let start = Instant::now();
        let (mut taken, states) = full(start);
        let later = start + Duration::from_secs(1);
        for state in &states {
            state.is_served.store(true, Ordering::Relaxed);
        }
        assert_eq!(taken.take(&client(3), later).unwrap_err(), None);
        states[40].is_served.store(false, Ordering::Relaxed);
        taken.take(&client(3), later).unwrap();
        assert_eq!(given_up(&states), [40]);
    }

    #[tokio::test]
    async fn a_place_that_is_left_is_taken_by_who_waits_for_it() {
        let places = Arc::new(Places::default());
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let place = places.take(&client(1)).await;
            place.state.is_served.store(true, Ordering::Relaxed);
            held.push(place);
        }
        let (of_two, client) = (Arc::clone(&places), client(2));
        let waiting = of_two.take(&client);
        tokio::pin!(waiting);
        assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
        drop(held.pop());
        waiting.await;
        assert_eq!(places.taken().seats.len(), CONNECTIONS - 1, "the new one is gone again");
    }
}
