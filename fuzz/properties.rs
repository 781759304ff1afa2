//! What must hold whatever a stranger sends. The fuzz targets look for bytes for which it does not;
//! `tests/corpus.rs` holds it for the bytes that are kept in `corpus/`.
//!
//! The first byte of an input chooses the circumstances, the rest is what the stranger sends.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use footbridge::{
    dialogue::{
        Afterwards, Capabilities, Ceilings, ClientDialogue as _, ClientStep, Dismissal, Offer, Protocol,
        UpstreamDialogue as _, UpstreamLogin, UpstreamStep, Welcome,
    },
    explain::{authority, authority::Flow, claims::Claims, consent, upstream},
    failure::{Explanation, Failure, LONGEST_LINE, Refusal},
    ids::AppName,
    imap::Imap,
    net::tls::Trust,
    oauth::{self, App, Authority, Consent, Credential, Pkce, Redirect},
    pop3::Pop3,
    sasl::{self, ClientMechanism, Exchange, Mechanism, Turn},
    secret::{Secret, Source},
    smtp::Smtp,
};

/// What holds for any input; panics where it does not.
type Property = fn(&[u8]);

/// Every target by its name.
pub(crate) const TARGETS: [(&str, Property); 6] = [
    ("imap_wire", imap_wire),
    ("smtp_wire", smtp_wire),
    ("pop3_wire", pop3_wire),
    ("sasl", sasl),
    ("token_reply", token_reply),
    ("explain", explain),
];

/// The dialogues of the IMAP room.
pub(crate) fn imap_wire(input: &[u8]) {
    wire::<Imap>(input);
}

/// The dialogues of the SMTP room.
pub(crate) fn smtp_wire(input: &[u8]) {
    wire::<Smtp>(input);
}

/// The dialogues of the POP3 room.
pub(crate) fn pop3_wire(input: &[u8]) {
    wire::<Pop3>(input);
}

fn wire<P: Protocol>(input: &[u8]) {
    let Some((&choice, said)) = input.split_first() else { return };
    match choice {
        0..0x80 => client_wire::<P>(choice, said),
        // A hundred times the work of another one: few of them will do.
        0xf8.. => endless_upstream::<P>(choice, said),
        _ => upstream_wire::<P>(choice, said),
    }
}

/// The ways in which the same bytes may come: at once, one by one, and cut at a place that the input chooses.
fn pieces(choice: u8, said: &[u8]) -> [Vec<&[u8]>; 3] {
    let at = if said.is_empty() { 0 } else { usize::from(said[said.len() / 2] ^ choice) % said.len() };
    let (one, other) = said.split_at(at);
    [vec![said], said.chunks(1).collect(), vec![one, other]]
}

const CEILINGS: Ceilings = Ceilings { line: 200, literal: 40, errors: 4, commands: 12 };

/// What happened in a dialogue with a client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Served {
    out: Vec<u8>,
    shown: Vec<sasl::Credentials>,
    senders: Vec<String>,
    end: Option<&'static str>,
    introduced_as: String,
}

fn client_wire<P: Protocol>(choice: u8, said: &[u8]) {
    let [whole, bytewise, cut] = pieces(choice, said).map(|pieces| serve::<P>(choice, &pieces));
    assert_eq!(whole, bytewise, "bytes that come one by one mean the same");
    assert_eq!(whole, cut, "bytes that come in two pieces mean the same");
    is_lines(&whole.out);
    for credentials in &whole.shown {
        is_not_repeated(credentials.password.expose(), &whole.out);
    }
}

