//! The browser, the configurations and the command line of the harness.

use std::{future::IntoFuture as _, net::SocketAddr};

use axum::{Router, routing::get};
use toml::Value;

use crate::{
    harness::{
        authority::{Registration, ServiceAccount},
        browser::Browser,
        certs::{Certs, Identity},
        cli::Cli,
        config::{Config, Folder, Keys},
        door::Reserved,
        exchange::Exchange,
        world::{PASSWORD, World},
    },
    lab::{ALICE, Lab, PUBLIC},
};

#[tokio::test]
async fn the_browser_delivers_the_answer_of_the_authority() {
    let lab = Lab::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let redirect_uri = format!("http://localhost:{}", listener.local_addr().expect("bound").port());
    let page = Router::new().route("/", get(|uri: axum::http::Uri| async move { format!("got {uri}") }));
    let url = lab.authorize_url(&[("redirect_uri", &redirect_uri)]);
    let page = tokio::select! {
        page = lab.browser.open(&url) => page,
        _ = axum::serve(listener, page).into_future() => panic!("serving has ended"),
    };
    assert_eq!((page.status, page.url.scheme()), (200, "http"));
    assert!(page.body.starts_with("got /?code=") && page.body.contains("state=the+state"), "{}", page.body);
    assert!(page.headers.contains_key("content-length"));
}

#[tokio::test]
#[should_panic(expected = "InvalidCertificate")]
async fn the_browser_trusts_nobody_else() {
    let lab = Lab::new();
    Browser::new(&Certs::new()).get(&lab.authorize_url(&[])).await;
}

/// The two files of a configuration, as tables.
fn written(folder: &Folder) -> (Value, Value) {
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("it was written");
        text.parse::<toml::Table>().map_or_else(|error| panic!("{error}\n{text}"), Value::Table)
    };
    (read("footbridge.toml"), read("mappings.toml"))
}

#[tokio::test]
async fn apps_and_accounts_of_every_kind_are_written() {
    let lab = Lab::new();
    let exchange = Exchange::start(&lab.certs, &lab.authority);
    let identity = Identity::generate("app");
    let account = ServiceAccount::new("bridge@project.iam.gserviceaccount.com", &[ALICE]);
    let key_file = lab.authority.service_account_key(&account);
    let add =
        |config: Config, name: &str, keys: Keys| config.delegated_app(name, &lab.authority, &exchange, keys);
    let mut config = Config::empty().console("127.0.0.1:0");
    for (name, keys) in [
        ("browser", Keys::of(PUBLIC).redirect_uri("http://localhost:3017/").pkce("off")),
        ("rollover", Keys::contoso().secret("the next one")),
        ("signed", Keys::of(PUBLIC).certificate(&identity)),
        ("pod", Keys::of(PUBLIC).federated_token_file("projected")),
        ("google", Keys::of(PUBLIC).service_account(&lab.authority, &key_file)),
        ("china", Keys::of(PUBLIC).resource(&lab.authority, "https://partner.outlook.cn")),
    ] {
        config = add(config, name, keys);
    }
    let config = config
        .account_with("browser", ALICE, Some("local"), "authorization_code", "sign_in = \"x@contoso.com\"")
        .account_with("china", "bob@contoso.com", None, "password", "");
    let folder = config.write(&lab.certs);
    let (config, mappings) = written(&folder);

    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    assert_eq!(text(&config["console"]["bind"]), "127.0.0.1:0");
    let provider = &config["provider"]["browser-lab"];
    assert_eq!(text(&provider["authorize_url"]), lab.authority.authorize_url());
    assert_eq!(text(&provider["device_url"]), lab.authority.device_url());
    assert_eq!(provider["scopes"]["delegated"].as_array().map(Vec::len), Some(2));
    assert_eq!(provider["scopes"]["application"].as_array().map(Vec::len), Some(1));
    let app = |name: &str, key: &str| config["app"][name][key].clone();
    assert_eq!(text(&app("browser", "redirect_uri")), "http://localhost:3017/");
    assert_eq!(text(&app("browser", "pkce")), "off");
    assert_eq!(app("rollover", "secret").as_array().map(Vec::len), Some(2));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    assert_eq!(read(&text(&app("rollover", "secret")[1]["file"])), "the next one");
    assert_eq!(read(&text(&app("signed", "certificate"))), identity.certificate_pem());
    assert_eq!(read(&text(&app("signed", "key"))), identity.key_pem());
    assert_eq!(read(&text(&app("pod", "federated_token_file"))), "projected");
    assert_eq!(read(&text(&app("google", "service_account")["file"])), key_file);
    assert_eq!(text(&config["provider"]["google-lab"]["token_url"]), lab.authority.google_token_url());
    assert_eq!(text(&app("china", "resource")), "https://partner.outlook.cn");
    assert_eq!(text(&config["provider"]["china-lab"]["token_url"]), lab.authority.older_token_url());

    let accounts = mappings["account"].as_array().expect("a list").clone();
    assert_eq!(
        (text(&accounts[0]["grant"]), text(&accounts[0]["sign_in"])),
        ("authorization_code".into(), "x@contoso.com".into())
    );
    assert!(text(&accounts[0]["password"]).starts_with("$argon2id$"));
    assert!(accounts[1].get("password").is_none());
}

