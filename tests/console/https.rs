//! The console where it speaks HTTPS by itself.

use std::{
    path::Path,
    process::{Command, Output},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    harness::{
        authority::Registration,
        bridge::Bridge,
        browser::Browser,
        certs::Certs,
        cli::Cli,
        config::{Config, Keys},
        door::Reserved,
        world::{ANN, PASSWORD, World},
    },
    visitor::{PUBLIC, Visitor, between, hidden_token, made_password, says, world},
};

/// By the certificate of a file, which the tests' authority has signed.
const BY_FILES: &str = "tls = \"implicit\"\ncertificate = \"listener.pem\"\nkey = \"listener.key\"";

/// By the certificate that the bridge makes.
const BY_ITS_OWN: &str = "tls = \"implicit\"";

/// curl, which trusts this file alone.
fn curl(trusted: &Path, arguments: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--cacert"]);
    curl.arg(trusted).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_by_https_with_a_cookie_that_clear_connections_never_see() {
    let world = world(BY_FILES);
    let mut visitor = Visitor::of(&world);
    assert!(visitor.home.starts_with("https://"), "{}", visitor.home);
    let page = visitor.post("/login", &[("password", &made_password(&world))]).await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    let name = format!("__Host-footbridge-{}=", visitor.port());
    assert!(cookie.starts_with(&name) && cookie.ends_with("; Secure"), "{cookie}");
    visitor.take_cookie(&page);
    let overview = visitor.get("/").await;
    says(&overview, 200, &[ANN]);
    let form = [("token", hidden_token(&overview)), ("login", ANN.to_owned()), ("way", "device".to_owned())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let in_clear = visitor.home.replace("https://", "http://");
    let refused = visitor.post_from("/authorize", &form, &[("origin", &in_clear)]).await;
    says(&refused, 403, &["another site"]);
    let own = [("origin", visitor.home.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(visitor.post_from("/authorize", &form, &own).await.status, 303);
    assert!(!world.bridge.log().contains(visitor.cookie.split_once('=').unwrap().1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_leads_to_https_and_curl_opens_it_by_the_certificate_that_the_bridge_has_made() {
    let world = world(BY_ITS_OWN);
    let port = Visitor::of(&world).port();
    let told = world.bridge.wait_for_logged("console", 1).remove(0);
    assert_eq!(
        (&told["tls"], &told["url"]),
        (&"implicit".into(), &format!("https://localhost:{port}").into())
    );
    let link = Cli::run(world.folder.path(), ["console"]).expect(0).stdout;
    assert!(link.starts_with(&format!("https://localhost:{port}/login?link=")), "{link}");
    let made = world.folder.path().join("state/listener.pem");
    let page = curl(&made, &[link.trim()]);
    assert!(String::from_utf8_lossy(&page.stdout).contains("Signed in"), "{page:?}");
    for host in ["localhost", "127.0.0.1"] {
        let alive = curl(&made, &["--fail", &format!("https://{host}:{port}/healthz")]);
        assert_eq!(alive.stdout, b"alive\n", "{alive:?}");
    }
    let stranger = curl(&world.folder.path().join("ca.pem"), &[&format!("https://localhost:{port}/healthz")]);
    assert_eq!(stranger.status.code(), Some(60), "{stranger:?}");
    let distrust = world.bridge.wait_for_logged("web client turned away", 1).remove(0);
    assert!(distrust["cause"].as_str().unwrap().contains("does not accept"), "{distrust}");
    assert!(distrust["cure"].as_str().unwrap().starts_with("have the browser trust"), "{distrust}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_in_clear_is_told_to_write_https_and_learns_nothing_else() {
    let world = world(BY_FILES);
    let visitor = Visitor::of(&world);
    let port = visitor.port();
    for request in [
        format!("GET /healthz HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"),
        format!("GET /?state=x&code=y HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"),
        format!("POST /login HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 10\r\n\r\npassword=x"),
    ] {
        let answer = visitor.answer(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.ends_with(
                "\r\n\r\nThis is HTTPS: open the address with https:// in the place of http://.\n"
            )
        );
        assert!(!answer.to_lowercase().contains("set-cookie"), "{answer}");
    }
    let told = world.bridge.wait_for_logged("web client turned away", 3).remove(0);
    assert_eq!(told["cause"], "the client speaks without TLS to this listener");
    assert_eq!(told["cure"], "open the address with https:// in the place of http://");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_alone_is_refused_in_the_handshake_and_older_programs_that_name_nothing_are_served() {
    let world = world(BY_FILES);
    let visitor = Visitor::of(&world);
    let shake = async |protocols: &[&[u8]]| {
        let mut config = world.certs.client_config();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = TcpStream::connect(("127.0.0.1", visitor.port())).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), stream).await
    };
    assert!(shake(&[b"h2"]).await.is_err());
    let chosen = shake(&[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(chosen.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut line = shake(&[]).await.unwrap();
    line.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // The end of an answer is told by TLS as well: what breaks off would be an error here.
    line.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("alive\n"), "{answer}");
}

/// The orchestrator that asks `/healthz` must not be kept out by who begins handshakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_do_not_end_give_way_and_keep_no_bridge_from_stopping() {
    let world = world(BY_FILES);
    let visitor = Visitor::of(&world);
    let mut silent = Vec::new();
    for number in 0..64 {
        let mut stream = TcpStream::connect(("127.0.0.1", visitor.port())).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[22, 3, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let asked = timeout(std::time::Duration::from_secs(5), visitor.get("/healthz")).await;
    assert_eq!(asked.expect("no answer within 5 s").body, "alive\n");
    let (ended, log) = world.bridge.terminate();
    assert!(ended.success() && log.contains("web connection gave way to others"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_renewed_is_shown_to_the_next_browser() {
    let world = world(BY_FILES);
    let visitor = Visitor::signed_in(&world).await;
    let other = Certs::new();
    other.leaf().write(world.folder.path(), "listener");
    world.bridge.wait_for_logged("certificate replaced", 1);
    let browser = Browser::new(&other);
    let page = browser.get_with(&format!("{}/", visitor.home), &[("cookie", &visitor.cookie)]).await;
    says(&page, 200, &[ANN]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_files_in_the_configuration_are_shown_after_a_reload() {
    let world = world(BY_FILES);
    let (visitor, other) = (Visitor::of(&world), Certs::new());
    other.leaf().write(world.folder.path(), "other");
    let file = world.folder.path().join("footbridge.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("\"listener.", "\"other.");
    std::fs::write(&file, text.clone()).unwrap();
    let _ = Cli::run(world.folder.path(), ["reload"]).expect(0);
    let page = Browser::new(&other).get(&format!("{}/healthz", visitor.home)).await;
    says(&page, 200, &["alive"]);
    std::fs::write(
        &file,
        text.replace("tls = \"implicit\"\ncertificate = \"other.pem\"\nkey = \"other.key\"", ""),
    )
    .unwrap();
    let refused = Cli::run(world.folder.path(), ["reload"]).expect(1);
    assert!(refused.stderr.contains("[console] has changed"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_comes_back_by_https_beside_a_bridge_and_without_one() {
    // Authorities ignore the port of http://localhost, and of nothing else that is known.
    let reserved = Reserved::new();
    let registered = format!("https://localhost:{}", reserved.port());
    let world = World::built(|_, authority, exchange| {
        authority.register_app(Registration::public(PUBLIC).redirect(&registered));
        exchange.mailboxes().create(ANN);
        let config = Config::empty().delegated_app("people", authority, exchange, Keys::of(PUBLIC));
        let config = config.account_with("people", ANN, Some(PASSWORD), "authorization_code", "");
        config.console_with(&format!("127.0.0.1:{}", reserved.port()), BY_FILES)
    });
    let visitor = Visitor::signed_in(&world).await;
    let page = visitor.authorize(ANN, "browser").await;
    let url = between(&page.body, "content=\"0;url=", "\"").replace("&#38;", "&");
    let landed = visitor.browser.open(&url).await;
    says(&landed, 200, &["Authorized", ANN]);
    assert!(landed.url.as_str().starts_with(&format!("{registered}/?")), "{}", landed.url);

    let World { certs, authority: _authority, exchange: _exchange, folder, bridge } = world;
    assert!(bridge.terminate().0.success());
    let running = Cli::spawn(folder.path(), ["authorize", ANN, "--no-browser"]);
    let url = running.wait_for_stdout(|line| line.starts_with("https://"));
    let landed = Browser::new(&certs).open(&url).await;
    says(&landed, 200, &["Authorized", ANN]);
    assert!(landed.url.as_str().starts_with(&registered), "{}", landed.url);
    let _ = running.wait().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_without_a_bridge_makes_the_certificate_that_the_bridge_shows_then() {
    let World { authority: _authority, exchange: _exchange, folder, bridge, .. } = world(BY_ITS_OWN);
    assert!(bridge.terminate().0.success());
    let made = folder.path().join("state/listener.pem");
    std::fs::remove_file(&made).unwrap();
    let running = Cli::spawn(folder.path(), ["authorize", ANN, "--no-browser"]);
    let _ = running.wait_for_stdout(|line| line.starts_with("https://"));
    let shown = std::fs::read(&made).unwrap();
    drop(running);
    let bridge = Bridge::start(folder.path());
    let told = bridge.wait_for_logged("console", 1).remove(0);
    assert_eq!(std::fs::read(&made).unwrap(), shown);
    let url = format!("{}/healthz", told["url"].as_str().unwrap());
    assert_eq!(curl(&made, &["--fail", &url]).stdout, b"alive\n");
}
