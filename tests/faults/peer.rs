//! A mail server that follows its protocol but for what it is told to say otherwise.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use tokio_rustls::TlsAcceptor;

use crate::harness::{door::Door, wire::Wire};

/// A mail server behind implicit TLS, or behind nothing where there is no acceptor.
pub(crate) struct Peer {
    door: Door,
    tls: bool,
}

/// What is said to which command, where it is not what everybody says: the command's first word, and a reply with
/// `{tag}` in it. `GREETING` is the greeting and `TOKEN` the line with the token. A reply that ends with `{end}` is
/// the last one.
type Said = &'static [(&'static str, &'static str)];

impl Peer {
    /// One that speaks `protocol`.
    pub(crate) fn speaking(protocol: &'static str, acceptor: Option<TlsAcceptor>, said: Said) -> Self {
        let said: Arc<HashMap<_, _>> = Arc::new(said.iter().copied().collect());
        let tls = acceptor.is_some();
        let door = Door::open(move |stream, _| {
            let (acceptor, said) = (acceptor.clone(), Arc::clone(&said));
            async move {
                let wire = Wire::new(stream);
                let wire = match acceptor {
                    Some(acceptor) => wire.accept_tls(&acceptor).await,
                    None => Ok(wire),
                };
                // Who leaves in the middle has its reasons.
                if let Ok(wire) = wire {
                    let _ = serve(protocol, wire, &said).await;
                }
            }
        });
        Self { door, tls }
    }

    /// Where it is, as a configuration says it.
    pub(crate) fn endpoint(&self) -> (SocketAddr, &'static str) {
        (self.door.addr(), if self.tls { "implicit" } else { "none" })
    }
}

async fn serve(protocol: &str, mut wire: Wire, said: &HashMap<&str, &str>) -> io::Result<()> {
    if !say(&mut wire, "", said.get("GREETING").copied().unwrap_or(greeting(protocol))).await? {
        return wire.part().await;
    }
    let mut within = Within::Commands;
    while let Some(line) = wire.line().await? {
        let line = String::from_utf8_lossy(&line).into_owned();
        let (tag, command) = match protocol {
            "imap" => line.split_once(' ').unwrap_or((&line, "")),
            _ => ("", line.as_str()),
        };
        let word = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let (word, next) = match within {
            Within::Token => ("TOKEN", Within::Commands),
            Within::Message if line == "." => (".", Within::Commands),
            Within::Message => continue,
            Within::Commands => (word.as_str(), Within::after(protocol, &word)),
        };
        // A mailbox is opened for looking, and a message fetched without counting first.
        let word = match word {
            "EXAMINE" => "SELECT",
            "RETR" => "STAT",
            word => word,
        };
        let reply = said.get(word).copied().unwrap_or_else(|| usual(protocol, word));
        within = if reply.starts_with(['4', '5', '-']) { Within::Commands } else { next };
        if !say(&mut wire, tag, reply).await? {
            return wire.part().await;
        }
    }
    Ok(())
}

/// What the next line is part of.
#[derive(Clone, Copy)]
enum Within {
    Commands,
    Token,
    Message,
}

impl Within {
    fn after(protocol: &str, word: &str) -> Self {
        match (protocol, word) {
            ("smtp" | "pop3", "AUTH") => Self::Token,
            ("smtp", "DATA") => Self::Message,
            _ => Self::Commands,
        }
    }
}

/// Says something; false where it was the last.
async fn say(wire: &mut Wire, tag: &str, reply: &str) -> io::Result<bool> {
    let text = reply.replace("{tag}", tag);
    let (text, goes_on) = text.strip_suffix("{end}").map_or((text.as_str(), true), |text| (text, false));
    if !text.is_empty() {
        wire.send(format!("{text}\r\n")).await?;
    }
    Ok(goes_on)
}

fn greeting(protocol: &str) -> &'static str {
    match protocol {
        "imap" => "* OK The Microsoft Exchange IMAP4 service is ready.",
        "pop3" => "+OK The Microsoft Exchange POP3 service is ready.",
        _ => "220 peer.example.test Microsoft ESMTP MAIL Service ready",
    }
}

fn usual(protocol: &str, word: &str) -> &'static str {
    match (protocol, word) {
        ("imap", "CAPABILITY") => {
            "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n{tag} OK CAPABILITY completed."
        }
        ("imap", "AUTHENTICATE") => "{tag} OK AUTHENTICATE completed.",
        ("imap", "LOGOUT") => "* BYE\r\n{tag} OK LOGOUT completed.{end}",
        ("imap", _) => "{tag} OK done.",
        ("pop3", "AUTH") => "+ ",
        ("pop3", "TOKEN") => "+OK User successfully authenticated.",
        ("pop3", "STAT") => "+OK 0 0",
        ("pop3", "QUIT") => "+OK{end}",
        ("pop3", _) => "+OK",
        ("smtp", "EHLO") => "250-peer.example.test\r\n250-AUTH LOGIN XOAUTH2\r\n250 SIZE 157286400",
        ("smtp", "AUTH") => "334 ",
        ("smtp", "TOKEN") => "235 2.7.0 Authentication successful",
        ("smtp", "DATA") => "354 Start mail input; end with <CRLF>.<CRLF>",
        ("smtp", "QUIT") => "221 2.0.0 Service closing transmission channel{end}",
        _ => "250 2.1.0 OK",
    }
}
