//! Warnings of secrets and certificates that end soon: from 30 days before, once a day.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracing::warn;

use super::{accounts::written, bridge::Bridge};
use crate::{failure::Explanation, ids::AppName};

const DAY: Duration = Duration::from_hours(24);

/// How long before its end a credential is worth a word.
const AHEAD: Duration = Duration::from_hours(30 * 24);

impl Bridge {
    /// Warns every day, until the bridge stops.
    pub(super) fn watch_credentials(self: &Arc<Self>) {
        let bridge = Arc::clone(self);
        self.accepting.spawn(async move {
            loop {
                bridge.warn_of_credentials();
                let slept = bridge.stop.gently.run_until_cancelled(tokio::time::sleep(DAY)).await;
                if slept.is_none() {
                    return;
                }
            }
        });
    }

    /// Warns of every credential that ends soon or has ended.
    pub(super) fn warn_of_credentials(&self) {
        for (app, ends) in self.tokens.credential_ends() {
            if let Some(why) = credential_warning(&app, ends, self.clock.now()) {
                warn!(app = %app, cause = why.cause, cure = why.cure, "credential ends");
            }
        }
    }
}

/// What to say of a credential of an app that ends at `ends`, where that is soon or past.
#[must_use]
pub fn credential_warning(app: &AppName, ends: SystemTime, now: SystemTime) -> Option<Explanation> {
    let left = ends.duration_since(now);
    if left.as_ref().is_ok_and(|left| *left > AHEAD) {
        return None;
    }
    let date = written(ends).map(|ends| ends.date().to_string()).unwrap_or_default();
    let when = match left {
        Ok(left) => format!("ends on {date}, {}", days(left, "in", "within a day")),
        Err(past) => format!("has ended on {date}{}", days(past.duration(), ", since", "")),
    };
    let cure = format!(
        "create a new one at the app registration, name it in [app.{app}], and run `footbridge reload`"
    );
    Some(Explanation::new(format!("the secret or certificate of app {app} {when}"), cure))
}

fn days(span: Duration, before: &str, under_one: &str) -> String {
    match span.as_secs() / DAY.as_secs() {
        0 => under_one.to_owned(),
        1 => format!("{before} 1 day"),
        days => format!("{before} {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_worth_a_word_from_thirty_days_before_its_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000); // 2027-01-15, 08:00
        let warned = |ends| credential_warning(&AppName::new("contoso"), ends, now).map(|why| why.cause);
        assert_eq!(warned(now + 31 * DAY), None);
        let cases = [
            (now + 30 * DAY, "ends on 2027-02-14, in 30 days"),
            (now + DAY, "ends on 2027-01-16, in 1 day"),
            (now + DAY / 2, "ends on 2027-01-15, within a day"),
            (now - DAY / 4, "has ended on 2027-01-15"),
            (now - 3 * DAY, "has ended on 2027-01-12, since 3 days"),
        ];
        for (ends, expected) in cases {
            assert_eq!(warned(ends).unwrap(), format!("the secret or certificate of app contoso {expected}"));
        }
    }
}
