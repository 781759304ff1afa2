//! The SMTP room by its public door: what it answers to whom, however the bytes are split.

mod rooms;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use footbridge::{
    dialogue::{ClientDialogue as _, Offer, Protocol as _, UpstreamLogin, Violation, Welcome},
    failure::Failure,
    sasl::Credentials,
    smtp::Smtp,
};
use proptest::prelude::*;
use rooms::{
    End, Verdict, call, call_split, capabilities, login_showing, offer, offer_starttls, serve, serve_split,
};

const REFUSED: &str = "535 5.7.8 Username or password is wrong\r\n";

fn ann() -> Vec<Credentials> {
    vec![Credentials::new(b"ann@example.com", b"secret")]
}

#[test]
fn a_login_is_understood_however_it_is_written() {
    let cases: &[(&str, &str)] = &[
        // (said, written before the verdict)
        ("AUTH PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", ""),
        ("auth plain AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ\n", ""),
        ("AUTH  PLAIN  AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ= \r\n", ""),
        ("AUTH PLAIN\r\nAGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", "334 \r\n"),
        ("Auth Login\r\nYW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n", "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"),
        ("AUTH LOGIN YW5uQGV4YW1wbGUuY29t\r\nc2VjcmV0\r\n", "334 UGFzc3dvcmQ6\r\n"),
        ("HELO pc\r\nAUTH PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n", "250 footbridge\r\n"),
        (
            "EHLO pc\r\nAUTH PLAIN\r\nAGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n",
            "250-footbridge\r\n250-AUTH=PLAIN LOGIN\r\n250 AUTH PLAIN LOGIN\r\n334 \r\n",
        ),
    ];
    for (said, before) in cases {
        let transcript = serve_split::<Smtp>(&offer(), Verdict::Refuse, said.as_bytes());
        assert_eq!(transcript.shown, ann(), "{said:?}");
        assert_eq!(transcript.out, format!("{before}{REFUSED}"), "{said:?}");
        assert!(transcript.left.is_empty());
    }
}

#[test]
fn commands_before_login_are_answered() {
    let secure = offer();
    let public = offer_starttls();
    let cases: &[(_, &str, &str, Option<End>)] = &[
        (&public, "EHLO pc\r\n", "250-footbridge\r\n250 STARTTLS\r\n", None),
        (&Offer::default(), "ehlo pc\r\n", "250 footbridge\r\n", None),
        (&secure, "NOOP\r\nRSET\nnoop x\r\n", "250 2.0.0 OK\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n", None),
        (&secure, "HELP\r\n", "214 2.0.0 Log in with AUTH PLAIN or AUTH LOGIN\r\n", None),
        (&secure, "VRFY ann\r\n", "252 2.0.0 Cannot verify\r\n", None),
        (&secure, "QUIT\r\nNOOP\r\n", "221 2.0.0 Bye\r\n", Some(End::Left)),
        (&public, "STARTTLS\r\nEHLO pc\r\n", "220 2.0.0 Ready to start TLS\r\n", Some(End::StartTls)),
        (&public, "STARTTLS now\r\n", "501 5.5.4 STARTTLS takes no parameters\r\n", None),
        (&secure, "STARTTLS\r\n", "503 5.5.1 STARTTLS is not offered\r\n", None),
        (
            &secure,
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
            "530 5.7.0 Authentication required\r\n530 5.7.0 Authentication required\r\n530 5.7.0 Authentication required\r\n",
            None,
        ),
        (&public, "MAIL FROM:<a@b>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n", None),
        (&public, "AUTH PLAIN AGEAYg==\r\n", "538 5.7.11 No login without TLS\r\n", None),
        (
            &secure,
            "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
            "530 5.7.0 Authentication required\r\n250 2.0.0 OK\r\n",
            None,
        ),
        (&secure, "BDAT 0 LAST\r\nNOOP\r\n", "530 5.7.0 Authentication required\r\n250 2.0.0 OK\r\n", None),
        (&secure, "BDAT x\r\n", "501 5.5.4 BDAT takes a size\r\n", None),
        (&secure, "XYZZY\r\n", "500 5.5.1 Unknown command\r\n", None),
        (&secure, "\r\n", "500 5.5.1 Unknown command\r\n", None),
        (&secure, "AUTH\r\n", "501 5.5.4 AUTH takes a mechanism\r\n", None),
        (&secure, "AUTH PLAIN a b\r\n", "501 5.5.4 AUTH takes a mechanism\r\n", None),
        (&secure, "AUTH XOAUTH2 dXNlcg==\r\n", "504 5.5.4 This mechanism is not offered\r\n", None),
        (&secure, "AUTH PLAIN\r\n*\r\n", "334 \r\n501 5.7.0 Authentication cancelled\r\n", None),
        (
            &secure,
            "AUTH LOGIN YW5u\r\n*\r\n",
            "334 UGFzc3dvcmQ6\r\n501 5.7.0 Authentication cancelled\r\n",
            None,
        ),
        (
            &secure,
            "AUTH PLAIN ???\r\nNOOP\r\n",
            "501 5.5.2 Cannot decode the response\r\n250 2.0.0 OK\r\n",
            None,
        ),
        (&secure, "AUTH PLAIN\r\n\r\n", "334 \r\n501 5.5.2 Cannot decode the response\r\n", None),
    ];
    for (offer, said, out, end) in cases {
        let transcript = serve_split::<Smtp>(offer, Verdict::Refuse, said.as_bytes());
        assert_eq!((transcript.out.as_str(), transcript.end), (*out, *end), "{said:?}");
        assert!(transcript.shown.is_empty());
    }
}

