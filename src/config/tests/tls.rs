//! `[tls]` and the TLS of listeners.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::{
    config::{CertificateFiles, ListenerTls, OwnCertificate, TlsStart},
    net::self_signed::KeyType,
};

const IMAP: &str = "bind = \"127.0.0.1:1143\"";

/// Puts a certificate with its key, another key and an empty file beside the configuration.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("a.pem", certificate.pem());
    write("a.key", key.serialize_pem());
    write("both.pem", key.serialize_pem() + &certificate.pem());
    write("other.key", KeyPair::generate().unwrap().serialize_pem());
    write("empty", "\n".to_owned());
}

fn says(listener: &str, tls: &str) -> String {
    let main = with(MAIN, IMAP, &format!("{IMAP}\n{listener}"));
    printed_prepared(&with(&main, "[limits]", &format!("{tls}\n[limits]")), MAPPINGS, certificates)
}

fn listener_of(main: &str) -> Option<ListenerTls> {
    let (loaded, printed) = load_prepared(main, MAPPINGS, certificates);
    loaded.unwrap_or_else(|_| panic!("{printed}")).listeners()[0].tls.clone()
}

#[test]
fn tls_is_required_off_loopback_and_offered_on_it() {
    for (listener, expected) in [
        ("bind = \"127.0.0.1:1143\"", None),
        ("bind = \"127.0.0.1:1143\"\ntls = \"none\"\nrequire_tls = false", None),
        ("bind = \"127.0.0.1:1143\"\ntls = \"starttls\"", Some(TlsStart::StartTls { required: false })),
        ("bind = \"0.0.0.0:1143\"\ntls = \"starttls\"", Some(TlsStart::StartTls { required: true })),
        (
            "bind = \"[::1]:1143\"\ntls = \"starttls\"\nrequire_tls = true",
            Some(TlsStart::StartTls { required: true }),
        ),
        (
            "bind = \"0.0.0.0:1143\"\ntls = \"starttls\"\nrequire_tls = false\nallow_plaintext = true",
            Some(TlsStart::StartTls { required: false }),
        ),
        ("bind = \"0.0.0.0:1143\"\ntls = \"implicit\"", Some(TlsStart::Implicit)),
    ] {
        let found = listener_of(&with(MAIN, IMAP, listener));
        assert_eq!(found.map(|tls| tls.start), expected, "{listener}");
    }
}

#[test]
fn a_certificate_of_a_listener_stands_above_that_of_all() {
    let main = with(MAIN, IMAP, &format!("{IMAP}\ntls = \"implicit\""));
    let all = with(&main, "[limits]", "[tls]\ncertificate = \"both.pem\"\n[limits]");
    let own = format!("{IMAP}\ncertificate = \"a.pem\"\nkey = \"a.key\"");
    let one = with(&all, IMAP, &own);
    let names = |main: &str| {
        let CertificateFiles { certificate, key } = listener_of(main)?.files?;
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        Some((name(&certificate), name(&key)))
    };
    assert_eq!(names(&main), None);
    assert_eq!(names(&all), Some(("both.pem".to_owned(), "both.pem".to_owned())));
    assert_eq!(names(&one), Some(("a.pem".to_owned(), "a.key".to_owned())));
}

#[test]
fn the_bridges_own_certificate_is_of_the_kind_and_for_the_names_that_are_written() {
    let tls = "[tls]\nkey_type = \"rsa-2048\"\nnames = [\"bridge.example.com\", \"10.1.2.3\"]\n[limits]";
    let own = loaded(&with(MAIN, "[limits]", tls), MAPPINGS).config.own_certificate;
    let names = ["bridge.example.com", "10.1.2.3"].map(str::to_owned).to_vec();
    assert_eq!(own, OwnCertificate { key_type: KeyType::Rsa2048, names });
}

#[test]
fn what_is_wrong_with_tls_is_told_at_its_place() {
    let implicit = "tls = \"implicit\"\n";
    for (listener, tls, expected) in [
        ("tls = \"start\"", "", "footbridge.toml:7:7: tls cannot be \"start\""),
        (
            "require_tls = true",
            "",
            "footbridge.toml:7:15: require_tls = true would let nobody in where tls is \"none\"",
        ),
        (
            "tls = \"implicit\"\nrequire_tls = false",
            "",
            "footbridge.toml:8:15: require_tls = false has no meaning where tls is \"implicit\": the line is always encrypted",
        ),
        (
            "certificate = \"a.pem\"\nkey = \"a.key\"",
            "",
            "footbridge.toml:7:15: there is a certificate, and the line is not encrypted: tls is \"none\" where it is not written",
        ),
        (
            &format!("{implicit}key = \"a.key\""),
            "",
            "footbridge.toml:8:7: there is a key, and no certificate that it belongs to",
        ),
        (
            &format!("{implicit}certificate = \"a.pem\""),
            "",
            "footbridge.toml:8:15: a.pem holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            &format!("{implicit}certificate = \"a.pem\"\nkey = \"other.key\""),
            "",
            "footbridge.toml:9:7: the private key in other.key does not belong to the certificate in a.pem",
        ),
        (implicit, "[tls]\ncertificate = \"none.pem\"", "none.pem: No such file"),
        (implicit, "[tls]\ncertificate = \"empty\"", "file empty is empty"),
        (implicit, "[tls]\nkey_type = \"rsa\"", "key_type cannot be \"rsa\""),
        (implicit, "[tls]\nnames = [\"a b\"]", "\"a b\" is no host name and no address"),
        (implicit, "[tls]\nname = [\"a\"]", "unknown key \"name\" in [tls]"),
        (
            implicit,
            "[tls]\ncertificate = \"both.pem\"\nkey_type = \"rsa-2048\"",
            "key_type is for the certificate that the bridge makes, and one is given",
        ),
    ] {
        let printed = says(listener, tls);
        let causes = causes(&printed);
        assert!(causes.len() == 1 && causes[0].contains(expected), "{listener} {tls}\n{printed}");
    }
}

#[test]
fn a_login_in_clear_off_loopback_is_refused_with_starttls_too() {
    let main = with(MAIN, IMAP, "bind = \"0.0.0.0:1143\"\ntls = \"starttls\"\nrequire_tls = false");
    let expected = "footbridge.toml:6:8: passwords would cross the network in clear: \"0.0.0.0:1143\" is not loopback and require_tls is false";
    assert_eq!(causes(&printed(&main, MAPPINGS)), [expected]);
}

#[test]
fn a_certificate_that_programs_will_refuse_is_a_warning() {
    for ((year, month, day), expected) in [
        ((2026, 5, 31), "footbridge.toml:8:15: warning: the certificate has ended on 2026-05-31"),
        ((2026, 6, 30), "footbridge.toml:8:15: warning: the certificate ends on 2026-06-30"),
        ((2026, 8, 1), ""),
    ] {
        let main = with(MAIN, IMAP, &format!("{IMAP}\ntls = \"implicit\"\ncertificate = \"both.pem\""));
        let printed = printed_prepared(&main, MAPPINGS, |folder| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let both = key.serialize_pem() + &params.self_signed(&key).unwrap().pem();
            std::fs::write(folder.join("both.pem"), both).unwrap();
        });
        assert_eq!(causes(&printed).concat(), expected);
    }
}
