//! Every key that may be written, by table, as data: what may stand in it, and what it is for.
//!
//! The reader takes no key that is not here, and [`json`] tells editors the same.
//!
//! A key whose effect is not built is refused by its name: nobody may believe in a protection that
//! is not there.

pub(super) mod json;
mod tables;

use std::ops::Range;

pub(super) use tables::{
    ACCOUNT, ALL, APP, ASSERTION_ALGS, CONSOLE, CONSOLE_TLS, DELEGATED, ENDPOINT, LIMITS, LISTENER,
    LISTENER_TLS, LOGIN_PASSWORD, MAPPINGS, MOST_PASSWORDS, MOST_SECRETS, PKCE, PROVIDER, SASL, SCOPES,
    SECRET, STORE, STORES, TLS, TOP, UPSTREAM_TLS,
};

/// The keys of one kind of table.
#[derive(Debug)]
pub(super) struct Keys {
    /// A word for the table: `app`.
    name: &'static str,
    /// The table as it is spoken of: `[app.NAME]`.
    pub(super) place: &'static str,
    /// The keys that have an effect.
    pub(super) known: &'static [Key],
    /// The keys that have a meaning, and no effect in this version.
    pub(super) later: &'static [&'static str],
}

impl Keys {
    /// The names of the keys that have an effect.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.known.iter().map(|key| key.name)
    }

    /// The names of all keys that have a meaning.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.names().chain(self.later.iter().copied())
    }

    /// Whether a key has an effect.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    kind: Kind,
    /// What it is for, in a sentence.
    about: &'static str,
    /// Whether the table is a mistake without it, whatever else stands there.
    needed: bool,
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, needed: false }
}

impl Key {
    const fn needed(self) -> Self {
        Self { needed: true, ..self }
    }
}

/// What may stand in a key, as far as an editor can tell.
#[derive(Debug)]
enum Kind {
    /// Any string.
    Text,
    /// A string that matches a regular expression (ECMA-262).
    Pattern(&'static str),
    /// One word out of several.
    Word(fn() -> Vec<&'static str>),
    /// A string that is usually one of several.
    Suggested(fn() -> Vec<&'static str>),
    Boolean,
    /// A number of things, between the bounds, both included.
    Count(Range<u64>),
    /// A TCP port to connect to.
    Port,
    /// A number with a unit: `"30s"`.
    Duration,
    /// A number with a unit: `"16KiB"`.
    Size,
    /// A date, perhaps with a time, bare or as a string.
    Date,
    /// A list with something in it, and at most as much.
    List(&'static Kind, usize),
    /// One of several kinds.
    Either(&'static [Kind]),
    /// A table.
    Table(&'static Keys),
    /// Tables in a list: `[[listener]]`.
    Tables(&'static Keys),
    /// Tables by names that the writer thinks of: `[app.NAME]`.
    Named(&'static Keys),
}

/// What keys are called elsewhere, and what they are called here.
const SYNONYMS: [(&str, &str); 7] = [
    ("client_secret", "secret"),
    ("tenant_id", "tenant"),
    ("oauth2_scope", "scopes"),
    ("oauth2_flow", "grant"),
    ("permission_url", "authorize_url"),
    ("username", "login"),
    ("user", "login"),
];

/// The key of a table that was probably meant.
pub(super) fn meant(keys: &Keys, written: &str) -> Option<&'static str> {
    let all = || keys.all();
    let synonym = SYNONYMS.iter().find(|(other, ours)| *other == written && all().any(|key| key == *ours));
    synonym.map(|(_, ours)| *ours).or_else(|| nearest(written, all()))
}

/// How unlike two words may be to be taken for one another: 1 is alike, 0 has nothing in common.
/// One slip in a word of four letters is 0.75; `tls` and `line` have 0.25.
const ALIKE: f64 = 0.7;

/// The word that was probably meant.
pub(super) fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let written = written.to_lowercase();
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(&written, &word.to_lowercase());
    words
        .into_iter()
        .map(|word| (likeness(word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

/// The cure for a key that its table does not have, nor one like it.
pub(super) fn cure_for_unknown(keys: &Keys, written: &str) -> String {
    let elsewhere = ALL.iter().find(|other| other.has(written) && other.place != SECRET.place);
    match elsewhere {
        Some(other) => format!("\"{written}\" belongs to {}", other.place),
        None => format!("the keys of {} are {}", keys.place, keys.names().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let cases = [
            ("tennant", Some("tenant")),
            ("clientid", Some("client_id")),
            ("Provider", Some("provider")),
            ("secert", Some("secret")),
            ("scope", Some("scopes")),
            ("password", None),
            ("", None),
        ];
        for (written, expected) in cases {
            assert_eq!(nearest(written, APP.names()), expected, "{written}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_to_the_right_one() {
        assert_eq!(
            cure_for_unknown(&LIMITS, "mappings"),
            "\"mappings\" belongs to the top level of footbridge.toml"
        );
        assert_eq!(cure_for_unknown(&APP, "bind"), "\"bind\" belongs to [[listener]]");
        assert_eq!(
            cure_for_unknown(&SCOPES, "colour"),
            "the keys of scopes of [provider.NAME] are application, delegated"
        );
    }
}
