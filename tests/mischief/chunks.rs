//! Chunks of messages that an upstream does not take for chunks, so that what is in them are commands to it.

use bytes::BytesMut;
use footbridge::{
    dialogue::{Capabilities, Ceilings, Protocol as _, WatchStep, Welcome},
    failure::Failure,
    smtp::Smtp,
};

/// What a client says goes up as far as the watch lets it; `answers` are what the upstream says to each command up to
/// the chunk. Returns all that the upstream has read.
fn heard_by_the_upstream(pieces: &[(&str, &str)]) -> String {
    let capabilities = Some(Capabilities(vec!["CHUNKING".to_owned()]));
    let welcome = Welcome { capabilities, ..Welcome::default() };
    let ceilings = Ceilings { line: 1000, literal: 40, errors: 50, commands: 30 };
    let mut watch = Smtp::watch(&welcome, ceilings).unwrap();
    let (mut input, mut up, mut down) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    for (said, answer) in pieces {
        input.extend_from_slice(said.as_bytes());
        loop {
            match watch.client_says(&mut input, &mut up, &mut down) {
                Ok(WatchStep::Sender(sender)) if sender == "ok@x" => watch.allow(&mut up),
                Ok(WatchStep::Sender(_)) => watch.forbid(&Failure::NotPermitted.into(), &mut down),
                Ok(WatchStep::NeedInput | WatchStep::Over) | Err(_) => break,
            }
        }
        if !answer.is_empty() {
            watch.upstream_says(answer.as_bytes());
        }
    }
    String::from_utf8_lossy(&up).into_owned()
}

/// A client may write any number of octets. A server that counts in 31, 32 or 63 bits refuses such a command as
/// malformed, takes nothing for a chunk (RFC 3030 §2 has it drop the octets, whose number it has not understood), and
/// reads what follows as commands: a whole envelope of another sender, already in its socket when its second reply
/// ends the session. A size that is beyond any message must be refused here, where the sender is known.
#[test]
fn a_chunk_beyond_what_any_upstream_counts_to_goes_no_further() {
    for size in ["18446744073709551615", "9223372036854775808", "4294967296"] {
        let smuggled =
            format!("BDAT {size} LAST\r\nMAIL FROM:<ceo@y>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\n");
        let up = heard_by_the_upstream(&[
            ("MAIL FROM:<ok@x>\r\n", "250 fine\r\n"),
            ("RCPT TO:<a@b>\r\n", "250 fine\r\n"),
            (&smuggled, "501 5.5.4 Invalid arguments\r\n"),
        ]);
        assert!(!up.contains("MAIL FROM:<ceo@y>"), "an upstream that refuses {size} reads\n{up}");
    }
}

/// Behind a HELO a server offers no extensions (RFC 5321 §4.1.1.1 has it "assume that the client does not support"
/// them; §2.2.1 binds them to EHLO), and a second EHLO may list others than the first: a chunk is then an unknown
/// command, and what is in it are commands. What the upstream said at the login does not hold behind either.
#[test]
fn a_chunk_behind_helo_or_another_ehlo_without_chunking_goes_no_further() {
    for (hello, answer) in
        [("HELO pc\r\n", "250 pc\r\n"), ("EHLO pc\r\n", "250-upstream.test Hello\r\n250 SIZE 1000\r\n")]
    {
        let up = heard_by_the_upstream(&[
            (hello, answer),
            (
                "BDAT 100\r\nMAIL FROM:<ceo@y>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\n",
                "500 5.3.3 Unrecognized\r\n",
            ),
        ]);
        assert!(!up.contains("MAIL FROM:<ceo@y>"), "behind {hello:?} the upstream reads\n{up}");
    }
}

/// `421` is the last word of an upstream whatever was asked, and `3xx` never answers EHLO or HELO: behind either it is not
/// known what the next byte is to it. As for every other command, nothing more goes up.
#[test]
fn a_goodbye_or_a_question_in_the_place_of_a_greeting_is_the_end() {
    for answer in ["421 4.3.2 Shutting down\r\n", "354 go on\r\n", "334 \r\n"] {
        for asked in ["NOOP\r\n", "EHLO pc\r\n", "HELO pc\r\n"] {
            let up = heard_by_the_upstream(&[(asked, answer), ("RSET\r\n", "")]);
            assert_eq!(up, asked, "behind {answer:?} to {asked:?}");
        }
    }
}
