//! Wire conversations as text: read here, played by [`Stage`], judged by [`trial`].
//!
//! The notation is explained in `tests/dialogues/README.md`.

mod stage;
mod text;
pub mod trial;

use std::{collections::BTreeSet, path::Path};

use super::authority::Answer;

pub use stage::Stage;
pub use text::Text;

/// One script.
pub struct Script {
    /// What it proves: its first comment.
    pub sentence: String,
    /// How the stage is set.
    pub setting: Setting,
    /// What is said, in order.
    pub steps: Vec<Step>,
}

/// How the stage is set, from the comments that begin with a known word.
#[derive(Default)]
pub struct Setting {
    /// The upstream's TLS starts in the conversation.
    pub starttls: bool,
    /// How the bridge's listener is encrypted: `none`, `starttls`, `required`, `implicit`.
    pub listener: String,
    /// The failures that the log must name, and no others.
    pub failures: BTreeSet<String>,
    /// Lines for `[limits]`.
    pub limits: Vec<String>,
    /// The senders of a printer that cannot log in and has the client's address; none where there is no printer.
    pub printer: Option<String>,
    /// More secrets that the log must not hold.
    pub secrets: Vec<String>,
}

/// One line of a script.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number in the file.
    pub number: usize,
    /// Who says it.
    pub who: Who,
    /// What is said or done.
    pub what: What,
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The client, to the bridge.
    Client,
    /// The bridge, to the client.
    Bridge,
    /// The bridge, to the upstream.
    BridgeUp,
    /// The upstream, to the bridge.
    Upstream,
    /// The authority, to the bridge.
    Authority,
}

/// What is said or done.
#[derive(Debug, Clone)]
pub enum What {
    /// A line, or several in one packet.
    Says(Text),
    /// The client connects once more.
    Connects,
    /// The client connects once more and stays where it is, too.
    ConnectsBeside,
    /// The connection ends.
    Closes,
    /// Nothing more comes from here; the other direction stays open.
    HalfCloses,
    /// The TLS handshake of a STARTTLS.
    StartsTls,
    /// Lines that may be anything come before the next one.
    AnyLines,
    /// Further connections or requests are treated like the last one.
    AndSoOn,
    /// What the authority answers.
    Answers(Answer),
}

impl Script {
    /// Reads a script.
    ///
    /// # Panics
    /// With file and line, where it is not written as the README says.
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut script = Self { sentence: String::new(), setting: Setting::default(), steps: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            if let Err(trouble) = script.line(number, line) {
                panic!("{}:{number}: {trouble}: {line}", path.display());
            }
        }
        assert!(!script.sentence.is_empty(), "{}: the first comment must say what is proven", path.display());
        script
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment.trim());
        }
        let (who, text) = line.split_once(':').ok_or("no speaker")?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        if text.ends_with(' ') {
            return Err("a space at the end of a line is written {space}");
        }
        if let Some(who) = who.strip_suffix('+') {
            let who = speaker(who)?;
            let last = self.steps.last_mut().filter(|step| step.who == who);
            let Some(Step { what: What::Says(said), .. }) = last else {
                return Err("a line with + follows another one of the same speaker");
            };
            said.append(Text::parse(text)?);
            return Ok(());
        }
        let who = speaker(who)?;
        self.steps.push(Step { number, who, what: what(who, text)? });
        Ok(())
    }

    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let setting = &mut self.setting;
        match comment.split_once(": ") {
            Some(("failure", names)) => setting.failures.extend(names.split(", ").map(str::to_owned)),
            Some(("limits", line)) => setting.limits.push(line.to_owned()),
            Some(("printer", senders)) => setting.printer = Some(senders.to_owned()),
            Some(("secret", secret)) => setting.secrets.push(secret.to_owned()),
            Some(("upstream", "starttls")) => setting.starttls = true,
            Some(("listener", tls @ ("starttls" | "required" | "implicit"))) => {
                tls.clone_into(&mut setting.listener);
            }
            Some((word, _)) if !word.contains(' ') => return Err("unknown setting"),
            _ if self.sentence.is_empty() => comment.clone_into(&mut self.sentence),
            _ => (),
        }
        Ok(())
    }
}

fn speaker(letter: &str) -> Result<Who, &'static str> {
    match letter {
        "C" => Ok(Who::Client),
        "S" => Ok(Who::Bridge),
        "B" => Ok(Who::BridgeUp),
        "U" => Ok(Who::Upstream),
        "A" => Ok(Who::Authority),
        _ => Err("a speaker is C, S, B, U or A"),
    }
}

fn what(who: Who, text: &str) -> Result<What, &'static str> {
    if who == Who::Authority {
        return match text {
            "{and so on}" => Ok(What::AndSoOn),
            _ => answer(text).map(What::Answers).ok_or("unknown answer of the authority"),
        };
    }
    Ok(match text {
        "{connect}" if who == Who::Client => What::Connects,
        "{connect beside}" if who == Who::Client => What::ConnectsBeside,
        "{close}" => What::Closes,
        "{half-close}" => What::HalfCloses,
        "{any lines}" if matches!(who, Who::Bridge | Who::BridgeUp) => What::AnyLines,
        "{starttls}" if matches!(who, Who::Upstream | Who::Client) => What::StartsTls,
        "{and so on}" if who == Who::Upstream => What::AndSoOn,
        _ => What::Says(Text::parse(text)?),
    })
}

/// The token with this name: the name, and behind it what makes it as long as Exchange Online's.
fn token(name: &str) -> String {
    format!("{name:~<1500}")
}

/// The name of a token.
fn name_of(token: &str) -> &str {
    token.trim_end_matches('~')
}

fn answer(text: &str) -> Option<Answer> {
    let words: Vec<&str> = text.strip_prefix('{')?.strip_suffix('}')?.split(' ').collect();
    Some(match words[..] {
        ["token", "->", name] => Answer::Token(token(name)),
        ["short", "token", "->", name] => Answer::Token(name.to_owned()),
        ["refuse", _, code] => Answer::Refuse(code.parse().ok()?),
        ["status", status] => Answer::Status(status.parse().ok()?, None),
        ["status", status, "retry-after", seconds] => {
            Answer::Status(status.parse().ok()?, Some(seconds.parse().ok()?))
        }
        ["garbage"] => Answer::Garbage,
        ["empty"] => Answer::Empty,
        ["reset"] => Answer::Reset,
        _ => return None,
    })
}
