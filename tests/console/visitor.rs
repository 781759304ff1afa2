//! A browser at the console, as the tests use it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{
    authority::{Authority, Registration},
    browser::{Browser, Page},
    config::{Config, Keys},
    exchange::Exchange,
    world::{ANN, BOB, PASSWORD, World},
};

pub const PUBLIC: &str = "44444444-4444-4444-8444-444444444444";

/// A world whose console has more lines in its table. Ann may consent in the browser, Bob by a code.
pub fn world(more: &str) -> World {
    redirecting(None, None, more)
}

/// The same, where the authority knows a redirect URI, and the app has one of its own.
pub fn redirecting(registered: Option<&str>, own: Option<&str>, more: &str) -> World {
    World::built(|_, authority: &Authority, exchange: &Exchange| {
        let app = Registration::public(PUBLIC);
        authority.register_app(registered.into_iter().fold(app, Registration::redirect));
        let keys = own.into_iter().fold(Keys::of(PUBLIC), Keys::redirect_uri);
        let mut config = Config::empty().delegated_app("people", authority, exchange, keys);
        for (person, grant) in [(ANN, "authorization_code"), (BOB, "device_code")] {
            exchange.mailboxes().create(person);
            config = config.account_with("people", person, Some(PASSWORD), grant, "");
        }
        config.console_with("127.0.0.1:0", more)
    })
}

/// A browser at the console, with a cookie as soon as it has got one.
pub struct Visitor {
    pub browser: Browser,
    pub home: String,
    pub cookie: String,
}

impl Visitor {
    pub fn of(world: &World) -> Self {
        let line = world.bridge.wait_for_log("the console", |line| line["message"] == "console");
        let scheme = if line["tls"] == "implicit" { "https" } else { "http" };
        let home = format!("{scheme}://{}", line["listener.addr"].as_str().unwrap());
        Self { browser: world.browser(), home, cookie: String::new() }
    }

    /// One who knows the password.
    pub async fn signed_in(world: &World) -> Self {
        let mut visitor = Self::of(world);
        let page = visitor.post("/login", &[("password", &made_password(world))]).await;
        assert_eq!((page.status, visitor.leads_to(&page).as_str()), (303, "/"), "{}", page.body);
        visitor.take_cookie(&page);
        visitor
    }

    /// The console's port.
    #[allow(dead_code, reason = "strangers use it, who write their requests out")]
    pub fn port(&self) -> u16 {
        self.home.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// What the console answers to a request that is written out.
    #[allow(dead_code, reason = "strangers use it, who write their requests out")]
    pub async fn answer(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub fn take_cookie(&mut self, page: &Page) {
        let set = page.headers["set-cookie"].to_str().unwrap();
        set.split(';').next().unwrap().clone_into(&mut self.cookie);
    }

    pub async fn get(&self, path: &str) -> Page {
        self.browser.get_with(&format!("{}{path}", self.home), &[("cookie", &self.cookie)]).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from(path, fields, &[]).await
    }

    pub async fn post_from(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let headers = [&[("cookie", self.cookie.as_str())], headers].concat();
        self.browser.post_with(&format!("{}{path}", self.home), fields, &headers).await
    }

    /// Presses a button of an account, and goes where that leads.
    pub async fn authorize(&self, login: &str, way: &str) -> Page {
        let token = hidden_token(&self.get("/").await);
        let page = self.post("/authorize", &[("token", &token), ("login", login), ("way", way)]).await;
        assert_eq!(page.status, 303, "{}", page.body);
        self.get(&self.leads_to(&page)).await
    }

    /// Where a page redirects to, on the console.
    pub fn leads_to(&self, page: &Page) -> String {
        let next = page.redirect().unwrap().to_string();
        next.strip_prefix(&self.home).unwrap_or_else(|| panic!("away, to {next}")).to_owned()
    }
}

pub fn made_password(world: &World) -> String {
    let file = world.folder.path().join("state/console.password");
    std::fs::read_to_string(file).unwrap().trim_end().to_owned()
}

pub fn hidden_token(page: &Page) -> String {
    between(&page.body, "name=\"token\" value=\"", "\"").to_owned()
}

#[track_caller]
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    found.unwrap_or_else(|| panic!("no {before} in {text}")).0
}

#[track_caller]
pub fn says(page: &Page, status: u16, words: &[&str]) {
    assert_eq!(page.status, status, "{}", page.body);
    for word in words {
        assert!(page.body.contains(word), "no {word:?} on the page:\n{}", page.body);
    }
}
