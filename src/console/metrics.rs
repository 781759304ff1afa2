//! What a monitoring system is told, in the text format of Prometheus.

use std::{
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::desk::Measures;

/// Labels, by their names.
type Labels<const N: usize> = [(&'static str, String); N];

/// Each metric's names begin with this.
const PREFIX: &str = "footbridge";

/// Writes everything that is measured.
pub(super) fn text(measures: &Measures) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    let mut book = Book(&mut registry);
    book.gauges(
        "build_info",
        "Which version runs",
        [([("version", env!("CARGO_PKG_VERSION").to_owned())], 1)],
    );
    book.gauge("start_timestamp_seconds", "When the bridge has started", seconds(measures.since));
    book.gauge("ready", "Whether clients are let in", i64::from(measures.ready));
    book.gauge(
        "connections",
        "Connections, those before their login among them",
        whole(measures.connections as u64),
    );
    let sessions = measures.sessions.iter().map(|(protocol, count)| (spoken(protocol), whole(*count)));
    book.gauges("sessions", "Sessions that are logged in", sessions);
    let accounts = measures.accounts.iter().map(|(state, count)| ([("token", state.clone())], whole(*count)));
    book.gauges("accounts", "Accounts, by how their token is", accounts);
    let ends = measures.credential_ends.iter().map(|(app, at)| ([("app", app.to_string())], seconds(*at)));
    let help = "When the secret or certificate of an app ends, in seconds since 1970";
    book.gauges("credential_expires_timestamp_seconds", help, ends);
    let connected = measures.connected.iter().map(|(protocol, count)| (spoken(protocol), *count));
    book.counters("accepted_connections", "Connections so far", connected);
    let logins = measures.logins.iter().map(|(protocol, outcome, count)| {
        ([("protocol", (*protocol).to_owned()), ("outcome", (*outcome).to_owned())], *count)
    });
    book.counters("logins", "Logins so far, by what came of them", logins);
    let carried = measures.carried.iter().flat_map(|(protocol, up, down)| {
        [("up", *up), ("down", *down)].map(|(direction, bytes)| {
            ([("protocol", (*protocol).to_owned()), ("direction", direction.to_owned())], bytes)
        })
    });
    book.counters(
        "carried_bytes",
        "Bytes that ended sessions have carried: up to upstreams, down to clients",
        carried,
    );
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

/// Where metrics are entered.
struct Book<'r>(&'r mut Registry);

impl Book<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: i64) {
        let gauge = <Gauge>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, i64)>,
    ) where
        Labels<N>: EncodeLabelSet,
    {
        let family = Family::<Labels<N>, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, u64)>,
    ) where
        Labels<N>: EncodeLabelSet,
    {
        let family = Family::<Labels<N>, Counter<u64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

fn spoken(protocol: &str) -> Labels<1> {
    [("protocol", protocol.to_owned())]
}

fn seconds(at: SystemTime) -> i64 {
    whole(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::AppName;

    #[test]
    fn everything_that_an_alert_can_be_set_on_is_told() {
        let text = text(&Measures {
            since: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            ready: true,
            connections: 7,
            connected: vec![("imap", 9), ("smtp", 0)],
            sessions: vec![("imap", 3)],
            logins: vec![("imap", "ok", 5), ("imap", "upstream_refused", 2)],
            carried: vec![("imap", 10, 4_000)],
            accounts: vec![("consent_needed".to_owned(), 1)],
            credential_ends: vec![(AppName::new("contoso"), UNIX_EPOCH + Duration::from_secs(1_800_000_001))],
        });
        let version = format!("footbridge_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        let lines = [
            version.as_str(),
            "footbridge_start_timestamp_seconds 1700000000",
            "footbridge_ready 1",
            "footbridge_connections 7",
            "footbridge_sessions{protocol=\"imap\"} 3",
            "footbridge_accounts{token=\"consent_needed\"} 1",
            "footbridge_credential_expires_timestamp_seconds{app=\"contoso\"} 1800000001",
            "footbridge_accepted_connections_total{protocol=\"smtp\"} 0",
            "footbridge_logins_total{protocol=\"imap\",outcome=\"upstream_refused\"} 2",
            "footbridge_carried_bytes_total{protocol=\"imap\",direction=\"down\"} 4000",
        ];
        for line in lines {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
