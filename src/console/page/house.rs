//! The pages of the house: how it is, its accounts, who is in, what went wrong.

use std::time::{Duration, SystemTime};

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    super::{
        desk::{Attending, Overview, Row, Ways},
        gate::Visitor,
    },
    Frame, Powers,
    chart::Chart,
    html, place,
};
use crate::clock::ago;

/// How many accounts stand on one page.
const A_PAGE: usize = 50;

/// How many of those that need attention stand on the overview.
const ILL: usize = 5;

/// An account on a page.
struct Entry<'a> {
    row: &'a Row,
    /// Where it has a page of its own.
    place: String,
}

impl<'a> Entry<'a> {
    fn of(row: &'a Row) -> Self {
        Self { row, place: place("/account", &[("login", &row.login)]) }
    }

    /// The class of its state's colours.
    fn tone(&self) -> &'static str {
        match (self.row.is_well, self.row.expires.is_some()) {
            (false, _) if self.asks() => "warn",
            (false, _) => "bad",
            (true, true) => "good",
            (true, false) => "plain",
        }
    }

    /// What is wrong with its token, where the last failure does not say the same.
    fn trouble(&self) -> Option<&str> {
        let said = |trouble: &&str| {
            let failed = self.row.last_failure.as_ref();
            failed.is_some_and(|failed| trouble.starts_with(&failed.why.cause))
        };
        self.row.trouble.as_deref().filter(|trouble| !said(trouble))
    }

    /// Whether it waits for a person's consent.
    fn asks(&self) -> bool {
        self.row.consent.is_some() && !self.row.is_well
    }

    fn has_browser(&self) -> bool {
        self.row.consent.is_some_and(Ways::has_browser)
    }

    /// Whether it stands for many mailboxes, each with a login of its own.
    fn is_wild(&self) -> bool {
        self.row.login.contains('*')
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    version: &'a str,
    started: &'a str,
    ready: bool,
    overview: &'a Overview,
    chart: &'a Chart,
    /// The first of the accounts that need attention.
    ill: &'a [Entry<'a>],
    ill_count: usize,
}

/// How things are, and what can be done.
pub(in crate::console) fn overview(overview: &Overview, ready: bool, visitor: &Visitor) -> Response {
    let ill: Vec<_> = overview.accounts.iter().filter(|row| !row.is_well).collect();
    let page = OverviewPage {
        frame: Frame::inside("Overview", "/", visitor),
        version: env!("CARGO_PKG_VERSION"),
        started: &started(overview.up),
        ready,
        overview,
        chart: &Chart::of(&overview.minutes),
        ill: &ill.iter().take(ILL).map(|row| Entry::of(row)).collect::<Vec<_>>(),
        ill_count: ill.len(),
    };
    html(StatusCode::OK, Powers::Live, &page)
}

fn started(up: Duration) -> String {
    let epoch = SystemTime::UNIX_EPOCH;
    epoch.checked_add(up).map(|now| ago(epoch, now)).unwrap_or_default()
}

/// Which accounts somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct Wanted {
    /// What stands in their login, mailbox or app.
    pub(in crate::console) text: String,
    /// Whether only those that need attention.
    pub(in crate::console) attention: bool,
    /// Which page of them, from 1.
    pub(in crate::console) page: usize,
}

impl Wanted {
    fn wants(&self, row: &Row) -> bool {
        let text = self.text.trim().to_lowercase();
        let has = |field: &String| field.to_lowercase().contains(&text);
        (!self.attention || !row.is_well) && [&row.login, &row.mailbox, &row.app].into_iter().any(has)
    }

    fn place(&self, page: usize) -> String {
        let show = if self.attention { "attention" } else { "all" };
        place("/accounts", &[("q", &self.text), ("show", show), ("page", &page.to_string())])
    }
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage<'a> {
    frame: Frame<'a>,
    wanted: &'a Wanted,
    entries: &'a [Entry<'a>],
    all: usize,
    found: usize,
    /// The numbers of the first and the last of them on the page.
    first: usize,
    last: usize,
    page: usize,
    pages: usize,
    earlier: Option<String>,
    later: Option<String>,
}

/// The accounts that are wanted, a page of them.
pub(in crate::console) fn accounts(rows: &[Row], wanted: &Wanted, visitor: &Visitor) -> Response {
    let found: Vec<_> = rows.iter().filter(|row| wanted.wants(row)).collect();
    let pages = found.len().div_ceil(A_PAGE).max(1);
    let page = wanted.page.clamp(1, pages);
    let skipped = (page - 1) * A_PAGE;
    let entries: Vec<_> = found.iter().skip(skipped).take(A_PAGE).map(|row| Entry::of(row)).collect();
    let page = AccountsPage {
        frame: Frame::inside("Accounts", "/accounts", visitor),
        wanted,
        entries: &entries,
        all: rows.len(),
        found: found.len(),
        first: skipped + 1,
        last: skipped + entries.len(),
        page,
        pages,
        earlier: (page > 1).then(|| wanted.place(page - 1)),
        later: (page < pages).then(|| wanted.place(page + 1)),
    };
    html(StatusCode::OK, Powers::Live, &page)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: Frame<'a>,
    entry: Entry<'a>,
    /// A consent that waits for a person.
    pending: Option<String>,
}

/// One account with all that can be done for it.
pub(in crate::console) fn account(row: &Row, pending: Option<String>, visitor: &Visitor) -> Response {
    let frame = Frame::inside(&row.login, "/accounts", visitor);
    html(StatusCode::OK, Powers::Live, &AccountPage { frame, entry: Entry::of(row), pending })
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage<'a> {
    frame: Frame<'a>,
    overview: &'a Overview,
    ended: bool,
}

