//! A user at the authority without a browser: curl with a jar of cookies walks the forms of `pages.mjs`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use url::Url;

use crate::authority::Authority;
use crate::clients::{command, run};
use crate::servers::{CLIENT_SECRET, TENANT};

/// What a bridge asks for when a user signs in.
pub const USER_SCOPES: &str = "openid offline_access https://outlook.office.com/IMAP.AccessAsUser.All \
                               https://outlook.office.com/SMTP.Send";

/// What `code_challenge` is made of, where a test makes one (RFC 7636 appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What the user says to the application's request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accept,
    Cancel,
}

impl Authority {
    /// Signs `user` in and accepts what the application asks for. `url` is the authorization endpoint with a request, or
    /// something that redirects there. Returns the redirect to the application - its `redirect_uri` with `code` and `state` -
    /// which is not followed: [`Authority::get`] does that.
    #[track_caller]
    pub fn sign_in(&self, url: &str, user: &str) -> String {
        self.visit(url, user, Answer::Accept)
    }

    /// As [`Authority::sign_in`], but the user does not accept: the redirect says `error=access_denied`.
    #[track_caller]
    pub fn decline(&self, url: &str, user: &str) -> String {
        self.visit(url, user, Answer::Cancel)
    }

    /// Types a device's code into the page for that, signs `user` in and accepts.
    #[track_caller]
    pub fn approve_device(&self, verification_uri: &str, user_code: &str, user: &str) {
        let page = Walk::of(self, user, user_code, Answer::Accept).go(verification_uri);
        let Stop::Page(text) = page else { panic!("the device page led away") };
        assert_eq!(title(&text), "You have signed in", "{text}");
    }

    /// As [`Authority::approve_device`], but the user does not accept: the device hears `authorization_declined`.
    #[track_caller]
    pub fn decline_device(&self, verification_uri: &str, user_code: &str, user: &str) {
        let page = Walk::of(self, user, user_code, Answer::Cancel).go(verification_uri);
        let Stop::Page(text) = page else { panic!("the device page led away") };
        assert!(text.contains("You did not sign in."), "{text}");
    }

    /// A page as a browser sees it that keeps no cookies and follows no redirect: its status, and what it says.
    #[track_caller]
    pub fn get(&self, url: &str) -> (u16, String) {
        let (status, _, text) = Walk::of(self, "", "", Answer::Accept).load(url, &[]);
        (status, text)
    }

    /// The request with which `client` sends a user to the authority, with a challenge for [`VERIFIER`].
    pub fn authorization_request(&self, client: &str, redirect_uri: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut url = Url::parse(&self.authorize_url().replace("{tenant}", TENANT)).unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", client)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", USER_SCOPES)
            .append_pair("state", "state of the test")
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// What `client` gets for a code that [`Authority::authorization_request`] led to. Of `jwt-` applications, only the test
    /// itself can ask.
    #[track_caller]
    pub fn redeem(&self, client: &str, redirect_uri: &str, code: &str) -> Value {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("code", code),
            ("code_verifier", VERIFIER),
        ];
        if client.starts_with("conf-") {
            form.push(("client_secret", CLIENT_SECRET));
        }
        self.post(&self.token_url(), &form)
    }

    /// What `client` gets when `user` signs in and accepts: access, refresh and id token, as the authority's JSON.
    #[track_caller]
    pub fn user_tokens(&self, client: &str, user: &str) -> Value {
        let redirect_uri = "http://localhost:1/";
        let landed = self.sign_in(&self.authorization_request(client, redirect_uri), user);
        self.redeem(
            client,
            redirect_uri,
            &query(&landed, "code").unwrap_or_else(|| panic!("no code: {landed}")),
        )
    }

    /// What `client`, a `public-` or `conf-` one, gets for a refresh token.
    #[track_caller]
    pub fn refresh(&self, client: &str, refresh_token: &str) -> Value {
        let mut form =
            vec![("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", refresh_token)];
        if client.starts_with("conf-") {
            form.push(("client_secret", CLIENT_SECRET));
        }
        self.post(&self.token_url(), &form)
    }

    #[track_caller]
    fn visit(&self, url: &str, user: &str, answer: Answer) -> String {
        match Walk::of(self, user, "", answer).go(url) {
            Stop::Redirect(url) => url,
            Stop::Page(text) => panic!("the authority did not send the user back: {text}"),
        }
    }
}

