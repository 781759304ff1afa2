//! Pairs of pipes, and what comes out of them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const IDLE: Duration = Duration::from_mins(35);

fn side(stream: DuplexStream, early: &[u8]) -> Side<DuplexStream> {
    Side { stream, early: early.into() }
}

fn spliced(
    early: (&'static [u8], &'static [u8]),
    buffer: usize,
) -> (DuplexStream, DuplexStream, impl Future<Output = (End, Carried, Vec<u8>)>) {
    let (client, near) = duplex(buffer);
    let (far, upstream) = duplex(buffer);
    let run = async move {
        let (mut carried, mut glanced) = (Carried::default(), Vec::new());
        let glance = |chunk: &[u8]| glanced.extend_from_slice(chunk);
        let end = splice(side(near, early.0), side(far, early.1), IDLE, &mut carried, glance).await;
        (end, carried, glanced)
    };
    (client, upstream, run)
}

#[tokio::test]
async fn early_bytes_go_first_and_each_half_close_is_passed_on() {
    let (mut client, mut upstream, run) = spliced((b"a2 NOOP\r\n", b"* 1 EXISTS\r\n"), 64);
    let talk = async {
        client.write_all(b"a3 LOGOUT\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        upstream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"a2 NOOP\r\na3 LOGOUT\r\n");
        upstream.write_all(b"* BYE\r\n").await.unwrap();
        upstream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"* 1 EXISTS\r\n* BYE\r\n");
    };
    let ((end, carried, glanced), ()) = tokio::join!(run, talk);
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!(carried, Carried { up: 20, down: 19 });
    assert_eq!(glanced, b"* 1 EXISTS\r\n* BYE\r\n");
}

#[tokio::test]
async fn nothing_is_lost_when_the_upstream_closes_while_the_client_is_behind() {
    let (mut client, mut upstream, run) = spliced((b"", b""), 1024);
    let message: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let sending = async {
        upstream.write_all(&message).await.unwrap();
        drop(upstream);
    };
    let reading = async {
        let mut heard = Vec::new();
        let mut piece = [0; 333];
        while let read @ 1.. = client.read(&mut piece).await.unwrap() {
            heard.extend_from_slice(&piece[..read]);
            tokio::task::yield_now().await;
        }
        assert!(heard == message, "{} of {} bytes arrived", heard.len(), message.len());
        drop(client);
    };
    let ((_, carried, _), (), ()) = tokio::join!(run, sending, reading);
    assert_eq!(carried.down, 1_000_003);
}

#[tokio::test]
async fn what_an_upstream_said_before_it_broke_is_delivered_to_a_client_that_still_sends() {
    let (mut client, mut upstream, run) = spliced((b"", b""), 64);
    let talk = async {
        upstream.write_all(b"* BYE Session invalidated - AccessTokenExpired\r\n").await.unwrap();
        drop(upstream);
        client.write_all(&[b'x'; 500]).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"* BYE Session invalidated - AccessTokenExpired\r\n");
        drop(client);
    };
    let ((end, carried, _), ()) = tokio::join!(run, talk);
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!(carried.down, 48);
}

#[tokio::test]
async fn a_client_that_resets_the_connection_once_all_is_said_has_finished() {
    /// Ends with a reset when it is told that nothing more will come.
    struct Resets(DuplexStream, bool);

    impl AsyncRead for Resets {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            if this.1 {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            } else {
                Pin::new(&mut this.0).poll_read(cx, buf)
            }
        }
    }

    impl AsyncWrite for Resets {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.1 = true;
            cx.waker().wake_by_ref();
            Pin::new(&mut this.0).poll_shutdown(cx)
        }
    }

    let (mut client, near) = duplex(64);
    let (far, mut upstream) = duplex(64);
    upstream.write_all(b"221 bye\r\n").await.unwrap();
    upstream.shutdown().await.unwrap();
    let near = Side { stream: Resets(near, false), early: BytesMut::new() };
    let mut carried = Carried::default();
    let end = splice(near, side(far, b""), IDLE, &mut carried, |_| ()).await;
    assert!(matches!(end, End::Finished), "{end:?}");
    let mut heard = [0; 9];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"221 bye\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_session_is_cut_and_every_byte_starts_the_wait_anew() {
    let (mut client, _upstream, run) = spliced((b"", b""), 64);
    let start = Instant::now();
    let talk = async {
        tokio::time::sleep(Duration::from_mins(34)).await;
        client.write_all(b"x").await.unwrap();
    };
    let ((end, carried, _), ()) = tokio::join!(run, talk);
    assert!(matches!(end, End::Idle), "{end:?}");
    assert_eq!(carried.up, 1);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_mins(69) && waited < Duration::from_mins(70), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_done_is_not_waited_for_as_long() {
    let (_client, mut upstream, run) = spliced((b"", b""), 64);
    upstream.shutdown().await.unwrap();
    let start = Instant::now();
    assert!(matches!(run.await.0, End::Idle));
    assert!(start.elapsed() <= LINGER + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_reading_from_the_upstream() {
    let (client, mut upstream, run) = spliced((b"", b""), 1024);
    let mut run = Box::pin(run);
    let flood = vec![0_u8; 1 << 20];
    let mut sent = 0;
    let stuck = tokio::select! {
        biased;
        _ = &mut run => false,
        () = async {
            while let Ok(Ok(more)) =
                tokio::time::timeout(Duration::from_millis(50), upstream.write(&flood[sent..])).await
            {
                sent += more;
            }
        } => true,
    };
    assert!(stuck, "the splice ended");
    // Both pipes, one scratch buffer.
    assert!(sent <= 2 * 1024 + SCRATCH, "{sent} bytes were taken");
    drop(client);
}
