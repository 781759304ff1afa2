//! `[console]` and `[store]`.

use super::*;
use crate::secret::Source;

fn console(lines: &str) -> String {
    with(MAIN, "[limits]", &format!("[console]\n{lines}\n[limits]"))
}

#[test]
fn a_console_is_there_where_it_is_written() {
    assert_eq!(loaded(MAIN, MAPPINGS).config.console, None);
    let main = console(
        "bind = \"0.0.0.0:8025\"\npublic_url = \"https://mail.example.com\"\npassword = { env = \"LONG_KEY\" }",
    );
    let console = loaded(&main, MAPPINGS).config.console.unwrap();
    assert_eq!(console.bind, "0.0.0.0:8025");
    assert_eq!(console.public_url.unwrap().as_str(), "https://mail.example.com/");
    assert_eq!(console.password, Some(Source::Env("LONG_KEY".to_owned())));
}

#[test]
fn people_are_sent_to_the_console_where_its_address_is_known() {
    let page = |lines: &str| loaded(&console(lines), MAPPINGS).config.apps.remove(0).consent.page;
    assert_eq!(page("bind = \"127.0.0.1:8025\"").unwrap(), "http://localhost:8025");
    let public = "bind = \"127.0.0.1:0\"\npublic_url = \"https://mail.example.com\"";
    assert_eq!(page(public).unwrap(), "https://mail.example.com");
    let elsewhere = "bind = \"192.0.2.7:8025\"\npassword = { env = \"LONG_KEY\" }";
    for unknown in ["bind = \"127.0.0.1:0\"", elsewhere] {
        assert_eq!(page(unknown), None, "{unknown}");
    }
}

#[test]
fn a_console_is_checked_by_every_key() {
    for (lines, expected) in [
        ("", "footbridge.toml:12:1: [console] has no bind"),
        ("bind = \"8025\"", "footbridge.toml:13:8: \"8025\" has no port"),
        (
            "bind = \"127.0.0.1:1143\"",
            "footbridge.toml:13:8: the port is taken by the listener at footbridge.toml:6",
        ),
        (
            "bind = \"0.0.0.0:8025\"",
            "footbridge.toml:13:8: the console would be open to a network without a password: \"0.0.0.0:8025\" is not loopback",
        ),
        (
            "bind = \"127.0.0.1:8025\"\npassword = \"hunter2\"",
            "footbridge.toml:14:12: the password of the console stands in the configuration itself",
        ),
        (
            "bind = \"127.0.0.1:8025\"\npublic_url = \"localhost:8025\"",
            "footbridge.toml:14:14: public_url is no URL of a host",
        ),
        (
            "bind = \"127.0.0.1:8025\"\npublic_url = \"https://example.com/bridge\"",
            "footbridge.toml:14:14: public_url has a path, and the console is at the root of its host",
        ),
        (
            "bind = \"127.0.0.1:8025\"\npublic_url = \"ftp://example.com\"",
            "footbridge.toml:14:14: public_url is neither https nor http: \"ftp://example.com\"",
        ),
        (
            "bind = \"127.0.0.1:8025\"\npublic_url = \"http://localhost:0\"",
            "footbridge.toml:14:14: port 0 of public_url is no port",
        ),
    ] {
        let printed = printed(&console(lines), MAPPINGS);
        assert_eq!(causes(&printed), [expected]);
        assert!(!printed.contains("hunter2"), "{printed}");
    }
    let warned =
        printed(&console("bind = \"127.0.0.1:8025\"\npublic_url = \"http://nas.local:8025\""), MAPPINGS);
    assert!(warned.starts_with("footbridge.toml:14:14: warning: public_url is not https"), "{warned}");
    let hidden =
        printed(&console("bind = \"127.0.0.1:8025\"\npublic_url = \"http://u:hunter2@localhost\""), MAPPINGS);
    assert!(hidden.contains("has a user or a password in it") && !hidden.contains("hunter2"), "{hidden}");
}

#[test]
fn sealing_keys_are_one_or_several_of_sixteen_bytes() {
    let store = |lines: &str| with(MAIN, "[limits]", &format!("[store]\n{lines}\n[limits]"));
    assert_eq!(loaded(&store("kind = \"embedded\""), MAPPINGS).config.store_keys, []);
    let key = Source::Env("LONG_KEY".to_owned());
    let one = loaded(&store("key = { env = \"LONG_KEY\" }"), MAPPINGS).config.store_keys;
    assert_eq!(one, std::slice::from_ref(&key));
    let two = store("key = [{ env = \"LONG_KEY\" }, { env = \"CONTOSO_SECRET\" }]");
    assert_eq!(loaded(&two, MAPPINGS).config.store_keys, [key, Source::Env("CONTOSO_SECRET".to_owned())]);
    for (lines, expected) in [
        (
            "key = { env = \"SHORT_KEY\" }",
            "footbridge.toml:13:7: environment variable SHORT_KEY is too short for a sealing key: it has fewer than 16 bytes",
        ),
        ("key = { env = \"NOBODY\" }", "footbridge.toml:13:7: environment variable NOBODY is not set"),
        ("key = \"hunter2\"", "footbridge.toml:13:7: the sealing key stands in the configuration itself"),
        ("key = []", "footbridge.toml:13:7: key is an empty list"),
        ("kind = \"sqlite\"", "footbridge.toml:13:8: kind cannot be \"sqlite\""),
    ] {
        let printed = printed(&store(lines), MAPPINGS);
        assert_eq!(causes(&printed), [expected]);
        assert!(!printed.contains("hunter2"), "{printed}");
    }
    let database = printed(&store("url = \"postgres://u:hunter2@db\""), MAPPINGS);
    assert!(!database.is_empty() && !database.contains("hunter2"), "{database}");
}
