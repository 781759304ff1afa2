//! What has to be true of a program and its sidecar, however they were deployed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    container::{Container, run},
    harness::authority::Registration,
    island::Island,
};

pub const TENANT: &str = "contoso.onmicrosoft.com";
pub const CLIENT_ID: &str = "33333333-3333-4333-8333-333333333333";
pub const MAILBOX: &str = "orders@contoso.com";
pub const CLIENT_SECRET: &str = "the secret of the registration";
pub const PASSWORD: &str = "what the program has as well";

/// A program and the bridge beside it.
pub struct Pod {
    pub bridge: Container,
    /// What tells whether the bridge is ready.
    pub probe: Vec<String>,
    pub app: App,
}

/// The program: its image is not needed for it, a shell and curl are.
pub struct App {
    pub argv: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub user: u32,
}

impl Pod {
    /// Runs it, and sees that the program reaches its mailbox by the bridge, and nobody else reaches the bridge.
    pub fn works(&self, island: &Island) {
        let app = Registration::confidential(CLIENT_ID).tenant(TENANT).secret(CLIENT_SECRET);
        island.authority.register_app(app);
        island.exchange.mailboxes().create(MAILBOX);
        self.bridge.prepare();
        assert_eq!(self.bridge.exec(&self.probe).status.code(), Some(1), "nothing is ready before the start");
        let mut bridge = self.bridge.start();
        bridge.wait_until_ready();
        let probed = self.bridge.exec(&self.probe);
        assert!(probed.status.success(), "{}", String::from_utf8_lossy(&probed.stderr));
        runs_without_privileges(bridge.pid(), self.bridge.user);

        let listed = self.app.first_line();
        assert!(listed.starts_with("* LIST "), "{listed}");
        assert_eq!(island.exchange.attempts()[0].user, MAILBOX);
        nobody_else_reaches_it();
        assert_eq!(bridge.stop(), Some(0));
        assert_eq!(self.bridge.exec(&self.probe).status.code(), Some(1), "nothing is ready after the end");
    }
}

impl App {
    /// What it prints first; it is ended then, as it may go on for ever.
    fn first_line(&self) -> String {
        use std::io::{BufRead as _, BufReader, Read as _};
        let mut command = Command::new("/usr/bin/setpriv");
        command.args([format!("--reuid={}", self.user), format!("--regid={}", self.user)]);
        command.args(["--clear-groups", "--no-new-privs"]).args(&self.argv).env_clear();
        command.env("PATH", "/usr/bin:/bin").envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        let mut trouble = String::new();
        child.stderr.take().unwrap().read_to_string(&mut trouble).unwrap();
        child.wait().unwrap();
        assert!(!line.is_empty(), "{command:?} says nothing: {trouble}");
        line
    }
}

/// The kernel's own word for it.
fn runs_without_privileges(pid: u32, user: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert!(field("Uid:").split_whitespace().all(|id| id == user.to_string()), "{status}");
    assert_eq!(
        (field("CapEff:"), field("CapPrm:"), field("NoNewPrivs:")),
        ("0000000000000000", "0000000000000000", "1")
    );
}

/// A neighbour on the container network, to which this pod has an address, finds ports open there, and not the bridge's.
fn nobody_else_reaches_it() {
    const NEIGHBOUR: &str = r#"
set -eu
PATH=$PATH:/usr/sbin:/sbin
ip link add pod type veth peer name neighbour
ip addr add 10.9.0.1/24 dev pod
ip link set pod up
exec 3<>"$1/end"
unshare --net sh -c 'echo; read -r end' >"$1/there" <"$1/end" &
trap 'kill $!' EXIT
read -r there <"$1/there"
ip link set neighbour netns $!
enter() { nsenter --target $! --net "$@"; }
enter ip addr add 10.9.0.2/24 dev neighbour
enter ip link set neighbour up
# What listens at every address of the pod is found.
enter curl --silent --max-time 20 http://10.9.0.1:8080/ || { echo "the neighbour does not find the pod: $?"; exit 1; }
for port in 1143 1587 1110; do
  code=0
  enter curl --silent --max-time 20 "telnet://10.9.0.1:$port" </dev/null || code=$?
  # 7: the connection was refused.
  [ "$code" = 7 ] || { echo "the neighbour finds port $port: $code"; exit 1; }
done
"#;
    let folder = Island::folder("neighbour");
    for pipe in ["there", "end"] {
        run(["mkfifo", folder.join(pipe).to_str().unwrap()]);
    }
    let page = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    let serving = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, from) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(page).unwrap();
        from.ip()
    });
    let asked = Command::new("sh").args(["-c", NEIGHBOUR, "neighbour"]).arg(&folder).output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    assert_eq!(serving.join().unwrap().to_string(), "10.9.0.2");
}

/// A folder that belongs to a user and nobody else, as a fresh volume of the image does.
pub fn volume(name: &str, user: u32) -> PathBuf {
    let folder = Island::folder(name);
    chown(&folder, Some(user), Some(user)).unwrap();
    folder
}

/// A file with this text and mode that belongs to a user.
pub fn file(path: &Path, text: &str, user: u32, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    chown(path, Some(user), Some(user)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
