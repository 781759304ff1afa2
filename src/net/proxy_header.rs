//! The PROXY protocol: what a load balancer says of the client before the client's own bytes.
//!
//! Versions 1 and 2 of <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. A header has no length that is
//! known beforehand, and what follows it is the client's, perhaps a TLS handshake. So [`parse`] says with every
//! piece how many bytes surely still belong to the header, and no byte beyond them is ever read.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::timeout,
};

/// How version 2 begins (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How version 1 begins (§2.1).
const WORD: &[u8; 6] = b"PROXY ";

/// The shortest header there is: `PROXY UNKNOWN` and its line end.
const SHORTEST: usize = 15;

/// The longest header of version 1, with its line end (§2.1).
const LONGEST_V1: usize = 107;

/// What stands before the addresses in version 2.
const FIXED_V2: usize = 16;

/// The longest header of version 2 that is read. Addresses take 216 bytes at most; what balancers add to them, names
/// of certificates and of cloud endpoints, some hundred.
const LONGEST_V2: usize = 4096;

/// Who connects, by a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// A client at this address.
    Client(SocketAddr),
    /// The balancer itself, which looks whether the bridge is there, or a client of which it knows no address:
    /// `LOCAL`, `UNSPEC` or a Unix socket in version 2, `UNKNOWN` in version 1.
    Nobody,
}

/// How far the reading of a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes belong to the header, at least.
    Wants(usize),
    /// It is whole.
    Whole(Announced),
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin otherwise: the peer sends none.
    #[error("the first bytes are no PROXY header")]
    Absent,
    /// It is longer than this, in bytes.
    #[error("the PROXY header is longer than {0} bytes")]
    TooLong(usize),
    /// A part of it makes no sense.
    #[error("the PROXY header has no valid {0}")]
    Part(&'static str),
}

/// Reads the beginning of a header, of which no byte beyond what was wanted before may be part.
///
/// # Errors
/// [`Malformed`] as soon as it cannot become a header any more.
pub fn parse(header: &[u8]) -> Result<Progress, Malformed> {
    let begins = |mark: &[u8]| header.iter().zip(mark).all(|(one, other)| one == other);
    match (begins(WORD), begins(SIGNATURE)) {
        (false, false) => Err(Malformed::Absent),
        _ if header.len() < SHORTEST => Ok(Progress::Wants(SHORTEST - header.len())),
        (true, _) => parse_text(header),
        (false, true) => parse_binary(header),
    }
}

fn parse_text(header: &[u8]) -> Result<Progress, Malformed> {
    let Some(end) = header.iter().position(|&byte| byte == b'\n') else {
        let wants = if header.ends_with(b"\r") { 1 } else { 2 };
        let fits = header.len() + wants <= LONGEST_V1;
        return fits.then_some(Progress::Wants(wants)).ok_or(Malformed::TooLong(LONGEST_V1));
    };
    let line = (end + 1 == header.len()).then(|| header.strip_suffix(b"\r\n")).flatten();
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or(Malformed::Part("line end"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let announced = match *words.as_slice() {
        ["PROXY", "TCP4", from, to, port, to_port] => text_client::<Ipv4Addr>([from, to], [port, to_port])?,
        ["PROXY", "TCP6", from, to, port, to_port] => text_client::<Ipv6Addr>([from, to], [port, to_port])?,
        // What follows it is to be ignored (§2.1).
        ["PROXY", "UNKNOWN", ..] => Announced::Nobody,
        _ => return Err(Malformed::Part("protocol")),
    };
    Ok(Progress::Whole(announced))
}

fn text_client<A: FromStr + Into<IpAddr>>(ips: [&str; 2], ports: [&str; 2]) -> Result<Announced, Malformed> {
    let ip = |text: &str| text.parse::<A>().map_err(|_| Malformed::Part("address"));
    let port = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits).ok_or(Malformed::Part("port"))
    };
    let ([from, _], [from_port, _]) = ([ip(ips[0])?, ip(ips[1])?], [port(ports[0])?, port(ports[1])?]);
    Ok(Announced::Client(SocketAddr::new(from.into(), from_port)))
}

fn parse_binary(header: &[u8]) -> Result<Progress, Malformed> {
    let Some((&[.., command, family, high, low], rest)) = header.split_first_chunk::<FIXED_V2>() else {
        return Ok(Progress::Wants(FIXED_V2 - header.len()));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, 0x20 | 0x21) {
        return Err(Malformed::Part("version and command"));
    }
    if FIXED_V2 + length > LONGEST_V2 {
        return Err(Malformed::TooLong(LONGEST_V2));
    }
    if rest.len() < length {
        return Ok(Progress::Wants(length - rest.len()));
    }
    // Of LOCAL the family is to be ignored (§2.2), and so is all that follows the addresses.
    let announced = match (command, family) {
        (0x20, _) | (_, 0x00 | 0x31) => Some(Announced::Nobody),
        (_, 0x11) => binary_client::<4>(rest),
        (_, 0x21) => binary_client::<16>(rest),
        _ => return Err(Malformed::Part("address family")),
    };
    announced.map(Progress::Whole).ok_or(Malformed::Part("address"))
}

