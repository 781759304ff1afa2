//! What a measurement takes place in: certificates, a token authority, the mail server, and whatever is measured
//! between it and mail programs.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    drive::{Done, Errand, Outcome, PASSWORD, Task, USERS, user},
    fake::{Doors, Seen},
    harness::{
        authority::{APP, Authority},
        certs::Certs,
        config::{Config, Folder},
        door::Reserved,
    },
    process::{Process, Role, found},
};

/// How long a server may take to begin, on the busiest machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many log in at the same time where they stay.
const AT_ONCE: usize = 32;

/// The account that is far away, and has a door of its own where doors tell servers.
const FAR: &str = "far@example.com";

/// How many threads the bridge has, and those that it is compared with.
fn threads() -> usize {
    thread::available_parallelism().unwrap().get()
}

/// Words behind a program's name, and variables of its environment.
type Call = (Vec<&'static str>, Vec<(&'static str, &'static str)>);

/// Everything but what is measured.
pub struct Lab {
    certs: Arc<Certs>,
    authority: Authority,
    fake: RefCell<Role>,
    doors: Doors,
    folder: Folder,
    started: Cell<u32>,
}

/// What is measured: the bridge, or what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The bridge.
    Bridge,
    /// Another build of the bridge, which `FOOTBRIDGE_BESIDE` names.
    Beside,
    /// haproxy, which only encrypts.
    Haproxy,
    /// stunnel, which only encrypts.
    Stunnel,
    /// Email OAuth 2.0 Proxy, which does what the bridge does.
    Emailproxy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Bridge, Self::Beside, Self::Haproxy, Self::Stunnel, Self::Emailproxy];

    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "Footbridge",
            Self::Beside => "beside",
            Self::Haproxy => "haproxy",
            Self::Stunnel => "stunnel",
            Self::Emailproxy => "emailproxy",
        }
    }

    /// Whether it only encrypts, and knows nothing of mail.
    pub fn is_tunnel(self) -> bool {
        matches!(self, Self::Haproxy | Self::Stunnel)
    }

    /// Where its program is; `None` where it is not installed.
    pub fn program(self) -> Option<String> {
        match self {
            Self::Bridge => Some(env!("CARGO_BIN_EXE_footbridge").to_owned()),
            Self::Beside => std::env::var("FOOTBRIDGE_BESIDE").ok(),
            Self::Haproxy => found("haproxy"),
            Self::Stunnel => found("stunnel4"),
            Self::Emailproxy => found("emailproxy"),
        }
    }
}

/// How something is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// Accounts of the bridge beside those of the measurement.
    pub more_accounts: usize,
    /// How many files and sockets it may open; as many as this program, where nothing is said.
    pub descriptors: Option<u64>,
}

/// Where something that runs is reached.
#[derive(Clone, Copy)]
pub enum Way {
    /// IMAP in clear.
    Imap,
    /// IMAP by TLS.
    Imaps,
    /// SMTP in clear.
    Smtp,
    /// IMAP in clear, to the server by the far way.
    Far,
}

/// Something that runs.
pub struct Running {
    /// What it is.
    pub kind: Kind,
    /// Its process.
    pub process: Process,
    /// How long it took until the first client was connected that it greeted.
    pub connected: Duration,
    /// How long it took until that was greeted.
    pub greeted: Duration,
    /// Its ports, in the order of [`Way`].
    ports: [u16; 4],
    ca: PathBuf,
    /// They are its own as long as it runs.
    _reserved: [Reserved; 4],
}

impl Running {
    /// Sends mail programs on an errand.
    pub fn send(&self, way: Way, task: Task) -> Role {
        let (addr, ca) = match way {
            Way::Imaps => (self.ports[1], Some(self.ca.clone())),
            Way::Imap => (self.ports[0], None),
            Way::Smtp => (self.ports[2], None),
            Way::Far => (self.ports[3], None),
        };
        // The bridge tells the far way by the account, and has one door.
        let user = matches!(way, Way::Far).then(|| FAR.to_owned());
        // Python checks each password for a quarter of a second.
        let at_once = if self.kind == Kind::Emailproxy { 2 } else { AT_ONCE };
        let errand = Errand { addr: local(addr), ca, user, at_once, task };
        Role::start("drive", &serde_json::to_string(&errand).unwrap())
    }

