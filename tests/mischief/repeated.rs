//! Troubles that come again and again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{
    harness::{
        certs::Certs,
        config::Config,
        door::Door,
        world::{ANN, BOB, PASSWORD, World},
    },
    visitor::{Visitor, says},
};

/// A mail server that wants fewer logins, and says each time for how long.
fn throttling(certs: &Certs) -> Door {
    let (acceptor, said) = (certs.acceptor(), Arc::new(AtomicUsize::new(299_000)));
    Door::open(move |stream, _| {
        let (acceptor, left) = (acceptor.clone(), said.fetch_add(1, Ordering::SeqCst));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut stream = BufReader::new(stream);
            let greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready\r\n";
            stream.get_mut().write_all(greeting).await.unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let tag = line.split(' ').next().unwrap();
            let no =
                format!("{tag} NO Request is throttled. Suggested Backoff Time: {left} milliseconds\r\n");
            stream.get_mut().write_all(no.as_bytes()).await.unwrap();
        }
    })
}

/// Bob's program polls too often, and Exchange says each time another number of milliseconds. It is the same trouble
/// all the same, and must not push out what Ann has to know of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_with_the_same_trouble_again_and_again_hides_no_other() {
    let mut busy = None;
    let world = World::built(|certs, authority, exchange| {
        exchange.mailboxes().create(ANN);
        let imap = (busy.insert(throttling(certs)).addr(), "implicit");
        let smtp = exchange.endpoint("smtp", true);
        let config = Config::new(authority, exchange).account(ANN, PASSWORD);
        let config = config.app("busy", authority, imap, smtp).account_of("busy", BOB, PASSWORD, "");
        config.console("127.0.0.1:0")
    });
    world.exchange.refuse_next(2);
    world.connect("imap").await.imap_login(ANN, PASSWORD).await;
    let visitor = Visitor::signed_in(&world).await;
    let ann = "Add-MailboxPermission";
    says(&visitor.get("/failures").await, 200, &[ann]);
    for _ in 0..31 {
        let mut client = world.connect("imap").await;
        client.expect("* OK {…}").await;
        client.say(&format!("in LOGIN {BOB} \"{PASSWORD}\"")).await;
        client.until("* BYE {…}").await;
    }
    says(&visitor.get("/failures").await, 200, &["Request is throttled", ann]);
}
