//! What a peer may send that means no good.

use proptest::prelude::*;
use rustls::{AlertDescription, ConnectionCommon};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A line whose server's words are put on the wire by hand, and what the server has encrypted of `words`.
async fn by_hand(words: &[&[u8]]) -> (Box<ClientLine<Choppy>>, DuplexStream, Vec<u8>) {
    let (near, far) = Choppy::new(1 << 20, &[]);
    let (line, mut peer) = to_server(near, far, &TLS13).await;
    let mut sealed = Vec::new();
    for words in words {
        io::Write::write_all(&mut peer.get_mut().1.writer(), words).unwrap();
        drain(&mut *peer.get_mut().1, &mut sealed);
    }
    (line, peer.into_inner().0, sealed)
}

fn drain<D>(peer: &mut ConnectionCommon<D>, sealed: &mut Vec<u8>) {
    while peer.wants_write() {
        peer.write_tls(sealed).unwrap();
    }
}

fn trouble(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn noise_in_place_of_a_handshake_is_refused(
        noise in prop::collection::vec(any::<u8>(), 0..3000),
        begins_well in any::<bool>(),
        steps in prop::collection::vec(0..50_usize, 0..6),
    ) {
        let begin: &[u8] = if begins_well { &[22, 3, 3, 0, 100] } else { &[] };
        let noise = [begin, &noise].concat();
        run(async {
            for is_client in [true, false] {
                let (near, mut far) = Choppy::new(1 << 20, &steps);
                far.write_all(&noise).await.unwrap();
                far.shutdown().await.unwrap();
                let refused = if is_client {
                    ClientLine::connect(client_config(&TLS13), localhost(), near).await.map(drop)
                } else {
                    ServerLine::accept(Arc::new(server_config(&TLS13)), near).await.map(drop)
                };
                let kind = refused.unwrap_err().kind();
                assert!([io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&kind), "{kind:?}");
            }
        });
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_read_nor_anything_behind_it(
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        room in 1..3000_usize,
    ) {
        run(async {
            let words = vec![b'x'; 500];
            let (mut line, mut far, mut sealed) = by_hand(&[words.as_slice(); 4]).await;
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            far.write_all(&sealed).await.unwrap();
            far.shutdown().await.unwrap();
            let (mut heard, mut piece) = (Vec::new(), vec![0; room]);
            let end = loop {
                match line.read(&mut piece).await {
                    Ok(read) => {
                        assert!(read > 0, "an end that nobody has told");
                        heard.extend_from_slice(&piece[..read]);
                    }
                    Err(error) => break error,
                }
            };
            let record = sealed.len() / 4;
            // What kind of record it is, says its content; the two bytes of a version mean nothing.
            let most = if at % record < 3 { 4 } else { at / record };
            assert!(heard.len() % 500 == 0 && heard.len() / 500 <= most && heard.len() / 500 >= at / record);
            assert!([io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&end.kind()), "{end}");
            assert_eq!(line.read(&mut piece).await.unwrap_err().kind(), end.kind(), "and so it stays");
        });
    }
}

#[test]
fn a_record_that_is_too_long_is_refused_at_its_header_and_the_peer_told() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[]);
        let (mut line, mut peer) = to_server(near, far, &TLS13).await;
        peer.write_all(b"* OK\r\n").await.unwrap();
        peer.get_mut().0.write_all(&[23, 3, 3, 0xff, 0xff]).await.unwrap();
        let mut heard = vec![0; 100];
        assert_eq!(line.read(&mut heard).await.unwrap(), 6, "what came before is heard");
        let error = line.read(&mut heard).await.unwrap_err();
        assert_eq!(trouble(&error), Some(&InvalidMessage::MessageTooLarge.into()));
        assert_eq!(line.keeps(), 0);
        assert_eq!(trouble(&line.write(b"x").await.unwrap_err()), trouble(&error));
        let told = peer.read(&mut heard).await.unwrap_err();
        assert_eq!(trouble(&told), Some(&Error::AlertReceived(AlertDescription::DecodeError)));
    });
}

#[test]
fn a_certificate_that_is_refused_is_the_error_and_the_server_is_told() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[]);
        let name = ServerName::try_from("elsewhere").unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&TLS13)));
        let line = ClientLine::connect(client_config(&TLS13), name, near);
        let (refused, told) = tokio::join!(line, acceptor.accept(far));
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        assert!(matches!(trouble(&refused), Some(Error::InvalidCertificate(_))), "{refused}");
        assert!(matches!(trouble(&told.err().unwrap()), Some(Error::AlertReceived(_))));
    });
}

#[test]
fn an_end_of_tcp_is_no_end_of_tls_between_records_or_in_one() {
    for cut in [0, 1, 4, 5, 100] {
        run(async {
            let (mut line, mut far, sealed) = by_hand(&[b"* OK\r\n", &[b'x'; 500]]).await;
            let first = sealed.len() - (500 + RECORD - CONTENT);
            far.write_all(&sealed[..first + cut]).await.unwrap();
            drop(far);
            line.read_exact(&mut [0; 6]).await.unwrap();
            for _ in 0..2 {
                assert_eq!(line.read(&mut [0; 6]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        });
    }
}

#[test]
fn a_peer_that_floods_a_reader_without_room_is_stopped() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[]);
        let (mut line, mut peer) = to_server(near, far, &TLS13).await;
        let flood = vec![b'x'; 900_000];
        for chunk in flood.chunks(777) {
            peer.write_all(chunk).await.unwrap();
        }
        let mut byte = [0];
        for _ in 0..10_000 {
            let before = line.io().read;
            line.read_exact(&mut byte).await.unwrap();
            let read = line.io().read;
            assert!(line.keeps() <= RECORD + LEAST + CONTENT, "{} bytes are kept", line.keeps());
            assert!(read - before <= 2 * RECORD, "{read} bytes are read");
        }
        assert!(line.io().read <= 10_000 * 2 + RECORD);
    });
}

#[test]
fn a_peer_that_talks_of_nothing_but_tls_lets_others_have_their_turn() {
    run(async {
        let (near, far) = Choppy::new(1 << 20, &[100]);
        let mut config = server_config(&TLS13);
        config.send_tls13_tickets = 200;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let line = ClientLine::connect(client_config(&TLS13), localhost(), near);
        let (mut line, mut peer) = tokio::try_join!(line, acceptor.accept(far)).unwrap();
        peer.write_all(b"* OK\r\n").await.unwrap();
        let mut turns = 0;
        poll_fn(|cx| {
            let before = line.io().reads;
            let mut words = [0; 6];
            let read = Pin::new(&mut line).poll_read(cx, &mut ReadBuf::new(&mut words));
            assert!(line.io().reads - before <= ROUNDS);
            turns += 1;
            read
        })
        .await
        .unwrap();
        assert!(turns > 10, "{turns} turns");
        assert_eq!(line.keeps(), 0);
    });
}

#[test]
fn a_message_without_end_is_not_waited_for() {
    run(async {
        let (near, mut far) = Choppy::new(1 << 20, &[]);
        // A certificate of almost 64 KiB, a byte in each record.
        let mut noise = vec![22, 3, 3, 0, 4, 2, 0, 0xff, 0xf0];
        for _ in 0..20_000 {
            noise.extend_from_slice(&[22, 3, 3, 0, 1, 0]);
        }
        far.write_all(&noise).await.unwrap();
        let refused = ClientLine::connect(client_config(&TLS13), localhost(), near).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{refused}");
    });
}
