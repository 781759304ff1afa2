//! The bridge as an SMTP client, from the upstream's greeting to the end of AUTH.
//!
//! RFC 5321 §4, RFC 4954 §4, RFC 3207, RFC 7628 §3.2. A token of Google's is short enough for the line of
//! AUTH; Microsoft's has thousands of octets, so that its response waits to be asked for.

use bytes::BytesMut;

use super::wire::{Reply, is_domain};
use crate::{
    dialogue::{Capabilities, Known, Rejected, UpstreamDialogue, UpstreamLogin, UpstreamStep, Welcome, put},
    failure::{Failure, printable},
    sasl::error_challenge,
};

/// The name in our EHLO where the client's cannot be said.
const NAME: &str = "localhost";

/// The most octets of a command, its end included (RFC 5321 §4.5.3.1.4).
const LONGEST_COMMAND: usize = 512;

/// The half that faces the upstream.
pub struct Upstream {
    login: UpstreamLogin,
    state: State,
}

enum State {
    AwaitGreeting,
    AwaitEhlo {
        /// The line is in clear, and that may not stay so.
        starttls: bool,
    },
    AwaitStartTls,
    AwaitTls,
    /// The line is encrypted and nothing has been said on it.
    Encrypted,
    /// The `334` that the response waits for where it is too long for the line of AUTH.
    AwaitChallenge {
        capabilities: Capabilities,
    },
    /// The end of AUTH.
    AwaitOutcome {
        capabilities: Capabilities,
        /// The response went along with AUTH, and has not been asked for all the same.
        went_along: bool,
        /// What the upstream had against the token, if it said so before it refused.
        challenge: Option<String>,
    },
    Over,
}

impl Upstream {
    pub(super) fn new(login: UpstreamLogin) -> Self {
        Self { login, state: State::AwaitGreeting }
    }

    /// Takes one reply; `None` where the next is due.
    fn reply(&mut self, reply: &Reply, out: &mut BytesMut) -> Result<Option<UpstreamStep>, Rejected> {
        match (&mut self.state, reply.code) {
            (State::AwaitGreeting, 220) => self.ehlo(self.login.starttls, out),
            (State::AwaitEhlo { starttls: true }, 250) => self.starttls(reply, out)?,
            (State::AwaitEhlo { starttls: false }, 250) => self.auth(reply, out)?,
            // Old programs call themselves what no domain is called, and not every upstream bears it.
            (&mut State::AwaitEhlo { starttls }, 500..) if name(&self.login) != NAME => {
                NAME.clone_into(&mut self.login.introduced_as);
                self.ehlo(starttls, out);
            }
            (State::AwaitStartTls, 220) => {
                self.state = State::AwaitTls;
                return Ok(Some(UpstreamStep::StartTls));
            }
            (State::AwaitChallenge { capabilities }, 334) => {
                let capabilities = std::mem::take(capabilities);
                self.login.respond(out);
                self.state = State::AwaitOutcome { capabilities, went_along: false, challenge: None };
            }
            // An error challenge says something (RFC 7628 §3.2.2). This one has not seen the response.
            (State::AwaitOutcome { went_along: went_along @ true, challenge: None, .. }, 334)
                if reply.lines.iter().all(|line| line.trim().is_empty()) =>
            {
                *went_along = false;
                self.login.respond(out);
            }
            (State::AwaitOutcome { challenge: challenge @ None, .. }, 334) => {
                *challenge = Some(error_challenge(&reply.lines.join("")));
                put(out, &[self.login.mechanism.acknowledgement()]);
            }
            (State::AwaitOutcome { capabilities, .. }, 235) => {
                let capabilities = Some(std::mem::take(capabilities));
                self.state = State::Over;
                return Ok(Some(UpstreamStep::Ready(Welcome { text: reply.lines.join(" "), capabilities })));
            }
            (_, code) => return Err(self.rejected(self.failure(code), &reply.said())),
        }
        Ok(None)
    }

    fn ehlo(&mut self, starttls: bool, out: &mut BytesMut) {
        put(out, &["EHLO ", name(&self.login)]);
        self.state = State::AwaitEhlo { starttls };
    }

    fn starttls(&mut self, ehlo: &Reply, out: &mut BytesMut) -> Result<(), Rejected> {
        if !extensions(ehlo).any(|(keyword, _)| keyword.eq_ignore_ascii_case("STARTTLS")) {
            let said = format!("no STARTTLS offered ({})", ehlo.said());
            return Err(self.rejected(Failure::UpstreamViolation, &said));
        }
        put(out, &["STARTTLS"]);
        self.state = State::AwaitStartTls;
        Ok(())
    }

