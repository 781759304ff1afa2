//! What goes in comes out.

use proptest::prelude::*;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// One thing that is sent: how much, and whether the keys are changed before, which asks the peer for new ones too.
type Part = (usize, bool);

/// What is said, and how it is cut.
#[derive(Debug, Clone)]
struct Talk {
    version: usize,
    /// What the pipe holds each way.
    pipe: usize,
    steps: Vec<usize>,
    to_line: Vec<Part>,
    to_peer: Vec<usize>,
    /// How much the line's reader has room for.
    room: usize,
    /// Each side ends what it says once it has heard the other's end.
    waits: [bool; 2],
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![1..200_usize, 16_000..17_000_usize, 1..70_000_usize]
}

fn talk() -> impl Strategy<Value = Talk> {
    let step = prop_oneof![Just(0), 1..40_usize, 16_380..16_420_usize, Just(usize::MAX)];
    (
        0..VERSIONS.len(),
        prop_oneof![1..100_usize, 10_000..70_000_usize, Just(1 << 20)],
        prop::collection::vec(step, 0..12),
        prop::collection::vec((size(), any::<bool>()), 0..4),
        prop::collection::vec(size(), 0..4),
        prop_oneof![1..100_usize, 4096..70_000_usize],
        prop_oneof![Just([false, false]), Just([true, false]), Just([false, true])],
    )
        .prop_map(|(version, pipe, steps, to_line, to_peer, room, waits)| {
            // rustls' peer fills each byte of room behind a narrow pipe with a record of its own, and counts them all
            // for the next.
            let most = 1000 * pipe;
            let to_line = to_line.into_iter().map(|(size, refreshes)| (size.min(most), refreshes)).collect();
            let to_peer = to_peer.into_iter().map(|size: usize| size.min(most)).collect();
            Talk { version, pipe, steps, to_line, to_peer, room, waits }
        })
}

/// Bytes that are nowhere the same for long.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1].wrapping_mul(31)).collect()
}

/// Says it from one end and hears the other, to the ends of both. What was heard.
async fn talk_to<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    parts: &[Part],
    room: usize,
    waits: bool,
    mut refresh: impl FnMut(&mut S),
) -> (Vec<u8>, S) {
    let said: usize = parts.iter().map(|&(size, _)| size).sum();
    let words = content(said);
    let (mut heard, mut piece) = (Vec::new(), vec![0; room]);
    let (mut sent, mut part, mut in_part) = (0, 0, 0);
    let (mut has_ended, mut has_said, mut asked) = (false, false, 0);
    poll_fn(|cx| {
        while !has_ended {
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut stream).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => read.unwrap(),
                Poll::Pending => break,
            }
            has_ended = buffer.filled().is_empty();
            heard.extend_from_slice(buffer.filled());
        }
        while part < parts.len() {
            let (size, refreshes) = parts[part];
            if refreshes && asked <= part {
                refresh(&mut stream);
                asked = part + 1;
            }
            let taken = ready!(Pin::new(&mut stream).poll_write(cx, &words[sent..sent + size - in_part]))?;
            assert!(taken > 0);
            (sent, in_part) = (sent + taken, in_part + taken);
            if in_part == size {
                (part, in_part) = (part + 1, 0);
            }
        }
        ready!(Pin::new(&mut stream).poll_flush(cx))?;
        if !has_said && (has_ended || !waits) {
            ready!(Pin::new(&mut stream).poll_shutdown(cx))?;
            has_said = true;
        }
        if has_said && has_ended { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
    })
    .await
    .unwrap();
    (heard, stream)
}

/// The parts that the line says: it never changes keys by itself.
fn plain(sizes: &[usize]) -> Vec<Part> {
    sizes.iter().map(|&size| (size, false)).collect()
}

/// Shakes hands and talks, which the peer may have to do to let the other end its handshake: what that sends last
/// needs somebody who reads.
async fn both<E: End + Unpin, P: AsyncRead + AsyncWrite + Unpin>(
    talk: &Talk,
    line: impl Future<Output = io::Result<Box<Line<E, Choppy>>>>,
    peer: impl Future<Output = io::Result<P>>,
    refresh: impl FnMut(&mut P),
) {
    let up = plain(&talk.to_peer);
    let ours = async { talk_to(line.await.unwrap(), &up, talk.room, talk.waits[0], |_| ()).await };
    let theirs = async { talk_to(peer.await.unwrap(), &talk.to_line, 4096, talk.waits[1], refresh).await };
    let ((to_line, line), (to_peer, _)) = tokio::join!(ours, theirs);
    assert!(to_line == content(talk.to_line.iter().map(|&(size, _)| size).sum()), "{} came", to_line.len());
    assert!(to_peer == content(talk.to_peer.iter().sum()), "{} came", to_peer.len());
    assert_eq!(line.keeps(), 0, "nothing is kept");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_byte_arrives_in_its_order_at_a_client_and_from_it(talk in talk()) {
        let version = VERSIONS[talk.version];
        let (near, far) = Choppy::new(talk.pipe, &talk.steps);
        let line = ClientLine::connect(client_config(version), localhost(), near);
        let peer = TlsAcceptor::from(Arc::new(server_config(version))).accept(far);
        // TLS 1.2 has no such thing, and says so.
        run(both(&talk, line, peer, |peer| drop(peer.get_mut().1.refresh_traffic_keys())));
    }

    #[test]
    fn every_byte_arrives_in_its_order_at_a_server_and_from_it(talk in talk()) {
        let version = VERSIONS[talk.version];
        let (near, far) = Choppy::new(talk.pipe, &talk.steps);
        let line = ServerLine::accept(Arc::new(server_config(version)), near);
        let peer = TlsConnector::from(client_config(version)).connect(localhost(), far);
        run(both(&talk, line, peer, |peer| drop(peer.get_mut().1.refresh_traffic_keys())));
    }
}

