//! Processes of a measurement: started so that they end with it, and what the system says of them.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use super::drive::Done;

/// The system's clock ticks a second (`getconf CLK_TCK`), the same on every Linux that Rust knows.
const TICKS: f64 = 100.0;

/// How long a role may take for anything: the longest errand is a mebibyte through each of thousands of sessions, and
/// gives up by itself where nothing moves.
const PATIENCE: Duration = Duration::from_mins(5);

/// A child that is killed when this is dropped, and by the kernel when this program ends in any other way.
pub struct Process(Child);

impl Process {
    /// Runs `words`, its first the program, in `folder`. What it prints goes to `process.log` there. It may open as many
    /// files as is said, or as many as this program.
    pub fn start(
        folder: &Path,
        words: &[&str],
        environment: &[(&str, &str)],
        descriptors: Option<u64>,
    ) -> Done<Self> {
        let log = File::create(folder.join("process.log")).unwrap();
        let limit = descriptors.map(|descriptors| format!("--nofile={descriptors}:{descriptors}"));
        let mut limited = Vec::new();
        if let Some(limit) = &limit {
            limited.extend(["prlimit", limit, "--"]);
        }
        limited.extend(words);
        let mut command = bound_to_us(&limited);
        command.current_dir(folder).envs(environment.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().map(Self).map_err(|error| format!("cannot start {}: {error}", words[0]))
    }

    /// The process id, which is that of its group as well.
    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// The folders of `/proc` of it and of all that it has started.
    fn group(&self) -> Vec<PathBuf> {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let group = self.pid().to_string();
        processes.filter(|process| stat(process).get(PGRP) == Some(&group)).collect()
    }

    /// Processor time so far, in seconds, of all its processes and the threads that they had.
    pub fn cpu(&self) -> f64 {
        let of = |process: &PathBuf| {
            let stat = stat(process);
            let ticks = |field: usize| stat.get(field).map_or(0.0, |ticks| ticks.parse().unwrap());
            (ticks(UTIME) + ticks(STIME)) / TICKS
        };
        self.group().iter().map(of).sum()
    }

    /// Resident memory of all its processes, in KiB. What several share counts once for each.
    pub fn resident(&self) -> f64 {
        let of = |process: &PathBuf| -> f64 {
            let rollup = fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
            let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap_or("0");
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        self.group().iter().map(of).sum()
    }

    /// How many files and sockets all its processes have open.
    pub fn descriptors(&self) -> usize {
        self.group().iter().map(|process| fs::read_dir(process.join("fd")).map_or(0, Iterator::count)).sum()
    }
}

/// proc(5): the fields of `stat` behind the name in parentheses, by their places there.
const PGRP: usize = 2;
const UTIME: usize = 11;
const STIME: usize = 12;

/// Nothing where it is no process, or one that is gone.
fn stat(process: &Path) -> Vec<String> {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(str::to_owned).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This very program in another role, which hears lines and answers lines. It ends when it hears no more.
pub struct Role {
    child: Child,
    hears: Option<ChildStdin>,
    says: Receiver<String>,
}

impl Role {
    /// Starts a role with its one argument.
    pub fn start(role: &str, argument: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = bound_to_us(&[program.to_str().unwrap(), role, argument]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (hears, lines) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()).lines());
        let (say, says) = channel();
        // It ends with the role.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, hears, says }
    }

    /// Says a line to it.
    pub fn tell(&mut self, line: &str) {
        // One that is gone is noticed when it does not answer.
        let _ = writeln!(self.hears.as_mut().unwrap(), "{line}");
    }

    /// Waits for a line of it.
    pub fn hear(&mut self) -> Done<String> {
        self.says.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("no outcome in {} s", PATIENCE.as_secs()),
            RecvTimeoutError::Disconnected => "a role of the measurement has failed: see above".to_owned(),
        })
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // The end of its input ends it; one that hangs is not waited for.
        drop(self.hears.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that the kernel kills when whoever started it is gone, where `setpriv` (util-linux) is there.
fn bound_to_us(words: &[&str]) -> Command {
    if found("setpriv").is_some() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(words);
        command
    } else {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }
}

/// Where a program is, in `PATH` or where Debian keeps servers.
pub fn found(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/sbin"].map(Into::into);
    let places = std::env::split_paths(&path).chain(servers);
    let mut files = places.map(|place| place.join(program));
    files.find(|file| file.is_file()).and_then(|file| file.to_str().map(str::to_owned))
}
