//! A container without an engine: a root of its own with what the Dockerfile puts there, mounts, a user without
//! privileges. Its network is the island's, which is a pod's.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use crate::harness::PATIENCE;

/// The root of the image's container.
const ROOT: &str = "/mnt/image";

/// What a container is run with.
#[derive(Debug)]
pub struct Container {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its variables, but those of the image.
    pub environment: Vec<(String, String)>,
    /// The user and the group that it runs as.
    pub user: u32,
    /// What of this machine it sees where.
    pub mounts: Vec<Mount>,
    /// Whether it can change nothing but mounts.
    pub read_only: bool,
}

/// A file or a folder of this machine in a container.
#[derive(Debug)]
pub struct Mount {
    /// Where it is.
    pub from: PathBuf,
    /// Where the container sees it.
    pub to: String,
    /// Whether the container may not change it.
    pub read_only: bool,
}

/// A container that runs, ended when it is dropped.
pub struct Started {
    child: Child,
    lines: mpsc::Receiver<String>,
}

/// An instruction of the Dockerfile, the last of its name.
pub fn instruction(name: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).next_back();
    found.unwrap_or_else(|| panic!("the Dockerfile has no {name}")).trim().to_owned()
}

/// What the image runs where nobody says anything else.
pub fn entrypoint_and_command() -> Vec<String> {
    let list = |name: &str| serde_json::from_str::<Vec<String>>(&instruction(name)).unwrap();
    [list("ENTRYPOINT"), list("CMD")].concat()
}

/// Runs a program of this machine to its end, which must be a good one.
pub fn run<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) {
    let argv: Vec<_> = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
    let ended = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
    assert!(ended.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

impl Container {
    /// Lays out the root and the mounts.
    pub fn prepare(&self) {
        lay_out_the_image();
        run(["mount", "--bind", ROOT, ROOT]);
        for mount in &self.mounts {
            let to = format!("{ROOT}{}", mount.to);
            if mount.from.is_dir() {
                fs::create_dir_all(&to).unwrap();
            } else {
                fs::create_dir_all(Path::new(&to).parent().unwrap()).unwrap();
                fs::write(&to, "").unwrap();
            }
            run(["mount", "--bind", mount.from.to_str().unwrap(), &to]);
            if mount.read_only {
                run(["mount", "-o", "remount,bind,ro", &to]);
            }
        }
        if self.read_only {
            run(["mount", "-o", "remount,bind,ro", ROOT]);
        }
    }

    /// A program in the container.
    fn command(&self, argv: &[String]) -> Command {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--no-new-privs", "/usr/sbin/chroot", "--groups="]);
        command.arg(format!("--userspec={0}:{0}", self.user)).arg(ROOT).args(argv);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let (name, value) =
            instruction("ENV").split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
        command.env(name, value);
        command
    }

    /// Runs another program of the image in it to its end.
    pub fn exec(&self, argv: &[String]) -> Output {
        self.command(argv).output().unwrap()
    }

    /// Starts it.
    pub fn start(&self) -> Started {
        let mut command = self.command(&self.argv);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Started { child, lines }
    }
}

impl Started {
    /// Waits until it says that it is ready.
    pub fn wait_until_ready(&self) {
        let mut said = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            said.push_str(&line);
            said.push('\n');
            assert!(!line.contains(" WARN ") && !line.contains(" ERROR "), "{said}");
            if line.contains(" ready") {
                return;
            }
        }
        panic!("the container does not get ready:\n{said}");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an engine does, and returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        run(["kill", "-s", "TERM", &self.child.id().to_string()]);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the Dockerfile puts into the image, and what an engine adds: names of hosts, `/proc` and `/dev`.
fn lay_out_the_image() {
    let program = env!("CARGO_BIN_EXE_footbridge");
    let libraries = Command::new("ldd").arg(program).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    for folder in ["etc/ssl/certs", "proc", "dev"] {
        fs::create_dir_all(Path::new(ROOT).join(folder)).unwrap();
    }
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for (from, to) in paths.map(|path| (path, path)).chain([
        (program, "/footbridge"),
        ("/etc/hosts", "/etc/hosts"),
        ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt"),
    ]) {
        run(["install", "-D", from, &format!("{ROOT}{to}")]);
    }
    fs::write(format!("{ROOT}/etc/nsswitch.conf"), "hosts: files dns\n").unwrap();
    for folder in ["proc", "dev"] {
        run(["mount", "--rbind", &format!("/{folder}"), &format!("{ROOT}/{folder}")]);
    }
}
