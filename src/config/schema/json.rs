//! The same keys for editors: JSON Schema, draft 2020-12.
//!
//! It says what a table may have and of what kind a value is. What depends on another key, on another file or on
//! the environment is for `footbridge check`.

use serde_json::{Map, Value, json};

use super::{Key, Keys, Kind, MAPPINGS, SECRET, TOP};

/// A file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described {
    /// `footbridge.toml`.
    Config,
    /// The mappings file.
    Mappings,
}

/// The schema of a file: every key that has an effect, and no other.
#[must_use]
pub fn json_schema(file: Described) -> Value {
    let (keys, title) = match file {
        Described::Config => (&TOP, "footbridge.toml"),
        Described::Mappings => (&MAPPINGS, "the mappings file of Footbridge"),
    };
    let mut schema = table(keys);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    let mut within = Vec::new();
    reached(keys, &mut within);
    schema["$defs"] = within.into_iter().map(|keys| (keys.name.to_owned(), table(keys))).collect();
    schema
}

/// The tables that may stand in a table, however deep.
fn reached(keys: &'static Keys, found: &mut Vec<&'static Keys>) {
    for key in keys.known {
        in_kind(&key.kind, found);
    }
}

fn in_kind(kind: &'static Kind, found: &mut Vec<&'static Keys>) {
    match kind {
        Kind::Table(keys) | Kind::Tables(keys) | Kind::Named(keys) => {
            if !found.iter().any(|known| known.name == keys.name) {
                found.push(keys);
                reached(keys, found);
            }
        }
        Kind::List(kind, _) => in_kind(kind, found),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| in_kind(kind, found)),
        Kind::Text
        | Kind::Pattern(_)
        | Kind::Word(_)
        | Kind::Suggested(_)
        | Kind::Boolean
        | Kind::Count(_)
        | Kind::Port
        | Kind::Duration
        | Kind::Size
        | Kind::Date => {}
    }
}

fn table(keys: &Keys) -> Value {
    let properties: Map<_, _> = keys.known.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let needed: Vec<_> = keys.known.iter().filter(|key| key.needed).map(|key| key.name).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !needed.is_empty() {
        table["required"] = json!(needed);
    }
    if keys.name == SECRET.name {
        // It is kept in exactly one place.
        table["minProperties"] = json!(1);
        table["maxProperties"] = json!(1);
    }
    table
}

fn property(key: &Key) -> Value {
    let mut property = value(&key.kind);
    property["description"] = json!(key.about);
    property
}

fn value(kind: &Kind) -> Value {
    let reference = |keys: &Keys| json!({ "$ref": format!("#/$defs/{}", keys.name) });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Kind::Word(words) => json!({ "enum": words() }),
        Kind::Suggested(words) => json!({ "anyOf": [{ "enum": words() }, { "type": "string" }] }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Count(bounds) => json!({ "type": "integer", "minimum": bounds.start, "maximum": bounds.end }),
        Kind::Port => json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX }),
        Kind::Duration => json!({ "type": "string", "pattern": r"^[0-9]+\s*(ms|s|m|h)$" }),
        Kind::Size => json!({ "type": "string", "pattern": r"^[0-9]+\s*(B|KiB|MiB)$" }),
        // Dates of TOML have no counterpart; who converts them writes strings.
        Kind::Date => json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}" }),
        Kind::List(kind, usize::MAX) => json!({ "type": "array", "items": value(kind), "minItems": 1 }),
        Kind::List(kind, most) => {
            json!({ "type": "array", "items": value(kind), "minItems": 1, "maxItems": most })
        }
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(value).collect::<Vec<_>>() }),
        Kind::Table(keys) => reference(keys),
        Kind::Tables(keys) => json!({ "type": "array", "items": reference(keys), "minItems": 1 }),
        Kind::Named(keys) => {
            json!({ "type": "object", "additionalProperties": reference(keys) })
        }
    }
}
