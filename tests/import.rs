//! A file of Email OAuth 2.0 Proxy becomes a bridge that its mail programs can log in to.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{fs, num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::{
    cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    hmac,
    iv::FixedLength,
    pbkdf2,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use footbridge::{
    clock::System,
    config,
    ids::ProtocolKind,
    oauth::{Landing, Tokens},
    store::Store,
};
use harness::{
    authority::{APP, Authority, Person, Registration},
    bridge::Bridge,
    browser::Browser,
    certs::{Certs, Identity},
    cli::{Cli, Ended},
    client::Client,
    config::{Config, Keys},
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD},
};

const CARL: &str = "carl@example.com";
const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";
const SALT: [u8; 16] = *b"sixteen of salt.";

/// A world before anybody has a bridge.
struct Home {
    certs: Arc<Certs>,
    authority: Authority,
    exchange: Exchange,
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let exchange = Exchange::start(&certs, &authority);
        authority.register_app(Registration::public(PUBLIC).redirect("http://localhost"));
        authority.add_person(Person::new(CARL).password(PASSWORD));
        for person in [ANN, BOB, CARL] {
            exchange.mailboxes().create(person);
        }
        Self { certs, authority, exchange, folder: tempfile::tempdir().unwrap() }
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("out")
    }

    /// A file with the two servers of this world and accounts.
    fn write(&self, accounts: &str) {
        let port = |protocol, starttls| self.exchange.endpoint(protocol, starttls).0.port();
        let text = format!(
            "[IMAP-1993]\nlocal_address = 127.0.0.1\nserver_address = localhost\nserver_port = {}\n\
             [SMTP-1587]\nlocal_address = 127.0.0.1\nserver_address = localhost\nserver_port = {}\nserver_starttls = True\n{accounts}",
            port("imap", false),
            port("smtp", true)
        );
        fs::write(self.folder.path().join("emailproxy.config"), text).unwrap();
    }

    /// What every account of a client id says of the authority.
    fn urls(&self, client_id: &str) -> String {
        let filled = |url: String| url.replace("{tenant}", APP.0);
        let (token, authorize) = (filled(self.authority.token_url()), filled(self.authority.authorize_url()));
        format!(
            "token_url = {token}\npermission_url = {authorize}\nclient_id = {client_id}\nredirect_uri = http://localhost\n"
        )
    }

    fn import(&self, more: &[&str], input: &str) -> Ended {
        let arguments = ["import", "emailproxy.config", "--out", "out"].iter().chain(more);
        Cli::run_with_input(self.folder.path(), arguments, input)
    }

    /// Starts a bridge on what was imported, on free ports and with this world's certificates.
    fn bridge(&self) -> Bridge {
        let path = self.out().join("footbridge.toml");
        let mut text = fs::read_to_string(&path).unwrap();
        for port in ["1993", "1587"] {
            text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
        }
        let lines = text.lines().flat_map(|line| {
            let ca = line.starts_with("[provider.").then_some("ca_file = \"ca.pem\"");
            std::iter::once(line).chain(ca)
        });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        self.certs.write_ca(&self.out());
        Bridge::start(&self.out())
    }

    /// The refresh token that the other program got for Ann.
    async fn consent(&self) -> String {
        let config =
            Config::empty().delegated_app("people", &self.authority, &self.exchange, Keys::of(PUBLIC));
        let folder =
            config.account_with("people", ANN, Some(PASSWORD), "authorization_code", "").write(&self.certs);
        let loaded = config::load(&folder.path().join("footbridge.toml")).unwrap();
        let (config, _) = loaded.hash_plain_passwords().await.unwrap();
        let store = Arc::new(Store::open(&config.state_dir, &[]).unwrap());
        let tokens = Arc::new(Tokens::new(store, Arc::new(System)));
        tokens.configure(config.apps, &config.accounts, &ProtocolKind::ALL[..2]).await.unwrap();
        let ann = config.accounts.iter().next().unwrap().clone();
        let consenting = tokens.begin_consent(&ann, "http://localhost:1", ()).unwrap();
        let back = Browser::new(&self.certs).leaves_for(consenting.url.as_str()).await;
        let query: Vec<_> = back.query_pairs().into_owned().collect();
        let landing = tokens.redirected(&query).await;
        assert!(matches!(landing, Landing::Ended(Ok(_))), "{landing:?}");
        self.authority.refresh_token_texts(ANN).pop().unwrap()
    }
}

