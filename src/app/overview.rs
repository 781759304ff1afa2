//! What the console shows, and monitoring is told.

use std::{collections::BTreeMap, net::SocketAddr, time::SystemTime};

use time::OffsetDateTime;

use super::{accounts::AccountRow, bridge::Bridge, expiry::credential_warning};
use crate::{
    account::{Account, Grant},
    clock::{ago, ahead, span},
    config::{self, TlsStart},
    console::{Attending, Failed, Listening, Measures, Minute, Overview, Row, Setting, Trouble, Ways},
    failure::Explanation,
    ids::{ProtocolKind, SessionId},
    oauth::Standing,
    policy::access,
    session,
};

/// The most sessions that are shown; a page of ten thousand shows nothing.
const SESSIONS: usize = 200;

/// How things are.
pub(super) fn overview(bridge: &Bridge) -> Overview {
    let (house, now) = (bridge.house(), bridge.clock.now());
    let ends = bridge.tokens.credential_ends();
    let warnings = ends.into_iter().filter_map(|(app, ends)| credential_warning(&app, ends, now));
    let doors = bridge.open_doors();
    let settings = |account: &Account| settings(account, &doors);
    let rows = bridge.rows_of(&house).into_iter().zip(house.accounts.iter());
    let (sessions, session_count) = house.register.present(SESSIONS);
    Overview {
        up: now.duration_since(bridge.since).unwrap_or_default(),
        listeners: doors.iter().map(|(addr, listener)| listening(*addr, listener)).collect(),
        accounts: rows.map(|(row, account)| in_words(row, settings(account), now)).collect(),
        warnings: warnings.collect(),
        connections: house.lobby.connections(),
        sessions: sessions.into_iter().map(|present| attending(present, now)).collect(),
        session_count,
        minutes: house.register.minutes().into_iter().map(minute).collect(),
        troubles: house.register.troubles().into_iter().map(|trouble| troubled(trouble, now)).collect(),
    }
}

/// A session after its login, among those that are shown or not.
pub(super) fn session(bridge: &Bridge, number: u64) -> Option<Attending> {
    let present = bridge.house().register.find(SessionId(number))?;
    Some(attending(present, bridge.clock.now()))
}

/// What is counted.
pub(super) fn measures(bridge: &Bridge) -> Measures {
    let house = bridge.house();
    let totals = house.register.totals();
    let sessions = house.register.present_by_protocol();
    let mut accounts: BTreeMap<String, u64> =
        Standing::ALL.into_iter().map(|standing| (standing.name().to_owned(), 0)).collect();
    for row in bridge.rows_of(&house) {
        *accounts.entry(row.state).or_default() += 1;
    }
    let each = ProtocolKind::ALL;
    let count = |counts: &std::collections::HashMap<ProtocolKind, u64>, kind: ProtocolKind| {
        (kind.name(), counts.get(&kind).copied().unwrap_or_default())
    };
    let carried = |kind: ProtocolKind| {
        let carried = totals.carried.get(&kind).copied().unwrap_or_default();
        (kind.name(), carried.up, carried.down)
    };
    let logins = totals.logins.iter().map(|((kind, outcome), count)| (kind.name(), *outcome, *count));
    Measures {
        since: bridge.since,
        ready: bridge.is_ready(),
        connections: house.lobby.connections(),
        connected: each.map(|kind| count(&totals.connections, kind)).to_vec(),
        sessions: each.map(|kind| count(&sessions, kind)).to_vec(),
        logins: logins.collect(),
        carried: each.map(carried).to_vec(),
        accounts: accounts.into_iter().collect(),
        credential_ends: bridge.tokens.credential_ends(),
    }
}

fn in_words(row: AccountRow, settings: Vec<Setting>, now: SystemTime) -> Row {
    let since = |at: OffsetDateTime| ago(at.into(), now);
    let is_well = row.is_well();
    let last_failure = row.last_failure.map(|last| Failed {
        when: last.at.map(since).unwrap_or_default(),
        why: Explanation::new(last.cause, last.cure),
    });
    let consent = [(Grant::AuthorizationCode, Ways::Both), (Grant::DeviceCode, Ways::Device)];
    let consent = consent.into_iter().find(|(grant, _)| grant.name() == row.grant).map(|(_, ways)| ways);
    Row {
        is_well,
        login: row.login,
        mailbox: row.mailbox.unwrap_or_else(|| "by login".to_owned()),
        app: row.app,
        grant: row.grant.replace('_', " "),
        state: state(&row.state).to_owned(),
        trouble: row.trouble,
        expires: row.expires_at.map(|at| ahead(at.into(), now)),
        last_login: row.last_login.map(since),
        last_failure,
        consent,
        settings,
    }
}

/// What the name of a [`Standing`] means.
fn state(name: &str) -> &str {
    let words = [
        (Standing::Ready, "ready"),
        (Standing::Unused, "not asked for yet"),
        (Standing::ConsentNeeded, "a person has to sign in"),
        (Standing::Failing, "failing"),
        (Standing::PerLogin, "by each login"),
    ];
    words.iter().find(|(standing, _)| standing.name() == name).map_or(name, |(_, words)| words)
}

/// What to type into a mail program for an account, for each listener that it may use.
fn settings(account: &Account, doors: &[(SocketAddr, config::Listener)]) -> Vec<Setting> {
    let open = doors.iter().filter(|(_, listener)| access::may_speak(account, listener.protocol));
    let setting = |(addr, listener): &(SocketAddr, config::Listener)| Setting {
        protocol: title(listener.protocol),
        server: server(*addr),
        port: addr.port(),
        encryption: encryption(listener),
    };
    open.map(setting).collect()
}

/// A host to type into a mail program: that of the listener, where it has one.
fn server(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        "the name or address of this machine".to_owned()
    } else {
        addr.ip().to_string()
    }
}

fn listening(addr: SocketAddr, listener: &config::Listener) -> Listening {
    let protocol = title(listener.protocol);
    Listening { protocol, address: addr.to_string(), encryption: encryption(listener) }
}

/// What mail programs call it.
fn encryption(listener: &config::Listener) -> &'static str {
    match listener.tls.as_ref().map(|tls| tls.start) {
        None => "none",
        Some(TlsStart::StartTls { .. }) => "STARTTLS",
        Some(TlsStart::Implicit) => "SSL/TLS",
    }
}

fn title(kind: ProtocolKind) -> &'static str {
    match kind {
        ProtocolKind::Imap => "IMAP",
        ProtocolKind::Smtp => "SMTP",
        ProtocolKind::Pop3 => "POP3",
    }
}

fn attending(present: session::Present, now: SystemTime) -> Attending {
    Attending {
        number: present.id.0,
        protocol: title(present.protocol),
        client: present.client.to_string(),
        account: present.account,
        mailbox: present.mailbox,
        lasts: span(now.duration_since(present.since).unwrap_or_default()),
    }
}

fn minute(minute: session::Minute) -> Minute {
    Minute { good: minute.good, refused: minute.refused }
}

fn troubled(trouble: session::Trouble, now: SystemTime) -> Trouble {
    Trouble {
        when: ago(trouble.at, now),
        times: trouble.times,
        protocol: title(trouble.came.protocol),
        client: trouble.came.client.ip().to_string(),
        login: trouble.login,
        failure: trouble.what,
        why: trouble.why,
    }
}
