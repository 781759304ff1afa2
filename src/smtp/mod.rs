//! SMTP submission up to the login, as a server to the client and as a client to the upstream.
//!
//! RFC 5321 and 6409 and what clients make of them; RFC 4954 (AUTH), RFC 3207 (STARTTLS), RFC 2034 and
//! 3463 (enhanced status codes), RFC 1870 (SIZE), RFC 3030 (BDAT). After the login the bytes are carried
//! as they are, but for accounts that may name some senders alone: of those every command is read
//! (`relay`).
//!
//! Clients do not say EHLO again after AUTH, so that what is promised to them before it is known which
//! upstream they will get must hold for every one of them: [`Smtp::common`](Protocol::common).

mod client;
mod relay;
mod reply;
mod upstream;
mod wire;

pub use client::Client;
pub use upstream::Upstream;

use crate::{
    dialogue::{Capabilities, Ceilings, Offer, Protocol, Remark, UpstreamLogin, Watch, Welcome},
    ids::ProtocolKind,
};

/// The protocol, RFC 6409.
pub struct Smtp;

impl Protocol for Smtp {
    const KIND: ProtocolKind = ProtocolKind::Smtp;

    type Client = Client;

    type Upstream = Upstream;

    fn client(offer: Offer, ceilings: Ceilings) -> Client {
        Client::new(offer, ceilings)
    }

    fn upstream(login: UpstreamLogin) -> Upstream {
        Upstream::new(login)
    }

    /// What RFC 5321 servers of today have without exception, and what costs nothing where one has not:
    /// a client that knows 8BITMIME sends the same bytes as one that does not care, and enhanced codes
    /// are in the bridge's own replies.
    fn safe() -> Capabilities {
        Capabilities(vec!["8BITMIME".to_owned(), "ENHANCEDSTATUSCODES".to_owned()])
    }

    fn common(lists: &[Capabilities]) -> Capabilities {
        let Some((first, others)) = lists.split_first() else { return Capabilities::default() };
        let extensions = first.0.iter().filter_map(|line| {
            let first = Extension::read(line);
            let mut found = others.iter().map(|list| Extension::find(list, first.keyword));
            found.try_fold(first.clone(), |common, other| common.intersection(other?))
        });
        Capabilities(extensions.map(|extension| extension.to_string()).collect())
    }

    fn broken_promises(promised: &Capabilities, found: &Capabilities) -> Vec<String> {
        let is_broken = |line: &&String| {
            let promise = Extension::read(line);
            !Extension::find(found, promise.keyword).is_some_and(|kept| kept.keeps(&promise))
        };
        promised.0.iter().filter(is_broken).cloned().collect()
    }

    fn remark(chunk: &[u8]) -> Option<Remark> {
        relay::remark(chunk)
    }

    fn watch(welcome: &Welcome, ceilings: Ceilings) -> Option<Box<dyn Watch>> {
        Some(Box::new(relay::Mail::new(welcome, ceilings)))
    }
}

/// One line of an EHLO reply: `ehlo-line = ehlo-keyword *( SP ehlo-param )`, RFC 5321 §4.1.1.1.
#[derive(Debug, Clone)]
struct Extension<'a> {
    keyword: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Extension<'a> {
    fn read(line: &'a str) -> Self {
        let mut words = line.split_ascii_whitespace();
        Self { keyword: words.next().unwrap_or_default(), parameters: words.collect() }
    }

    fn find(list: &'a Capabilities, keyword: &str) -> Option<Self> {
        list.0.iter().map(|line| Self::read(line)).find(|other| other.is(keyword))
    }

    /// Keywords have no case, RFC 5321 §2.4.
    fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }

    fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|other| other.eq_ignore_ascii_case(parameter))
    }

    /// What both have; `None` where that would say something that neither says: a keyword alone is a
    /// promise of its own.
    fn intersection(mut self, other: Self) -> Option<Self> {
        if self.is("SIZE") {
            return Some(if other.largest_message() < self.largest_message() { other } else { self });
        }
        let alone = self.parameters.is_empty();
        self.parameters.retain(|parameter| other.has(parameter));
        (!self.parameters.is_empty() || alone && other.parameters.is_empty()).then_some(self)
    }

    /// Whether `self` is at least what was promised.
    fn keeps(&self, promise: &Self) -> bool {
        if self.is("SIZE") {
            return self.largest_message() >= promise.largest_message();
        }
        promise.parameters.iter().all(|parameter| self.has(parameter))
    }

    /// RFC 1870 §3: no number tells nothing and 0 says that there is no limit.
    fn largest_message(&self) -> u64 {
        let limit = self.parameters.first().and_then(|number| number.parse().ok());
        limit.filter(|&limit| limit > 0).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Display for Extension<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.keyword)?;
        self.parameters.iter().try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> Capabilities {
        Capabilities(lines.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_common_is_what_every_upstream_has() {
        let cases: &[(&[&[&str]], &[&str])] = &[
            (&[], &[]),
            (&[&["SIZE 1000", "8BITMIME"]], &["SIZE 1000", "8BITMIME"]),
            (&[&["8BITMIME", "DSN"], &["dsn", "8bitmime"], &["8BITMIME"]], &["8BITMIME"]),
            (&[&["SIZE 2000"], &["SIZE 1000"], &["SIZE 3000"]], &["SIZE 1000"]),
            (&[&["SIZE 0"], &["SIZE 1000"], &["SIZE"]], &["SIZE 1000"]),
            (&[&["SIZE"], &["SIZE 0"]], &["SIZE"]),
            (&[&["SIZE 1000"], &["8BITMIME"]], &[]),
            (&[&["LIMITS A=1 B=2"], &["LIMITS b=2 C=3"]], &["LIMITS B=2"]),
            (&[&["DELIVERBY 240"], &["DELIVERBY 300"]], &[]),
            (&[&["DELIVERBY"], &["DELIVERBY 300"]], &[]),
            (&[&["8BITMIME"], &[]], &[]),
        ];
        for (lists, common) in cases {
            let lists: Vec<_> = lists.iter().map(|lines| list(lines)).collect();
            assert_eq!(Smtp::common(&lists), list(common), "{lists:?}");
        }
    }

    #[test]
    fn a_promise_is_broken_by_less_and_kept_by_more() {
        let found = list(&["size 1000", "8bitmime", "LIMITS A=1 B=2"]);
        let promised =
            list(&["SIZE 1000", "SIZE 1001", "SIZE", "8BITMIME", "SMTPUTF8", "LIMITS A=1", "LIMITS C=3"]);
        assert_eq!(Smtp::broken_promises(&promised, &found), ["SIZE 1001", "SIZE", "SMTPUTF8", "LIMITS C=3"]);
        assert!(Smtp::broken_promises(&list(&["SIZE 1000"]), &list(&["SIZE 0"])).is_empty());
    }
}
