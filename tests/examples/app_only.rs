//! Examples in which the app opens the mailboxes by itself.

use std::{fs, net::SocketAddr, process::Command};

use tokio::net::TcpSocket;

use crate::{
    example::{Example, hand_in, imap, imap_refusal, letter, send, subjects},
    harness::{certs::Identity, client::Client},
    island::{Island, on},
};

const IMAP: &str = "127.0.0.1:1143";
const SMTP: &str = "127.0.0.1:1587";

#[test]
fn app_only_poller() {
    on("app_only::app_only_poller", async |island| {
        let example = Example::copied(&island, "app-only-poller", &[("TICKETS_SECRET", "the secret")]);
        example.registration(|app| app.secret("the secret"));
        let mailbox = "support@contoso.com";
        for subject in ["first", "second"] {
            island.exchange.mailboxes().deliver(mailbox, letter(subject));
        }
        let _bridge = example.serve();

        let mut client = imap(IMAP, mailbox, "password-1").await;
        assert_eq!(subjects(&mut client).await, ["first", "second"]);
        client.say("d STORE 1 +FLAGS (\\Deleted)").await;
        client.until("d OK {…}").await;
        client.say("e EXPUNGE").await;
        client.until("e OK {…}").await;
        assert_eq!(subjects(&mut client).await, ["second"]);
        assert_eq!(island.exchange.mailboxes().messages(mailbox, "INBOX").len(), 1);

        send(SMTP, mailbox, "password-1", mailbox).await;
        let sent = island.exchange.sent();
        assert_eq!((sent[0].user.as_str(), sent[0].to[0].as_str()), (mailbox, "customer@example.net"));

        imap_refusal(IMAP, mailbox, "password-2").await;
        let request = example.only_request("client_credentials");
        assert_eq!(request.form["client_secret"], "the secret");
    });
}

/// A connection from one of this machine's addresses.
async fn from(address: &str, to: &str) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    Client::on(socket.connect(to.parse::<SocketAddr>().unwrap()).await.unwrap())
}