fn serve<P: Protocol>(choice: u8, pieces: &[&[u8]]) -> Served {
    let offer = Offer {
        login: choice & 1 == 0,
        by_address: choice & 16 != 0,
        starttls: choice & 2 != 0,
        capabilities: Capabilities(vec!["8BITMIME".to_owned(), "SIZE 1000".to_owned()]),
    };
    let accepts = choice & 4 != 0;
    let mut client = P::client(offer.clone(), CEILINGS);
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    client.greet(&mut out);
    let mut served = Served::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        while served.end.is_none() {
            let before = input.len();
            match client.advance(&mut input, &mut out) {
                Ok(ClientStep::NeedInput) => {
                    let most = CEILINGS.line + 2 * CEILINGS.literal;
                    assert!(input.len() <= most, "{} bytes are kept", input.len());
                    break;
                }
                Ok(ClientStep::StartTls) if choice & 8 != 0 => {
                    // What came in clear behind the command is dropped, however it came.
                    client.tls_started(Offer { login: true, starttls: false, ..offer.clone() });
                    served.end = Some("tls");
                }
                Ok(ClientStep::StartTls) => served.end = Some("starttls"),
                Ok(ClientStep::Leave) => served.end = Some("left"),
                Ok(ClientStep::Credentials(credentials)) => {
                    served.shown.push(credentials);
                    if accepts {
                        client.accept(&Welcome::default(), &mut out);
                        served.end = Some("accepted");
                    } else if client.reject(&Failure::BadCredentials.into(), &mut out) == Afterwards::Closes {
                        served.end = Some("closed");
                    }
                }
                Ok(ClientStep::Sender(sender)) => {
                    assert!(!sender.contains(['\r', '\n', '<', '>', ' ']), "{sender:?} is one word");
                    served.senders.push(sender);
                    if accepts {
                        client.accept(&Welcome::default(), &mut out);
                        served.end = Some("accepted");
                    } else {
                        client.reject(&Failure::NotPermitted.into(), &mut out);
                    }
                }
                Err(violation) => {
                    // Which of several ceilings is met first depends on how much was read.
                    let mut farewell = BytesMut::new();
                    client.dismiss(Dismissal::Violation(violation), &mut farewell);
                    is_lines(&farewell);
                    served.end = Some("violation");
                }
            }
            assert!(input.len() <= before, "nothing is put into the input");
        }
    }
    client.introduced_as().clone_into(&mut served.introduced_as);
    served.out = out.to_vec();
    served
}

/// The access token of an upstream login.
const TOKEN: &str = "EwB4A8l6BAAU~access.token-that.nobody_may.see~OJElkF7gJ4z";

fn login(choice: u8) -> UpstreamLogin {
    let mechanism = if choice & 1 == 0 { Mechanism::Xoauth2 } else { Mechanism::OauthBearer };
    // As long as those of Exchange Online, or short enough to go along with AUTH.
    let access_token = Secret::new(if choice & 4 == 0 { TOKEN.repeat(30) } else { TOKEN.to_owned() });
    UpstreamLogin {
        mechanism,
        response: sasl::response(mechanism, "ann@example.com", &access_token),
        access_token,
        introduced_as: "pc.example.com".to_owned(),
        starttls: choice & 2 != 0,
        known: None,
    }
}

/// What happened in a dialogue with an upstream: what was written, how it ended, and what is left for the splice.
#[derive(Debug, PartialEq, Eq)]
struct Called {
    out: Vec<u8>,
    end: Option<Result<Welcome, (Failure, String)>>,
    left: Vec<u8>,
}

fn upstream_wire<P: Protocol>(choice: u8, said: &[u8]) {
    let [whole, bytewise, cut] = pieces(choice, said).map(|pieces| call::<P>(choice, &pieces, usize::MAX));
    assert_eq!(whole, bytewise, "bytes that come one by one mean the same");
    assert_eq!(whole, cut, "bytes that come in two pieces mean the same");
    is_lines(&whole.out);
    if let Some(Err((_, said))) = &whole.end {
        is_discreet(said);
    }
}

