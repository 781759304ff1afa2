//! Who reads along after the login of an account with senders: nothing gets by it that an upstream would take
//! for another sender, whatever that takes for the end of a line or a message.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

use bytes::BytesMut;
use footbridge::{
    dialogue::{Capabilities, Ceilings, Protocol as _, Violation, Watch, WatchStep, Welcome},
    failure::Failure,
    smtp::Smtp,
};
use proptest::prelude::*;

const CEILINGS: Ceilings = Ceilings { line: 200, literal: 40, errors: 50, commands: 30 };
const OURS: &str = "ok@x";

fn watch(chunking: bool) -> Box<dyn Watch> {
    let list = if chunking { vec!["CHUNKING".to_owned()] } else { Vec::new() };
    let welcome = Welcome { capabilities: Some(Capabilities(list)), ..Welcome::default() };
    Smtp::watch(&welcome, CEILINGS).unwrap()
}

/// What an upstream takes for the end of a line, and whether it drops NUL.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
struct Habits {
    bare_lf: bool,
    bare_cr: bool,
    drops_nul: bool,
    chunking: bool,
}

/// An upstream of some habits, which keeps whom it was told that mail is from.
#[derive(Debug)]
struct Upstream {
    habits: Habits,
    line: Vec<u8>,
    ended_by_cr: bool,
    in_message: bool,
    chunk: usize,
    senders: Vec<String>,
    messages: Vec<Vec<u8>>,
}

