//! The role that is many mail programs: one errand, whose outcome is a line of JSON, or why there is none.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    runtime,
    sync::{Barrier, Semaphore},
    task::{JoinSet, block_in_place},
    time::timeout,
};

use super::client::{Client, Door};

/// How long a program waits for a login, a fetch or a message until it takes it for lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The password of everybody.
pub const PASSWORD: &str = "correct-horse";

/// How many accounts the programs have between them.
pub const USERS: usize = 16;

/// How many fetch at the same time of those that are held: a few, as people do. What all need at once is another
/// measurement.
const FETCHING: usize = 32;

/// Bytes of a message that is handed in.
const MESSAGE: usize = 4096;

/// The login of the program with a number.
pub fn user(number: usize) -> String {
    format!("user{}@example.com", number % USERS)
}

/// What is to be done, and where.
#[derive(Serialize, Deserialize)]
pub struct Errand {
    /// Where the programs connect to.
    pub addr: SocketAddr,
    /// The trust anchor of who is there, where the line is encrypted.
    pub ca: Option<PathBuf>,
    /// The login of them all, where they have not one each.
    pub user: Option<String>,
    /// How many log in at the same time where they stay.
    pub at_once: usize,
    /// What they do.
    pub task: Task,
}

/// What mail programs do. Times are in seconds.
#[derive(Serialize, Deserialize)]
pub enum Task {
    /// Each logs in by IMAP and leaves, again and again, until the time is over.
    Logins { clients: usize, seconds: f64 },
    /// Each fetches a message of so many bytes, again and again, until the time is over.
    Fetch { sessions: usize, bytes: u64, seconds: f64 },
    /// Each hands in messages on one connection until the time is over.
    Messages { sessions: usize, seconds: f64 },
    /// All log in by IMAP and stay. The line `pass N` has each fetch N bytes; a line answers when it is done.
    Hold { sessions: usize },
}

/// What came of it.
#[derive(Serialize, Deserialize, Default)]
pub struct Outcome {
    /// Logins, messages or fetches.
    pub count: f64,
    /// How long all took together, in seconds.
    pub seconds: f64,
    /// How long one took in the middle, in milliseconds.
    pub p50: f64,
    /// How long the slowest but one in a hundred took, in milliseconds.
    pub p99: f64,
}

impl Outcome {
    fn of(mut each: Vec<Duration>, all: Duration) -> Self {
        each.sort_unstable();
        let at = |part: usize| {
            let place = (each.len() * part / 100).min(each.len().saturating_sub(1));
            each.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
        let count = each.len() as f64;
        Self { count, seconds: all.as_secs_f64(), p50: at(50), p99: at(99) }
    }
}

/// What an errand comes to: an outcome, or what went wrong.
pub type Done<T = Outcome> = Result<T, String>;

/// Does the errand and prints its outcome.
pub fn run(errand: &str) {
    footbridge::net::tls::install_cryptography();
    footbridge::net::descriptors::raise(u64::MAX).unwrap();
    let errand: Errand = serde_json::from_str(errand).unwrap();
    runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(perform(errand));
}

fn print(outcome: &Done) {
    println!("{}", serde_json::to_string(outcome).unwrap());
}

async fn perform(errand: Errand) {
    let programs = Programs {
        door: Door::new(errand.addr, errand.ca.as_deref()),
        user: errand.user,
        places: Arc::new(Semaphore::new(errand.at_once)),
    };
    match errand.task {
        Task::Logins { clients, seconds } => print(&programs.log_in(clients, seconds).await),
        Task::Fetch { sessions, bytes, seconds } => print(&programs.fetch(sessions, bytes, seconds).await),
        Task::Messages { sessions, seconds } => print(&programs.send(sessions, seconds).await),
        Task::Hold { sessions } => programs.hold(sessions).await,
    }
}

/// Does something that is not waited for without end.
async fn in_time<T>(what: &str, work: impl Future<Output = std::io::Result<T>>) -> Done<T> {
    match timeout(PATIENCE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: no answer in {} s", PATIENCE.as_secs())),
    }
}

/// The programs of an errand.
#[derive(Clone)]
struct Programs {
    door: Door,
    user: Option<String>,
    /// Taken by those that log in to stay.
    places: Arc<Semaphore>,
}

impl Programs {
    fn user(&self, number: usize) -> String {
        self.user.clone().unwrap_or_else(|| user(number))
    }

    async fn logged_in(&self, number: usize) -> Done<Client> {
        let login = async {
            let mut client = self.door.connect().await?;
            client.imap_login(&self.user(number), PASSWORD).await?;
            Ok(client)
        };
        in_time("login", login).await
    }

    /// As [`Self::logged_in`], in its turn; and how long it took.
    async fn staying(&self, number: usize) -> Done<(Client, Duration)> {
        let _place = self.places.acquire().await.unwrap();
        let began = Instant::now();
        let client = self.logged_in(number).await?;
        Ok((client, began.elapsed()))
    }

