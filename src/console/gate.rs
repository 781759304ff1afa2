//! Who may use the console: whoever knows its password or has a one-time link, for the time of a session.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::fill,
};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use super::{complaints::Complaints, desk::Begun, guesses::Guesses, hosts::Hosts};
use crate::{clock::SharedClock, ids::ClientNet, secret::Secret};

/// How long a session lasts: a working day.
const SESSION: Duration = Duration::from_hours(12);

/// How many sessions there may be; the oldest gives way.
const MOST_SESSIONS: usize = 100;

/// How long a one-time link serves.
const LINK: Duration = Duration::from_mins(5);

/// How many links may wait to be opened; the oldest gives way.
const MOST_LINKS: usize = 20;

/// How many consents one session may look after; the oldest is forgotten by the page, not by the bridge.
const MOST_BEGUN: usize = 20;

/// The console's door.
#[derive(Debug)]
pub struct Gate {
    pub(super) hosts: Hosts,
    /// The digest of the password: comparing digests takes the same time whatever was typed.
    password: Secret,
    cookie: String,
    clock: SharedClock,
    inside: Mutex<Inside>,
    /// Makes numbers of wrong passwords, which tell them apart and nothing else of them.
    numbers: RandomState,
}

#[derive(Debug, Default)]
struct Inside {
    sessions: VecDeque<Session>,
    links: VecDeque<Link>,
    guesses: Guesses,
    /// What the log is told of wrong passwords, and of clients that rest: neither silences the other.
    wrong: Complaints,
    resting: Complaints,
}

#[derive(Debug)]
struct Session {
    token: Secret,
    form: Secret,
    ends_at: SystemTime,
    begun: VecDeque<Begun>,
}

#[derive(Debug)]
struct Link {
    token: Secret,
    ends_at: SystemTime,
}

/// Why a password opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// It is not the one.
    Wrong,
    /// It was not looked at, and none of this client will be for so long.
    Resting(Duration),
}

/// Somebody with a session.
#[derive(Debug)]
pub(super) struct Visitor {
    token: Secret,
    form: Secret,
}

impl Visitor {
    /// What every form of the session carries, so that no other site can fill one in.
    pub(super) fn form_token(&self) -> &str {
        self.form.expose_str().unwrap_or_default()
    }

    /// Whether a form is of this session.
    pub(super) fn has_sent(&self, token: &str) -> bool {
        self.form == Secret::new(token)
    }
}

impl Gate {
    /// Lets in whoever knows `password`, at the addresses of `hosts`.
    #[must_use]
    pub fn new(hosts: Hosts, password: &Secret, clock: SharedClock) -> Self {
        // Cookies do not heed ports, and one machine may have several bridges.
        let cookie = match (hosts.is_published(), hosts.is_encrypted()) {
            (true, _) => "__Host-footbridge".to_owned(),
            (false, true) => format!("__Host-footbridge-{}", hosts.port()),
            (false, false) => format!("footbridge-{}", hosts.port()),
        };
        Self {
            hosts,
            password: digested(password),
            cookie,
            clock,
            inside: Mutex::default(),
            numbers: RandomState::new(),
        }
    }

    /// Where people open the console, without a slash at the end.
    #[must_use]
    pub fn address(&self) -> &str {
        self.hosts.address()
    }

