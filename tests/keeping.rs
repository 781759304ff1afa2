//! What is kept of tokens, whatever happens: a restart, a kill, a refusal, another process.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{path::Path, sync::Arc, time::Duration};

use footbridge::{
    account::Account,
    clock::{Clock as _, System},
    config,
    ids::ProtocolKind,
    oauth::{Landing, Tokens},
    store::{Record, Store},
};
use futures::future::join_all;
use harness::{
    authority::{Answer, Authority, Registration, Rotation},
    bridge::Bridge,
    browser::Browser,
    certs::Certs,
    client::Client,
    config::{Config, Folder, Keys},
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD},
};

/// A public client: people consent to it in a browser.
const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";

/// A bridge's surroundings before it is started, with people who have consented.
struct Home {
    certs: Arc<Certs>,
    authority: Authority,
    exchange: Exchange,
    folder: Folder,
}

impl Home {
    /// Everybody has an account by consent, a mailbox, and has consented.
    async fn of(people: &[&str]) -> Self {
        Self::living(people, Duration::from_mins(59)).await
    }

    /// As [`Home::of`], with access tokens of that life.
    async fn living(people: &[&str], lifetime: Duration) -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let exchange = Exchange::start(&certs, &authority);
        authority.set_lifetime(lifetime);
        authority.register_app(Registration::public(PUBLIC).redirect("http://localhost"));
        let mut config = Config::empty().delegated_app("people", &authority, &exchange, Keys::of(PUBLIC));
        for person in people {
            exchange.mailboxes().create(person);
            config = config.account_with("people", person, Some(PASSWORD), "authorization_code", "");
        }
        let folder = config.write(&certs);
        let home = Self { certs, authority, exchange, folder };
        home.consent(people).await;
        home
    }

    async fn consent(&self, people: &[&str]) {
        let (tokens, accounts) = library(self.folder.path()).await;
        let browser = Browser::new(&self.certs);
        for account in accounts.iter().filter(|account| people.contains(&account.name())) {
            let consenting = tokens.begin_consent(account, "http://localhost:1", ()).unwrap();
            let back = browser.leaves_for(consenting.url.as_str()).await;
            let query: Vec<_> = back.query_pairs().into_owned().collect();
            let landing = tokens.redirected(&query).await;
            assert!(matches!(landing, Landing::Ended(Ok(_))), "{landing:?}");
        }
    }

    fn store(&self) -> Store {
        Store::open(&self.folder.path().join("state"), &[]).unwrap()
    }

    /// What is kept for a person.
    fn kept(&self, person: &str) -> Record {
        let all = self.store().all().unwrap();
        all.into_iter().map(|(_, record)| record).find(|record| record.account == person).expect("a record")
    }

    /// Whether the refresh token that is kept is one that the authority has issued to that person.
    fn holds_a_token(&self, person: &str) -> bool {
        let kept = self.kept(person).refresh_token.expect("a refresh token");
        let issued = self.authority.refresh_token_texts(person);
        issued.iter().any(|issued| footbridge::secret::Secret::new(issued.as_bytes()) == kept)
    }

    /// Waits until the access tokens of these people have run out.
    async fn outlived(&self, people: &[&str]) {
        for person in people {
            let expiry = self.kept(person).access.expect("an access token").expires_at;
            tokio::time::sleep(expiry.duration_since(System.now()).unwrap_or_default()).await;
        }
    }

    fn refreshes(&self) -> usize {
        self.authority.requests_of("refresh_token").get()
    }
}

/// The program's own rooms on a configuration, as one of its commands uses them.
async fn library(folder: &Path) -> (Arc<Tokens>, Vec<Arc<Account>>) {
    let loaded = config::load(&folder.join("footbridge.toml")).unwrap();
    let (config, _) = loaded.hash_plain_passwords().await.unwrap();
    let store = Arc::new(Store::open(&config.state_dir, &[]).unwrap());
    let tokens = Arc::new(Tokens::new(store, Arc::new(System)));
    tokens.configure(config.apps, &config.accounts, &ProtocolKind::ALL).await.unwrap();
    (tokens, config.accounts.iter().cloned().collect())
}

async fn imap(bridge: &Bridge, login: &str) -> String {
    Client::connect(bridge.addr("imap")).await.imap_login(login, PASSWORD).await
}

