//! The POP3 room by its public door: what it answers to whom, however the bytes are split.

mod rooms;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use footbridge::{
    dialogue::{ClientDialogue as _, Offer, Protocol as _, UpstreamLogin, Violation, Welcome},
    failure::Failure,
    pop3::Pop3,
    sasl::{Credentials, Mechanism},
};
use proptest::prelude::*;
use rooms::{
    End, Verdict, call, call_split, capabilities, login_showing, offer, offer_starttls, serve, serve_split,
};

const REFUSED: &str = "-ERR [AUTH] username or password is wrong\r\n";
const USER: &str = "+OK now the password\r\n";

fn ann() -> Vec<Credentials> {
    vec![Credentials::new(b"ann@example.com", b"secret")]
}

#[test]
fn a_login_is_understood_however_it_is_written() {
    let cases: &[(&str, &str)] = &[
        // (said, written before the verdict)
        ("USER ann@example.com\r\nPASS secret\r\n", USER),
        ("user ann@example.com\npass secret\n", USER),
        (" USER  ann@example.com \r\n PASS secret\r\n", USER),
        (
            "USER bob\r\nUSER ann@example.com\r\nPASS secret\r\n",
            "+OK now the password\r\n+OK now the password\r\n",
        ),
        ("USER ann@example.com\r\nSTAT\r\nPASS secret\r\n", "+OK now the password\r\n-ERR log in first\r\n"),
        ("AUTH PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", ""),
        ("auth plain AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ\n", ""),
        ("AUTH  PLAIN  AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ= \r\n", ""),
        ("AUTH PLAIN\r\nAGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", "+ \r\n"),
        ("Auth Login\r\nYW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n"),
        ("AUTH LOGIN YW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\n"),
        ("USER bob\r\nAUTH PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", USER),
    ];
    for (said, before) in cases {
        let transcript = serve_split::<Pop3>(&offer(), Verdict::Refuse, said.as_bytes());
        assert_eq!(transcript.shown, ann(), "{said:?}");
        assert_eq!(transcript.out, format!("{before}{REFUSED}"), "{said:?}");
        assert!(transcript.left.is_empty());
    }
}

#[test]
fn every_byte_of_a_password_counts() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"two words", b"two words"),
        (b" before and behind ", b" before and behind "),
        (b"\"quoted\\\"", b"\"quoted\\\""),
        (b"p\xC3\xA4ss", b"p\xC3\xA4ss"),
        (b"p\xE4ss", b"p\xE4ss"),
        (b"{12}", b"{12}"),
        (b"\t\x00\x01", b"\t\x00\x01"),
        (b"", b""),
    ];
    for (written, password) in cases {
        let said = [b"USER ann@example.com\r\nPASS ", written, b"\r\n"].concat();
        let transcript = serve_split::<Pop3>(&offer(), Verdict::Refuse, &said);
        assert_eq!(transcript.shown, [Credentials::new(b"ann@example.com", password)]);
    }
}

