//! A pretend Exchange Online: IMAP, POP3 and SMTP submission that take only the access tokens of a pretend
//! authority, in Exchange's own words, over mailboxes in memory.
//!
//! The words are those that Microsoft's pages give and that users have posted with their logs: the exchange itself in "Authenticate
//! an IMAP, POP or SMTP connection using OAuth" (learn.microsoft.com); greetings and capabilities of IMAP in the issues 178, 690,
//! 1494, 1496 and 2016 of `jstedfast/MailKit` and 192 of simonrob/email-oauth2-proxy, of SMTP in `MailKit`'s 1770, of POP3 in `MailKit`'s
//! 1948 and 267 of kisli/vmime; "User is authenticated but not connected" in `MailKit`'s 1494, throttling in 198 of imapsync/imapsync,
//! the end of a session with its token in 83 of bamthomas/aioimaplib, the limits and refusals of submission in 193 of
//! email-oauth2-proxy and `MailKit`'s 1733. The scripts of `tests/dialogues` say the same words line by line.

mod imap;
mod mailbox;
mod pop3;
mod smtp;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio_rustls::{TlsAcceptor, rustls::HandshakeKind};

use super::{
    authority::{Authority, Claims, Issuer},
    certs::{Certs, Leaf},
    count::Count,
    door::Door,
    wire::Wire,
};

pub use mailbox::{Mailboxes, Message};

/// The name that it calls itself in greetings.
const HOST: &str = "AM0PR02CA0134.outlook.office365.com";

/// A running Exchange, ended when it is dropped.
pub struct Exchange {
    /// IMAP, encrypted from the first byte.
    pub imaps: Door,
    /// IMAP with STARTTLS.
    pub imap: Door,
    /// Submission, encrypted from the first byte.
    pub smtps: Door,
    /// Submission with STARTTLS.
    pub smtp: Door,
    /// POP3, encrypted from the first byte.
    pub pop3s: Door,
    /// POP3 with STLS.
    pub pop3: Door,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Arc<Issuer>,
    acceptor: TlsAcceptor,
    handshakes: Mutex<Vec<HandshakeKind>>,
    mailboxes: Mailboxes,
    sent: Mutex<Vec<Sent>>,
    accepted: Count,
    attempts: Mutex<Vec<Attempt>>,
    attempted: Count,
    behaviour: Mutex<Behaviour>,
}

/// How the next logins are treated.
#[derive(Default)]
struct Behaviour {
    refuse_next: usize,
    challenges: bool,
    smtp_auth_disabled: bool,
}

/// A message that was accepted for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Who was logged in.
    pub user: String,
    /// The envelope's sender, as in `MAIL FROM:<…>`.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The message, dots unstuffed, to the byte.
    pub message: Vec<u8>,
}

/// A token that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `imap`, `smtp` or `pop3`.
    pub protocol: &'static str,
    /// The user named beside the token.
    pub user: String,
    /// Which token it was; empty where it is none of the authority's good ones.
    pub jti: String,
    /// Whether it was let in.
    pub accepted: bool,
}

/// What became of a token that was shown.
enum Admission {
    Opened(Opened),
    /// The token is good, and there is no such mailbox, or not for this person.
    NotConnected,
    Refused,
}

/// A mailbox that was opened.
struct Opened {
    /// Whose it is.
    user: String,
    /// Who opened it, where it is a person and not an app.
    person: Option<String>,
}

impl Exchange {
    /// Opens for business on free ports; tokens are the authority's, certificates `certs`'.
    pub fn start(certs: &Certs, authority: &Authority) -> Self {
        Self::start_as(certs.leaf(), authority)
    }

    /// As [`Exchange::start`], with another certificate.
    pub fn start_as(leaf: Leaf, authority: &Authority) -> Self {
        Self::start_with(leaf.acceptor(), authority)
    }

    /// As [`Exchange::start`], with other settings of TLS.
    pub fn start_with(acceptor: TlsAcceptor, authority: &Authority) -> Self {
        let shared = Arc::new(Shared {
            issuer: authority.issuer(),
            acceptor,
            handshakes: Mutex::default(),
            mailboxes: Mailboxes::default(),
            sent: Mutex::default(),
            accepted: Count::of("accepted messages"),
            attempts: Mutex::default(),
            attempted: Count::of("shown tokens"),
            behaviour: Mutex::default(),
        });
        Self {
            imaps: door(&shared, true, imap::serve),
            imap: door(&shared, false, imap::serve),
            smtps: door(&shared, true, smtp::serve),
            smtp: door(&shared, false, smtp::serve),
            pop3s: door(&shared, true, pop3::serve),
            pop3: door(&shared, false, pop3::serve),
            shared,
        }
    }

    /// Where `protocol` is spoken, and how its TLS starts, as a configuration has it.
    pub fn endpoint(&self, protocol: &str, starttls: bool) -> (SocketAddr, &'static str) {
        match (protocol, starttls) {
            ("imap", false) => (self.imaps.addr(), "implicit"),
            ("imap", true) => (self.imap.addr(), "starttls"),
            ("smtp", false) => (self.smtps.addr(), "implicit"),
            ("smtp", true) => (self.smtp.addr(), "starttls"),
            ("pop3", false) => (self.pop3s.addr(), "implicit"),
            ("pop3", true) => (self.pop3.addr(), "starttls"),
            _ => panic!("no such protocol: {protocol}"),
        }
    }

    /// The mailboxes.
    pub fn mailboxes(&self) -> &Mailboxes {
        &self.shared.mailboxes
    }

