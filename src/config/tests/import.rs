//! Files of the other program in, ours out.

use std::path::Path;

use super::HASH;
use crate::{
    account::Grant,
    clock::{Clock as _, System},
    config::{
        Loaded,
        import::{Asked, Imported, translate},
        load_with,
    },
    secret::Secret,
};

/// What Python's `cryptography` made of `0.AXoA-refresh` with the password `correct horse` and 1000 rounds.
pub(in crate::config) const SALT: &str = "8PHy8/T19vf4+fr7/P3+/w==";
pub(in crate::config) const TOKEN: &str =
    "gAAAAABrAUd9UwRABx8ONCus44-Fj8oyZJxkrr5u4UXjn-7Y3WkVw2uoFWatYOYqyqtI_CmiabBD0-KJOt3KhB3712D9oEgODw==";

const SERVERS: &str = "[IMAP-1993]
local_address = 127.0.0.1
server_address = outlook.office365.com
server_port = 993

[POP-1995]
local_address = ::1
server_address = outlook.office365.com
server_port = 995

[SMTP-1587]
local_address = localhost
server_address = smtp-mail.outlook.com
server_port = 587
server_starttls = True

[IMAP-2993]
local_address = 127.0.0.1
server_address = imap.gmail.com
server_port = 993
";

const ENTRA: &str = "token_url = https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token
client_id = 22222222-3333-4444-5555-666666666666
";

const DELEGATED: &str = "permission_url = https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize
oauth2_scope = https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access
";

const PKCE: &str =
    "consent is bound by PKCE now; for an authority that refuses it write pkce = \"off\" in [app.NAME]";

fn imported(text: &str) -> Imported {
    let asked = Asked {
        folder: Path::new("/opt/proxy"),
        password: &|login| (login == "ann@contoso.com").then(|| Secret::new("correct horse")),
        hash: &|_| HASH.to_owned(),
    };
    let imported = translate(text, &asked);
    // What is not ASCII a terminal is not shown.
    let notes = imported.notes.iter().map(|note| &note.text);
    assert!(!text.is_ascii() || notes.clone().all(|note| note.is_ascii()), "{:?}", imported.notes);
    imported
}

/// The configuration that an import becomes, which must be without a mistake.
fn loaded(text: &str) -> (Imported, Loaded) {
    let (imported, folder) = (imported(text), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("footbridge.toml", imported.config.as_bytes());
    write("mappings.toml", imported.mappings.as_bytes());
    for (name, secret) in &imported.secrets {
        write(name, secret.expose());
    }
    let loaded = load_with(&folder.path().join("footbridge.toml"), &|_| None, System.now());
    let loaded =
        loaded.unwrap_or_else(|mistakes| panic!("{mistakes}\n{}\n{}", imported.config, imported.mappings));
    (imported, loaded)
}

/// What is said of the lines of a text that hold a word.
fn said<'i>(imported: &'i Imported, text: &str, word: &str) -> Vec<&'i str> {
    let lines: Vec<_> =
        text.lines().enumerate().filter(|(_, line)| line.contains(word)).map(|(at, _)| at + 1).collect();
    imported.notes.iter().filter(|note| lines.contains(&note.line)).map(|note| note.text.as_str()).collect()
}

#[test]
fn every_flow_becomes_an_account_that_check_takes() {
    let key = r#"{"type":"service_account"}"#;
    for (options, grant) in [
        (format!("{ENTRA}{DELEGATED}redirect_uri = http://localhost\n"), Grant::AuthorizationCode),
        (
            format!("{ENTRA}{DELEGATED}redirect_uri = http://localhost:3017/\nclient_secret = a;b#c\n"),
            Grant::AuthorizationCode,
        ),
        (
            format!("{ENTRA}{}oauth2_flow = device\n", DELEGATED.replace("/authorize", "/devicecode")),
            Grant::DeviceCode,
        ),
        (
            format!(
                "{ENTRA}oauth2_flow = client_credentials\noauth2_scope = https://outlook.office365.com/.default\nclient_secret = abc8Q~def\n"
            ),
            Grant::ClientCredentials,
        ),
        (
            format!(
                "{ENTRA}oauth2_flow = password\noauth2_scope = https://outlook.office365.com/IMAP.AccessAsUser.All\n"
            ),
            Grant::Password,
        ),
    ] {
        let text = format!("{SERVERS}[scanner@contoso.com]\n{options}");
        let (imported, loaded) = loaded(&text);
        assert_eq!(loaded.accounts[0].grant, grant, "{}", imported.mappings);
        assert_eq!(loaded.accounts[0].passwords.is_empty(), grant == Grant::Password);
        assert!(!imported.config.contains("abc8Q~def") && !imported.config.contains("a;b#c"));
        assert_eq!(said(&imported, &text, "_url"), [""; 0]);
    }
    let text = format!(
        "{SERVERS}[ann@example.com]\ntoken_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/\noauth2_flow = service_account\nclient_id = key\nclient_secret = {key}\n"
    );
    let imported = imported(&text);
    assert!(
        imported.config.contains("provider = \"google\"")
            && imported.mappings.contains("grant = \"service_account\"")
    );
    assert_eq!(
        (imported.secrets[0].0.as_str(), imported.secrets[0].1.expose()),
        ("google.json", key.as_bytes())
    );
    let in_file = text.replace("client_id = key", "client_id = file").replace(key, "key.json");
    assert!(self::imported(&in_file).config.contains("service_account = { file = \"/opt/proxy/key.json\" }"));
}

