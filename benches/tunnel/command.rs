//! What the command line asks for.

use std::fmt::Write as _;

use super::figures::{SECTIONS, Section};

/// What a command line may say beside the names of sections.
const OPTIONS: [&str; 4] = ["--quick", "--smoke", "--write", "--help"];

/// How many letters a word may differ from the one that is meant.
const TYPING: usize = 3;

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// How it is used.
    Help,
    /// A measurement.
    Measure(Plan),
}

/// A measurement.
#[derive(Debug)]
pub struct Plan {
    /// How much is done.
    pub size: Size,
    /// What is measured.
    pub sections: Vec<&'static Section>,
    /// Whether the table goes into `docs/performance.md`.
    pub write: bool,
}

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What the page shows.
    Full,
    /// Two minutes, for whoever changes something.
    Quick,
    /// Whether the measurement itself works, beside haproxy alone. It judges what is no time.
    Smoke,
}

/// Reads the words behind the program's name.
///
/// # Errors
/// What is wrong with which word.
pub fn parse(words: &[String]) -> Result<Asked, String> {
    let mut plan = Plan { size: Size::Full, sections: Vec::new(), write: false };
    for word in words {
        match word.as_str() {
            // What cargo itself says to every program of `cargo bench`.
            "--bench" => (),
            "--quick" => plan.size = Size::Quick,
            "--smoke" => plan.size = Size::Smoke,
            "--write" => plan.write = true,
            "--help" | "-h" => return Ok(Asked::Help),
            name => plan.sections.push(section(name)?),
        }
    }
    if plan.write && (plan.size != Size::Full || !plan.sections.is_empty()) {
        return Err(
            "--write wants the whole measurement: leave out --quick, --smoke and the sections".to_owned()
        );
    }
    if plan.sections.is_empty() {
        plan.sections = SECTIONS.iter().collect();
    }
    Ok(Asked::Measure(plan))
}

fn section(name: &str) -> Result<&'static Section, String> {
    SECTIONS.iter().find(|section| section.name == name).ok_or_else(|| {
        let kind = if name.starts_with('-') { "option" } else { "section" };
        let known = OPTIONS.into_iter().chain(SECTIONS.iter().map(|section| section.name));
        let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(name, known));
        let meant = nearest.filter(|known| strsim::damerau_levenshtein(name, known) <= TYPING);
        let cure = meant.map_or("--help lists them".to_owned(), |known| format!("did you mean {known}?"));
        format!("there is no {kind} {name}: {cure}")
    })
}

/// How the program is used.
pub fn help() -> String {
    let sections = SECTIONS.iter().fold(String::new(), |mut text, section| {
        let _ = writeln!(text, "  {:8} {}", section.name, section.about);
        text
    });
    format!(
        "Measures the bridge beside haproxy, stunnel and Email OAuth 2.0 Proxy, as far as they are installed, and\n\
         prints a table.\n\n\
         cargo bench --bench tunnel [-- [--quick | --smoke | --write] [SECTION…]]\n\n\
         Sections (all, where none is named):\n{sections}\n\
         Options:\n  \
         --quick  less of everything: under two minutes\n  \
         --smoke  whether the measurement works, beside haproxy alone; judges what is no time\n  \
         --write  puts the table into docs/performance.md\n  \
         --help   prints this\n\n\
         FOOTBRIDGE_BESIDE=PATH measures another build of the bridge as well, by turns with this one.\n\n\
         Example: what a change does to logins and memory, beside the build before it\n  \
         FOOTBRIDGE_BESIDE=/tmp/before/footbridge cargo bench --bench tunnel -- --quick logins memory\n"
    )
}
