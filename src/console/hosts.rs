//! Where the console is: what a browser may say that it has asked.
//!
//! A page of a stranger may lead a browser here by a name of its own that points to this machine (DNS
//! rebinding). The browser then says the stranger's name, which is none of these.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

/// The addresses of the console.
#[derive(Debug)]
pub struct Hosts {
    bound: SocketAddr,
    /// Whether TLS ends here.
    tls: bool,
    public: Option<Url>,
    /// Where people open it, without a slash at the end.
    address: String,
    known: Vec<Url>,
}

impl Hosts {
    /// The addresses of a console that was told to listen at `bind`, listens at `bound`, with or without `tls`, and that
    /// the world sees at `public`.
    #[must_use]
    pub fn new(bind: &str, bound: SocketAddr, tls: bool, public: Option<&Url>) -> Self {
        let (host, port) = (bind.rsplit_once(':').map_or(bind, |(host, _)| host), bound.port());
        let scheme = if tls { "https" } else { "http" };
        let here = ["localhost", "127.0.0.1", "[::1]", host].map(|host| format!("{scheme}://{host}:{port}"));
        let here: Vec<_> = here.iter().filter_map(|url| Url::parse(url).ok()).collect();
        let elsewhere = here.iter().find(|url| !leads_home(url));
        let address = match public.or(elsewhere) {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{scheme}://localhost:{port}"),
        };
        let known = public.cloned().into_iter().chain(here).collect();
        Self { bound, tls, public: public.cloned(), address, known }
    }

    /// The port that is listened on.
    pub(super) fn port(&self) -> u16 {
        self.bound.port()
    }

    /// Where people open it, without a slash at the end.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether nobody reaches it but from this machine. What is bound to every address is reached from everywhere.
    pub(super) fn is_local(&self) -> bool {
        self.bound.ip().to_canonical().is_loopback() && self.known.iter().all(leads_home)
    }

    /// Whether people reach it by TLS, whoever ends that.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls || self.is_published()
    }

    /// Whether it has a public address by HTTPS.
    pub(super) fn is_published(&self) -> bool {
        self.public.as_ref().is_some_and(|public| public.scheme() == "https")
    }

    /// Whether a request names one of these as its host, and just one.
    pub(super) fn is_asked(&self, headers: &HeaderMap) -> bool {
        single(headers, &header::HOST).is_some_and(|host| self.knows(host))
    }

    fn knows(&self, host: &str) -> bool {
        let asked = |known: &Url| Url::parse(&format!("{}://{host}", known.scheme())).ok();
        self.known.iter().any(|known| asked(known).is_some_and(|asked| is_same(&asked, known)))
    }

    /// Whether a form comes from a page of these, as far as the browser says. One that says nothing is
    /// old, or no browser.
    pub(super) fn is_sent_from_here(&self, headers: &HeaderMap) -> bool {
        let origin = match headers.get(header::ORIGIN) {
            Some(_) => single(headers, &header::ORIGIN).and_then(|origin| Url::parse(origin).ok()),
            None => return is_same_site(headers.get("sec-fetch-site")),
        };
        let known = |origin: Url| self.known.iter().any(|known| is_same(&origin, known));
        origin.is_some_and(known) && is_same_site(headers.get("sec-fetch-site"))
    }

    /// Whether a browser that has come here comes back by `redirect_uri`: to here, or from this machine
    /// to this machine.
    pub(super) fn comes_back(&self, headers: &HeaderMap, redirect_uri: &str) -> bool {
        let Ok(redirect) = Url::parse(redirect_uri) else { return false };
        let host = single(headers, &header::HOST).unwrap_or_default();
        let asked = Url::parse(&format!("http://{host}"));
        let to_public = self.public.as_ref().is_some_and(|public| public.origin() == redirect.origin());
        to_public || asked.is_ok_and(|asked| leads_home(&asked)) && leads_home(&redirect)
    }
}

/// The same scheme, host and port, and nothing else.
fn is_same(asked: &Url, known: &Url) -> bool {
    let is_bare = asked.path() == "/" && asked.query().is_none() && asked.fragment().is_none();
    is_bare && asked.username().is_empty() && asked.password().is_none() && asked.origin() == known.origin()
}