/// Much more than anybody reads: the upstream repeats itself until it is hung up on.
fn endless_upstream<P: Protocol>(choice: u8, said: &[u8]) {
    const MOST_KEPT: usize = 2 * 64 * 1024;
    if said.is_empty() {
        return;
    }
    let all: Vec<u8> = said.iter().copied().cycle().take(MOST_KEPT + 64 * 1024).collect();
    let pieces: Vec<&[u8]> = all.chunks(4096).collect();
    let called = call::<P>(choice, &pieces, MOST_KEPT + 4096);
    is_lines(&called.out);
    if let Some(Err((_, said))) = &called.end {
        is_discreet(said);
    }
}

fn call<P: Protocol>(choice: u8, pieces: &[&[u8]], most: usize) -> Called {
    let mut upstream = P::upstream(login(choice));
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut end = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        while end.is_none() {
            match upstream.advance(&mut input, &mut out) {
                Ok(UpstreamStep::NeedInput) => break,
                Ok(UpstreamStep::StartTls) => upstream.tls_started(),
                Ok(UpstreamStep::Ready(welcome)) => end = Some(Ok(welcome)),
                Err(rejected) => end = Some(Err((rejected.failure, rejected.said))),
            }
        }
        assert!(end.is_some() || input.len() <= most, "{} bytes are kept", input.len());
    }
    // After a refusal nobody reads what is left; how much of it had come depends on the pieces.
    let left = if matches!(end, Some(Err(_))) { Vec::new() } else { input.to_vec() };
    Called { out: out.to_vec(), end, left }
}

/// Mechanisms of clients, and what upstreams are shown.
pub(crate) fn sasl(input: &[u8]) {
    let Some((&choice, said)) = input.split_first() else { return };
    let mechanism = if choice & 1 == 0 { ClientMechanism::Plain } else { ClientMechanism::Login };
    let mut lines = said.split(|&byte| byte == b'\n');
    let initial = if choice & 2 == 0 { None } else { lines.next() };
    let (mut exchange, mut turn) = Exchange::begin(mechanism, initial);
    while let Turn::Challenge(challenge) = turn {
        assert!(challenge.bytes().all(is_of_base64), "{challenge}");
        let Some(line) = lines.next() else { break };
        turn = exchange.respond(line);
    }
    if let Turn::Credentials(credentials) = turn {
        let password = credentials.password.expose();
        assert!(mechanism == ClientMechanism::Login || !password.contains(&0), "NUL ends a part of PLAIN");
        assert!(!format!("{credentials:?}").contains("~secret~"), "Debug shows no password");
    }
    shown_upstream(choice, said);
}

/// What names a user and a token is one word of base64, whatever the two are.
fn shown_upstream(choice: u8, said: &[u8]) {
    let mechanism = if choice & 4 == 0 { Mechanism::Xoauth2 } else { Mechanism::OauthBearer };
    let at = usize::from(choice >> 3).min(said.len());
    let (user, token) = said.split_at(at);
    let response = sasl::response(mechanism, &String::from_utf8_lossy(user), &Secret::new(token));
    assert!(response.expose().iter().copied().all(is_of_base64));
    let text = response.expose_str().expect("base64 is text");
    let clear = sasl::error_challenge(text);
    assert!(clear.ends_with("\x01\x01"), "base64 of our own is read back");
    let _ = sasl::error_challenge(&String::from_utf8_lossy(said));
}

fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// The secret of the app that asks.
const CLIENT_SECRET: &str = "k8Q~not.a-real_secret~of-anything";

static APP: LazyLock<Arc<App>> = LazyLock::new(|| {
    let token_url = "https://login.example.com/t/token".parse().expect("a URL");
    Arc::new(App {
        name: AppName::new("contoso"),
        client_id: "22222222-3333-4444-5555-666666666666".to_owned(),
        credential: Credential::Secrets(vec![Source::Env("SECRET".to_owned())]),
        authority: Authority { token_url, authorize_url: None, device_url: None },
        application_scopes: Vec::new(),
        delegated_scopes: std::collections::BTreeMap::new(),
        consent: Consent {
            redirect: Redirect::AnyPort,
            pkce: Pkce::S256,
            identity_scopes: Vec::new(),
            parameters: Vec::new(),
            page: None,
        },
        resource: None,
        credential_expires: None,
        trust: Arc::new(Trust::new(None).expect("the system has trust anchors")),
        proxy: None,
    })
});