#[test]
fn servers_become_listeners_and_lead_where_they_led() {
    let text = format!("{SERVERS}[scanner@contoso.com]\n{ENTRA}{DELEGATED}");
    let (imported, loaded) = loaded(&text);
    let binds: Vec<_> = loaded.listeners().iter().map(|listener| listener.bind.as_str()).collect();
    assert_eq!(binds, ["127.0.0.1:1993", "[::1]:1995", "localhost:1587", "127.0.0.1:2993"]);
    assert!(said(&imported, &text, "[IMAP-2993]")[0].contains("no longer the port's"));
    let upstream = &loaded.config.upstreams[0].1;
    assert_eq!(upstream.smtp.as_ref().unwrap().host, "smtp-mail.outlook.com", "{}", imported.config);
    assert_eq!(upstream.imap.as_ref().unwrap().host, "outlook.office365.com");
    let usual = text.replace("smtp-mail.outlook.com", "smtp.office365.com");
    let usual = self::imported(&usual).config;
    assert!(usual.contains("provider = \"microsoft365\"") && !usual.contains("[provider."), "{usual}");
}

#[test]
fn what_is_reached_from_other_machines_in_clear_is_said() {
    let account = format!("[scanner@contoso.com]\n{ENTRA}{DELEGATED}");
    let unset = format!("{}{account}", SERVERS.replacen("local_address = 127.0.0.1\n", "", 1));
    let (narrowed, loaded) = loaded(&unset);
    assert_eq!(loaded.listeners()[0].bind, "127.0.0.1:1993");
    assert!(said(&narrowed, &unset, "[IMAP-1993]")[0].contains("all interfaces"));
    let open = format!("{}{account}", SERVERS.replacen("127.0.0.1", "0.0.0.0", 1));
    let (open_too, loaded) = self::loaded(&open);
    assert_eq!(loaded.listeners()[0].bind, "0.0.0.0:1993");
    assert!(said(&open_too, &open, "0.0.0.0")[0].contains("in clear"));
    let tls = "local_certificate_path = cert.pem\nlocal_key_path = /etc/key.pem\n";
    let tls =
        imported(&format!("[SMTP-465]\n{tls}\n[SMTP-587]\n{tls}local_starttls = yes\n[IMAP-993]\n{tls}"))
            .config;
    let ways: Vec<_> = tls.lines().filter(|line| line.starts_with("tls = ")).collect();
    assert_eq!(ways, ["tls = \"implicit\"", "tls = \"starttls\"", "tls = \"implicit\""]);
    assert!(tls.contains("certificate = \"/opt/proxy/cert.pem\"\nkey = \"/etc/key.pem\""), "{tls}");
}

#[test]
fn accounts_of_one_registration_share_an_app_and_take_what_their_domain_has() {
    let text = format!(
        "[emailproxy]\nallow_catch_all_accounts = True\nuse_login_password_as_client_credentials_secret = True\n{SERVERS}\
         [@contoso.com]\n{ENTRA}oauth2_flow = client_credentials\noauth2_scope = https://outlook.office365.com/.default\n\
         [Ann@contoso.com]\nlast_activity = 1\n[ann@contoso.com]\n[bob@contoso.com]\n"
    );
    let (imported, loaded) = loaded(&text);
    assert_eq!(loaded.apps().len(), 1, "{}", imported.config);
    assert!(imported.config.contains("secret = \"login-password\""));
    let logins: Vec<_> = imported.mappings.lines().filter(|line| line.starts_with("login")).collect();
    assert_eq!(
        logins,
        ["login = \"*@contoso.com\"", "login = \"Ann@contoso.com\"", "login = \"bob@contoso.com\""]
    );
    assert!(said(&imported, &text, "[ann@contoso.com]")[0].contains("capital"));
    for (flow, why) in [("client_credentials", "every mailbox"), ("authorization_code", "each person")] {
        let text = text
            .replace("use_login_password_as_client_credentials_secret = True\n", "")
            .replace("client_credentials\n", &format!("{flow}\nclient_secret = s\n"));
        let imported = self::imported(&text);
        assert!(said(&imported, &text, "[@contoso.com]")[0].contains(why), "{:?}", imported.notes);
        assert!(imported.mappings.contains("bob@contoso.com") && !imported.mappings.contains('*'));
    }
}

