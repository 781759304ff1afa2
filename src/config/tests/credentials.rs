//! How apps prove who they are.

use std::sync::OnceLock;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};

use super::*;
use crate::{
    oauth::{AssertionAlgorithm, Certificate, Credential, day},
    secret::Source,
};

const SECRET: &str = "secret = { env = \"CONTOSO_SECRET\" }";

/// A place in the line that [`SECRET`] stands in.
fn at(column: usize) -> String {
    format!("footbridge.toml:19:{column}: ")
}

/// Keys and certificates by the names of their files.
fn files() -> &'static [(&'static str, String)] {
    static FILES: OnceLock<Vec<(&str, String)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let rsa = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let (key, other, ec) = (rsa(), rsa(), KeyPair::generate().unwrap());
        let certificate = |key: &KeyPair, from: (i32, u8, u8), until: (i32, u8, u8)| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "footbridge");
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(until.0, until.1, until.2);
            params.self_signed(key).unwrap().pem()
        };
        let good = certificate(&key, (2026, 1, 1), (2027, 1, 1));
        let google = serde_json::json!({
            "type": "service_account", "client_email": "b@p.iam.gserviceaccount.com", "private_key_id": "1",
            "private_key": key.serialize_pem(), "token_uri": "https://oauth2.googleapis.com/token",
        });
        vec![
            ("both.pem", good.clone() + &key.serialize_pem()),
            ("app.pem", good),
            ("app.key", key.serialize_pem()),
            ("old.pem", certificate(&key, (2025, 1, 1), (2026, 1, 1))),
            ("ending.pem", certificate(&key, (2026, 1, 1), (2026, 6, 30))),
            ("coming.pem", certificate(&key, (2026, 7, 1), (2027, 1, 1))),
            ("other.key", other.serialize_pem()),
            ("ec.pem", certificate(&ec, (2026, 1, 1), (2027, 1, 1))),
            ("ec.key", ec.serialize_pem()),
            ("token", "\n aaa.bbb-_.ccc \n".to_owned()),
            ("no-token", "aaa.bbb ccc.ddd".to_owned()),
            ("google.json", google.to_string()),
            ("client.json", "{\"web\": {}}".to_owned()),
            ("encrypted.key", encrypted(&key)),
            ("password", "opensesame\n".to_owned()),
            ("wrong-password", "hunter2\n".to_owned()),
        ]
    })
}

/// A certificate and its key, by the names of their files.
pub(super) fn pair() -> impl Iterator<Item = &'static (&'static str, String)> {
    files().iter().filter(|(name, _)| ["app.pem", "app.key"].contains(name))
}