    async fn log_in(self, clients: usize, seconds: f64) -> Done {
        let all = Together::new(clients, seconds);
        for number in 0..clients {
            let programs = self.clone();
            all.spawn(|mut turn| async move {
                turn.begin().await;
                while turn.goes_on() {
                    turn.take(programs.logged_in(number)).await?;
                }
                Ok(())
            });
        }
        all.outcome().await
    }

    async fn fetch(self, sessions: usize, bytes: u64, seconds: f64) -> Done {
        let all = Together::new(sessions, seconds);
        for number in 0..sessions {
            let programs = self.clone();
            all.spawn(|mut turn| async move {
                let staying = programs.staying(number).await;
                turn.begin().await;
                let (mut client, _) = staying?;
                while turn.goes_on() {
                    turn.take(in_time("fetch", client.fetch(bytes))).await?;
                }
                Ok(())
            });
        }
        all.outcome().await
    }

    async fn send(self, sessions: usize, seconds: f64) -> Done {
        let message = format!("{}.\r\n", "A line of a message as it is handed in.\r\n".repeat(MESSAGE / 41));
        let all = Together::new(sessions, seconds);
        for number in 0..sessions {
            let (programs, message) = (self.clone(), message.clone());
            all.spawn(|mut turn| async move {
                let user = programs.user(number);
                let connected = programs.connected_to_send(&user).await;
                turn.begin().await;
                let mut client = connected?;
                while turn.goes_on() {
                    turn.take(in_time("message", client.send(&user, &message))).await?;
                }
                Ok(())
            });
        }
        all.outcome().await
    }

    async fn connected_to_send(&self, user: &str) -> Done<Client> {
        let _place = self.places.acquire().await.unwrap();
        let login = async {
            let mut client = self.door.connect().await?;
            client.smtp_login(user, PASSWORD).await?;
            Ok(client)
        };
        in_time("login", login).await
    }

    async fn hold(self, sessions: usize) {
        let began = Instant::now();
        let mut coming = JoinSet::new();
        for number in 0..sessions {
            let programs = self.clone();
            coming.spawn(async move { programs.staying(number).await });
        }
        let (mut clients, mut times) = (Vec::new(), Vec::new());
        while let Some(came) = coming.join_next().await {
            match came.unwrap() {
                Ok((client, time)) => {
                    clients.push(client);
                    times.push(time);
                }
                Err(why) => return print(&Err(format!("behind {} sessions: {why}", clients.len()))),
            }
        }
        print(&Ok(Outcome::of(times, began.elapsed())));
        while let Some(Ok(line)) = block_in_place(|| std::io::stdin().lines().next()) {
            let bytes = line.strip_prefix("pass ").unwrap().parse().unwrap();
            let passed = pass(&mut clients, bytes).await;
            print(&passed.map(|()| Outcome::default()));
        }
    }
}

async fn pass(clients: &mut [Client], bytes: u64) -> Done<()> {
    for some in clients.chunks_mut(FETCHING) {
        let fetches = some.iter_mut().map(|client| in_time("fetch", client.fetch(bytes)));
        futures::future::try_join_all(fetches).await?;
    }
    Ok(())
}

/// Programs that begin at the same moment and go on for the same time.
struct Together {
    turn: Turn,
    tasks: Mutex<JoinSet<Done<()>>>,
}

/// What one of them knows of it.
#[derive(Clone)]
struct Turn {
    start: Arc<Barrier>,
    length: Duration,
    began: Option<Instant>,
    times: Arc<Mutex<Vec<Duration>>>,
    done: bool,
}

impl Together {
    fn new(programs: usize, seconds: f64) -> Self {
        let turn = Turn {
            start: Arc::new(Barrier::new(programs + 1)),
            length: Duration::from_secs_f64(seconds),
            began: None,
            times: Arc::default(),
            done: false,
        };
        Self { turn, tasks: Mutex::default() }
    }

    /// Adds a program. Whatever happens to it, it has to wait for the others to begin.
    fn spawn<W, F>(&self, work: W)
    where
        W: FnOnce(Turn) -> F,
        F: Future<Output = Done<()>> + Send + 'static,
    {
        self.tasks.lock().unwrap().spawn(work(self.turn.clone()));
    }

    async fn outcome(self) -> Done {
        self.turn.start.wait().await;
        let began = Instant::now();
        let ended = self.tasks.into_inner().unwrap().join_all().await;
        let all = began.elapsed();
        ended.into_iter().collect::<Done<()>>()?;
        let times = std::mem::take(&mut *self.turn.times.lock().unwrap());
        Ok(Outcome::of(times, all))
    }
}

impl Turn {
    /// Waits until all are ready.
    async fn begin(&mut self) {
        self.start.wait().await;
        self.began = Some(Instant::now());
    }

    /// Whether there is time for more. There is always time for one.
    fn goes_on(&self) -> bool {
        !self.done || self.began.is_some_and(|began| began.elapsed() < self.length)
    }

    /// Notes how long something takes that comes to an end.
    async fn take<T>(&mut self, work: impl Future<Output = Done<T>>) -> Done<()> {
        let began = Instant::now();
        let _kept_until_noted = work.await?;
        self.times.lock().unwrap().push(began.elapsed());
        self.done = true;
        Ok(())
    }
}
