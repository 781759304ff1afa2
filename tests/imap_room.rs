//! The IMAP room by its public door: what it answers to whom, however the bytes are split.

mod rooms;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use footbridge::{
    dialogue::{
        ClientDialogue as _, Known, Protocol, UpstreamDialogue as _, UpstreamLogin, UpstreamStep, Violation,
        Welcome,
    },
    failure::Failure,
    imap::Imap,
    sasl::Credentials,
};
use proptest::prelude::*;
use rooms::{End, Verdict, call, call_split, capabilities, login, offer, offer_starttls, serve, serve_split};

const REFUSED: &str = "NO [AUTHENTICATIONFAILED] username or password is wrong\r\n";

fn ann(password: &[u8]) -> Vec<Credentials> {
    vec![Credentials::new(b"ann@example.com", password)]
}

#[test]
fn a_login_is_understood_however_it_is_written() {
    let cases: &[(&[u8], &[u8], &str)] = &[
        // (said, password, written before the verdict)
        (b"a1 LOGIN ann@example.com secret\r\n", b"secret", ""),
        (b"a1 login ann@example.com secret\n", b"secret", ""),
        (b"a1  LOGIN  ann@example.com  secret  \r\n", b"secret", ""),
        (b"a1 LOGIN \"ann@example.com\" \"correct horse\"\r\n", b"correct horse", ""),
        (b"a1 LOGIN \"ann@example.com\" \"a\\\"b\\\\c\"\r\n", b"a\"b\\c", ""),
        (b"a1 LOGIN ann@example.com \"p\\w\"\r\n", b"p\\w", ""),
        (b"a1 LOGIN ann@example.com \"\"\r\n", b"", ""),
        (b"a1 LOGIN ann@example.com p%*(){]\\\"\r\n", b"p%*(){]\\\"", ""),
        (b"a1 LOGIN ann@example.com secret{12}\r\n", b"secret{12}", ""),
        (b"a1 LOGIN ann@example.com {x}\r\n", b"{x}", ""),
        (b"a1 LOGIN ann@example.com p\xe4ss\r\n", b"p\xe4ss", ""),
        (b"a1 LOGIN ann@example.com \"p\xc3\xa4ss\"\r\n", b"p\xc3\xa4ss", ""),
        (b"a1 LOGIN {15}\r\nann@example.com {6}\r\nsecret\r\n", b"secret", "+ go ahead\r\n+ go ahead\r\n"),
        (b"a1 LOGIN {15+}\r\nann@example.com {6+}\r\nsecret\r\n", b"secret", ""),
        (b"a1 LOGIN {15}\r\nann@example.com {6+}\r\nsecret\r\n", b"secret", "+ go ahead\r\n"),
        (b"a1 LOGIN {15+}\nann@example.com {006}\nsecret\n", b"secret", "+ go ahead\r\n"),
        (b"a1 LOGIN \"ann@example.com\" {6}\r\nsecret\r\n", b"secret", "+ go ahead\r\n"),
        (b"a1 LOGIN {15}\r\nann@example.com \"se cret\"\r\n", b"se cret", "+ go ahead\r\n"),
        (b"a1 LOGIN ann@example.com {0}\r\n\r\n", b"", "+ go ahead\r\n"),
        (b"a1 LOGIN ann@example.com {10+}\r\nse\r\ncr {3}\r\n", b"se\r\ncr {3}", ""),
        (b"a1 LOGIN ann@example.com {3+}\r\nab\r\n", b"ab\r", ""),
        (b"a1 LOGIN ann@example.com p\rw\r\n", b"p\rw", ""),
        (b"a1 AUTHENTICATE PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", b"secret", ""),
        (b"a1 authenticate \"plain\" AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ\r\n", b"secret", ""),
        (b"a1 AUTHENTICATE PLAIN\r\nAGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", b"secret", "+ \r\n"),
        (b"a1 AUTHENTICATE PLAIN \r\nAGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\n", b"secret", "+ \r\n"),
        (
            b"a1 AUTHENTICATE LOGIN\r\nYW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n",
            b"secret",
            "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n",
        ),
        (b"a1 AUTHENTICATE login YW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n", b"secret", "+ UGFzc3dvcmQ6\r\n"),
    ];
    for (said, password, before) in cases {
        let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, said);
        assert_eq!(transcript.shown, ann(password), "{}", said.escape_ascii());
        assert_eq!(transcript.out, format!("{before}a1 {REFUSED}"), "{}", said.escape_ascii());
        assert!(transcript.left.is_empty());
    }
}

