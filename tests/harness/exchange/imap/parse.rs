//! Commands in IMAP's grammar (RFC 3501 §9), literals in line.

/// Reads a command from the left.
pub(super) struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    pub(super) fn new(command: &'a [u8]) -> Self {
        Self { rest: command }
    }

    /// An atom: anything up to a space, a bracket or a quote.
    pub(super) fn atom(&mut self) -> Option<String> {
        self.take_while(|byte| !matches!(byte, b' ' | b'(' | b')' | b'"' | b'[' | b'\r' | b'\n'))
    }

    /// A space and an atom.
    pub(super) fn next_atom(&mut self) -> Option<String> {
        self.space()?;
        self.atom()
    }

    /// A space and an astring: an atom, a quoted string or a literal.
    pub(super) fn next_string(&mut self) -> Option<Vec<u8>> {
        self.space()?;
        self.string()
    }

    /// An astring.
    pub(super) fn string(&mut self) -> Option<Vec<u8>> {
        match self.rest.first()? {
            b'"' => self.quoted(),
            b'{' => self.literal(),
            _ => self.take_while(|byte| !matches!(byte, b' ' | b'(' | b')' | b'"')).map(String::into_bytes),
        }
    }

    /// A space and an astring as text.
    pub(super) fn next_text(&mut self) -> Option<String> {
        self.next_string().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A list in parentheses, or a single word without them, of what `read` reads.
    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        if !self.eat("(") {
            return read(self).map(|item| vec![item]);
        }
        let mut items = Vec::new();
        while !self.eat(")") {
            self.eat(" ");
            items.push(read(self)?);
        }
        Some(items)
    }

    /// What stands up to `end`, which is taken as well.
    pub(super) fn until(&mut self, end: u8) -> Option<String> {
        let text = self.take_while(|byte| byte != end).unwrap_or_default();
        (!self.rest.is_empty()).then(|| {
            self.rest = &self.rest[1..];
            text
        })
    }

    /// Takes `text`, in any case, where it stands next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let stands =
            self.rest.len() >= text.len() && self.rest[..text.len()].eq_ignore_ascii_case(text.as_bytes());
        if stands {
            self.rest = &self.rest[text.len()..];
        }
        stands
    }

    pub(super) fn space(&mut self) -> Option<()> {
        self.eat(" ").then_some(())
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> Option<String> {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!taken.is_empty()).then(|| String::from_utf8_lossy(taken).into_owned())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut bytes = self.rest.iter().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                b'\\' => text.push(*bytes.next()?.1),
                other => text.push(*other),
            }
        }
        None
    }

    fn literal(&mut self) -> Option<Vec<u8>> {
        let line = self.rest.split(|&byte| byte == b'\r').next()?;
        let (size, _) = announced_literal(line)?;
        let start = line.len() + 2;
        let literal = self.rest.get(start..start + size)?;
        self.rest = &self.rest[start + size..];
        Some(literal.to_vec())
    }
}

/// The size of the literal that a line announces at its end, and whether it waits for leave
/// (RFC 7888).
pub(super) fn announced_literal(line: &[u8]) -> Option<(usize, bool)> {
    let line = line.strip_suffix(b"}")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let size = std::str::from_utf8(&line[open + 1..]).ok()?;
    match size.strip_suffix('+') {
        Some(size) => Some((size.parse().ok()?, false)),
        None => Some((size.parse().ok()?, true)),
    }
}

/// `1:3,5,7:*`: the numbers among `all` that a set names; `*` is the last of them.
pub(super) fn set(text: &str, all: &[u32]) -> Option<Vec<u32>> {
    let last = all.last().copied().unwrap_or(0);
    let number = |text: &str| if text == "*" { Some(last) } else { text.parse::<u32>().ok() };
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        ranges.push(from.min(to)..=from.max(to));
    }
    Some(all.iter().copied().filter(|number| ranges.iter().any(|range| range.contains(number))).collect())
}