async fn imap_refused(bridge: &Bridge, login: &str) -> String {
    Client::connect(bridge.addr("imap")).await.imap_login_refused(login, PASSWORD).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_every_token() {
    let home = Home::of(&[ANN]).await;
    for _ in 0..2 {
        let bridge = Bridge::start(home.folder.path());
        let reply = imap(&bridge, ANN).await;
        assert!(reply.starts_with("in OK "), "{reply}");
        assert!(bridge.terminate().0.success());
    }
    assert_eq!((home.authority.requests().get(), home.refreshes()), (1, 0), "the code alone was exchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_is_killed_at_any_moment_of_a_refresh_needs_no_new_consent() {
    const KILLS: u32 = 200;
    let people: Vec<String> = (0..4).map(|number| format!("person{number}@example.com")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    // Each start finds every token expired, and renews them within a tenth of a second.
    let home = Home::living(&people, Duration::from_secs(1)).await;
    home.authority.set_rotation(Rotation::KeepsOld);
    for kill in 0..KILLS {
        let bridge = Bridge::spawn(home.folder.path(), &[], &[]);
        bridge.wait_for_log("its start", |line| line["message"] == "listening");
        tokio::time::sleep(Duration::from_micros(u64::from(kill) * 1500)).await;
        drop(bridge);
    }
    let refreshed = home.refreshes();
    assert!(refreshed > KILLS as usize / 4, "only {refreshed} refreshes were begun");
    for person in &people {
        assert!(home.holds_a_token(person), "{person}");
    }
    home.authority.set_lifetime(Duration::from_mins(59));
    let bridge = Bridge::start(home.folder.path());
    for person in &people {
        let reply = imap(&bridge, person).await;
        assert!(reply.starts_with("in OK "), "{person}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_refresh_token_is_in_the_store_before_its_access_token_is_shown() {
    let home = Home::living(&[ANN], Duration::from_secs(3)).await;
    home.authority.set_rotation(Rotation::DetectsReuse);
    let first = home.kept(ANN).refresh_token;
    let bridge = Bridge::start(home.folder.path());
    home.authority.requests_of("refresh_token").reached(1).await;
    let _ = imap(&bridge, ANN).await;
    home.exchange.attempted().reached(1).await;
    drop(bridge);
    assert!(home.kept(ANN).refresh_token != first && home.holds_a_token(ANN));
}

/// Page caches survive a kill, and not a power cut: what counts is when the disk has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_has_a_rotated_refresh_token_before_anything_follows_from_it() {
    let home = Home::of(&[ANN]).await;
    let (jti, _) = home.authority.issuer().issued().last().unwrap().clone();
    home.authority.issuer().revoke(&jti);
    let trace = home.folder.path().join("trace");
    let calls = "trace=connect,fsync,fdatasync";
    let runner = ["strace", "-f", "-y", "-e", calls, "-o", trace.to_str().unwrap()];
    let bridge = Bridge::start_under(&runner, home.folder.path());
    let reply = imap(&bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
    // The runner ends with what it runs, and not the other way round.
    let pid = std::fs::read_to_string(home.folder.path().join("state/lock")).unwrap();
    let ended = std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(ended.success() && bridge.wait().0.success());
    let authority = format!("htons({})", home.authority.addr().port());
    let upstream = format!("htons({})", home.exchange.endpoint("imap", false).0.port());
    let trace = std::fs::read_to_string(trace).unwrap();
    let story: String = trace
        .lines()
        .filter_map(|call| match call {
            call if call.contains(&authority) => Some('a'),
            call if call.contains(&upstream) => Some('u'),
            call if call.contains("sync(") && call.contains("tokens.db") => Some('s'),
            _ => None,
        })
        .skip_while(|event| *event != 'u')
        .collect();
    // A rejected token; the note that the refresh token is about to be shown; the authority; the new one.
    let (before, after) = story.split_once('a').expect("the authority is asked");
    assert!(before.starts_with('u') && before.ends_with('s'), "{story}\n{trace}");
    let (written, _) = after.split_once('u').expect("the mailbox is opened with the new token");
    assert!(written.contains('s'), "{story}\n{trace}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_refresh_is_reported_as_such_where_the_authority_detects_reuse() {
    let home = Home::living(&[ANN], Duration::from_secs(1)).await;
    home.outlived(&[ANN]).await;
    home.authority.set_rotation(Rotation::DetectsReuse);
    home.authority.next(Answer::Lost);
    let bridge = Bridge::start(home.folder.path());
    let reply = imap_refused(&bridge, ANN).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] ") && reply.contains("cut off"), "{reply}");
    assert!(reply.contains(&format!("footbridge authorize {ANN}")), "{reply}");
    assert!(home.kept(ANN).refresh_token.is_some(), "the old one is kept until there is another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_that_passes_changes_nothing_and_no_login_fails_of_it() {
    let troubles = [
        Answer::Status(503, None),
        Answer::Status(429, Some(1)),
        Answer::Garbage,
        Answer::Empty,
        Answer::Reset,
        Answer::Refuse(90024),
        Answer::Refuse(90033),
        Answer::Refuse(50196),
        Answer::Refuse(90055),
    ];
    for trouble in troubles {
        let home = Home::living(&[ANN], Duration::from_secs(1)).await;
        home.outlived(&[ANN]).await;
        home.authority.set_lifetime(Duration::from_mins(59));
        home.authority.next(trouble.clone());
        let bridge = Bridge::start(home.folder.path());
        let reply = imap(&bridge, ANN).await;
        assert!(reply.starts_with("in OK "), "{trouble:?}: {reply}");
        assert_eq!(home.refreshes(), 2, "{trouble:?}");
        assert!(home.holds_a_token(ANN), "{trouble:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_refusal_asks_for_consent_at_once_and_keeps_the_token() {
    for code in [70000, 700_082, 50173, 50076, 53003, 65001, 99999] {
        let home = Home::living(&[ANN], Duration::from_secs(1)).await;
        home.outlived(&[ANN]).await;
        home.authority.always(Answer::Refuse(code));
        let before = home.kept(ANN).refresh_token;
        let bridge = Bridge::start(home.folder.path());
        for _ in 0..3 {
            let reply = imap_refused(&bridge, ANN).await;
            assert!(reply.starts_with("in NO [CONTACTADMIN] "), "{code}: {reply}");
            assert!(reply.contains(&code.to_string()), "{code}: {reply}");
        }
        assert_eq!(home.refreshes(), 1, "{code}: nobody asks again and again");
        drop(bridge);
        assert_eq!(home.kept(ANN).refresh_token, before, "{code}");

        // After a restart it is still known, unless nobody knows what it was: that is tried again.
        home.authority.always(Answer::Issue);
        let bridge = Bridge::start(home.folder.path());
        if code == 99999 {
            let reply = imap(&bridge, ANN).await;
            assert!(reply.starts_with("in OK "), "{code}: {reply}");
        } else {
            let reply = imap_refused(&bridge, ANN).await;
            assert!(
                reply.starts_with("in NO [CONTACTADMIN] ") && reply.contains(&code.to_string()),
                "{reply}"
            );
            drop(bridge);
            home.consent(&[ANN]).await;
            let bridge = Bridge::start(home.folder.path());
            let reply = imap(&bridge, ANN).await;
            assert!(reply.starts_with("in OK "), "{code}: {reply}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_the_authority_refuses_costs_no_consent() {
    let home = Home::living(&[ANN], Duration::from_secs(1)).await;
    home.outlived(&[ANN]).await;
    home.authority.always(Answer::Refuse(7_000_222));
    let bridge = Bridge::start(home.folder.path());
    let reply = imap_refused(&bridge, ANN).await;
    assert!(reply.starts_with("in NO [CONTACTADMIN] ") && reply.contains("7000222"), "{reply}");
    home.authority.always(Answer::Issue);
    home.authority.set_lifetime(Duration::from_mins(59));
    let reply = imap(&bridge, ANN).await;
    assert!(reply.starts_with("in OK "), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_on_one_state_folder_refresh_once() {
    let home = Home::living(&[ANN, BOB], Duration::from_secs(1)).await;
    home.authority.set_rotation(Rotation::DetectsReuse);
    home.outlived(&[ANN, BOB]).await;
    home.authority.set_lifetime(Duration::from_mins(59));
    // Two commands and a bridge, none of which knows of the others.
    let (one, _) = library(home.folder.path()).await;
    let (other, _) = library(home.folder.path()).await;
    let bridge = Bridge::start(home.folder.path());
    let stop = tokio_util::sync::CancellationToken::new();
    let keeping = join_all([one.keep(stop.clone()), other.keep(stop.clone())]);
    let logins = async {
        let replies = join_all([ANN, BOB, ANN, BOB].map(|login| imap(&bridge, login))).await;
        assert!(replies.iter().all(|reply| reply.starts_with("in OK ")), "{replies:?}");
        stop.cancel();
    };
    futures::join!(keeping, logins);
    one.finish().await;
    other.finish().await;
    assert_eq!(home.refreshes(), 2, "one for each of the two people");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tokens_that_expire_together_are_refreshed_once_each_and_not_at_once() {
    const PEOPLE: usize = 200;
    let people: Vec<String> = (0..PEOPLE).map(|number| format!("person{number}@example.com")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let home = Home::living(&people, Duration::from_secs(30)).await;
    home.authority.set_lifetime(Duration::from_mins(59));
    let bridge = Bridge::start(home.folder.path());
    home.authority.requests_of("refresh_token").reached(PEOPLE).await;
    let obtained = bridge.wait_for_logged("token obtained", PEOPLE);
    let replies = join_all(people.iter().step_by(10).map(|person| imap(&bridge, person))).await;
    assert!(replies.iter().all(|reply| reply.starts_with("in OK ")), "{replies:?}");
    assert_eq!(home.refreshes(), PEOPLE);
    let seconds: std::collections::BTreeSet<&str> =
        obtained.iter().filter_map(|line| line["timestamp"].as_str()?.get(..21)).collect();
    assert!(seconds.len() >= 10, "within {} tenths of a second", seconds.len());
}
