//! Mistakes of the configuration as people read them: place, line, cause, cure.

use std::{fmt, ops::Range, path::Path, sync::Arc};

/// How bad a [`Mistake`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, and is probably not what was meant.
    Warning,
}

/// Something in the configuration that is wrong, or probably so.
///
/// Secrets are not in it: where the line that it quotes has one, `…` stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub(super) severity: Severity,
    pub(super) path: Arc<Path>,
    pub(super) spot: Option<Spot>,
    pub(super) cause: String,
    pub(super) cure: Option<String>,
}

/// A place in a file, with the line that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) quote: Option<Quote>,
}

impl Mistake {
    /// Whether the configuration can be used all the same.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Where it is: `footbridge.toml:14:1`, or the file alone where it concerns the whole.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.spot {
            Some(spot) => format!("{}:{}:{}", self.path.display(), spot.line, spot.column),
            None => self.path.display().to_string(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.cure.as_deref()
    }
}

impl fmt::Display for Mistake {
    /// Place, cause, the line with the offending text underlined, and the cure; no line end after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}: {severity}{}", self.place(), self.cause)?;
        if let Some(Spot { line, quote: Some(quote), .. }) = &self.spot {
            let line = format!("{line:>4}");
            let gutter = " ".repeat(line.len());
            write!(f, "\n {line} | {}\n {gutter} | {}", quote.text, quote.underline())?;
        }
        if let Some(cure) = &self.cure {
            write!(f, "\n  cure: {cure}")?;
        }
        Ok(())
    }
}

/// Every mistake of a configuration that cannot be used, warnings among them, by file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn new(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes)
    }

    /// The mistakes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|mistake| mistake.severity == Severity::Error).count()
    }
}

impl fmt::Display for Mistakes {
    /// One after the other, each on lines of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A line of a file as it may be shown, and which part of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote {
    text: String,
    start: usize,
    width: usize,
}

/// The longest part of a line that is shown, in characters: what a wide terminal holds.
const LONGEST_QUOTE: usize = 120;

/// How much of a long line is shown before what is meant, in characters.
const LEAD: usize = 40;

impl Quote {
    /// Takes a line that begins at the byte `offset` of its file, the part of the file that is
    /// meant, and the parts that must not be shown.
    pub(super) fn new(line: &str, offset: usize, meant: &Range<usize>, hidden: &[Range<usize>]) -> Self {
        let (mut text, mut start, mut end) = (Vec::new(), None, 0);
        for (at, char) in line.char_indices().map(|(at, char)| (offset + at, char)) {
            if start.is_none() && at >= meant.start {
                start = Some(text.len());
            }
            match hidden.iter().find(|range| range.contains(&at)) {
                Some(range) if at == range.start.max(offset) => text.push('…'),
                Some(_) => {}
                // A terminal obeys control characters, and a tab has no width of its own.
                None if char == '\t' => text.push(' '),
                None if char.is_control() => text.push('\u{FFFD}'),
                None => text.push(char),
            }
            if at < meant.end {
                end = text.len();
            }
        }
        let start = start.unwrap_or(text.len());
        Self::cut(&text, start, end.saturating_sub(start).max(1))
    }

    fn cut(text: &[char], start: usize, width: usize) -> Self {
        let skipped = if text.len() > LONGEST_QUOTE { start.saturating_sub(LEAD) } else { 0 };
        let shown: String = text.iter().skip(skipped).take(LONGEST_QUOTE).collect();
        let shown = shown.trim_end().to_owned();
        let start = start - skipped;
        let width = width.min(shown.chars().count().saturating_sub(start)).max(1);
        Self { text: shown, start, width }
    }

    fn underline(&self) -> String {
        format!("{}{}", " ".repeat(self.start), "^".repeat(self.width))
    }
}

/// A written value in quotes, for a cause: cut where it is long, control characters made visible.
pub(super) fn quoted(written: &str) -> String {
    const LONGEST: usize = 80;
    let shown: String = written.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    let more = if written.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("\"{shown}{more}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(line: &str, meant: Range<usize>, hidden: Option<&Range<usize>>) -> String {
        let hidden = hidden.map(std::slice::from_ref).unwrap_or_default();
        let quote = Quote::new(line, 100, &meant, hidden);
        format!("{}\n{}", quote.text, quote.underline())
    }

    #[test]
    fn what_is_meant_is_underlined() {
        assert_eq!(quote("tls = \"yes\"", 106..111, None), "tls = \"yes\"\n      ^^^^^");
        assert_eq!(quote("ü = \"ä\"", 105..109, None), "ü = \"ä\"\n    ^^^");
        assert_eq!(quote("a = [", 104..900, None), "a = [\n    ^");
        assert_eq!(quote("a =", 103..103, None), "a =\n   ^");
        assert_eq!(quote("", 100..100, None), "\n^");
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        assert_eq!(
            quote("password = \"hunter2\" # x", 111..120, Some(&(111..120))),
            "password = … # x\n           ^"
        );
        assert_eq!(quote("hunter2\"\"\"", 111..120, Some(&(90..300))), "…\n ^");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let line = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let shown = quote(&line, 600..601, None);
        let expected = format!("{}x{}\n{}^", "a".repeat(40), "b".repeat(79), " ".repeat(40));
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_quoted_value_cannot_control_the_terminal() {
        assert_eq!(quoted("a\u{1b}[2Jb\"\n"), "\"a\\u{1b}[2Jb\\\"\\n\"");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
    }
}