/// Who is in; after one was told to leave it says so.
pub(in crate::console) fn sessions(overview: &Overview, ended: bool, visitor: &Visitor) -> Response {
    let frame = Frame::inside("Sessions", "/sessions", visitor);
    html(StatusCode::OK, Powers::Live, &SessionsPage { frame, overview, ended })
}

#[derive(Template)]
#[template(path = "end.html")]
struct EndPage<'a> {
    frame: Frame<'a>,
    session: &'a Attending,
}

/// Whether a session shall really end.
pub(in crate::console) fn end(session: &Attending, visitor: &Visitor) -> Response {
    let frame = Frame::inside("End this session?", "/sessions", visitor);
    html(StatusCode::OK, Powers::Live, &EndPage { frame, session })
}

#[derive(Template)]
#[template(path = "failures.html")]
struct FailuresPage<'a> {
    frame: Frame<'a>,
    overview: &'a Overview,
}

/// What went wrong of late.
pub(in crate::console) fn failures(overview: &Overview, visitor: &Visitor) -> Response {
    let frame = Frame::inside("Recent failures", "/failures", visitor);
    html(StatusCode::OK, Powers::Live, &FailuresPage { frame, overview })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::desk::{Failed, Listening, Minute, Setting, Trouble},
            tests::{EVIL, assert_tame},
        },
        *,
    };
    use crate::failure::Explanation;

    fn evil() -> String {
        EVIL.to_owned()
    }

    fn row() -> Row {
        let setting = Setting { protocol: "IMAP", server: evil(), port: 1143, encryption: "SSL/TLS" };
        Row {
            login: evil(),
            mailbox: evil() + "x",
            app: evil(),
            grant: evil(),
            state: evil(),
            trouble: Some(evil()),
            expires: Some(evil()),
            last_login: Some(evil()),
            last_failure: Some(Failed { when: evil(), why: Explanation::new(EVIL, EVIL) }),
            consent: Some(Ways::Both),
            is_well: false,
            settings: vec![setting],
        }
    }

    fn house() -> Overview {
        let session = Attending {
            number: 7,
            protocol: "IMAP",
            client: evil(),
            account: evil(),
            mailbox: evil() + "x",
            lasts: evil(),
        };
        let trouble = Trouble {
            when: evil(),
            times: 2,
            protocol: "IMAP",
            client: evil(),
            login: Some(evil()),
            failure: "upstream_refused",
            why: Explanation::new(EVIL, EVIL),
        };
        Overview {
            up: Duration::from_hours(80),
            listeners: vec![Listening { protocol: "IMAP", address: evil(), encryption: "none" }],
            accounts: vec![row()],
            warnings: vec![Explanation::new(EVIL, EVIL)],
            connections: 2,
            sessions: vec![session],
            session_count: 1,
            minutes: vec![Minute { good: 1, refused: 1 }; 60],
            troubles: vec![trouble],
        }
    }

    #[test]
    fn names_and_explanations_are_text_wherever_they_stand() {
        let (overview, frame) = (house(), || Frame::alone("t"));
        let chart = Chart::of(&overview.minutes);
        let (version, started) = ("1", "3 days ago");
        let ill = [Entry::of(&overview.accounts[0])];
        let ready = true;
        let page = OverviewPage {
            frame: frame(),
            version,
            started,
            ready,
            overview: &overview,
            chart: &chart,
            ill: &ill,
            ill_count: 1,
        };
        assert_tame(&page);
        assert_tame(&SessionsPage { frame: frame(), overview: &overview, ended: true });
        assert_tame(&EndPage { frame: frame(), session: &overview.sessions[0] });
        assert_tame(&FailuresPage { frame: frame(), overview: &overview });
        let entry = Entry::of(&overview.accounts[0]);
        assert_tame(&AccountPage { frame: frame(), entry, pending: Some(evil()) });
        let wanted = Wanted { text: evil(), attention: true, page: 2 };
        let page = AccountsPage {
            frame: frame(),
            wanted: &wanted,
            entries: &ill,
            all: 1,
            found: 1,
            first: 1,
            last: 1,
            page: 2,
            pages: 3,
            earlier: Some(wanted.place(1)),
            later: Some(wanted.place(3)),
        };
        assert_tame(&page);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_once() {
        let failed = |cause: &str| Failed { when: String::new(), why: Explanation::new(cause, "ask again") };
        let mut row = Row { trouble: Some("no consent: ask again".to_owned()), ..Row::default() };
        assert_eq!(Entry::of(&row).trouble(), Some("no consent: ask again"));
        row.last_failure = Some(failed("the mailbox is locked"));
        assert!(Entry::of(&row).trouble().is_some());
        row.last_failure = Some(failed("no consent"));
        assert_eq!(Entry::of(&row).trouble(), None);
    }

    #[test]
    fn accounts_are_found_by_a_part_of_a_name_in_any_case() {
        let row = Row {
            login: "Scanner@contoso.example".to_owned(),
            mailbox: "post@contoso.example".to_owned(),
            app: "main".to_owned(),
            is_well: true,
            ..Row::default()
        };
        let wanted = |text: &str, attention| Wanted { text: text.to_owned(), attention, page: 1 };
        for text in ["", " ", "scan", "POST@", "main"] {
            assert!(wanted(text, false).wants(&row), "{text}");
        }
        assert!(!wanted("other", false).wants(&row) && !wanted("", true).wants(&row));
        assert_eq!(wanted("a&b", true).place(3), "/accounts?q=a%26b&show=attention&page=3");
    }

    #[test]
    fn the_time_since_the_start_is_told_in_its_largest_unit() {
        assert_eq!(started(Duration::from_hours(80)), "3 days ago");
        assert_eq!(started(Duration::MAX), "");
    }
}