#[test]
fn any_tag_that_can_be_answered_is_answered() {
    for tag in ["1", "A0001", "a+b", "[x]", "%", "{}", "\"t\"", "*1", "tag.with/marks", "LOGIN"] {
        let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, format!("{tag} NOOP\r\n").as_bytes());
        assert_eq!(transcript.out, format!("{tag} OK NOOP completed\r\n"));
    }
    for no_tag in ["* NOOP\r\n", "+ NOOP\r\n", "t\u{e4}g NOOP\r\n", "a\tb NOOP\r\n"] {
        let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, no_tag.as_bytes());
        assert_eq!(transcript.out, "* BAD no tag\r\n");
    }
}

#[test]
fn commands_before_login_are_answered() {
    let secure = offer();
    let public = offer_starttls();
    let cases: &[(_, &[u8], &str, Option<End>)] = &[
        (
            &secure,
            b"a CAPABILITY\r\n",
            "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN AUTH=LOGIN\r\na OK CAPABILITY completed\r\n",
            None,
        ),
        (
            &public,
            b"a capability \r\n",
            "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID LOGINDISABLED STARTTLS\r\na OK CAPABILITY completed\r\n",
            None,
        ),
        (&secure, b"a NOOP\r\nb Noop\n", "a OK NOOP completed\r\nb OK NOOP completed\r\n", None),
        (&secure, b"a ID NIL\r\n", "* ID (\"name\" \"Footbridge\")\r\na OK ID completed\r\n", None),
        (
            &secure,
            b"a ID (\"name\" {4}\r\nm\xfcll)\r\n",
            "+ go ahead\r\n* ID (\"name\" \"Footbridge\")\r\na OK ID completed\r\n",
            None,
        ),
        (
            &secure,
            b"a LOGOUT\r\nb NOOP\r\n",
            "* BYE logging out\r\na OK LOGOUT completed\r\n",
            Some(End::Left),
        ),
        (&public, b"a STARTTLS\r\nb NOOP\r\n", "a OK begin TLS\r\n", Some(End::StartTls)),
        (&secure, b"a STARTTLS\r\n", "a BAD STARTTLS is not offered\r\n", None),
        (&secure, b"\r\n\r\na NOOP\r\n", "a OK NOOP completed\r\n", None),
        (&secure, b"a SELECT INBOX\r\n", "a BAD log in first\r\n", None),
        (&secure, b"a APPEND INBOX {5}\r\n", "a BAD log in first\r\n", None),
        (&secure, b"a APPEND INBOX {5+}\r\nhello\r\n", "a BAD log in first\r\n", None),
        (&secure, b"a XYZZY\r\n", "a BAD unknown command\r\n", None),
        (&secure, b"a\r\n", "a BAD unknown command\r\n", None),
        (&secure, b"a LOGIN ann\r\n", "a BAD LOGIN takes a username and a password\r\n", None),
        (&secure, b"a LOGIN ann b c\r\n", "a BAD LOGIN takes a username and a password\r\n", None),
        (&secure, b"a LOGIN ann \"b\r\n", "a BAD LOGIN takes a username and a password\r\n", None),
        (&secure, b"a LOGIN ann \"b\"c\r\n", "a BAD LOGIN takes a username and a password\r\n", None),
        (
            &secure,
            b"a LOGIN \"ann {1+}\r\nb\" c\r\n",
            "a BAD LOGIN takes a username and a password\r\n",
            None,
        ),
        (&secure, b"a LOGIN ann {1+}\r\nbc\r\n", "a BAD LOGIN takes a username and a password\r\n", None),
        (&secure, b"a AUTHENTICATE\r\n", "a BAD AUTHENTICATE takes a mechanism\r\n", None),
        (
            &secure,
            b"a AUTHENTICATE XOAUTH2 dXNlcg==\r\n",
            "a NO [CANNOT] this mechanism is not offered\r\n",
            None,
        ),
        (&secure, b"a AUTHENTICATE PLAIN\r\n*\r\n", "+ \r\na BAD authentication cancelled\r\n", None),
        (
            &secure,
            b"a AUTHENTICATE LOGIN\r\nYW5u\r\n*\r\n",
            "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na BAD authentication cancelled\r\n",
            None,
        ),
        (&secure, b"a AUTHENTICATE PLAIN =\r\n", "a BAD the response cannot be decoded\r\n", None),
        (
            &secure,
            b"a AUTHENTICATE PLAIN\r\n???\r\nb NOOP\r\n",
            "+ \r\na BAD the response cannot be decoded\r\nb OK NOOP completed\r\n",
            None,
        ),
    ];
    for (offer, said, out, end) in cases {
        let transcript = serve_split::<Imap>(offer, Verdict::Refuse, said);
        assert_eq!((transcript.out.as_str(), transcript.end), (*out, *end), "{}", said.escape_ascii());
        assert!(transcript.shown.is_empty());
    }
}

