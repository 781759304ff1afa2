//! What an editor is told agrees with what is read.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::*;
use crate::config::{
    Described, json_schema,
    schema::{self, ALL},
};

static CONFIG: LazyLock<Validator> = LazyLock::new(|| validator(Described::Config));
static MAPPINGS_FILE: LazyLock<Validator> = LazyLock::new(|| validator(Described::Mappings));

fn validator(file: Described) -> Validator {
    let schema = json_schema(file);
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A file as an editor sees it: dates are strings.
fn as_json(written: &toml::Value) -> Value {
    match written {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.iter().map(as_json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect(),
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_) => serde_json::to_value(written).unwrap(),
    }
}

/// What the schema finds wrong in a file.
fn complaints(validator: &Validator, text: &str) -> Vec<String> {
    let json = as_json(&toml::Value::Table(text.parse().unwrap()));
    validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Checks that a configuration that can be read is one for the schema too: so it is with every
/// configuration of these tests.
pub(super) fn assert_takes(folder: &Path) {
    for (validator, file) in [(&CONFIG, "footbridge.toml"), (&MAPPINGS_FILE, "mappings.toml")] {
        // Where the mappings are in another file, this one is none of them.
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        if !text.is_empty() {
            assert_eq!(complaints(validator, &text), [""; 0], "{file}:\n{text}");
        }
    }
}

/// The description of a table in the schema.
fn described<'s>(schema: &'s Value, keys: &schema::Keys) -> Option<&'s Value> {
    let tables = schema["$defs"].as_object().unwrap().values().chain([schema]);
    let mut same = tables.filter(|table| {
        let properties = table["properties"].as_object().unwrap();
        properties.len() == keys.known.len() && keys.names().all(|key| properties.contains_key(key))
    });
    same.next()
}

#[test]
fn every_key_that_has_an_effect_is_described_and_no_other() {
    let schemas = [json_schema(Described::Config), json_schema(Described::Mappings)];
    for keys in ALL {
        let Some(table) = schemas.iter().find_map(|schema| described(schema, keys)) else {
            panic!("{} is in no schema", keys.place);
        };
        assert_eq!(table["additionalProperties"], false, "{}", keys.place);
        for key in keys.names() {
            let about = table["properties"][key]["description"].as_str().unwrap();
            assert!(about.ends_with('.') && about.len() > 10, "{key} of {}: {about}", keys.place);
        }
    }
}

#[test]
fn the_files_that_people_start_from_are_without_a_mistake_for_an_editor() {
    let mut seen = 0;
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let examples = std::fs::read_dir(config.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let files = examples.flat_map(|folder| [folder.join("footbridge.toml"), folder.join("mappings.toml")]);
    let own = ["footbridge.example.toml", "footbridge.minimal.toml", "mappings.example.toml"];
    for file in files.chain(own.map(|name| config.join(name))) {
        let is_mappings = file.file_name().unwrap().to_str().unwrap().starts_with("mappings");
        let text = std::fs::read_to_string(&file).unwrap();
        let validator = if is_mappings { &MAPPINGS_FILE } else { &CONFIG };
        assert_eq!(complaints(validator, &text), [""; 0], "{}", file.display());
        seen += 1;
    }
    assert_eq!(seen, 19);
}

#[test]
fn typical_mistakes_are_seen_by_an_editor_and_by_check() {
    for (part, other) in [
        ("tenant = ", "tennant = "),
        ("protocol = \"imap\"", "protocol = \"imaps\""),
        ("protocol = \"imap\"\n", ""),
        ("bind = \"127.0.0.1:1143\"\n", ""),
        ("bind = \"127.0.0.1:1143\"", "bind = \"127.0.0.1\""),
        ("provider = \"lab\"\n", ""),
        ("client_id = \"22222222-3333-4444-5555-666666666666\"\n", ""),
        ("secret = { env = \"CONTOSO_SECRET\" }", "secret = \"abc8Q~def\""),
        ("secret = { env = \"CONTOSO_SECRET\" }", "secret = { env = \"A\", file = \"b\" }"),
        ("secret = { env = \"CONTOSO_SECRET\" }", "secret = { env = \"$CONTOSO_SECRET\" }"),
        ("line = \"16KiB\"", "line = 16384"),
        ("line = \"16KiB\"", "line = \"16kB\""),
        ("line = \"16KiB\"", "send_wait = \"30s\""),
        ("line = \"16KiB\"", "max_connections = 0"),
        ("port = 10993", "port = \"10993\""),
        ("port = 10993", "port = 100000"),
        ("tls = \"implicit\"", "tls = \"none\""),
        ("[[listener]]", "[listener]"),
        ("[limits]", "[notify]\n[limits]"),
        ("scopes = { application = [\"mail\"] }", "scopes = [\"mail\"]"),
    ] {
        let main = MAIN.replacen(part, other, if part == "[[listener]]" { 2 } else { 1 });
        assert_ne!(main, MAIN, "{part}");
        assert_ne!(printed(&main, MAPPINGS), "", "check takes {other}");
        if let Ok(table) = main.parse::<toml::Table>() {
            let json = as_json(&toml::Value::Table(table));
            assert!(!CONFIG.is_valid(&json), "an editor takes {other}");
        }
    }
    for (part, other) in [
        ("login = ", "user = "),
        ("app = \"contoso\"\n", ""),
        ("grant = \"client_credentials\"\n", ""),
        ("grant = \"client_credentials\"", "grant = \"client-credentials\""),
        (HASH, "secret"),
        ("login = \"scanner@contoso.com\"", "login = []"),
        ("[[account]]", "[account]"),
    ] {
        let mappings = with(MAPPINGS, part, other);
        assert_ne!(printed(MAIN, &mappings), "", "check takes {other}");
        assert_ne!(complaints(&MAPPINGS_FILE, &mappings), [""; 0], "an editor takes {other}");
    }
}