const FLOWS: [Flow; 6] =
    [Flow::ClientCredentials, Flow::Refresh, Flow::Code, Flow::Device, Flow::Password, Flow::ServiceAccount];

/// What an authority, a mail server or a system says, on its way into replies and logs. In the input, byte 1 stands
/// for our token and our secret: some servers repeat what they were shown.
pub(crate) fn explain(input: &[u8]) {
    let Some((&choice, said)) = input.split_first() else { return };
    let said = String::from_utf8_lossy(said);
    let with = |ours: &str| said.replace('\u{1}', ours);
    let refusals = [
        refused_by_upstream(choice, &with(TOKEN)),
        refused_by_authority(choice, &with(CLIENT_SECRET)),
        upstream::unreachable(&said, Failure::UpstreamUnavailable),
        Refusal::explained(Failure::AuthorityUnavailable, authority::unavailable("login.example.com", &said)),
        Refusal::explained(Failure::ConsentNeeded, consent::someone_else(&said, "ann@example.com")),
    ];
    for refusal in refusals {
        is_told_safely(&refusal);
    }
    is_visible(&upstream::declined("h:993", "open INBOX", &said, None));
}

fn refused_by_upstream(choice: u8, said: &str) -> Refusal {
    const FAILURES: [Failure; 3] =
        [Failure::UpstreamRefused, Failure::UpstreamUnavailable, Failure::UpstreamViolation];
    let failure = FAILURES[usize::from(choice >> 2) % FAILURES.len()];
    let challenge = (choice & 0x80 != 0).then_some(said);
    let rejected = login(choice).rejected(failure, said, challenge);
    is_discreet(&rejected.said);
    let is_delegated = choice & 0x40 != 0;
    let asked =
        upstream::Asked { endpoint: "mail.example.com:993", mailbox: "ann@example.com", is_delegated };
    upstream::rejected(asked, failure, &rejected.said).refusal
}

/// An error whose every text is what was said.
fn refused_by_authority(choice: u8, said: &str) -> Refusal {
    const CLASSES: [&str; 4] = ["invalid_grant", "invalid_client", "access_denied", ""];
    let flow = FLOWS[usize::from(choice >> 1) % FLOWS.len()];
    let class = CLASSES[usize::from(choice >> 4) % CLASSES.len()];
    let error = if class.is_empty() { said } else { class };
    let texts = ["error_description", "suberror", "trace_id", "correlation_id", "timestamp"];
    let mut body: serde_json::Map<_, _> =
        texts.iter().map(|&name| (name.to_owned(), serde_json::Value::from(said))).collect();
    body.insert("error".to_owned(), error.into());
    let body = serde_json::to_vec(&body).expect("text is JSON");
    let secret = Secret::new(CLIENT_SECRET);
    oauth::judge(Arc::clone(&APP), flow, false, body, &[&secret]).expect_err("an error is no token")
}

/// Every protocol says it in one line of its own, and the log in one of its.
fn is_told_safely(refusal: &Refusal) {
    is_told_by::<Imap>(b"a LOGIN ann x\r\n", refusal);
    is_told_by::<Smtp>(b"EHLO pc\r\nAUTH PLAIN AGFubgB4\r\n", refusal);
    is_told_by::<Pop3>(b"USER ann\r\nPASS x\r\n", refusal);
    if let Some(explanation) = &refusal.explanation {
        is_visible(explanation);
    }
    for text in [refusal.to_string(), refusal.line().unwrap_or_default()] {
        for ours in [TOKEN, CLIENT_SECRET] {
            assert!(!text.contains(ours), "what we showed comes back: {text}");
        }
    }
}

