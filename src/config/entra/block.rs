//! The finished `[app.NAME]`: what stands in the configuration, with what the registration brings.

use toml::Table;

use super::Proof;
use crate::ids::AppName;

/// Keys that say how an app proves itself.
const PROOFS: [&str; 7] = [
    "secret",
    "secret_expires",
    "certificate",
    "key",
    "key_password",
    "assertion_alg",
    "federated_token_file",
];

/// The lines of the table before and after that of the client id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

impl Block {
    /// Takes the table of an app out of the text of `footbridge.toml`. Other keys stay as they are; a proof
    /// stays too where it is of the kind that was made.
    pub(super) fn of(text: &str, name: &AppName, proof: &Proof) -> Self {
        let mut table = written(text, name).unwrap_or_default();
        table.remove("client_id");
        let secret = table.get("secret").cloned();
        if matches!(proof, Proof::Secret) {
            for key in PROOFS {
                table.remove(key);
            }
            table.insert("secret".to_owned(), secret.unwrap_or_else(|| of_environment(name)));
        }
        let mut block = Self { before: vec![header(name)], after: Vec::new() };
        for key in ["provider", "tenant"] {
            block.before.extend(table.remove(key).map(|value| format!("{key} = {value}")));
        }
        block.after = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        block
    }
}

fn written(text: &str, name: &AppName) -> Option<Table> {
    let table: Table = text.parse().ok()?;
    table.get("app")?.as_table()?.get(name.as_str())?.as_table().cloned()
}

fn header(name: &AppName) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match name.as_str() {
        name if name.bytes().all(bare) => format!("[app.{name}]"),
        name => format!("[app.\"{name}\"]"),
    }
}

fn of_environment(name: &AppName) -> toml::Value {
    let letter = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    let variable: String = name.as_str().chars().map(letter).chain("_SECRET".chars()).collect();
    // A name may not begin with a digit.
    let variable = if variable.starts_with(|char: char| char.is_ascii_digit()) {
        format!("APP_{variable}")
    } else {
        variable
    };
    toml::Value::Table(Table::from_iter([("env".to_owned(), toml::Value::String(variable))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [app.contoso]
        client_id = "${CLIENT_ID}"
        redirect_uri = "http://localhost:8025"
        tenant = "${TENANT}"
        provider = "microsoft365"
        key = "app.key"
        certificate = "app.pem"
    "#;

    #[test]
    fn what_is_written_stays_and_the_client_id_has_its_place() {
        let block = Block::of(TEXT, &AppName::new("contoso"), &Proof::None);
        assert_eq!(block.before, ["[app.contoso]", "provider = \"microsoft365\"", "tenant = \"${TENANT}\""]);
        let after =
            ["certificate = \"app.pem\"", "key = \"app.key\"", "redirect_uri = \"http://localhost:8025\""];
        assert_eq!(block.after, after);
    }

    #[test]
    fn a_secret_takes_the_place_of_a_certificate() {
        let block = Block::of(TEXT, &AppName::new("contoso"), &Proof::Secret);
        assert_eq!(
            block.after,
            ["redirect_uri = \"http://localhost:8025\"", "secret = { env = \"CONTOSO_SECRET\" }"]
        );
    }

    #[test]
    fn a_secret_that_is_kept_somewhere_stays_there() {
        let text = "[app.\"a.b\"]\nprovider = \"microsoft365\"\nsecret = { file = \"a.secret\" }\nsecret_expires = 2026-01-01\n";
        let block = Block::of(text, &AppName::new("a.b"), &Proof::Secret);
        assert_eq!(block.before[0], "[app.\"a.b\"]");
        assert_eq!(block.after, ["secret = { file = \"a.secret\" }"]);
    }
}
