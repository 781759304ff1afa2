//! The program's other subcommands as child processes, in a folder with a configuration.
//!
//! Waiting here blocks the thread, as in [`super::bridge`]: a test whose pretend ends have to answer meanwhile runs
//! on a runtime of several threads.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::Value;

use super::PATIENCE;

/// What has to be removed for a child to be the same on every machine.
const FOREIGN: [&str; 12] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "BROWSER",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "STATE_DIRECTORY",
];

/// Runs `footbridge`.
pub struct Cli;

/// How a subcommand ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub status: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A subcommand that is running, killed when it is dropped.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What came from a child so far, and whether that is all.
#[derive(Clone, Default)]
struct Stream(Arc<(Mutex<(String, bool)>, Condvar)>);

impl Cli {
    /// Runs a subcommand in `dir`, on the configuration there, and waits for its end.
    ///
    /// # Panics
    /// Where it does not end for long.
    pub fn run(dir: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        Self::spawn(dir, arguments).wait()
    }

    /// As [`Cli::run`], with this on its standard input.
    pub fn run_with_input(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &str,
    ) -> Ended {
        Self::start(dir, arguments, &[], Some(input)).wait()
    }

    /// As [`Cli::run`], with more environment variables.
    pub fn run_with(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(&str, &str)],
    ) -> Ended {
        Self::start(dir, arguments, environment, None).wait()
    }

    /// Starts a subcommand in `dir`, on the configuration there.
    pub fn spawn(dir: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Self::start(dir, arguments, &[], None)
    }

    /// As [`Cli::spawn`], with more environment variables.
    pub fn spawn_with(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(&str, &str)],
    ) -> Running {
        Self::start(dir, arguments, environment, None)
    }

    /// As [`Cli::spawn`], with what a person types at hand.
    pub fn spawn_typing(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> (Running, ChildStdin) {
        let (running, stdin) = Self::begin(dir, arguments, &[], true);
        (running, stdin.expect("stdin is piped"))
    }

    fn start(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(&str, &str)],
        input: Option<&str>,
    ) -> Running {
        let (running, stdin) = Self::begin(dir, arguments, environment, input.is_some());
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not want to read is told so by its own exit code.
            let _ = stdin.write_all(input.as_bytes());
        }
        running
    }

    fn begin(
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(&str, &str)],
        typing: bool,
    ) -> (Running, Option<ChildStdin>) {
        let Some(program) = option_env!("CARGO_BIN_EXE_footbridge") else {
            panic!("only tests know where the program is");
        };
        let mut command = Command::new(program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .current_dir(dir)
            .env("FOOTBRIDGE_CONFIG", dir.join("footbridge.toml"))
            .envs(environment.iter().copied())
            .stdin(if typing { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stdin = child.stdin.take();
        let stdout = Stream::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Stream::of(child.stderr.take().expect("stderr is piped"));
        (Running { child, stdout, stderr }, stdin)
    }
}

impl Running {
    /// Waits for a line of its standard output and returns it.
    ///
    /// # Panics
    /// Where the output ends before, or nothing comes for long; with all that was said.
    pub fn wait_for_stdout(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_line(&self.stdout, &wanted)
    }

    /// Waits for a line of its standard error and returns it; panics as [`Running::wait_for_stdout`].
    pub fn wait_for_stderr(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_line(&self.stderr, &wanted)
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "the program is gone already");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not end for long; with all that was said.
    pub fn wait(mut self) -> Ended {
        // Its output ends when it does.
        let ended = self.stdout.wait(|_, all| all.then_some(())).is_some()
            && self.stderr.wait(|_, all| all.then_some(())).is_some();
        assert!(ended, "the program did not end; {}", self.said());
        let status = self.child.wait().expect("it can be waited for").code();
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    fn wait_for_line(&self, stream: &Stream, wanted: &impl Fn(&str) -> bool) -> String {
        let line = stream.wait(|text, all| {
            // A line without its end may be half of one.
            let lines = if all { text } else { &text[..text.rfind('\n').map_or(0, |end| end + 1)] };
            let found = lines.lines().find(|line| wanted(line)).map(str::to_owned);
            if found.is_some() || all { Some(found) } else { None }
        });
        line.flatten().unwrap_or_else(|| panic!("the line did not come; {}", self.said()))
    }

    fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns it where it ended with this exit code.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Stream {
    fn of(source: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let shared = stream.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            // In pieces: a question without a line end has to be seen as well.
            while let Ok(piece @ [_, ..]) = source.fill_buf() {
                let read = piece.len();
                bytes.extend_from_slice(piece);
                source.consume(read);
                shared.change(|(text, _)| *text = String::from_utf8_lossy(&bytes).into_owned());
            }
            shared.change(|(_, all)| *all = true);
        });
        stream
    }

    fn change(&self, change: impl FnOnce(&mut (String, bool))) {
        let (state, changed) = &*self.0;
        change(&mut state.lock().unwrap());
        changed.notify_all();
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().0.clone()
    }

    /// Waits until `find` finds something in the text, which is told whether that is all; `None` where nothing comes
    /// for long.
    fn wait<T>(&self, find: impl Fn(&str, bool) -> Option<T>) -> Option<T> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(found) = find(&state.0, state.1) {
                return Some(found);
            }
            // As long as something comes there is hope; a silent program is given up.
            let (next, silence) = changed.wait_timeout(state, PATIENCE).unwrap();
            if silence.timed_out() {
                return None;
            }
            state = next;
        }
    }
}