    fn auth(&mut self, ehlo: &Reply, out: &mut BytesMut) -> Result<(), Rejected> {
        let mechanism = self.login.mechanism.name();
        // `AUTH=LOGIN` is how it was written before RFC 2554; its servers may know a mechanism by it.
        let listed =
            |line: &str| line.split([' ', '=']).skip(1).any(|name| name.eq_ignore_ascii_case(mechanism));
        let mut offers = extensions(ehlo).filter(|&(keyword, _)| is_auth(keyword)).map(|(_, line)| line);
        if !offers.clone().any(listed) {
            let offer = offers.next().unwrap_or("no AUTH at all");
            let said = format!("EHLO offers no AUTH {mechanism} ({offer})");
            return Err(self.rejected(Failure::UpstreamRefused, &said));
        }
        let capabilities = for_clients(ehlo);
        self.state = if self.login.authenticate("AUTH", LONGEST_COMMAND, out) {
            State::AwaitOutcome { capabilities, went_along: true, challenge: None }
        } else {
            State::AwaitChallenge { capabilities }
        };
        Ok(())
    }

    /// What an unwelcome reply means. It is about the token only where that was about to be shown.
    fn failure(&self, code: u16) -> Failure {
        match (&self.state, code) {
            // A 421 after an error challenge stands for the refusal that was not said.
            (State::AwaitOutcome { challenge: Some(_), .. }, 421)
            | (State::AwaitChallenge { .. } | State::AwaitOutcome { .. }, 500..) => Failure::UpstreamRefused,
            (State::AwaitGreeting, 400..) | (_, 400..500) => Failure::UpstreamUnavailable,
            _ => Failure::UpstreamViolation,
        }
    }

    fn rejected(&self, failure: Failure, said: &str) -> Rejected {
        let challenge =
            if let State::AwaitOutcome { challenge, .. } = &self.state { challenge.as_deref() } else { None };
        self.login.rejected(failure, said, challenge)
    }
}

/// How we call ourselves: as the client did, where that can be said.
fn name(login: &UpstreamLogin) -> &str {
    let name = login.introduced_as.as_str();
    if is_domain(name) { name } else { NAME }
}

/// The extensions of an EHLO reply, keyword and line, without the greeting before them.
fn extensions(ehlo: &Reply) -> impl Iterator<Item = (&str, &str)> + Clone {
    let lines = ehlo.lines.iter().skip(1).map(|line| line.trim());
    lines.filter_map(|line| line.split_ascii_whitespace().next().map(|keyword| (keyword, line)))
}

fn is_auth(keyword: &str) -> bool {
    let name = keyword.split('=').next().unwrap_or_default();
    name.eq_ignore_ascii_case("AUTH")
}

/// What of an EHLO reply a client may be promised: the extensions of mail, not those of this hop.
///
/// AUTH and STARTTLS are done with; what begins with X is private to the provider's own machines
/// (X-EXPS, XCLIENT), HELP, VRFY, EXPN, ETRN, ATRN and TURN ask this one server something; BURL lets it fetch
/// from an IMAP server that trusts it. REQUIRETLS (RFC 8689 §2) promises that every hop is encrypted,
/// and the one from the client to the bridge may not be.
fn for_clients(ehlo: &Reply) -> Capabilities {
    const OF_THE_HOP: [&str; 9] =
        ["STARTTLS", "HELP", "VRFY", "EXPN", "ETRN", "ATRN", "TURN", "BURL", "REQUIRETLS"];
    let is_private = |keyword: &str| keyword.starts_with(['X', 'x']);
    let is_of_the_hop = |keyword: &str| OF_THE_HOP.iter().any(|name| name.eq_ignore_ascii_case(keyword));
    let for_mail = extensions(ehlo)
        .filter(|(keyword, _)| !is_auth(keyword) && !is_private(keyword) && !is_of_the_hop(keyword));
    Capabilities(for_mail.map(|(_, line)| printable(line)).collect())
}

impl UpstreamDialogue for Upstream {
    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<UpstreamStep, Rejected> {
        if let State::Encrypted = self.state {
            self.ehlo(false, out);
        }
        while !matches!(self.state, State::AwaitTls | State::Over) {
            let taken =
                Reply::take(input).map_err(|said| self.rejected(Failure::UpstreamViolation, &said))?;
            let Some(reply) = taken else { break };
            if let Some(step) = self.reply(&reply, out)? {
                return Ok(step);
            }
        }
        Ok(UpstreamStep::NeedInput)
    }

    fn tls_started(&mut self) {
        self.state = State::Encrypted;
    }

    /// EHLO is said on every connection (RFC 5321 §4.1.1.1), and answers all that is asked.
    fn learned(&self) -> Option<Known> {
        None
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::AwaitGreeting => "await-greeting",
            State::AwaitEhlo { .. } => "await-ehlo",
            State::AwaitStartTls => "await-starttls",
            State::AwaitTls => "await-tls",
            State::Encrypted => "encrypted",
            State::AwaitChallenge { .. } => "await-challenge",
            State::AwaitOutcome { .. } => "await-outcome",
            State::Over => "over",
        }
    }
}
