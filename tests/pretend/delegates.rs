//! Delegated tokens before the pretend Exchange.

use crate::{
    harness::{
        client::{Client, xoauth2},
        exchange::Exchange,
    },
    lab::{ALICE, Lab, text},
};

const SHARED: &str = "info@contoso.com";
const BOB: &str = "bob@contoso.com";

fn lab_with_mailboxes() -> (Lab, Exchange) {
    let lab = Lab::new();
    let exchange = Exchange::start(&lab.certs, &lab.authority);
    for user in [ALICE, BOB, SHARED] {
        exchange.mailboxes().create(user);
    }
    exchange.mailboxes().share(SHARED, ALICE);
    (lab, exchange)
}

async fn imap(lab: &Lab, exchange: &Exchange, user: &str, token: &str) -> [String; 2] {
    let mut client = Client::connect_tls(exchange.imaps.addr(), &lab.certs.connector()).await;
    client.expect("* OK {…}").await;
    client.say(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2(user, token))).await;
    let login = client.line().await;
    client.say("b SELECT INBOX").await;
    [login, client.until("b {…}").await.pop().expect("there is a last line")]
}

async fn smtp(lab: &Lab, exchange: &Exchange, user: &str, token: &str) -> (Client, String) {
    let mut client = Client::connect_tls(exchange.smtps.addr(), &lab.certs.connector()).await;
    client.expect("220 {…}").await;
    client.say("EHLO test").await;
    client.until("250 {…}").await;
    client.say(&format!("AUTH XOAUTH2 {}", xoauth2(user, token))).await;
    let reply = client.line().await;
    (client, reply)
}

#[tokio::test]
async fn a_person_opens_their_own_mailbox_and_those_shared_with_them() {
    let (lab, exchange) = lab_with_mailboxes();
    let body = lab.consent().await;
    let token = text(&body, "access_token");
    for user in ["Alice@contoso.com", SHARED] {
        let [login, select] = imap(&lab, &exchange, user, token).await;
        assert_eq!(login, "a OK AUTHENTICATE completed.", "{user}");
        assert_eq!(select, "b OK [READ-WRITE] SELECT completed.", "{user}");
    }
    for user in [BOB, "nobody@contoso.com"] {
        let [login, select] = imap(&lab, &exchange, user, token).await;
        assert_eq!(login, "a OK AUTHENTICATE completed.", "{user}");
        assert_eq!(select, "b BAD User is authenticated but not connected.", "{user}");
    }
}

#[tokio::test]
async fn a_person_logs_in_to_smtp_as_themselves_and_sends_as_those_who_share() {
    let (lab, exchange) = lab_with_mailboxes();
    let body = lab.consent().await;
    let token = text(&body, "access_token");
    for user in [SHARED, BOB] {
        let (_, reply) = smtp(&lab, &exchange, user, token).await;
        assert!(reply.starts_with("535 5.7.3 Authentication unsuccessful ["), "{user}: {reply}");
    }
    let (mut client, reply) = smtp(&lab, &exchange, ALICE, token).await;
    assert_eq!(reply, "235 2.7.0 Authentication successful");
    for (from, end) in [(ALICE, "250 2.0.0 OK {…}"), (SHARED, "250 2.0.0 OK {…}"), (BOB, "550 5.7.60 {…}")]
    {
        client.send(format!("MAIL FROM:<{from}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n")).await;
        client.until("354 {…}").await;
        client.send("Subject: x\r\n\r\n.\r\n").await;
        client.expect(end).await;
    }
    assert_eq!(exchange.sent().len(), 2);
}

#[tokio::test]
async fn a_token_without_the_permission_or_for_another_audience_is_refused() {
    let (lab, exchange) = lab_with_mailboxes();
    lab.authority.shape(|shape| shape.scp = Some(vec!["SMTP.Send".to_owned()]));
    let body = lab.consent().await;
    let token = text(&body, "access_token");
    assert_eq!(imap(&lab, &exchange, ALICE, token).await[0], "a NO AUTHENTICATE failed.");
    assert!(smtp(&lab, &exchange, ALICE, token).await.1.starts_with("235 "));

    lab.authority.shape(|shape| shape.audience = Some("https://graph.microsoft.com".to_owned()));
    let body = lab.consent().await;
    let (_, reply) = smtp(&lab, &exchange, ALICE, text(&body, "access_token")).await;
    assert!(reply.starts_with("535 5.7.3 "), "{reply}");
}

#[tokio::test]
async fn an_opaque_token_is_as_good_as_any_until_it_is_taken_back() {
    let (lab, exchange) = lab_with_mailboxes();
    lab.authority.shape(|shape| shape.opaque = true);
    let body = lab.consent().await;
    let token = text(&body, "access_token");
    assert_eq!(imap(&lab, &exchange, ALICE, token).await[0], "a OK AUTHENTICATE completed.");
    lab.authority.issuer().revoke(&exchange.attempts()[0].jti);
    assert_eq!(imap(&lab, &exchange, ALICE, token).await[0], "a NO AUTHENTICATE failed.");
}
