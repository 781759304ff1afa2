//! `no_password_from` and `senders` of an `[[account]]`: who may send without a password, and as whom.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{
    account::{Kind, Login, network},
    mistake::quoted,
    reader::{Item, Table},
};
use crate::{account::SenderPattern, ids::ProtocolKind};

/// The widest networks that are taken for a handful of devices.
const WIDEST: (u8, u8) = (24, 64);

/// The addresses that stand for an account so far, which never overlap: each range by its first address, with its last
/// one and the line that names it.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<(bool, u128), (u128, usize)>);

impl Taken {
    /// Takes a network, unless one that was there before has some of its addresses: then it is that one's line.
    fn take(&mut self, network: IpNet, line: usize) -> Result<(), usize> {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let (first, last) = (number(network.network()), number(network.broadcast()));
        let is_v6 = network.addr().is_ipv6();
        let before = self.0.range(..=(is_v6, last)).next_back();
        match before {
            Some(((kind, _), (end, line))) if *kind == is_v6 && *end >= first => Err(*line),
            _ => {
                self.0.insert((is_v6, first), (last, line));
                Ok(())
            }
        }
    }
}

/// What a device's address may be mistaken for on this machine.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Where the default routes lead.
    pub(super) gateways: Vec<IpAddr>,
    /// Who may say by a PROXY header which address a client of SMTP has.
    pub(super) announcers: Vec<IpNet>,
}

/// What the keys of the same account say that devices depend on.
pub(super) struct Beside<'a, 't> {
    pub(super) logins: &'a [Login<'t>],
    pub(super) kind: &'a Kind,
    /// The protocols that the account may use; nothing where all.
    pub(super) protocols: Option<&'a [ProtocolKind]>,
    /// The protocols that have a listener; nothing where that is not known.
    pub(super) listening: Option<&'a [ProtocolKind]>,
    /// The networks that its logins may come from; empty where all.
    pub(super) from_networks: &'a [IpNet],
    /// What their addresses may be mistaken for.
    pub(super) around: &'a Around,
}

/// The networks of devices that need no password; nothing where there is a mistake.
pub(super) fn no_password_from(
    table: &Table<'_>,
    beside: &Beside<'_, '_>,
    taken: &mut Taken,
) -> Option<Vec<IpNet>> {
    let risk = table.get("accept_risk").map(|item| (item.boolean(), item));
    let Some(item) = table.get("no_password_from") else {
        if let Some((Some(true), item)) = risk {
            item.doubtful(
                "accept_risk = true accepts nothing where there is no no_password_from",
                "take it out",
            );
        }
        return Some(Vec::new());
    };
    let accepted = risk.map_or(Some(false), |(risk, _)| risk)?;
    let fits = fits(&item, table, beside);
    let networks: Vec<_> = item.list()?.iter().map(|item| device(item, beside, accepted, taken)).collect();
    networks.into_iter().collect::<Option<_>>().filter(|_| fits)
}

/// Whether the account is one that devices may stand for.
fn fits(item: &Item<'_>, table: &Table<'_>, beside: &Beside<'_, '_>) -> bool {
    let without_smtp =
        |kinds: Option<&[ProtocolKind]>| kinds.is_some_and(|kinds| !kinds.contains(&ProtocolKind::Smtp));
    let trouble = if beside.logins.iter().any(Login::is_wildcard) {
        Some((
            "a device has no login, and the account's is a wildcard",
            "make an account with one mailbox for them",
        ))
    } else if beside.kind.authority_checks == Some(true) {
        Some((
            "the authority wants the password that devices do not have",
            "make an account of another grant or app for them",
        ))
    } else if without_smtp(beside.protocols) {
        Some(("no_password_from is for SMTP, and protocols has no \"smtp\"", "add \"smtp\" to protocols"))
    } else if table.lacks("senders") {
        Some((
            "without senders a device could send as anybody whom the mailbox may send as",
            "add senders = [\"*@contoso.com\"], with the addresses that the devices send as",
        ))
    } else {
        None
    };
    if let Some((cause, cure)) = trouble {
        item.wrong(cause, cure);
        return false;
    }
    if without_smtp(beside.listening) {
        item.doubtful("no [[listener]] speaks smtp", "add one, or take no_password_from out");
    }
    true
}

