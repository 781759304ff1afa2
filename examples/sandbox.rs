//! A bridge to play with: `cargo run --release --example sandbox`.
//!
//! Starts a pretend token authority and a pretend Exchange Online on 127.0.0.1, writes a
//! configuration that leads to them into a temporary folder, and runs the real bridge in front.
//! Nothing leaves the machine, and nothing is left behind.

#![allow(clippy::print_stdout, reason = "this is a conversation with a person")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use footbridge::{
    app::{App, Stop, logging},
    config,
    ids::ProtocolKind,
};
use harness::{authority::Authority, certs::Certs, config::Config, exchange::Exchange};

const LOGIN: &str = "scanner@contoso.com";
const PASSWORD: &str = "legacy-password";

const WELCOME: &str = "From: Footbridge <footbridge@contoso.com>\r\n\
    To: Scanner <scanner@contoso.com>\r\n\
    Subject: You have crossed the bridge\r\n\
    Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\
    \r\n\
    You logged in with a password, and the mailbox saw an access token.\r\n";

const LETTER: &str = "From: Scanner <scanner@contoso.com>\r\n\
    To: Scanner <scanner@contoso.com>\r\n\
    Subject: Scanned by hand\r\n\
    \r\n\
    This went out through the bridge and came back.\r\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let certs = Certs::new();
    let authority = Authority::start(&certs);
    let exchange = Exchange::start(&certs, &authority);
    exchange.mailboxes().create(LOGIN);
    exchange.mailboxes().deliver(LOGIN, WELCOME);

    let folder = Config::new(&authority, &exchange)
        .bind("imap", &free_or_any(1143))
        .bind("smtp", &free_or_any(1587))
        .pop3(exchange.endpoint("pop3", false))
        .bind("pop3", &free_or_any(1110))
        .account(LOGIN, PASSWORD)
        .write(&certs);
    let letter = folder.path().join("letter.eml");
    std::fs::write(&letter, LETTER)?;

    let path = folder.path().join("footbridge.toml");
    let loaded = config::load(&path).map_err(|mistakes| mistakes.to_string())?;
    let (config, _) = loaded.hash_plain_passwords().await.map_err(|mistakes| mistakes.to_string())?;
    let stop = Stop::default();
    let app = App::build(&path, config, stop.clone()).await?;
    introduce(&app, folder.path(), &letter);
    let _writing =
        logging::start(logging::Format::Text, tracing::Level::INFO).map_err(|error| error.to_string())?;

    tokio::select! {
        () = app.run() => (),
        () = until_interrupted(stop) => (),
    }
    println!("\nGone, and {} with it.", folder.path().display());
    Ok(())
}

/// The first Ctrl-C lets sessions finish, the second one does not.
async fn until_interrupted(stop: Stop) {
    for press in [&stop.gently, &stop.now] {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        press.cancel();
    }
    std::future::pending::<()>().await;
}

fn introduce(app: &App, folder: &Path, letter: &Path) {
    let addr = |wanted| app.addresses().find(|(kind, _)| *kind == wanted).map(|(_, addr)| addr.to_string());
    let imap = addr(ProtocolKind::Imap).unwrap_or_default();
    let smtp = addr(ProtocolKind::Smtp).unwrap_or_default();
    let pop3 = addr(ProtocolKind::Pop3).unwrap_or_default();
    let letter = letter.display();
    println!(
        "\
Footbridge is running, with a pretend Exchange Online behind it.

  IMAP  {imap}      login     {LOGIN}
  SMTP  {smtp}      password  {PASSWORD}
  POP3  {pop3}

List the folders, read the first message, send one, find it in the inbox, and fetch it by POP3:

  curl -u {LOGIN}:{PASSWORD} imap://{imap}/
  curl -u {LOGIN}:{PASSWORD} 'imap://{imap}/INBOX;MAILINDEX=1'
  curl -u {LOGIN}:{PASSWORD} smtp://{smtp} --mail-from {LOGIN} --mail-rcpt {LOGIN} -T {letter}
  curl -u {LOGIN}:{PASSWORD} 'imap://{imap}/INBOX;MAILINDEX=2'
  curl -u {LOGIN}:{PASSWORD} pop3://{pop3}/2

The configuration is in {folder}. Ctrl-C ends it all.
",
        folder = folder.display()
    );
}

/// The port that people expect, where nobody else has it.
fn free_or_any(port: u16) -> String {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let port = if TcpListener::bind(wanted).is_ok() { port } else { 0 };
    format!("127.0.0.1:{port}")
}
