//! What a person reads in the browser: the frame of every page, and those that say in plain words what has happened.
//!
//! `house` has the pages of the house, `consent` those of a consent, `examination` the doctor's, `chart` a picture.

mod chart;
mod consent;
mod examination;
mod house;

use std::{sync::LazyLock, time::Duration};

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use super::gate::Visitor;
use crate::{explain::consent as causes, failure::Explanation, oauth::Consented};

pub(super) use consent::{ended, waiting};
pub(super) use examination::examination;
pub(super) use house::{Wanted, account, accounts, end, failures, overview, sessions};

const STYLE: &str = include_str!("../../../templates/style.css");
const SCRIPT: &str = include_str!("../../../templates/console.js");

/// Where the script is. Another script has another address, so that none is used for longer than it fits.
static SCRIPT_AT: LazyLock<String> = LazyLock::new(|| {
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, SCRIPT.as_bytes()));
    format!("/console.js?{}", hash.get(..16).unwrap_or_default())
});

/// Nothing is loaded, run or framed by a page but `more`, and its style is the one that is known by its hash. The icon
/// is in the page itself.
fn policy(more: &str, forms: &str) -> String {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; {more}base-uri 'none'; \
         form-action {forms}; frame-ancestors 'none'"
    )
}

/// What a page can do, and what goes with that.
#[derive(Debug, Clone, Copy)]
enum Powers {
    /// Nothing is sent from it.
    None,
    /// Forms are sent to the console.
    Forms,
    /// They are, and the console's own script asks for the page again.
    Live,
}

impl Powers {
    fn policy(self) -> &'static str {
        static NONE: LazyLock<String> = LazyLock::new(|| policy("", "'none'"));
        static FORMS: LazyLock<String> = LazyLock::new(|| policy("", "'self'"));
        static LIVE: LazyLock<String> =
            LazyLock::new(|| policy("script-src 'self'; connect-src 'self'; ", "'self'"));
        match self {
            Self::None => &NONE,
            Self::Forms => &FORMS,
            Self::Live => &LIVE,
        }
    }

    /// Without a referrer a browser would send a form with the origin `null`.
    fn referrer(self) -> &'static str {
        match self {
            Self::None => "no-referrer",
            Self::Forms | Self::Live => "same-origin",
        }
    }
}

fn html(status: StatusCode, powers: Powers, page: &impl Template) -> Response {
    // Writing into a string does not fail.
    let html = page.render().unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY.as_str(), powers.policy()),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        (header::REFERRER_POLICY.as_str(), powers.referrer()),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    (status, headers, html).into_response()
}

/// The script of the pages. Its address changes with it.
pub(super) fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/javascript; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        (header::CACHE_CONTROL.as_str(), "private, max-age=31536000, immutable"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    (headers, SCRIPT).into_response()
}

/// What all pages have.
struct Frame<'a> {
    title: &'a str,
    style: &'static str,
    script: &'static str,
    /// What every form carries; empty on pages for who has no session.
    form_token: &'a str,
    /// Under which of [`Frame::places`] it is.
    here: &'static str,
}

impl<'a> Frame<'a> {
    /// A page by itself.
    fn alone(title: &'a str) -> Self {
        Self { title, style: STYLE, script: &SCRIPT_AT, form_token: "", here: "" }
    }

    /// A page for who has a session.
    fn inside(title: &'a str, here: &'static str, visitor: &'a Visitor) -> Self {
        Self { here, form_token: visitor.form_token(), ..Self::alone(title) }
    }

    /// Where one may go from everywhere.
    #[expect(clippy::unused_self, reason = "templates call it by the frame")]
    fn places(&self) -> [(&'static str, &'static str); 4] {
        [("/", "Overview"), ("/accounts", "Accounts"), ("/sessions", "Sessions"), ("/failures", "Failures")]
    }

    fn is_here(&self, place: &str) -> bool {
        self.here == place
    }
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    frame: Frame<'a>,
    lines: &'a [String],
    ways: &'a [(String, &'static str)],
}

/// A page that says in plain words what has happened.
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    lines: Vec<String>,
    /// Where to go from there.
    ways: Vec<(String, &'static str)>,
}

impl Page {
    fn new(status: StatusCode, title: &'static str, lines: Vec<String>) -> Self {
        Self { status, title, lines, ways: Vec::new() }
    }

