//! YAML, as Debian's python3-yaml reads it.

use std::{path::Path, process::Command};

use serde_json::Value;

/// The documents of a file.
///
/// # Panics
/// Where it is no YAML, with what is wrong.
pub fn documents(path: &Path) -> Vec<Value> {
    const READ: &str =
        "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
    let read = Command::new("/usr/bin/python3").args(["-c", READ]).arg(path).output().unwrap();
    assert!(read.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// The texts of a list.
///
/// # Panics
/// Where it is no list of texts.
pub fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
