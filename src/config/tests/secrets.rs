//! Where secrets are kept, and that none is printed.

use super::*;
use crate::{account::Account, oauth::Credential, secret::Source};

const SECRET: &str = "{ env = \"CONTOSO_SECRET\" }";

#[test]
fn a_secret_in_the_configuration_itself_is_refused_and_not_shown() {
    let expected = "\
footbridge.toml:19:10: the secret stands in the configuration itself
   19 | secret = …
      |          ^
  cure: keep it elsewhere: secret = { env = \"…\" } or { file = \"…\" }";
    assert_eq!(printed(&with(MAIN, SECRET, "\"hunter2\""), MAPPINGS), expected);
}

#[test]
fn a_secret_is_kept_in_one_place_which_has_it() {
    let at = "footbridge.toml:19:10: ";
    footbridge_says(&[
        (SECRET, "{ }", &[&format!("{at}a secret is kept in exactly one place")]),
        (SECRET, "{ env = \"A\", file = \"b\" }", &[&format!("{at}a secret is kept in exactly one place")]),
        (
            SECRET,
            "{ environment = \"A\" }",
            &[
                &format!("{at}a secret is kept in exactly one place"),
                "footbridge.toml:19:12: unknown key \"environment\" in secret",
            ],
        ),
        (SECRET, "{ env = \"NOBODY\" }", &[&format!("{at}environment variable NOBODY is not set")]),
        (SECRET, "{ env = \"EMPTY\" }", &[&format!("{at}environment variable EMPTY is empty")]),
        (
            SECRET,
            "{ env = \"$CONTOSO_SECRET\" }",
            &["footbridge.toml:19:18: this is not the name of an environment variable"],
        ),
        (
            SECRET,
            "{ credential = \"contoso\" }",
            &[&format!("{at}credential contoso was not handed over: CREDENTIALS_DIRECTORY is not set")],
        ),
        (
            SECRET,
            "{ credential = \"../contoso\" }",
            &["footbridge.toml:19:25: this is not the name of a credential"],
        ),
        (SECRET, "{ command = [] }", &["footbridge.toml:19:22: command is an empty list"]),
        (SECRET, "{ command = [\"\"] }", &[&format!("{at}command is empty")]),
        (SECRET, "{ command = \"vault\" }", &["footbridge.toml:19:22: command is a string, not a list"]),
        (
            SECRET,
            "{ command = [\"vault\", 5] }",
            &["footbridge.toml:19:32: command is an integer, not a string"],
        ),
        (
            SECRET,
            "{ command = [\"/nowhere/vault\"] }",
            &[&format!("{at}command /nowhere/vault is not there")],
        ),
        (SECRET, "{ file = \"\" }", &["footbridge.toml:19:19: file is empty"]),
    ]);
    let printed = printed(&with(MAIN, SECRET, "{ file = \"contoso.secret\" }"), MAPPINGS);
    assert!(printed.starts_with(&format!("{at}cannot read contoso.secret: No such file")), "{printed}");
}

#[test]
fn the_id_of_a_secret_is_not_its_value() {
    let expected = "\
footbridge.toml:19:10: warning: the secret of app \"contoso\" has the form of a GUID, as its id has, not its value
   19 | secret = { env = \"GUID_SECRET\" }
      |          ^^^^^^^^^^^^^^^^^^^^^^^
  cure: copy the column Value in Entra > App registrations > Certificates & secrets; it is shown only once";
    assert_eq!(printed(&with(MAIN, SECRET, "{ env = \"GUID_SECRET\" }"), MAPPINGS), expected);
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_everybody_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;

    let main = with(MAIN, SECRET, "{ file = \"contoso.secret\" }");
    for (mode, warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        let loaded = load_prepared(&main, MAPPINGS, |folder| {
            let path = folder.join("contoso.secret");
            std::fs::write(&path, "abc8Q~def\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        });
        let loaded = loaded.0.unwrap();
        let warnings: Vec<_> = loaded.warnings().iter().map(|warning| warning.cause().to_owned()).collect();
        assert_eq!(warnings.len(), usize::from(warned), "{mode:o}: {warnings:?}");
        assert!(warnings.iter().all(|cause| cause.starts_with("everybody on this machine may read ")));
        assert!(
            matches!(&loaded.config.apps[0].credential, Credential::Secrets(secrets) if matches!(&secrets[..], [Source::File(path)] if path.ends_with("contoso.secret")))
        );
    }
}

#[test]
fn passwords_are_hashes_or_places_and_at_most_five() {
    let password = |written: &str| with(MAPPINGS, &format!("\"{HASH}\""), written);
    let at = "mappings.toml:3:12: ";
    let no_phc = "not an argon2id hash in PHC string form ($argon2id$v=19$m=19456,t=2,p=1$salt$hash)";
    for (written, expected) in [
        ("\"hunter2\"".to_owned(), format!("{at}the password is no usable hash: {no_phc}")),
        (
            format!("\"{}\"", HASH.replace("argon2id", "scrypt")),
            format!(
                "{at}the password is no usable hash: hash scheme scrypt is not supported, only argon2id is"
            ),
        ),
        (
            format!("\"{}\"", HASH.replace("19456", "9999999")),
            format!(
                "{at}the password is no usable hash: hash asks for 9999999 KiB of memory, at most 262144 are allowed"
            ),
        ),
        (
            format!("\"{}\"", HASH.replace("t=2", "t=0")),
            format!("{at}the password is no usable hash: hash has t=0, at least one pass is needed"),
        ),
        (
            "{ env = \"HASHED\" }".to_owned(),
            format!("{at}environment variable HASHED holds a hash, where a plain password is expected"),
        ),
        ("[]".to_owned(), format!("{at}password is an empty list")),
        ("5".to_owned(), format!("{at}password is an integer, not a string")),
        (
            format!("[{}]", format!("\"{HASH}\", ").repeat(6)),
            format!("{at}6 passwords are too many: each costs time at every login"),
        ),
        ("{ env = \"NOBODY\" }".to_owned(), format!("{at}environment variable NOBODY is not set")),
    ] {
        let printed = printed(MAIN, &password(&written));
        assert_eq!(causes(&printed), [expected], "{written}");
        assert!(!printed.contains("hunter2") && !printed.contains("UGU/26b4"), "{printed}");
    }
    let five = password(&format!("[{}]", format!("\"{HASH}\", ").repeat(5)));
    assert_eq!(loaded(MAIN, &five).accounts[0].passwords.len(), 5);
}

#[test]
fn no_mistake_shows_a_secret() {
    let main = |part: &str, other: &str| printed(&with(MAIN, part, other), MAPPINGS);
    let mappings = |part: &str, other: &str| printed(MAIN, &with(MAPPINGS, part, other));
    let password = &format!("password = \"{HASH}\"");
    let printed = [
        main(SECRET, "{ env = \"hunter2!\" }"),
        main(SECRET, "{ command = [\"\", \"hunter2\"] }"),
        main(SECRET, "{ value = \"hunter2\" }"),
        main(SECRET, "[\"hunter2\"]"),
        main(SECRET, "\"\"\"\nhunter2\"\"\""),
        main(SECRET, "\"hunter2"),
        main(SECRET, "hunter2"),
        main("secret = ", "client_secret = \"hunter2\"\nsecret = "),
        main("secret = ", "geheimnis = \"hunter2\"\nsecret = "),
        main("secret = ", "secret = \"hunter2\"\nsecret = "),
        main("https://", "https://u:hunter2@"),
        mappings(password, "password = \"hunter2\""),
        mappings(password, "password = 'hunter2"),
        mappings(password, "password = \"hunter2\\q\""),
        mappings(password, "password = [\"hunter2\", \"hunter2\""),
        mappings(password, "password = [\n\"hunter2\",\nhunter2,\n]"),
        mappings(password, "password = \"\"\"\nhunter2"),
        mappings(password, "pasword = \"hunter2\""),
        mappings(password, "passwort = \"hunter2\""),
        mappings(password, "password \"hunter2\""),
        mappings(password, "password: hunter2"),
        format!(
            "{}\n",
            mappings("[[account]]", "account = [{ login = 5, password = \"hunter2\" }]\n[[acount]]")
        ),
    ];
    for printed in printed {
        assert!(!printed.is_empty() && !printed.contains("hunter2"), "{printed}");
    }
}

async fn hashed(mappings: &str) -> Result<Vec<Account>, String> {
    let loaded = loaded(MAIN, mappings);
    assert_eq!(loaded.accounts[0].passwords.len(), 0);
    let done = loaded.hash_plain_passwords().await;
    done.map(|(config, _)| config.accounts.iter().map(|account| Account::clone(account)).collect())
        .map_err(|mistakes| mistakes.to_string())
}

#[tokio::test]
async fn plain_passwords_are_hashed_in_a_second_step() {
    let password = |written: &str| with(MAPPINGS, &format!("\"{HASH}\""), written);
    let accounts =
        hashed(&password("[{ command = [\"echo\", \"one\"] }, { command = [\"echo\", \"two\"] }]"))
            .await
            .unwrap();
    assert_eq!(accounts[0].passwords.len(), 2);
    assert!(accounts[0].passwords[0].to_string().starts_with("$argon2id$"));
    let mistakes = hashed(&password("{ command = [\"false\", \"hunter2\"] }")).await.unwrap_err();
    assert!(
        mistakes.contains("mappings.toml:3:12: command false failed with exit status: 1\n  cure: "),
        "{mistakes}"
    );
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn loading_runs_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let touch = format!("{{ command = [\"touch\", \"{}\"] }}", trace.display());
    loaded(&with(MAIN, SECRET, &touch), &with(MAPPINGS, &format!("\"{HASH}\""), &touch));
    assert!(!trace.exists());
}
