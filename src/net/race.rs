//! Which of a name's addresses takes the connection first: RFC 8305, "Happy Eyeballs".

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, task::JoinSet, time::sleep};

/// How long an address has for itself before the next one is tried beside it (RFC 8305 §5): a silent
/// first address, an IPv6 route to nowhere as a rule, costs no more than this.
const HEAD_START: Duration = Duration::from_millis(250);

/// People notice a third of a second, and there may be several such addresses.
const _: () = assert!(HEAD_START.as_millis() <= 300);

/// The addresses with their families by turns, the resolver's first choice first (RFC 8305 §4).
pub(super) fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ours, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(ours.pop_front());
        turns.extend(others.pop_front());
    }
    turns
}

/// Tries one address after the other, each with a head start, until one takes the connection; the attempts that
/// are still under way are dropped then. Without one, the last address that refused, and how.
///
/// The newest attempt is polled here and becomes a task when the next one begins: as a rule the first address answers,
/// and then no other thread is woken to dial it, nor by a timer where it is the only one.
pub(super) async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, Option<(SocketAddr, io::Error)>> {
    let mut overdue = JoinSet::new();
    let mut last = None;
    for (at, &addr) in addresses.iter().enumerate() {
        let is_last = at + 1 == addresses.len();
        let mut attempt = Box::pin(async move { (addr, TcpStream::connect(addr).await) });
        let ended = tokio::select! {
            ended = &mut attempt => ended,
            Some(ended) = overdue.join_next() => {
                overdue.spawn(attempt);
                let Ok(ended) = ended else { continue };
                ended
            }
            () = sleep(HEAD_START), if !is_last => {
                overdue.spawn(attempt);
                continue;
            }
        };
        match ended {
            (_, Ok(stream)) => return Ok(stream),
            (addr, Err(error)) => last = Some((addr, error)),
        }
    }
    while let Some(ended) = overdue.join_next().await {
        match ended {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((addr, Err(error))) => last = Some((addr, error)),
            // A task broke down: on to the next.
            Err(_) => (),
        }
    }
    Err(last)
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    #[test]
    fn families_take_turns() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let six = ["[::1]:1", "[::2]:1", "[::3]:1"].map(addr);
        let four = ["10.0.0.1:1", "10.0.0.2:1"].map(addr);
        let resolved = [six[0], six[1], six[2], four[0], four[1]];
        assert_eq!(by_turns(&resolved), [six[0], four[0], six[1], four[1], six[2]]);
        assert_eq!(by_turns(&four), four);
        assert_eq!(by_turns(&[]), []);
    }

    /// An address that answers nothing: its backlog is full and nobody accepts.
    pub(in crate::net) async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(addr)).await {
            held.push(stream);
        }
        (listener, held, addr)
    }

    /// A head start for each would take ten seconds.
    #[tokio::test]
    async fn refusing_addresses_cost_no_head_start() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut addresses = vec![gone; 40];
        addresses.push(good.local_addr().unwrap());
        let stream = timeout(Duration::from_secs(5), race(&addresses)).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
    }

    #[tokio::test]
    async fn silent_addresses_before_a_good_one_cost_their_head_starts() {
        let (_listener, _held, deaf) = silent().await;
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = good.local_addr().unwrap();
        let stream = timeout(Duration::from_secs(5), race(&[deaf, deaf, deaf, addr])).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
    }

    #[tokio::test]
    async fn refusing_addresses_cost_nothing_and_the_last_is_named() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (addr, _) = race(&[gone, gone]).await.unwrap_err().unwrap();
        assert_eq!(addr, gone);
        assert!(race(&[]).await.unwrap_err().is_none());
    }
}