/// Whether a browser on this machine comes to this machine by it.
fn leads_home(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>: `none` is a person's own act.
fn is_same_site(site: Option<&HeaderValue>) -> bool {
    site.is_none_or(|site| site == "same-origin" || site == "none")
}

fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn bound(addr: &str) -> SocketAddr {
        addr.parse().unwrap()
    }

    #[test]
    fn a_console_is_local_where_it_is_bound_to_loopback_and_known_by_no_other_name() {
        let is_local = |bind: &str, public: Option<&str>| {
            let public = public.map(|url| url.parse().unwrap());
            Hosts::new(bind, bound(&bind.replace("localhost", "127.0.0.1")), false, public.as_ref())
                .is_local()
        };
        for bind in ["127.0.0.1:8025", "[::1]:8025", "localhost:8025"] {
            assert!(is_local(bind, None), "{bind}");
        }
        for bind in ["0.0.0.0:8025", "[::]:8025", "192.0.2.7:8025"] {
            assert!(!is_local(bind, None), "{bind}");
        }
        assert!(is_local("127.0.0.1:8025", Some("http://localhost:3000")));
        assert!(!is_local("127.0.0.1:8025", Some("https://mail.example.com")));
    }

    #[test]
    fn a_host_is_known_by_name_and_port() {
        let public = "https://mail.example.com/".parse().unwrap();
        let hosts = Hosts::new("192.0.2.7:8025", bound("192.0.2.7:8025"), false, Some(&public));
        for known in [
            "mail.example.com",
            "MAIL.example.com:443",
            "localhost:8025",
            "127.0.0.1:8025",
            "[::1]:8025",
            "192.0.2.7:8025",
        ] {
            assert!(hosts.knows(known), "{known}");
        }
        for foreign in [
            "",
            "localhost",
            "localhost:8026",
            "mail.example.com:8025",
            "rebound.example.net:8025",
            "localhost.example.net:8025",
            "a@localhost:8025",
            "localhost:8025/x",
            "192.0.2.8:8025",
        ] {
            assert!(!hosts.knows(foreign), "{foreign}");
        }
        assert!(!hosts.is_asked(&HeaderMap::new()));
        let mut two = headers(&[("host", "localhost:8025")]);
        assert!(hosts.is_asked(&two));
        two.append("host", "localhost:8025".parse().unwrap());
        assert!(!hosts.is_asked(&two));
    }

    #[test]
    fn a_form_comes_from_here_or_from_what_is_no_browser() {
        let hosts = Hosts::new("127.0.0.1:8025", bound("127.0.0.1:8025"), false, None);
        let from = |pairs: &[(&'static str, &str)]| hosts.is_sent_from_here(&headers(pairs));
        assert!(from(&[]));
        assert!(from(&[("origin", "http://localhost:8025"), ("sec-fetch-site", "same-origin")]));
        for foreign in ["null", "https://localhost:8025", "http://localhost:3000", "http://example.net"] {
            assert!(!from(&[("origin", foreign)]), "{foreign}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!from(&[("sec-fetch-site", site)]), "{site}");
            assert!(!from(&[("origin", "http://localhost:8025"), ("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn a_browser_comes_back_to_the_public_address_or_on_its_own_machine() {
        let public = "https://mail.example.com/".parse().unwrap();
        let hosts = Hosts::new("0.0.0.0:8025", bound("0.0.0.0:8025"), false, Some(&public));
        let (near, far) = (headers(&[("host", "localhost:8025")]), headers(&[("host", "mail.example.com")]));
        assert!(hosts.comes_back(&far, "https://mail.example.com/"));
        assert!(hosts.comes_back(&near, "http://localhost:3017/"));
        assert!(!hosts.comes_back(&far, "http://localhost:3017/"));
        assert_eq!(hosts.address(), "https://mail.example.com");
        let hosts = Hosts::new("127.0.0.1:0", bound("127.0.0.1:8025"), false, None);
        assert_eq!(hosts.address(), "http://localhost:8025");
        let hosts = Hosts::new("192.0.2.7:8025", bound("192.0.2.7:8025"), false, None);
        assert_eq!(hosts.address(), "http://192.0.2.7:8025");
    }

    #[test]
    fn a_console_with_tls_is_at_https_and_no_form_of_a_page_in_clear_is_taken() {
        let hosts = |bind: &str| Hosts::new(bind, bound(bind), true, None);
        assert_eq!(hosts("127.0.0.1:8025").address(), "https://localhost:8025");
        assert_eq!(hosts("192.0.2.7:8025").address(), "https://192.0.2.7:8025");
        let hosts = hosts("127.0.0.1:8025");
        assert!(hosts.is_encrypted() && hosts.is_local() && !hosts.is_published());
        assert!(hosts.knows("localhost:8025") && !hosts.knows("localhost"));
        let from = |origin: &str| hosts.is_sent_from_here(&headers(&[("origin", origin)]));
        assert!(from("https://localhost:8025") && from("https://127.0.0.1:8025"));
        assert!(!from("http://localhost:8025") && !from("https://localhost"));
        let near = headers(&[("host", "localhost:8025")]);
        assert!(hosts.comes_back(&near, "https://localhost:8025/"));
        let usual = Hosts::new("127.0.0.1:443", bound("127.0.0.1:443"), true, None);
        assert!(usual.knows("localhost") && usual.knows("localhost:443"));
    }
}
