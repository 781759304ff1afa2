//! What a monitoring system is told, in the text format of Prometheus.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::ids::AppName;

/// When the secret or certificate of each app ends, as far as that is known.
pub(super) fn text(ends: &[(AppName, SystemTime)]) -> String {
    let family = Family::<[(&'static str, String); 1], Gauge>::default();
    for (app, at) in ends {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        family.get_or_create(&[("app", app.to_string())]).set(seconds);
    }
    let mut registry = Registry::default();
    registry.register(
        "footbridge_credential_expires_timestamp_seconds",
        "When the secret or certificate of an app ends, in seconds since 1970",
        family,
    );
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_of_a_credential_is_a_time_that_an_alert_can_be_set_on() {
        let text = text(&[(AppName::new("contoso"), UNIX_EPOCH + Duration::from_secs(1_800_000_001))]);
        let line = "footbridge_credential_expires_timestamp_seconds{app=\"contoso\"} 1800000001";
        assert!(text.lines().any(|known| known == line), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
