//! A machine of its own for a test: its own loopback, its own `/etc`, `/run`, `/var/lib` and `/usr/local/bin`, and on it the pretend
//! authority and mail servers under the names and ports of the real ones.
//!
//! So files and commands that people copy are run to the letter: what they say of `login.microsoftonline.com` and
//! of port 1143 is true there, and nothing of it is seen outside. A test crosses over by running itself once more,
//! in namespaces of Linux; that needs root, or sudo.

#![allow(dead_code, reason = "each test uses its own part of it")]

use std::{
    env,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::harness::{
    authority::{Authority, KnownAs},
    browser::Browser,
    certs::Certs,
    exchange::Exchange,
};

/// Set where a test has crossed over.
const CROSSED: &str = "FOOTBRIDGE_ISLAND";

/// Far more than any story takes.
const LONGEST: Duration = Duration::from_mins(1);

/// What the pretend servers are called.
const NAMES: [&str; 9] = [
    "login.microsoftonline.com",
    "outlook.office365.com",
    "smtp.office365.com",
    "oauth2.googleapis.com",
    "imap.gmail.com",
    "smtp.gmail.com",
    "pop.gmail.com",
    "localhost",
    "127.0.0.1",
];

const KNOWN_AS: KnownAs = KnownAs {
    base: "https://login.microsoftonline.com",
    google_token: "https://oauth2.googleapis.com/token",
};

/// Makes the island, and goes on there. Everything is in memory, and gone with the last process.
const CROSSING: &str = r#"
set -eu
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs island /mnt
for folder in etc home run var/lib usr/local/bin; do mkdir -p "/mnt/$folder"; done
cp -a /etc/. /mnt/etc/
for folder in etc run var/lib usr/local/bin; do mount --bind "/mnt/$folder" "/$folder"; done
ip link set lo up
exec "$@"
"#;

/// The machine, while somebody is on it.
pub struct Island {
    /// Who vouches for both ends; the machine trusts it.
    pub certs: Arc<Certs>,
    /// The token authority, which knows nobody yet.
    pub authority: Authority,
    /// The mail server, which has no mailbox yet.
    pub exchange: Exchange,
}

/// Runs a story on an island; `test` is the path of the test that calls this.
///
/// # Panics
/// Where the story fails or nobody may make an island, with all that was said there.
pub fn on<S>(test: &str, story: impl FnOnce(Island) -> S)
where
    S: Future<Output = ()>,
{
    if env::var_os(CROSSED).is_none() {
        let crossed = cross(test, "1");
        assert!(crossed.is_ok(), "{}", crossed.unwrap_err());
        return;
    }
    there(story);
}

/// As [`on`], once for each of several words, two at a time, each on an island of its own; the story is told the word.
pub fn on_each<S>(test: &str, words: &[String], story: impl FnOnce(Island, String) -> S)
where
    S: Future<Output = ()>,
{
    if let Ok(word) = env::var(CROSSED) {
        return there(|island| story(island, word));
    }
    let next = AtomicUsize::new(0);
    let work = || -> Vec<String> {
        let words = std::iter::from_fn(|| words.get(next.fetch_add(1, Ordering::Relaxed)));
        words.filter_map(|word| cross(test, word).err()).collect()
    };
    let failures = thread::scope(|scope| {
        let working = [scope.spawn(work), scope.spawn(work)];
        working.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Tells a story where it happens.
fn there<S>(story: impl FnOnce(Island) -> S)
where
    S: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { story(Island::settle().await).await });
}

fn cross(test: &str, word: &str) -> Result<(), String> {
    let mut command = as_root("timeout");
    command.args(["--kill-after=5", &LONGEST.as_secs().to_string(), "unshare"]);
    // What is left running ends with the first process of a PID namespace.
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", CROSSING, "crossing", "env", &format!("{CROSSED}={word}"), "HOME=/mnt/home"]);
    command.arg(env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let crossed = command.output().expect("unshare runs");
    let said = [&crossed.stdout[..], &crossed.stderr[..]].map(String::from_utf8_lossy);
    if crossed.status.success() && said[0].contains("1 passed") {
        return Ok(());
    }
    let [out, err] = said;
    Err(format!(
        "{word}: on the island, which only root or sudo without a password can make: {}\n{out}\n{err}",
        crossed.status
    ))
}

/// A program that is run by root.
fn as_root(program: &str) -> Command {
    // Whose this process is: /proc/self belongs to its effective user.
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

impl Island {
    async fn settle() -> Self {
        let certs = Certs::new();
        let hosts =
            NAMES[..7].iter().fold("127.0.0.1 localhost\n::1 localhost\n".to_owned(), |mut text, name| {
                let _ = writeln!(text, "127.0.0.1 {name}");
                text
            });
        fs::write("/etc/hosts", hosts).unwrap();
        // Nobody else is trusted here.
        fs::create_dir_all("/etc/ssl/certs").unwrap();
        fs::write("/etc/ssl/certs/ca-certificates.crt", certs.ca_pem()).unwrap();
        let authority = Authority::start_as(certs.leaf_for(&NAMES), KNOWN_AS);
        let exchange = Exchange::start_as(certs.leaf_for(&NAMES), &authority);
        let ways = [
            (443, authority.addr()),
            (993, exchange.endpoint("imap", false).0),
            (995, exchange.endpoint("pop3", false).0),
            (587, exchange.endpoint("smtp", true).0),
            (465, exchange.endpoint("smtp", false).0),
        ];
        for (port, to) in ways {
            forward(port, to).await;
        }
        Self { certs, authority, exchange }
    }

    /// A browser that trusts this machine's servers.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.certs)
    }

    /// Gives this machine one more address: `10.20.0.5/24`.
    pub fn address(address: &str) {
        let added = Command::new("ip").args(["addr", "add", address, "dev", "lo"]).status();
        assert!(added.expect("ip runs").success());
    }

    /// A folder of this machine, made.
    pub fn folder(name: &str) -> PathBuf {
        let folder = Path::new("/mnt/home").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

/// Has a port of this machine lead to another one.
async fn forward(port: u16, to: SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    // Either side may end it as it likes.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
}