impl Upstream {
    fn new(habits: Habits) -> Self {
        Self {
            habits,
            line: Vec::new(),
            ended_by_cr: false,
            in_message: false,
            chunk: 0,
            senders: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Whether a line ends behind `byte`, with what was there before in `line`.
    fn ends(&self, byte: u8) -> bool {
        match byte {
            b'\n' => self.habits.bare_lf || self.line.ends_with(b"\r"),
            b'\r' => self.habits.bare_cr,
            _ => false,
        }
    }

    /// Hears what goes up, and says what it has to say to that.
    fn hear(&mut self, up: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        for &byte in up {
            // The rest of an end that a CR was by itself.
            if std::mem::take(&mut self.ended_by_cr) && byte == b'\n' {
                continue;
            }
            if self.chunk > 0 {
                self.chunk -= 1;
                if self.chunk == 0 {
                    said.extend_from_slice(b"250 chunk\r\n");
                }
                continue;
            }
            if byte == 0 && self.habits.drops_nul {
                continue;
            }
            let ends = self.ends(byte);
            self.line.push(byte);
            if ends {
                let line = std::mem::take(&mut self.line);
                self.ended_by_cr = byte == b'\r';
                said.extend(self.take(line.trim_ascii_end()));
            }
        }
        said
    }

    fn take(&mut self, line: &[u8]) -> Vec<u8> {
        if self.in_message {
            if line != b"." {
                self.messages.last_mut().unwrap().extend_from_slice(line);
                return Vec::new();
            }
            self.in_message = false;
            return b"250-taken\r\n250 all\r\n".to_vec();
        }
        let text = String::from_utf8_lossy(line).to_ascii_uppercase();
        if let Some(from) = text.split("FROM:").nth(1) {
            self.senders.push(from.to_ascii_lowercase());
        }
        if text.starts_with("DATA") {
            self.in_message = true;
            self.messages.push(Vec::new());
            return b"354 go on\r\n".to_vec();
        }
        if let Some(size) = text.strip_prefix("BDAT ").filter(|_| self.habits.chunking) {
            self.chunk = size.split(' ').next().unwrap().parse().unwrap();
            return if self.chunk == 0 { b"250 chunk\r\n".to_vec() } else { Vec::new() };
        }
        b"250 fine\r\n".to_vec()
    }
}

/// What the upstream was told, what the client was told, and how it ended.
type Outcome = (Upstream, String, Option<Violation>);

/// Lets a client speak in pieces to an upstream of these habits.
fn converse(habits: Habits, pieces: &[&[u8]]) -> Outcome {
    let (mut watch, mut upstream) = (watch(habits.chunking), Upstream::new(habits));
    let (mut input, mut down) = (BytesMut::new(), BytesMut::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let mut up = BytesMut::new();
            match watch.client_says(&mut input, &mut up, &mut down) {
                Ok(WatchStep::NeedInput) if up.is_empty() => break,
                Ok(WatchStep::NeedInput) => (),
                Ok(WatchStep::Sender(sender)) if sender == OURS => watch.allow(&mut up),
                Ok(WatchStep::Sender(_)) => watch.forbid(&Failure::NotPermitted.into(), &mut down),
                Ok(WatchStep::Over) => return (upstream, text(&down), None),
                Err(violation) => return (upstream, text(&down), Some(violation)),
            }
            let said = upstream.hear(&up);
            down.extend_from_slice(&said);
            if !watch.upstream_says(&said) {
                return (upstream, text(&down), None);
            }
        }
    }
    (upstream, text(&down), None)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn all_habits() -> impl Iterator<Item = Habits> {
    (0..16).map(|bits: u8| Habits {
        bare_lf: bits & 1 > 0,
        bare_cr: bits & 2 > 0,
        drops_nul: bits & 4 > 0,
        chunking: bits & 8 > 0,
    })
}

const STRICT: Habits = Habits { bare_lf: false, bare_cr: false, drops_nul: false, chunking: true };

/// What conversations are made of, and what smuggling is made of.
const PARTS: [&[u8]; 33] = [
    b"MAIL FROM:<ok@x>\r\n",
    b"MAIL FROM:<ok@x>\n",
    b"MAIL FROM:<evil@y>\r\n",
    b"\nMAIL FROM:<evil@y>\r\n",
    b"MAIL FROM:<evil@y>",
    b"MAIL FROM:<ok@x>,<evil@y>\r\n",
    b"mail  from: evil@y size=1\r\n",
    b"MAIL FROM:<@ok@x:evil@y>\r\n",
    b"SAML FROM:<evil@y>\r\n",
    b"NOOP\rMAIL FROM:<evil@y>\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"DATA\r\n",
    b"DATA\n",
    b"BDAT 20\r\n",
    b"BDAT 3 LAST\r\n",
    b"BDAT 0\r\n",
    b"BDAT -1\r\n",
    b"EHLO pc\r\n",
    b"AUTH LOGIN\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b".",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r",
    b"\n",
    b"\0",
    b"..\r\n",
    b"text",
];

#[test]
fn a_message_passes_to_the_byte_and_ends_where_it_ends() {
    let message = b"Subject: x\r\n\r\n..\r\n.x\r\nbare\nlf\rcr\0nul\r\n\xff\r\n";
    let whole =
        [b"MAIL FROM:<ok@x>\r\nDATA\r\n", &message[..], b".\r\nMAIL FROM:<evil@y>\r\nNOOP\r\n"].concat();
    let (upstream, down, end) = converse(STRICT, &[&whole]);
    let lines: Vec<u8> = message.split_inclusive(|&byte| byte == b'\n').fold(Vec::new(), |mut all, line| {
        all.extend_from_slice(if line.ends_with(b"\r\n") { &line[..line.len() - 2] } else { line });
        all
    });
    assert_eq!((upstream.messages, end), (vec![lines], None));
    assert_eq!(upstream.senders, ["<ok@x>"]);
    let said = "250 fine\r\n354 go on\r\n250-taken\r\n250 all\r\n550 5.7.1 This sender is not allowed\r\n250 fine\r\n";
    assert_eq!(down, said);
}

#[test]
fn every_known_way_to_hide_the_end_of_a_message_ends_the_session() {
    let ends: [&[u8]; 12] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\n.\r",
        b"\r.\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\0\n.\r\n",
        b"\r\n.\r\0\n",
    ];
    for end in ends {
        let said = [b"MAIL FROM:<ok@x>\r\nDATA\r\nhello", end, b"MAIL FROM:<evil@y>\r\n"].concat();
        for habits in all_habits() {
            let (upstream, down, violation) = converse(habits, &[&said]);
            assert_eq!(violation, Some(Violation::AmbiguousEnd), "{:?} {habits:?}", text(end));
            assert!(
                down.ends_with("521 5.5.2 a dot alone between line ends that are not CR LF\r\n"),
                "{down}"
            );
            assert_eq!(upstream.senders, ["<ok@x>"], "{:?} {habits:?}", text(end));
        }
    }
}

#[test]
fn a_command_that_never_ends_ends_the_session() {
    let (upstream, down, violation) = converse(STRICT, &[&[b'x'; 300]]);
    assert_eq!(violation, Some(Violation::LineTooLong(200)));
    assert!(down.starts_with("500 5.5.6 Line too long\r\n421 "), "{down}");
    assert!(upstream.line.is_empty());
}

#[test]
fn who_tries_sender_after_sender_is_sent_away() {
    let said = b"MAIL FROM:<evil@y>\r\n".repeat(60);
    let (upstream, down, violation) = converse(STRICT, &[&said]);
    assert_eq!(violation, Some(Violation::TooManyErrors(50)));
    assert_eq!(down.matches("550 5.7.1").count(), 51);
    assert!(upstream.senders.is_empty());
}

#[test]
fn a_reply_that_nothing_asked_for_ends_the_session() {
    for said in ["421 4.4.2 timed out\r\n", "250 what?\r\n", "354 go on\r\n", "nonsense\r\n", "\r\n"] {
        let mut watch = watch(true);
        assert!(!watch.upstream_says(said.as_bytes()), "{said}");
        let (mut input, mut up, mut down) = (BytesMut::from("NOOP\r\n"), BytesMut::new(), BytesMut::new());
        let step = watch.client_says(&mut input, &mut up, &mut down).unwrap();
        assert_eq!((step, up.len(), down.len()), (WatchStep::Over, 0, 0), "{said}");
    }
    // Nor does one command begin what belongs to another.
    for (command, said) in
        [("NOOP\r\n", "354 go on\r\n"), ("DATA\r\n", "334 \r\n"), ("DATA\r\n", "354 a\r\n250 b\r\n")]
    {
        let mut watch = watch(true);
        let (mut input, mut up, mut down) = (BytesMut::from(command), BytesMut::new(), BytesMut::new());
        watch.client_says(&mut input, &mut up, &mut down).unwrap();
        assert!(!watch.upstream_says(said.as_bytes()), "{command}{said}");
    }
}

#[test]
fn nothing_is_said_in_between_the_lines_of_a_reply() {
    let mut watch = watch(true);
    assert!(watch.upstream_says(b"421-4.4.2 tim"));
    let (mut input, mut up, mut down) = (BytesMut::from("XYZZY\r\n"), BytesMut::new(), BytesMut::new());
    assert_eq!(watch.client_says(&mut input, &mut up, &mut down), Ok(WatchStep::NeedInput));
    assert!(down.is_empty() && !input.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_upstream_of_any_habits_hears_of_another_sender(
        parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..14),
        size in 1usize..40,
    ) {
        let said = [b"MAIL FROM:<ok@x>\r\nDATA\r\n".to_vec(), parts.concat()].concat();
        let pieces: Vec<&[u8]> = said.chunks(size).collect();
        for habits in all_habits() {
            let (upstream, _, _) = converse(habits, &pieces);
            let foreign = upstream.senders.iter().find(|sender| sender.contains("evil"));
            prop_assert!(foreign.is_none(), "{habits:?} hears {foreign:?} in {:?}", text(&said));
        }
    }

    #[test]
    fn it_makes_no_difference_how_the_bytes_come(
        parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..14),
        size in 1usize..40,
    ) {
        let said = parts.concat();
        let (whole, down, end) = converse(STRICT, &[&said]);
        let pieces: Vec<&[u8]> = said.chunks(size).collect();
        let (split, split_down, split_end) = converse(STRICT, &pieces);
        prop_assert_eq!((&down, end), (&split_down, split_end), "{:?}", text(&said));
        prop_assert_eq!(&whole.senders, &split.senders, "{:?}", text(&said));
        // A message that goes no further may have been cut earlier or later.
        if end.is_none() {
            prop_assert_eq!(&whole.messages, &split.messages, "{:?}", text(&said));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_let_a_sender_by(said in prop::collection::vec(any::<u8>(), 0..300)) {
        for habits in all_habits() {
            let (upstream, _, _) = converse(habits, &[&said]);
            prop_assert!(upstream.senders.is_empty());
        }
    }
}
