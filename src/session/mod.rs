//! The story: one client from its connection to its last byte.
//!
//! `log_in` and `admit` are what this program does; everything else in the repository is a
//! footnote to them. Nothing here knows a word of any protocol: the rooms speak, the story decides
//! what happens next and how long it may take.
//!
//! What the types forbid: an access token for somebody whose password was not checked (it takes a
//! [`Permit`], which takes a [`Verified`](crate::account::Verified), which
//! only the check makes, or a [`Recognised`], which only an address of the mappings file makes); a packet to
//! the upstream for a stranger; a splice before the client was told that it is in.

mod acquaintance;
mod client;
mod entrance;
mod house;
mod ledger;
mod lobby;
mod promises;
mod record;
mod register;
mod upstream;
mod watched;

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use bytes::BytesMut;
use tokio::{net::TcpStream, sync::oneshot, time::Instant};
use tracing::{Instrument as _, info};

use crate::{
    account::{Claim, Recognised},
    dialogue::{ClientDialogue as _, Dismissal, Glance, Offer, Protocol, Watch, Welcome},
    failure::{Failure, Refusal},
    ids::{ClientAddr, SessionId},
    net::{
        conn::{Conn, Stream},
        splice::{Carried, End, Side, splice},
    },
    policy::{Permit, access},
    sasl::Credentials,
};

use client::{Client, Shown};
use lobby::Seat;
use record::Record;
use watched::Guard;

pub use entrance::Entrance;
pub use house::{House, Provider};
pub use ledger::{Entry, LastFailure, Ledger};
pub use lobby::{Lobby, Place};
pub use promises::Promises;
pub use record::{Closed, Interrupted, Why};
pub use register::{Came, LOGIN_OK, MINUTES, Minute, Present, Register, Totals, Trouble};

/// What a client reads in the place of a greeting that there is no room for.
#[must_use]
pub fn dismissal<P: Protocol>(reason: Dismissal, house: &House) -> BytesMut {
    let mut words = BytesMut::new();
    P::client(Offer::default(), house.limits.ceilings()).dismiss(reason, &mut words);
    words
}

/// A session, from its greeting to its last byte.
pub type Session = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one client until either side is done, and writes the closing line: where it only looks whether
/// somebody is there, for those alone who look closely.
pub fn attend<P: Protocol>(
    stream: TcpStream,
    peer: SocketAddr,
    id: SessionId,
    entrance: Entrance,
    house: Arc<House>,
    looks: bool,
) -> Session {
    let from = ClientAddr::new(peer);
    let came = Came { protocol: P::KIND, client: from };
    let mut record = Record::open(looks, id, came, &house.register);
    record.came_by(entrance.line());
    // A balancer that looks at the port stands for none of its clients.
    let recognised = access::recognise(&house.accounts, P::KIND, from).filter(|_| !looks);
    let visitor = Box::new((Stream::Plain(stream), entrance, from, recognised));
    Box::pin(async move {
        let result = serve::<P>(visitor, &house, &mut record).await;
        record.close(result);
    })
}

/// Who has come: by which line, from where, and whether that is an account's own address.
type Visitor = (Stream, Entrance, ClientAddr, Option<Recognised>);

/// What is idle for hours is this and what it waits for, so that everything large stands in a box of its own, which is
/// gone when its step is done: the login, and what the splice was made from.
async fn serve<P: Protocol>(
    visitor: Box<Visitor>,
    house: &House,
    record: &mut Record,
) -> Result<Closed, Interrupted> {
    let span = record.span();
    let logged_in = Box::pin(log_in::<P>(unboxed(visitor), house, record)).instrument(span).await?;
    match logged_in {
        Ok(ends) => relay::<P>(ends, house, record).await,
        Err(closed) => Ok(closed),
    }
}

/// Frees a box at once: what is moved out of one leaves it standing empty until the end of its scope.
#[expect(clippy::boxed_local, reason = "that it is dropped here is the point")]
fn unboxed<T>(content: Box<T>) -> T {
    *content
}

