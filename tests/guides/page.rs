//! What stands on a page: its fenced blocks and its links.

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The line of its first line, from 1.
    pub line: usize,
    pub kind: Kind,
}

/// What a block is for.
#[derive(Debug)]
pub enum Kind {
    /// Commands.
    Shell(String),
    /// A command and the lines that it prints, several times.
    Console(Vec<(String, Vec<String>)>),
    /// The name of a file, and what is in it.
    File(String, String),
    /// Something to read.
    Shown,
}

impl Block {
    /// Whether it has commands.
    pub fn is_run(&self) -> bool {
        matches!(self.kind, Kind::Shell(_) | Kind::Console(_))
    }
}

/// The blocks of a page.
///
/// # Panics
/// Where a block does not say what it is.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let inside =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.trim_start().starts_with("```"));
        let inside: Vec<&str> = inside.map(|line| line.get(indent..).unwrap_or_default()).collect();
        let kind = match language.trim() {
            "sh" => Kind::Shell(checked(inside.join("\n"), at)),
            "console" => Kind::Console(commands(&inside)),
            "toml" | "yaml" | "ini" => file(&inside),
            "text" | "powershell" => Kind::Shown,
            other => panic!("line {}: a block of {other:?}, which nobody knows whether to run", at + 1),
        };
        blocks.push(Block { line: at + 2, kind });
    }
    blocks
}

/// Commands that a shell ends at when they fail.
fn checked(commands: String, at: usize) -> String {
    let hides = ["&&", "||"].iter().any(|word| commands.contains(word));
    assert!(!hides, "line {at}: a command that fails before && or || is not noticed: write lines");
    commands
}

/// Commands behind `$ `, which `\` goes on with at the next line, each with what it prints.
fn commands(lines: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), Vec::new())),
            (None, Some((command, printed))) if printed.is_empty() && command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, printed))) => printed.push((*line).to_owned()),
            (None, None) => panic!("{line} stands before a command"),
        }
    }
    found
}

/// A file, where the first line names one.
fn file(lines: &[&str]) -> Kind {
    let name = lines.first().and_then(|line| line.strip_prefix("# "));
    match name.filter(|name| name.contains('.') && !name.contains(' ')) {
        Some(name) => Kind::File(name.to_owned(), lines.join("\n") + "\n"),
        None => Kind::Shown,
    }
}

/// What a page links to in the repository.
pub fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// Whether what was printed is what a page says.
pub fn is_printed(wanted: &[String], printed: &str) -> bool {
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    let printed: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).collect();
    matches(&wanted, &printed)
}

fn matches(wanted: &[&str], printed: &[&str]) -> bool {
    match (wanted.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((line, wanted)), None) => line.trim() == "…" && matches(wanted, printed),
        (None, Some(_)) => false,
        (Some((line, rest)), Some((first, others))) => {
            let skips = line.trim() == "…" && (matches(rest, printed) || matches(wanted, others));
            skips || (line.trim() != "…" && is_line(line, first) && matches(rest, others))
        }
    }
}

/// Numbers may differ, and so may blanks that align columns.
fn is_line(wanted: &str, printed: &str) -> bool {
    let (wanted, printed) = (normal(wanted), normal(printed));
    let mut parts = wanted.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn normal(line: &str) -> String {
    let mut normal = String::new();
    for c in line.trim().chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        let again = (c == '0' || c == ' ') && normal.ends_with(c);
        if !again {
            normal.push(c);
        }
    }
    normal
}
