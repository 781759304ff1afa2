//! A file as it was written: its text, its tree, and the mistakes found in it.

use std::{
    cell::{OnceCell, RefCell},
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::{DeTable, Error as SyntaxError};

use super::{
    hide,
    mistake::{Mistake, Quote, Severity, Spot, quoted},
};

/// A file of the configuration.
pub(super) struct File {
    path: Arc<Path>,
    text: String,
    /// The byte offsets at which lines begin.
    lines: Vec<usize>,
    /// How many lines of the file stand before the text.
    lines_before: usize,
    findings: RefCell<Vec<Finding>>,
    /// The text with spaces for what cannot be parsed; unset where all can.
    readable: OnceCell<String>,
}

/// A mistake before its line is looked up.
struct Finding {
    severity: Severity,
    /// Nothing where the mistake is in the whole file.
    span: Option<Range<usize>>,
    cause: String,
    cure: Option<String>,
    /// Whether the line could not be parsed, so that what is secret in it is not known.
    unparsed: bool,
    hidden: Option<Range<usize>>,
}

/// How often a file with syntax errors is parsed again for more of them.
const MOST_SYNTAX_ERRORS: usize = 20;

/// The size up to which it is: a file of that size is parsed in some 10 ms.
const REPARSED_BYTES: usize = 1024 * 1024;

/// The size from which a file is read in pieces: a tree takes some twenty times as much as its text.
const PIECE_BYTES: usize = 256 * 1024;

/// How [`File::read`] ends its words where a file is in another encoding.
pub(super) const NOT_UTF8: &str = "is not UTF-8";

impl File {
    /// Reads the file.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("cannot read the file: {error}");
        let bytes = fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            format!("line {} {NOT_UTF8}", valid.split(|&byte| byte == b'\n').count())
        })?;
        Ok(Self::new(path.into(), text, 0))
    }

    fn new(path: Arc<Path>, text: String, lines_before: usize) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (findings, readable) = (RefCell::default(), OnceCell::new());
        Self { path, text, lines, lines_before, findings, readable }
    }

    /// The file in pieces, where it is large and consists of nothing but `[[account]]`s: each piece
    /// begins with one. Where a piece is broken the cut may be the cause, as it is within a string;
    /// then the file has to be read as a whole.
    pub(super) fn pieces(&self) -> Option<impl Iterator<Item = Self>> {
        let is_header = |line: &&usize| self.text[**line..].starts_with("[[account]]");
        let first = *self.lines.iter().find(is_header)?;
        let is_comment = |line: &str| line.is_empty() || line.starts_with('#');
        if self.text.len() < PIECE_BYTES || !self.text[..first].lines().all(|line| is_comment(line.trim())) {
            return None;
        }
        let mut start = 0;
        Some(std::iter::from_fn(move || {
            let enough = self.lines.partition_point(|line| *line < start + PIECE_BYTES);
            let end = self.lines[enough..].iter().find(is_header).copied().unwrap_or(self.text.len());
            let piece = (start < end).then(|| self.text[start..end].to_owned())?;
            let lines_before = self.line_of(start);
            start = end;
            Some(Self::new(Arc::clone(&self.path), piece, lines_before))
        }))
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// A path in the file, which is meant relative to the file.
    pub(super) fn resolve(&self, written: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(written)
    }

    /// Whether the file has syntax errors, so that what is missing may only be unreadable.
    pub(super) fn is_broken(&self) -> bool {
        self.readable.get().is_some()
    }

    /// Parses the text and notes every syntax error. The tree is what could be read beside them.
    ///
    /// The parser guesses how a broken file goes on, and guesses wrong. So the statement with the
    /// first error is blanked out and the rest parsed again: what is found then is true.
    pub(super) fn parse(&self) -> DeTable<'_> {
        let (tree, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return tree.into_inner();
        }
        let readable = self.readable.get_or_init(|| self.without_syntax_errors());
        let (tree, errors) = DeTable::parse_recoverable(readable);
        // With more errors than were tried for, the tree holds guesses.
        if errors.is_empty() { tree.into_inner() } else { DeTable::new() }
    }

    fn without_syntax_errors(&self) -> String {
        let mut rest = self.text.clone();
        for _ in 0..MOST_SYNTAX_ERRORS {
            let (tree, errors) = DeTable::parse_recoverable(&rest);
            let Some(first) = errors.iter().min_by_key(|error| error_span(error).start) else {
                break;
            };
            let statement = self.statement(tree.get_ref(), first);
            self.note_syntax_error(first, &statement);
            drop(tree);
            blank(&mut rest, statement);
            if self.text.len() > REPARSED_BYTES {
                break;
            }
        }
        rest
    }

    /// The whole lines that a syntax error makes unreadable.
    fn statement(&self, tree: &DeTable<'_>, error: &SyntaxError) -> Range<usize> {
        let at = error_span(error).start;
        let header_is_open = error.message().starts_with("unclosed table") || is_unclosed_list(error);
        let entry = hide::entry_around(tree, at).filter(|_| !header_is_open).unwrap_or(at..at);
        let first = self.line_of(entry.start);
        let is_header = |line: usize| self.line(line).trim_start().starts_with('[');
        // What is not closed swallows the statements that follow; what stands under a broken header
        // belongs to no table that is known.
        let ends =
            |line: &usize| if is_header(first) { is_header(*line) } else { self.begins_statement(*line) };
        let last = if is_header(first) { self.lines.len() } else { self.line_of(entry.end.max(at)) + 1 };
        let next = (self.line_of(at) + 1..last).find(ends).unwrap_or(last);
        self.lines[first]..self.lines.get(next).copied().unwrap_or(self.text.len())
    }

    /// Whether a line looks like `key = value` or `[table]`.
    fn begins_statement(&self, line: usize) -> bool {
        let (line, key) =
            (self.line(line), |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char));
        let after_key = line.trim_start().trim_start_matches(key);
        line.starts_with('[')
            || after_key.len() < line.trim_start().len() && after_key.trim_start().starts_with('=')
    }

    fn note_syntax_error(&self, error: &SyntaxError, statement: &Range<usize>) {
        let mut span = error_span(error);
        if span.start >= self.text.trim_end().len() {
            // Something was opened and never closed; where it was opened says more than the end.
            let opened = self.text[statement.clone()].trim_end();
            span = statement.start..statement.start + opened.find('\n').unwrap_or(opened.len());
        }
        if error.message().starts_with("invalid float") || error.message().starts_with("invalid integer") {
            let before = self.text.get(..span.start).unwrap_or_default();
            span.start = before.rfind([' ', '\t', '=', ',', '[', '\n']).map_or(0, |at| at + 1);
        }
        let (cause, cure) = describe(error.message(), self.text.get(span.clone()).unwrap_or_default());
        self.findings.borrow_mut().push(Finding {
            severity: Severity::Error,
            span: Some(span),
            cause,
            cure: Some(cure.to_owned()),
            unparsed: true,
            hidden: None,
        });
    }

    /// Notes a mistake at a place of the file.
    pub(super) fn wrong(&self, span: Range<usize>, cause: impl Into<String>, cure: impl Into<String>) {
        self.note(Severity::Error, Some(span), cause, cure, None);
    }

    /// Notes a mistake whose value must not be shown.
    pub(super) fn wrong_hiding(
        &self,
        span: Range<usize>,
        hidden: Range<usize>,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.note(Severity::Error, Some(span), cause, cure, Some(hidden));
    }

    /// Notes what is probably not meant.
    pub(super) fn doubtful(&self, span: Range<usize>, cause: impl Into<String>, cure: impl Into<String>) {
        self.note(Severity::Warning, Some(span), cause, cure, None);
    }

    /// Notes that something is missing, unless it may be among what could not be read.
    pub(super) fn missing(
        &self,
        span: Option<Range<usize>>,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) {
        if !self.is_broken() {
            self.note(Severity::Error, span, cause, cure, None);
        }
    }

    fn note(
        &self,
        severity: Severity,
        span: Option<Range<usize>>,
        cause: impl Into<String>,
        cure: impl Into<String>,
        hidden: Option<Range<usize>>,
    ) {
        let (cause, cure) = (cause.into(), Some(cure.into()));
        self.findings.borrow_mut().push(Finding { severity, span, cause, cure, unparsed: false, hidden });
    }

    /// Line and column of a byte, counted from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line_of(at);
        let column = self.text.get(self.lines[line]..at).map_or(0, |before| before.chars().count());
        (self.lines_before + line + 1, column + 1)
    }

    /// A line of the file, for a text that names another place than its own.
    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// Ends the reading: the mistakes in the order of the file.
    pub(super) fn mistakes(&self, tree: &DeTable<'_>) -> Vec<Mistake> {
        let mut findings = self.findings.take();
        if findings.is_empty() {
            return Vec::new();
        }
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        let secrets = hide::secrets(tree);
        findings.into_iter().map(|finding| self.mistake(finding, &secrets)).collect()
    }

    fn mistake(&self, finding: Finding, secrets: &[Range<usize>]) -> Mistake {
        let Finding { severity, span, cause, cure, unparsed, hidden } = finding;
        let spot = span.map(|span| {
            let number = self.line_of(span.start);
            let (start, line) = (self.lines[number], self.line(number));
            let end = start + line.len();
            let first = secrets.partition_point(|secret| secret.end <= start);
            let mut hidden: Vec<_> = hidden.into_iter().collect();
            hidden.extend(secrets[first..].iter().take_while(|secret| secret.start < end).cloned());
            if unparsed {
                hidden.extend(hide::in_unparsed(&self.text, start..end));
            }
            let (number, column) = self.position(span.start);
            Spot { line: number, column, quote: Some(Quote::new(line, start, &span, &hidden)) }
        });
        Mistake { severity, path: Arc::clone(&self.path), spot, cause, cure }
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at) - 1
    }

    fn line(&self, number: usize) -> &str {
        let end = self.lines.get(number + 1).copied().unwrap_or(self.text.len());
        self.text.get(self.lines[number]..end).unwrap_or_default().trim_end_matches(['\r', '\n'])
    }
}

