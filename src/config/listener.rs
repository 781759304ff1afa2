//! `[[listener]]`: where clients connect.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::SystemTime,
};

use super::{
    Listener, ListenerTls, TlsStart,
    account::networks,
    mistake::quoted,
    reader::{Item, Table},
    schema, tls,
};
use crate::ids::ProtocolKind;

/// The addresses that are listened on, and the lines that say so.
pub(super) type Taken<'t> = HashMap<(Host<'t>, u16), usize>;

/// Reads every `[[listener]]`, of which there must be one.
///
/// `tls` is what `[tls]` says, where that has no mistakes.
pub(super) fn read_all<'t>(
    top: &Table<'t>,
    taken: &mut Taken<'t>,
    tls: Option<&tls::Written>,
    now: SystemTime,
) -> Vec<Listener> {
    let each = top.each("listener", &schema::LISTENER);
    let listeners = each.filter_map(|table| read(&table, taken, tls, now)).collect();
    if top.lacks("listener") {
        top.missing(
            "there is no [[listener]], so nothing can connect",
            "add [[listener]] with protocol = \"imap\" and bind = \"127.0.0.1:1143\"",
        );
    }
    listeners
}

fn read<'t>(
    table: &Table<'t>,
    taken: &mut Taken<'t>,
    tls: Option<&tls::Written>,
    now: SystemTime,
) -> Option<Listener> {
    let protocol = table.need("protocol", "add protocol = \"imap\", \"smtp\" or \"pop3\"");
    let protocol = protocol.and_then(|item| protocol_kind(&item));
    let bind = table.need("bind", "add bind = \"127.0.0.1:1143\", with a port of your choice");
    let address = bind.as_ref().and_then(address);
    let is_loopback = address.is_none_or(|(host, _)| host.is_loopback());
    let start = start(table, is_loopback);
    let files = tls::files(table, now);
    if let (Some(bind), Some((host, port))) = (&bind, &address) {
        refuse_second(bind, *host, *port, taken);
    }
    if let (Some(bind), Some(start)) = (&bind, start) {
        refuse_plaintext(table, bind, start, is_loopback);
    }
    let tls = match start? {
        None => {
            refuse_certificate(table, "add tls = \"starttls\" or tls = \"implicit\"");
            None
        }
        Some(start) => Some(ListenerTls { start, files: files?.or_else(|| tls?.files.clone()) }),
    };
    let proxy_protocol = table.get("proxy_protocol").map(|item| networks(&item));
    address?;
    let proxy_protocol = proxy_protocol.unwrap_or_else(|| Some(Vec::new()))?;
    // Where [tls] has mistakes, nothing is listened on all the same.
    Some(Listener { protocol: protocol?, bind: bind?.string()?.to_owned(), tls, proxy_protocol })
}

/// How TLS starts, or that it does not; `None` where that has mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
fn start(table: &Table<'_>, is_loopback: bool) -> Option<Option<TlsStart>> {
    let required = table.get("require_tls");
    let wanted = required.as_ref().map(Item::boolean);
    let word = match table.get("tls") {
        Some(item) => item.word(&schema::LISTENER_TLS, &[])?,
        None if !table.lacks("tls") => return None,
        None => "none",
    };
    match (word, wanted) {
        ("starttls", wanted) => {
            Some(Some(TlsStart::StartTls { required: wanted.unwrap_or(Some(!is_loopback))? }))
        }
        ("implicit", None | Some(Some(true))) => Some(Some(TlsStart::Implicit)),
        ("none", None | Some(Some(false))) => Some(None),
        (_, Some(None)) => None,
        ("implicit", _) => {
            required?.wrong(
                "require_tls = false has no meaning where tls is \"implicit\": the line is always encrypted",
                "take it out, or write tls = \"starttls\"",
            );
            None
        }
        _ => {
            required?.wrong(
                "require_tls = true would let nobody in where tls is \"none\"",
                "write tls = \"starttls\", or take require_tls out",
            );
            None
        }
    }
}

/// Notes that passwords would cross a network in clear, unless that is accepted.
fn refuse_plaintext(table: &Table<'_>, bind: &Item<'_>, start: Option<TlsStart>, is_loopback: bool) {
    let accepted = table.get("allow_plaintext").and_then(|item| item.boolean());
    let why = match start {
        None => "tls is \"none\"",
        Some(TlsStart::StartTls { required: false }) => "require_tls is false",
        Some(TlsStart::StartTls { required: true } | TlsStart::Implicit) => return,
    };
    if is_loopback || accepted == Some(true) {
        return;
    }
    let Some(written) = bind.string() else { return };
    bind.wrong(
        format!("passwords would cross the network in clear: {} is not loopback and {why}", quoted(written)),
        "write tls = \"starttls\" or \"implicit\", bind to 127.0.0.1 or [::1], or accept it with allow_plaintext = true",
    );
}

