//! Where the authority sends a browser back to: `redirect_uri` and `redirect_listen` of an app.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::{
    console::Written,
    listener,
    mistake::quoted,
    reader::{Item, Table},
    urls,
};
use crate::oauth::Redirect;

/// The redirect of an app.
pub(super) fn read(table: &Table<'_>, console: &Written<'_>) -> Option<Redirect> {
    let listen = table.get("redirect_listen").map(|item| listen(&item));
    let Some(item) = table.get("redirect_uri") else {
        if let (Some(listen), true) = (table.get("redirect_listen"), table.lacks("redirect_uri")) {
            let cause = "redirect_listen says where redirect_uri is served, and there is none";
            listen.wrong(cause, "add redirect_uri = \"…\", as it is registered, or take redirect_listen out");
        }
        return listen.is_none().then(|| without_uri(console));
    };
    let url = uri(&item)?;
    let listen = match listen {
        Some(listen) => Some(listen?),
        None => None,
    };
    served(table, &item, &url, listen, console)
}

/// Where the authority may be told to send a browser that it has no address of: to the console, else
/// to any port of this machine.
fn without_uri(console: &Written<'_>) -> Redirect {
    // Without a path, not even "/": Entra compares it with http://localhost as it is registered.
    let sent = |url: Url| url.as_str().trim_end_matches('/').to_owned();
    console.address().map_or(Redirect::AnyPort, |url| Redirect::Console(sent(url)))
}

fn uri(item: &Item<'_>) -> Option<Url> {
    let written = item.string()?;
    let url = urls::parse(item, written, "write it as it is registered, such as \"http://localhost:3017/\"")?;
    if url.scheme() == "https" || url.scheme() == "http" && is_local(&url) {
        if url.port() == Some(0) {
            item.wrong(
                "port 0 of redirect_uri is no port",
                "write the port that is registered, or leave redirect_uri out",
            );
            return None;
        }
        return Some(url);
    }
    let cause = format!(
        "{} is neither https nor http on localhost, 127.0.0.1 or [::1]: the code would cross the network in clear",
        quoted(written)
    );
    item.wrong(cause, "register and write a URI of one of these forms");
    None
}

/// Who listens there.
fn served(
    table: &Table<'_>,
    item: &Item<'_>,
    uri: &Url,
    listen: Option<SocketAddr>,
    console: &Written<'_>,
) -> Option<Redirect> {
    let sent = item.string()?.to_owned();
    if console.serves(uri) {
        if let Some(item) = table.get("redirect_listen") {
            let cause = "redirect_listen has no effect: redirect_uri leads to the console";
            item.doubtful(cause, "take it out");
        }
        return Some(Redirect::Console(sent));
    }
    if let Some(listen) = listen {
        return Some(Redirect::Own { uri: sent, listen: vec![listen] });
    }
    if console.speaks_otherwise(uri) {
        refuse_scheme(item, uri);
        return None;
    }
    if uri.scheme() == "https" {
        return match console {
            Written::Broken => None,
            Written::Whole(..) if console.is_public() => Some(Redirect::Console(sent)),
            Written::Whole(..) | Written::Absent => {
                let cause = "redirect_uri is https, which something before the bridge has to answer, and nothing says where it forwards to";
                let cure = "add [console] with public_url = \"https://…\", to which a reverse proxy forwards, or redirect_listen = \"host:port\"";
                item.wrong(cause, cure);
                None
            }
        };
    }
    let Some(port) = port(uri, item.string()?) else {
        let cause = "redirect_uri has no port, which means port 80";
        item.wrong(
            cause,
            "authorities ignore the port of localhost: write one, as in \"http://localhost:3017/\"; \
             or leave redirect_uri out to use any free one; or say where it is served with redirect_listen",
        );
        return None;
    };
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    Some(Redirect::Own { uri: sent, listen: loopback.map(|address| (address, port).into()).to_vec() })
}

/// Notes a URI that leads to the console's socket, where something else is spoken.
fn refuse_scheme(item: &Item<'_>, uri: &Url) {
    if uri.scheme() == "http" {
        let cause = "redirect_uri is http, and the console at its port speaks HTTPS";
        item.wrong(cause, "write https://, and have that registered; or leave redirect_uri out");
    } else {
        let cause = "redirect_uri is https, and the console at its port does not speak that";
        item.wrong(cause, "add tls = \"implicit\" to [console], or write the http:// that is registered");
    }
}

/// The port that is written; what is usual for the scheme is left out of a parsed URL.
fn port(uri: &Url, written: &str) -> Option<u16> {
    let authority = written.split("//").nth(1)?.split(['/', '?']).next()?;
    uri.port().or_else(|| authority.ends_with(":80").then_some(80))
}

/// Whether the URI leads to this machine by a name or address that authorities take for it (RFC 8252
/// §7.3 and §8.3).
fn is_local(uri: &Url) -> bool {
    match uri.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

fn listen(item: &Item<'_>) -> Option<SocketAddr> {
    let (host, port) = listener::address(item)?;
    let Some(address) = host.address() else {
        item.wrong(
            format!("{} has a name where an address is needed", quoted(item.string()?)),
            "write an address of this machine, such as \"0.0.0.0:3017\"",
        );
        return None;
    };
    if port == 0 {
        item.wrong("port 0 of redirect_listen is no port", "write the port that redirect_uri leads to");
        return None;
    }
    Some((address, port).into())
}
