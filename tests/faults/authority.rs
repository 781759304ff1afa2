//! What goes wrong at the token authority, or on the way there.

use crate::{
    curl::{refused, refused_without_words},
    harness::{
        authority::{Answer, Authority, Person, Registration},
        certs::Certs,
        cli::Cli,
        config::{Config, Keys},
        exchange::Exchange,
        world::{ANN, PASSWORD, World},
    },
};

/// A public client: people consent to it in a browser.
const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";

fn app_only() -> World {
    World::with(|config, _, _| config.limit("login_timeout = \"2s\"").console("127.0.0.1:0"))
}

/// Refusals of an app that logs in as itself: AADSTS codes and what the reply has to say.
const OF_APPS: [(&str, u64, &[&str]); 9] = [
    ("wrong client secret, or its id", 7_000_215, &["AADSTS7000215", "secret", "value"]),
    ("client secret expired", 7_000_222, &["AADSTS7000222", "expired", "Certificates & secrets"]),
    ("no credential sent", 7_000_218, &["AADSTS7000218", "secret"]),
    ("client_id unknown in the tenant", 700_016, &["AADSTS700016", "client_id", "tenant"]),
    ("application disabled", 7_000_112, &["AADSTS7000112", "disabled"]),
    ("tenant unknown", 90_002, &["AADSTS90002", "tenant"]),
    ("certificate not registered", 700_027, &["AADSTS700027", "certificate"]),
    ("Exchange Online absent in the tenant", 500_011, &["AADSTS500011"]),
    ("consent of an administrator missing", 65_001, &["AADSTS65001", "consent"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_app_is_told_with_its_code_and_cure() {
    for (fault, code, words) in OF_APPS {
        let world = app_only();
        world.authority.always(Answer::Refuse(code));
        let told = refused(fault, &world, "imap", ANN, words);
        assert!(told.reply.contains(" NO [CONTACTADMIN] "), "{fault}: {}", told.reply);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_nobody_knows_is_told_in_the_authoritys_words_with_its_trace() {
    let world = app_only();
    world.authority.always(Answer::Refuse(99_998));
    refused(
        "unknown code",
        &world,
        "imap",
        ANN,
        &["99998", "pretend authority", "trace 0c1a3f5e-7d2b-4e6a-9b8c-112233445566"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_that_passes_at_the_authority_is_no_refusal() {
    let troubles: [(&str, Answer, &str, &[&str]); 5] = [
        ("tenant throttled", Answer::Refuse(90_055), "authority", &["429", "AADSTS90055"]),
        ("503 of the authority", Answer::Status(503, None), "authority", &["503"]),
        ("429 with Retry-After", Answer::Status(429, Some(600)), "authority", &["429"]),
        ("a page instead of a token", Answer::Garbage, "operator", &["token_url", "proxies"]),
        ("connection to the authority reset", Answer::Reset, "authority", &["localhost"]),
    ];
    for (fault, answer, whose, words) in troubles {
        let world = app_only();
        world.authority.always(answer);
        let told = refused(fault, &world, "imap", ANN, words);
        assert!(told.reply.starts_with("* BYE [UNAVAILABLE] "), "{fault}: {}", told.reply);
        assert_eq!(told.fault, whose, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_away_is_named() {
    let world = app_only();
    world.authority.go_down().await;
    refused("authority refuses connections", &world, "smtp", ANN, &["454 4.7.0", "localhost"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_a_proxy_imitates_leads_to_ca_file() {
    let strangers = Certs::new();
    let world = World::with(|config, _, _| {
        config.trusting(&strangers).limit("login_timeout = \"2s\"").console("127.0.0.1:0")
    });
    refused("certificate of the authority not trusted", &world, "imap", ANN, &["certificate", "ca_file"]);
}

/// A world where ANN consents in the browser.
fn delegated() -> World {
    World::built(|_, authority: &Authority, exchange: &Exchange| {
        authority.register_app(Registration::public(PUBLIC));
        exchange.mailboxes().create(ANN);
        let config = Config::empty().delegated_app("people", authority, exchange, Keys::of(PUBLIC));
        config
            .account_with("people", ANN, Some(PASSWORD), "authorization_code", "")
            .limit("login_timeout = \"2s\"")
            .console("127.0.0.1:0")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_never_consented_is_told_how() {
    refused("never authorized", &delegated(), "imap", ANN, &["not authorized yet", "footbridge authorize"]);
}

/// What ends a consent: AADSTS codes and what the reply has to say.
const OF_CONSENTS: [(&str, u64, &[&str]); 5] = [
    ("sign-in revoked or password changed", 50_173, &["AADSTS50173", "footbridge authorize"]),
    ("refresh token unused for 90 days", 700_082, &["AADSTS700082", "footbridge authorize"]),
    ("sign-in frequency policy", 70_043, &["AADSTS70043", "footbridge authorize"]),
    ("MFA required", 50_076, &["AADSTS50076", "multi-factor"]),
    ("Conditional Access blocks", 53_003, &["AADSTS53003", "Conditional Access"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_has_ended_is_told_with_its_code_and_the_way_back() {
    for (fault, code, words) in OF_CONSENTS {
        let world = delegated();
        // So short that it is renewed at once, ahead of the login.
        world.authority.set_lifetime(std::time::Duration::from_secs(1));
        let running = Cli::spawn(world.folder.path(), ["authorize", ANN, "--no-browser"]);
        let url = running.wait_for_stdout(|line| line.starts_with("https://"));
        world.browser().open(&url).await;
        world.authority.always(Answer::Refuse(code));
        let _ = running.wait().expect(0);
        world.bridge.wait_for_logged("token not obtained", 1);
        refused(fault, &world, "imap", ANN, words);
    }
}

/// Where the authority checks the password a stranger is told nothing, and the log everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_authority_says_of_a_password_is_for_the_log_alone() {
    let faults: [(&str, u64, &[&str]); 2] = [
        ("password grant: wrong password", 50_126, &["AADSTS50126"]),
        ("password grant: account locked", 50_053, &["AADSTS50053"]),
    ];
    for (fault, code, logged) in faults {
        let world = World::built(|_, authority: &Authority, exchange: &Exchange| {
            authority.register_app(Registration::public(PUBLIC));
            authority.add_person(Person::new(ANN).password("something else"));
            let config = Config::empty().delegated_app("people", authority, exchange, Keys::of(PUBLIC));
            config.account_with("people", ANN, None, "password", "")
        });
        world.authority.always(Answer::Refuse(code));
        let told = refused_without_words(fault, &world, "imap", ANN, logged);
        assert!(
            told.reply.ends_with("NO [AUTHENTICATIONFAILED] username or password is wrong"),
            "{}",
            told.reply
        );
    }
}