#[test]
fn commands_before_login_are_answered() {
    let (secure, public, neither) = (offer(), offer_starttls(), Offer::default());
    let both = Offer { login: true, starttls: true, ..Offer::default() };
    let cases: &[(_, &str, &str, Option<End>)] = &[
        (
            &secure,
            "CAPA\r\n",
            "+OK capabilities follow\r\nUSER\r\nSASL PLAIN LOGIN\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n.\r\n",
            None,
        ),
        (&public, "capa\n", "+OK capabilities follow\r\nSTLS\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n.\r\n", None),
        (&neither, "CAPA\r\n", "+OK capabilities follow\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n.\r\n", None),
        (&both, "STLS\r\nCAPA\r\n", "+OK begin TLS\r\n", Some(End::StartTls)),
        (&public, "STLS\r\nUSER ann\r\n", "+OK begin TLS\r\n", Some(End::StartTls)),
        (&secure, "STLS\r\n", "-ERR STLS is not offered\r\n", None),
        (
            &public,
            "USER ann\r\nPASS secret\r\nAUTH PLAIN AGEAYg==\r\n",
            "-ERR must issue STLS first\r\n-ERR must issue STLS first\r\n-ERR must issue STLS first\r\n",
            None,
        ),
        (
            &neither,
            "AUTH\r\nUSER ann\r\n",
            "-ERR no login without TLS\r\n-ERR no login without TLS\r\n",
            None,
        ),
        (&secure, "AUTH\r\n", "+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n", None),
        (&secure, "QUIT\r\nSTAT\r\n", "+OK bye\r\n", Some(End::Left)),
        (
            &secure,
            "STAT\r\nNOOP\r\nRETR 1\r\n",
            "-ERR log in first\r\n-ERR log in first\r\n-ERR log in first\r\n",
            None,
        ),
        (&secure, "APOP ann 0\r\n", "-ERR APOP is not offered, log in with USER and PASS\r\n", None),
        (&secure, "XYZZY\r\n\r\n", "-ERR unknown command\r\n-ERR unknown command\r\n", None),
        (&secure, "USER\r\nUSER  \r\n", "-ERR USER takes a name\r\n-ERR USER takes a name\r\n", None),
        (&secure, "PASS secret\r\n", "-ERR USER comes before PASS\r\n", None),
        (&secure, "USER ann\r\nPASS\r\n", "+OK now the password\r\n-ERR PASS takes a password\r\n", None),
        (&secure, "AUTH PLAIN a b\r\n", "-ERR AUTH takes a mechanism\r\n", None),
        (&secure, "AUTH XOAUTH2 dXNlcg==\r\n", "-ERR this mechanism is not offered\r\n", None),
        (&secure, "AUTH PLAIN\r\n*\r\n", "+ \r\n-ERR authentication cancelled\r\n", None),
        (&secure, "AUTH LOGIN YW5u\r\n*\r\n", "+ UGFzc3dvcmQ6\r\n-ERR authentication cancelled\r\n", None),
        (
            &secure,
            "AUTH PLAIN ???\r\nSTAT\r\n",
            "-ERR cannot decode the response\r\n-ERR log in first\r\n",
            None,
        ),
        (&secure, "AUTH PLAIN\r\n\r\n", "+ \r\n-ERR cannot decode the response\r\n", None),
    ];
    for (offer, said, out, end) in cases {
        let transcript = serve_split::<Pop3>(offer, Verdict::Refuse, said.as_bytes());
        assert_eq!((transcript.out.as_str(), transcript.end), (*out, *end), "{said:?}");
        assert!(transcript.shown.is_empty());
    }
}

#[test]
fn capa_promises_what_the_listener_may_promise() {
    let offer = Offer { starttls: true, capabilities: capabilities(&["TOP", "EXPIRE 60"]), ..offer() };
    let transcript = serve_split::<Pop3>(&offer, Verdict::Refuse, b"CAPA\r\n");
    assert_eq!(
        transcript.out,
        "+OK capabilities follow\r\nTOP\r\nEXPIRE 60\r\nUSER\r\nSASL PLAIN LOGIN\r\nSTLS\r\nRESP-CODES\r\n\
         AUTH-RESP-CODE\r\n.\r\n"
    );
}

#[test]
fn what_is_promised_is_what_every_upstream_has() {
    let (one, other) = (capabilities(&["TOP", "UIDL"]), capabilities(&["UIDL", "UTF8"]));
    assert_eq!(Pop3::common(&[one.clone(), other.clone()]), capabilities(&["UIDL"]));
    assert_eq!(Pop3::common(&[]), capabilities(&[]));
    assert_eq!(Pop3::broken_promises(&one, &other), ["TOP"]);
    assert_eq!(Pop3::safe(), one);
}

#[test]
fn what_was_said_in_clear_is_forgotten() {
    let mut client = Pop3::client(Offer { login: true, starttls: true, ..offer() }, rooms::CEILINGS);
    let (mut input, mut out) = (BytesMut::from("USER ann\r\nSTLS\r\n"), BytesMut::new());
    client.advance(&mut input, &mut out).unwrap();
    assert_eq!(client.phase(), "await-tls");
    client.tls_started(offer());
    assert_eq!((client.introduced_as(), client.phase()), ("", "await-command"));
    out.clear();
    input.extend_from_slice(b"PASS secret\r\n");
    client.advance(&mut input, &mut out).unwrap();
    assert_eq!(&out[..], b"-ERR USER comes before PASS\r\n");
}

