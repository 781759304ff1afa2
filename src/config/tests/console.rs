//! `[console]` and `[store]`.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::{config::CertificateFiles, secret::Source};

fn console(lines: &str) -> String {
    with(MAIN, "[limits]", &format!("[console]\n{lines}\n[limits]"))
}

const IMPLICIT: &str = "bind = \"127.0.0.1:8025\"\ntls = \"implicit\"";

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
    assert_eq!(page(IMPLICIT).unwrap(), "https://localhost:8025");
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

/// Puts certificates with their keys beside the configuration, `ended` one that has ended, and another key.
fn certificates(folder: &Path) {
    for (name, year) in [("all", 2030), ("own", 2030), ("ended", 2026)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 5, 31);
        let certificate = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.join(name).with_extension("pem"), certificate).unwrap();
        std::fs::write(folder.join(name).with_extension("key"), key.serialize_pem()).unwrap();
    }
}

#[test]
fn a_console_that_speaks_https_shows_its_own_certificate_or_that_of_all_or_the_bridges() {
    let files = |lines: &str, tls: &str| {
        let main = with(&console(lines), "[limits]", &format!("{tls}\n[limits]"));
        let (loaded, printed) = load_prepared(&main, MAPPINGS, certificates);
        let console = loaded.unwrap_or_else(|_| panic!("{printed}")).config.console.unwrap();
        console.tls.map(|tls| tls.files)
    };
    let named = |files: Option<CertificateFiles>| {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|files| (name(&files.certificate), name(&files.key)))
    };
    let all = "[tls]\ncertificate = \"all.pem\"\nkey = \"all.key\"";
    assert_eq!(files("bind = \"127.0.0.1:8025\"", all), None);
    assert_eq!(files("bind = \"127.0.0.1:8025\"\ntls = \"none\"", all), None);
    assert_eq!(files(IMPLICIT, ""), Some(None));
    let pair = |name: &str| Some((format!("{name}.pem"), format!("{name}.key")));
    assert_eq!(named(files(IMPLICIT, all).unwrap()), pair("all"));
    let own = format!("{IMPLICIT}\ncertificate = \"own.pem\"\nkey = \"own.key\"");
    assert_eq!(named(files(&own, all).unwrap()), pair("own"));
}

#[test]
fn what_is_wrong_with_the_tls_of_a_console_is_told_at_its_place() {
    let password = "password = { env = \"LONG_KEY\" }";
    for (lines, expected) in [
        (
            "tls = \"starttls\"",
            "footbridge.toml:14:7: tls = \"starttls\" is for mail: a browser encrypts from the first byte, or not at all",
        ),
        ("tls = \"yes\"", "footbridge.toml:14:7: tls cannot be \"yes\""),
        (
            "certificate = \"own.pem\"\nkey = \"own.key\"",
            "footbridge.toml:14:15: there is a certificate, and the line is not encrypted: tls is \"none\" where it is not written",
        ),
        (
            "tls = \"implicit\"\ncertificate = \"own.pem\"\nkey = \"all.key\"",
            "footbridge.toml:16:7: the private key in all.key does not belong to the certificate in own.pem",
        ),
        (
            "tls = \"implicit\"\ncertificate = \"ended.pem\"\nkey = \"ended.key\"",
            "footbridge.toml:15:15: warning: the certificate has ended on 2026-05-31",
        ),
        (
            "tls = \"implicit\"\npublic_url = \"http://localhost:8025\"",
            "footbridge.toml:15:14: public_url is http, and the console speaks HTTPS: its tls is \"implicit\"",
        ),
    ] {
        let main = console(&format!("bind = \"127.0.0.1:8025\"\n{lines}"));
        assert_eq!(causes(&printed_prepared(&main, MAPPINGS, certificates)), [expected], "{lines}");
    }
    let open = console(&format!("bind = \"0.0.0.0:8025\"\n{password}"));
    assert_eq!(
        causes(&printed(&open, MAPPINGS)),
        [
            "footbridge.toml:13:8: warning: the console's password crosses the network in clear: \"0.0.0.0:8025\" is not loopback and tls is \"none\""
        ]
    );
    for closed in ["tls = \"implicit\"", "public_url = \"https://mail.example.com\""] {
        let main = console(&format!("bind = \"0.0.0.0:8025\"\n{password}\n{closed}"));
        assert_eq!(printed(&main, MAPPINGS), "", "{closed}");
    }
    let without = printed(&console("bind = \"0.0.0.0:8025\"\ntls = \"implicit\""), MAPPINGS);
    assert!(without.contains("open to a network without a password"), "{without}");
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