fn error_span(error: &SyntaxError) -> Range<usize> {
    error.span().unwrap_or_default()
}

/// Overwrites a part with spaces, so that all else keeps its place.
fn blank(text: &mut String, part: Range<usize>) {
    let blanked: String =
        text[part.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(part, &blanked);
}

fn is_unclosed_list(error: &SyntaxError) -> bool {
    error.message().starts_with("unclosed array table")
}

/// Beginnings of the parser's messages, and what to do.
const CURES: [(&str, &str); 11] = [
    ("string values must be quoted", "put it in quotes: \"…\""),
    ("invalid float", "put it in quotes if it is meant as text"),
    ("invalid integer", "put it in quotes if it is meant as text"),
    ("invalid date", "put it in quotes if it is meant as text"),
    ("unclosed table", "write the table's name between [ and ]"),
    ("unclosed array table", "write the table's name between [[ and ]]"),
    ("invalid basic string", "close the string with \""),
    ("invalid literal string", "close the string with '"),
    ("invalid multi-line", "close the string with the three quotes that open it"),
    ("missing escaped value", "write each backslash twice, or put the text in single quotes"),
    ("key with no value", "write key = value"),
];

/// The parser's message in words for people, and what to do.
fn describe(message: &str, at: &str) -> (String, &'static str) {
    if message.starts_with("duplicate key") {
        return (format!("{} is there twice", quoted(at)), "take out one of the two");
    }
    let message =
        message.trim_end_matches(", expected nothing").trim_end_matches(", expected literal string");
    let cure = CURES.iter().find(|(beginning, _)| message.starts_with(beginning));
    let cure = cure.map_or("https://toml.io has the grammar", |(_, cure)| cure);
    (format!("not valid TOML: {message}"), cure)
}
