//! What an upstream says in its own name is told from mail that reads like it.

use footbridge::{dialogue::Glance, imap::Imap};

const BYE: &[u8] = b"* BYE Connection closed. 14\r\n";

fn sees(chunks: &[&[u8]]) -> usize {
    let mut glance = Glance::default();
    chunks.iter().filter(|chunk| glance.at::<Imap>(chunk).is_some()).count()
}

#[test]
fn a_short_read_of_whole_lines_is_what_the_upstream_says() {
    assert_eq!(sees(&[BYE]), 1);
    assert_eq!(sees(&[b"", BYE]), 1, "nothing is no piece of a line");
    assert_eq!(sees(&[b"* 1 EXISTS\r\n", BYE]), 1);
}

#[test]
fn mail_is_not() {
    let long = [BYE, "x".repeat(512).as_bytes(), b"\r\n"].concat();
    assert_eq!(sees(&[&long]), 0);
    assert_eq!(sees(&[b"the middle of a line", BYE]), 0);
    assert_eq!(sees(&[&BYE[..BYE.len() - 1]]), 0);
    assert_eq!(sees(&[&[BYE, b")\r\na OK done\r\n"].concat()]), 0);
}