    /// A link that signs in once, within five minutes. `None` where the system has no randomness.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        let (token, now) = (random()?, self.clock.now());
        let url = format!("{}/login?link={}", self.hosts.address(), token.expose_str()?);
        let mut inside = self.inside();
        inside.links.retain(|link| is_open(link.ends_at, LINK, now));
        push(&mut inside.links, Link { token, ends_at: now + LINK }, MOST_LINKS);
        Some(url)
    }

    /// Begins a session for who has a link, which is used up by that.
    pub(super) fn redeem(&self, token: &str) -> Option<HeaderValue> {
        let (token, now) = (Secret::new(token), self.clock.now());
        let mut inside = self.inside();
        let found = found(inside.links.iter().map(|link| &link.token), &token)?;
        let link = inside.links.remove(found)?;
        is_open(link.ends_at, LINK, now).then(|| self.begin(&mut inside, now)).flatten()
    }

    /// Begins a session for a client that knows the password: the cookie is the session.
    pub(super) fn sign_in(&self, client: &ClientNet, shown: &Secret) -> Result<HeaderValue, Denied> {
        self.judge(client, shown)?;
        // Without randomness there is no session, whatever was typed.
        self.begin(&mut self.inside(), self.clock.now()).ok_or(Denied::Wrong)
    }

    /// Whether a program has shown the password with its request (RFC 7617, as any user, or RFC 6750 §2.1).
    pub(super) fn recognise(&self, client: &ClientNet, headers: &HeaderMap) -> Result<(), Denied> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, rest) = shown.and_then(|value| value.split_once(' ')).ok_or(Denied::Wrong)?;
        let shown = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(Secret::new(rest.trim())),
            "basic" => password_of(rest.trim()),
            _ => None,
        };
        self.judge(client, &shown.ok_or(Denied::Wrong)?)
    }

    fn judge(&self, client: &ClientNet, shown: &Secret) -> Result<(), Denied> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if let Some(left) = inside.guesses.rests(client, now) {
            return Err(Denied::Resting(left));
        }
        let shown = digested(shown);
        if shown == self.password {
            return Ok(());
        }
        inside.guesses.wrong(client.clone(), self.numbers.hash_one(shown.expose()), now);
        Err(inside.guesses.rests(client, now).map_or(Denied::Wrong, Denied::Resting))
    }

    /// How long no password of a client will be looked at, where that is so.
    pub(super) fn rests(&self, client: &ClientNet) -> Option<Duration> {
        self.inside().guesses.rests(client, self.clock.now())
    }

    /// Whether the log is told that a password of a client opened nothing; then how often it was not told the same
    /// since the last time.
    pub(super) fn complains(&self, client: &ClientNet, denied: Denied) -> Option<u64> {
        let (mut inside, now) = (self.inside(), self.clock.now());
        match denied {
            Denied::Wrong => inside.wrong.complains(client, now),
            Denied::Resting(_) => inside.resting.complains(client, now),
        }
    }

    fn begin(&self, inside: &mut Inside, now: SystemTime) -> Option<HeaderValue> {
        let (token, form) = (random()?, random()?);
        let secure = if self.hosts.is_encrypted() { "; Secure" } else { "" };
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
            self.cookie,
            token.expose_str()?,
            SESSION.as_secs()
        );
        let session = Session { token, form, ends_at: now + SESSION, begun: VecDeque::new() };
        push(&mut inside.sessions, session, MOST_SESSIONS);
        sensitive(&cookie)
    }

    /// Who has sent a request, if they have a session.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let token = self.token(headers)?;
        let mut inside = self.inside();
        let session = self.session(&mut inside, &token)?;
        Some(Visitor { token, form: session.form.clone() })
    }

    fn token(&self, headers: &HeaderMap) -> Option<Secret> {
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(name, _)| *name == self.cookie).map(|(_, token)| Secret::new(token))
    }

    fn session<'a>(&self, inside: &'a mut Inside, token: &Secret) -> Option<&'a mut Session> {
        let now = self.clock.now();
        inside.sessions.retain(|session| is_open(session.ends_at, SESSION, now));
        let found = found(inside.sessions.iter().map(|session| &session.token), token)?;
        inside.sessions.get_mut(found)
    }

    /// Ends a session. The cookie that is returned replaces the session's with nothing.
    pub(super) fn sign_out(&self, visitor: &Visitor) -> Option<HeaderValue> {
        self.inside().sessions.retain(|session| session.token != visitor.token);
        let secure = if self.hosts.is_encrypted() { "; Secure" } else { "" };
        sensitive(&format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}", self.cookie))
    }

    /// Keeps a consent for the session that has begun it.
    pub(super) fn keep(&self, visitor: &Visitor, begun: Begun) {
        let mut inside = self.inside();
        if let Some(session) = self.session(&mut inside, &visitor.token) {
            push(&mut session.begun, begun, MOST_BEGUN);
        }
    }

    /// The newest consent for an account that the session has begun.
    pub(super) fn begun_for(&self, visitor: &Visitor, login: &str) -> Option<String> {
        let mut inside = self.inside();
        let session = self.session(&mut inside, &visitor.token)?;
        session.begun.iter().rev().find(|begun| begun.login == login).map(|begun| begun.id.clone())
    }

    /// A consent that the session has begun.
    pub(super) fn begun(&self, visitor: &Visitor, id: &str) -> Option<Begun> {
        let mut inside = self.inside();
        let session = self.session(&mut inside, &visitor.token)?;
        session.begun.iter().find(|begun| begun.id == id).cloned()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something is still good. What seems to last for longer than it may was begun under another
/// clock.
fn is_open(ends_at: SystemTime, lasts: Duration, now: SystemTime) -> bool {
    let left = ends_at.duration_since(now).unwrap_or_default();
    left > Duration::ZERO && left <= lasts
}

/// Where a token is. All are compared, each in constant time, so that an answer's time tells nothing.
fn found<'a>(known: impl Iterator<Item = &'a Secret>, token: &Secret) -> Option<usize> {
    known.enumerate().fold(None, |found, (at, known)| if known == token { Some(at) } else { found })
}

fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    while queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn digested(password: &Secret) -> Secret {
    Secret::new(digest(&SHA256, password.expose()).as_ref())
}

/// The password of HTTP's Basic, behind whatever name.
fn password_of(credentials: &str) -> Option<Secret> {
    let decoded = Secret::new(STANDARD.decode(credentials).ok()?);
    let at = decoded.expose().iter().position(|byte| *byte == b':')?;
    decoded.expose().get(at + 1..).map(Secret::new)
}

fn random() -> Option<Secret> {
    let mut bytes = [0; 32];
    fill(&mut bytes).ok()?;
    Some(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

fn sensitive(cookie: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{clock::Clock, ids::ClientAddr};

    #[derive(Debug)]
    struct Told(Mutex<SystemTime>);

    impl Clock for Told {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }

        fn fraction(&self) -> f64 {
            0.5
        }
    }

    impl Told {
        fn pass(&self, time: Duration) {
            *self.0.lock().unwrap() += time;
        }
    }

    fn gate() -> (Gate, Arc<Told>) {
        let clock = Arc::new(Told(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000))));
        let hosts = Hosts::new("127.0.0.1:0", ([127, 0, 0, 1], 8025).into(), false, None);
        (Gate::new(hosts, &Secret::new("right"), Arc::clone(&clock) as SharedClock), clock)
    }

    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&pair).unwrap())])
    }

    fn client(number: u8) -> ClientNet {
        ClientAddr::new(([192, 0, 2, number], 1).into()).network()
    }

    fn entered(gate: &Gate) -> HeaderValue {
        gate.sign_in(&client(1), &Secret::new("right")).unwrap()
    }

    #[test]
    fn after_five_wrong_passwords_the_right_one_of_that_client_is_not_looked_at_for_a_while() {
        let (gate, clock) = gate();
        let shows = |client, password: &str| gate.sign_in(&client, &Secret::new(password));
        for wrong in ["a", "b", "c", "d", "d"] {
            assert_eq!(shows(client(1), wrong), Err(Denied::Wrong));
        }
        clock.pass(Duration::from_mins(1));
        let rests = |result| matches!(result, Err(Denied::Resting(left)) if left.as_secs() == 240);
        assert!(rests(shows(client(1), "")) && rests(shows(client(1), "right")));
        assert!(gate.link().is_some(), "a link is no password");
        assert!(shows(client(2), "right").is_ok(), "nobody else waits");
        clock.pass(Duration::from_mins(4));
        entered(&gate);
    }

    #[test]
    fn a_program_shows_the_password_by_basic_or_bearer() {
        let (gate, _) = gate();
        let shows = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            gate.recognise(&client(1), &headers)
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for right in ["Bearer right", "bearer right", &basic("prometheus:right"), &basic(":right")] {
            assert_eq!(shows(right), Ok(()), "{right}");
        }
        for wrong in ["right", "Digest right", "Basic right", "Bearer ", &basic("right"), &basic("x:y:right")]
        {
            assert_eq!(shows(wrong), Err(Denied::Wrong), "{wrong}");
        }
        assert_eq!(gate.recognise(&client(1), &HeaderMap::new()), Err(Denied::Wrong));
    }

    #[test]
    fn a_link_serves_once_and_not_for_long() {
        let (gate, clock) = gate();
        let token = |link: String| link.split_once("?link=").unwrap().1.to_owned();
        let first = token(gate.link().unwrap());
        assert!(gate.redeem(&first).is_some());
        assert!(gate.redeem(&first).is_none());
        let late = token(gate.link().unwrap());
        clock.pass(LINK);
        assert!(gate.redeem(&late).is_none());
        assert!(gate.redeem("").is_none());
    }

    #[test]
    fn a_session_lasts_twelve_hours_and_its_number_is_bounded() {
        let (gate, clock) = gate();
        let first = sent(&entered(&gate));
        assert!(gate.visitor(&first).is_some());
        for _ in 0..MOST_SESSIONS {
            entered(&gate);
        }
        assert!(gate.visitor(&first).is_none(), "the oldest has given way");
        let last = sent(&entered(&gate));
        clock.pass(Duration::from_secs(12 * 3600 - 1));
        assert!(gate.visitor(&last).is_some());
        clock.pass(Duration::from_secs(1));
        assert!(gate.visitor(&last).is_none());
    }

    #[test]
    fn who_signs_out_is_out_and_a_form_is_of_one_session() {
        let (gate, _) = gate();
        let (one, other) = (sent(&entered(&gate)), sent(&entered(&gate)));
        let (one, other) = (gate.visitor(&one).unwrap(), gate.visitor(&other).unwrap());
        assert!(one.has_sent(one.form_token()) && !one.has_sent(other.form_token()) && !one.has_sent(""));
        gate.sign_out(&one);
        assert!(gate.inside().sessions.len() == 1);
    }

    #[test]
    fn a_cookie_is_for_encrypted_connections_alone_where_there_are_any() {
        let (gate, clock) = gate();
        let plain = entered(&gate);
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("footbridge-8025=") && plain.contains("; HttpOnly; SameSite=Strict; "));
        assert!(!plain.contains("Secure"));
        let public = "https://mail.example.com".parse().unwrap();
        let hosts = Hosts::new("0.0.0.0:8025", ([0, 0, 0, 0], 8025).into(), false, Some(&public));
        let gate = Gate::new(hosts, &Secret::new("right"), clock);
        let cookie = entered(&gate);
        assert!(cookie.to_str().unwrap().starts_with("__Host-footbridge="));
        assert!(cookie.to_str().unwrap().ends_with("; Secure"));
        assert!(gate.link().unwrap().starts_with("https://mail.example.com/login?link="));
    }

    #[test]
    fn the_cookies_of_two_encrypted_consoles_of_one_machine_have_names_of_their_own() {
        for port in [8025, 8026] {
            let hosts = Hosts::new("127.0.0.1:0", ([127, 0, 0, 1], port).into(), true, None);
            let gate = Gate::new(hosts, &Secret::new("right"), gate().1);
            let cookie = entered(&gate);
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with(&format!("__Host-footbridge-{port}=")), "{cookie}");
            assert!(cookie.contains("; Path=/; ") && cookie.ends_with("; Secure"), "{cookie}");
            assert!(gate.link().unwrap().starts_with(&format!("https://localhost:{port}/login?link=")));
        }
    }
}