#[test]
fn commands_pipelined_behind_the_login_stay_where_they_are() {
    for login in ["USER ann\r\nPASS secret\r\n", "AUTH PLAIN AGEAYg==\r\n"] {
        let said = format!("{login}STAT\r\nuidl\nRE");
        let transcript = serve_split::<Pop3>(&offer(), Verdict::Accept, said.as_bytes());
        assert_eq!(transcript.end, Some(End::Accepted));
        assert!(transcript.out.ends_with("+OK logged in\r\n"));
        assert_eq!(transcript.left, b"STAT\r\nuidl\nRE");
    }
}

#[test]
fn ceilings_are_kept() {
    let stat = |len: usize| format!("STAT {}\r\n", "x".repeat(len - 7));
    let welcomes = USER.repeat(30);
    let cases = [
        ("USER a\r\n".repeat(31), welcomes.as_str(), Some(Violation::TooManyCommands(30))),
        (stat(200), "-ERR log in first\r\n", None),
        (stat(201), "", Some(Violation::LineTooLong(200))),
        ("x".repeat(500), "", Some(Violation::LineTooLong(200))),
        (format!("USER a\r\nPASS {}", "x".repeat(201)), USER, Some(Violation::LineTooLong(200))),
        (format!("AUTH PLAIN\r\n{}", "x".repeat(201)), "+ \r\n", Some(Violation::LineTooLong(200))),
        (
            "X\r\n".repeat(5),
            "-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n",
            Some(Violation::TooManyErrors(4)),
        ),
    ];
    for (said, out, violation) in cases {
        let transcript = serve_split::<Pop3>(&offer(), Verdict::Refuse, said.as_bytes());
        assert_eq!(
            (transcript.out.as_str(), transcript.end),
            (out, violation.map(End::Violated)),
            "{said:?}"
        );
    }
}

#[test]
fn strangers_are_recognised_by_their_first_bytes() {
    let cases: &[(&[u8], &str)] =
        &[(b"\x16\x03\x01\x02", "TLS"), (b"POST /mail HTTP/1.1\r\nHost: x\r\n", "HTTP")];
    for (said, name) in cases {
        let transcript = serve_split::<Pop3>(&offer(), Verdict::Refuse, said);
        assert_eq!(transcript.end, Some(End::Violated(Violation::WrongProtocol(name))));
        assert_eq!(transcript.out, "");
    }
}

#[test]
fn the_greeting_is_one_line_and_offers_no_apop() {
    let mut out = BytesMut::new();
    Pop3::client(offer(), rooms::CEILINGS).greet(&mut out);
    assert_eq!(&out[..], b"+OK Footbridge ready\r\n");
}

/// A response as long as Exchange Online's, which has no place behind AUTH.
fn response() -> String {
    BASE64_STANDARD.encode([b'u'; 1500])
}

fn login() -> UpstreamLogin {
    login_showing(&response())
}

/// Both of Exchange Online's front ends.
const GREETINGS: [&str; 2] = [
    "+OK The Microsoft Exchange POP3 service is ready. [RgBSADAAUAAyADgAMQA=]\r\n",
    "+OK Microsoft Exchange POP3 server ready (tcpproxy/15.20.9137.005). [RgBSADAAUAAyADgAMQA=]\r\n",
];

fn exchange_online(outcome: &str) -> rooms::UpstreamTranscript {
    let [one, other] =
        GREETINGS.map(|greeting| call_split::<Pop3>(&login(), format!("{greeting}{outcome}").as_bytes()));
    assert_eq!(one, other);
    one
}

/// How a dialogue ended that did not lead into the mailbox.
fn end(transcript: rooms::UpstreamTranscript) -> (Failure, String) {
    let rejected = transcript.1.expect("an end").expect_err("a refusal");
    (rejected.failure, rejected.said)
}

#[test]
fn exchange_online_lets_us_in() {
    let (out, end, left) = exchange_online("+ \r\n+OK User successfully authenticated.\r\n+OK x\r\n");
    assert_eq!(out, format!("AUTH XOAUTH2\r\n{}\r\n", response()));
    let welcome = Welcome { text: "User successfully authenticated.".to_owned(), capabilities: None };
    assert_eq!(end, Some(Ok(welcome)));
    assert_eq!(left, b"+OK x\r\n");
}

