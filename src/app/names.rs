//! What the bridge's own certificate is for: by what those sockets are called that show it.

use std::{collections::HashSet, net::IpAddr};

use url::Host;

use crate::{
    config::{CertificateFiles, Console, Listener},
    net::self_signed::KeyType,
};

/// A socket whose line is encrypted: where it is bound, and the files of what it shows, where it has some.
pub(super) type Encrypted = (String, Option<CertificateFiles>);

/// What the bridge's own certificate has to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) key_type: KeyType,
    /// By these it is called.
    pub(super) names: Vec<String>,
    /// By these it may be called: what this machine is called when it is made.
    pub(super) more: Vec<String>,
}

impl Wanted {
    /// What those are called that show it, by where they are bound.
    pub(super) fn new(key_type: KeyType, names: Vec<String>, binds: &[&str]) -> Self {
        let mut wanted = Self { key_type, names, more: Vec::new() };
        for host in binds.iter().filter_map(|bind| bind.rsplit_once(':')).map(|(host, _)| host) {
            match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) if address.is_unspecified() => wanted.more.extend(interfaces()),
                Ok(address) => wanted.names.push(address.to_string()),
                Err(_) => wanted.names.push(host.trim_end_matches('.').to_owned()),
            }
        }
        wanted.more.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
        wanted.more.extend(gethostname::gethostname().into_string().ok().filter(|name| is_dns_name(name)));
        let mut seen = HashSet::new();
        wanted.names.retain(|name| seen.insert(name.clone()));
        wanted.more.retain(|name| seen.insert(name.clone()));
        wanted
    }
}

/// The sockets whose lines are encrypted.
pub(super) fn encrypted(listeners: &[Listener], console: Option<&Console>) -> Vec<Encrypted> {
    let of_listeners = listeners.iter().map(|it| Some((it.bind.clone(), it.tls.as_ref()?.files.clone())));
    let of_console = console.map(|it| Some((it.bind.clone(), it.tls.as_ref()?.files.clone())));
    of_listeners.chain(of_console).flatten().collect()
}

/// The host of the address that people are told, where they come through to a console that shows this machine's own
/// certificate.
pub(super) fn public_host(console: &Console) -> Option<String> {
    let own = console.tls.as_ref().filter(|tls| tls.files.is_none());
    let host = own.and(console.public_url.as_ref())?.host()?;
    Some(match host {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

/// The addresses of this machine by which others can reach it.
fn interfaces() -> Vec<String> {
    let found = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    found.filter(|found| !found.is_link_local()).map(|found| found.ip().to_string()).collect()
}

/// What no certificate could hold is left out: some machines have strange names.
fn is_dns_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(is_fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_what_its_listeners_are_called() {
        let own = ["192.0.2.1:993", "[2001:db8::1]:993", "mail.example.com:993"];
        let wanted = Wanted::new(KeyType::default(), vec!["bridge".to_owned()], &own);
        assert_eq!(wanted.names, ["bridge", "192.0.2.1", "2001:db8::1", "mail.example.com"]);
        assert!(wanted.more.starts_with(&["localhost", "127.0.0.1", "::1"].map(str::to_owned)));
        let everywhere = Wanted::new(KeyType::default(), Vec::new(), &["0.0.0.0:993"]);
        assert!(everywhere.names.is_empty() && everywhere.more.contains(&"127.0.0.1".to_owned()));
    }
}