/// The key in PKCS #8, encrypted with "opensesame".
fn encrypted(key: &KeyPair) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), key.serialize_pem()).unwrap();
    let output = std::process::Command::new("openssl")
        .args(["pkcs8", "-topk8", "-in", "key", "-passout", "pass:opensesame"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn write_files(folder: &Path) {
    for (name, content) in files() {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
}

/// What loading says where `lines` stand in the place of the secret.
fn says(lines: &str) -> String {
    printed_prepared(&with(MAIN, SECRET, lines), MAPPINGS, write_files)
}

/// Checks the causes, with `lines` in the place of the secret.
#[track_caller]
fn check(lines: &str, expected: &[String]) {
    let printed = says(lines);
    assert_eq!(causes(&printed), expected, "{lines}\n{printed}");
}

/// The credential that `lines` mean, and the day it ends.
fn meant(lines: &str) -> (Credential, Option<String>) {
    let grant = if lines.is_empty() {
        "password"
    } else if lines.contains("service_account") {
        "service_account"
    } else {
        "client_credentials"
    };
    let mappings = MAPPINGS.replace("client_credentials", grant);
    let (loaded, printed) = load_prepared(&with(MAIN, SECRET, lines), &mappings, write_files);
    let app = &loaded.unwrap_or_else(|_| panic!("{printed}")).config.apps[0];
    (app.credential.clone(), app.credential_expires.map(day))
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_kind_of_credential_is_understood() {
    let env = |name: &str| Source::Env(name.to_owned());
    let two = "secret = [{ env = \"CONTOSO_SECRET\" }, { env = \"TENANT\" }]";
    assert_eq!(meant(two).0, Credential::Secrets(vec![env("CONTOSO_SECRET"), env("TENANT")]));
    assert_eq!(meant("secret = \"login-password\""), (Credential::LoginPassword, None));
    assert_eq!(meant(""), (Credential::None, None));
    let federated = meant("federated_token_file = \"token\"").0;
    assert!(matches!(federated, Credential::FederatedToken(path) if name(&path) == "token"));
    let google = meant("service_account = { file = \"google.json\" }").0;
    let Credential::ServiceAccount(Source::File(path)) = google else { panic!("{google:?}") };
    assert_eq!(name(&path), "google.json");
    let (credential, end) = meant("certificate = \"both.pem\"");
    let Credential::Certificate(Certificate { certificate, key, key_password, algorithm }) = credential
    else {
        panic!("{credential:?}")
    };
    assert_eq!((name(&certificate), key, key_password), ("both.pem", None, None));
    assert_eq!((algorithm, end.as_deref()), (AssertionAlgorithm::Ps256, Some("2027-01-01")));
    let lines = "certificate = \"app.pem\"\nkey = \"encrypted.key\"\nkey_password = { file = \"password\" }\nassertion_alg = \"RS256\"";
    let Credential::Certificate(certificate) = meant(lines).0 else { panic!() };
    assert_eq!(certificate.key.as_deref().map(name), Some("encrypted.key"));
    assert_eq!(certificate.algorithm, AssertionAlgorithm::Rs256);
}

#[test]
fn a_certificate_that_cannot_be_used_is_a_mistake_at_its_place() {
    let certificate = |file: &str, key: &str| format!("certificate = \"{file}\"\nkey = \"{key}\"");
    let key_line = "footbridge.toml:20:7: ";
    for (certificate, expected) in [
        (
            certificate("old.pem", "app.key"),
            format!("{}the certificate of CN=footbridge ended on 2026-01-01", at(15)),
        ),
        (
            certificate("coming.pem", "app.key"),
            format!("{}the certificate of CN=footbridge is not valid before 2026-07-01", at(15)),
        ),
        (
            certificate("app.key", "app.key"),
            format!("{}there is no certificate in the file, only PRIVATE KEY", at(15)),
        ),
        (
            certificate("app.pem", "other.key"),
            format!("{key_line}the private key does not belong to the certificate"),
        ),
        (
            certificate("ec.pem", "ec.key"),
            format!("{key_line}the private key is an EC key, where RSA is needed"),
        ),
        (certificate("app.pem", "encrypted.key"), format!("{key_line}the private key is encrypted")),
        (
            "certificate = \"app.pem\"".to_owned(),
            format!("{}there is no private key, only CERTIFICATE", at(15)),
        ),
    ] {
        check(&certificate, &[expected]);
    }
    let wrong =
        "certificate = \"app.pem\"\nkey = \"encrypted.key\"\nkey_password = { file = \"wrong-password\" }";
    check(wrong, &["footbridge.toml:21:16: the password does not open the private key".to_owned()]);
    let missing = says("certificate = \"no.pem\"");
    assert!(missing.starts_with(&format!("{}the file cannot be read: No such file", at(15))), "{missing}");
    check(
        "certificate = \"both.pem\"\nassertion_alg = \"ES256\"",
        &["footbridge.toml:20:17: assertion_alg cannot be \"ES256\"".to_owned()],
    );
}

#[test]
fn a_password_that_a_command_prints_is_not_asked_for() {
    let lines =
        "certificate = \"app.pem\"\nkey = \"encrypted.key\"\nkey_password = { command = [\"false\"] }";
    assert_eq!(meant(lines).1, None);
    let other = "certificate = \"ec.pem\"\nkey = \"ec.key\"\nkey_password = { command = [\"false\"] }";
    check(other, &["footbridge.toml:20:7: the private key is an EC key, where RSA is needed".to_owned()]);
}

#[test]
fn an_app_proves_itself_in_one_way() {
    let both = format!("{SECRET}\ncertificate = \"both.pem\"");
    let cause = "app \"contoso\" has both secret and certificate, and proves itself in one way";
    check(&both, &[format!("footbridge.toml:20:15: {cause}")]);
    for (line, column) in [
        ("key = \"app.key\"", 7),
        ("key_password = { file = \"password\" }", 16),
        ("assertion_alg = \"RS256\"", 17),
    ] {
        let key = line.split(' ').next().unwrap();
        let cause = format!("footbridge.toml:20:{column}: {key} has no effect without certificate");
        check(&format!("{SECRET}\n{line}"), &[cause]);
    }
    check(
        "certifcate = \"app.pem\"\nkey = \"app.key\"",
        &[format!("{}unknown key \"certifcate\" in [app.contoso]", at(1))],
    );
}

#[test]
fn lists_of_secrets_have_one_or_two_places() {
    let one = "{ env = \"CONTOSO_SECRET\" }";
    check("secret = []", &[format!("{}secret is an empty list", at(10))]);
    check(
        &format!("secret = [{one}, {one}, {one}]"),
        &[format!("{}3 secrets are too many: one replaces another", at(10))],
    );
    check("secret = [\"hunter2\"]", &[format!("{}the secret stands in the configuration itself", at(11))]);
    check(
        "secret = [\"login-password\"]",
        &[format!("{}\"login-password\" stands in a list of secrets, where it means nothing", at(11))],
    );
    check(
        &format!("secret = [{one}, {{ env = \"GUID_SECRET\" }}]"),
        &[format!(
            "{}warning: the secret of app \"contoso\" has the form of a GUID, as its id has, not its value",
            at(39)
        )],
    );
}

#[test]
fn tokens_and_service_accounts_are_looked_at() {
    let no_token = "no-token holds no token: three parts of base64url with dots between them are expected";
    check("federated_token_file = \"no-token\"", &[format!("{}{no_token}", at(24))]);
    let missing = says("federated_token_file = \"nowhere\"");
    assert!(missing.starts_with(&format!("{}cannot read nowhere: No such file", at(24))), "{missing}");
    let client = "this is the JSON of an OAuth client, not of a service account's key";
    check("service_account = { file = \"client.json\" }", &[format!("{}{client}", at(19))]);
}

#[test]
fn an_end_within_thirty_days_is_a_warning() {
    let certificate = "certificate = \"ending.pem\"\nkey = \"app.key\"";
    check(
        certificate,
        &[format!("{}warning: the certificate of app \"contoso\" ends on 2026-06-30", at(15))],
    );
    let told = |date: &str| format!("{SECRET}\nsecret_expires = {date}");
    let place = "footbridge.toml:20:18: ";
    for (date, word) in [
        ("2026-06-30", Some("ends on 2026-06-30")),
        ("\"2026-06-30\"", Some("ends on 2026-06-30")),
        ("2026-06-01T12:00:00Z", Some("ended on 2026-06-01")),
        ("2026-06-01T14:00:00+01:00", Some("ends on 2026-06-01")),
        ("2026-07-02", None),
    ] {
        let warning =
            |word| format!("{place}warning: the secret of app \"contoso\" {word}, as secret_expires says");
        check(&told(date), &word.into_iter().map(warning).collect::<Vec<_>>());
    }
    assert_eq!(meant(&told("2027-04-05")).1.as_deref(), Some("2027-04-05"));
    for date in ["\"soon\"", "12:00:00", "20270405", "\"2027-02-30\"", "1969-12-31"] {
        check(&told(date), &[format!("{place}secret_expires is no date")]);
    }
    check(
        "secret = \"login-password\"\nsecret_expires = 2027-04-05",
        &[format!("{place}warning: secret_expires has no effect: the app has no secret of its own")],
    );
    let both = "certificate = \"both.pem\"\nsecret_expires = 2028-04-05";
    assert_eq!(meant(both).1.as_deref(), Some("2027-01-01"));
}

#[test]
fn no_pasted_key_is_shown() {
    let pem = "\"-----BEGIN PRIVATE KEY-----hunter2\"";
    for line in
        ["certificate", "key", "federated_token_file", "service_account", "key_password", "service_acount"]
    {
        let printed = says(&format!("{line} = {pem}"));
        assert!(!printed.is_empty() && !printed.contains("hunter2"), "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_may_read_is_a_warning() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    let main = with(MAIN, SECRET, "certificate = \"app.pem\"\nkey = \"app.key\"");
    let printed = printed_prepared(&main, MAPPINGS, |folder| {
        write_files(folder);
        std::fs::set_permissions(folder.join("app.key"), Permissions::from_mode(0o644)).unwrap();
    });
    let expected = "footbridge.toml:20:7: warning: everybody on this machine may read app.key";
    assert_eq!(causes(&printed), [expected]);
}
