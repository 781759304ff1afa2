//! What a person reads in the browser.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{explain::consent, failure::Explanation, oauth::Consented};

const STYLE: &str = include_str!("../../templates/style.css");

/// Nothing is loaded, run, framed or sent from a page, and its style is the one that is known by its hash.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    title: &'a str,
    lines: &'a [String],
    style: &'a str,
}

/// A page that says in plain words what has happened.
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    lines: Vec<String>,
}

impl Page {
    /// The consent is stored.
    pub(super) fn consented(consented: &Consented) -> Self {
        let signed_in = match &consented.signed_in {
            Some(user) => format!("Signed in as {user}."),
            None => "The authority does not say who signed in; the mail server will see.".to_owned(),
        };
        let stored = format!("The consent for {} is stored, and renews itself.", consented.owner);
        let lines = vec![signed_in, stored, "You may close this page.".to_owned()];
        Self { status: StatusCode::OK, title: "Authorized", lines }
    }

    /// Nothing is stored.
    pub(super) fn refused(why: &Explanation) -> Self {
        let mut lines = vec![why.cause.clone()];
        lines.extend((!why.cure.is_empty()).then(|| why.cure.clone()));
        lines.push("What was stored before is unchanged.".to_owned());
        Self { status: StatusCode::BAD_REQUEST, title: "Not authorized", lines }
    }

    /// Nobody began this here.
    pub(super) fn unknown() -> Self {
        let why = consent::unknown_state();
        let lines = vec![why.cause.clone(), why.cure.clone(), "Nothing has changed.".to_owned()];
        Self { status: StatusCode::BAD_REQUEST, title: "No such sign-in", lines }
    }

    /// There is no such page.
    pub(super) fn nothing_here() -> Self {
        let lines =
            vec!["This is where browsers come back to after a sign-in; there is nothing to see.".to_owned()];
        Self { status: StatusCode::NOT_FOUND, title: "Nothing here", lines }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let page = Landing { title: self.title, lines: &self.lines, style: STYLE };
        // Writing into a string does not fail.
        let html = page.render().unwrap_or_default();
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (self.status, headers, html).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_said_is_text_on_the_page() {
        let why = Explanation::new("<script>alert(1)</script> & \"friends\"", "");
        let page = Page::refused(&why);
        let html = Landing { title: page.title, lines: &page.lines, style: STYLE }.render().unwrap();
        assert!(!html.contains("<script>") && html.contains("script&#62;alert(1)"), "{html}");
    }
}