/// The commands of a comment, run as a person runs them who copies them.
fn run_the_commands_of_the_comment(example: &Example) {
    let text = fs::read_to_string(example.folder.join("footbridge.toml")).unwrap();
    let commands: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert!(commands.contains("openssl req"), "{commands}");
    let ran = Command::new("sh").args(["-euc", &commands]).current_dir(&example.folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn certificate() {
    on("app_only::certificate", async |island| {
        let example = Example::copied(&island, "certificate", &[]);
        run_the_commands_of_the_comment(&example);
        let read = |name: &str| fs::read_to_string(example.folder.join(name)).unwrap();
        let identity = Identity::read(&read("app.pem"), &read("app.key"));
        example.registration(|app| app.certificate(&identity));
        let _bridge = example.serve();

        imap(IMAP, "scanner@contoso.com", "password-1").await;
        send(SMTP, "scanner@contoso.com", "password-1", "scanner@contoso.com").await;
        let request = example.only_request("client_credentials");
        assert!(!request.form["client_assertion"].is_empty() && !request.form.contains_key("client_secret"));

        let alice = "alice@contoso.com";
        let refusal = imap_refusal(IMAP, alice, "password-2").await;
        assert!(refusal.contains("authorize"), "{refusal}");
        let running = example.spawn(&["authorize", alice]);
        let code = running.wait_for_stdout(|line| line.starts_with("    ") && line.trim().len() > 5);
        island.authority.approve_device(code.trim(), alice);
        let _ = running.wait().expect(0);
        imap(IMAP, alice, "password-2").await;
        send(SMTP, alice, "password-2", alice).await;
        assert!(!example.only_request("device_code").form["client_assertion"].is_empty());
    });
}

#[test]
fn one_app_many_mailboxes() {
    on("app_only::one_app_many_mailboxes", async |island| {
        let (imap_at, smtp_at) = ("10.20.0.5:1143", "10.20.0.5:1587");
        Island::address("10.20.0.5/24");
        Island::address("10.30.0.9/32");
        let example = Example::copied(&island, "one-app-many-mailboxes", &[("SHOP_SECRET", "the secret")]);
        example.registration(|app| app.secret("the secret"));
        let mailboxes = island.exchange.mailboxes();
        for owner in ["orders", "newsletter", "returns", "claims", "reviews", "boss"] {
            let mailbox = format!("{owner}@contoso.com");
            mailboxes.create(&mailbox);
            mailboxes.deliver(&mailbox, letter(&format!("for {owner}")));
        }
        let _bridge = example.serve();

        // Each login opens its own mailbox, and with its own password alone.
        for (login, password, owner) in [
            ("orders", "password-1", "orders"),
            ("orders@contoso.com", "password-1", "orders"),
            ("returns@contoso.com", "password-3", "returns"),
            ("claims@contoso.com", "password-3", "claims"),
            ("reviews@contoso.com", "password-3", "reviews"),
        ] {
            let mut client = imap(imap_at, login, password).await;
            assert_eq!(subjects(&mut client).await, [format!("for {owner}")]);
        }
        for (login, password) in [
            ("boss@contoso.com", "password-3"),
            ("orders@contoso.com", "password-3"),
            ("claims@contoso.com", "password-1"),
            ("newsletter@contoso.com", "password-2"),
        ] {
            imap_refusal(imap_at, login, password).await;
        }
        send(smtp_at, "newsletter@contoso.com", "password-2", "newsletter@contoso.com").await;
        assert_eq!(island.exchange.sent()[0].user, "newsletter@contoso.com");
        // One token opens them all.
        example.only_request("client_credentials");

        let mut stranger = from("10.30.0.9", imap_at).await;
        let reply = stranger.imap_login("orders", "password-1").await;
        assert!(reply.starts_with("in NO "), "another network gets in: {reply}");
    });
}

#[test]
fn sidecar() {
    on("app_only::sidecar", async |island| {
        let example = Example::copied(
            &island,
            "sidecar",
            &[
                ("TENANT", "contoso.onmicrosoft.com"),
                ("CLIENT_ID", "33333333-3333-4333-8333-333333333333"),
                ("CLIENT_SECRET", "the secret"),
                ("MAILBOX", "staging@contoso.com"),
                ("MAIL_PASSWORD", "what the application has as well"),
            ],
        );
        example.registration(|app| app.secret("the secret"));
        island.exchange.mailboxes().deliver("staging@contoso.com", letter("for staging"));
        let _bridge = example.serve();
        let mut client = imap(IMAP, "mail", "what the application has as well").await;
        assert_eq!(subjects(&mut client).await, ["for staging"]);
        send(SMTP, "mail", "what the application has as well", "staging@contoso.com").await;
        assert_eq!(island.exchange.sent()[0].user, "staging@contoso.com");
        assert_eq!(
            example.only_request("client_credentials").form["client_id"],
            "33333333-3333-4333-8333-333333333333"
        );
        imap_refusal(IMAP, "mail", "another password").await;
    });
}

#[test]
fn printer() {
    on("app_only::printer", async |island| {
        let (smtp_at, printers) = ("10.1.2.1:2525", "printers@contoso.com");
        Island::address("10.1.2.1/24");
        for device in ["10.1.2.3/32", "10.1.2.4/32", "10.1.2.5/32"] {
            Island::address(device);
        }
        let example = Example::copied(&island, "printer", &[("DEVICES_SECRET", "the secret")]);
        example.registration(|app| app.secret("the secret"));
        let _bridge = example.serve();

        for device in ["10.1.2.3", "10.1.2.4"] {
            let mut client = from(device, smtp_at).await;
            client.expect("220 {…}").await;
            client.say("HELO scanner").await;
            client.expect("250 {…}").await;
            hand_in(&mut client, printers).await;
        }
        let sent = island.exchange.sent();
        assert_eq!(sent.iter().map(|sent| sent.user.as_str()).collect::<Vec<_>>(), [printers, printers]);

        // Not as somebody else, and not from elsewhere.
        for (device, sender, refusal) in
            [("10.1.2.3", "boss@contoso.com", "550 5.7.1 {…}"), ("10.1.2.5", printers, "530 5.7.0 {…}")]
        {
            let mut client = from(device, smtp_at).await;
            client.expect("220 {…}").await;
            client.say("HELO scanner").await;
            client.expect("250 {…}").await;
            client.say(&format!("MAIL FROM:<{sender}>")).await;
            client.expect(refusal).await;
        }
        let mut copier = from("10.1.2.5", smtp_at).await;
        let reply = copier.smtp_login("copier@contoso.com", "password-1").await;
        assert!(reply.starts_with("235 "), "{reply}");
        hand_in(&mut copier, "copier@contoso.com").await;
        assert_eq!(island.exchange.sent().len(), 3);
    });
}
