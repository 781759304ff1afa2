//! Mail programs, run with a limit on how long they may take.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// Seconds after which a mail program is taken to hang.
const LIMIT: &str = "100";

/// What a mail program did.
pub struct Outcome {
    /// Its exit code; 124 if it hung.
    pub code: i32,
    pub stdout: Vec<u8>,
    stderr: String,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Both outputs: programs differ in where they tell what went wrong.
    pub fn said(&self) -> String {
        format!("{}{}", self.text(), self.stderr)
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.said();
        let end = said.char_indices().nth(4000).map_or(said.len(), |(index, _)| index);
        write!(f, "exit code {}\n{}", self.code, &said[..end])
    }
}

/// A program that is not asked anything from outside: no proxy, no configuration of whoever runs the tests.
pub fn command(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([LIMIT, program]);
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs to the end with nothing on standard input.
pub fn run(command: &mut Command) -> Outcome {
    run_with(command, b"")
}

/// Runs to the end with `input` on standard input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that leaves early need not have read everything.
        scope.spawn(move || stdin.write_all(input).ok());
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    })
}

/// `mail.py`, which does `task` as `login`.
pub fn python(task: &str, port: u16, login: &str, password: &str) -> Command {
    let mut command = command("python3");
    command.arg(here().join("mail.py")).args([task, "127.0.0.1", &port.to_string(), login]);
    command.env("PASSWORD", password);
    command
}

/// A file of these bytes, for programs that want to know the size before they send.
pub fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The folder of these tests.
pub fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real"))
}

/// A program with which the test talks while it runs; ended with the test.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// The next line that it prints; waits for it.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Closes its standard input and waits for its end.
    #[track_caller]
    pub fn finish(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Running {
    /// Ends the program, and waits for that.
    pub fn end(&mut self) {
        drop(self.stdin.take());
        // `timeout`, which this is, passes a TERM on to the program. A child that was waited for has no number any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks again and again until there is something to see.
#[expect(clippy::disallowed_methods, reason = "a test's patience is real time")]
#[track_caller]
pub fn eventually<T>(what: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited a minute for {}", what());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a program can be started.
pub fn find(program: impl AsRef<OsStr>) -> bool {
    let program = Path::new(program.as_ref());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    program.is_absolute() && program.exists()
        || std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).exists())
}
