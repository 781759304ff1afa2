//! An IMAP mailbox that was opened, by async-imap: how much is in its INBOX, and what arrives there.

use std::time::Duration;

use async_imap::{Client, Session, error::Error};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Trial,
    handover::{Answer, Handover, Heard},
    notes::Notes,
    report::Step,
};
use crate::{
    dialogue::Protocol as _, explain::upstream::declined, failure::Explanation, imap::Imap, net::conn::Conn,
    policy::timing,
};

/// How often an INBOX is looked into for what shall arrive.
const LOOKS: Duration = Duration::from_secs(2);

/// How often somebody is told that it has not.
const TELLS: Duration = Duration::from_secs(6);

/// An INBOX that is open to be read.
pub(super) struct Inbox {
    session: Session<Handover>,
    heard: Heard,
    endpoint: String,
}

/// Opens INBOX to be read only; `None` where it does not open, which has been noted.
pub(super) async fn examine(conn: Conn, trial: &Trial, notes: &Notes) -> Option<Inbox> {
    let began = Instant::now();
    let line = Handover::new(conn, "", Answer::Tagged(" OK logged in\r\n"));
    let (heard, endpoint) = (line.heard(), trial.endpoint.to_string());
    let deadline = began + timing::UPSTREAM_LOGIN;
    let opened = match timeout_at(deadline, open(line)).await {
        Ok(opened) => opened.map_err(|error| said(&error, &heard)),
        Err(_) => Err("no answer in time: connection lost".to_owned()),
    };
    match opened {
        Ok((session, count)) => {
            notes.found(Step::Mailbox, began, format!("opens, {}", super::messages(count.into()))).await;
            Some(Inbox { session, heard, endpoint })
        }
        Err(said) => {
            notes.failed(Step::Mailbox, began, unopened(&endpoint, &said)).await;
            None
        }
    }
}

async fn open(line: Handover) -> Result<(Session<Handover>, u32), Error> {
    // The login that this says goes nowhere: the line is logged in.
    let mut session = Client::new(line).login("-", "-").await.map_err(|(error, _)| error)?;
    let inbox = session.examine("INBOX").await?;
    Ok((session, inbox.exists))
}

/// What the server said: the library's error quotes it in a form of its own.
fn said(error: &Error, heard: &Heard) -> String {
    match error {
        Error::No(_) | Error::Bad(_) => heard.last_line(),
        Error::Io(error) => format!("connection lost: {error}"),
        // It tells so by a BYE before.
        Error::ConnectionLost if !heard.last_line().is_empty() => heard.last_line(),
        Error::ConnectionLost => "connection lost".to_owned(),
        Error::Parse(_) | Error::Validate(_) | Error::Append | _ => {
            format!("it does not speak IMAP: {error}")
        }
    }
}

fn unopened(endpoint: &str, said: &str) -> Explanation {
    let meaning = Imap::remark(said.as_bytes()).map(|remark| remark.meaning);
    declined(endpoint, "open INBOX", without_tag(said), meaning)
}

fn without_tag(line: &str) -> &str {
    line.split_once(' ').filter(|(tag, _)| tag.starts_with('A')).map_or(line, |(_, rest)| rest)
}

impl Inbox {
    /// Waits for a message with this word in its subject, and tells so while it takes long.
    pub(super) async fn wait_for(&mut self, word: &str, notes: &Notes) {
        let began = Instant::now();
        let until = began + timing::ARRIVAL;
        let mut told = began;
        loop {
            match timeout_at(until, self.has(word)).await {
                Ok(Ok(true)) => {
                    let seconds = began.elapsed().as_secs_f64();
                    let found = format!("in INBOX {seconds:.1} s after it was sent");
                    return notes.found(Step::Arrival, began, found).await;
                }
                Ok(Ok(false)) => (),
                Ok(Err(error)) => {
                    let why = declined(&self.endpoint, "search INBOX", &said(&error, &self.heard), None);
                    return notes.failed(Step::Arrival, began, why).await;
                }
                Err(_) => return notes.failed(Step::Arrival, began, missing()).await,
            }
            if Instant::now() + LOOKS >= until {
                return notes.failed(Step::Arrival, began, missing()).await;
            }
            if told.elapsed() >= TELLS {
                told = Instant::now();
                let passed = began.elapsed().as_secs();
                notes.waiting("the test message to arrive", passed, timing::ARRIVAL.as_secs()).await;
            }
            sleep_until(Instant::now() + LOOKS.min(began.elapsed() + LOOKS / 8)).await;
        }
    }

    async fn has(&mut self, word: &str) -> Result<bool, Error> {
        self.session.noop().await?;
        Ok(!self.session.uid_search(format!("SUBJECT \"{word}\"")).await?.is_empty())
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let _ = timeout_at(Instant::now() + timing::FAREWELL, self.session.logout()).await;
    }
}

fn missing() -> Explanation {
    let cause =
        format!("the test message was sent and is not in INBOX after {} s", timing::ARRIVAL.as_secs());
    Explanation::new(cause, "look into Junk and quarantine, and trace the message by its subject")
}
