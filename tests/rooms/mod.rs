//! Drives the dialogues of a room over bytes that come in pieces, and keeps what happened.

use bytes::BytesMut;
use footbridge::{
    dialogue::{
        Afterwards, Capabilities, Ceilings, ClientDialogue as _, ClientStep, Offer, Protocol, Rejected,
        UpstreamDialogue as _, UpstreamLogin, UpstreamStep, Violation, Welcome,
    },
    failure::Failure,
    sasl::{Credentials, Mechanism},
    secret::Secret,
};

pub(crate) const CEILINGS: Ceilings = Ceilings { line: 200, literal: 40, errors: 4, commands: 30 };

/// Credentials are taken and the line is encrypted.
pub(crate) fn offer() -> Offer {
    Offer { login: true, ..Offer::default() }
}

/// The line is in clear and has to be encrypted first.
pub(crate) fn offer_starttls() -> Offer {
    Offer { starttls: true, ..Offer::default() }
}

pub(crate) fn capabilities(list: &[&str]) -> Capabilities {
    Capabilities(list.iter().map(ToString::to_string).collect())
}

/// What happened in a dialogue with a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// What was written, the greeting apart.
    pub(crate) out: String,
    /// The credentials shown, all of which were refused.
    pub(crate) shown: Vec<Credentials>,
    /// The senders of mail without a login, judged like credentials.
    pub(crate) senders: Vec<String>,
    /// Why the dialogue ended, if it did.
    pub(crate) end: Option<End>,
    /// The bytes that nobody took, but for a line that had only begun.
    pub(crate) left: Vec<u8>,
    pub(crate) introduced_as: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    StartTls,
    Accepted,
    Violated(Violation),
}

/// What is answered to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Refuse,
}

/// Talks to a client whose words come in `pieces`.
pub(crate) fn serve<P: Protocol>(offer: &Offer, verdict: Verdict, pieces: &[&[u8]]) -> Transcript {
    let mut client = P::client(offer.clone(), CEILINGS);
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut transcript = Transcript::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        while transcript.end.is_none() {
            let before = input.len();
            match client.advance(&mut input, &mut out) {
                Ok(ClientStep::NeedInput) => break,
                Ok(ClientStep::StartTls) => transcript.end = Some(End::StartTls),
                Ok(ClientStep::Leave) => transcript.end = Some(End::Left),
                Ok(ClientStep::Credentials(credentials)) => {
                    assert!(input.len() < before, "credentials came from nowhere");
                    assert_eq!(client.phase(), "await-verdict");
                    transcript.shown.push(credentials);
                    if verdict == Verdict::Accept {
                        client.accept(&Welcome::default(), &mut out);
                        transcript.end = Some(End::Accepted);
                    } else {
                        let afterwards = client.reject(&Failure::BadCredentials.into(), &mut out);
                        assert_eq!(afterwards, Afterwards::StaysOpen);
                    }
                }
                Ok(ClientStep::Sender(sender)) => {
                    assert!(client.phase() == "await-verdict" && !input.is_empty(), "the command stays");
                    transcript.senders.push(sender);
                    if verdict == Verdict::Accept {
                        client.accept(&Welcome::default(), &mut out);
                        transcript.end = Some(End::Accepted);
                    } else {
                        client.reject(&Failure::NotPermitted.into(), &mut out);
                    }
                }
                Err(violation) => transcript.end = Some(End::Violated(violation)),
            }
            assert!(input.len() <= before);
        }
    }
    client.introduced_as().clone_into(&mut transcript.introduced_as);
    transcript.out = String::from_utf8(out.to_vec()).expect("replies are ASCII");
    transcript.left = input.to_vec();
    transcript
}

/// Talks to a client in every way its words may be split, and returns what all ways agree on.
pub(crate) fn serve_split<P: Protocol>(offer: &Offer, verdict: Verdict, said: &[u8]) -> Transcript {
    let whole = serve::<P>(offer, verdict, &[said]);
    let context = said.escape_ascii();
    let bytewise: Vec<&[u8]> = said.chunks(1).collect();
    assert_eq!(serve::<P>(offer, verdict, &bytewise), whole, "byte by byte: {context}");
    for at in 0..said.len() {
        let (first, second) = said.split_at(at);
        assert_eq!(serve::<P>(offer, verdict, &[first, second]), whole, "split at {at}: {context}");
    }
    whole
}

/// What happened in a dialogue with an upstream: what was written, and how it ended.
pub(crate) type UpstreamTranscript = (String, Option<Result<Welcome, Rejected>>, Vec<u8>);

/// A login whose response is `dXNlcg==` and whose access token is `opaque-token`.
pub(crate) fn login() -> UpstreamLogin {
    login_showing("dXNlcg==")
}

/// The same with another response.
pub(crate) fn login_showing(response: &str) -> UpstreamLogin {
    UpstreamLogin {
        mechanism: Mechanism::Xoauth2,
        response: Secret::new(response),
        access_token: Secret::new("opaque-token"),
        introduced_as: "pc.example.com".to_owned(),
        starttls: false,
        known: None,
    }
}

/// Talks to an upstream whose words come in `pieces`, encrypting when asked to.
pub(crate) fn call<P: Protocol>(login: &UpstreamLogin, pieces: &[&[u8]]) -> UpstreamTranscript {
    let mut upstream = P::upstream(login.clone());
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut end = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        while end.is_none() {
            match upstream.advance(&mut input, &mut out) {
                Ok(UpstreamStep::NeedInput) => break,
                Ok(UpstreamStep::StartTls) => {
                    out.extend_from_slice(b"<TLS>");
                    upstream.tls_started();
                }
                Ok(UpstreamStep::Ready(welcome)) => end = Some(Ok(welcome)),
                Err(rejected) => end = Some(Err(rejected)),
            }
        }
    }
    (String::from_utf8(out.to_vec()).expect("commands are ASCII"), end, input.to_vec())
}

/// Talks to an upstream in every way its words may be split.
pub(crate) fn call_split<P: Protocol>(login: &UpstreamLogin, said: &[u8]) -> UpstreamTranscript {
    let whole = call::<P>(login, &[said]);
    let context = said.escape_ascii();
    let bytewise: Vec<&[u8]> = said.chunks(1).collect();
    assert_eq!(call::<P>(login, &bytewise), whole, "byte by byte: {context}");
    for at in 0..said.len() {
        let (first, second) = said.split_at(at);
        assert_eq!(call::<P>(login, &[first, second]), whole, "split at {at}: {context}");
    }
    whole
}