    /// The consent is stored.
    pub(super) fn consented(consented: &Consented) -> Self {
        let signed_in = match &consented.signed_in {
            Some(user) => format!("Signed in as {user}."),
            None => "The authority does not say who signed in; the mail server will see.".to_owned(),
        };
        let stored = format!("The consent for {} is stored, and renews itself.", consented.owner);
        let lines = vec![signed_in, stored, "You may close this page.".to_owned()];
        Self::new(StatusCode::OK, "Authorized", lines)
    }

    /// Nothing is stored.
    pub(super) fn refused(why: &Explanation) -> Self {
        let mut page = Self::not_done("Not authorized", why);
        page.lines.push("What was stored before is unchanged.".to_owned());
        page
    }

    /// Nobody began this here.
    pub(super) fn unknown() -> Self {
        let mut page = Self::not_done("No such sign-in", &causes::unknown_state());
        page.lines.push("Nothing has changed.".to_owned());
        page
    }

    /// There is no such page.
    pub(super) fn nothing_here() -> Self {
        let lines =
            vec!["This is where browsers come back to after a sign-in; there is nothing to see.".to_owned()];
        Self::new(StatusCode::NOT_FOUND, "Nothing here", lines)
    }

    /// What was asked for is not done.
    pub(super) fn not_done(title: &'static str, why: &Explanation) -> Self {
        let lines = [&why.cause, &why.cure].into_iter().filter(|line| !line.is_empty()).cloned().collect();
        Self::new(StatusCode::BAD_REQUEST, title, lines)
    }

    /// The same with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with a way to the console.
    pub(super) fn leading_home(self) -> Self {
        self.leading_to("/", "Go to the console")
    }

    /// The same with one more way on.
    pub(super) fn leading_to(mut self, place: impl Into<String>, name: &'static str) -> Self {
        self.ways.push((place.into(), name));
        self
    }

    fn template(&self) -> Landing<'_> {
        Landing { frame: Frame::alone(self.title), lines: &self.lines, ways: &self.ways }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        html(self.status, Powers::None, &self.template())
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LogIn<'a> {
    frame: Frame<'a>,
    wrong: bool,
    rests: Option<u64>,
}

/// The form that asks for the password, after a wrong one, or while it takes none.
pub(super) fn log_in(wrong: bool, rests: Option<Duration>) -> Response {
    let rests = rests.map(|left| left.as_secs().div_ceil(60).max(1));
    let status = match (wrong, rests) {
        (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
        (true, None) => StatusCode::FORBIDDEN,
        (false, None) => StatusCode::OK,
    };
    let page = LogIn { frame: Frame::alone("Sign in"), wrong, rests };
    let mut response = html(status, Powers::Forms, &page);
    if let Some(minutes) = rests {
        response.headers_mut().insert(header::RETRY_AFTER, (minutes * 60).into());
    }
    response
}

#[derive(Template)]
#[template(path = "entered.html")]
struct Entered<'a> {
    frame: Frame<'a>,
}

/// After a link has signed in. It leads on by itself: a browser that has followed the link from
/// elsewhere would not show its new cookie to where a redirect leads.
pub(super) fn entered() -> Response {
    html(StatusCode::OK, Powers::None, &Entered { frame: Frame::alone("Signed in") })
}

/// A place with what it is asked, as a link has it.
fn place(path: &str, query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const EVIL: &str = "\"><script>alert(1)</script>";

    #[track_caller]
    pub(super) fn assert_tame(page: &impl Template) {
        let html = page.render().unwrap();
        let own = html.matches("<script src=\"/console.js?").count();
        assert_eq!(html.matches("<script").count(), own, "{html}");
        assert!(html.contains("script&#62;alert(1)"), "{html}");
        // The policy would forbid them.
        assert!(!html.contains("style=\"") && !html.contains(" onclick"), "{html}");
    }

    #[test]
    fn what_a_stranger_said_is_text_on_the_page() {
        let page = Page::refused(&Explanation::new(EVIL, "")).leading_home();
        assert_tame(&page.template());
    }

    #[test]
    fn only_pages_for_who_is_signed_in_run_anything_and_only_their_own() {
        assert!(!Powers::None.policy().contains("script-src"));
        assert!(!Powers::Forms.policy().contains("script-src"));
        assert!(Powers::Live.policy().contains("script-src 'self'; connect-src 'self';"));
        for powers in [Powers::None, Powers::Forms, Powers::Live] {
            let policy = powers.policy();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        }
    }

    #[test]
    fn a_login_in_a_link_is_one_word() {
        assert_eq!(
            place("/account", &[("login", "a&b=c@example.com")]),
            "/account?login=a%26b%3Dc%40example.com"
        );
    }
}
