//! Examples in which people consent.

use std::collections::BTreeSet;

use crate::{
    example::{Example, imap, imap_refusal, letter, send, subjects},
    harness::{authority::Challenge, client::Client},
    island::on,
};

const IMAP: &str = "127.0.0.1:1143";
const SMTP: &str = "127.0.0.1:1587";
const POP3: &str = "127.0.0.1:1110";
const ALICE: &str = "alice@contoso.com";
const INFO: &str = "info@contoso.com";

#[test]
fn consent_in_the_browser() {
    on("people::consent_in_the_browser", async |island| {
        let example = Example::copied(&island, "consent-in-the-browser", &[("OFFICE_SECRET", "the secret")]);
        example.registration(|app| app.secret("the secret").redirect("http://localhost:8025"));
        island.exchange.mailboxes().share(INFO, ALICE);
        for mailbox in [ALICE, INFO] {
            island.exchange.mailboxes().deliver(mailbox, letter(mailbox));
        }
        let _bridge = example.serve();

        let refusal = imap_refusal(IMAP, ALICE, "password-1").await;
        assert!(refusal.contains("8025"), "the console is named: {refusal}");
        example.consent(ALICE).await;
        let asked = island.authority.authorizations().remove(0);
        assert_eq!(asked["redirect_uri"], "http://localhost:8025");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(example.only_request("authorization_code").form["client_secret"], "the secret");

        for (login, password) in [(ALICE, "password-1"), (INFO, "password-2")] {
            let mut client = imap(IMAP, login, password).await;
            assert_eq!(subjects(&mut client).await, [login]);
            send(SMTP, login, password, login).await;
        }
        let users: Vec<_> = island.exchange.sent().into_iter().map(|sent| (sent.user, sent.from)).collect();
        assert_eq!(users, [(ALICE.into(), ALICE.into()), (ALICE.into(), INFO.into())]);
    });
}

#[test]
fn fixed_redirect_port() {
    on("people::fixed_redirect_port", async |island| {
        let (sales, password) = ("sales@contoso.com", "password-1");
        let example = Example::copied(&island, "fixed-redirect-port", &[("CRM_SECRET", "the secret")]);
        example.registration(|app| {
            app.secret("the secret").redirect("http://localhost:3017/").challenges(&[Challenge::Absent])
        });
        island.exchange.mailboxes().deliver(sales, letter("an offer"));
        let _bridge = example.serve();
        let nobody = "nobody listens there before and after";
        assert!(tokio::net::TcpStream::connect("127.0.0.1:3017").await.is_err(), "{nobody}");
        example.consent(sales).await;
        assert!(tokio::net::TcpStream::connect("127.0.0.1:3017").await.is_err(), "{nobody}");

        let asked = island.authority.authorizations().remove(0);
        assert_eq!(asked["redirect_uri"], "http://localhost:3017/");
        assert!(!asked.keys().any(|key| key.starts_with("code_challenge")), "{asked:?}");
        let scopes: BTreeSet<_> = asked["scope"].split(' ').collect();
        let mail = ["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"];
        let mail = mail.map(|scope| format!("https://outlook.office.com/{scope}"));
        let own = ["openid", "profile", "offline_access"];
        assert_eq!(scopes, mail.iter().map(String::as_str).chain(own).collect());
        assert!(!example.only_request("authorization_code").form.contains_key("code_verifier"));

        let mut client = imap(IMAP, sales, password).await;
        assert_eq!(subjects(&mut client).await, ["an offer"]);
        send(SMTP, sales, password, sales).await;
        let mut client = Client::connect(POP3.parse().unwrap()).await;
        let reply = client.pop3_login(sales, password).await;
        assert!(reply.starts_with("+OK"), "{reply}");
        client.say("STAT").await;
        client.expect("+OK 1 {…}").await;
    });
}

#[test]
fn shared_mailbox() {
    on("people::shared_mailbox", async |island| {
        let (bob, orders) = ("bob@contoso.com", "orders@contoso.com");
        let example = Example::copied(&island, "shared-mailbox", &[("OFFICE_SECRET", "the secret")]);
        example.registration(|app| app.secret("the secret"));
        let mailboxes = island.exchange.mailboxes();
        for person in [ALICE, bob] {
            mailboxes.create(person);
        }
        mailboxes.share(INFO, ALICE);
        mailboxes.share(orders, ALICE);
        for mailbox in [INFO, orders] {
            mailboxes.deliver(mailbox, letter(mailbox));
        }
        let _bridge = example.serve();

        // Who may not open the mailbox does not become the one who opens it.
        island.authority.signs_in(bob);
        let running = example.spawn(&["authorize", INFO, "--no-browser"]);
        let url = running.wait_for_stdout(|line| line.starts_with("https://"));
        let page = island.browser().open(&url).await;
        assert!(page.body.contains(ALICE), "whom to sign in as is said: {}", page.body);
        let _ = running.wait().expect(1);
        imap_refusal(IMAP, INFO, "password-1").await;

        // One consent of hers opens both.
        example.consent(INFO).await;
        for (login, password, mailbox) in [(INFO, "password-1", INFO), ("orders", "password-2", orders)] {
            let mut client = imap(IMAP, login, password).await;
            assert_eq!(subjects(&mut client).await, [mailbox]);
            send(SMTP, login, password, mailbox).await;
        }
        let sent: Vec<_> = island.exchange.sent().into_iter().map(|sent| (sent.user, sent.from)).collect();
        assert_eq!(sent, [(ALICE.into(), INFO.into()), (ALICE.into(), orders.into())]);
        // Bob's and hers.
        assert_eq!(island.authority.requests_of("authorization_code").get(), 2);
    });
}