#[test]
fn what_has_no_counterpart_is_named_with_its_line_and_no_secret_is_told() {
    let text = format!(
        "[emailproxy]\ndelete_account_token_on_password_error = False\nencrypt_client_secret_on_first_use = True\n[IMAP-1]\nserver_address = h\nplugins = x\n\
         [odd]\n[@none.example]\n[x@example.com]\nclient_id = a\n[y@contoso.com]\n{ENTRA}{DELEGATED}use_pkce = False\nfuture = 1\nclient_secret = hunter2\n\
         redirect_uri = https://mail.example.com/\nclient_secret_encrypted = gAAA\nrefresh_token = gAAA\nQUJD/DEF+==\n"
    );
    let imported = imported(&text);
    for word in [
        "delete_account",
        "encrypt_client",
        "[IMAP-1]",
        "plugins",
        "[odd]",
        "[@none",
        "[x@",
        "use_pkce",
        "future",
        "client_secret = ",
        "redirect_uri",
        "refresh_token",
        "QUJD",
    ] {
        assert!(!said(&imported, &text, word).is_empty(), "nothing is said of {word}: {:?}", imported.notes);
    }
    let all = format!("{:?}", imported.notes);
    assert!(!all.contains("hunter2") && !all.to_lowercase().contains("qujd"), "{all}");
    assert!(imported.notes.is_sorted_by_key(|note| note.line));
}

/// Files that have every option of the other program, each where it means something or is forgotten easily.
fn with_every_option() -> [String; 7] {
    let tls = "local_certificate_path = cert.pem\nlocal_key_path = key.pem\nlocal_starttls = yes\n";
    let ours = |options: &str| format!("{SERVERS}[ann@contoso.com]\n{options}");
    let narrow = DELEGATED.replace("https://outlook.office.com/SMTP.Send ", "");
    [
        format!(
            "{}starttls = yes\n[POP-2995]\nlocal_address = ::1\nserver_address = h\nserver_port = 1\nserver_starttls = 1\n\
             plugins = {{}}\n[SMTP-2587]\n{tls}[IMAP-3993]\n{tls}[ann@contoso.com]\n{ENTRA}{narrow}",
            SERVERS.replace("server_starttls", "starttls")
        ),
        ours(&format!(
            "{ENTRA}{narrow}redirect_uri = http://localhost:3017/\nredirect_listen_address = http://0.0.0.0:3017\n\
             client_secret = s\nuse_pkce = False\noauth2_resource = r\njwt_certificate_path = c\njwt_key_path = k\n"
        )),
        ours(&format!(
            "{ENTRA}oauth2_flow = client_credentials\njwt_certificate_path = app.pem\njwt_key_path = app.key\n"
        )),
        ours(&format!(
            "{ENTRA}{narrow}oauth2_flow = device\nclient_secret_encrypted = {TOKEN}\nrefresh_token = {TOKEN}\n\
             token_salt = {SALT}\ntoken_iterations = 1000\n"
        )),
        ours(&format!("{ENTRA}oauth2_flow = password\noauth2_scope = a\noauth2_resource = r\n")),
        ours(
            "token_url = https://oauth2.googleapis.com/token\noauth2_scope = a\noauth2_flow = service_account\nclient_id = file\nclient_secret = k\n",
        ),
        format!(
            "[emailproxy]\nallow_catch_all_accounts = 1\nuse_login_password_as_client_credentials_secret = 1\n\
             delete_account_token_on_password_error = 1\nencrypt_client_secret_on_first_use = 1\n{SERVERS}\
             [@contoso.com]\n{ENTRA}oauth2_flow = client_credentials\n"
        ),
    ]
}

/// All that an import says and makes.
fn outcome(text: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    let Imported { config, mappings, secrets, refresh_tokens, notes, .. } = imported(text);
    let said: Vec<_> = notes.into_iter().map(|note| (note.option, note.text)).collect();
    (config, mappings, secrets, refresh_tokens, said)
}

