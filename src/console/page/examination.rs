//! The page of an examination, while it goes on and afterwards.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    super::{
        desk::{Examination, Verdict},
        gate::Visitor,
    },
    Frame, Powers, html, place,
};

#[derive(Template)]
#[template(path = "examination.html")]
struct ExaminationPage<'a> {
    frame: Frame<'a>,
    shown: &'a Examination,
    verdict: &'a str,
    tone: &'static str,
    /// Where the account is.
    place: &'a str,
}

/// What was tried so far, and what came of it.
pub(in crate::console) fn examination(shown: &Examination, visitor: &Visitor) -> Response {
    let title = format!("Test of {}", shown.login);
    let (tone, verdict) = in_words(shown.verdict);
    let place = place("/account", &[("login", &shown.login)]);
    let frame = Frame::inside(&title, "/accounts", visitor);
    let page = ExaminationPage { frame, shown, verdict: &verdict, tone, place: &place };
    html(StatusCode::OK, Powers::Live, &page)
}

fn in_words(verdict: Option<Verdict>) -> (&'static str, String) {
    let (tone, words) = match verdict {
        None => ("", "The test goes on.".to_owned()),
        Some(Verdict::Well { warnings: 0 }) => ("good", "All is well: no hop failed.".to_owned()),
        Some(Verdict::Well { warnings: 1 }) => ("warn", "No hop failed; there is a warning.".to_owned()),
        Some(Verdict::Well { warnings }) => {
            ("warn", format!("No hop failed; there are {warnings} warnings."))
        }
        Some(Verdict::Ill { failed: 1 }) => ("bad", "A hop failed. Below it stands what to do.".to_owned()),
        Some(Verdict::Ill { failed }) => {
            ("bad", format!("{failed} hops failed. Below each stands what to do."))
        }
        Some(Verdict::NotTried) => ("", "There was nothing to try.".to_owned()),
        Some(Verdict::BrokenOff) => ("warn", "The test was broken off before its end.".to_owned()),
    };
    (tone, words)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::desk::{Hop, Mark, Part},
            tests::{EVIL, assert_tame},
        },
        *,
    };

    #[test]
    fn what_servers_say_is_text_and_the_end_is_told_apart() {
        let evil = || EVIL.to_owned();
        let marks = [Mark::Well, Mark::Warning, Mark::Failed, Mark::Skipped];
        let hop = |mark| Hop {
            mark,
            name: "login",
            found: evil(),
            cause: Some(evil()),
            cure: Some(evil()),
            blame: Some(evil()),
            took: evil(),
        };
        let mut shown = Examination {
            login: evil(),
            mailbox: Some(evil()),
            send_to: Some(evil()),
            parts: vec![Part { protocol: Some(evil()), hops: marks.map(hop).into() }],
            waiting: Some(evil()),
            verdict: None,
        };
        for (verdict, goes_on) in [(None, true), (Some(Verdict::Ill { failed: 2 }), false)] {
            shown.verdict = verdict;
            let frame = Frame::alone(EVIL);
            let (tone, verdict) = in_words(verdict);
            let page = ExaminationPage { frame, shown: &shown, verdict: &verdict, tone, place: EVIL };
            assert_tame(&page);
            let html = page.render().unwrap();
            assert_eq!(html.contains("data-live"), goes_on);
            assert_eq!(html.contains("http-equiv=\"refresh\""), goes_on);
            assert_eq!(html.contains("Test again"), !goes_on);
        }
    }
}
