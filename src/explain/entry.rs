//! One piece of what is known of troubles: by what it is known, who has to act, and what to do.

use crate::failure::{Explanation, Fault};

/// What is known of one trouble. The explanations of logins, of `doctor` and of the log, and the page for people
/// who look for what they have seen, are all made of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// A name of its own among those that are met in the same place: `smtp_auth_off_tenant`. A number of Entra's is
    /// its own name, and has none here.
    pub name: &'static str,
    /// Where it is met.
    pub met: Met,
    /// By what it is known.
    pub sign: Sign,
    /// What the other side says, as it has been seen. Empty for a number: its words change.
    pub sample: &'static str,
    /// Who has to act.
    pub fault: Fault,
    /// What is wrong.
    pub cause: &'static str,
    /// What to do about it; `LOGIN` stands for the login of the account.
    pub cure: &'static str,
    /// What to do about it instead where a person has signed in for the account; nothing where that is the same.
    pub cure_for_people: Option<&'static str>,
    /// Whether trying again helps: it passes without anybody changing anything.
    pub passes: bool,
    /// Who says so: an RFC with its section, the title of a page, or who reported it.
    pub source: &'static str,
}

/// Where a trouble is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Met {
    /// In the authority's answer, whatever it was asked with.
    Authority,
    /// In the authority's answer to an app that logs in as itself.
    AuthorityToApp,
    /// In the authority's answer about somebody who has signed in, or should.
    AuthorityToPerson,
    /// In the authority's answer to a person's password.
    AuthorityToPassword,
    /// In the authority's answer to a service account of Google's.
    AuthorityToService,
    /// In what the token says about itself.
    Token,
    /// On the way to the authority or to the mail server: names, connections, TLS, proxies.
    Network,
    /// In the mail server's answer to the login.
    Login,
    /// In what the mail server says after it has accepted the login.
    Session,
}

/// By what a trouble is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// One of Entra's numbers: `AADSTS7000215`.
    Number(u64),
    /// An error class of OAuth, and a part of its text in lower case, where it takes one.
    Error(&'static str, &'static str),
    /// The first words of a reply, to the end of a word; of several any. A number elsewhere may be anything: a quota,
    /// a time, part of a name.
    Begins(&'static [&'static str]),
    /// A sentence anywhere in it; of several any.
    Says(&'static [&'static str]),
    /// First words, and a sentence behind them.
    BeginsAndSays(&'static str, &'static str),
    /// What no reply says: a claim, or the lack of one.
    Claim(&'static str),
}

impl Sign {
    /// Whether a reply has it. Numbers, error classes and claims are in no reply.
    #[must_use]
    pub fn is_in(&self, said: &str) -> bool {
        let begins = |words: &str| {
            said.strip_prefix(words)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        match self {
            Self::Begins(words) => words.iter().any(|words| begins(words)),
            Self::Says(sentences) => sentences.iter().any(|sentence| said.contains(sentence)),
            Self::BeginsAndSays(words, sentence) => begins(words) && said.contains(sentence),
            Self::Number(_) | Self::Error(..) | Self::Claim(_) => false,
        }
    }

    /// Whether words have it that somebody has made of a reply: with something before it, or without its first code.
    #[must_use]
    pub fn is_told_in(&self, said: &str) -> bool {
        /// A code of SMTP and the space behind it: libraries tell it apart from what follows, `(550): 5.7.60 …`.
        const CODE: usize = 4;
        let told = |words: &str| {
            let has_code = words.starts_with(|c: char| c.is_ascii_digit()) && words.len() > CODE;
            let apart = |(code, rest): (&str, &str)| {
                said.contains(&format!("({})", code.trim_end())) && stands_in(rest, said)
            };
            stands_in(words, said) || (has_code && apart(words.split_at(CODE)))
        };
        match self {
            Self::Begins(words) => words.iter().any(|words| told(words)),
            Self::BeginsAndSays(words, sentence) => told(words) && said.contains(sentence),
            Self::Says(_) | Self::Number(_) | Self::Error(..) | Self::Claim(_) => self.is_in(said),
        }
    }
}

/// Whether words stand in a text as words, and not as a part of longer ones or of a longer number.
fn stands_in(words: &str, text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    text.match_indices(words).any(|(at, _)| {
        let behind = &text[at + words.len()..];
        let goes_on =
            behind.strip_prefix('.').unwrap_or(behind).starts_with(|c: char| c.is_ascii_alphanumeric());
        !goes_on && !text[..at].ends_with(is_part)
    })
}

impl Entry {
    /// The code that a person looks for: `AADSTS7000215`; nothing where it has none.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        match self.sign {
            Sign::Number(number) => Some(format!("AADSTS{number}")),
            Sign::Error(..) | Sign::Begins(_) | Sign::Says(_) | Sign::BeginsAndSays(..) | Sign::Claim(_) => {
                None
            }
        }
    }

    /// Its cure behind a cause that names who and what it is about.
    pub(super) fn explains(&self, cause: String, login: Option<&str>) -> Explanation {
        let cure = self.cure.replace("LOGIN", login.unwrap_or("LOGIN"));
        Explanation::new(cause, cure).blaming(self.fault, self.passes)
    }

    /// The same entry with the cure that fits how the account gets its token.
    pub(super) fn fitting(&self, is_delegated: bool) -> Self {
        let cure = self.cure_for_people.filter(|_| is_delegated).unwrap_or(self.cure);
        Self { cure, ..*self }
    }

    /// What is known of a reply: the first that fits.
    pub(super) fn of_reply(said: &str, table: &'static [Self]) -> Option<&'static Self> {
        table.iter().find(|entry| entry.sign.is_in(said))
    }

    pub(super) const fn new(
        met: Met,
        sign: Sign,
        fault: Fault,
        cause: &'static str,
        cure: &'static str,
    ) -> Self {
        Self {
            name: "",
            met,
            sign,
            sample: "",
            fault,
            cause,
            cure,
            cure_for_people: None,
            passes: false,
            source: "",
        }
    }

    pub(super) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) const fn seen_as(self, sample: &'static str) -> Self {
        Self { sample, ..self }
    }

    pub(super) const fn by(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    pub(super) const fn or_for_people(self, cure: &'static str) -> Self {
        Self { cure_for_people: Some(cure), ..self }
    }

    pub(super) const fn that_passes(self) -> Self {
        Self { passes: true, ..self }
    }
}