/// A parameter of a URL.
pub fn query(url: &str, name: &str) -> Option<String> {
    Url::parse(url).unwrap().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Where a walk ended.
enum Stop {
    /// A redirect away from the authority, which is not followed.
    Redirect(String),
    /// A page without a form, or the page after a refusal.
    Page(String),
}

struct Walk<'a> {
    authority: &'a Authority,
    user: &'a str,
    user_code: &'a str,
    answer: Answer,
    jar: NamedTempFile,
}

impl<'a> Walk<'a> {
    fn of(authority: &'a Authority, user: &'a str, user_code: &'a str, answer: Answer) -> Self {
        Self { authority, user, user_code, answer, jar: NamedTempFile::new().unwrap() }
    }

    /// From page to page until there is nothing more to fill in.
    #[track_caller]
    fn go(&self, url: &str) -> Stop {
        let origin = self.authority.origin();
        let mut url = url.to_owned();
        let (mut data, mut refused) = (Vec::new(), false);
        for _ in 0..20 {
            let (_, redirect, text) = self.load(&url, &data);
            if let Some(target) = redirect {
                if url.starts_with(&origin) && !target.starts_with(&format!("{origin}/")) {
                    return Stop::Redirect(target);
                }
                (url, data) = (target, Vec::new());
                continue;
            }
            let Some(form) = form(&text).filter(|_| !refused) else { return Stop::Page(text) };
            refused = self.refuses(&text);
            let base = Url::parse(&url).unwrap();
            url =
                attribute(&tags(form, "form")[0], "action").map_or(url, |to| base.join(&to).unwrap().into());
            data = self.fill_in(form, &text);
        }
        panic!("more than twenty pages, the last of them {url}");
    }

    /// Whether the user says no here: only on the consent page.
    fn refuses(&self, page: &str) -> bool {
        self.answer == Answer::Cancel && title(page) == "Permissions requested"
    }

    /// What is sent when the form is filled in and a button pressed.
    fn fill_in(&self, form: &str, page: &str) -> Vec<(String, String)> {
        let mut data = Vec::new();
        for input in tags(form, "input") {
            let name = attribute(&input, "name").unwrap();
            let value = match name.as_str() {
                "login" => self.user.to_owned(),
                "user_code" => self.user_code.to_owned(),
                _ => attribute(&input, "value").unwrap_or_default(),
            };
            data.push((name, value));
        }
        let pressed =
            tags(page, "button").into_iter().nth(usize::from(self.refuses(page))).expect("a button");
        if let Some(name) = attribute(&pressed, "name") {
            data.push((name, attribute(&pressed, "value").unwrap_or_default()));
        }
        data
    }

    /// Status, redirect and text of a page. With data it is sent a form.
    #[track_caller]
    fn load(&self, url: &str, data: &[(String, String)]) -> (u16, Option<String>, String) {
        let mut curl = command("curl");
        curl.args(["-sS", "--cacert"]).arg(self.authority.ca());
        curl.arg("-b").arg(self.jar.path()).arg("-c").arg(self.jar.path());
        for (name, value) in data {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let said = run(curl.args(["-w", "\n%{response_code} %{redirect_url}", url])).succeeded().text();
        let (text, end) = said.rsplit_once('\n').unwrap();
        let (status, redirect) = end.split_once(' ').unwrap();
        (status.parse().unwrap(), (!redirect.is_empty()).then(|| redirect.to_owned()), text.to_owned())
    }
}

fn title(page: &str) -> &str {
    between(page, "<title>", "</title>").unwrap_or_default()
}

/// The first form of a page, with its tags.
fn form(page: &str) -> Option<&str> {
    let start = page.find("<form")?;
    page[start..].find("</form>").map(|end| &page[start..start + end])
}

/// The opening tags of a name. These pages have no `>` in an attribute.
fn tags(html: &str, name: &str) -> Vec<String> {
    html.match_indices(&format!("<{name}"))
        .map(|(start, _)| html[start..].split('>').next().unwrap().to_owned())
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    between(tag, &format!(" {name}=\""), "\"").map(|value| value.replace("&amp;", "&").replace("&#38;", "&"))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    text[start..].find(after).map(|end| &text[start..start + end])
}
