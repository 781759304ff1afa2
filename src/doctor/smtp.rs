//! A submission line that was opened, by lettre: it takes commands, and a test message.

use std::{future::Future, iter, time::SystemTime};

use lettre::{
    Address, Message,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error, client::AsyncSmtpConnection, commands::Noop, extension::ClientId, response::Response,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Errand, Trial,
    handover::{Answer, Handover},
    line::LoggedIn,
    notes::Notes,
    report::Step,
};
use crate::{
    explain::upstream::{declined, scrubbed},
    failure::{Explanation, printable},
    net::conn::Conn,
    policy::timing,
};

/// What is sent as whom, and when.
pub(super) struct Letter<'a> {
    pub(super) errand: &'a Errand,
    pub(super) from: &'a str,
    pub(super) now: SystemTime,
}

/// Sees that the line takes commands, and sends the test message where one is wanted: whether it was sent.
pub(super) async fn examine(
    (conn, welcome): LoggedIn,
    trial: &Trial,
    letter: Option<Letter<'_>>,
    notes: &Notes,
) -> bool {
    let began = Instant::now();
    let endpoint = trial.endpoint.to_string();
    let offers = welcome.capabilities.map(|list| list.0).unwrap_or_default();
    let found = if offers.is_empty() {
        "takes commands".to_owned()
    } else {
        format!("takes commands: {}", offers.join(", "))
    };
    let mut line = match in_time(taken_over(conn, offers)).await {
        Ok(line) => line,
        Err(said) => {
            notes.failed(Step::Session, began, declined(&endpoint, "take commands", &said, None)).await;
            return false;
        }
    };
    notes.found(Step::Session, began, scrubbed(&found)).await;
    let sent = match letter {
        Some(letter) => send(&mut line, &letter, &endpoint, notes).await,
        None => false,
    };
    let _ = timeout_at(Instant::now() + timing::FAREWELL, line.quit()).await;
    sent
}

/// Hands the line over with what the server has said to the EHLO before the login, and says NOOP.
async fn taken_over(conn: Conn, offers: Vec<String>) -> Result<AsyncSmtpConnection, Error> {
    let lines: Vec<_> = iter::once("localhost".to_owned()).chain(offers).collect();
    let reply = lines.iter().enumerate().fold(String::new(), |reply, (at, line)| {
        let mark = if at + 1 == lines.len() { ' ' } else { '-' };
        reply + &format!("250{mark}{line}\r\n")
    });
    let line = Handover::new(conn, "220 logged in\r\n", Answer::Plain(reply));
    let name = ClientId::Domain("localhost".to_owned());
    let mut line = AsyncSmtpConnection::connect_with_transport(Box::new(line), &name).await?;
    line.command(Noop).await?;
    Ok(line)
}

async fn send(line: &mut AsyncSmtpConnection, letter: &Letter<'_>, endpoint: &str, notes: &Notes) -> bool {
    let began = Instant::now();
    let to = &letter.errand.to;
    let message = match letter.write() {
        Ok(message) => message,
        Err(why) => {
            notes.failed(Step::Send, began, why).await;
            return false;
        }
    };
    match in_time(line.send(message.envelope(), &message.formatted())).await {
        Ok(response) => {
            let found = format!("accepted for {to}: {}", words(&response));
            notes.found(Step::Send, began, found).await;
            true
        }
        Err(said) => {
            let what = format!("take the message from {} to {to}", letter.from);
            notes.failed(Step::Send, began, declined(endpoint, &what, &said, None)).await;
            false
        }
    }
}

impl Letter<'_> {
    fn write(&self) -> Result<Message, Explanation> {
        let address = |text: &str| {
            let no_address =
                |error| Explanation::new(format!("{text} is no mail address: {error}"), "name one that is");
            text.parse::<Address>().map(|address| Mailbox::new(None, address)).map_err(no_address)
        };
        let (from, to) = (address(self.from)?, address(&self.errand.to)?);
        let body = format!(
            "This is a test message of footbridge doctor, sent as {} to see whether mail gets through.\r\n\
             Nobody has to do anything about it.\r\n",
            self.from
        );
        let message = Message::builder()
            .message_id(Some(format!("<{}@{}>", self.errand.code, from.email.domain())))
            .from(from)
            .to(to)
            .date(self.now)
            .subject(format!("Footbridge test message {}", self.errand.code))
            .header(ContentType::TEXT_PLAIN)
            .body(body);
        message.map_err(|error| Explanation::new(format!("the test message cannot be written: {error}"), ""))
    }
}

fn words(response: &Response) -> String {
    let text: Vec<_> = response.message().collect();
    scrubbed(&printable(&format!("{} {}", response.code(), text.join(" "))))
}

/// Waits as long as an answer may take.
async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match timeout_at(Instant::now() + timing::UPSTREAM_LOGIN, answer).await {
        Ok(answered) => answered.map_err(|error| said(&error)),
        Err(_) => Err("no answer in time: connection lost".to_owned()),
    }
}

/// The server's own words, else those of the library.
fn said(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => format!("{code} {source}"),
        None => format!("connection lost: {source}"),
    }
}
