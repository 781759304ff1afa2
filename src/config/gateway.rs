//! The gateways of this machine: behind a container's bridge, or a NAT, clients seem to come from one of them.
//!
//! Linux lists its routes in `/proc/net/route` and `/proc/net/ipv6_route` (proc(5)); elsewhere none are known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the default routes of this machine lead.
pub(super) fn here() -> Vec<IpAddr> {
    let list = |path| std::fs::read_to_string(path).unwrap_or_default();
    let v4 = list("/proc/net/route");
    let v6 = list("/proc/net/ipv6_route");
    v4.lines().filter_map(of_route).chain(v6.lines().filter_map(of_ipv6_route)).collect()
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`: numbers in hex, addresses as the memory of the
/// machine has them.
fn of_route(line: &str) -> Option<IpAddr> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
    let gateway = Ipv4Addr::from(number(2)?.to_ne_bytes());
    (number(1)? == 0 && number(7)? == 0 && !gateway.is_unspecified()).then_some(gateway.into())
}

/// Destination, its prefix, source, its prefix, gateway, and more: in hex.
fn of_ipv6_route(line: &str) -> Option<IpAddr> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let number = |at: usize| u128::from_str_radix(words.get(at)?, 16).ok();
    let gateway = Ipv6Addr::from_bits(number(4)?);
    (number(0)? == 0 && number(1)? == 0 && !gateway.is_unspecified()).then_some(gateway.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_is_where_the_default_route_leads() {
        let routes = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t0000000A\t020011AC\t0003\t0\t0\t0\t000000FF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
";
        let found: Vec<_> = routes.lines().filter_map(of_route).collect();
        assert_eq!(found, ["172.17.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn so_it_is_for_ipv6() {
        let zeros = "0".repeat(32);
        let gateway = "fd000000000000000000000000000001";
        let routes = [
            format!("{zeros} 00 {zeros} 00 {gateway} 00000400 00000001 00000000 00000003 eth0"),
            format!("{gateway} 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001 eth0"),
            format!("{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo"),
            String::new(),
        ];
        let found: Vec<_> = routes.iter().filter_map(|line| of_ipv6_route(line)).collect();
        assert_eq!(found, ["fd00::1".parse::<IpAddr>().unwrap()]);
    }
}
