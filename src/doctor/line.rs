//! From a host's name to a line that is logged in, each hop noted: what `session` does in one go.

use std::fmt::Write as _;

use bytes::BytesMut;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use super::{Case, Tools, Trial, notes::Notes, report::Step};
use crate::{
    dialogue::{Protocol, Rejected, UpstreamDialogue, UpstreamLogin, UpstreamStep, Welcome},
    explain::upstream::{Asked, Verdict, rejected},
    net::{
        UpstreamTls,
        certificate::Shown,
        conn::{Conn, Stream},
        dial::{self, DialError, Way},
    },
    oauth::Access,
    policy::{
        reach::{silence, too_slow, undialled},
        timing,
    },
    sasl,
    secret::Secret,
};

/// How many addresses of a name are written out.
const ADDRESSES: usize = 3;

/// A line that is logged in, and what the server said then.
pub(super) type LoggedIn = (Conn, Welcome);

/// Why there is no line that is logged in.
enum Stopped {
    /// It has been noted.
    Noted,
    /// The login was refused, having begun then.
    Refused(Verdict, Instant),
}

/// Logs in to the upstream of a trial. A refusal that another token may cure is answered with one, as `serve` does.
/// `None` where a hop failed, which has been noted; or where there is no token, after TLS.
pub(super) async fn log_in<P: Protocol>(
    case: &Case,
    trial: &Trial,
    access: Option<&Access>,
    tools: &Tools,
    notes: &Notes,
) -> Option<LoggedIn> {
    let attempt = |access, notes| attempt::<P>(case, trial, access, tools, notes);
    let (verdict, began) = match attempt(access, notes.clone()).await {
        Ok(logged_in) => return logged_in,
        Err(Stopped::Noted) => return None,
        Err(Stopped::Refused(verdict, began)) => (verdict, began),
    };
    let deadline = Instant::now() + tools.timing.login_timeout;
    let renewed = match access.filter(|_| verdict.token_may_help) {
        Some(access) => tools.tokens.renew(&trial.permit, access, deadline).await,
        None => Ok(None),
    };
    match renewed {
        Ok(None) => notes.refused(Step::Login, began, verdict.refusal).await,
        Err(refusal) => notes.refused(Step::Login, began, refusal).await,
        Ok(Some(access)) => match attempt(Some(&access), notes.muted()).await {
            Ok(logged_in) => {
                let found = format!("{}, with a renewed token", user(trial, tools));
                notes.found(Step::Login, began, found).await;
                return logged_in;
            }
            Err(Stopped::Refused(verdict, _)) => notes.refused(Step::Login, began, verdict.refusal).await,
            Err(Stopped::Noted) => notes.refused(Step::Login, began, verdict.refusal).await,
        },
    }
    None
}

async fn attempt<P: Protocol>(
    case: &Case,
    trial: &Trial,
    access: Option<&Access>,
    tools: &Tools,
    notes: Notes,
) -> Result<Option<LoggedIn>, Stopped> {
    let endpoint = &trial.endpoint;
    let token = access.map_or_else(|| Secret::new(""), |access| access.token.clone());
    let mut dialogue = P::upstream(UpstreamLogin {
        mechanism: tools.mechanism,
        response: sasl::response(tools.mechanism, trial.permit.user(), &token),
        access_token: token,
        introduced_as: String::new(),
        starttls: endpoint.tls == UpstreamTls::StartTls,
        known: None,
    });
    let way = Way {
        names: &tools.names,
        trust: &tools.trust,
        proxy: tools.proxy.as_deref(),
        limit: tools.timing.connect_timeout,
        deadline: Instant::now() + timing::UPSTREAM_LOGIN,
    };
    let tcp = connected(trial, way, &notes).await?;
    let began = Instant::now();
    let mut conn = match endpoint.tls {
        UpstreamTls::Implicit => {
            let encrypted = dial::encrypt(tcp, endpoint, way).await;
            noted(encrypted, Step::Tls, began, &notes).await?
        }
        UpstreamTls::StartTls => {
            let mut conn = Conn::new(Stream::Plain(tcp));
            if let Err(rejection) = drive(&mut dialogue, &mut conn, way.deadline).await {
                let verdict = verdict(case, trial, rejection);
                notes.refused(Step::Tls, began, verdict.refusal).await;
                return Err(Stopped::Noted);
            }
            let conn = noted(dial::start_tls(conn, endpoint, way).await, Step::Tls, began, &notes).await?;
            dialogue.tls_started();
            conn
        }
    };
    notes.found(Step::Tls, began, encryption(&conn, endpoint.tls)).await;
    if access.is_none() {
        let why = "not tried: each login brings the password that gets its token";
        notes.skipped(Step::Login, why).await;
        conn.close(timing::FAREWELL).await;
        return Ok(None);
    }
    let began = Instant::now();
    let deadline = began + timing::UPSTREAM_LOGIN;
    match drive(&mut dialogue, &mut conn, deadline).await {
        Ok(welcome) => {
            notes.found(Step::Login, began, user(trial, tools)).await;
            Ok(Some((conn, welcome)))
        }
        Err(rejection) => {
            let verdict = verdict(case, trial, rejection);
            let known = match access {
                Some(access) => {
                    verdict.knowing(asked(case, trial, &endpoint.to_string()), &access.token, P::KIND)
                }
                None => verdict,
            };
            Err(Stopped::Refused(known, began))
        }
    }
}

