//! From the URL of a proxy to a [`Proxy`].

use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::{Credentials, Kind, Proxy};
use crate::secret::Secret;

/// The most bytes of a user or a password: one octet holds the length, RFC 1929 §2.
const LONGEST: usize = 255;

/// Why a text is not the URL of a proxy. It never quotes the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyMistake {
    /// Another scheme than the two.
    #[error("is neither socks5:// nor http://")]
    Scheme,
    /// `socks5h://`, curl's word for what `socks5://` means here.
    #[error("begins with socks5h://")]
    Socks5h,
    /// `https://`: TLS to the proxy itself.
    #[error("begins with https://, and proxies are not spoken to by TLS")]
    Https,
    /// The text cannot be parsed as a URL.
    #[error("is no URL: {0}")]
    Unparsable(url::ParseError),
    /// There is no host, or one that is none.
    #[error("has no host name")]
    Host,
    /// There is no port, or port 0.
    #[error("has no port")]
    Port,
    /// Something stands behind the port.
    #[error("has something behind its port")]
    Tail,
    /// A user without a password, one that is too long, or with what cannot be sent.
    #[error("has a user or a password that cannot be sent")]
    Credentials,
}

impl ProxyMistake {
    /// What to write instead.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::Socks5h => "write socks5://: names are looked up by the proxy in any case",
            Self::Https => {
                "write http:// and the port where the proxy takes CONNECT in clear; mail and tokens have their own TLS"
            }
            Self::Port => "write its port as well: socks5://host:1080 or http://host:3128",
            Self::Tail => "end it with the port: socks5://host:1080",
            Self::Credentials => {
                "write user:password@ with at most 255 bytes each, what is no letter or digit as % and two hex digits; no : in the user of http://"
            }
            Self::Scheme | Self::Unparsable(_) | Self::Host => {
                "write socks5://host:port or http://host:port, with user:password@ before the host where the proxy wants them"
            }
        }
    }
}

impl Proxy {
    /// Reads `socks5://[user:password@]host:port` or the same with `http://`. Both parts of the credentials may
    /// be percent-encoded (RFC 3986 §2.1).
    ///
    /// # Errors
    /// [`ProxyMistake`], which does not quote the text.
    pub fn parse(text: &str) -> Result<Self, ProxyMistake> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(ProxyMistake::Scheme)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "socks5" => Kind::Socks5,
            "http" => Kind::Http,
            "socks5h" => return Err(ProxyMistake::Socks5h),
            "https" => return Err(ProxyMistake::Https),
            _ => return Err(ProxyMistake::Scheme),
        };
        // Under a scheme that has no usual port, a port that is written is told from none.
        let url = Url::parse(&format!("proxy://{rest}")).map_err(unparsable)?;
        if !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyMistake::Tail);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(ProxyMistake::Host),
        };
        ServerName::try_from(host.as_str()).map_err(|_| ProxyMistake::Host)?;
        let port = url.port().filter(|port| *port > 0).ok_or(ProxyMistake::Port)?;
        Ok(Self { kind, host, port, credentials: credentials(kind, &url)? })
    }
}

fn unparsable(error: url::ParseError) -> ProxyMistake {
    if error == url::ParseError::InvalidPort {
        ProxyMistake::Port
    } else if error == url::ParseError::EmptyHost {
        ProxyMistake::Host
    } else {
        ProxyMistake::Unparsable(error)
    }
}

fn credentials(kind: Kind, url: &Url) -> Result<Option<Credentials>, ProxyMistake> {
    let Some(password) = url.password() else {
        return if url.username().is_empty() { Ok(None) } else { Err(ProxyMistake::Credentials) };
    };
    let part = |text: &str| {
        // Held as text: both ways of showing them, and the HTTP client, want UTF-8.
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        let sound = std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains(char::is_control));
        let fits = (1..=LONGEST).contains(&bytes.len());
        let secret = Secret::new(bytes);
        if sound && fits { Ok(secret) } else { Err(ProxyMistake::Credentials) }
    };
    let (user, password) = (part(url.username())?, part(password)?);
    // RFC 7617 §2: a user-id with a colon is invalid.
    let splits = percent_decode_str(url.username()).any(|byte| byte == b':');
    if kind == Kind::Http && splits { Err(ProxyMistake::Credentials) } else { Ok(Some((user, password))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_with_names_addresses_and_credentials() {
        let cases = [
            ("socks5://proxy.example.com:1080", "socks5://proxy.example.com:1080", false),
            ("http://10.0.0.1:80/", "http://10.0.0.1:80", false),
            ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", false),
            ("SOCKS5://Ann:pa%3Ass%40@Proxy:1", "socks5://proxy:1", true),
            (" http://u:p@127.0.0.1:8080\n", "http://127.0.0.1:8080", true),
        ];
        for (text, shown, credentials) in cases {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(
                (proxy.to_string().as_str(), proxy.credentials.is_some()),
                (shown, credentials),
                "{text}"
            );
        }
        let proxy = Proxy::parse("socks5://Ann:pa%3Ass%40@proxy:1").unwrap();
        assert_eq!(proxy.credentials, Some((Secret::new("Ann"), Secret::new("pa:ss@"))));
        assert_eq!(format!("{proxy:?}"), "Proxy(socks5://proxy:1)");
        let (url, _) = proxy.for_http_client();
        assert_eq!(url, "socks5h://proxy:1");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_text_not_quoted() {
        let long = format!("socks5://u:{}@h:1", "p".repeat(256));
        let cases = [
            ("proxy.example.com:1080", ProxyMistake::Scheme),
            ("hunter2", ProxyMistake::Scheme),
            ("socks4://h:1", ProxyMistake::Scheme),
            ("socks5h://h:1", ProxyMistake::Socks5h),
            ("https://h:1", ProxyMistake::Https),
            ("http://h", ProxyMistake::Port),
            ("http://h:0", ProxyMistake::Port),
            ("http://h:99999", ProxyMistake::Port),
            ("http://h:port", ProxyMistake::Port),
            ("socks5://:1080", ProxyMistake::Host),
            ("socks5://", ProxyMistake::Host),
            ("socks5://a b:1", ProxyMistake::Unparsable(url::ParseError::InvalidDomainCharacter)),
            ("http://h:1/proxy.pac", ProxyMistake::Tail),
            ("http://h:1?x", ProxyMistake::Tail),
            ("http://user@h:1", ProxyMistake::Credentials),
            ("http://us%3Aer:p@h:1", ProxyMistake::Credentials),
            ("http://u:p%0D%0AX@h:1", ProxyMistake::Credentials),
            ("socks5://u:%FF@h:1", ProxyMistake::Credentials),
            (long.as_str(), ProxyMistake::Credentials),
        ];
        for (text, mistake) in cases {
            assert_eq!(Proxy::parse(text).unwrap_err(), mistake, "{text}");
            assert!(!mistake.cure().is_empty());
        }
        assert!(Proxy::parse("socks5://us%3Aer:p@h:1").is_ok());
    }
}
