//! URLs of the configuration.

use std::net::IpAddr;

use url::{Host, Url};

use super::{mistake::quoted, reader::Item};

/// Reads an endpoint of an authority, in which `{tenant}` may stand.
pub(super) fn endpoint(item: &Item<'_>) -> Option<String> {
    let (written, key) = (item.string()?, item.key());
    let filled = written.replace("{tenant}", "tenant");
    if filled.contains(['{', '}']) {
        let cause = format!("{key} has a placeholder that is not {{tenant}}");
        item.wrong(cause, "write {tenant}, or the value itself");
        return None;
    }
    let url = parse(item, &filled, "write https://host/path")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        let crossing = if key == "token_url" { "the app's secret" } else { "what is asked there" };
        let cause = format!("{key} is not https: {crossing} would cross the network in clear");
        item.wrong(cause, "write https://; http:// may only be used with a loopback host, for tests");
        return None;
    }
    Some(written.to_owned())
}

/// Parses a URL that has neither a user in it nor a fragment.
pub(super) fn parse(item: &Item<'_>, text: &str, cure: &str) -> Option<Url> {
    let key = item.key();
    let url = match Url::parse(text) {
        Ok(url) if url.has_host() => url,
        Ok(_) => {
            item.wrong(format!("{key} is no URL of a host"), cure);
            return None;
        }
        Err(error) => {
            item.wrong(format!("{key} is no URL: {error}"), cure);
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        let cause = format!("{key} has a user or a password in it");
        let cure = "take them out: the app's secret stands in [app.NAME]";
        item.file.wrong_hiding(item.span.clone(), item.span.clone(), cause, cure);
    } else if url.fragment().is_some() {
        // RFC 6749 §3.1, §3.1.2 and §3.2: none of these may include a fragment component.
        item.wrong(format!("{key} has a fragment"), "take out the # and what follows it");
    } else {
        return Some(url);
    }
    None
}

/// Reads the URL under which people reach the console: a host, and no path.
pub(super) fn public(item: &Item<'_>) -> Option<Url> {
    let written = item.string()?;
    let url = parse(item, written, "write http://localhost:8025, or https:// and the name of a host")?;
    if !["http", "https"].contains(&url.scheme()) {
        let cause = format!("public_url is neither https nor http: {}", quoted(written));
        item.wrong(cause, "write https://, or http:// for localhost");
    } else if url.path() != "/" || url.query().is_some() {
        let cure = "give the console a host name of its own; a path that is registered goes to redirect_uri";
        item.wrong("public_url has a path, and the console is at the root of its host", cure);
    } else if url.port() == Some(0) {
        item.wrong(
            "port 0 of public_url is no port",
            "write the port that people use, or leave public_url out",
        );
    } else {
        if url.scheme() == "http" && !is_loopback(&url) {
            let cause = "public_url is not https: what is typed into the console crosses the network in clear, \
                         and authorities redirect to https and localhost alone";
            item.doubtful(
                cause,
                "add tls = \"implicit\", or put a reverse proxy with TLS before the console, and write https://",
            );
        }
        return Some(url);
    }
    None
}

/// Whether the host of a URL is this machine by every reading.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}