#[test]
fn a_password_is_not_asked_for_on_a_public_line() {
    for said in ["a LOGIN {3}\r\n", "a LOGIN ann pw\r\n", "a AUTHENTICATE PLAIN\r\n"] {
        let transcript = serve_split::<Imap>(&offer_starttls(), Verdict::Refuse, said.as_bytes());
        assert_eq!(transcript.out, "a NO [PRIVACYREQUIRED] no login without TLS\r\n");
        assert!(transcript.shown.is_empty());
    }
}

#[test]
fn after_a_refusal_the_client_may_try_again() {
    let said = b"a LOGIN ann@example.com x\r\nb LOGIN ann@example.com secret\r\n";
    let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, said);
    assert_eq!(transcript.shown, [ann(b"x"), ann(b"secret")].concat());
    assert_eq!(transcript.out, format!("a {REFUSED}b {REFUSED}"));
}

#[test]
fn commands_pipelined_behind_the_login_stay_where_they_are() {
    let said = b"a LOGIN ann@example.com {6+}\r\nsecret\r\nb SELECT INBOX\r\nc IDLE\r\n";
    let transcript = serve_split::<Imap>(&offer(), Verdict::Accept, said);
    assert_eq!(transcript.end, Some(End::Accepted));
    assert_eq!(transcript.out, "a OK logged in\r\n");
    assert_eq!(transcript.left, b"b SELECT INBOX\r\nc IDLE\r\n");
}

#[test]
fn ceilings_are_kept() {
    let long =
        |head: &str, len: usize| [head.as_bytes(), &b"x".repeat(len - head.len() - 2), b"\r\n"].concat();
    let cases: &[(Vec<u8>, &str, Option<End>)] = &[
        (long("a XYZZY ", 200), "a BAD unknown command\r\n", None),
        (long("a XYZZY ", 201), "", Some(End::Violated(Violation::LineTooLong(200)))),
        (b"x".repeat(500), "", Some(End::Violated(Violation::LineTooLong(200)))),
        (
            b"a AUTHENTICATE PLAIN\r\n".iter().copied().chain(b"x".repeat(201)).collect(),
            "+ \r\n",
            Some(End::Violated(Violation::LineTooLong(200))),
        ),
        (
            b"a LOGIN {41}\r\nb NOOP\r\n".to_vec(),
            "a BAD [TOOBIG] literal too long\r\nb OK NOOP completed\r\n",
            None,
        ),
        (b"a LOGIN {99999999999999999999999999}\r\n".to_vec(), "a BAD [TOOBIG] literal too long\r\n", None),
        (b"a LOGIN {41+}\r\n".to_vec(), "", Some(End::Violated(Violation::LiteralTooLong(40)))),
        (
            b"a XYZZY {99999999999999999999999999+}\r\n".to_vec(),
            "",
            Some(End::Violated(Violation::LiteralTooLong(40))),
        ),
        (
            b"a ID {1+}\r\nx {40+}\r\n"
                .iter()
                .copied()
                .chain(b"x".repeat(40))
                .chain(*b" {40+}\r\n")
                .collect(),
            "",
            Some(End::Violated(Violation::LiteralTooLong(40))),
        ),
        (
            b"a X\r\na X\r\na X\r\n\r\na NOOP\r\na X\r\na X\r\n".to_vec(),
            "a BAD unknown command\r\na BAD unknown command\r\na BAD unknown command\r\na OK NOOP completed\r\na BAD unknown command\r\n",
            Some(End::Violated(Violation::TooManyErrors(4))),
        ),
        (
            [&b"a NOOP\r\n"[..], &b"\r\n".repeat(30)].concat(),
            "a OK NOOP completed\r\n",
            Some(End::Violated(Violation::TooManyCommands(30))),
        ),
    ];
    for (said, out, end) in cases {
        let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, said);
        assert_eq!((transcript.out.as_str(), transcript.end), (*out, *end), "{}", said.escape_ascii());
    }
}

