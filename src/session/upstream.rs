//! Dialling an upstream and driving its dialogue.

use bytes::BytesMut;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, trace, warn};

use super::{House, Provider, Upstream, Visit, endpoint_missing, record::Record};
use crate::{
    dialogue::{Protocol, Rejected, UpstreamDialogue, UpstreamLogin, UpstreamStep, Welcome},
    explain::upstream::{Asked, Verdict, rejected, scrubbed},
    failure::{Failure, Refusal},
    net::{
        Endpoint, UpstreamTls,
        conn::Conn,
        dial::{self, DialError, Way},
    },
    oauth::Access,
    policy::{
        Permit,
        reach::{silence, too_slow, undialled},
        timing,
    },
    sasl,
};

/// Logs in to the permit's upstream. Trouble that passes is waited out until the visit's deadline.
pub(super) async fn log_in<P: Protocol>(
    permit: &Permit,
    access: &Access,
    visit: &Visit,
    house: &House,
    record: &mut Record,
) -> Result<Upstream, Verdict> {
    let provider =
        house.providers.get(permit.app()).ok_or_else(|| final_verdict(Failure::Internal.into()))?;
    let endpoint = provider
        .endpoint(P::KIND)
        .ok_or_else(|| final_verdict(endpoint_missing(permit, &provider.name, P::KIND)))?;
    record.dialled(provider);
    let mut failures = 0;
    let mut known = None;
    loop {
        let verdict = match attempt::<P>(permit, access, visit, house, (provider, endpoint), record).await {
            Ok(upstream) => return Ok(upstream),
            Err(verdict) => verdict,
        };
        failures += 1;
        if Instant::now() >= visit.deadline {
            // What was wrong before says more than that this attempt was cut short.
            return Err(known.unwrap_or(verdict));
        }
        let pause = timing::retry_after(failures, 0.5).min(timing::UPSTREAM_PAUSE);
        if !verdict.try_again || Instant::now() + pause >= visit.deadline {
            return Err(verdict);
        }
        if failures == 1 {
            // A client that gives up before the bridge does leaves no other trace of the cause.
            warn!(upstream.addr = %endpoint, why = %verdict.refusal, "upstream is in trouble and tried again");
        } else {
            debug!(failures, upstream.addr = %endpoint, why = %verdict.refusal, "upstream is tried again");
        }
        sleep(pause).await;
        known = Some(verdict);
    }
}

async fn attempt<P: Protocol>(
    permit: &Permit,
    access: &Access,
    visit: &Visit,
    house: &House,
    (provider, endpoint): (&Provider, &Endpoint),
    record: &mut Record,
) -> Result<Upstream, Verdict> {
    let acquaintance = &house.promises.acquaintance;
    let known = acquaintance.with(P::KIND, endpoint, permit.mailbox());
    let relied = known.is_some();
    let mut dialogue = P::upstream(UpstreamLogin {
        mechanism: provider.mechanism,
        response: sasl::response(provider.mechanism, permit.user(), &access.token),
        access_token: access.token.clone(),
        introduced_as: visit.introduced_as.clone(),
        starttls: endpoint.tls == UpstreamTls::StartTls,
        known,
    });
    let deadline = visit.deadline.min(Instant::now() + timing::UPSTREAM_LOGIN);
    record.phase("upstream/dial");
    let mut dialled = false;
    let way = Way {
        names: &house.names,
        trust: &provider.trust,
        proxy: provider.proxy.as_deref(),
        limit: house.timing.connect_timeout,
        deadline,
    };
    let began = Instant::now();
    let outcome = match timeout_at(deadline, converse(&mut dialogue, endpoint, way, &mut dialled)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::Rejected(too_slow(dialogue.phase(), began.elapsed()))),
    };
    match outcome {
        Ok((conn, welcome)) => {
            if let Some(found) = &welcome.capabilities {
                let broken = house.promises.learn::<P>(endpoint, &visit.promised, found);
                if !broken.is_empty() {
                    warn!(upstream.addr = %endpoint, promised = ?broken, "upstream lacks what clients were promised");
                }
            }
            if let Some(learned) = dialogue.learned() {
                acquaintance.keep(P::KIND, endpoint, permit.mailbox(), learned);
            }
            Ok(Upstream { conn, welcome })
        }
        Err(Trouble::Rejected(Rejected { failure, said })) => {
            if relied {
                // Perhaps it is not as it was.
                acquaintance.forget(P::KIND, endpoint, permit.mailbox());
            }
            if dialled {
                record.phase(format!("upstream/{}", dialogue.phase()));
            }
            debug!(failure = failure.name(), said = scrubbed(&said), "upstream did not let us in");
            let endpoint = endpoint.to_string();
            let is_delegated = permit.account().grant.is_delegated();
            let asked = Asked { endpoint: &endpoint, mailbox: permit.mailbox(), is_delegated };
            Err(rejected(asked, failure, &said).knowing(asked, &access.token, P::KIND))
        }
        Err(Trouble::Dial(error)) => Err(undialled(&error)),
    }
}

enum Trouble {
    Dial(DialError),
    Rejected(Rejected),
}

async fn converse(
    dialogue: &mut impl UpstreamDialogue,
    endpoint: &Endpoint,
    way: Way<'_>,
    dialled: &mut bool,
) -> Result<(Conn, Welcome), Trouble> {
    let mut conn = dial::dial(endpoint, way).await.map_err(Trouble::Dial)?;
    *dialled = true;
    let mut out = BytesMut::new();
    loop {
        let step = dialogue.advance(&mut conn.input, &mut out).map_err(Trouble::Rejected)?;
        let gone = |error: std::io::Error| Trouble::Rejected(silence(&format!("connection lost: {error}")));
        conn.send(&mut out).await.map_err(gone)?;
        match step {
            UpstreamStep::Ready(welcome) => return Ok((conn, welcome)),
            UpstreamStep::StartTls => {
                conn = dial::start_tls(conn, endpoint, way).await.map_err(Trouble::Dial)?;
                dialogue.tls_started();
            }
            UpstreamStep::NeedInput => {
                let read = conn.fill(usize::MAX).await.map_err(gone)?;
                trace!(bytes = read, phase = dialogue.phase(), "read from upstream");
                if read == 0 {
                    return Err(Trouble::Rejected(silence("it closed the connection")));
                }
            }
        }
    }
}

fn final_verdict(refusal: Refusal) -> Verdict {
    Verdict { refusal, token_may_help: false, try_again: false }
}