/// From the greeting to a client and an upstream that only want their bytes carried.
async fn log_in<P: Protocol>(
    (stream, entrance, from, recognised): Visitor,
    house: &House,
    record: &mut Record,
) -> Result<Result<Box<Ends>, Closed>, Interrupted> {
    let mut client = Client::<P>::greet(stream, entrance, recognised.as_ref(), house).await?;
    while let Some(shown) = client.next_shown(house).await? {
        record.credentials_shown(client.tls_version());
        let visit = client.visit(from, house);
        let admitting = Box::pin(admit::<P>(shown, recognised.as_ref(), visit, house, record));
        let Some(admitted) = house.draining.run_until_cancelled(admitting).await else {
            return Err(client.send_away_for_shutdown().await);
        };
        match admitted {
            Ok(Admitted { upstream: Upstream { conn: upstream, welcome }, seat }) => {
                let client = client.accept(&welcome).await?;
                let ended = record.logged_in(house);
                let account = record.account().filter(|account| !account.rules.senders.is_empty());
                let watch = account.and_then(|_| P::watch(&welcome, house.limits.ceilings()));
                return Ok(Ok(Box::new(Ends { client, upstream, watch, ended, seat })));
            }
            Err(refusal) => {
                record.refused(&refusal, house);
                if !client.reject(&refusal, house).await? {
                    return Ok(Err(Closed::Refused));
                }
            }
        }
    }
    Ok(Err(Closed::Left))
}

/// One login attempt's circumstances.
#[derive(Debug)]
struct Visit {
    /// Where the client connects from.
    from: ClientAddr,
    /// How it called itself.
    introduced_as: String,
    /// What it was promised about the upstream.
    promised: crate::dialogue::Capabilities,
    /// When the password must have been checked; after that, when the client must have its answer.
    deadline: Instant,
}

/// An upstream that has accepted the access token.
#[derive(Debug)]
struct Upstream {
    conn: Conn,
    welcome: Welcome,
}

/// A client and an upstream that only want their bytes carried, who reads along with them, and who may end it.
struct Ends {
    client: Conn,
    upstream: Conn,
    watch: Option<Box<dyn Watch>>,
    ended: oneshot::Receiver<Why>,
    /// Free again when the session has ended.
    seat: Seat,
}

/// A login that was let in: its upstream, and its seat among the sessions of its account.
#[derive(Debug)]
struct Admitted {
    upstream: Upstream,
    seat: Seat,
}

/// From what a client has shown to an authenticated upstream.
async fn admit<P: Protocol>(
    shown: Shown,
    recognised: Option<&Recognised>,
    visit: Visit,
    house: &House,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    match (shown, recognised) {
        (Shown::Credentials(shown), _) => admit_login::<P>(shown, visit, house, record).await,
        (Shown::Address(sender), Some(recognised)) => {
            let admitted = admit_address::<P>(recognised, &sender, visit, house, record).await;
            admitted.map_err(Refusal::for_the_log_alone)
        }
        // No room asks for what was not offered.
        (Shown::Address(_), None) => Err(Failure::BadCredentials.into()),
    }
}

/// From an address that is known to an authenticated upstream.
async fn admit_address<P: Protocol>(
    recognised: &Recognised,
    sender: &str,
    visit: Visit,
    house: &House,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    record.phase("verify");
    record.recognised(recognised);
    house.lobby.may_try(visit.from, &house.limits)?;
    let latest = Arc::clone(&house.roll.borrow());
    let permit = access::admit_recognised(recognised, &latest, P::KIND, visit.from, sender)?;
    reach::<P>(&permit, &visit, house, record).await
}

/// From a shown password to an authenticated upstream, or a refusal that is remembered of where it came from.
async fn admit_login<P: Protocol>(
    shown: Credentials,
    visit: Visit,
    house: &House,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    record.phase("verify");
    let (from, tried) = (visit.from, house.lobby.tried(&shown));
    let claim = Claim::new(&house.accounts, shown);
    record.claimed(&claim);
    house.lobby.may_try(from, &house.limits)?;
    let opened = open::<P>(claim, visit, house, record).await;
    let failure = opened.as_ref().err().map(|refusal| refusal.failure);
    house.lobby.judged(from, tried, failure, &house.limits);
    opened
}