#[test]
fn strangers_are_recognised_by_their_first_bytes() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x16\x03", "TLS"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n", "HTTP"),
    ];
    for (said, name) in cases {
        let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, said);
        assert_eq!(transcript.end, Some(End::Violated(Violation::WrongProtocol(name))));
        assert_eq!(transcript.out, "");
    }
    let transcript = serve_split::<Imap>(&offer(), Verdict::Refuse, b"GET NOOP\r\n");
    assert_eq!(transcript.out, "GET OK NOOP completed\r\n");
}

#[test]
fn the_greeting_tells_what_is_offered() {
    let greeting = |offer| {
        let mut out = bytes::BytesMut::new();
        Imap::client(offer, rooms::CEILINGS).greet(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(
        greeting(offer()),
        "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN AUTH=LOGIN] Footbridge ready\r\n"
    );
    assert_eq!(
        greeting(offer_starttls()),
        "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID LOGINDISABLED STARTTLS] Footbridge ready\r\n"
    );
}

/// Exchange Online's greeting, which tells no capabilities.
const GREETING: &str = "* OK The Microsoft Exchange IMAP4 service is ready. [TQBO]\r\n";
const CAPABILITY: &str =
    "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS\r\nF1 OK CAPABILITY completed.\r\n";

fn exchange_online(outcome: &str) -> rooms::UpstreamTranscript {
    call_split::<Imap>(&login(), format!("{GREETING}{CAPABILITY}{outcome}").as_bytes())
}

fn said(outcome: &str) -> (Failure, String) {
    let (_, end, _) = exchange_online(outcome);
    let rejected = end.expect("an end").expect_err("a refusal");
    (rejected.failure, rejected.said)
}

#[test]
fn exchange_online_lets_us_in() {
    let told = "* CAPABILITY IMAP4rev1 IDLE\r\nF3 OK CAPABILITY completed.\r\n";
    let outcome = format!("F2 OK AUTHENTICATE completed.\r\n{told}* 1 EXISTS\r\n");
    let (out, end, left) = exchange_online(&outcome);
    assert_eq!(out, "F1 CAPABILITY\r\nF2 AUTHENTICATE XOAUTH2 dXNlcg==\r\nF3 CAPABILITY\r\n");
    let capabilities = Some(capabilities(&["IMAP4rev1", "IDLE"]));
    assert_eq!(end, Some(Ok(Welcome { text: "AUTHENTICATE completed.".to_owned(), capabilities })));
    assert_eq!(left, b"* 1 EXISTS\r\n");
}

/// What a login to `said` writes that knows this, and what it has learned in the end.
fn acquainted(known: Option<&Known>, said: &str) -> (String, Option<Known>, Option<Welcome>) {
    let mut upstream = Imap::upstream(UpstreamLogin { known: known.cloned().map(Arc::new), ..login() });
    let (mut input, mut out) = (BytesMut::from(said), BytesMut::new());
    let welcome = match upstream.advance(&mut input, &mut out) {
        Ok(UpstreamStep::Ready(welcome)) => Some(welcome),
        Ok(UpstreamStep::NeedInput | UpstreamStep::StartTls) | Err(_) => None,
    };
    (String::from_utf8_lossy(&out).into_owned(), upstream.learned(), welcome)
}

#[test]
fn what_one_login_has_asked_the_next_one_does_not() {
    let told = "* CAPABILITY IMAP4rev1 IDLE\r\nF3 OK CAPABILITY completed.\r\n";
    let first = format!("{GREETING}{CAPABILITY}F2 OK AUTHENTICATE completed.\r\n{told}");
    let (_, learned, first) = acquainted(None, &first);
    let known = Known { initial_response: true, capabilities: Some(capabilities(&["IMAP4rev1", "IDLE"])) };
    assert_eq!(learned.as_ref(), Some(&known));
    let second = format!("{GREETING}F1 OK AUTHENTICATE completed.\r\n");
    let (out, learned, second) = acquainted(Some(&known), &second);
    assert_eq!(out, "F1 AUTHENTICATE XOAUTH2 dXNlcg==\r\n");
    assert_eq!((learned, second), (None, first));
}

#[test]
fn what_an_upstream_tells_of_its_own_accord_stands_above_what_is_known() {
    let known = Known { initial_response: true, capabilities: Some(capabilities(&["IDLE"])) };
    let said = "* OK [CAPABILITY IMAP4rev1] hello\r\n+ \r\nF1 OK [CAPABILITY MOVE] done\r\n";
    let (out, learned, welcome) = acquainted(Some(&known), said);
    assert_eq!(out, "F1 AUTHENTICATE XOAUTH2\r\ndXNlcg==\r\n");
    let told = Some(capabilities(&["MOVE"]));
    assert_eq!((learned, welcome), (None, Some(Welcome { text: "done".to_owned(), capabilities: told })));
}

#[test]
fn an_upstream_without_initial_responses_is_remembered_as_such() {
    let greeting = "* OK [CAPABILITY IMAP4rev1] hello\r\n+ \r\n";
    let said = format!("{greeting}F1 OK done\r\n* CAPABILITY IDLE\r\nF2 OK\r\n");
    let (_, learned, _) = acquainted(None, &said);
    let known = Known { initial_response: false, capabilities: Some(capabilities(&["IDLE"])) };
    assert_eq!(learned, Some(known.clone()));
    let (out, _, welcome) = acquainted(Some(&known), &format!("{GREETING}+ \r\nF1 OK done\r\n"));
    assert_eq!(out, "F1 AUTHENTICATE XOAUTH2\r\ndXNlcg==\r\n");
    assert_eq!(welcome.unwrap().capabilities, known.capabilities);
}

/// What came between the OK and the end of CAPABILITY, the capabilities that follow from it, and what
/// of it is the client's.
#[test]
fn what_comes_before_the_new_capabilities_is_the_clients() {
    let known = Some(capabilities(&["IDLE"]));
    let cases: [(&str, &Option<footbridge::dialogue::Capabilities>, &str); 9] = [
        ("* CAPABILITY IDLE\r\nF3 OK\r\n", &known, ""),
        ("F3 OK [CAPABILITY IDLE] done\r\n", &known, ""),
        ("* OK [CAPABILITY IDLE] done\r\nF3 OK\r\n", &known, ""),
        ("* OK flood\r\n* CAPABILITY IDLE\r\n* 3 EXISTS\nF3 OK\r\n", &known, "* OK flood\r\n* 3 EXISTS\n"),
        ("* NO [ALERT] 90 % full\r\nF3 OK\r\n", &None, "* NO [ALERT] 90 % full\r\n"),
        ("* OK {6}\r\nF3 NO [CLIENTBUG] not now\r\n", &None, "* OK {6}\r\n"),
        ("F3 BAD Request is throttled\r\n", &None, ""),
        ("F3 BAD User is authenticated but not connected.\r\n", &None, ""),
        (
            "* LIST () \"/\" {8}\r\nx\r\nF3 OK\r\nF3 OK\r\n",
            &None,
            // The eight octets end with the first F3 OK, which is thus no reply.
            "* LIST () \"/\" {8}\r\nx\r\nF3 OK\r\n",
        ),
    ];
    for (between, told, kept) in cases {
        let (_, end, left) = exchange_online(&format!("F2 OK done\r\n{between}* 4 EXISTS\r\nrest"));
        let welcome = Welcome { text: "done".to_owned(), capabilities: told.clone() };
        assert_eq!(end, Some(Ok(welcome)), "{between}");
        assert_eq!(String::from_utf8(left).unwrap(), format!("{kept}* 4 EXISTS\r\nrest"));
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_came() {
    let outcome = b"F2 OK done\r\n* OK \xff\xfe\r\nF3 OK\r\n";
    let (_, _, left) =
        call_split::<Imap>(&login(), &[GREETING.as_bytes(), CAPABILITY.as_bytes(), outcome].concat());
    assert_eq!(left, b"* OK \xff\xfe\r\n");
}

#[test]
fn an_upstream_that_leaves_or_floods_before_its_new_capabilities_does_not_let_us_in() {
    let flood = "* OK flood\r\n".repeat(6000);
    let cases = [
        ("* BYE Connection closed. 14\r\n", Failure::UpstreamUnavailable, "BYE Connection closed. 14"),
        ("F2 OK again\r\n", Failure::UpstreamViolation, "F2 OK again"),
        ("+ go on\r\n", Failure::UpstreamViolation, "+ go on"),
        (&flood, Failure::UpstreamViolation, "more than 64 KiB before the reply to CAPABILITY"),
        ("* LIST () \"/\" {99999}\r\n", Failure::UpstreamViolation, "a line longer than 64 KiB"),
    ];
    for (between, failure, words) in cases {
        let outcome = format!("{GREETING}{CAPABILITY}F2 OK done\r\n{between}");
        let (_, end, _) = call::<Imap>(&login(), &[outcome.as_bytes()]);
        let rejected = end.expect("an end").expect_err("a refusal");
        assert_eq!((rejected.failure, rejected.said.as_str()), (failure, words));
    }
}

#[test]
fn a_greeting_that_tells_capabilities_is_believed() {
    let said =
        b"* OK [CAPABILITY IMAP4rev1 sasl-ir] ready\r\nF1 OK [CAPABILITY IMAP4rev1 MOVE] Logged in\r\n";
    let (out, end, _) = call_split::<Imap>(&login(), said);
    assert_eq!(out, "F1 AUTHENTICATE XOAUTH2 dXNlcg==\r\n");
    let capabilities = Some(capabilities(&["IMAP4rev1", "MOVE"]));
    assert_eq!(end, Some(Ok(Welcome { text: "Logged in".to_owned(), capabilities })));
}

#[test]
fn capabilities_told_before_the_login_are_not_those_of_the_mailbox() {
    let told = "* CAPABILITY IMAP4rev1 IDLE\r\nF2 OK ann authenticated (Success)\r\n";
    let (_, end, _) = exchange_online(told);
    let welcome = end.expect("an end").expect("a welcome");
    assert_eq!(welcome.capabilities, Some(capabilities(&["IMAP4rev1", "IDLE"])));
    let (_, end, _) = exchange_online("* OK hello\r\n* 3 EXISTS\r\nF2 OK done\r\nF3 OK\r\n");
    assert_eq!(end.expect("an end").expect("a welcome").capabilities, None);
}

#[test]
fn without_sasl_ir_the_response_waits_for_its_continuation() {
    for plus in ["+\r\n", "+ \r\n", "+ go ahead\r\n", "+\n"] {
        let said = format!("* OK [CAPABILITY IMAP4rev1] ready\r\n{plus}F1 OK [CAPABILITY IDLE] done\r\n");
        let (out, end, _) = call_split::<Imap>(&login(), said.as_bytes());
        assert_eq!(out, "F1 AUTHENTICATE XOAUTH2\r\ndXNlcg==\r\n");
        assert!(matches!(end, Some(Ok(_))));
    }
}

#[test]
fn starttls_comes_first_and_what_was_told_in_clear_is_asked_again() {
    let login = footbridge::dialogue::UpstreamLogin { starttls: true, ..login() };
    let pieces: [&[u8]; 4] = [
        b"* OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS] ready\r\n",
        b"F1 OK begin\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\nF2 OK\r\n",
        b"+ \r\nF3 OK [CAPABILITY IDLE] done\r\n",
    ];
    let (out, end, _) = call::<Imap>(&login, &pieces);
    assert_eq!(out, "F1 STARTTLS\r\n<TLS>F2 CAPABILITY\r\nF3 AUTHENTICATE XOAUTH2\r\ndXNlcg==\r\n");
    assert!(matches!(end, Some(Ok(_))));
    let (out, end, _) = call::<Imap>(&login, &[b"* OK ready\r\n", b"F1 BAD unknown command\r\n"]);
    assert_eq!(out, "F1 STARTTLS\r\n");
    assert_eq!(end.expect("an end").expect_err("a refusal").failure, Failure::UpstreamViolation);
}

#[test]
fn an_error_challenge_is_acknowledged_and_kept() {
    let challenge = BASE64_STANDARD.encode(r#"{"status":"401","scope":"mail"}"#);
    let (out, end, _) = exchange_online(&format!("+ {challenge}\r\nF2 NO AUTHENTICATE failed.\r\n"));
    assert!(out.ends_with("dXNlcg==\r\n\r\n"), "{out}");
    let rejected = end.expect("an end").expect_err("a refusal");
    assert_eq!(rejected.failure, Failure::UpstreamRefused);
    assert_eq!(rejected.said, r#"NO AUTHENTICATE failed. {"status":"401","scope":"mail"}"#);
    let (failure, _) = said(&format!("+ {challenge}\r\n* BYE\r\n"));
    assert_eq!(failure, Failure::UpstreamRefused);
    let (failure, _) = said(&format!("+ {challenge}\r\n+ {challenge}\r\n"));
    assert_eq!(failure, Failure::UpstreamViolation);
}

#[test]
fn refusals_are_told_from_troubles() {
    use Failure::{UpstreamRefused, UpstreamUnavailable, UpstreamViolation};
    let cases = [
        ("F2 NO AUTHENTICATE failed.\r\n", UpstreamRefused),
        ("F2 BAD User is authenticated but not connected.\r\n", UpstreamRefused),
        ("F2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n", UpstreamRefused),
        ("F2 BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds\r\n", UpstreamUnavailable),
        ("F2 NO [UNAVAILABLE] Temporary authentication failure.\r\n", UpstreamUnavailable),
        ("F2 NO [INUSE] Account is in use\r\n", UpstreamUnavailable),
        ("F2 NO [ALERT] Too many simultaneous connections. (Failure)\r\n", UpstreamUnavailable),
        ("F2 NO Server Unavailable. 15\r\n", UpstreamUnavailable),
        ("* BYE Connection is closed. 13\r\n", UpstreamUnavailable),
        ("F9 OK done\r\n", UpstreamViolation),
        ("220 smtp.example.com\r\n", UpstreamViolation),
    ];
    for (outcome, failure) in cases {
        let line = outcome.trim_end();
        let words = if failure == UpstreamViolation { line } else { line.split_once(' ').unwrap().1 };
        assert_eq!(said(outcome), (failure, words.to_owned()));
    }
}

#[test]
fn a_greeting_that_is_none_ends_the_dialogue() {
    let cases: &[(&[u8], Failure)] = &[
        (b"* BYE too busy\r\n", Failure::UpstreamUnavailable),
        (b"* PREAUTH welcome\r\n", Failure::UpstreamViolation),
        (b"220 smtp.example.com ESMTP\r\n", Failure::UpstreamViolation),
        (b"\x15\x03\x03\x00\x02\x02\x28\n", Failure::UpstreamViolation),
        (b"\r\n", Failure::UpstreamViolation),
    ];
    for (greeting, failure) in cases {
        let (out, end, _) = call_split::<Imap>(&login(), greeting);
        assert_eq!(out, "");
        assert_eq!(end.expect("an end").expect_err("a refusal").failure, *failure);
    }
    let endless = b"* OK ".repeat(20_000);
    let (_, end, _) = call::<Imap>(&login(), &[&endless]);
    assert_eq!(end.expect("an end").expect_err("a refusal").failure, Failure::UpstreamViolation);
}

#[test]
fn an_upstream_that_repeats_the_token_does_not_bring_it_into_the_log() {
    let challenges = [
        BASE64_STANDARD.encode("no opaque-token"),
        BASE64_STANDARD.encode("yes: opaque-token").trim_end_matches('=').to_owned(),
        "no opaque-token".to_owned(),
    ];
    for challenge in challenges {
        let (_, said) = said(&format!("+ {challenge}\r\nF2 NO failed\r\n"));
        assert!(said.starts_with("NO failed ") && said.ends_with(" [our token]"), "{said}");
    }
    for echo in ["dXNlcg==", "opaque-token", "opaque-t"] {
        let (failure, said) = said(&format!("F2 NO cannot AUTHENTICATE XOAUTH2 {echo}\r\n"));
        assert_eq!(
            (failure, said.as_str()),
            (Failure::UpstreamRefused, "NO cannot AUTHENTICATE XOAUTH2 [our token]")
        );
        let (_, end, _) = exchange_online(&format!("F2 OK [CAPABILITY IDLE] hello {echo}\r\n"));
        assert_eq!(end.expect("an end").expect("a welcome").text, "hello [our token]");
    }
}

/// Writes a string in one of the ways that RFC 3501 has for it.
fn written(string: &[u8], way: u8) -> Vec<u8> {
    let len = string.len();
    match way {
        0 => [b"\"", &*string.escape_quoted(), b"\""].concat(),
        1 => [format!("{{{len}}}\r\n").as_bytes(), string].concat(),
        _ => [format!("{{{len}+}}\r\n").as_bytes(), string].concat(),
    }
}

trait EscapeQuoted {
    fn escape_quoted(&self) -> Vec<u8>;
}

impl EscapeQuoted for [u8] {
    fn escape_quoted(&self) -> Vec<u8> {
        self.iter()
            .flat_map(|&byte| if b"\"\\".contains(&byte) { vec![b'\\', byte] } else { vec![byte] })
            .collect()
    }
}

/// Bytes that a client might send, with the turns of the grammar more often than chance would have it.
fn chatter() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"a1 ".to_vec()),
        Just(b"LOGIN ".to_vec()),
        Just(b"AUTHENTICATE ".to_vec()),
        Just(b"PLAIN".to_vec()),
        Just(b"ID ".to_vec()),
        Just(b"ann ".to_vec()),
        Just(b"{3}\r\n".to_vec()),
        Just(b"{2+}\r\n".to_vec()),
        Just(b"{77}\r\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"*\r\n".to_vec()),
        Just(b"AGEAYg==".to_vec()),
        Just(b"NOOP\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

/// Bytes that an upstream might send.
fn replies() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"* OK ".to_vec()),
        Just(b"[CAPABILITY SASL-IR] ".to_vec()),
        Just(b"F1 OK ".to_vec()),
        Just(b"F2 NO ".to_vec()),
        Just(b"+ ".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"* CAPABILITY ".to_vec()),
        Just(b"* BYE ".to_vec()),
        Just(b"e30=\r\n".to_vec()),
        Just(b"* OK ready\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..20).prop_map(|words| words.concat())
}

fn pieces(said: &[u8], size: usize) -> Vec<&[u8]> {
    said.chunks(size).collect()
}

proptest! {
    #[test]
    fn any_login_is_read_back(
        username in "[^\"\\\\\r\n\0]{0,8}", password in proptest::collection::vec(any::<u8>(), 0..20),
        ways in (0..3_u8, 0..3_u8),
    ) {
        let quotable = !password.iter().any(|byte| b"\r\n".contains(byte));
        let way = if quotable { ways.1 } else { ways.1.max(1) };
        let said = [b"a1 LOGIN ", &*written(username.as_bytes(), ways.0), b" ", &*written(&password, way), b"\r\n"];
        let transcript = serve::<Imap>(&offer(), Verdict::Refuse, &said);
        prop_assert_eq!(transcript.shown, vec![Credentials::new(username.as_bytes(), password)]);
    }

    #[test]
    fn whatever_a_client_says_it_is_answered_the_same_however_it_is_split(said in chatter(), size in 1..40_usize) {
        let whole = serve::<Imap>(&offer(), Verdict::Refuse, &[&said]);
        prop_assert!(whole.out.len() <= 100 + 100 * said.len());
        prop_assert_eq!(serve::<Imap>(&offer(), Verdict::Refuse, &pieces(&said, size)), whole);
    }

    #[test]
    fn whatever_an_upstream_says_it_is_understood_the_same_however_it_is_split(said in replies(), size in 1..40_usize) {
        let whole = call::<Imap>(&login(), &[&said]);
        prop_assert!(whole.0.len() <= 200);
        prop_assert_eq!(call::<Imap>(&login(), &pieces(&said, size)), whole);
    }
}