/// Encrypts as the other program does, with few rounds.
fn fernet(password: &str, text: &str) -> String {
    let mut key = [0; 32];
    let rounds = NonZeroU32::new(1000).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &SALT, password.as_bytes(), &mut key);
    let encrypting = UnboundCipherKey::new(&AES_128, &key[16..]).unwrap();
    let encrypting = PaddedBlockEncryptingKey::cbc_pkcs7(encrypting).unwrap();
    let (iv, mut sealed) = ([7; 16], text.as_bytes().to_vec());
    encrypting.less_safe_encrypt(&mut sealed, EncryptionContext::Iv128(FixedLength::from(iv))).unwrap();
    let mut token = [&[0x80][..], &[0; 8], &iv, &sealed].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key[..16]), &token);
    token.extend(tag.as_ref());
    BASE64_URL_SAFE.encode(token)
}

fn app_only(home: &Home, login: &str) -> String {
    let scope = "https://outlook.office365.com/.default";
    format!(
        "[{login}]\n{}client_secret = {}\noauth2_flow = client_credentials\noauth2_scope = {scope}\n",
        home.urls(APP.1),
        APP.2
    )
}

async fn logs_in(bridge: &Bridge, login: &str, password: &str) {
    let reply = Client::connect(bridge.addr("imap")).await.imap_login(login, password).await;
    assert!(reply.starts_with("in OK "), "{login}: {reply}");
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_gets_its_token_and_mail_programs_log_in_with_the_password_that_was_made() {
    let home = Home::new();
    home.write(&app_only(&home, BOB));
    let imported = home.import(&[], "").expect(0);
    assert!(
        imported.stdout.contains("emailproxy.config:15: changed: client_secret: "),
        "{}",
        imported.stdout
    );
    assert!(!format!("{imported:?}").contains(APP.2));
    let made =
        imported.stdout.lines().find_map(|line| line.strip_prefix(&format!("{BOB}: the password is now ")));
    let made = made.unwrap_or_else(|| panic!("no password is told: {}", imported.stdout)).to_owned();
    #[cfg(unix)]
    for (name, expected) in [("mappings.toml", 0o600), ("localhost.secret", 0o600)] {
        assert_eq!(mode(&home.out().join(name)), expected, "{name}");
    }
    assert!(!fs::read_to_string(home.out().join("footbridge.toml")).unwrap().contains(APP.2));
    let bridge = home.bridge();
    logs_in(&bridge, BOB, &made).await;
    let reply = Client::connect(bridge.addr("imap")).await.imap_login_refused(BOB, PASSWORD).await;
    assert!(reply.contains("AUTHENTICATIONFAILED"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_is_carried_over_and_an_authority_goes_on_checking_passwords() {
    let home = Home::new();
    let refresh_token = fernet(PASSWORD, &home.consent().await);
    let salt = BASE64_URL_SAFE.encode(SALT);
    let scopes = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send";
    let own = format!("token_salt = {salt}\ntoken_iterations = 1000\nrefresh_token = {refresh_token}\n");
    home.write(&format!(
        "[{ANN}]\n{urls}oauth2_scope = {scopes} offline_access\n{own}[{CARL}]\n{urls}oauth2_scope = {scopes}\noauth2_flow = password\n",
        urls = home.urls(PUBLIC)
    ));
    let imported =
        home.import(&["--password-stdin"], &format!("{}:{PASSWORD}\n", ANN.to_uppercase())).expect(0);
    assert!(imported.stdout.contains(&format!("{ANN}: the refresh token is kept")), "{imported:?}");
    assert!(!imported.stdout.contains("the password is now"), "{imported:?}");
    let before = home.authority.requests_of("authorization_code").get();
    let bridge = home.bridge();
    logs_in(&bridge, ANN, PASSWORD).await;
    logs_in(&bridge, CARL, PASSWORD).await;
    assert_eq!(home.authority.requests_of("authorization_code").get(), before, "nobody consented again");
    for secret in home.authority.confidential() {
        assert!(secret.is_empty() || !format!("{imported:?}").contains(&secret));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_a_certificate_signs_with_it_where_it_lies() {
    const APP: &str = "55555555-5555-4555-8555-555555555555";
    let home = Home::new();
    let identity = Identity::generate("app");
    home.authority.register_app(Registration::confidential(APP).certificate(&identity));
    for (name, text) in [("app.pem", identity.certificate_pem()), ("app.key", identity.key_pem())] {
        let path = home.folder.path().join(name);
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let scope = "https://outlook.office365.com/.default";
    home.write(&format!(
        "[{BOB}]\n{}jwt_certificate_path = app.pem\njwt_key_path = app.key\noauth2_flow = client_credentials\noauth2_scope = {scope}\n",
        home.urls(APP)
    ));
    let _ = home.import(&["--password-stdin"], &format!("{BOB}:{PASSWORD}\n")).expect(0);
    logs_in(&home.bridge(), BOB, PASSWORD).await;
    let asked = home.authority.token_requests().pop().unwrap();
    assert!(asked.form.contains_key("client_assertion") && !asked.form.contains_key("client_secret"));
}

/// Imports an account of a person who has not consented here yet, at this address where it is a device's, and starts a
/// bridge.
fn of_a_person(home: &Home, device_url: Option<&str>) -> Bridge {
    let scopes = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access";
    let mut account = format!("[{CARL}]\n{}oauth2_scope = {scopes}\n", home.urls(PUBLIC));
    if let Some(device_url) = device_url {
        let browsers = home.authority.authorize_url().replace("{tenant}", APP.0);
        account = account.replace(&browsers, device_url) + "oauth2_flow = device\n";
    }
    home.write(&account);
    let _ = home.import(&["--password-stdin"], &format!("{CARL}:typed\n")).expect(0);
    home.bridge()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_consented_yet_does_so_in_the_browser_and_is_let_in() {
    let home = Home::new();
    let bridge = of_a_person(&home, None);
    let reply = Client::connect(bridge.addr("imap")).await.imap_login(CARL, "typed").await;
    assert!(reply.contains("footbridge authorize"), "{reply}");
    let running = Cli::spawn(&home.out(), ["authorize", CARL, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.trim().starts_with("https://"));
    home.authority.signs_in(CARL);
    let page = Browser::new(&home.certs).open(url.trim()).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let _ = running.wait().expect(0);
    logs_in(&bridge, CARL, "typed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_consents_at_another_device_does_so_here_too_and_is_let_in() {
    let home = Home::new();
    home.authority.set_device(Some(1), Duration::from_mins(15));
    let device_url = home.authority.device_url().replace("{tenant}", APP.0);
    let bridge = of_a_person(&home, Some(&device_url));
    let running = Cli::spawn(&home.out(), ["authorize", CARL]);
    home.authority.devices_asked().reached(1).await;
    home.authority.approve_device(&home.authority.device_codes()[0].user_code, CARL);
    let _ = running.wait().expect(0);
    logs_in(&bridge, CARL, "typed").await;
}

/// Somebody at a terminal, by util-linux's `script`: answers each question when it is asked, and returns all that the
/// terminal has shown.
#[cfg(target_os = "linux")]
fn at_a_terminal(
    folder: &Path,
    command: &str,
    answers: &[(&str, &str)],
) -> (std::process::ExitStatus, String) {
    use std::{
        io::{Read as _, Write as _},
        process::{Command, Stdio},
    };
    let program = env!("CARGO_BIN_EXE_footbridge");
    let mut child = Command::new("timeout")
        .args(["120", "script", "-qefc", &format!("{program} {command}"), "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut types, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
    let mut answers = answers.iter().peekable();
    loop {
        let text = String::from_utf8_lossy(&shown).into_owned();
        if let Some((_, answer)) = answers.next_if(|(question, _)| text.contains(question)) {
            types.write_all(format!("{answer}\n").as_bytes()).unwrap();
            continue;
        }
        match screen.read(&mut piece).unwrap() {
            0 => return (child.wait().unwrap(), text),
            read => shown.extend_from_slice(&piece[..read]),
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_somebody_types_are_those_of_the_logins_and_one_that_nobody_types_is_made() {
    let home = Home::new();
    home.write(&(app_only(&home, ANN) + &app_only(&home, BOB)));
    let typed = "typed by hand";
    let answers = [(format!("Password of {ANN}"), typed), (format!("Password of {BOB}"), "")];
    let answers = answers.each_ref().map(|(question, answer)| (question.as_str(), *answer));
    let (status, shown) =
        at_a_terminal(home.folder.path(), "import emailproxy.config --out out --ask-passwords", &answers);
    assert!(status.success(), "{status}: {shown}");
    let made = |login: &str| {
        let told = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{login}: the password is now ")));
        told.map(str::to_owned)
    };
    assert_eq!(made(ANN), None, "{shown}");
    let bridge = home.bridge();
    logs_in(&bridge, ANN, typed).await;
    logs_in(&bridge, BOB, &made(BOB).unwrap()).await;
}

#[test]
fn a_file_that_is_there_is_not_written_over_unless_that_is_wanted() {
    let home = tempfile::tempdir().unwrap();
    let (config, mappings) = (home.path().join("emailproxy.config"), home.path().join("mappings.toml"));
    let account = "[a@example.com]\ntoken_url = https://login.example.com/token\nclient_id = x\noauth2_flow = password\n";
    fs::write(
        &config,
        format!(
            "[IMAP-1993]\nlocal_address=::1\nserver_address=imap.example.com\nserver_port=993\n{account}"
        ),
    )
    .unwrap();
    fs::write(&mappings, "mine").unwrap();
    let refused = Cli::run(home.path(), ["import", "emailproxy.config"]).expect(1);
    assert!(
        refused.stderr.contains("mappings.toml is there already") && refused.stderr.contains("--force"),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(&mappings).unwrap(), "mine");
    assert!(!home.path().join("footbridge.toml").exists());
    let _ = Cli::run(home.path(), ["import", "emailproxy.config", "--force"]).expect(0);
    assert!(fs::read_to_string(&mappings).unwrap().contains("a@example.com"));
    let _ = Cli::run(home.path(), ["check"]).expect(0);
}

#[test]
fn what_is_still_missing_is_said_as_check_says_it() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("emailproxy.config"), "[emailproxy]\nsurprise = 1\n").unwrap();
    let ended = Cli::run(home.path(), ["import", "emailproxy.config", "--out", "new"]).expect(1);
    assert!(ended.stdout.contains("emailproxy.config:2: lost: surprise: it is not known"), "{ended:?}");
    assert!(ended.stderr.contains("there is no [[listener]]"), "{ended:?}");
    let broken =
        Cli::run_with_input(home.path(), ["import", "emailproxy.config", "--password-stdin"], "secret\n")
            .expect(1);
    assert!(broken.stderr.contains("line 1 of stdin") && !broken.stderr.contains("secret"), "{broken:?}");
    fs::write(home.path().join("page.html"), "<html>\n<p>a = b\n").unwrap();
    let foreign = Cli::run(home.path(), ["import", "page.html", "--out", "none"]).expect(1);
    assert!(foreign.stderr.contains("page.html is no emailproxy.config") && foreign.stdout.is_empty());
    assert!(!home.path().join("none").exists());
    let none = Cli::run(home.path(), ["import", "no.config"]).expect(1);
    assert!(none.stderr.contains("cannot read no.config"), "{none:?}");
}
