//! What of a file must not be shown when a line of it is quoted.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The places of all secrets that stand in a tree, in the order of the file.
pub(super) fn secrets(tree: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    in_table(tree, &mut found);
    found.sort_by_key(|range| range.start);
    found
}

fn in_table(table: &DeTable<'_>, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        if is_secret_key(key.get_ref()) {
            in_secret(value.get_ref(), value.span(), found);
        } else {
            in_value(value.get_ref(), value.span(), found);
        }
    }
}

fn in_value(value: &DeValue<'_>, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    if let DeValue::Table(table) = value {
        in_table(table, found);
    } else if let DeValue::Array(array) = value {
        array.iter().for_each(|item| in_value(item.get_ref(), item.span(), found));
    } else if value.as_str().is_some_and(is_url_with_user) {
        found.push(span);
    }
}

/// A secret value may be shown where it says in which place the secret is kept.
fn in_secret(value: &DeValue<'_>, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    if let DeValue::Table(table) = value {
        for (key, value) in table {
            let names_place = match key.get_ref().as_ref() {
                "file" | "credential" => true,
                "env" => value.get_ref().as_str().is_some_and(is_variable_name),
                _ => false,
            };
            if !names_place {
                in_secret(value.get_ref(), value.span(), found);
            }
        }
    } else if let DeValue::Array(array) = value {
        array.iter().for_each(|item| in_secret(item.get_ref(), item.span(), found));
    } else {
        found.push(span);
    }
}

/// Whether the text has the form of the name of an environment variable, so that it is hardly the
/// secret itself, written where its place was asked for.
pub(super) fn is_variable_name(written: &str) -> bool {
    !written.is_empty()
        && !written.starts_with(|char: char| char.is_ascii_digit())
        && written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a key, mistyped or not, seems to be one for a secret.
fn is_secret_key(key: &str) -> bool {
    const SIGNS: [&str; 7] = ["pass", "secret", "pwd", "token", "key", "cred", "auth"];
    let key = key.to_lowercase();
    SIGNS.iter().any(|sign| key.contains(sign))
        && !["token_url", "authorize_url", "auth_failures", "auth_failure_window"].contains(&key.as_str())
        // That of a database holds a password.
        || key == "url"
        || ["password", "secret", "service_account"]
            .iter()
            .any(|word| strsim::damerau_levenshtein(word, &key) <= 2)
}

/// Whether a URL in the text has a user and perhaps a password in it, as that of a proxy may have.
fn is_url_with_user(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// The key and value around a byte of the file: the innermost that is no `[table]` of its own.
pub(super) fn entry_around(table: &DeTable<'_>, at: usize) -> Option<Range<usize>> {
    for (key, value) in table {
        let entry = key.span().start.min(value.span().start)..value.span().end;
        let inner = match value.get_ref() {
            DeValue::Table(inner) => entry_around(inner, at),
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .find_map(|inner| entry_around(inner, at)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        let around = (entry.start..=entry.end).contains(&at);
        match inner {
            // A value within an inline table or array: the statement is the whole of it.
            Some(inner) if around => return Some(entry.start.min(inner.start)..entry.end.max(inner.end)),
            Some(inner) => return Some(inner),
            None if around => return Some(entry),
            None => {}
        }
    }
    None
}

/// The part of a line that could not be parsed that may hold a secret: all after the `=`.
pub(super) fn in_unparsed(text: &str, line: Range<usize>) -> Option<Range<usize>> {
    let shown = &text[line.clone()];
    let after_sign = shown.find('=').map_or(line.start, |at| line.start + at + 1);
    if is_secret_key(shown) || is_url_with_user(shown) {
        return Some(after_sign..line.end);
    }
    // A string or a list may go on over lines: the key stands above.
    let begins_statement = |line: &str| line.trim_start().starts_with('[') || line.contains('=');
    let above = text[..line.start].lines().rev().take(100).find(|line| begins_statement(line));
    (above.is_some_and(is_secret_key) && !begins_statement(shown)).then_some(line)
}
