//! The INI dialect of Python's `configparser`, whose lines are kept for what is said of them.
//!
//! By hand, because what is said of a file names its lines, which libraries do not keep, and because a secret may hold
//! what they take for the beginning of a comment.

use super::Notes;
use crate::secret::Secret;

/// A `[section]`.
pub(super) struct Section {
    pub(super) name: String,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) options: Vec<Setting>,
}

/// A `key = value`. It may hold a secret and is never printed as a whole.
pub(super) struct Setting {
    /// In small letters.
    pub(super) key: String,
    pub(super) line: usize,
    value: Secret,
}

impl Setting {
    /// The value, where that is no secret.
    pub(super) fn text(&self) -> &str {
        self.value.expose_str().unwrap_or_default()
    }

    /// The key, where it has the form of one: a line that is broken may be a part of a secret.
    pub(super) fn shown(&self) -> &str {
        let is_key =
            self.key.len() <= 40 && self.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_key { &self.key } else { "this line" }
    }

    /// Whether it still is what the other program's own example says: `*** your client id here ***`.
    pub(super) fn is_of_the_example(&self) -> bool {
        self.text().contains("*** your")
    }

    /// The value, where that is one.
    pub(super) fn secret(&self) -> Secret {
        self.value.clone()
    }
}

impl Section {
    /// The value of a key, unless that is empty.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.options.iter().find(|option| option.key == key && !option.text().is_empty())
    }
}

/// Reads a file. What is no INI is noted and left out.
pub(super) fn parse(text: &str, notes: &mut Notes) -> Vec<Section> {
    let mut sections = Vec::<Section>::new();
    let mut indent = 0;
    for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, line)) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let here = line.len() - line.trim_start().len();
        let open = sections.last_mut().and_then(|section| section.options.last_mut());
        if let Some(open) = open.filter(|_| here > indent) {
            open.value = Secret::new(format!("{}\n{trimmed}", open.text()));
            continue;
        }
        indent = here;
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
            begin(name.0, number, &mut sections, notes);
        } else {
            set(trimmed, number, &mut sections, notes);
        }
    }
    inherit(&mut sections);
    sections
}

fn begin(name: &str, line: usize, sections: &mut Vec<Section>, notes: &mut Notes) {
    if let Some(first) = sections.iter().find(|section| section.name == name) {
        notes.lost(
            line,
            format!("[{name}]"),
            format!("it is there already, in line {}: this one adds to it", first.line),
        );
        // What follows belongs to the last section of the list.
    }
    sections.push(Section { name: name.to_owned(), line, options: Vec::new() });
}

fn set(line: &str, number: usize, sections: &mut [Section], notes: &mut Notes) {
    let Some((key, value)) = line.split_once(['=', ':']) else {
        // It may be a part of a secret.
        notes.lost(number, "this line", "it is no key = value, and is left out".to_owned());
        return;
    };
    let key = key.trim().to_lowercase();
    let Some(section) = sections.last_mut() else {
        notes.lost(number, "this line", "it stands before the first section, and is left out".to_owned());
        return;
    };
    if section.options.iter().any(|option| option.key == key) {
        notes.lost(number, "this line", "its option is there already: the first one is taken".to_owned());
        return;
    }
    section.options.push(Setting { key, line: number, value: Secret::new(value.trim()) });
}

/// Gives every section what stands in `[DEFAULT]`, and makes one of those that have the same name.
fn inherit(sections: &mut Vec<Section>) {
    let mut merged = Vec::<Section>::new();
    for section in sections.drain(..) {
        match merged.iter_mut().find(|known| known.name == section.name) {
            Some(known) => {
                known.options.extend(section.options);
            }
            None => merged.push(section),
        }
    }
    let Some(at) = merged.iter().position(|section| section.name == "DEFAULT") else {
        *sections = merged;
        return;
    };
    let defaults = merged.remove(at);
    for section in &mut merged {
        for default in &defaults.options {
            if !section.options.iter().any(|option| option.key == default.key) {
                let (key, value) = (default.key.clone(), default.value.clone());
                section.options.push(Setting { key, line: default.line, value });
            }
        }
    }
    *sections = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_what_elsewhere_begins_a_comment_and_go_on_in_indented_lines() {
        let text = "; a comment\n[ann@example.com]\nClient_Secret = a;b #c=d:e\n# another\nwarning =\n\tlong\n\t[text]\nredirect_uri: http://localhost\n";
        let mut notes = Notes::default();
        let sections = parse(text, &mut notes);
        assert_eq!(sections.len(), 1);
        let get = |key| sections[0].get(key).map(|option| (option.line, option.text().to_owned()));
        assert_eq!(get("client_secret"), Some((3, "a;b #c=d:e".to_owned())));
        assert_eq!(get("warning"), Some((5, "\nlong\n[text]".to_owned())));
        assert_eq!(get("redirect_uri"), Some((8, "http://localhost".to_owned())));
        assert_eq!(notes.into_list(), []);
    }

    #[test]
    fn what_is_written_for_all_sections_is_in_each_and_its_own_comes_first() {
        let text =
            "[DEFAULT]\nclient_id = all\ntoken_url = t\n[a]\nclient_id = own\n[b]\nnonsense\n[a]\nx = 1\n";
        let mut notes = Notes::default();
        let sections = parse(text, &mut notes);
        let get =
            |at: usize, key| sections[at].get(key).map(|option| option.text().to_owned()).unwrap_or_default();
        assert_eq!(
            (get(0, "client_id"), get(0, "token_url"), get(0, "x")),
            ("own".into(), "t".into(), "1".into())
        );
        assert_eq!((get(1, "client_id"), get(1, "x")), ("all".into(), String::new()));
        assert_eq!(notes.into_list().iter().map(|note| note.line).collect::<Vec<_>>(), [7, 8]);
    }
}
