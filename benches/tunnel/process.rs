//! Processes of a measurement: started so that they end with it, and what the system says of them.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The system's clock ticks a second (`getconf CLK_TCK`), the same on every Linux that Rust knows.
const TICKS: f64 = 100.0;

/// A child that is killed when this is dropped, and by the kernel when this program ends in any other way.
pub struct Process(Child);

impl Process {
    /// Runs `words`, its first the program, in `folder`. What it prints goes to `NAME.log` there.
    pub fn start(folder: &Path, name: &str, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).unwrap();
        let mut command = bound_to_us(words);
        command.current_dir(folder).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", words[0])))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Processor time so far, in seconds, of the process and the threads that it had.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // proc(5): the fields behind the name in parentheses, of which utime and stime are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> f64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Rss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
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
    says: BufReader<ChildStdout>,
}

impl Role {
    /// Starts a role with its one argument.
    pub fn start(role: &str, argument: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = bound_to_us(&[program.to_str().unwrap(), role, argument]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (hears, says) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, hears, says }
    }

    /// Says a line to it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.hears.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line of it.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "a role of the measurement has failed: see above");
        line.trim_end().to_owned()
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
