//! The upstream and its authority: Dovecot, Postfix and oidc-provider, started once for a whole test run.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::authority::Authority;
use crate::certificates::make_certificates;
use crate::clients::{Outcome, command, eventually, file, find, here, run};
use crate::message::as_sent;

pub const TENANT: &str = "4f6a0c1e-2f0b-4f43-9d0a-6f4a51c0b7d2";
pub const CLIENT_SECRET: &str = "k8Q~not.a-real_secret~of-anything";

/// What the tests need to know of the servers.
pub struct Servers {
    pub dir: PathBuf,
    pub imap_port: u16,
    pub imaps_port: u16,
    pub pop3_port: u16,
    pub pop3s_port: u16,
    pub submission_port: u16,
    pub smtps_port: u16,
    pub authority: Authority,
}

/// The servers of this test run, started by whoever asks first.
pub fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Result<Servers, String>> = OnceLock::new();
    let started = SERVERS.get_or_init(|| {
        std::panic::catch_unwind(Servers::start).map_err(|panic| {
            panic.downcast::<String>().map_or_else(|_| "see the first failure".into(), |text| *text)
        })
    });
    started.as_ref().unwrap_or_else(|trouble| panic!("the servers of these tests did not start: {trouble}"))
}

impl Servers {
    fn start() -> Self {
        look_for_programs();
        let dir = tempfile::Builder::new().prefix("footbridge-real-").tempdir().unwrap().keep();
        // Dovecot's and Postfix's own users find their files here.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).unwrap();
        make_certificates(&dir);
        let guardian = guardian(&dir);

        let authority = Authority::start("authority", &dir);
        let ports: [u16; 6] = free_ports();
        let servers = Self {
            dir,
            imap_port: ports[0],
            imaps_port: ports[1],
            pop3_port: ports[2],
            pop3s_port: ports[3],
            submission_port: ports[4],
            smtps_port: ports[5],
            authority,
        };
        servers.configure();
        let dir = servers.dir.to_str().unwrap();
        guardian.start("dovecot", &["dovecot", "-F", "-c", &format!("{dir}/dovecot.conf")]);
        // What `postfix start` does, but as a process that stays ours.
        let postfix = format!(
            "install -d -o postfix -g root {dir}/postfix/data && postfix -c {dir}/postfix/etc check && \
             exec /usr/lib/postfix/sbin/master -c {dir}/postfix/etc -s"
        );
        guardian.start("postfix", &["sh", "-c", &postfix]);
        wait_for_ports(&servers.dir, "dovecot", &ports[..4]);
        wait_for_ports(&servers.dir, "postfix", &ports[4..]);
        servers
    }

    fn configure(&self) {
        for folder in ["dovecot", "postfix/etc", "postfix/queue", "mail"] {
            fs::create_dir_all(self.dir.join(folder)).unwrap();
        }
        // Dovecot makes each mailbox as the user who owns mail, which has no name.
        fs::set_permissions(self.dir.join("mail"), fs::Permissions::from_mode(0o777)).unwrap();
        let known = [
            ("@DIR@", self.dir.to_str().unwrap().to_owned()),
            ("@TENANT@", TENANT.to_owned()),
            ("@IMAP@", self.imap_port.to_string()),
            ("@IMAPS@", self.imaps_port.to_string()),
            ("@POP3@", self.pop3_port.to_string()),
            ("@POP3S@", self.pop3s_port.to_string()),
            ("@SUBMISSION@", self.submission_port.to_string()),
            ("@SMTPS@", self.smtps_port.to_string()),
        ];
        for (template, target) in [
            ("dovecot.conf", "dovecot.conf"),
            ("dovecot-oauth2.conf", "dovecot-oauth2.conf"),
            ("dovecot-oauth2-user.conf", "dovecot-oauth2-user.conf"),
            ("postfix-main.cf", "postfix/etc/main.cf"),
            ("postfix-master.cf", "postfix/etc/master.cf"),
        ] {
            let text = fs::read_to_string(here().join(template)).unwrap();
            let text = known.iter().fold(text, |text, (name, value)| text.replace(name, value));
            fs::write(self.dir.join(target), text).unwrap();
        }
    }

    /// Puts a message into a mailbox, past the bridge.
    #[track_caller]
    pub fn append(&self, mailbox: &str, message: &[u8]) {
        let file = file(message);
        run(self.curl(mailbox).arg(format!("{}/INBOX", self.imaps_url())).arg("-T").arg(file.path()))
            .succeeded();
    }

    /// The only message of a mailbox once it is there, read past the bridge.
    #[track_caller]
    pub fn only_message(&self, mailbox: &str) -> Vec<u8> {
        eventually(
            || format!("a message in {mailbox}"),
            || {
                let outcome = run(self.curl(mailbox).arg(format!("{}/INBOX;MAILINDEX=1", self.imaps_url())));
                (outcome.code == 0 && !outcome.stdout.is_empty()).then_some(outcome.stdout)
            },
        )
    }

    /// The only message of a mailbox as whoever sent it wrote it.
    #[track_caller]
    pub fn only_message_as_sent(&self, mailbox: &str) -> Vec<u8> {
        as_sent(&self.only_message(mailbox)).to_vec()
    }