/// Name lookup and TCP.
async fn connected(trial: &Trial, way: Way<'_>, notes: &Notes) -> Result<tokio::net::TcpStream, Stopped> {
    let began = Instant::now();
    let addresses = noted(dial::look_up(&trial.endpoint, way).await, Step::NameLookup, began, notes).await?;
    let host = match way.proxy {
        Some(proxy) => format!("proxy {proxy}"),
        None => trial.endpoint.host.clone(),
    };
    let shown: Vec<_> = addresses.iter().take(ADDRESSES).map(|addr| addr.ip().to_string()).collect();
    let mut found = format!("{host}: {}", shown.join(", "));
    if addresses.len() > ADDRESSES {
        let _ = write!(found, " and {} more", addresses.len() - ADDRESSES);
    }
    notes.found(Step::NameLookup, began, found).await;
    let began = Instant::now();
    let tcp = noted(dial::reach(&trial.endpoint, way).await, Step::Tcp, began, notes).await?;
    let found = match (way.proxy, tcp.peer_addr()) {
        (Some(proxy), _) => format!("{} by way of proxy {proxy}", trial.endpoint),
        (None, Ok(addr)) => addr.to_string(),
        (None, Err(_)) => trial.endpoint.to_string(),
    };
    notes.found(Step::Tcp, began, found).await;
    Ok(tcp)
}

/// Notes what went wrong on the way.
async fn noted<T>(
    result: Result<T, DialError>,
    step: Step,
    began: Instant,
    notes: &Notes,
) -> Result<T, Stopped> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => {
            notes.refused(step, began, undialled(&error).refusal).await;
            Err(Stopped::Noted)
        }
    }
}

/// Carries a dialogue on, until it wants TLS, where the welcome is empty, or is in.
async fn drive(
    dialogue: &mut impl UpstreamDialogue,
    conn: &mut Conn,
    deadline: Instant,
) -> Result<Welcome, Rejected> {
    let began = Instant::now();
    let conversation = converse(dialogue, conn);
    match timeout_at(deadline, conversation).await {
        Ok(outcome) => outcome,
        Err(_) => Err(too_slow(dialogue.phase(), began.elapsed())),
    }
}

async fn converse(dialogue: &mut impl UpstreamDialogue, conn: &mut Conn) -> Result<Welcome, Rejected> {
    let mut out = BytesMut::new();
    let gone = |error: std::io::Error| silence(&format!("connection lost: {error}"));
    loop {
        let step = dialogue.advance(&mut conn.input, &mut out)?;
        conn.send(&mut out).await.map_err(gone)?;
        match step {
            UpstreamStep::Ready(welcome) => return Ok(welcome),
            UpstreamStep::StartTls => return Ok(Welcome::default()),
            UpstreamStep::NeedInput => {
                if conn.fill(usize::MAX).await.map_err(gone)? == 0 {
                    return Err(silence("it closed the connection"));
                }
            }
        }
    }
}

fn verdict(case: &Case, trial: &Trial, Rejected { failure, said }: Rejected) -> Verdict {
    rejected(asked(case, trial, &trial.endpoint.to_string()), failure, &said)
}

fn asked<'a>(case: &'a Case, trial: &Trial, endpoint: &'a str) -> Asked<'a> {
    let is_delegated = trial.permit.account().grant.is_delegated();
    Asked { endpoint, mailbox: &case.mailbox, is_delegated }
}

fn user(trial: &Trial, tools: &Tools) -> String {
    format!("{} as {}", tools.mechanism.name(), trial.permit.user())
}

/// `TLSv1.3 by STARTTLS, certificate of CN=…, until 2027-02-03`.
fn encryption(conn: &Conn, tls: UpstreamTls) -> String {
    let mut found = conn.tls_version().unwrap_or_default().to_owned();
    found.push_str(match tls {
        UpstreamTls::Implicit => "",
        UpstreamTls::StartTls => " by STARTTLS",
    });
    if let Some(Shown { issuer, ends }) = conn.upstream_certificate().and_then(Shown::read) {
        let ends = OffsetDateTime::from(ends).date();
        let _ = write!(found, ", certificate by {issuer}, until {ends}");
    }
    found
}
