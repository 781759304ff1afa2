//! Mail libraries that know nothing of OAuth log in with a password, read and send.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use futures::TryStreamExt as _;
use harness::world::{ANN, BOB, PASSWORD, World};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::authentication::{Credentials, Mechanism},
};
use tokio::net::TcpStream;

const LETTER: &str =
    "From: Bob <bob@example.com>\r\nTo: ann@example.com\r\nSubject: Tea?\r\n\r\nAt four.\r\n";

type ImapSession = async_imap::Session<TcpStream>;

async fn imap_session(world: &World, login: &str) -> ImapSession {
    let stream = TcpStream::connect(world.bridge.addr("imap")).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap().expect("a greeting");
    client.login(login, PASSWORD).await.map_err(|(error, _)| error).unwrap()
}

fn mailer(world: &World, mechanism: Mechanism) -> AsyncSmtpTransport<Tokio1Executor> {
    let addr = world.bridge.addr("smtp");
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(addr.ip().to_string())
        .port(addr.port())
        .credentials(Credentials::new(BOB.to_owned(), PASSWORD.to_owned()))
        .authentication(vec![mechanism])
        .build()
}

fn letter() -> Message {
    Message::builder()
        .from(BOB.parse().unwrap())
        .to(ANN.parse().unwrap())
        .subject("Coffee?")
        .body("At five.\r\n.\r\nOr six.".to_owned())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_imap_reads_marks_and_deletes() {
    let world = World::start();
    world.exchange.mailboxes().deliver(ANN, LETTER);
    let mut session = imap_session(&world, ANN).await;
    let inbox = session.select("INBOX").await.unwrap();
    assert_eq!(inbox.exists, 1);
    let messages: Vec<_> =
        session.uid_fetch("1:*", "(UID ENVELOPE BODY[])").await.unwrap().try_collect().await.unwrap();
    assert_eq!(messages[0].body(), Some(LETTER.as_bytes()));
    let subject = messages[0].envelope().and_then(|envelope| envelope.subject.clone());
    assert_eq!(subject.as_deref(), Some(&b"Tea?"[..]));
    assert_eq!(session.search("UNSEEN").await.unwrap().len(), 0);
    let changed: Vec<_> =
        session.store("1", "+FLAGS (\\Deleted)").await.unwrap().try_collect().await.unwrap();
    assert_eq!(changed.len(), 1);
    let expunged: Vec<u32> = session.expunge().await.unwrap().try_collect().await.unwrap();
    assert_eq!(expunged, [1]);
    session.logout().await.unwrap();
    assert!(world.exchange.mailboxes().messages(ANN, "INBOX").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_imap_hears_of_new_mail_while_it_is_idle() {
    let world = World::start();
    let mut session = imap_session(&world, ANN).await;
    session.select("INBOX").await.unwrap();
    let mut idle = session.idle();
    idle.init().await.unwrap();
    let (news, _interrupt) = idle.wait();
    world.exchange.mailboxes().deliver(ANN, LETTER);
    let news = tokio::time::timeout(harness::PATIENCE, news).await.expect("the push arrives").unwrap();
    assert!(matches!(news, async_imap::extensions::idle::IdleResponse::NewData(_)), "{news:?}");
    idle.done().await.unwrap().logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_imap_is_told_of_a_wrong_password() {
    let world = World::start();
    let stream = TcpStream::connect(world.bridge.addr("imap")).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap();
    let (error, _) = client.login(ANN, "incorrect horse").await.unwrap_err();
    assert!(matches!(error, async_imap::error::Error::No(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lettre_sends_with_either_mechanism() {
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let world = World::start();
        mailer(&world, mechanism).send(letter()).await.unwrap();
        let sent = world.exchange.sent();
        assert_eq!((sent[0].user.as_str(), sent[0].from.as_str()), (BOB, BOB));
        assert!(sent[0].message.ends_with(b"At five.\r\n.\r\nOr six.\r\n"), "{mechanism}");
        assert_eq!(world.exchange.mailboxes().messages(ANN, "INBOX").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lettre_sends_many_messages_on_one_connection() {
    let world = World::start();
    let mailer = mailer(&world, Mechanism::Plain);
    for _ in 0..5 {
        mailer.send(letter()).await.unwrap();
    }
    assert_eq!(world.exchange.accepted().get(), 5);
    assert_eq!(world.authority.requests().get(), 1);
}

/// There is no POP3 client in the libraries that are asynchronous and well kept: this one says what fetchmail does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_fetched_and_deleted_by_pop3() {
    for starttls in [false, true] {
        let world = World::with(|config, _, exchange| config.pop3(exchange.endpoint("pop3", starttls)));
        world.exchange.mailboxes().deliver(ANN, LETTER);
        world.exchange.mailboxes().deliver(ANN, "Subject: dots\r\n\r\n.\r\n..\r\n");
        let mut client = world.pop3(ANN).await;
        client.say("STAT").await;
        client.expect("+OK 2 {…}").await;
        client.say("UIDL").await;
        let ids = client.until(".").await;
        assert_eq!(ids.len(), 4, "{ids:?}");
        client.say("TOP 1 0").await;
        let top = client.until(".").await.join("\r\n");
        assert!(top.contains("Subject: Tea?") && !top.contains("At four."), "{top}");
        client.send("RETR 1\r\nDELE 1\r\nRETR 2\r\n").await;
        let letter = client.until(".").await;
        assert_eq!(letter.join("\r\n"), format!("+OK\r\n{LETTER}."));
        client.expect("+OK").await;
        let dots = client.until(".").await;
        assert_eq!(dots, ["+OK", "Subject: dots", "", "..", "...", "."]);
        client.say("QUIT").await;
        client.expect("+OK {…}").await;
        client.expect_end().await;
        assert_eq!(world.exchange.mailboxes().messages(ANN, "INBOX").len(), 1);
        let shown = world.exchange.attempts();
        assert_eq!((shown.len(), shown[0].protocol, shown[0].accepted), (1, "pop3", true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_pop3_refuses_is_renewed_and_one_token_serves_all_protocols() {
    let world = World::with_pop3();
    world.exchange.challenge_refused();
    world.exchange.refuse_next(1);
    drop((world.pop3(ANN).await, world.imap(ANN).await, world.smtp(BOB).await));
    assert_eq!(world.authority.requests().get(), 2);
    let mut client = world.connect("pop3").await;
    let told = client.pop3_login(ANN, "incorrect horse").await;
    assert_eq!(told, "-ERR [AUTH] username or password is wrong");
}

/// Ten megabytes there and back, to the byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_passes_unharmed() {
    let world = World::with_pop3();
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    for number in 0..200_000_u32 {
        large.extend_from_slice(format!("{number:08x} 0123456789abcdef 0123456789abcdef\r\n").as_bytes());
    }
    // Lettre puts a line end of its own behind every message.
    let sent = large.strip_suffix(b"\r\n").expect("it ends with one");
    let envelope = lettre::address::Envelope::new(Some(BOB.parse().unwrap()), vec![ANN.parse().unwrap()]);
    mailer(&world, Mechanism::Plain).send_raw(&envelope.unwrap(), sent).await.unwrap();
    let mut session = imap_session(&world, ANN).await;
    session.select("INBOX").await.unwrap();
    let messages: Vec<_> = session.fetch("1", "BODY[]").await.unwrap().try_collect().await.unwrap();
    assert!(messages[0].body() == Some(&large[..]), "what was sent is what arrives");
    session.logout().await.unwrap();
    let mut client = world.pop3(ANN).await;
    client.say("RETR 1").await;
    client.expect("+OK").await;
    assert!(client.exactly(large.len()).await == large, "by POP3 as well");
    client.expect(".").await;
}
