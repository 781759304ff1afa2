//! An IMAP mailbox that was opened, by async-imap: how much is in its INBOX, and what arrives there.

use std::time::Duration;

use async_imap::{Client, Session, error::Error};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Trial,
    handover::{Answer, Handover, Heard},
    notes::{Notes, TELLS},
    report::Step,
};
use crate::{
    dialogue::Protocol as _, explain::upstream::declined, failure::Explanation, imap::Imap, net::conn::Conn,
    policy::timing,
};

/// How a test message is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long.
    most: Duration,
    /// How often INBOX is looked into.
    looks: Duration,
    /// How often somebody is told that it has not arrived.
    tells: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { most: timing::ARRIVAL, looks: Duration::from_secs(2), tells: TELLS }
    }
}

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
        // It tells so by a BYE before.
        Error::Io(_) if heard.last_line().starts_with("* BYE") => heard.last_line(),
        Error::Io(error) => format!("connection lost: {error}"),
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
    pub(super) async fn wait_for(&mut self, word: &str, patience: Patience, notes: &Notes) {
        let Patience { most, looks, tells } = patience;
        let began = Instant::now();
        let until = began + most;
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
                Err(_) => return notes.failed(Step::Arrival, began, missing(most)).await,
            }
            if Instant::now() + looks >= until {
                return notes.failed(Step::Arrival, began, missing(most)).await;
            }
            if told.elapsed() >= tells {
                told = Instant::now();
                let passed = began.elapsed().as_secs();
                notes.waiting("the test message to arrive", passed, most.as_secs()).await;
            }
            sleep_until(Instant::now() + looks.min(began.elapsed() + looks / 8)).await;
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

fn missing(most: Duration) -> Explanation {
    let cause = format!("the test message was sent and is not in INBOX after {} s", most.as_secs());
    Explanation::new(cause, "look into Junk and quarantine, and trace the message by its subject")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;
    use crate::{
        doctor::report::{Event, Outcome},
        net::conn::Stream,
    };

    /// A server whose INBOX has what is looked for from the look of this number on; it tells of each look.
    async fn serve(listener: TcpListener, arrives: usize, looked: mpsc::Sender<()>) {
        let (stream, _) = listener.accept().await.unwrap();
        let (from, mut to) = stream.into_split();
        let mut lines = BufReader::new(from).lines();
        let mut looks = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            let (tag, command) = line.split_once(' ').unwrap();
            let said = if command.starts_with("EXAMINE") {
                "* 0 EXISTS\r\n"
            } else if command.starts_with("UID SEARCH SUBJECT \"fbword\"") {
                looks += 1;
                looked.send(()).await.unwrap();
                if looks >= arrives { "* SEARCH 7\r\n" } else { "* SEARCH\r\n" }
            } else {
                ""
            };
            to.write_all(format!("{said}{tag} OK done\r\n").as_bytes()).await.unwrap();
        }
    }

    /// Waits for a message that arrives at this look, and returns what was told and how often was looked.
    async fn waited(arrives: usize) -> (Vec<Event>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (looked, mut looks) = mpsc::channel(1000);
        let (teller, mut told) = mpsc::channel(1000);
        let waiting = async move {
            let line =
                Handover::new(Conn::new(Stream::Plain(stream)), "", Answer::Tagged(" OK logged in\r\n"));
            let heard = line.heard();
            let (session, _) = open(line).await.unwrap();
            let mut inbox = Inbox { session, heard, endpoint: "localhost".to_owned() };
            let (most, looks) = (Duration::from_millis(1200), Duration::from_millis(20));
            let patience = Patience { most, looks, tells: looks };
            inbox.wait_for("fbword", patience, &Notes::new(&teller)).await;
            inbox.close().await;
        };
        tokio::join!(serve(listener, arrives, looked), waiting);
        let (mut events, mut count) = (Vec::new(), 0);
        while let Some(event) = told.recv().await {
            events.push(event);
        }
        while looks.recv().await.is_some() {
            count += 1;
        }
        (events, count)
    }

    #[tokio::test]
    async fn a_message_that_does_not_arrive_is_waited_for_as_long_as_patience_lasts_and_no_longer() {
        let (events, looks) = waited(usize::MAX).await;
        assert!(looks > 2, "looked {looks} times");
        let (last, before) = events.split_last().unwrap();
        let Event::Hop(hop) = last else { panic!("{last:?}") };
        assert_eq!((hop.hop, hop.outcome), (Step::Arrival, Outcome::Failed));
        let cause = "the test message was sent and is not in INBOX after 1 s";
        assert_eq!(hop.cause.as_deref(), Some(cause));
        assert!(hop.milliseconds >= 1180, "{hop:?}");
        let waits =
            before.iter().all(|event| matches!(event, Event::Waiting(waiting) if waiting.at_most == 1));
        assert!(!before.is_empty() && waits, "{before:?}");
    }

    #[tokio::test]
    async fn a_message_that_arrives_late_is_found_at_the_next_look() {
        let (events, looks) = waited(4).await;
        let Some(Event::Hop(hop)) = events.last() else { panic!("{events:?}") };
        assert_eq!((hop.hop, hop.outcome, looks), (Step::Arrival, Outcome::Ok, 4));
    }
}