    /// The bytes of a bridge's mappings.
    pub fn mappings_bytes(&self) -> usize {
        fs::read(self.ca.with_file_name("mappings.toml")).unwrap().len()
    }

    /// Sends mail programs on an errand and waits for the outcome.
    pub fn run(&self, way: Way, task: Task) -> Done {
        outcome(&mut self.send(way, task))
    }
}

/// Waits for the outcome of an errand.
pub fn outcome(role: &mut Role) -> Done<Outcome> {
    serde_json::from_str(&role.hear()?).unwrap()
}

impl Lab {
    /// Builds everything; in the context of a runtime, on which the authority lives.
    pub fn build() -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let folder = Config::empty().write(&certs);
        certs.leaf().write(folder.path(), "upstream");
        let mut fake = Role::start("fake", folder.path().to_str().unwrap());
        let doors = serde_json::from_str(&fake.hear().unwrap()).unwrap();
        Self { certs, authority, fake: fake.into(), doors, folder, started: Cell::default() }
    }

    /// What the server has seen since it was asked last.
    pub fn seen(&self) -> Seen {
        let mut fake = self.fake.borrow_mut();
        fake.tell("seen");
        serde_json::from_str(&fake.hear().unwrap()).unwrap()
    }

    /// Starts something and waits until it greets.
    pub fn start(&self, kind: Kind, setup: Setup) -> Done<Running> {
        self.started.set(self.started.get() + 1);
        let name = format!("{}-{}", kind.name(), self.started.get());
        let reserved = [(); 4].map(|()| Reserved::new());
        let mut ports = [&reserved[0], &reserved[1], &reserved[2], &reserved[3]].map(Reserved::port);
        let folder = self.folder.path().join(&name);
        fs::create_dir(&folder).unwrap();
        let (words, environment) = self.configure(kind, setup, ports, &folder);
        if matches!(kind, Kind::Bridge | Kind::Beside) {
            ports[3] = ports[0];
        }
        self.write_certificates(&folder);
        let program = kind.program().unwrap();
        let words: Vec<&str> = [program.as_str()].into_iter().chain(words).collect();
        let began = Instant::now();
        let mut process = Process::start(&folder, &words, &environment, setup.descriptors)?;
        let connected = wait_for_greeting(ports[0], began, &mut process, &folder.join("process.log"))?;
        let (greeted, ca) = (began.elapsed(), folder.join("ca.pem"));
        Ok(Running { kind, process, connected, greeted, ports, ca, _reserved: reserved })
    }

    /// Writes what something reads, and tells how it is called.
    fn configure(&self, kind: Kind, setup: Setup, ports: [u16; 4], folder: &Path) -> Call {
        let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        match kind {
            Kind::Bridge | Kind::Beside => {
                self.configure_bridge(ports, setup.more_accounts).write_to(folder, &self.certs);
                (vec!["serve", "--config", "footbridge.toml"], vec![])
            }
            Kind::Haproxy => {
                write("haproxy.cfg", self.haproxy(ports));
                (vec!["-db", "-q", "-f", "haproxy.cfg"], vec![])
            }
            Kind::Stunnel => {
                write("stunnel.conf", self.stunnel(ports));
                (vec!["stunnel.conf"], vec![])
            }
            Kind::Emailproxy => {
                write("emailproxy.config", self.emailproxy(ports));
                let words = vec!["--no-gui", "--config-file", "emailproxy.config", "--log-file", "/dev/null"];
                (words, vec![("SSL_CERT_FILE", "ca.pem")])
            }
        }
    }

    fn write_certificates(&self, folder: &Path) {
        self.certs.write_ca(folder);
        self.certs.leaf().write(folder, "listener");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        fs::write(folder.join("both.pem"), read("listener.pem") + &read("listener.key")).unwrap();
    }

    fn configure_bridge(&self, [imap, imaps, smtp, _]: [u16; 4], more: usize) -> Config {
        let (near_smtp, imap_addr, far) = (self.doors.smtp, self.doors.imap, self.doors.far);
        let mut config = Config::empty()
            .bind("imap", &local(imap).to_string())
            .bind("smtp", &local(smtp).to_string())
            .app("near", &self.authority, (imap_addr, "implicit"), (near_smtp, "implicit"))
            .app("far", &self.authority, (far, "implicit"), (near_smtp, "implicit"))
            .account_of("far", FAR, PASSWORD, "")
            .more(&format!(
                "[[listener]]\nprotocol = \"imap\"\nbind = \"{}\"\ntls = \"implicit\"\n\
                 certificate = \"listener.pem\"\nkey = \"listener.key\"",
                local(imaps)
            ));
        for number in 0..USERS {
            config = config.account(&user(number), PASSWORD);
        }
        for number in 0..more {
            config = config.account(&format!("somebody.{number}@example.com"), PASSWORD);
        }
        config
    }

    /// As a careful operator writes it: the server is verified, its sessions are used again, nothing is logged.
    fn haproxy(&self, [imap, imaps, smtp, far]: [u16; 4]) -> String {
        let mut text = format!(
            "global\n  nbthread {}\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  \
             timeout server 1h\n",
            threads()
        );
        for (name, port, tls, server) in [
            ("imap", imap, "", self.doors.imap),
            ("imaps", imaps, " ssl crt both.pem", self.doors.imap),
            ("smtp", smtp, "", self.doors.smtp),
            ("far", far, "", self.doors.far),
        ] {
            let _ = write!(
                text,
                "listen {name}\n  bind {}{tls}\n  server up {server} ssl verify required ca-file ca.pem \
                 verifyhost localhost sni str(localhost)\n",
                local(port)
            );
        }
        text
    }

    fn stunnel(&self, [imap, _, smtp, far]: [u16; 4]) -> String {
        let mut text = "foreground = yes\npid =\ndebug = 3\n".to_owned();
        for (name, port, server) in
            [("imap", imap, self.doors.imap), ("smtp", smtp, self.doors.smtp), ("far", far, self.doors.far)]
        {
            let _ = write!(
                text,
                "[{name}]\nclient = yes\naccept = {}\nconnect = {server}\nCAfile = ca.pem\nverifyChain = yes\n\
                 checkHost = localhost\nsni = localhost\nTIMEOUTidle = 43200\n\
                 socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n",
                local(port)
            );
        }
        text
    }

    fn emailproxy(&self, [imap, imaps, smtp, far]: [u16; 4]) -> String {
        let (tenant, client, secret) = APP;
        let token_url = self.authority.token_url().replace("{tenant}", tenant);
        let mut text = String::new();
        let local_tls = "local_certificate_path = listener.pem\nlocal_key_path = listener.key\n";
        for (kind, port, server, more) in [
            ("IMAP", imap, self.doors.imap, ""),
            ("IMAP", imaps, self.doors.imap, local_tls),
            ("IMAP", far, self.doors.far, ""),
            ("SMTP", smtp, self.doors.smtp, ""),
        ] {
            let _ = write!(
                text,
                "[{kind}-{port}]\nserver_address = localhost\nserver_port = {}\nlocal_address = 127.0.0.1\n{more}\n",
                server.port()
            );
        }
        for login in (0..USERS).map(user).chain([FAR.to_owned()]) {
            let _ = write!(
                text,
                "[{login}]\ntoken_url = {token_url}\noauth2_scope = https://outlook.office365.com/.default\n\
                 oauth2_flow = client_credentials\nclient_id = {client}\nclient_secret = {secret}\n\n",
            );
        }
        text
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Waits until something greets, and tells when the one was connected that it greeted.
fn wait_for_greeting(port: u16, began: Instant, process: &mut Process, log: &Path) -> Done<Duration> {
    loop {
        if let Some(connected) = greeted(port) {
            return Ok(connected.duration_since(began));
        }
        let log = || fs::read_to_string(log).unwrap_or_default();
        if process.has_ended() {
            return Err(format!("it ended before it greeted: {}", log().trim_end()));
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("it does not greet: {}", log().trim_end()));
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// When a client was connected, where it is greeted.
fn greeted(port: u16) -> Option<Instant> {
    let stream = TcpStream::connect(local(port)).ok()?;
    let connected = Instant::now();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    let read = BufReader::new(stream).read_line(&mut line).ok()?;
    (read > 0).then_some(connected)
}