#[test]
fn a_session_is_resumed_by_what_came_behind_the_handshake() {
    for version in VERSIONS {
        let server = Arc::new(server_config(version));
        let config = client_config(version);
        let kind = |config| {
            let (near, far) = Choppy::new(4096, &[]);
            let server = TlsAcceptor::from(Arc::clone(&server));
            run(async move {
                let line = ClientLine::connect(config, localhost(), near);
                let (mut line, mut peer) = tokio::try_join!(line, server.accept(far)).unwrap();
                peer.write_all(b"* OK\r\n").await.unwrap();
                line.read_exact(&mut [0; 6]).await.unwrap();
                line.agreed().handshake_kind()
            })
        };
        assert_eq!(kind(Arc::clone(&config)), Some(HandshakeKind::Full));
        assert_eq!(kind(config), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[test]
fn who_wants_new_keys_gets_them_with_the_next_word() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[]);
        let (mut line, mut peer) = to_server(near, far, &TLS13).await;
        for _ in 0..100 {
            peer.get_mut().1.refresh_traffic_keys().unwrap();
            peer.write_all(b"* 1 EXISTS\r\n").await.unwrap();
            line.read_exact(&mut [0; 12]).await.unwrap();
            line.write_all(b"DONE\r\n").await.unwrap();
            line.flush().await.unwrap();
            peer.read_exact(&mut [0; 6]).await.unwrap();
        }
        assert_eq!(line.keeps(), 0);
    });
}

#[test]
fn a_waiting_write_has_accepted_nothing_and_what_was_accepted_goes_first() {
    run(async {
        let (near, far) = Choppy::new(10_000, &[]);
        let (mut line, mut peer) = to_server(near, far, &TLS13).await;
        let words = content(200_000);
        let accepted = line.write(&words).await.unwrap();
        assert_eq!(accepted, WRITE, "what is kept has a limit");
        let kept = line.keeps();
        let waits =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut line).poll_write(cx, &words[accepted..]).is_pending()));
        assert!(waits.await);
        assert_eq!(line.keeps(), kept);
        let mut heard = vec![0; 50_000];
        let (flushed, read) = tokio::join!(
            async {
                line.write_all(b"other words").await?;
                line.shutdown().await
            },
            async {
                peer.read_exact(&mut heard).await?;
                peer.read_to_end(&mut heard).await
            }
        );
        flushed.unwrap();
        read.unwrap();
        assert!(heard == [&words[..accepted], b"other words"].concat());
    });
}

#[test]
fn a_line_that_has_ended_takes_no_more_words_and_still_listens() {
    for version in VERSIONS {
        run(async {
            let (near, far) = Choppy::new(4096, &[]);
            let (mut line, mut peer) = to_server(near, far, version).await;
            line.shutdown().await.unwrap();
            assert_eq!(line.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(peer.read(&mut [0; 9]).await.unwrap(), 0);
            peer.write_all(b"* BYE\r\n").await.unwrap();
            peer.shutdown().await.unwrap();
            let mut heard = Vec::new();
            line.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"* BYE\r\n");
            assert_eq!(line.keeps(), 0);
        });
    }
}

#[test]
fn a_peer_that_has_ended_can_still_be_told_something() {
    for version in VERSIONS {
        run(async {
            let (near, far) = Choppy::new(4096, &[]);
            let (mut line, mut peer) = to_client(near, far, version).await;
            peer.shutdown().await.unwrap();
            assert_eq!(line.read(&mut [0; 9]).await.unwrap(), 0);
            assert_eq!(line.read(&mut [0; 9]).await.unwrap(), 0);
            line.write_all(b"* BYE\r\n").await.unwrap();
            line.shutdown().await.unwrap();
            let mut heard = Vec::new();
            peer.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"* BYE\r\n");
        });
    }
}

#[test]
fn a_reader_with_room_gets_several_records_at_once_and_leaves_nothing() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[]);
        let (mut line, mut peer) = to_server(near, far, &TLS13).await;
        // The tickets come first, and alone.
        peer.write_all(b"x").await.unwrap();
        line.read_exact(&mut [0]).await.unwrap();
        peer.write_all(&content(10 * CONTENT)).await.unwrap();
        let reads = line.io().reads;
        let mut buffer = vec![0; 4 * CONTENT];
        assert_eq!(line.read(&mut buffer).await.unwrap(), 4 * CONTENT);
        assert_eq!(line.io().reads - reads, 1);
        assert_eq!(line.keeps(), 0, "no piece of a fifth record");
    });
}
