//! A browser without a screen: it goes where it is redirected to, and trusts the throw-away certificate authority.

use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
    redirect::Policy,
};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{PATIENCE, certs::Certs};

/// More redirects than this are a circle.
const HOPS: usize = 10;

/// A browser, or whatever else speaks HTTP. It keeps no cookies.
pub struct Browser {
    client: Client,
}

/// What came of a request.
#[derive(Debug)]
pub struct Page {
    /// Where it came from.
    pub url: Url,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its text.
    pub body: String,
}

impl Browser {
    /// A browser that accepts the certificates of `certs` alone, and uses no proxy.
    pub fn new(certs: &Certs) -> Self {
        let client = Client::builder()
            .tls_backend_preconfigured(certs.client_config())
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { client }
    }

    /// Opens a page, by way of all its redirects.
    ///
    /// # Panics
    /// Where a page cannot be reached, with its URL.
    pub async fn open(&self, url: &str) -> Page {
        let mut page = self.get(url).await;
        for _ in 0..HOPS {
            match page.redirect() {
                Some(next) => page = self.get(next.as_str()).await,
                None => return page,
            }
        }
        panic!("{url} redirects in circles");
    }

    /// Opens a page, by way of its redirects as long as they stay on its server, and returns the URL that
    /// leads away from there: the answer to an authorization request before it is delivered.
    ///
    /// # Panics
    /// Where nothing leads away, with the page that came instead.
    pub async fn leaves_for(&self, url: &str) -> Url {
        let mut page = self.get(url).await;
        for _ in 0..HOPS {
            let Some(next) = page.redirect() else {
                panic!("{url} leads nowhere else, to {}:\n{}", page.status, page.body);
            };
            if next.origin() != page.url.origin() {
                return next;
            }
            page = self.get(next.as_str()).await;
        }
        panic!("{url} redirects in circles");
    }

    /// Requests one page, and does not go where it redirects to.
    pub async fn get(&self, url: &str) -> Page {
        self.get_with(url, &[]).await
    }

    /// As [`Browser::get`], with more headers.
    pub async fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Page {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let mut request = self.client.get(url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Page::read(url, request.send().await).await
    }

    /// Sends a form.
    pub async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(url, fields, &[]).await
    }

    /// As [`Browser::post`], with more headers.
    pub async fn post_with(&self, url: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.client.post(url.clone()).body(body);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Page::read(url, request.send().await).await
    }
}

impl Page {
    async fn read(url: Url, response: Result<Response, reqwest::Error>) -> Self {
        let response = response.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        Self { url, status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Where it redirects to.
    pub fn redirect(&self) -> Option<Url> {
        let next = self.headers.get(LOCATION).filter(|_| (300..400).contains(&self.status))?;
        Some(self.url.join(next.to_str().unwrap()).unwrap())
    }

    /// Its text as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}:\n{}", self.body))
    }
}

/// A parameter in the query of a URL.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
