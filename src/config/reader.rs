//! Typed reading of a table: what is not as it should be becomes a mistake, and `None` is returned.

use std::{ops::Range, path::PathBuf, time::Duration};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::{
    file::File,
    hide::is_variable_name,
    mistake::quoted,
    schema::{Keys, TOP, cure_for_unknown, meant},
};
use crate::secret::Environment;

/// A table of a file, all of whose keys are known.
#[derive(Clone)]
pub(super) struct Table<'t> {
    pub(super) file: &'t File,
    entries: &'t DeTable<'t>,
    keys: &'static Keys,
    /// The table as it is spoken of: `[app.contoso]`.
    place: Place<'t>,
    span: Option<Range<usize>>,
    /// The keys that mistyped ones were probably meant to be, so that they are not missed as well.
    mistyped: Vec<&'static str>,
}

/// How a table is called in a mistake.
#[derive(Clone, Copy)]
pub(super) enum Place<'t> {
    /// By a fixed text.
    Fixed(&'static str),
    /// By kind and name: `[app.contoso]`.
    Named(&'static str, &'t str),
    /// By the key that it stands under.
    Under(&'t str),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(text) => f.write_str(text),
            Self::Under(key) => f.write_str(key),
            Self::Named(kind, name) => write!(f, "[{kind}.{}]", name.escape_debug()),
        }
    }
}