/// Two addresses of `N` bytes and two ports: those of the client are the first of each.
fn binary_client<const N: usize>(addresses: &[u8]) -> Option<Announced>
where
    [u8; N]: Into<IpAddr>,
{
    let (from, rest) = addresses.split_first_chunk::<N>()?;
    let (_to, rest) = rest.split_first_chunk::<N>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (_to_port, _) = rest.split_first_chunk::<2>()?;
    Some(Announced::Client(SocketAddr::new((*from).into(), u16::from_be_bytes(*port))))
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The peer has left without a byte, as balancers do that only look whether a port is open.
    #[error("the peer left without a word")]
    Left,
    /// It left in the middle.
    #[error("the connection ended within the PROXY header")]
    Cut,
    /// It did not send one in time.
    #[error("no PROXY header came within {0:?}")]
    Late(Duration),
    /// It sent something else.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

/// Reads a header within `limit` and not a byte beyond it.
///
/// # Errors
/// [`Unread`] says why there is none; the connection is of no use then.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S, limit: Duration) -> Result<Announced, Unread> {
    let reading = async {
        let mut header = Vec::with_capacity(LONGEST_V1);
        loop {
            match parse(&header)? {
                Progress::Whole(announced) => return Ok(announced),
                Progress::Wants(more) => {
                    let read = stream.take(more as u64).read_buf(&mut header).await?;
                    if read == 0 {
                        return Err(if header.is_empty() { Unread::Left } else { Unread::Cut });
                    }
                }
            }
        }
    };
    timeout(limit, reading).await.unwrap_or(Err(Unread::Late(limit)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    const V4: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 993\r\n";

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn v4(more: &[u8]) -> Vec<u8> {
        binary(0x21, 0x11, &[&[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x03, 0xe1], more].concat())
    }

    fn v6() -> Vec<u8> {
        let (from, to) = (Ipv6Addr::from_str("2001:db8::1").unwrap(), Ipv6Addr::LOCALHOST);
        binary(0x21, 0x21, &[&from.octets()[..], &to.octets(), &[0xdc, 0x04, 0x03, 0xe1]].concat())
    }

    fn client(addr: &str) -> Announced {
        Announced::Client(addr.parse().unwrap())
    }

    /// Feeds the parser as the reader does, in pieces of at most `piece` bytes; and what is left.
    fn fed(bytes: &[u8], piece: usize) -> (Result<Progress, Malformed>, &[u8]) {
        let mut read = 0;
        loop {
            match parse(&bytes[..read]) {
                Ok(Progress::Wants(more)) if read < bytes.len() => {
                    assert!(more > 0, "{read}");
                    read += more.min(piece).min(bytes.len() - read);
                }
                end => return (end, &bytes[read..]),
            }
        }
    }

    #[test]
    fn both_versions_tell_the_client_and_leave_what_follows() {
        let cases = [
            (V4.to_vec(), client("192.0.2.1:56324")),
            (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(), client("[2001:db8::1]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Announced::Nobody),
            (b"PROXY UNKNOWN ffff::1 whatever 9 x\r\n".to_vec(), Announced::Nobody),
            (v4(b""), client("192.0.2.1:56324")),
            // A TLV of type CRC32C with a wrong sum, one of a private type.
            (v4(&[0x03, 0, 4, 1, 2, 3, 4, 0xea, 0, 1, 9]), client("192.0.2.1:56324")),
            (v6(), client("[2001:db8::1]:56324")),
            (binary(0x20, 0x00, b""), Announced::Nobody),
            (binary(0x20, 0x11, b"x"), Announced::Nobody),
            (binary(0x21, 0x00, b"abc"), Announced::Nobody),
            (binary(0x21, 0x31, &[b'/'; 216]), Announced::Nobody),
        ];
        for (header, announced) in cases {
            for after in [&b""[..], b"\n", b"\r\n", b"EHLO x\r\n", b"\x16\x03\x01", V4] {
                let bytes = [&header[..], after].concat();
                for piece in [1, 2, 3, 7, 10_000] {
                    let expected = (Ok(Progress::Whole(announced)), after);
                    assert_eq!(fed(&bytes, piece), expected, "{}", header.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn what_is_no_header_is_known_as_soon_as_it_is_seen() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        let cases = [
            (&b"a1 LOGIN ann secret\r\n"[..], Malformed::Absent),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", Malformed::Absent),
            (b"PROXYTCP4 192.0.2.1", Malformed::Absent),
            (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Malformed::Absent),
            (b"PROXY \r\nPROXY \r\n", Malformed::Part("line end")),
            (b"PROXY UNKNOWNS\n\r\n", Malformed::Part("line end")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n", Malformed::Part("line end")),
            (b"PROXY TCP4 192.0.2.1\xff 192.0.2.2 1 2\r\n", Malformed::Part("line end")),
            (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Malformed::Part("protocol")),
            (b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", Malformed::Part("protocol")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Malformed::Part("protocol")),
            (b"PROXY TCP4 ::1 192.0.2.2 1 2\r\n", Malformed::Part("address")),
            (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Malformed::Part("address")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n", Malformed::Part("address")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Malformed::Part("port")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", Malformed::Part("port")),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", Malformed::Part("port")),
            (long.as_bytes(), Malformed::TooLong(107)),
            (&binary(0x11, 0x11, &[0; 12]), Malformed::Part("version and command")),
            (&binary(0x22, 0x11, &[0; 12]), Malformed::Part("version and command")),
            (&binary(0x21, 0x12, &[0; 12]), Malformed::Part("address family")),
            (&binary(0x21, 0x11, &[0; 11]), Malformed::Part("address")),
            (&binary(0x21, 0x21, &[0; 35]), Malformed::Part("address")),
            (&binary(0x21, 0x11, &[0; 4081]), Malformed::TooLong(4096)),
        ];
        for (bytes, malformed) in cases {
            for piece in [1, 3, 10_000] {
                assert_eq!(fed(bytes, piece).0, Err(malformed), "{}", bytes.escape_ascii());
            }
        }
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(fed(longest.as_bytes(), 5).0, Ok(Progress::Whole(Announced::Nobody)));
    }

    proptest! {
        #[test]
        fn the_same_is_read_however_the_bytes_arrive(
            start in prop::sample::select(vec![Vec::new(), WORD.to_vec(), V4[..20].to_vec(), V4.to_vec(),
                SIGNATURE.to_vec(), v4(b"")[..15].to_vec(), v6(), v4(b"abc")[..16].to_vec()]),
            end in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b" \r\n1.:".to_vec())], 0..60),
            pieces in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let bytes = [start, end].concat();
            let whole = fed(&bytes, usize::MAX);
            for piece in pieces {
                let split = fed(&bytes, piece);
                prop_assert_eq!(split.0, whole.0);
                if split.0.is_ok() {
                    prop_assert_eq!(split.1, whole.1);
                }
            }
        }

        #[test]
        fn any_address_is_told_as_it_is(ip in any::<[u8; 16]>(), four in any::<bool>(), port: u16) {
            let ip: IpAddr = if four { Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]).into() } else { ip.into() };
            let text = format!("PROXY TCP{} {ip} {ip} {port} 993\r\n", if four { 4 } else { 6 });
            let expected = Ok(Progress::Whole(Announced::Client(SocketAddr::new(ip, port))));
            prop_assert_eq!(fed(text.as_bytes(), 9).0, expected);
            let octets = match ip { IpAddr::V4(ip) => ip.octets().to_vec(), IpAddr::V6(ip) => ip.octets().to_vec() };
            let rest = [&octets[..], &octets, &port.to_be_bytes(), &[0, 1]].concat();
            prop_assert_eq!(fed(&binary(0x21, if four { 0x11 } else { 0x21 }, &rest), 9).0, expected);
        }
    }

    #[tokio::test]
    async fn the_bytes_behind_a_header_stay_in_the_stream() {
        for header in [V4.to_vec(), v4(b"some more"), v6()] {
            let (mut peer, mut stream) = duplex(512);
            peer.write_all(&[&header[..], b"EHLO x\r\n"].concat()).await.unwrap();
            drop(peer);
            assert!(matches!(read(&mut stream, Duration::from_secs(9)).await, Ok(Announced::Client(_))));
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"EHLO x\r\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_no_whole_header_is_not_waited_for() {
        let limit = Duration::from_secs(5);
        let (mut peer, mut stream) = duplex(512);
        peer.write_all(&V4[..30]).await.unwrap();
        assert!(matches!(read(&mut stream, limit).await, Err(Unread::Late(late)) if late == limit));
        peer.write_all(&V4[..30]).await.unwrap();
        drop(peer);
        let (peer, mut silent) = duplex(512);
        drop(peer);
        assert!(matches!(read(&mut silent, limit).await, Err(Unread::Left)));
        let (mut peer, mut cut) = duplex(512);
        peer.write_all(&v6()[..20]).await.unwrap();
        drop(peer);
        assert!(matches!(read(&mut cut, limit).await, Err(Unread::Cut)));
    }
}
