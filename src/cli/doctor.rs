//! `footbridge doctor`: an account, hop by hop, each tried and explained.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use lettre::Address;
use tokio::{sync::mpsc, time::timeout};

use super::{
    beside::{Beside, Unanswered},
    check, fail, ours,
};
use crate::{
    app::{EVENTS, Examine, Practice},
    config,
    doctor::report::{Event, Heading, Hop, Outcome, Report, Step, Waiting},
    failure::printable,
    net::tls,
    policy::timing,
};

/// How long a running bridge may be silent in the middle of an examination: a token takes the time for a login, and
/// `login_timeout` may be longer than usual.
const PATIENCE: Duration = Duration::from_mins(10);

/// Examines, prints as it goes or as one JSON document, and fails where a hop has.
pub(super) fn run(path: &Path, wanted: &Examine, json: bool) -> ExitCode {
    tls::install_cryptography();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    let mut paper = Paper { report: Report::new(), protocol: None, json, done: false };
    let examined = runtime.block_on(examined(path, wanted, &mut paper));
    // A thread may still wait for a name lookup.
    runtime.shutdown_background();
    match examined {
        Ok(()) => paper.close(),
        Err(trouble) => fail(&trouble),
    }
}

/// A mail address, as the command line takes it.
pub(super) fn address(text: &str) -> Result<String, String> {
    text.parse::<Address>().map(|address| address.to_string()).map_err(|error| error.to_string())
}

async fn examined(path: &Path, wanted: &Examine, paper: &mut Paper) -> Result<(), String> {
    let state_dir = config::state_dir(path).map_err(|mistakes| check::reported(&mistakes))?;
    let beside = Beside::of(&state_dir).with_patience(PATIENCE);
    match beside.post_for_lines("/doctor", wanted, |event| paper.hear(event)).await {
        Ok(()) => Ok(()),
        Err(Unanswered::NoServe(_) | Unanswered::NotHere) => {
            ours(&state_dir, "doctor")?;
            alone(path, wanted, paper).await
        }
        Err(unanswered) => Err(unanswered.to_string()),
    }
}

async fn alone(path: &Path, wanted: &Examine, paper: &mut Paper) -> Result<(), String> {
    let loaded = config::load(path).map_err(|mistakes| check::reported(&mistakes))?;
    let practice = Practice::open(loaded.without_plain_passwords()).await;
    let practice = practice.map_err(|error| error.to_string())?;
    let queue = practice.queue(wanted).map_err(|why| match why.cure.as_str() {
        "" => why.cause,
        cure => format!("{}\n  cure: {cure}", why.cause),
    })?;
    let (listener, mut events) = mpsc::channel(EVENTS);
    let examining = async {
        tokio::join!(async { practice.examine(queue, &{ listener }).await }, async {
            while let Some(event) = events.recv().await {
                paper.hear(event);
            }
        });
    };
    let interrupted = tokio::select! {
        // The first to be polled, so that the signal is awaited before anything is begun.
        biased;
        _ = tokio::signal::ctrl_c() => true,
        () = examining => false,
    };
    // A refresh token that is on its way exists nowhere else.
    let _ = timeout(timing::LAST_REFRESH, practice.finish()).await;
    if interrupted { Err("interrupted".to_owned()) } else { Ok(()) }
}

/// What has been said.
#[derive(Debug)]
struct Paper {
    report: Report,
    /// Whose hops were printed last.
    protocol: Option<String>,
    json: bool,
    done: bool,
}

impl Paper {
    /// Prints an event, and keeps it.
    fn hear(&mut self, event: Event) {
        match &event {
            Event::Waiting(waiting) => eprintln!("{}", still(waiting)),
            Event::Done => self.done = true,
            Event::Account(heading) if !self.json => {
                let gap = if self.report.accounts.is_empty() { "" } else { "\n" };
                print(&format!("{gap}{}", account(heading)));
                self.protocol = None;
            }
            Event::Hop(hop) if !self.json => {
                if hop.protocol != self.protocol {
                    print(&hop.heading().map(|name| format!("  {name}\n")).unwrap_or_default());
                    self.protocol.clone_from(&hop.protocol);
                }
                print(&line(hop));
            }
            Event::Account(_) | Event::Hop(_) => (),
        }
        self.report.hear(event);
    }