#[tokio::test]
async fn a_subcommand_is_run_on_the_configuration_of_its_folder() {
    let lab = Lab::new();
    let exchange = Exchange::start(&lab.certs, &lab.authority);
    lab.authority.register_app(Registration::public(PUBLIC));
    let folder = Config::new(&lab.authority, &exchange).account(ALICE, "local").write(&lab.certs);
    let checked = Cli::run(folder.path(), ["check"]).expect(0);
    assert_eq!(checked.stderr, "", "{checked:?}");
    let mappings = folder.path().join("mappings.toml");
    std::fs::write(&mappings, "[[account]]\nlogim = \"x\"\n").expect("it can be written");
    let checked = Cli::run(folder.path(), ["check"]).expect(1);
    assert!(format!("{checked:?}").contains("logim"), "{checked:?}");
    let usage = Cli::run(folder.path(), ["no-such-word"]).expect(2);
    assert!(usage.stderr.contains("no-such-word"), "{usage:?}");
    let hashed = Cli::run_with_input(folder.path(), ["hash-password"], "secret\n").expect(0);
    assert!(hashed.stdout.starts_with("$argon2id$"), "{hashed:?}");
}

#[tokio::test]
async fn a_subcommand_that_runs_on_is_watched_and_told_to_end() {
    let lab = Lab::new();
    let exchange = Exchange::start(&lab.certs, &lab.authority);
    let folder = Config::new(&lab.authority, &exchange).account(ALICE, "local").write(&lab.certs);
    let running = Cli::spawn(folder.path(), ["serve", "--log-format", "json"]);
    let line = running.wait_for_stderr(|line| line.contains("\"ready\""));
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    running.signal("TERM");
    let ended = running.wait().expect(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_reserved_port_may_be_listened_at_by_who_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let reserved = Reserved::new();
    let addr = SocketAddr::from(([127, 0, 0, 1], reserved.port()));
    let listener = std::net::TcpListener::bind(addr).expect("it is free for us");
    assert_eq!(listener.local_addr().expect("bound"), addr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_world_is_built_around_a_configuration_of_ones_own() {
    let world = World::built(|_, authority, exchange| {
        exchange.mailboxes().create(ALICE);
        Config::new(authority, exchange).account(ALICE, PASSWORD)
    });
    world.imap(ALICE).await;
    assert_eq!(world.authority.requests_of("client_credentials").get(), 1);
    let page = world.browser().get(&format!("https://localhost:{}/", world.authority.addr().port())).await;
    assert_eq!(page.status, 404);
}