    /// The messages that were accepted so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.sent.lock().unwrap().clone()
    }

    /// How many messages were accepted so far.
    pub fn accepted(&self) -> &Count {
        &self.shared.accepted
    }

    /// The tokens that were shown so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.shared.attempts.lock().unwrap().clone()
    }

    /// How many tokens were shown so far.
    pub fn attempted(&self) -> &Count {
        &self.shared.attempted
    }

    /// Every TLS handshake so far: full, or that of a resumed session.
    pub fn handshakes(&self) -> Vec<HandshakeKind> {
        self.shared.handshakes.lock().unwrap().clone()
    }

    /// Every connection to any port so far.
    pub fn connections(&self) -> usize {
        self.doors().iter().map(|door| door.accepted().get()).sum()
    }

    /// Refuses the next tokens, good as they may be.
    pub fn refuse_next(&self, tokens: usize) {
        self.shared.behaviour.lock().unwrap().refuse_next = tokens;
    }

    /// Answers a refused token with a challenge first, as Google does.
    pub fn challenge_refused(&self) {
        self.shared.behaviour.lock().unwrap().challenges = true;
    }

    /// Switches SMTP AUTH off for every mailbox, as `Set-CASMailbox` does.
    pub fn disable_smtp_auth(&self) {
        self.shared.behaviour.lock().unwrap().smtp_auth_disabled = true;
    }

    /// Cuts every connection and refuses new ones.
    pub async fn go_down(&self) {
        for door in self.doors() {
            door.close().await;
        }
    }

    /// Comes back on the same ports.
    pub fn come_up(&self) {
        self.doors().iter().for_each(|door| door.reopen());
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.doors().iter().for_each(|door| door.cut());
    }

    fn doors(&self) -> [&Door; 6] {
        [&self.imaps, &self.imap, &self.smtps, &self.smtp, &self.pop3s, &self.pop3]
    }
}

/// A port at which `serve` gets every connection, with what it must know about its encryption.
fn door<F>(shared: &Arc<Shared>, implicit: bool, serve: fn(Wire, bool, Arc<Shared>) -> F) -> Door
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let shared = Arc::clone(shared);
    Door::open(move |stream, _| {
        let shared = Arc::clone(&shared);
        async move {
            let wire = Wire::new(stream);
            let served = async {
                let wire = if implicit { shared.encrypt(wire).await? } else { wire };
                serve(wire, implicit, Arc::clone(&shared)).await
            };
            // A client that goes away in the middle of a sentence is none of our business.
            let _: io::Result<()> = served.await;
        }
    })
}

impl Shared {
    /// Encrypts a line, and remembers how.
    async fn encrypt(&self, wire: Wire) -> io::Result<Wire> {
        let (wire, kind) = wire.shake_hands(&self.acceptor).await?;
        self.handshakes.lock().unwrap().push(kind);
        Ok(wire)
    }

    /// Looks at an XOAUTH2 response in base64.
    fn admit(&self, protocol: &'static str, response: &[u8]) -> Admission {
        let (user, token) = read_xoauth2(response).unwrap_or_default();
        let claims = self.issuer.verify(&token);
        let refused = {
            let mut behaviour = self.behaviour.lock().unwrap();
            let refused = behaviour.refuse_next > 0;
            behaviour.refuse_next = behaviour.refuse_next.saturating_sub(1);
            refused
        };
        let admission = match &claims {
            Ok(claims) if !refused => self.open(protocol, &user, claims),
            Ok(_) | Err(_) => Admission::Refused,
        };
        self.attempts.lock().unwrap().push(Attempt {
            protocol,
            user,
            jti: claims.map(|claims| claims.jti).unwrap_or_default(),
            accepted: !matches!(admission, Admission::Refused),
        });
        self.attempted.add();
        admission
    }

    /// An app opens every mailbox; a person their own and those that were shared with them, the latter to
    /// read only: SMTP takes no other user than the token's.
    fn open(&self, protocol: &'static str, user: &str, claims: &Claims) -> Admission {
        let person = claims.upn.clone();
        if let Some(person) = &person {
            let may =
                claims.scp.as_deref().unwrap_or_default().split(' ').any(|scope| permits(protocol, scope));
            let is_other = !person.eq_ignore_ascii_case(user);
            if !may || (protocol == "smtp" && is_other) {
                return Admission::Refused;
            }
            if !self.mailboxes.belongs_to(user, person) {
                return Admission::NotConnected;
            }
        }
        if !self.mailboxes.has(user) {
            return Admission::NotConnected;
        }
        Admission::Opened(Opened { user: user.to_owned(), person })
    }

    /// Whether submission takes no token, however good.
    fn smtp_auth_is_disabled(&self) -> bool {
        self.behaviour.lock().unwrap().smtp_auth_disabled
    }

    /// The challenge that a refused token gets before the refusal, where one is sent.
    fn challenge(&self) -> Option<String> {
        let challenges = self.behaviour.lock().unwrap().challenges;
        challenges.then(|| {
            BASE64_STANDARD
                .encode(r#"{"status":"401","schemes":"bearer","scope":"https://outlook.office365.com/"}"#)
        })
    }
}

/// Whether a delegated permission is one for a protocol. Google's is for all.
fn permits(protocol: &str, scope: &str) -> bool {
    match scope {
        "https://mail.google.com/" => true,
        "IMAP.AccessAsUser.All" => protocol == "imap",
        "SMTP.Send" => protocol == "smtp",
        "POP.AccessAsUser.All" => protocol == "pop3",
        _ => false,
    }
}

/// `user=… ^A auth=Bearer … ^A ^A` in base64: the user and the token.
fn read_xoauth2(response: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(response).ok()?).ok()?;
    let text = text.strip_prefix("user=")?.strip_suffix("\x01\x01")?;
    let (user, token) = text.split_once("\x01auth=Bearer ")?;
    Some((user.to_owned(), token.to_owned()))
}