/// One address or network of devices.
fn device(item: &Item<'_>, beside: &Beside<'_, '_>, accepted: bool, taken: &mut Taken) -> Option<IpNet> {
    let network = network(item)?;
    let written = quoted(item.string()?);
    let reach = beside.from_networks;
    if !reach.is_empty() && !reach.iter().any(|wider| wider.contains(&network)) {
        let cause = format!("{written} is not in from_networks, so that nobody comes from there");
        item.wrong(cause, "add it to from_networks, or take it out");
        return None;
    }
    if !accepted && is_wide(network) {
        let cause =
            format!("{written} is wider than /{} or /{}: all in it could send mail", WIDEST.0, WIDEST.1);
        item.wrong(cause, "name the devices' own addresses, or accept it with accept_risk = true");
        return None;
    }
    if let Some(wide) =
        beside.around.announcers.iter().find(|wide| !accepted && is_wide(**wide) && !is_here(**wide))
    {
        let cause = format!(
            "all of {wide} may say that they are {written}: proxy_protocol of a listener for smtp believes them"
        );
        let cure =
            "name the balancers' own addresses in proxy_protocol, or accept it with accept_risk = true";
        item.wrong(cause, cure);
        return None;
    }
    if let Some(gateway) =
        beside.around.gateways.iter().find(|gateway| !accepted && network.contains(*gateway))
    {
        let cause = format!(
            "{gateway} is this machine's gateway: behind the bridge of a container all clients seem to come from it"
        );
        let cure = "name the devices' own addresses and give the container the host's network, or accept it \
                    with accept_risk = true";
        item.wrong(cause, cure);
        return None;
    }
    let line = item.file.position(item.span.start).0;
    if let Err(first) = taken.take(network, line) {
        let cause = format!("{written} stands for an account already, at {}", item.file.place(first));
        item.wrong(cause, "an address stands for one account: take out one of the two");
        return None;
    }
    Some(network)
}

fn is_wide(network: IpNet) -> bool {
    let narrowest = if network.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 };
    network.prefix_len() < narrowest
}

/// Whether a network is this machine's own, of which 127.0.0.0/8 is no more than one.
fn is_here(network: IpNet) -> bool {
    network.network().is_loopback() && network.broadcast().is_loopback()
}

/// The envelope senders that may be named.
pub(super) fn senders(item: &Item<'_>) -> Option<Vec<SenderPattern>> {
    let senders: Vec<_> = item.list()?.iter().map(sender).collect();
    senders.into_iter().collect()
}

fn sender(item: &Item<'_>) -> Option<SenderPattern> {
    let written = item.string()?;
    let pattern = SenderPattern::parse(written);
    if pattern.is_none() {
        item.wrong(
            format!("{} is no sender", quoted(written)),
            "write \"scanner@contoso.com\", \"*@contoso.com\", or \"<>\" for bounces",
        );
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_share_an_address_are_found_whichever_comes_first() {
        let mut taken = Taken::default();
        let mut take = |network: &str, line| taken.take(network.parse().unwrap(), line);
        for (line, network) in ["10.0.0.8/30", "10.0.1.0/24", "fd00::/64", "10.0.0.0/32"].iter().enumerate() {
            assert_eq!(take(network, line), Ok(()), "{network}");
        }
        let shared = [
            ("10.0.0.8/32", 0),
            ("10.0.0.11/32", 0),
            ("10.0.0.0/28", 0),
            ("10.0.1.0/24", 1),
            ("fd00::1/128", 2),
            ("10.0.0.0/31", 3),
        ];
        for (network, line) in shared {
            assert_eq!(take(network, 9), Err(line), "{network}");
        }
        for network in ["10.0.0.12/32", "::a00:8/128", "fd00:0:0:1::/64", "10.0.0.1/32"] {
            assert_eq!(take(network, 9), Ok(()), "{network}");
        }
    }
}