    /// Says what it all comes to.
    fn close(self) -> ExitCode {
        if !self.done {
            return fail(&"the running footbridge broke the examination off: see its log");
        }
        if self.json {
            // Nothing of ours has a form that JSON has not.
            print(&format!("{}\n", serde_json::to_string_pretty(&self.report).unwrap_or_default()));
        } else {
            print(&format!("\n{}\n", summary(&self.report)));
        }
        if self.report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints with colours where somebody sees them: on a terminal, and without `NO_COLOR`.
fn print(text: &str) {
    let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
    // A reader that has left has seen enough.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn account(heading: &Heading) -> String {
    format!("{BOLD}{}{BOLD:#}\n", heading.login)
}

/// One hop: mark, name, what was found, time; below it what is wrong and what to do.
fn line(hop: &Hop) -> String {
    const INDENT: &str = "      ";
    let (mark, style) = mark(hop.outcome);
    let took = took(hop);
    let found = cleaned(&hop.found);
    let mut line = format!("  {style}{mark}{style:#} {:<14}{found}", hop.hop.label());
    if !took.is_empty() {
        let space = if found.is_empty() { "" } else { " " };
        let _ = write!(line, "{space}{DIM}({took}){DIM:#}");
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    for (text, head) in [(&hop.cause, ""), (&hop.cure, "cure: ")] {
        if let Some(text) = text {
            let _ = writeln!(line, "{INDENT}{head}{}", cleaned(text));
        }
    }
    line
}

/// Texts may quote strangers, who shall not command a terminal. What else is written is ours.
fn cleaned(text: &str) -> String {
    if text.chars().any(char::is_control) { printable(text) } else { text.to_owned() }
}

fn mark(outcome: Outcome) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match outcome {
        Outcome::Ok => ("✓", colour(AnsiColor::Green)),
        Outcome::Warning => ("!", colour(AnsiColor::Yellow)),
        Outcome::Failed => ("✗", colour(AnsiColor::Red)),
        Outcome::Skipped => ("–", DIM),
    }
}

/// Nothing for what takes no time: what is only read, or was not tried.
fn took(hop: &Hop) -> String {
    let tried = matches!(hop.outcome, Outcome::Ok | Outcome::Failed);
    match hop.milliseconds {
        0 if !tried || matches!(hop.hop, Step::Configuration | Step::Claims) => String::new(),
        0 => "<1 ms".to_owned(),
        milliseconds @ 1..1000 => format!("{milliseconds} ms"),
        milliseconds => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    }
}

fn still(Waiting { what, seconds, at_most }: &Waiting) -> String {
    format!("  waiting for {what}: {seconds} s of at most {at_most} s")
}

fn summary(report: &Report) -> String {
    let all = report.accounts.len();
    let ill = report.accounts.iter().filter(|account| !account.ok).count();
    let tried = report.accounts.iter().flat_map(|account| &account.hops);
    let warned = tried.filter(|hop| hop.outcome == Outcome::Warning).count();
    let accounts = |count| format!("{count} account{}", if count == 1 { "" } else { "s" });
    let warnings = match warned {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        more => format!(", with {more} warnings"),
    };
    if ill == 0 {
        format!("{}: no hop failed{warnings}", accounts(all))
    } else {
        format!("{ill} of {} failed at a hop{warnings}", accounts(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProtocolKind;

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn hop(step: Step, outcome: Outcome, found: &str) -> Hop {
        Hop { outcome, milliseconds: 12, ..Hop::well(Some(ProtocolKind::Imap), step, found) }
    }

    #[test]
    fn a_hop_that_is_well_is_one_line_with_its_time() {
        let well = hop(Step::Tcp, Outcome::Ok, "127.0.0.1:993");
        assert_eq!(stripped(&line(&well)), "  ✓ connection    127.0.0.1:993 (12 ms)\n");
        let slow = Hop { milliseconds: 61_250, ..well.clone() };
        assert_eq!(stripped(&line(&slow)), "  ✓ connection    127.0.0.1:993 (61.2 s)\n");
        let at_once = Hop { milliseconds: 0, ..well.clone() };
        assert_eq!(stripped(&line(&at_once)), "  ✓ connection    127.0.0.1:993 (<1 ms)\n");
        let read = Hop { hop: Step::Configuration, ..at_once };
        assert_eq!(stripped(&line(&read)), "  ✓ configuration 127.0.0.1:993\n");
    }

    #[test]
    fn a_hop_that_fails_says_why_and_what_to_do() {
        let ill = Hop {
            cause: Some("it said \u{1b}[2Jno\r\n".to_owned()),
            cure: Some("ask again".to_owned()),
            ..hop(Step::Login, Outcome::Failed, "")
        };
        let expected = "  ✗ login         (12 ms)\n      it said [2Jno\n      cure: ask again\n";
        assert_eq!(stripped(&line(&ill)), expected);
        let incurable = Hop { cure: None, outcome: Outcome::Warning, milliseconds: 0, ..ill };
        assert_eq!(stripped(&line(&incurable)), "  ! login\n      it said [2Jno\n");
    }

    #[test]
    fn warnings_and_what_was_not_tried_have_marks_of_their_own() {
        let marks = [Outcome::Ok, Outcome::Warning, Outcome::Failed, Outcome::Skipped].map(|o| mark(o).0);
        assert_eq!(marks, ["✓", "!", "✗", "–"]);
    }

    #[test]
    fn the_end_counts_accounts_and_warnings() {
        let heading = |login: &str| Heading {
            login: login.to_owned(),
            mailbox: None,
            app: "contoso".to_owned(),
            provider: "lab".to_owned(),
            grant: "password".to_owned(),
        };
        let mut report = Report::new();
        report.hear(Event::Account(heading("ann")));
        report.hear(Event::Hop(hop(Step::Login, Outcome::Ok, "")));
        assert_eq!(summary(&report), "1 account: no hop failed");
        report.hear(Event::Account(heading("bob")));
        report.hear(Event::Hop(hop(Step::Claims, Outcome::Warning, "")));
        assert_eq!(summary(&report), "2 accounts: no hop failed, with 1 warning");
        report.hear(Event::Hop(hop(Step::Login, Outcome::Failed, "")));
        assert_eq!(summary(&report), "1 of 2 accounts failed at a hop, with 1 warning");
        assert_eq!((report.ok, report.accounts[0].ok, report.accounts[1].ok), (false, true, false));
    }

    #[test]
    fn a_recipient_must_be_an_address() {
        assert_eq!(address("ann@example.com"), Ok("ann@example.com".to_owned()));
        for wrong in ["ann", "ann@", "Ann <ann@example.com>", "a b@example.com", "ann@example.com\r\nRCPT"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