/// One value of a table or a list.
#[derive(Clone)]
pub(super) struct Item<'t> {
    pub(super) file: &'t File,
    pub(super) span: Range<usize>,
    /// The key that it stands under.
    key: &'t str,
    value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// The whole of a file.
    pub(super) fn top(file: &'t File, entries: &'t DeTable<'t>, keys: &'static Keys) -> Self {
        Self::open(file, entries, keys, Place::Fixed(keys.place), None)
    }

    /// Notes every key that the table may not have.
    fn open(
        file: &'t File,
        entries: &'t DeTable<'t>,
        keys: &'static Keys,
        place: Place<'t>,
        span: Option<Range<usize>>,
    ) -> Self {
        let mut mistyped = Vec::new();
        for (key, value) in entries {
            let written = key.get_ref().as_ref();
            if keys.later.contains(&written) {
                refuse_later(file, keys, place, key, value);
            } else if !keys.has(written) {
                let cause = format!("unknown key {} in {place}", quoted(written));
                if let Some(meant) = meant(keys, written) {
                    mistyped.push(meant);
                    file.wrong(key.span(), cause, format!("did you mean \"{meant}\"?"));
                } else {
                    // What stands under such a key may be anything, a secret too.
                    file.wrong_hiding(key.span(), value.span(), cause, cure_for_unknown(keys, written));
                }
            }
        }
        Self { file, entries, keys, place, span, mistyped }
    }

    /// Notes a mistake at the table's name.
    pub(super) fn wrong(&self, cause: impl Into<String>, cure: impl Into<String>) {
        self.file.wrong(self.span.clone().unwrap_or_default(), cause, cure);
    }

    /// Whether the key is written, with or without an effect.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether the key is not written, not even with a slip in it.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.has(key) && !self.mistyped.contains(&key)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'t>> {
        debug_assert!(self.keys.has(key), "{key} is no key of {}", self.keys.place);
        self.entries.get(key).map(|value| Item::new(self.file, key, value))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &'static str, cure: &str) -> Option<Item<'t>> {
        let item = self.get(key);
        if item.is_none() && self.lacks(key) {
            let login = self.entries.get("login").and_then(|login| login.get_ref().as_str());
            let login = login.map_or(String::new(), |login| format!(" {}", quoted(login)));
            self.missing(format!("{}{login} has no {key}", self.place), cure);
        }
        item
    }

    /// Notes that something is not in the table.
    pub(super) fn missing(&self, cause: impl Into<String>, cure: impl Into<String>) {
        self.file.missing(self.span.clone(), cause, cure);
    }

    /// Notes at the table's name what is probably not meant.
    pub(super) fn doubtful(&self, cause: impl Into<String>, cure: impl Into<String>) {
        self.file.doubtful(self.span.clone().unwrap_or_default(), cause, cure);
    }

    /// The tables of a `[kind.NAME]`, by name.
    pub(super) fn named(&self, kind: &'static str, keys: &'static Keys) -> Vec<(&'t str, Self)> {
        let Some(item) = self.get(kind) else {
            return Vec::new();
        };
        let Some(names) = item.value.as_table() else {
            item.wrong(format!("{kind} is {}, not a table", item.kind()), format!("write [{kind}.NAME]"));
            return Vec::new();
        };
        let nameless = names.iter().filter(|(_, value)| !value.get_ref().is_table());
        let first = nameless.min_by_key(|(key, _)| key.span().start);
        if let Some((key, value)) = first {
            let cause = format!("{} stands in [{kind}], which needs a name", quoted(key.get_ref()));
            let cure = format!("write [{kind}.NAME] above it, with a NAME of your own");
            self.file.wrong_hiding(key.span(), value.span(), cause, cure);
        }
        // Beside a nameless one, what has the name of a key is none of a table.
        let is_key = |name: &str| first.is_some() && keys.all().any(|key| key == name);
        let mut tables: Vec<_> = names
            .iter()
            .filter(|(name, _)| !is_key(name.get_ref()))
            .filter_map(|(name, value)| {
                let (name, entries) = (name.get_ref().as_ref(), value.get_ref().as_table()?);
                let place = Place::Named(kind, name);
                Some((name, Self::open(self.file, entries, keys, place, Some(value.span()))))
            })
            .collect();
        tables.sort_by_key(|(_, table)| table.span.as_ref().map(|span| span.start));
        tables
    }

    /// Whether something stands in a `[kind]` that has no name.
    pub(super) fn has_nameless(&self, kind: &str) -> bool {
        let names = self.entries.get(kind).and_then(|names| names.get_ref().as_table());
        names.is_some_and(|names| names.values().any(|value| !value.get_ref().is_table()))
    }

    /// The tables of a `[[kind]]`, in the order of the file.
    pub(super) fn each(
        &self,
        kind: &'static str,
        keys: &'static Keys,
    ) -> impl Iterator<Item = Self> + use<'t> {
        let file = self.file;
        let item = self.get(kind);
        let items = item.as_ref().and_then(|item| item.value.as_array()).map(|array| array.iter());
        if let (Some(item), None) = (&item, &items) {
            let cause = format!("{kind} is {}, and there may be several", item.kind());
            item.wrong(cause, format!("write [[{kind}]], with two brackets"));
        }
        items.into_iter().flatten().filter_map(move |value| {
            let item = Item::new(file, kind, value);
            let Some(entries) = item.value.as_table() else {
                item.wrong(format!("{kind} has {}, not a table", item.kind()), format!("write [[{kind}]]"));
                return None;
            };
            Some(Self::open(file, entries, keys, Place::Fixed(keys.place), Some(item.span)))
        })
    }
}

/// Says that a key or table has no effect in this version, and what it holds.
fn refuse_later(
    file: &File,
    keys: &Keys,
    place: Place<'_>,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) {
    let name = key.get_ref();
    let cure = "take it out, so that nobody relies on it";
    if value.get_ref().is_table() && keys.place == TOP.place {
        let cause = format!("[{name}] is not available in this version");
        file.wrong(value.span(), cause, cure);
        for key in value.get_ref().as_table().into_iter().flat_map(DeTable::keys) {
            let cause = format!("{} in [{name}] is not available in this version", quoted(key.get_ref()));
            file.wrong(key.span(), cause, cure);
        }
    } else {
        let cause = format!("{} in {place} is not available in this version", quoted(name));
        file.wrong(key.span(), cause, cure);
    }
}

