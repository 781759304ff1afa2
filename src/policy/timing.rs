//! Every duration, and when a token is renewed or asked for again.

use std::time::Duration;

/// The durations of the `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From connect to credentials, again for the check of the password, and again from there to an
    /// open mailbox.
    pub login_timeout: Duration,
    /// Without a byte in either direction after the login. Above IDLE's half hour (RFC 2177).
    pub idle_timeout: Duration,
    /// For one attempt at a TCP connection and its TLS handshake. Less than [`UPSTREAM_LOGIN`].
    pub connect_timeout: Duration,
    /// For sessions after their login, from the signal to stop until they are cut.
    pub drain_grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            login_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(35),
            connect_timeout: Duration::from_secs(10),
            // Container engines kill ten seconds after asking; sockets and logs want a moment too.
            drain_grace: Duration::from_secs(8),
        }
    }
}

/// How long a mailbox is not asked again what its server can. Servers are updated under their mailboxes; a client that
/// is told of something new an hour late has lost nothing.
pub const ACQUAINTANCE: Duration = Duration::from_hours(1);

/// One request to the authority, from connect to the end of the answer. Entra answers in well under
/// a second; whoever takes longer than this has lost the request.
pub const TOKEN_REQUEST: Duration = Duration::from_secs(20);

/// How long a bridge that stops waits for refreshes in flight: two requests, for a secret that is rolled
/// over, and the disk.
pub const LAST_REFRESH: Duration = Duration::from_secs(45);

/// How long a login waits for a fresher token while the one at hand is good: long enough for a
/// healthy authority, too short for a person to notice with a sick one.
pub const FRESHEN_WAIT: Duration = Duration::from_secs(3);

/// What a token is taken to live at least: an authority that says less would be asked by every login.
pub const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);

/// What a token is taken to live at most. Entra's longest are of 28 hours; more is a mistake, and
/// time would overflow.
pub const LONGEST_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// The least life that a token of this lifetime must have left to be handed out at all. Covers clocks
/// that disagree and the upstream's own check, as far as so short a life allows.
#[must_use]
pub fn least_life(lifetime: Duration) -> Duration {
    Duration::from_secs(5).min(lifetime / 10)
}

/// How soon after a failed attempt a new login may cause another: temporary failures are not
/// remembered, and a thousand logins must not make a thousand requests.
pub const NEW_LOGIN_ASKS: Duration = Duration::from_secs(1);

/// How long a permanent refusal of the authority is repeated without asking again, from the second
/// identical answer on: a client that retries in a loop must not hammer the authority.
pub const REFUSAL_REMEMBERED: Duration = Duration::from_secs(5);

/// How often a token is replaced because an upstream rejected it for one and the same user, at most.
/// An upstream that rejects every token for a reason of its own must not cost a token each time.
pub const REJECTION_RENEWAL: Duration = Duration::from_mins(5);

/// The same for all users together: a token that is really revoked is replaced soon, however many
/// mailboxes have troubles of their own.
pub const REJECTION_PAUSE: Duration = Duration::from_secs(10);

/// The longest that anybody rests after a failed attempt.
pub const LONGEST_REST: Duration = Duration::from_mins(5);

/// How far the clock may go back without anybody minding: what time services correct in daily life.
pub const CLOCK_SLACK: Duration = Duration::from_mins(1);

/// How long after its last use a token is still renewed in the background.
pub const USED_LATELY: Duration = Duration::from_hours(24);

/// How long after it was obtained a token that nobody uses is renewed all the same, where its refresh
/// token would lapse. Entra's lapse after 90 days without use, Google's after six months.
pub const IDLE_RENEWAL: Duration = Duration::from_hours(7 * 24);

/// When an authority that wants a person's consent, for a reason that nobody knows, is asked again.
pub const DOUBTFUL_CONSENT_ASKED_AGAIN: Duration = Duration::from_hours(1);

/// How long a person has to consent in the browser before the attempt is over.
pub const CONSENT: Duration = Duration::from_mins(15);

/// The longest pause between two questions whether a person has entered a device code, whatever the
/// authority asks for: a person waits for the answer.
pub const LONGEST_POLL: Duration = Duration::from_mins(1);

/// How long the slot of a shown password is kept after its token has expired or was refused.
pub const RELEASED_SLOT_IDLE: Duration = Duration::from_mins(10);

/// The longest that the keeper sleeps: machines are suspended, and timers sleep with them.
pub const KEEPER_WAKES: Duration = Duration::from_secs(30);

/// One attempt to log in to an upstream, from its name lookup to its welcome. Exchange Online takes a
/// second; a front end that is silent for this long is better asked again.
pub const UPSTREAM_LOGIN: Duration = Duration::from_secs(25);

/// How long a test message is waited for. Most arrive within seconds; one that is looked into on its way may take
/// minutes, and is better traced than waited for.
pub const ARRIVAL: Duration = Duration::from_mins(2);

/// The longest pause between two such attempts for one waiting login.
pub const UPSTREAM_PAUSE: Duration = Duration::from_secs(5);

/// How long a load balancer may take to send its PROXY header, which stands in its first packet.
pub const PROXY_HEADER: Duration = Duration::from_secs(5);

/// How long a reply to a client may take to be sent before its login. A client that does not listen
/// is not waited for.
pub const REPLY: Duration = Duration::from_secs(10);

/// How long a last word may take, and what the client still sends then to be read.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// How long after it was obtained a token of this lifetime is renewed in the background: between
/// 40 and 50 per cent of its life, so that a login gets one with at least half its life left, and
/// spread by `chance` (0 to 1) so that many bridges do not knock together. Never sooner than two
/// seconds: tokens that live shorter are asked for when they are needed.
#[must_use]
pub fn renew_after(lifetime: Duration, chance: f64) -> Duration {
    lifetime.mul_f64(0.4 + 0.1 * chance.clamp(0.0, 1.0)).max(Duration::from_secs(2))
}

/// Within what time the tokens that are overdue at a start are renewed: half a minute, or a tenth of a
/// token's life where that is less.
#[must_use]
pub fn restart_spread(lifetime: Duration) -> Duration {
    (lifetime / 10).min(Duration::from_secs(30))
}

/// How long to wait before the attempt that follows `failures` failed ones in a row: a quarter of a
/// second at first, doubled up to half a minute, and a quarter more or less by `chance` (0 to 1).
#[must_use]
pub fn retry_after(failures: u32, chance: f64) -> Duration {
    let doubled = Duration::from_millis(250).saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(Duration::from_secs(30)).mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0))
}

/// The same for a renewal that nobody waits for: up to five minutes.
#[must_use]
pub fn background_retry_after(failures: u32, chance: f64) -> Duration {
    let doubled = Duration::from_secs(2).saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.mul_f64(0.75 + 0.25 * chance.clamp(0.0, 1.0)).min(LONGEST_REST)
}

/// What an authority's `Retry-After` is cut to: an answer of a day would outlive the trouble.
#[must_use]
pub fn obeyed_retry_after(asked: Duration) -> Duration {
    asked.min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_half_its_life_is_over() {
        let hour = Duration::from_hours(1);
        assert_eq!(renew_after(hour, 0.0), Duration::from_mins(24));
        assert!(renew_after(hour, 1.0) <= hour / 2);
    }

    #[test]
    fn retries_back_off_to_half_a_minute() {
        let waits: Vec<u64> =
            (1..=9).map(|n| u64::try_from(retry_after(n, 0.5).as_millis()).unwrap()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(retry_after(u32::MAX, 1.0), Duration::from_millis(37_500));
    }
}