    /// A command for the upstream's IMAP server, past the bridge.
    pub fn imap(&self, mailbox: &str, request: &str) -> Outcome {
        run(self.curl(mailbox).arg(self.imaps_url()).args(["-X", request]))
    }

    fn imaps_url(&self) -> String {
        format!("imaps://localhost:{}", self.imaps_port)
    }

    /// curl, logged in to the upstream as itself, with a token of an application that no bridge uses.
    fn curl(&self, mailbox: &str) -> Command {
        self.curl_with(mailbox, &self.authority.token("inspector"))
    }

    /// curl, about to log in to `mailbox` with a token; a URL is missing.
    fn curl_with(&self, mailbox: &str, token: &str) -> Command {
        let mut curl = command("curl");
        curl.args(["-sS", "--cacert"]).arg(self.dir.join("ca.pem"));
        curl.args(["--user", mailbox, "--oauth2-bearer", token]);
        curl
    }

    /// Whether a token opens a mailbox of Dovecot's, past any bridge.
    #[track_caller]
    pub fn reads(&self, mailbox: &str, token: &str) -> bool {
        logged_in(&run(self.curl_with(mailbox, token).arg(self.imaps_url())))
    }

    /// Whether Postfix lets `mailbox` send with a token, past any bridge.
    #[track_caller]
    pub fn sends(&self, mailbox: &str, token: &str) -> bool {
        let url = format!("smtps://localhost:{}/client.example.test", self.smtps_port);
        logged_in(&run(self.curl_with(mailbox, token).arg(url).args(["-X", "NOOP"])))
    }
}

/// Other trouble than a refused login is a failure of the test.
#[track_caller]
fn logged_in(curl: &Outcome) -> bool {
    // 67: login denied.
    assert!([0, 67].contains(&curl.code), "{curl}");
    curl.code == 0
}

/// Starts and stops servers, and ends them all when this process ends: see the script `guardian`.
pub struct Guardian(Mutex<(ChildStdin, BufReader<ChildStdout>)>);

/// The guardian of this test run. Never dropped, as statics are not: the kernel closes its pipe when this process ends.
#[expect(clippy::zombie_processes, reason = "it outlives this process, whose servers it ends")]
pub fn guardian(dir: &Path) -> &'static Guardian {
    static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
    GUARDIAN.get_or_init(|| {
        // Dovecot and Postfix are started by root, and change to users of their own.
        let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let mut command = Command::new(if root { "bash" } else { "sudo" });
        if !root {
            command.args(["-n", "bash"]);
        }
        let mut child = command
            .arg(here().join("guardian"))
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests are run by root, or by a user with sudo");
        Guardian(Mutex::new((child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()))))
    })
}

impl Guardian {
    pub fn start(&self, name: &str, words: &[&str]) {
        let (stdin, _) = &mut *self.0.lock().unwrap();
        writeln!(stdin, "start\t{name}\t{}", words.join("\t")).unwrap();
    }

    /// Returns when the process is gone.
    pub fn stop(&self, name: &str) {
        let (stdin, stdout) = &mut *self.0.lock().unwrap();
        writeln!(stdin, "stop\t{name}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("stopped {name}\n"));
    }
}

#[track_caller]
pub fn wait_for_ports(dir: &Path, name: &str, ports: &[u16]) {
    for port in ports {
        let log = || fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
        eventually(
            || format!("{name} to listen on port {port}; its log:\n{}", log()),
            || TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).ok(),
        );
    }
}

/// Ports on which nothing listens. They lie below those that the kernel gives to outgoing connections, so that
/// nothing takes them between this look and the moment when a server does, nor while a server is down.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end: u16 = range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32768);
    let start = end / 3;
    let span = end - start;
    let mut next = NEXT.lock().unwrap();
    if *next == 0 {
        // Two runs at once begin at different places.
        *next = start + u16::try_from(std::process::id() % u32::from(span)).unwrap();
    }
    std::array::from_fn(|_| {
        loop {
            *next = if *next + 1 < end { *next + 1 } else { start };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, *next)).is_ok() {
                return *next;
            }
        }
    })
}

fn look_for_programs() {
    let servers = ["node", "dovecot", "postfix", "/usr/lib/postfix/sbin/master"];
    let fetchers =
        ["curl", "mbsync", "fetchmail", "getmail", "offlineimap", "neomutt", "mpop", "thunderbird"];
    let others = ["msmtp", "swaks", "python3", "perl", "php", "ecj", "java"];
    let tools = ["setpriv", "timeout", "chromium", "chromedriver", "tinyproxy", "microsocks"];
    for program in servers.iter().chain(&fetchers).chain(&others).chain(&tools) {
        assert!(find(program), "{program} is not installed: tests/install installs what these tests need");
    }
    for module in ["oidc-provider", "imapflow", "nodemailer"] {
        let module = packages().join("node_modules").join(module);
        let cure = "tests/install installs what these tests need";
        assert!(module.exists(), "{} is missing: {cure}", module.display());
    }
}

/// Where `tests/install` puts what comes from npm.
pub fn packages() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.deps/npm"))
}