/// Notes a certificate that nobody will see: who gives one believes that the line is encrypted.
pub(super) fn refuse_certificate(table: &Table<'_>, cure: &str) {
    if let Some(item) = table.get("certificate").filter(|_| table.lacks("tls")) {
        item.wrong(
            "there is a certificate, and the line is not encrypted: tls is \"none\" where it is not written",
            cure,
        );
    }
}

/// The protocol that a word names.
pub(super) fn protocol_kind(item: &Item<'_>) -> Option<ProtocolKind> {
    let word = item.word(&ProtocolKind::ALL.map(ProtocolKind::name), &[])?;
    ProtocolKind::ALL.into_iter().find(|kind| kind.name() == word)
}

/// Notes an address that something else listens on already.
pub(super) fn refuse_second<'t>(bind: &Item<'t>, host: Host<'t>, port: u16, taken: &mut Taken<'t>) {
    if port == 0 {
        return; // The system picks another one each time.
    }
    let first = taken.get(&(host, port)).or_else(|| taken.get(&(host.any()?, port))).or_else(|| {
        // An address of all interfaces takes the port from each of them.
        let mut others =
            taken.iter().filter(|((other, theirs), _)| *theirs == port && other.any() == Some(host));
        others.next().map(|(_, line)| line)
    });
    if let Some(first) = first {
        let cause = format!("the port is taken by the listener at {}", bind.file.place(*first));
        bind.wrong(cause, "give each listener a port of its own");
    } else {
        taken.insert((host, port), bind.file.position(bind.span.start).0);
    }
}

/// What stands before the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Host<'t> {
    Address(IpAddr),
    /// Any name but localhost; which addresses it has is known when it is bound.
    Name(&'t str),
}

impl Host<'_> {
    pub(super) fn is_loopback(self) -> bool {
        matches!(self, Self::Address(address) if address.to_canonical().is_loopback())
    }

    /// Whether it stands for all addresses of this machine.
    pub(super) fn is_unspecified(self) -> bool {
        self.address().is_some_and(|address| address.is_unspecified())
    }

    /// The address, where it is one.
    pub(super) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Name(_) => None,
        }
    }

    /// The address that stands for all addresses of the same family.
    fn any(self) -> Option<Host<'static>> {
        match self {
            Self::Address(IpAddr::V4(_)) => Some(Host::Address(Ipv4Addr::UNSPECIFIED.into())),
            Self::Address(IpAddr::V6(_)) => Some(Host::Address(Ipv6Addr::UNSPECIFIED.into())),
            Self::Name(_) => None,
        }
    }
}

/// Reads `host:port`.
pub(super) fn address<'t>(bind: &Item<'t>) -> Option<(Host<'t>, u16)> {
    let written = bind.string()?;
    let Some((host, port)) = written.rsplit_once(':') else {
        bind.wrong(format!("{} has no port", quoted(written)), "write host:port, such as \"127.0.0.1:1143\"");
        return None;
    };
    if host.contains(':') && !host.starts_with('[') {
        let cause = format!("{} is no address: an IPv6 address stands in brackets", quoted(written));
        bind.wrong(cause, "write \"[::1]:1143\"");
        return None;
    }
    let Some(parsed) = parse_host(host) else {
        let cause = format!("{} in {} is no address", quoted(host), quoted(written));
        bind.wrong(cause, "write an address of this machine, such as \"127.0.0.1:1143\" or \"[::1]:1143\"");
        return None;
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = port.parse().ok().filter(|_| digits) else {
        let cause = format!("{} in {} is no port", quoted(port), quoted(written));
        bind.wrong(cause, "a port is between 1 and 65535, or 0 to have the system pick one");
        return None;
    };
    Some((parsed, port))
}

fn parse_host(host: &str) -> Option<Host<'_>> {
    if let Some(inner) = host.strip_prefix('[') {
        return Some(Host::Address(IpAddr::V6(inner.strip_suffix(']')?.parse().ok()?)));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Host::Address(Ipv4Addr::LOCALHOST.into()));
    }
    is_host_name(host).then_some(Host::Name(host))
}

/// Whether the text has the form of a host name (RFC 1123 §2.1): a last label of digits alone would
/// be an IPv4 address with a slip in it.
pub(super) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= 253 && host.split('.').all(is_label) && !host.rsplit('.').next().is_some_and(is_number)
}
