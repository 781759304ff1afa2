//! A real `footbridge serve` as a child process, ended when it is dropped.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

/// How long a test waits for something that has to happen. Far above what it takes, so that a busy
/// machine does not fail a test; reached only where it would never happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running bridge.
pub struct Bridge {
    child: Child,
    log: Arc<(Mutex<Log>, Condvar)>,
}

#[derive(Default)]
struct Log {
    text: String,
    ended: bool,
}

impl Bridge {
    /// Runs `footbridge serve` on `dir/footbridge.toml`, logging everything, and waits until it is
    /// ready.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[], &[])
    }

    /// As [`Bridge::start`], with more arguments and environment variables.
    pub fn start_with(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let bridge = Self::spawn(dir, arguments, environment);
        bridge.wait_for_log("ready", |line| line["message"] == "ready");
        bridge
    }

    /// Runs the bridge and does not wait.
    pub fn spawn(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawned(Command::new(Self::program()), dir, arguments, environment)
    }

    /// As [`Bridge::start`], run by another program: `["strace", "-f"]`.
    pub fn start_under(runner: &[&str], dir: &Path) -> Self {
        let mut command = Command::new(runner[0]);
        command.args(&runner[1..]).arg(Self::program());
        let bridge = Self::spawned(command, dir, &[], &[]);
        bridge.wait_for_log("ready", |line| line["message"] == "ready");
        bridge
    }

    fn program() -> &'static str {
        let Some(program) = option_env!("CARGO_BIN_EXE_footbridge") else {
            panic!("only tests know where the program is");
        };
        program
    }

    fn spawned(mut command: Command, dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command
            .arg("serve")
            .arg("--config")
            .arg(dir.join("footbridge.toml"))
            .args(["--log", "trace", "--log-format", "json"])
            .args(arguments)
            // Nothing here is behind a proxy, whatever the machine is.
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("all_proxy")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the bridge can be started");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let log = Arc::new((Mutex::new(Log::default()), Condvar::new()));
        let shared = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let (log, changed) = &*shared;
                let mut log = log.lock().unwrap();
                log.text.push_str(&line);
                log.text.push('\n');
                changed.notify_all();
            }
            let (log, changed) = &*shared;
            log.lock().unwrap().ended = true;
            changed.notify_all();
        });
        Self { child, log }
    }

    /// The address of the first listener of a protocol: `imap`, `smtp`.
    pub fn addr(&self, protocol: &str) -> SocketAddr {
        let line = self
            .wait_for_log("listening", |line| line["message"] == "listening" && line["protocol"] == protocol);
        line["listener.addr"].as_str().unwrap().parse().unwrap()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().text.clone()
    }

    /// The logged lines of one message so far.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        lines(&self.log()).filter(|line| line["message"] == message).collect()
    }

    /// Waits for a logged line and returns it.
    ///
    /// # Panics
    /// Where the bridge ends before, or nothing comes for long; with the whole log.
    pub fn wait_for_log(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, |log| lines(log).find(&wanted))
    }

    /// Waits until so many lines of one message were logged, and returns them.
    pub fn wait_for_logged(&self, message: &str, count: usize) -> Vec<Value> {
        self.wait_for(&format!("{message}, {count} times,"), |log| {
            let found: Vec<Value> = lines(log).filter(|line| line["message"] == message).collect();
            (found.len() >= count).then_some(found)
        })
    }

    fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let (log, changed) = &*self.log;
        let mut log = log.lock().unwrap();
        loop {
            if let Some(found) = find(&log.text) {
                return found;
            }
            assert!(!log.ended, "the bridge ended before {what} was logged:\n{}", log.text);
            let waited = changed.wait_timeout(log, PATIENCE).unwrap();
            log = waited.0;
            assert!(!waited.1.timed_out(), "no {what} in the log:\n{}", log.text);
        }
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "the bridge is gone already");
    }

    /// Waits until the process has ended by itself.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let (log, changed) = &*self.log;
        let mut log = log.lock().unwrap();
        while !log.ended {
            log = changed.wait(log).unwrap();
        }
        (status, log.text.clone())
    }

    /// Asks the bridge to end, as a service manager does, and waits for it.
    pub fn terminate(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn lines(log: &str) -> impl Iterator<Item = Value> + '_ {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}
