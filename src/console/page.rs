//! What a person reads in the browser.

use std::{sync::LazyLock, time::Duration};

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{QrCode, render::svg};

use super::{
    desk::{Begun, Ended, Overview, Way},
    gate::Visitor,
};
use crate::{explain::consent, failure::Explanation, oauth::Consented};

const STYLE: &str = include_str!("../../templates/style.css");

/// Nothing is loaded, run or framed by a page, and its style is the one that is known by its hash.
fn policy(forms: &str) -> String {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
    )
}

/// Whether a page has forms, and what goes with that.
#[derive(Debug, Clone, Copy)]
enum Forms {
    /// Nothing is sent from it.
    None,
    /// They are sent to the console.
    Here,
}

impl Forms {
    fn policy(self) -> &'static str {
        static NONE: LazyLock<String> = LazyLock::new(|| policy("'none'"));
        static HERE: LazyLock<String> = LazyLock::new(|| policy("'self'"));
        match self {
            Self::None => &NONE,
            Self::Here => &HERE,
        }
    }

    /// Without a referrer a browser would send a form with the origin `null`.
    fn referrer(self) -> &'static str {
        match self {
            Self::None => "no-referrer",
            Self::Here => "same-origin",
        }
    }
}

fn html(status: StatusCode, forms: Forms, page: &impl Template) -> Response {
    // Writing into a string does not fail.
    let html = page.render().unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, forms.policy()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, forms.referrer()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html).into_response()
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    title: &'a str,
    lines: &'a [String],
    home: bool,
    style: &'a str,
}

/// A page that says in plain words what has happened.
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    lines: Vec<String>,
    home: bool,
}

impl Page {
    fn new(status: StatusCode, title: &'static str, lines: Vec<String>) -> Self {
        Self { status, title, lines, home: false }
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
        let mut page = Self::not_done("No such sign-in", &consent::unknown_state());
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
        Self { home: true, ..self }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let page = Landing { title: self.title, lines: &self.lines, home: self.home, style: STYLE };
        html(self.status, Forms::None, &page)
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LogIn<'a> {
    title: &'a str,
    wrong: bool,
    rests: Option<u64>,
    style: &'a str,
}

/// The form that asks for the password, after a wrong one, or while it takes none.
pub(super) fn log_in(wrong: bool, rests: Option<Duration>) -> Response {
    let rests = rests.map(|left| left.as_secs().div_ceil(60).max(1));
    let status = match (wrong, rests) {
        (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
        (true, None) => StatusCode::FORBIDDEN,
        (false, None) => StatusCode::OK,
    };
    let mut response = html(status, Forms::Here, &LogIn { title: "Sign in", wrong, rests, style: STYLE });
    if let Some(minutes) = rests {
        response.headers_mut().insert(header::RETRY_AFTER, (minutes * 60).into());
    }
    response
}

#[derive(Template)]
#[template(path = "entered.html")]
struct Entered<'a> {
    title: &'a str,
    style: &'a str,
}

/// After a link has signed in. It leads on by itself: a browser that has followed the link from
/// elsewhere would not show its new cookie to where a redirect leads.
pub(super) fn entered() -> Response {
    html(StatusCode::OK, Forms::None, &Entered { title: "Signed in", style: STYLE })
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    title: &'a str,
    version: &'a str,
    ready: bool,
    overview: &'a Overview,
    form_token: &'a str,
    style: &'a str,
}

/// How things are, and what can be done.
pub(super) fn overview(overview: &Overview, ready: bool, visitor: &Visitor) -> Response {
    let (version, form_token) = (env!("CARGO_PKG_VERSION"), visitor.form_token());
    let page = OverviewPage { title: "Accounts", version, ready, overview, form_token, style: STYLE };
    html(StatusCode::OK, Forms::Here, &page)
}

#[derive(Template)]
#[template(path = "browser.html")]
struct InBrowser<'a> {
    title: &'a str,
    login: &'a str,
    whom: &'a str,
    url: &'a str,
    redirect_uri: &'a str,
    comes_back: bool,
    style: &'a str,
}

#[derive(Template)]
#[template(path = "device.html")]
struct ByDevice<'a> {
    title: &'a str,
    login: &'a str,
    whom: &'a str,
    user_code: &'a str,
    address: &'a str,
    /// Where a click leads, if the address is one.
    link: Option<&'a str>,
    /// The address as a picture: markup of ours, which says nothing of the address's own.
    picture: &'a str,
    style: &'a str,
}

