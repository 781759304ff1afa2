//! Between the bridge and the mail server's consent: names, lines, certificates, replies.

use crate::{
    curl::refused,
    harness::{
        authority::{APP, Authority},
        certs::{Certs, Leaf},
        config::Config,
        door::{Door, Reserved},
        exchange::Exchange,
        world::{ANN, PASSWORD, World},
    },
    peer::Peer,
};

/// A world where ANN's mailbox is at another server, for every protocol.
fn world_at(endpoint: (std::net::SocketAddr, &'static str), more: impl FnOnce(Config) -> Config) -> World {
    World::built(|_, authority: &Authority, _: &Exchange| {
        let config = Config::empty().app("app", authority, endpoint, endpoint).pop3(endpoint);
        let config = config.account_of("app", ANN, PASSWORD, "").limit("login_timeout = \"2s\"");
        more(config.console("127.0.0.1:0"))
    })
}

/// A world, and in it a server that speaks `protocol` and says this.
fn world_with(protocol: &'static str, said: &'static [(&'static str, &'static str)]) -> (World, Peer) {
    world_between(protocol, protocol, said)
}

/// The same, where ANN's program speaks another protocol.
fn world_between(
    asked: &str,
    answered: &'static str,
    said: &'static [(&'static str, &'static str)],
) -> (World, Peer) {
    let mut peer = None;
    let world = World::built(|certs: &Certs, authority: &Authority, _: &Exchange| {
        let server = Peer::speaking(answered, Some(certs.acceptor()), said);
        let endpoint = server.endpoint();
        peer = Some(server);
        let config = Config::empty().app("app", authority, endpoint, endpoint).pop3(endpoint);
        let config = config.account_of("app", ANN, PASSWORD, &format!("protocols = [\"{asked}\"]"));
        config.limit("login_timeout = \"2s\"").console("127.0.0.1:0")
    });
    (world, peer.unwrap())
}

/// A world where the server has a certificate that nobody takes.
fn world_certified(leaf: impl FnOnce(&Certs) -> Leaf) -> (World, Peer) {
    let mut peer = None;
    let world = World::built(|certs: &Certs, authority: &Authority, _: &Exchange| {
        let server = Peer::speaking("imap", Some(leaf(certs).acceptor()), &[]);
        let endpoint = server.endpoint();
        peer = Some(server);
        let config = Config::empty().app("app", authority, endpoint, endpoint).pop3(endpoint);
        config.account_of("app", ANN, PASSWORD, "").limit("login_timeout = \"2s\"").console("127.0.0.1:0")
    });
    (world, peer.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_no_resolver_knows_is_named() {
    let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
        let (imap, smtp) = (exchange.endpoint("imap", false), exchange.endpoint("smtp", true));
        let (tenant, client_id, _) = APP;
        let nowhere = format!(
            "[provider.nowhere]\nca_file = \"ca.pem\"\ntoken_url = \"{}\"\n\
             scopes = {{ application = [\"https://outlook.office365.com/.default\"] }}\n\
             imap = {{ host = \"imap.nowhere.invalid\", port = 993, tls = \"implicit\" }}\n\
             smtp = {{ host = \"localhost\", port = {}, tls = \"starttls\" }}\n\
             [app.lost]\nprovider = \"nowhere\"\ntenant = \"{tenant}\"\nclient_id = \"{client_id}\"\n\
             secret = {{ file = \"app.secret\" }}\n",
            authority.token_url(),
            smtp.0.port(),
        );
        let config = Config::empty().app("app", authority, imap, smtp).more(&nowhere);
        config.account_of("lost", ANN, PASSWORD, "").limit("login_timeout = \"2s\"").console("127.0.0.1:0")
    });
    refused("host name unknown", &world, "imap", ANN, &["imap.nowhere.invalid", "DNS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_nobody_listens_on_is_named() {
    let reserved = Reserved::new();
    let world = world_at((([127, 0, 0, 1], reserved.port()).into(), "implicit"), |config| config);
    refused("connection refused", &world, "imap", ANN, &["[UNAVAILABLE]", "refused"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_told_from_one_that_is_away() {
    let door = Door::open(|stream, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    });
    let world = world_at((door.addr(), "implicit"), |config| config.limit("connect_timeout = \"1s\""));
    refused("TLS never begins", &world, "imap", ANN, &["[UNAVAILABLE]", "TLS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_on_its_tls_port_is_named() {
    let peer = Peer::speaking("imap", None, &[]);
    let world = world_at((peer.endpoint().0, "implicit"), |config| config);
    refused("plaintext on a TLS port", &world, "imap", ANN, &["tls"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_issuer_leads_to_ca_file() {
    let (world, _peer) = world_certified(|_| Certs::new().leaf());
    refused("certificate of an unknown issuer", &world, "imap", ANN, &["certificate", "ca_file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_tells_the_name() {
    let (world, _peer) = world_certified(|certs| certs.leaf_for(&["mail.contoso.example"]));
    refused("certificate for another name", &world, "imap", ANN, &["certificate", "localhost", "host"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_expired_leads_to_the_server_and_the_clock() {
    let (world, _peer) = world_certified(Certs::expired_leaf);
    refused("certificate expired", &world, "imap", ANN, &["certificate", "expired", "clock"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_on_the_port_is_recognised() {
    let (world, _peer) = world_between("imap", "smtp", &[]);
    refused("an SMTP server in the place of IMAP", &world, "imap", ANN, &["SMTP"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_with_bye_is_passed_on() {
    let (world, _peer) = world_with("imap", &[("GREETING", "* BYE Server is shutting down.{end}")]);
    refused("BYE for a greeting", &world, "imap", ANN, &["[UNAVAILABLE]", "Server is shutting down"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imap_that_refuses_the_token_leads_to_the_service_principal() {
    let (world, _peer) = world_with("imap", &[("AUTHENTICATE", "{tag} NO AUTHENTICATE failed.")]);
    refused("NO AUTHENTICATE failed", &world, "imap", ANN, &[ANN, "New-ServicePrincipal"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imap_that_throttles_names_the_wait() {
    let said = "{tag} BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds";
    let (world, _peer) = world_with(
        "imap",
        &[("AUTHENTICATE", "{tag} BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds")],
    );
    refused("IMAP throttled", &world, "imap", ANN, &["[UNAVAILABLE]", said.trim_start_matches("{tag} ")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_that_refuses_the_token_leads_to_the_service_principal() {
    let said =
        &[("TOKEN", "535 5.7.3 Authentication unsuccessful [AM0PR02CA0134.eurprd02.prod.outlook.com]")];
    let (world, _peer) = world_with("smtp", said);
    refused("535 5.7.3", &world, "smtp", ANN, &[ANN, "New-ServicePrincipal"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_auth_that_is_off_for_the_tenant_leads_to_its_switch() {
    let said = &[(
        "TOKEN",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. \
         Visit https://aka.ms/smtp_auth_disabled for more information.",
    )];
    let (world, _peer) = world_with("smtp", said);
    refused("535 5.7.139, tenant", &world, "smtp", ANN, &["5.7.139", "Set-TransportConfig"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_auth_that_is_off_for_the_mailbox_leads_to_its_switch() {
    let said = &[(
        "TOKEN",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
    )];
    let (world, _peer) = world_with("smtp", said);
    refused("535 5.7.139, mailbox", &world, "smtp", ANN, &["5.7.139", "Set-CASMailbox"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_that_takes_no_auth_leads_to_its_switch_and_not_to_the_token() {
    for said in
        [&[("AUTH", "500 5.3.3 Unrecognized command")], &[("AUTH", "530 5.7.57 Client not authenticated")]]
    {
        let (world, _peer) = world_with("smtp", said);
        refused(said[0].1, &world, "smtp", ANN, &[ANN, "check SMTP AUTH of the"]);
        assert_eq!(world.authority.requests().get(), 1, "no new token helps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_defaults_are_named() {
    let said = &[(
        "TOKEN",
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. \
         Contact your administrator.",
    )];
    let (world, _peer) = world_with("smtp", said);
    refused("535 5.7.139, security defaults", &world, "smtp", ANN, &["security defaults", "administrator"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pop3_that_refuses_the_token_leads_to_the_switches_of_pop() {
    let said = &[("TOKEN", "-ERR Authentication failure: unknown user name or bad password.")];
    let (world, _peer) = world_with("pop3", said);
    refused("POP3 -ERR Authentication failure", &world, "pop3", ANN, &[ANN, "POP.AccessAsApp"]);
}

/// A token that names its permissions, and not the one that is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_the_wrong_api_is_named_before_any_switch() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let tokens = [
        (
            "a token of EWS's role",
            r#"{"aud":"https://outlook.office365.com","roles":["full_access_as_app"]}"#,
            "full_access_as_app",
        ),
        (
            "a token for Microsoft Graph",
            r#"{"aud":"https://graph.microsoft.com","roles":["Mail.ReadWrite"]}"#,
            "Graph",
        ),
    ];
    for (fault, claims, word) in tokens {
        let (world, _peer) = world_with("imap", &[("AUTHENTICATE", "{tag} NO AUTHENTICATE failed.")]);
        let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        world.authority.always(crate::harness::authority::Answer::Token(token));
        refused(fault, &world, "imap", ANN, &["NO AUTHENTICATE failed", word]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_a_server_says_cannot_break_the_line() {
    let (world, _peer) = world_with(
        "imap",
        &[("AUTHENTICATE", "{tag} NO \u{1b}[31mred\u{7}\r* OK [ALERT] nonsense \u{202e}")],
    );
    let told = refused("control characters in a reply", &world, "imap", ANN, &[ANN]);
    assert!(!told.reply.contains(char::is_control), "{:?}", told.reply);
}
