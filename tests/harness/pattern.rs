//! Lines that are compared to the letter but for the parts written as `{…}`, which may be anything.

/// Whether `line` is what `pattern` says: every `{…}` stands for any bytes, none included.
pub fn matches(pattern: &[u8], line: &[u8]) -> bool {
    const FREE: &[u8] = "{…}".as_bytes();
    let Some(at) = find(pattern, FREE) else {
        return pattern == line;
    };
    let (before, after) = (&pattern[..at], &pattern[at + FREE.len()..]);
    let Some(rest) = line.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).any(|skip| matches(after, &rest[skip..]))
}

/// Where `needle` is in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