/// From a claim to its mailbox: what this program is for.
async fn open<P: Protocol>(
    claim: Claim,
    mut visit: Visit,
    house: &House,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    let (claim, denied) = access::screen(claim, P::KIND, visit.from);
    record.denied(denied);
    let verified = house.verifier.verify(claim, visit.deadline).await?;
    record.verified(&verified);
    // Time lost in the queue for the check is not the authority's to make up for.
    visit.deadline = Instant::now() + house.timing.login_timeout;
    let permit = access::admit(&verified, P::KIND)?;
    reach::<P>(&permit, &visit, house, record).await
}

/// From leave to open a mailbox to an upstream that has opened it.
async fn reach<P: Protocol>(
    permit: &Permit,
    visit: &Visit,
    house: &House,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    record.permitted(permit);
    let seat = house.lobby.seat(permit, visit.from, &house.limits)?;
    record.phase("token");
    let access = house.tokens.access_token(permit, visit.deadline).await?;
    let verdict = match upstream::log_in::<P>(permit, &access, visit, house, record).await {
        Ok(upstream) => return Ok(Admitted { upstream, seat }),
        Err(verdict) => verdict,
    };
    if !verdict.token_may_help {
        return Err(verdict.refusal);
    }
    record.phase("renew");
    let Some(access) = house.tokens.renew(permit, &access, visit.deadline).await? else {
        return Err(verdict.refusal);
    };
    info!(mailbox = permit.mailbox(), "access token rejected and renewed");
    let upstream = upstream::log_in::<P>(permit, &access, visit, house, record).await;
    upstream.map(|upstream| Admitted { upstream, seat }).map_err(|verdict| verdict.refusal)
}

/// Carries bytes until both sides are done, or somebody ends it.
async fn relay<P: Protocol>(
    ends: Box<Ends>,
    house: &House,
    record: &mut Record,
) -> Result<Closed, Interrupted> {
    let Ends { client, upstream, watch, ended, seat: _seat } = unboxed(ends);
    record.phase("relay");
    let mut carried = Carried::default();
    let noted = &*record;
    let mut look = Glance::default();
    let glance = |chunk: &[u8]| {
        if let Some(remark) = look.at::<P>(chunk) {
            noted.remarked(remark, house);
        }
    };
    let idle = house.timing.idle_timeout;
    // Each may be dropped where it stands: what a splice has carried is counted as it goes.
    let end = if let Some((watch, account)) = watch.zip(noted.account()) {
        let guard = Guard { watch, account, record: noted, house, line: house.limits.line };
        let watching = watched::relay(client, upstream, idle, &mut carried, glance, guard);
        unless_ended(Box::pin(watching), ended).await.flatten()
    } else {
        let splicing = splice(side(client), side(upstream), idle, &mut carried, glance);
        unless_ended(Box::pin(splicing), ended).await.and_then(end_of_splice)
    };
    record.carried(carried);
    end.map_err(Interrupted::relay)
}

fn side(conn: Conn) -> Side<Stream> {
    let (stream, early) = conn.into_parts();
    Side { stream, early }
}

/// What comes of carrying bytes, unless somebody ends it before.
async fn unless_ended<T>(
    mut carrying: Pin<Box<impl Future<Output = T>>>,
    mut ended: oneshot::Receiver<Why>,
) -> Result<T, Why> {
    tokio::select! {
        end = &mut carrying => Ok(end),
        Ok(why) = &mut ended => Err(why),
    }
}

fn end_of_splice(end: End) -> Result<Closed, Why> {
    match end {
        End::Finished => Ok(Closed::Spliced),
        End::Idle => Err(Why::Idle),
        End::Client(error) => Err(Why::ClientGone(error)),
        End::Upstream(error) => Err(Why::UpstreamGone(error)),
    }
}

/// The permit's upstream, or why there is none.
fn endpoint_missing(permit: &Permit, provider: &str, kind: crate::ids::ProtocolKind) -> Refusal {
    let cause = format!("provider {provider} of account {} has no {kind} host", permit.account().name());
    Refusal::explained(
        Failure::NotPermitted,
        crate::failure::Explanation::new(cause, "name one in the configuration"),
    )
}