#[test]
fn mail_of_a_known_address_waits_for_its_verdict_and_is_answered_with_it() {
    let device = Offer { by_address: true, ..offer() };
    let refused = "550 5.7.1 This sender is not allowed\r\n";
    let cases: &[(&str, &[&str], &str)] = &[
        ("MAIL FROM:<a@b>\r\nNOOP\r\n", &["a@b"], &format!("{refused}250 2.0.0 OK\r\n")),
        ("mail from: a@b\nMAIL FROM:<>\r\n", &["a@b", ""], &refused.repeat(2)),
        ("RCPT TO:<c@d>\r\nDATA\r\n", &[], &"503 5.5.1 MAIL first\r\n".repeat(2)),
        ("MAIL FROM:<\"a\"@b>\r\nMAIL\r\n", &[], &"501 5.5.4 Write MAIL FROM:<address>\r\n".repeat(2)),
        ("ETRN x\r\n", &[], "530 5.7.0 Authentication required\r\n"),
    ];
    for (said, senders, out) in cases {
        let transcript = serve_split::<Smtp>(&device, Verdict::Refuse, said.as_bytes());
        assert_eq!(
            (transcript.senders, transcript.out.as_str()),
            (senders.iter().map(ToString::to_string).collect(), *out),
            "{said:?}"
        );
        assert!(transcript.left.is_empty() && transcript.end.is_none());
    }
    let said = "HELO pc\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    let transcript = serve_split::<Smtp>(&device, Verdict::Accept, said.as_bytes());
    assert_eq!((transcript.out.as_str(), transcript.end), ("250 footbridge\r\n", Some(End::Accepted)));
    assert_eq!(transcript.left, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
    let mut many = "MAIL FROM:<a@b>\r\n".repeat(40);
    let transcript = serve_split::<Smtp>(&device, Verdict::Refuse, many.as_bytes());
    assert_eq!(transcript.end, Some(End::Violated(Violation::TooManyCommands(30))));
    many = format!("MAIL FROM:<{}>\r\n", "x".repeat(200));
    let transcript = serve_split::<Smtp>(&device, Verdict::Refuse, many.as_bytes());
    assert_eq!(transcript.end, Some(End::Violated(Violation::LineTooLong(200))));
}

#[test]
fn ehlo_promises_what_the_listener_may_promise() {
    let capabilities = capabilities(&["SIZE 1000", "8BITMIME"]);
    let offer = Offer { starttls: true, capabilities, ..offer() };
    let transcript = serve_split::<Smtp>(&offer, Verdict::Refuse, b"EHLO pc\r\n");
    assert_eq!(
        transcript.out,
        "250-footbridge\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-STARTTLS\r\n250-AUTH=PLAIN LOGIN\r\n250 AUTH PLAIN LOGIN\r\n"
    );
}

#[test]
fn the_client_is_known_by_the_name_it_gave_last() {
    let cases = [
        ("", ""),
        ("EHLO pc.example.com\r\n", "pc.example.com"),
        ("HELO [192.0.2.1]\r\n", "[192.0.2.1]"),
        ("EHLO one\r\nEHLO two\r\n", "two"),
        ("EHLO one\r\nEHLO not<sane>\r\n", ""),
        ("EHLO two words\r\n", ""),
        ("EHLO\r\n", ""),
        ("EHLO m\u{fc}ller\r\n", ""),
    ];
    for (said, name) in cases {
        assert_eq!(serve_split::<Smtp>(&offer(), Verdict::Refuse, said.as_bytes()).introduced_as, name);
    }
}

#[test]
fn what_was_said_in_clear_is_forgotten() {
    let mut client = Smtp::client(offer_starttls(), rooms::CEILINGS);
    let (mut input, mut out) = (bytes::BytesMut::from("EHLO pc\r\nSTARTTLS\r\n"), bytes::BytesMut::new());
    client.advance(&mut input, &mut out).unwrap();
    assert_eq!((client.introduced_as(), client.phase()), ("pc", "await-tls"));
    client.tls_started(offer());
    assert_eq!((client.introduced_as(), client.phase()), ("", "await-command"));
    out.clear();
    input.extend_from_slice(b"EHLO pc\r\n");
    client.advance(&mut input, &mut out).unwrap();
    assert_eq!(&out[..], b"250-footbridge\r\n250-AUTH=PLAIN LOGIN\r\n250 AUTH PLAIN LOGIN\r\n");
}

#[test]
fn commands_pipelined_behind_the_login_stay_where_they_are() {
    let said = b"AUTH PLAIN AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    let transcript = serve_split::<Smtp>(&offer(), Verdict::Accept, said);
    assert_eq!(transcript.end, Some(End::Accepted));
    assert_eq!(transcript.out, "235 2.7.0 Authentication successful\r\n");
    assert_eq!(transcript.left, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
}

#[test]
fn ceilings_are_kept() {
    let noop = |len: usize| format!("NOOP {}\r\n", "x".repeat(len - 7));
    let cases = [
        (noop(200), "250 2.0.0 OK\r\n", None),
        (noop(201), "", Some(Violation::LineTooLong(200))),
        ("x".repeat(500), "", Some(Violation::LineTooLong(200))),
        (format!("AUTH PLAIN\r\n{}", "x".repeat(201)), "334 \r\n", Some(Violation::LineTooLong(200))),
        ("BDAT 41 LAST\r\n".to_owned(), "", Some(Violation::LiteralTooLong(40))),
        (format!("BDAT {}\r\n", "9".repeat(30)), "", Some(Violation::LiteralTooLong(40))),
        ("X\r\n".repeat(5), "500 5.5.1 Unknown command\r\n", Some(Violation::TooManyErrors(4))),
        ("RSET\r\n".repeat(31), "250 2.0.0 OK\r\n", Some(Violation::TooManyCommands(30))),
    ];
    for (said, out, violation) in cases {
        let transcript = serve_split::<Smtp>(&offer(), Verdict::Refuse, said.as_bytes());
        let out = match said.get(..1) {
            Some("X") => out.repeat(4),
            Some("R") => out.repeat(30),
            _ => out.to_owned(),
        };
        assert_eq!((transcript.out, transcript.end), (out, violation.map(End::Violated)), "{said:?}");
    }
}

#[test]
fn strangers_are_recognised_by_their_first_bytes() {
    let cases: &[(&[u8], &str)] =
        &[(b"\x16\x03\x01\x02", "TLS"), (b"POST /mail HTTP/1.1\r\nHost: x\r\n", "HTTP")];
    for (said, name) in cases {
        let transcript = serve_split::<Smtp>(&offer(), Verdict::Refuse, said);
        assert_eq!(transcript.end, Some(End::Violated(Violation::WrongProtocol(name))));
        assert_eq!(transcript.out, "");
    }
}

#[test]
fn the_greeting_is_one_line() {
    let mut out = bytes::BytesMut::new();
    Smtp::client(offer(), rooms::CEILINGS).greet(&mut out);
    assert_eq!(&out[..], b"220 footbridge ESMTP ready\r\n");
}

/// A response as long as Exchange Online's, which has no place behind AUTH.
fn response() -> String {
    BASE64_STANDARD.encode([b'u'; 1500])
}

fn login() -> UpstreamLogin {
    login_showing(&response())
}

/// Exchange Online's front end, after TLS.
const GREETING: &str = "220 AM0PR02CA0134.outlook.office365.com Microsoft ESMTP MAIL Service ready\r\n";
const EHLO: &str = "250-AM0PR02CA0134.outlook.office365.com Hello [203.0.113.5]\r\n250-SIZE 157286400\r\n\
                    250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH LOGIN XOAUTH2\r\n\
                    250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n";

fn exchange_online(outcome: &str) -> rooms::UpstreamTranscript {
    call_split::<Smtp>(&login(), format!("{GREETING}{EHLO}{outcome}").as_bytes())
}

/// How a dialogue ended that did not lead into the mailbox.
fn end(transcript: rooms::UpstreamTranscript) -> (Failure, String) {
    let rejected = transcript.1.expect("an end").expect_err("a refusal");
    (rejected.failure, rejected.said)
}

#[test]
fn exchange_online_lets_us_in() {
    let (out, end, left) = exchange_online("334 \r\n235 2.7.0 Authentication successful\r\n220 x\r\n");
    assert_eq!(out, format!("EHLO pc.example.com\r\nAUTH XOAUTH2\r\n{}\r\n", response()));
    let kept = [
        "SIZE 157286400",
        "PIPELINING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
    ];
    let welcome = Welcome {
        text: "2.7.0 Authentication successful".to_owned(),
        capabilities: Some(capabilities(&kept)),
    };
    assert_eq!(end, Some(Ok(welcome)));
    assert_eq!(left, b"220 x\r\n");
}

/// What an upstream is told from AUTH on by a login with this response.
fn said_after_ehlo(response: &str, outcome: &str) -> rooms::UpstreamTranscript {
    let said = format!("{GREETING}{EHLO}{outcome}");
    let (out, end, left) = call_split::<Smtp>(&login_showing(response), said.as_bytes());
    let (_, out) = out.split_once("EHLO pc.example.com\r\n").expect("EHLO comes first");
    (out.to_owned(), end, left)
}

/// Of 512 octets with its end, and of one more (RFC 5321 §4.5.3.1.4).
#[test]
fn a_response_goes_along_where_the_line_is_no_longer_than_a_line_may_be() {
    let words = "AUTH XOAUTH2 \r\n".len();
    let (fits, does_not) = ("u".repeat(512 - words), "u".repeat(513 - words));
    let (out, end, left) = said_after_ehlo(&fits, "235 2.7.0 ok\r\n220 x\r\n");
    assert_eq!((out.len(), out), (512, format!("AUTH XOAUTH2 {fits}\r\n")));
    assert_eq!(end.expect("an end").expect("a welcome").text, "2.7.0 ok");
    assert_eq!(left, b"220 x\r\n");
    let (out, end, _) = said_after_ehlo(&does_not, "334 \r\n235 2.7.0 ok\r\n");
    assert_eq!(out, format!("AUTH XOAUTH2\r\n{does_not}\r\n"));
    assert_eq!(end.expect("an end").expect("a welcome").text, "2.7.0 ok");
}

#[test]
fn an_error_challenge_to_a_response_that_went_along_is_acknowledged_and_kept() {
    let challenge = BASE64_STANDARD.encode(r#"{"status":"400"}"#);
    let transcript = said_after_ehlo("dXNlcg==", &format!("334 {challenge}\r\n535 5.7.8 no\r\n"));
    assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\n\r\n");
    assert_eq!(end(transcript), (Failure::UpstreamRefused, r#"535 5.7.8 no {"status":"400"}"#.to_owned()));
    let transcript = said_after_ehlo("dXNlcg==", &format!("334 {challenge}\r\n334 \r\n"));
    assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\n\r\n");
    assert_eq!(end(transcript).0, Failure::UpstreamViolation);
    for (reply, failure) in [
        ("535 5.7.8 no", Failure::UpstreamRefused),
        ("504 5.5.4 what", Failure::UpstreamRefused),
        ("454 4.7.0 later", Failure::UpstreamUnavailable),
        ("500 5.5.2 cannot parse AUTH XOAUTH2 dXNlcg==", Failure::UpstreamRefused),
    ] {
        let (found, said) = end(said_after_ehlo("dXNlcg==", &format!("{reply}\r\n")));
        assert_eq!((found, said), (failure, reply.replace("dXNlcg==", "[our token]")));
    }
}

#[test]
fn an_upstream_that_asks_for_a_response_that_went_along_gets_it_once_more_and_no_oftener() {
    for asks in ["334 \r\n", "334\r\n"] {
        let (out, end, _) = said_after_ehlo("dXNlcg==", &format!("{asks}235 2.7.0 ok\r\n"));
        assert_eq!(out, "AUTH XOAUTH2 dXNlcg==\r\ndXNlcg==\r\n");
        assert!(matches!(end, Some(Ok(_))));
        let transcript = said_after_ehlo("dXNlcg==", &asks.repeat(3));
        assert_eq!(transcript.0, "AUTH XOAUTH2 dXNlcg==\r\ndXNlcg==\r\n\r\n");
        assert_eq!(self::end(transcript).0, Failure::UpstreamViolation);
    }
}

#[test]
fn what_is_the_business_of_the_hop_is_not_promised_to_clients() {
    let said = "220 x\r\n250-x greets\r\n250-size 1000\r\n250-AUTH=LOGIN XOAUTH2\r\n250-auth XOAUTH2\r\n250-STARTTLS\r\n\
                250-XCLIENT NAME\r\n250-x-exps NTLM\r\n250-HELP\r\n250-ETRN\r\n250-REQUIRETLS\r\n250 dsn\r\n334\r\n235\r\n";
    let (_, end, _) = call_split::<Smtp>(&login(), said.as_bytes());
    let welcome = end.expect("an end").expect("a welcome");
    assert_eq!(welcome.capabilities, Some(capabilities(&["size 1000", "dsn"])));
}

#[test]
fn starttls_comes_first_and_ehlo_is_said_again() {
    let login = UpstreamLogin { starttls: true, introduced_as: String::new(), ..login() };
    let pieces: [&[u8]; 5] = [
        b"220-one\r\n220 two\r\n",
        b"250-x\r\n250 StartTls\r\n",
        b"220 2.0.0 SMTP server ready\r\n",
        b"250-x\r\n250 AUTH XOAUTH2\r\n",
        b"334 \r\n235 ok\r\n",
    ];
    let (out, end, _) = call::<Smtp>(&login, &pieces);
    assert_eq!(
        out,
        format!("EHLO localhost\r\nSTARTTLS\r\n<TLS>EHLO localhost\r\nAUTH XOAUTH2\r\n{}\r\n", response())
    );
    assert!(matches!(end, Some(Ok(_))));
}

#[test]
fn a_name_that_the_upstream_does_not_bear_is_said_once() {
    let named = |name: &str| UpstreamLogin { introduced_as: name.to_owned(), starttls: true, ..login() };
    let pieces: [&[u8]; 6] = [
        b"220 x\r\n",
        b"501 5.5.4 Invalid domain name\r\n",
        b"250-x\r\n250 STARTTLS\r\n",
        b"220 go\r\n",
        b"250-x\r\n250 AUTH XOAUTH2\r\n",
        b"334 \r\n235 ok\r\n",
    ];
    let (out, end, _) = call::<Smtp>(&named("MY_PC"), &pieces);
    let hellos = "EHLO MY_PC\r\nEHLO localhost\r\nSTARTTLS\r\n<TLS>EHLO localhost\r\n";
    assert_eq!(out, format!("{hellos}AUTH XOAUTH2\r\n{}\r\n", response()));
    assert!(matches!(end, Some(Ok(_))));
    let spellings = [
        ("MY_PC", "EHLO MY_PC\r\nEHLO localhost\r\n"),
        ("localhost", "EHLO localhost\r\n"),
        ("", "EHLO localhost\r\n"),
    ];
    for (name, out) in spellings {
        let refused = b"220 x\r\n550 no\r\n550 no\r\n";
        let transcript = call_split::<Smtp>(&UpstreamLogin { starttls: false, ..named(name) }, refused);
        assert_eq!(transcript.0, out);
        assert_eq!(self::end(transcript), (Failure::UpstreamViolation, "550 no".to_owned()));
    }
    // Nothing is gained by the other name where the first was not refused for good.
    let (out, ..) = call_split::<Smtp>(&named("MY_PC"), b"220 x\r\n450 later\r\n");
    assert_eq!(out, "EHLO MY_PC\r\n");
}

#[test]
fn nothing_is_shown_on_a_line_that_stays_in_clear() {
    let login = UpstreamLogin { starttls: true, ..login() };
    let cases = [
        (
            "250-x\r\n250 AUTH XOAUTH2\r\n",
            Failure::UpstreamViolation,
            "no STARTTLS offered (250 x AUTH XOAUTH2)",
        ),
        ("250-x\r\n250 STARTTLS\r\n454 4.7.0 not now\r\n", Failure::UpstreamUnavailable, "454 4.7.0 not now"),
        ("250-x\r\n250 STARTTLS\r\n502 5.5.1 what\r\n", Failure::UpstreamViolation, "502 5.5.1 what"),
    ];
    for (said, failure, words) in cases {
        let transcript = call_split::<Smtp>(&login, format!("220 x\r\n{said}").as_bytes());
        assert!(!transcript.0.contains("AUTH"));
        assert_eq!(end(transcript), (failure, words.to_owned()));
    }
}

#[test]
fn an_error_challenge_is_acknowledged_and_kept() {
    let challenge = BASE64_STANDARD.encode(r#"{"status":"400"}"#);
    let transcript =
        exchange_online(&format!("334 \r\n334 {challenge}\r\n535 5.7.3 Authentication unsuccessful\r\n"));
    assert!(transcript.0.ends_with(&format!("{}\r\n\r\n", response())));
    let said = r#"535 5.7.3 Authentication unsuccessful {"status":"400"}"#;
    assert_eq!(end(transcript), (Failure::UpstreamRefused, said.to_owned()));
    let (failure, _) = end(exchange_online(&format!("334 \r\n334 {challenge}\r\n421 4.7.0 bye\r\n")));
    assert_eq!(failure, Failure::UpstreamRefused);
    let (failure, _) = end(exchange_online(&format!("334 \r\n334 {challenge}\r\n334 {challenge}\r\n")));
    assert_eq!(failure, Failure::UpstreamViolation);
}

#[test]
fn oauthbearer_acknowledges_an_error_challenge_in_its_own_way() {
    let login = UpstreamLogin { mechanism: footbridge::sasl::Mechanism::OauthBearer, ..login() };
    let said = "220 x\r\n250-x\r\n250 AUTH OAUTHBEARER\r\n334 \r\n334 e30=\r\n535 5.7.8 no\r\n";
    let (out, ..) = call_split::<Smtp>(&login, said.as_bytes());
    assert!(out.ends_with(&format!("AUTH OAUTHBEARER\r\n{}\r\nAQ==\r\n", response())), "{out}");
}

#[test]
fn refusals_are_told_from_troubles() {
    use Failure::{UpstreamRefused, UpstreamUnavailable, UpstreamViolation};
    let disabled =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let cases = [
        ("535 5.7.3 Authentication unsuccessful [AM0 2024-07-11T12:00:00Z 08DC]", UpstreamRefused),
        (disabled, UpstreamRefused),
        ("534 5.7.9 Application-specific password required", UpstreamRefused),
        ("454 4.7.0 Temporary authentication failure", UpstreamUnavailable),
        ("421 4.7.0 Try again later", UpstreamUnavailable),
        ("451 4.7.0 Temporary server error. Please try again later. PRX4", UpstreamUnavailable),
        ("250 2.0.0 ok", UpstreamViolation),
        ("+OK ready", UpstreamViolation),
    ];
    for (reply, failure) in cases {
        assert_eq!(end(exchange_online(&format!("334 \r\n{reply}\r\n"))), (failure, reply.to_owned()));
        assert_eq!(end(exchange_online(&format!("{reply}\r\n"))), (failure, reply.to_owned()));
    }
}

#[test]
fn an_upstream_that_cannot_be_logged_in_to_is_told_apart() {
    use Failure::{UpstreamRefused, UpstreamUnavailable, UpstreamViolation};
    let cases = [
        ("421 4.3.2 busy\r\n", UpstreamUnavailable, "421 4.3.2 busy"),
        ("554 no service\r\n", UpstreamUnavailable, "554 no service"),
        ("* OK ready\r\n", UpstreamViolation, "* OK ready"),
        ("250 hello\r\n", UpstreamViolation, "250 hello"),
        ("220 x\r\n502 5.5.1 what\r\n502 5.5.1 what\r\n", UpstreamViolation, "502 5.5.1 what"),
        ("220 x\r\n451 4.3.0 later\r\n", UpstreamUnavailable, "451 4.3.0 later"),
        ("220 x\r\n250 x\r\n", UpstreamRefused, "EHLO offers no AUTH XOAUTH2 (no AUTH at all)"),
        (
            "220 x\r\n250-x\r\n250 AUTH LOGIN NTLM\r\n",
            UpstreamRefused,
            "EHLO offers no AUTH XOAUTH2 (AUTH LOGIN NTLM)",
        ),
    ];
    for (said, failure, words) in cases {
        assert_eq!(end(call_split::<Smtp>(&login(), said.as_bytes())), (failure, words.to_owned()));
    }
    let endless = b"220-x\r\n".repeat(10_000);
    let (failure, _) = end(call::<Smtp>(&login(), &[&endless]));
    assert_eq!(failure, UpstreamViolation);
}

#[test]
fn an_upstream_that_repeats_the_token_does_not_bring_it_into_the_log() {
    for echo in [&response()[..40], "opaque-token", "opaque-t"] {
        let (_, said) = end(exchange_online(&format!("334 \r\n500 5.5.2 cannot parse {echo}\r\n")));
        assert_eq!(said, "500 5.5.2 cannot parse [our token]");
        let challenge = BASE64_STANDARD.encode(format!("no {echo}"));
        let (_, said) = end(exchange_online(&format!("334 \r\n334 {challenge}\r\n535 5.7.8 no\r\n")));
        assert_eq!(said, "535 5.7.8 no no [our token]");
        let (_, said) = end(exchange_online(&format!("334 \r\n{echo}\r\n")));
        assert_eq!(said, "[our token]");
    }
}

/// Bytes that a client might send, with the turns of the grammar more often than chance would have it.
fn chatter() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 16] = [
        b"EHLO ",
        b"pc\r\n",
        b"AUTH ",
        b"PLAIN ",
        b"LOGIN ",
        b"AGEAYg==",
        b"YW5u\r\n",
        b"*\r\n",
        b"\r\n",
        b"\n",
        b"BDAT 7\r\n",
        b"MAIL FROM:<>\r\n",
        b"NOOP\r\n",
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
    let words: [&[u8]; 9] = [
        b"220 x\r\n",
        b"250-",
        b"250 AUTH XOAUTH2\r\n",
        b"334 \r\n",
        b"235 ok\r\n",
        b"535 no\r\n",
        b"421 bye\r\n",
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
        let transcript = serve::<Smtp>(&offer(), Verdict::Refuse, &[said.as_bytes()]);
        prop_assert_eq!(transcript.shown, vec![Credentials::new(username.as_bytes(), password)]);
    }

    #[test]
    fn whatever_a_client_says_it_is_answered_the_same_however_it_is_split(said in chatter(), size in 1..40_usize) {
        let whole = serve::<Smtp>(&offer(), Verdict::Refuse, &[&said]);
        prop_assert!(whole.out.len() <= 100 + 100 * said.len());
        prop_assert_eq!(serve::<Smtp>(&offer(), Verdict::Refuse, &pieces(&said, size)), whole);
    }

    #[test]
    fn whatever_an_upstream_says_it_is_understood_the_same_however_it_is_split(
        said in replies(), size in 1..40_usize, is_short in any::<bool>(),
    ) {
        let login = if is_short { rooms::login() } else { login() };
        let whole = call::<Smtp>(&login, &[&said]);
        prop_assert!(whole.0.len() <= 200 + response().len());
        prop_assert_eq!(call::<Smtp>(&login, &pieces(&said, size)), whole);
    }
}
