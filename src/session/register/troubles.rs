//! What went wrong of late.

use std::{collections::VecDeque, time::SystemTime};

use crate::{
    failure::Explanation,
    ids::{ClientAddr, ProtocolKind},
};

/// How many troubles are remembered of those whose password was right, and as many of the others.
const MOST: usize = 30;

/// How a client came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// What it speaks.
    pub protocol: ProtocolKind,
    /// Whence.
    pub client: ClientAddr,
}

/// A login that failed, or what an upstream complained of after one that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When, or when last.
    pub at: SystemTime,
    /// How often.
    pub times: u64,
    /// Whence the client came.
    pub came: Came,
    /// As whom, as far as the log may say so.
    pub login: Option<String>,
    /// What happened: the name of a [`Failure`](crate::failure::Failure) or of a
    /// [`Remark`](crate::dialogue::Remark).
    pub what: &'static str,
    /// Why, and what to do.
    pub why: Explanation,
}

impl Trouble {
    /// Whether it is the same again: a program that has the wrong password tries every minute, from another port.
    fn is_like(&self, other: &Self) -> bool {
        let by = |trouble: &Self| (trouble.came.protocol, trouble.came.client.ip(), trouble.what);
        let why = |trouble: &Self| (without_numbers(&trouble.why.cause), without_numbers(&trouble.why.cure));
        by(self) == by(other) && self.login == other.login && why(self) == why(other)
    }
}

/// What stays the same where a server says each time for how long, or when.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|char| !char.is_ascii_digit()).collect()
}

/// The latest troubles: those of accounts, and those of strangers.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    proven: VecDeque<Trouble>,
    strangers: VecDeque<Trouble>,
}

impl Troubles {
    /// Notes one. The same as before is counted and not repeated.
    pub(super) fn note(&mut self, mut trouble: Trouble, is_proven: bool) {
        let kept = if is_proven { &mut self.proven } else { &mut self.strangers };
        if let Some(at) = kept.iter().position(|known| known.is_like(&trouble))
            && let Some(before) = kept.remove(at)
        {
            trouble.times += before.times;
        }
        kept.push_front(trouble);
        kept.truncate(MOST);
    }

    pub(super) fn newest_first(&self) -> Vec<Trouble> {
        let mut all: Vec<_> = self.proven.iter().chain(&self.strangers).cloned().collect();
        all.sort_by_key(|trouble| std::cmp::Reverse(trouble.at));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// One of IMAP.
    fn trouble(what: &'static str, cause: &str) -> Trouble {
        Trouble {
            at: UNIX_EPOCH,
            times: 1,
            came: Came {
                protocol: ProtocolKind::Imap,
                client: ClientAddr::new("192.0.2.1:5".parse().unwrap()),
            },
            login: None,
            what,
            why: Explanation::new(cause, ""),
        }
    }

    fn later(seconds: u64, trouble: Trouble) -> Trouble {
        Trouble { at: UNIX_EPOCH + Duration::from_secs(seconds), ..trouble }
    }

    #[test]
    fn the_same_trouble_is_counted_and_moves_to_the_front() {
        let mut troubles = Troubles::default();
        troubles.note(later(1, trouble("upstream_refused", "a")), true);
        troubles.note(later(2, trouble("upstream_refused", "b")), true);
        let mut again = later(3, trouble("upstream_refused", "a"));
        again.came.client = ClientAddr::new("192.0.2.1:6".parse().unwrap());
        troubles.note(again, true);
        let shown: Vec<_> = troubles
            .newest_first()
            .into_iter()
            .map(|trouble| (trouble.why.cause, trouble.times, trouble.at))
            .collect();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(shown, [("a".to_owned(), 2, at(3)), ("b".to_owned(), 1, at(2))]);
    }

    #[test]
    fn strangers_push_no_accounts_trouble_out() {
        let mut troubles = Troubles::default();
        troubles.note(later(1, trouble("upstream_refused", "a")), true);
        for seconds in 2..200 {
            let login = Some(format!("stranger{seconds}@contoso.com"));
            troubles.note(Trouble { login, ..later(seconds, trouble("bad_credentials", "")) }, false);
        }
        let shown = troubles.newest_first();
        assert_eq!(shown.len(), 1 + MOST);
        assert_eq!(shown.last().unwrap().why.cause, "a");
    }
}