/// What an upstream is told by a login with this response.
fn said_after_greeting(response: &str, outcome: &str) -> rooms::UpstreamTranscript {
    call_split::<Pop3>(&login_showing(response), format!("+OK ready\r\n{outcome}").as_bytes())
}

/// Of 255 octets with its end, and of one more (RFC 2449 §4).
#[test]
fn a_response_goes_along_where_the_line_is_no_longer_than_a_line_may_be() {
    let words = "AUTH XOAUTH2 \r\n".len();
    let (fits, does_not) = ("u".repeat(255 - words), "u".repeat(256 - words));
    let (out, end, left) = said_after_greeting(&fits, "+OK in\r\n+OK x\r\n");
    assert_eq!((out.len(), out), (255, format!("AUTH XOAUTH2 {fits}\r\n")));
    assert_eq!(end.expect("an end").expect("a welcome").text, "in");
    assert_eq!(left, b"+OK x\r\n");
    let (out, end, _) = said_after_greeting(&does_not, "+ \r\n+OK in\r\n");
    assert_eq!(out, format!("AUTH XOAUTH2\r\n{does_not}\r\n"));
    assert_eq!(end.expect("an end").expect("a welcome").text, "in");
}

#[test]
fn an_error_challenge_to_a_response_that_went_along_is_acknowledged_and_kept() {
    let challenge = BASE64_STANDARD.encode(r#"{"status":"400"}"#);
    let transcript = said_after_greeting("dXNlcg==", &format!("+ {challenge}\r\n-ERR no\r\n"));
    assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\n\r\n");
    assert_eq!(end(transcript), (Failure::UpstreamRefused, r#"-ERR no {"status":"400"}"#.to_owned()));
    let transcript = said_after_greeting("dXNlcg==", &format!("+ {challenge}\r\n+ \r\n"));
    assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\n\r\n");
    assert_eq!(end(transcript).0, Failure::UpstreamViolation);
    for (reply, failure) in [
        ("-ERR [AUTH] no", Failure::UpstreamRefused),
        ("-ERR [SYS/TEMP] later", Failure::UpstreamUnavailable),
        ("-ERR cannot parse AUTH XOAUTH2 dXNlcg==", Failure::UpstreamRefused),
    ] {
        let (found, said) = end(said_after_greeting("dXNlcg==", &format!("{reply}\r\n")));
        assert_eq!((found, said), (failure, reply.replace("dXNlcg==", "[our token]")));
    }
}

#[test]
fn an_upstream_that_asks_for_a_response_that_went_along_gets_it_once_more_and_no_oftener() {
    for asks in ["+ \r\n", "+\r\n"] {
        let (out, end, _) = said_after_greeting("dXNlcg==", &format!("{asks}+OK in\r\n"));
        assert_eq!(out, "AUTH XOAUTH2 dXNlcg==\r\ndXNlcg==\r\n");
        assert!(matches!(end, Some(Ok(_))));
        let transcript = said_after_greeting("dXNlcg==", &asks.repeat(3));
        assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\ndXNlcg==\r\n\r\n");
        assert_eq!(self::end(transcript).0, Failure::UpstreamViolation);
    }
}

#[test]
fn stls_comes_first_and_no_greeting_follows_it() {
    let login = UpstreamLogin { starttls: true, ..login() };
    let pieces: [&[u8]; 3] = [b"+OK ready\r\n", b"+OK begin\r\n", b"+ \r\n+OK in\r\n"];
    let (out, end, _) = call::<Pop3>(&login, &pieces);
    assert_eq!(out, format!("STLS\r\n<TLS>AUTH XOAUTH2\r\n{}\r\n", response()));
    assert!(matches!(end, Some(Ok(_))));
}

#[test]
fn nothing_is_shown_on_a_line_that_stays_in_clear() {
    let login = UpstreamLogin { starttls: true, ..login() };
    let cases = [
        ("-ERR Command is not valid in this state.\r\n", Failure::UpstreamViolation),
        ("-ERR [SYS/TEMP] not now\r\n", Failure::UpstreamUnavailable),
        ("+ go on\r\n", Failure::UpstreamViolation),
    ];
    for (said, failure) in cases {
        let transcript = call_split::<Pop3>(&login, format!("+OK ready\r\n{said}").as_bytes());
        assert_eq!(transcript.0, "STLS\r\n");
        assert_eq!(end(transcript), (failure, said.trim_end().to_owned()));
    }
}

#[test]
fn an_error_challenge_is_acknowledged_and_kept() {
    let challenge = BASE64_STANDARD.encode(r#"{"status":"400"}"#);
    let transcript = exchange_online(&format!("+ \r\n+ {challenge}\r\n-ERR bad credentials\r\n"));
    assert!(transcript.0.ends_with(&format!("{}\r\n\r\n", response())));
    let said = r#"-ERR bad credentials {"status":"400"}"#;
    assert_eq!(end(transcript), (Failure::UpstreamRefused, said.to_owned()));
    let (failure, _) = end(exchange_online(&format!("+ \r\n+ {challenge}\r\n+ {challenge}\r\n")));
    assert_eq!(failure, Failure::UpstreamViolation);
}

#[test]
fn oauthbearer_acknowledges_an_error_challenge_in_its_own_way() {
    let login = UpstreamLogin { mechanism: Mechanism::OauthBearer, ..login() };
    let (out, ..) = call_split::<Pop3>(&login, b"+OK x\r\n+ \r\n+ e30=\r\n-ERR no\r\n");
    assert!(out.ends_with(&format!("AUTH OAUTHBEARER\r\n{}\r\nAQ==\r\n", response())), "{out}");
}

#[test]
fn refusals_are_told_from_troubles() {
    use Failure::{UpstreamRefused, UpstreamUnavailable, UpstreamViolation};
    let cases = [
        ("-ERR Authentication failure: unknown user name or bad password.", UpstreamRefused),
        ("-ERR [AUTH] Username and password not accepted.", UpstreamRefused),
        ("-ERR [SYS/PERM] Your account is not enabled for POP access.", UpstreamRefused),
        ("-ERR [SYS/TEMP] Temporary system problem. Please try again later.", UpstreamUnavailable),
        ("-ERR [sys/temp] x", UpstreamUnavailable),
        ("-ERR [IN-USE] do you have another POP session running?", UpstreamUnavailable),
        ("-ERR [LOGIN-DELAY] minimum time between mail checks", UpstreamUnavailable),
        ("-ERR Server Unavailable. 21", UpstreamUnavailable),
        ("-ERR Request is throttled. Suggested Backoff Time: 5000 milliseconds", UpstreamUnavailable),
    ];
    for (reply, failure) in cases {
        assert_eq!(end(exchange_online(&format!("+ \r\n{reply}\r\n"))), (failure, reply.to_owned()));
        let said = if failure == UpstreamRefused {
            format!("AUTH XOAUTH2 refused: {reply}")
        } else {
            reply.to_owned()
        };
        assert_eq!(end(exchange_online(&format!("{reply}\r\n"))), (failure, said));
    }
    for reply in ["+OK what", "* OK ready", "535 5.7.3 no"] {
        assert_eq!(end(exchange_online(&format!("{reply}\r\n"))), (UpstreamViolation, reply.to_owned()));
    }
}

#[test]
fn an_upstream_that_cannot_be_logged_in_to_is_told_apart() {
    use Failure::{UpstreamUnavailable, UpstreamViolation};
    let cases = [
        ("-ERR too many connections\r\n", UpstreamUnavailable),
        ("-ERR [SYS/TEMP] later\r\n", UpstreamUnavailable),
        ("* OK ready\r\n", UpstreamViolation),
        ("220 mail.example.com ESMTP\r\n", UpstreamViolation),
        ("+ \r\n", UpstreamViolation),
    ];
    for (said, failure) in cases {
        let (found, words) = end(call_split::<Pop3>(&login(), said.as_bytes()));
        assert_eq!((found, words.as_str()), (failure, said.trim_end()));
    }
    let (failure, _) = end(call::<Pop3>(&login(), &[&b"x".repeat(70_000)]));
    assert_eq!(failure, UpstreamViolation);
}

#[test]
fn an_upstream_that_repeats_the_token_does_not_bring_it_into_the_log() {
    for echo in [&response()[..40], "opaque-token", "opaque-t"] {
        let (_, said) = end(exchange_online(&format!("+ \r\n-ERR cannot parse {echo}\r\n")));
        assert_eq!(said, "-ERR cannot parse [our token]");
        let challenge = BASE64_STANDARD.encode(format!("no {echo}"));
        let (_, said) = end(exchange_online(&format!("+ \r\n+ {challenge}\r\n-ERR no\r\n")));
        assert_eq!(said, "-ERR no no [our token]");
        let (_, said) = end(exchange_online(&format!("+ \r\n{echo}\r\n")));
        assert_eq!(said, "[our token]");
        let (_, end, _) = exchange_online(&format!("+ \r\n+OK welcome {echo}\r\n"));
        assert_eq!(end.expect("an end").expect("a welcome").text, "welcome [our token]");
    }
}

/// Bytes that a client might send, with the turns of the grammar more often than chance would have it.
fn chatter() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 17] = [
        b"USER ",
        b"ann\r\n",
        b"PASS ",
        b"AUTH ",
        b"PLAIN ",
        b"LOGIN ",
        b"AGEAYg==",
        b"YW5u\r\n",
        b"*\r\n",
        b"\r\n",
        b"\n",
        b"CAPA\r\n",
        b"STAT\r\n",
        b"STLS\r\n",
        b"QUIT",
        b"=",
        b" ",
    ];
    let word = prop_oneof![
        3 => proptest::sample::select(words.map(<[u8]>::to_vec).to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

/// Bytes that an upstream might send.
fn replies() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 8] = [
        b"+OK x\r\n",
        b"+OK",
        b"+ \r\n",
        b"+ e30=\r\n",
        b"-ERR [SYS/TEMP] x\r\n",
        b"-ERR no\r\n",
        b"\r\n",
        b"x\r\n",
    ];
    let word = prop_oneof![
        5 => proptest::sample::select(words.map(<[u8]>::to_vec).to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..20).prop_map(|words| words.concat())
}

fn pieces(said: &[u8], size: usize) -> Vec<&[u8]> {
    said.chunks(size).collect()
}

proptest! {
    #[test]
    fn any_login_is_read_back(username in "[^\0]{1,20}", password in "[^\0]{0,20}", login in any::<bool>()) {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let said = if login {
            format!("AUTH LOGIN\r\n{}\r\n{}\r\n", encode(&username), encode(&password))
        } else {
            format!("AUTH PLAIN {}\r\n", encode(&format!("\0{username}\0{password}")))
        };
        let transcript = serve::<Pop3>(&offer(), Verdict::Refuse, &[said.as_bytes()]);
        prop_assert_eq!(transcript.shown, vec![Credentials::new(username.as_bytes(), password)]);
    }

    #[test]
    fn any_password_of_one_line_is_read_back(password in "[^\r\n]{0,40}") {
        let said = format!("USER ann\r\nPASS {password}\r\n");
        let transcript = serve::<Pop3>(&offer(), Verdict::Refuse, &[said.as_bytes()]);
        prop_assert_eq!(transcript.shown, vec![Credentials::new(b"ann", password)]);
    }

    #[test]
    fn whatever_a_client_says_it_is_answered_the_same_however_it_is_split(said in chatter(), size in 1..40_usize) {
        let whole = serve::<Pop3>(&Offer { starttls: true, ..offer() }, Verdict::Refuse, &[&said]);
        prop_assert!(whole.out.len() <= 100 + 100 * said.len());
        let split = serve::<Pop3>(&Offer { starttls: true, ..offer() }, Verdict::Refuse, &pieces(&said, size));
        // Behind a STLS the split changes how much has come, and nothing else.
        prop_assert_eq!((split.out, split.shown, split.end), (whole.out, whole.shown, whole.end));
    }

    #[test]
    fn whatever_an_upstream_says_it_is_understood_the_same_however_it_is_split(
        said in replies(), size in 1..40_usize, is_short in any::<bool>(),
    ) {
        let login = if is_short { rooms::login() } else { login() };
        let whole = call::<Pop3>(&login, &[&said]);
        prop_assert!(whole.0.len() <= 200 + response().len());
        prop_assert_eq!(call::<Pop3>(&login, &pieces(&said, size)), whole);
    }
}