/// What a person has to do. The page asks again by itself; where the browser `comes_back` from the
/// authority to a redirect URI, it goes there at once.
///
/// The authority stands in a link and not in the answer to the form: a browser that heeds `form-action`
/// on the way of a redirect would go nowhere.
pub(super) fn waiting(begun: &Begun, comes_back: impl Fn(&str) -> bool) -> Response {
    let (login, whom) = (begun.login.as_str(), begun.sign_in.join(" or "));
    let whom = whom.as_str();
    match &begun.way {
        Way::Browser { url, redirect_uri } => {
            let title = "Sign in at the authority";
            let comes_back = comes_back(redirect_uri);
            let page = InBrowser { title, login, whom, url, redirect_uri, comes_back, style: STYLE };
            html(StatusCode::OK, Forms::None, &page)
        }
        Way::Device { user_code, verification_uri, complete_uri } => {
            let complete = complete_uri.as_ref().unwrap_or(verification_uri);
            let page = ByDevice {
                title: "Enter this code",
                login,
                whom,
                user_code,
                address: verification_uri,
                link: is_web(complete).then_some(complete),
                picture: &picture(complete),
                style: STYLE,
            };
            html(StatusCode::OK, Forms::None, &page)
        }
    }
}

/// How a consent has ended.
pub(super) fn ended(begun: &Begun, ended: &Ended) -> Page {
    let page = match ended {
        Ended::Done { signed_in } => {
            let signed_in = signed_in.as_ref().map(|user| format!("Signed in as {user}."));
            let stored = format!("The consent for {} is stored, and renews itself.", begun.login);
            Page::new(StatusCode::OK, "Authorized", signed_in.into_iter().chain([stored]).collect())
        }
        Ended::Failed(why) => Page::refused(why).with_status(StatusCode::OK),
    };
    page.leading_home()
}

fn is_web(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}

/// A QR code, as an element of a page; nothing where the address is too long for one.
fn picture(address: &str) -> String {
    let Ok(code) = QrCode::new(address.as_bytes()) else { return String::new() };
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(220, 220).build();
    // What stands before the element is for files.
    drawn.find("<svg").map(|at| drawn[at..].to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::desk::{Failed, Row, Ways};

    const EVIL: &str = "\"><script>alert(1)</script>";

    #[track_caller]
    fn assert_tame(html: &str) {
        assert!(!html.contains("<script") && html.contains("script&#62;alert(1)"), "{html}");
    }

    #[test]
    fn what_a_stranger_said_is_text_on_the_page() {
        let why = Explanation::new("<script>alert(1)</script> & \"friends\"", "");
        let page = Page::refused(&why);
        let page = Landing { title: page.title, lines: &page.lines, home: false, style: STYLE };
        assert_tame(&page.render().unwrap());
    }

    #[test]
    fn names_and_explanations_are_text_wherever_they_stand() {
        let evil = || EVIL.to_owned();
        let row = Row {
            login: evil(),
            mailbox: evil(),
            app: evil(),
            grant: evil(),
            state: evil(),
            trouble: Some(evil()),
            expires: Some(evil()),
            last_login: Some(evil()),
            last_failure: Some(Failed { when: evil(), why: Explanation::new(EVIL, EVIL) }),
            consent: Some(Ways::Both),
            is_well: false,
            settings: Vec::new(),
        };
        let warnings = vec![Explanation::new(EVIL, EVIL)];
        let overview = Overview { accounts: vec![row], warnings, ..Overview::default() };
        let (title, version, form_token, style) = ("t", "1", "f", STYLE);
        let page = OverviewPage { title, version, ready: true, overview: &overview, form_token, style };
        assert_tame(&page.render().unwrap());
        let page = ByDevice {
            title,
            login: EVIL,
            whom: EVIL,
            user_code: EVIL,
            address: EVIL,
            link: Some(EVIL),
            picture: &picture(EVIL),
            style,
        };
        assert_tame(&page.render().unwrap());
        let (url, redirect_uri) = (EVIL, EVIL);
        let page = InBrowser { title, login: EVIL, whom: EVIL, url, redirect_uri, comes_back: true, style };
        assert_tame(&page.render().unwrap());
    }

    #[test]
    fn an_address_that_would_run_is_no_link_and_a_picture_is_an_element() {
        assert!(!is_web("javascript:alert(1)") && is_web("https://example.com/device"));
        let picture = picture("https://example.com/device");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture}");
        assert_eq!(super::picture(&"x".repeat(8000)), "");
    }
}