fn is_told_by<P: Protocol>(login: &[u8], refusal: &Refusal) {
    /// RFC 5321 §4.5.3.1.5, and RFC 1939 §3.
    const LONGEST: usize = 512;
    let offer = Offer { login: true, ..Offer::default() };
    let mut client = P::client(offer, CEILINGS);
    let (mut input, mut out) = (BytesMut::from(login), BytesMut::new());
    client.greet(&mut out);
    let shown =
        (0..8).any(|_| matches!(client.advance(&mut input, &mut out), Ok(ClientStep::Credentials(_))));
    assert!(shown, "the login is one of its protocol");
    out.clear();
    client.reject(refusal, &mut out);
    is_lines(&out);
    let lines = out.split_inclusive(|&byte| byte == b'\n').count();
    assert_eq!(lines, 1, "a reply of our own is broken, or another begun: {}", out.escape_ascii());
    assert!(out.len() <= LONGEST, "{} octets: {}", out.len(), out.escape_ascii());
}

/// A log and a terminal show it as one line, in the order in which it is written.
fn is_visible(explanation: &Explanation) {
    for text in [&explanation.cause, &explanation.cure] {
        let hidden =
            |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(hidden), "{text:?}");
    }
}

/// The body of an authority's answer, taken for a grant or for a refusal.
pub(crate) fn token_reply(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else { return };
    let flow = FLOWS[usize::from(choice >> 1) % FLOWS.len()];
    let secret = Secret::new(CLIENT_SECRET);
    match oauth::judge(Arc::clone(&APP), flow, choice & 1 == 0, body.to_vec(), &[&secret]) {
        Ok(judged) => {
            assert!(!judged.access_token.is_empty(), "an empty token opens nothing");
            assert!(judged.refresh_token.is_none_or(|token| !token.is_empty()));
            let _ = Claims::read(&judged.access_token);
            let _ = judged.id_token.as_ref().and_then(Claims::read);
        }
        Err(refusal) => {
            let line = refusal.line().unwrap_or_default();
            assert!(line.len() <= LONGEST_LINE && line.bytes().all(is_printable), "{line}");
            for text in [line, refusal.to_string()] {
                assert!(!text.contains(CLIENT_SECRET), "the secret comes back: {text}");
            }
        }
    }
}

/// What is written towards a peer is lines of printable ASCII, each with its CRLF.
fn is_lines(out: &[u8]) {
    assert!(out.is_empty() || out.ends_with(b"\r\n"), "{}", out.escape_ascii());
    for line in out.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("{}", out.escape_ascii()));
        assert!(line.iter().copied().all(is_printable), "{}", line.escape_ascii());
    }
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// What an upstream said is one short line without a piece of the token in it.
fn is_discreet(said: &str) {
    assert!(said.len() <= 400 && said.bytes().all(is_printable), "{said}");
    let in_base64 = sasl::response(Mechanism::Xoauth2, "", &Secret::new(TOKEN));
    for secret in [TOKEN.as_bytes(), in_base64.expose()] {
        let shows = secret.windows(16).any(|piece| said.as_bytes().windows(16).any(|words| words == piece));
        assert!(!shows, "a piece of the token: {said}");
    }
}

/// A password with a mark that no reply of ours has is in none. Tags are the client's own words, which IMAP
/// repeats: the first word of a line does not count.
fn is_not_repeated(password: &[u8], out: &[u8]) {
    const MARKS: &[u8] = b"~^`|";
    if password.len() < 4 || !password.iter().any(|byte| MARKS.contains(byte)) {
        return;
    }
    for line in out.split(|&byte| byte == b'\n') {
        let words = line.iter().position(|&byte| byte == b' ').map_or(line, |at| &line[at..]);
        let shows = words.windows(password.len()).any(|word| word == password);
        assert!(!shows, "a password is repeated: {}", line.escape_ascii());
    }
}