impl<'t> Item<'t> {
    fn new(file: &'t File, key: &'t str, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { file, span: value.span(), key, value: value.get_ref() }
    }

    /// Notes a mistake at the value.
    pub(super) fn wrong(&self, cause: impl Into<String>, cure: impl Into<String>) {
        self.file.wrong(self.span.clone(), cause, cure);
    }

    /// Notes what is probably not meant.
    pub(super) fn doubtful(&self, cause: impl Into<String>, cure: impl Into<String>) {
        self.file.doubtful(self.span.clone(), cause, cure);
    }

    /// The key that it stands under.
    pub(super) fn key(&self) -> &'t str {
        self.key
    }

    /// The kind of value, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    fn not_a(&self, wanted: &str, cure: impl Into<String>) {
        self.wrong(format!("{} is {}, not {wanted}", self.key, self.kind()), cure);
    }

    /// Whether it is a string, whatever it says.
    pub(super) fn is_string(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is a table, whatever is in it.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a list, whatever is in it.
    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Whether it is this string.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.value.as_str() == Some(word)
    }

    /// The string that it is.
    pub(super) fn string(&self) -> Option<&'t str> {
        let string = self.value.as_str();
        if string.is_none() {
            self.not_a("a string", format!("write {} = \"…\"", self.key));
        }
        string
    }

    /// A path, which is meant relative to the file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let written = self.string()?;
        if written.is_empty() {
            self.wrong(format!("{} is empty", self.key), "give a path, absolute or relative to this file");
            return None;
        }
        if written == "~" || written.starts_with("~/") {
            self.wrong(
                "~ is a shell's word for a home folder, and no shell reads this",
                "write the whole path",
            );
            return None;
        }
        Some(self.file.resolve(written))
    }

    /// One word out of several; `later` are those without an effect in this version.
    pub(super) fn word(&self, words: &[&'static str], later: &[&str]) -> Option<&'static str> {
        let written = self.string()?;
        let found = words.iter().find(|word| **word == written);
        if found.is_none() {
            let (key, value) = (self.key, quoted(written));
            let all = words.iter().map(|word| format!("{key} = \"{word}\"")).collect::<Vec<_>>().join(" or ");
            let cure = format!("write {all}");
            if later.contains(&written) {
                self.wrong(format!("{key} = {value} is not available in this version"), cure);
            } else {
                self.wrong(format!("{key} cannot be {value}"), cure);
            }
        }
        found.copied()
    }

    /// A date, perhaps with a time, bare or as a string. Notes no mistake.
    pub(super) fn datetime(&self) -> Option<Datetime> {
        self.value.as_datetime().copied().or_else(|| self.value.as_str()?.parse().ok())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.not_a(
                "true or false",
                format!("write {} = true or {} = false, without quotes", self.key, self.key),
            );
        }
        boolean
    }

    /// A TCP port to connect to.
    pub(super) fn port(&self) -> Option<u16> {
        let Some(integer) = self.value.as_integer() else {
            self.not_a("an integer", format!("write {} = 993 or 587, without quotes", self.key));
            return None;
        };
        let port = u16::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|port| *port > 0);
        if port.is_none() {
            self.wrong(format!("{integer} is no port"), "a port is between 1 and 65535");
        }
        port
    }

    /// A duration such as `"30s"`.
    pub(super) fn duration(&self, bounds: Range<Duration>) -> Option<Duration> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let bounds = millis(bounds.start)..millis(bounds.end);
        self.quantity("a duration", "\"30s\", \"5m\" or \"1h\"", &units, bounds).map(Duration::from_millis)
    }

    /// A size such as `"16KiB"`, in bytes.
    pub(super) fn size(&self, bounds: Range<u64>) -> Option<usize> {
        let units = [("KiB", 1024), ("MiB", 1024 * 1024), ("B", 1)];
        let size = self.quantity("a size", "\"512B\", \"16KiB\" or \"1MiB\"", &units, bounds)?;
        usize::try_from(size).ok()
    }

    /// A number of things, between the bounds, both included.
    pub(super) fn count(&self, bounds: Range<u64>) -> Option<usize> {
        let Some(integer) = self.value.as_integer() else {
            self.not_a("an integer", format!("write {} = {}, without quotes", self.key, bounds.start));
            return None;
        };
        let count = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let count = count.filter(|count| (bounds.start..=bounds.end).contains(count));
        if count.is_none() {
            let cause = format!("{integer} is out of range for {}", self.key);
            self.wrong(cause, format!("between {} and {}", bounds.start, bounds.end));
        }
        count.and_then(|count| usize::try_from(count).ok())
    }

    /// A number with a unit, between the bounds, both included.
    fn quantity(&self, kind: &str, examples: &str, units: &[(&str, u64)], bounds: Range<u64>) -> Option<u64> {
        let Some(written) = self.value.as_str() else {
            self.not_a(kind, format!("write it with its unit, such as {examples}"));
            return None;
        };
        let digits = written.len() - written.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let (number, unit) = written.split_at(digits);
        let unit = units.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, unit)| unit);
        let (Ok(number), Some(unit)) = (number.parse::<u64>(), unit) else {
            self.wrong(
                format!("{} is no {}", quoted(written), kind.trim_start_matches("a ")),
                format!("write {examples}"),
            );
            return None;
        };
        let quantity = number.saturating_mul(*unit);
        if quantity < bounds.start || quantity > bounds.end {
            let in_units = |quantity: u64| {
                let fitting = units.iter().filter(|(_, unit)| quantity.is_multiple_of(*unit));
                let (name, unit) = fitting.max_by_key(|(_, unit)| *unit).unwrap_or(&units[0]);
                format!("\"{}{name}\"", quantity / unit)
            };
            let cause = format!("{} is out of range for {}", quoted(written), self.key);
            self.wrong(cause, format!("between {} and {}", in_units(bounds.start), in_units(bounds.end)));
            return None;
        }
        Some(quantity)
    }

    /// The items of a list that may not be empty.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Some(array) = self.value.as_array() else {
            self.not_a("a list", format!("write {} = [\"…\"]", self.key));
            return None;
        };
        if array.is_empty() {
            self.wrong(format!("{} is an empty list", self.key), "put something in it, or leave it out");
            return None;
        }
        Some(array.iter().map(|value| Self::new(self.file, self.key, value)).collect())
    }

    /// The items of a list, or the one value that stands in its place.
    pub(super) fn one_or_more(&self) -> Option<Vec<Self>> {
        if self.value.is_array() { self.list() } else { Some(vec![self.clone()]) }
    }

    /// The table that it is.
    pub(super) fn table(&self, keys: &'static Keys) -> Option<Table<'t>> {
        let Some(entries) = self.value.as_table() else {
            self.not_a("a table", format!("write {} = {{ {} = … }}", self.key, keys.known[0].name));
            return None;
        };
        let is_table_of_its_own = keys.place.starts_with('[');
        let place = if is_table_of_its_own { Place::Fixed(keys.place) } else { Place::Under(self.key) };
        Some(Table::open(self.file, entries, keys, place, Some(self.span.clone())))
    }

    /// A string in which every `${NAME}` stands for an environment variable.
    pub(super) fn substituted(&self, environment: &Environment<'_>) -> Option<String> {
        let written = self.string()?;
        let (mut result, mut rest) = (String::new(), written);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_variable_name(name)) else {
                self.wrong("${ without the name of an environment variable and }", "write \"${NAME}\"");
                return None;
            };
            let value = environment(name).and_then(|value| value.into_string().ok());
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                let cause = format!("environment variable {name} is not set");
                self.wrong(cause, "set it where footbridge is started, or write the value here");
                return None;
            };
            result.push_str(before);
            result.push_str(&value);
            rest = after;
        }
        result.push_str(rest);
        Some(result)
    }
}