#[test]
fn no_option_vanishes_without_a_trace_or_a_word() {
    for (file, text) in with_every_option().iter().enumerate() {
        let (all, lines) = (outcome(text), text.lines().collect::<Vec<_>>());
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(" = ")) {
            // What servers say is the first file's.
            if file > 0 && SERVERS.contains(line) {
                continue;
            }
            let without = [&lines[..at], &lines[at + 1..]].concat().join("\n");
            assert!(outcome(&without) != all, "{line} is the same as nothing in\n{text}\n{all:#?}");
        }
    }
}

#[test]
fn a_server_that_no_account_goes_with_is_named() {
    let google = "token_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/\n";
    let text = format!("{SERVERS}[ann@gmail.com]\n{google}client_id = x\noauth2_flow = password\n");
    let imported = imported(&text);
    for (section, host) in
        [("[IMAP-1993]", "outlook.office365.com"), ("[SMTP-1587]", "smtp-mail.outlook.com")]
    {
        assert_eq!(
            said(&imported, &text, section),
            [format!("no account goes with {host}: its host is left out")]
        );
    }
    let led = said(&imported, &text, "[IMAP-2993]");
    assert!(led.iter().all(|text| !text.contains("no account")), "{led:?}");
}

#[test]
fn what_the_example_of_the_other_program_leaves_to_be_written_is_named_and_its_headings_are_not() {
    let text = format!(
        "[Server setup]\ndocumentation = a\n\tb\n{SERVERS}[Account setup]\nwarning = c\n[ann@contoso.com]\n{DELEGATED}\
         token_url = https://login.microsoftonline.com/*** your tenant id here ***/oauth2/v2.0/token\n\
         client_id = *** your client id here ***\nclient_secret = *** your client secret here ***\n"
    );
    let imported = imported(&text);
    for word in ["token_url", "client_id", "client_secret"] {
        assert_eq!(said(&imported, &text, word), ["it is the example's: write your own"], "{word}");
    }
    assert_eq!([said(&imported, &text, " setup]"), said(&imported, &text, "[ann@")].concat(), [PKCE]);
    assert!(
        imported.secrets.is_empty()
            && imported.config.contains("secret = { file = \"microsoft365.secret\" }")
    );
}

#[test]
fn what_is_encrypted_is_opened_by_the_password_of_its_login() {
    let cached = format!(
        "token_salt = {SALT}\ntoken_iterations = 1000\nrefresh_token = {TOKEN}\nclient_secret_encrypted = {TOKEN}\n"
    );
    let text = format!("{SERVERS}[ann@contoso.com]\n{ENTRA}{DELEGATED}{cached}");
    let (imported, _) = loaded(&text);
    assert_eq!(imported.refresh_tokens, [("ann@contoso.com".to_owned(), Secret::new("0.AXoA-refresh"))]);
    assert_eq!(imported.secrets, [("contoso.secret".to_owned(), Secret::new("0.AXoA-refresh"))]);
    let other = self::imported(&text.replace("[ann@", "[bob@"));
    assert!(other.refresh_tokens.is_empty() && other.secrets.is_empty());
    assert_eq!(other.notes.iter().filter(|note| note.text.contains("--password-stdin")).count(), 2);
}

#[test]
fn a_provider_that_is_not_known_is_described() {
    let text = "[IMAP-1993]\nlocal_address = 127.0.0.1\nserver_address = imap.example.net\nserver_port = 993\n[ann@example.net]\n\
                token_url = https://login.example.net/token\npermission_url = https://login.example.net/authorize\n\
                oauth2_scope = mail openid\nclient_id = id\n";
    let (imported, loaded) = loaded(text);
    assert!(imported.config.contains("[provider.example-net]\ntoken_url"), "{}", imported.config);
    assert_eq!(loaded.config.upstreams[0].1.imap.as_ref().unwrap().host, "imap.example.net");
    assert_eq!(loaded.apps()[0].delegated_scopes.values().next().unwrap(), &["mail"]);
}

#[test]
fn a_certificate_is_named_where_it_is() {
    let text = format!(
        "[ann@contoso.com]\n{ENTRA}oauth2_flow = client_credentials\njwt_certificate_path = app.pem\njwt_key_path = /etc/app.key\n"
    );
    let imported = imported(&text);
    assert!(
        imported.config.contains("certificate = \"/opt/proxy/app.pem\"\nkey = \"/etc/app.key\""),
        "{}",
        imported.config
    );
    assert!(said(&imported, &text, "jwt_certificate")[0].contains("RS256"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_files_are_read_without_panic(text in "([a-z@=:\\[\\];# \n\t.{}/-]|IMAP-1|token_url|client_id){0,80}") {
        imported(&text);
    }
}
