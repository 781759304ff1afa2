//! What a table was measured on, and the page that shows it.

use std::{fs, path::PathBuf, process::Command, thread};

use time::OffsetDateTime;

use super::lab::Kind;

/// Between these lines the page is the program's.
const BEGIN: &str = "<!-- what follows is written by the measurement -->\n";
const END: &str = "<!-- what follows is written by a person -->\n";

/// The date, the machine and the versions of what is measured.
pub fn conditions(kinds: &[Kind]) -> String {
    let today = OffsetDateTime::now_utc().date();
    let kernel = read("/proc/sys/kernel/osrelease");
    let processor = field("/proc/cpuinfo", "model name");
    let memory: f64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let versions: Vec<String> = kinds.iter().filter_map(|&kind| version(kind)).collect();
    format!(
        "Measured on {today}: {cores} processors ({processor}), {:.0} GiB, Linux {}; {}.\n",
        memory / 1024.0 / 1024.0,
        kernel.trim(),
        versions.join(", ")
    )
}

/// A part of a program's name.
const NOT_A_VERSION: &str = "2.0";

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind a name and a colon.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// What a program says of itself: the first word that begins with a number.
fn version(kind: Kind) -> Option<String> {
    let asks = match kind {
        Kind::Bridge | Kind::Beside | Kind::Emailproxy => "--version",
        Kind::Haproxy => "-v",
        Kind::Stunnel => "-version",
    };
    let said = Command::new(kind.program()?).arg(asks).output().ok()?;
    let said = [said.stdout, said.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && *word != NOT_A_VERSION;
    let number = said.split_whitespace().find(is_number)?;
    Some(format!("{} {number}", kind.name()))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md")
}

/// Puts a text where the page shows it.
///
/// # Errors
/// What is wrong with the page.
pub fn write(text: &str) -> Result<(), String> {
    let path = path();
    let page = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} lacks {BEGIN} or {END}", path.display()))?;
    fs::write(&path, format!("{before}{BEGIN}\n{text}\n{END}{after}"))
        .map_err(|error| format!("writing {}: {error}", path.display()))
}
