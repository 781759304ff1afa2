//! The pages of a consent: what a person has to do, and how it has ended.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use qrcode::{QrCode, render::svg};

use super::{
    super::{
        desk::{Begun, Ended, Way},
        gate::Visitor,
    },
    Frame, Page, Powers, html, place,
};
use crate::failure::Explanation;

#[derive(Template)]
#[template(path = "browser.html")]
struct InBrowser<'a> {
    frame: Frame<'a>,
    id: &'a str,
    login: &'a str,
    whom: &'a str,
    url: &'a str,
    redirect_uri: &'a str,
    /// Whether the browser goes to the authority at once, as it comes back by itself.
    leads_on: bool,
    /// Why the address that was pasted is none.
    trouble: Option<&'a Explanation>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct ByDevice<'a> {
    frame: Frame<'a>,
    login: &'a str,
    whom: &'a str,
    user_code: &'a str,
    address: &'a str,
    /// Where a click leads, if the address is one.
    link: Option<&'a str>,
    /// The address as a picture: markup of ours, which says nothing of the address's own.
    picture: &'a str,
}

/// What a person has to do. Where the browser comes back from the authority by itself the page `leads_on` there at
/// once; else it waits, and takes the address that the browser ended at.
///
/// The authority stands in a link and not in the answer to the form: a browser that heeds `form-action`
/// on the way of a redirect would go nowhere.
pub(in crate::console) fn waiting(
    begun: &Begun,
    leads_on: impl Fn(&str) -> bool,
    trouble: Option<&Explanation>,
    visitor: &Visitor,
) -> Response {
    let (login, whom) = (begun.login.as_str(), begun.sign_in.join(" or "));
    let whom = whom.as_str();
    match &begun.way {
        Way::Browser { url, redirect_uri } => {
            let frame = Frame::inside("Sign in at the authority", "/accounts", visitor);
            let leads_on = trouble.is_none() && leads_on(redirect_uri);
            let id = &begun.id;
            let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let page = InBrowser { frame, id, login, whom, url, redirect_uri, leads_on, trouble };
            html(status, Powers::Live, &page)
        }
        Way::Device { user_code, verification_uri, complete_uri } => {
            let complete = complete_uri.as_ref().unwrap_or(verification_uri);
            let page = ByDevice {
                frame: Frame::inside("Enter this code", "/accounts", visitor),
                login,
                whom,
                user_code,
                address: verification_uri,
                link: is_web(complete).then_some(complete),
                picture: &picture(complete),
            };
            html(StatusCode::OK, Powers::Live, &page)
        }
    }
}

/// How a consent has ended.
pub(in crate::console) fn ended(begun: &Begun, ended: &Ended) -> Page {
    let page = match ended {
        Ended::Done { signed_in } => {
            let signed_in = signed_in.as_ref().map(|user| format!("Signed in as {user}."));
            let stored = format!("The consent for {} is stored, and renews itself.", begun.login);
            Page::new(StatusCode::OK, "Authorized", signed_in.into_iter().chain([stored]).collect())
        }
        Ended::Failed(why) => Page::refused(why).with_status(StatusCode::OK),
    };
    page.leading_to(place("/account", &[("login", &begun.login)]), "Go to the account")
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
    use super::{
        super::tests::{EVIL, assert_tame},
        *,
    };

    #[test]
    fn names_addresses_and_codes_are_text() {
        let page = ByDevice {
            frame: Frame::alone("t"),
            login: EVIL,
            whom: EVIL,
            user_code: EVIL,
            address: EVIL,
            link: Some(EVIL),
            picture: &picture(EVIL),
        };
        assert_tame(&page);
        for leads_on in [true, false] {
            let page = InBrowser {
                frame: Frame::alone("t"),
                id: EVIL,
                login: EVIL,
                whom: EVIL,
                url: EVIL,
                redirect_uri: EVIL,
                leads_on,
                trouble: Some(&Explanation::new(EVIL, EVIL)),
            };
            assert_tame(&page);
        }
        let begun = Begun {
            id: "a".to_owned(),
            login: EVIL.to_owned(),
            sign_in: Vec::new(),
            way: Way::Browser { url: String::new(), redirect_uri: String::new() },
        };
        assert_tame(&ended(&begun, &Ended::Done { signed_in: Some(EVIL.to_owned()) }).template());
    }

    #[test]
    fn an_address_that_would_run_is_no_link_and_a_picture_is_an_element() {
        assert!(!is_web("javascript:alert(1)") && is_web("https://example.com/device"));
        let picture = picture("https://example.com/device");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture}");
        assert_eq!(super::picture(&"x".repeat(8000)), "");
    }
}
