//! The pretend ends are worth their name: real mail libraries get along with the pretend Exchange,
//! and the pretend authority refuses what Entra refuses.

#[path = "pretend/consent.rs"]
mod consent;
#[path = "pretend/delegates.rs"]
mod delegates;
#[path = "pretend/device.rs"]
mod device;
#[path = "pretend/direct.rs"]
mod direct;
#[path = "pretend/google.rs"]
mod google;
mod harness;
#[path = "pretend/lab.rs"]
mod lab;
#[path = "pretend/refresh.rs"]
mod refresh;
#[path = "pretend/tools.rs"]
mod tools;

use harness::{
    authority::{APP, Authority, Invalid},
    certs::Certs,
    client::{Client, xoauth2},
    exchange::Exchange,
};

const ANN: &str = "ann@example.com";

#[tokio::test]
async fn a_session_of_a_mail_program_goes_through() {
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let exchange = Exchange::start(&certs, &authority);
    exchange.mailboxes().create(ANN);
    exchange.mailboxes().deliver(ANN, "From: Bob <bob@example.com>\r\nSubject: hello\r\n\r\nHi Ann\r\n");
    let (token, _) = authority.issuer().mint(APP.0, APP.1);

    let mut client = Client::connect_tls(exchange.imaps.addr(), &certs.connector()).await;
    client.expect("* OK The Microsoft Exchange IMAP4 service is ready. {…}").await;
    client.say(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2(ANN, &token))).await;
    client.expect("a OK AUTHENTICATE completed.").await;
    client.say("b SELECT INBOX").await;
    let lines = client.until("b OK [READ-WRITE] SELECT completed.").await;
    assert!(lines.contains(&"* 1 EXISTS".to_owned()), "{lines:?}");
    client.say("c FETCH 1 (FLAGS BODY[HEADER.FIELDS (SUBJECT)] RFC822.SIZE)").await;
    client.expect("* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (SUBJECT)] {18}").await;
    client.expect("Subject: hello").await;
    client.expect("").await;
    client.expect(" RFC822.SIZE 55)").await;
    client.expect("c OK FETCH completed.").await;
    client.say("d UID SEARCH UNSEEN FROM bob").await;
    client.expect("* SEARCH").await;
    client.expect("d OK SEARCH completed.").await;
    client.say("e APPEND INBOX (\\Draft) {5+}\r\nhello").await;
    client.expect("* 2 EXISTS").await;
    client.expect("* 0 RECENT").await;
    client.expect("e OK [APPENDUID 14 2] APPEND completed.").await;
    client.say("f IDLE").await;
    client.expect("+ IDLE accepted, awaiting DONE command.").await;
    exchange.mailboxes().deliver(ANN, "Subject: pushed\r\n\r\n");
    client.expect("* 3 EXISTS").await;
    client.expect("* 0 RECENT").await;
    client.say("DONE").await;
    client.expect("f OK IDLE completed.").await;
    client.say("g STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    client.expect("g OK STORE completed.").await;
    client.say("h EXPUNGE").await;
    client.expect("* 1 EXPUNGE").await;
    client.expect("* 1 EXPUNGE").await;
    client.expect("h OK EXPUNGE completed.").await;
    client.say("i LOGOUT").await;
    client.expect("* BYE {…}").await;
    client.expect("i OK LOGOUT completed.").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_refused() {
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let issuer = authority.issuer();
    let (token, _) = issuer.mint(APP.0, APP.1);
    let claims = issuer.verify(&token).unwrap();
    issuer.revoke(&claims.jti);
    assert_eq!(issuer.verify(&token).unwrap_err(), Invalid::Revoked);
    assert_eq!(issuer.verify("nonsense").unwrap_err(), Invalid::Foreign);
}

#[tokio::test]
async fn a_submitted_message_arrives_to_the_byte() {
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let exchange = Exchange::start(&certs, &authority);
    exchange.mailboxes().create(ANN);
    let (token, _) = authority.issuer().mint(APP.0, APP.1);

    let mut client = Client::connect(exchange.smtp.addr()).await;
    client.expect("220 {…}").await;
    client.say("EHLO test").await;
    client.until("250 SMTPUTF8").await;
    client.say("STARTTLS").await;
    client.expect("220 2.0.0 SMTP server ready").await;
    let mut client = client.start_tls(&certs.connector()).await;
    client.say("EHLO test").await;
    let lines = client.until("250 SMTPUTF8").await;
    assert!(lines.contains(&"250-AUTH LOGIN XOAUTH2".to_owned()), "{lines:?}");
    client.say("AUTH XOAUTH2").await;
    client.expect("334 ").await;
    client.say(&xoauth2(ANN, &token)).await;
    client.expect("235 2.7.0 Authentication successful").await;
    client.send("MAIL FROM:<ann@example.com> SIZE=20\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n").await;
    client.expect("250 2.1.0 Sender OK").await;
    client.expect("250 2.1.5 Recipient OK").await;
    client.expect("354 {…}").await;
    client.send("Subject: x\r\n\r\n..dot\r\n.\r\n").await;
    client.expect("250 2.0.0 OK {…}").await;
    client
        .send(
            "MAIL FROM:<ann@example.com>\r\nRCPT TO:<ann@example.com>\r\nBDAT 4\r\nabc\nBDAT 2 LAST\r\n\r\n",
        )
        .await;
    client.until("250 2.0.0 OK {…}").await;
    let sent: Vec<Vec<u8>> = exchange.sent().into_iter().map(|sent| sent.message).collect();
    assert_eq!(sent, [b"Subject: x\r\n\r\n.dot\r\n".to_vec(), b"abc\n\r\n".to_vec()]);
    assert_eq!(exchange.mailboxes().messages(ANN, "INBOX").len(), 2);
}

#[tokio::test]
async fn mail_is_fetched_by_pop3() {
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let exchange = Exchange::start(&certs, &authority);
    exchange.mailboxes().create(ANN);
    exchange.mailboxes().deliver(ANN, "Subject: one\r\n\r\n.dot\r\nlast");
    exchange.mailboxes().deliver(ANN, "Subject: two\r\n\r\n");
    let (token, _) = authority.issuer().mint(APP.0, APP.1);

    let mut client = Client::connect(exchange.pop3.addr()).await;
    client.expect("+OK The Microsoft Exchange POP3 service is ready. {…}").await;
    client.say("CAPA").await;
    assert!(client.until(".").await.contains(&"STLS".to_owned()));
    client.say("AUTH XOAUTH2").await;
    client.expect("-ERR Protocol error. 14").await;
    client.say("STLS").await;
    client.expect("+OK Begin TLS negotiation.").await;
    let mut client = client.start_tls(&certs.connector()).await;
    client.say(&format!("AUTH XOAUTH2 {}", xoauth2(ANN, &token))).await;
    client.expect("-ERR {…}").await;
    for (shown, answer) in [("nonsense", "-ERR Authentication failure: {…}"), (&token, "+OK User {…}")] {
        client.say("AUTH XOAUTH2").await;
        client.expect("+ ").await;
        client.say(&xoauth2(ANN, shown)).await;
        client.expect(answer).await;
    }
    client.say("LIST").await;
    assert_eq!(client.until(".").await, ["+OK 2 42", "1 26", "2 16", "."]);
    client.say("RETR 1").await;
    assert_eq!(client.until(".").await, ["+OK", "Subject: one", "", "..dot", "last", "."]);
    client.say("TOP 1 1").await;
    assert_eq!(client.until(".").await, ["+OK", "Subject: one", "", "..dot", "."]);
    client.send("DELE 1\r\nSTAT\r\nRETR 1\r\nRSET\r\nSTAT\r\nDELE 2\r\nUIDL 1\r\nNOOP\r\n").await;
    for answer in ["+OK", "+OK 1 16", "-ERR {…}", "+OK", "+OK 2 42", "+OK", "+OK 1 AAMk{…}", "+OK"] {
        client.expect(answer).await;
    }
    assert_eq!(exchange.mailboxes().messages(ANN, "INBOX").len(), 2);
    client.say("QUIT").await;
    client.expect("+OK {…}").await;
    client.expect_end().await;
    let left = exchange.mailboxes().messages(ANN, "INBOX");
    assert_eq!(left.iter().map(|message| message.uid).collect::<Vec<_>>(), [1]);
}
