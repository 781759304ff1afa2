//! Ceilings: on what a client may send before it has logged in, on connections, on logins that failed.
//!
//! [`Crowd`] counts connections, [`Strangers`] the failed logins of each address, [`Guesses`] the passwords that
//! an authority was asked about. Who is turned away, and when again not, is decided here; the counts are kept by who
//! asks.

mod crowd;
mod guesses;
mod strangers;

use std::{net::IpAddr, time::Duration};

use crate::dialogue::Ceilings;

pub use crowd::{Crowd, Crowded, Rarely, Session};
pub use guesses::{GUESS_WINDOW, GUESSES, Guess, Guesses};
pub use strangers::{Standing, Strangers, Tried};

/// Refused credentials on one connection before it is closed. RFC 3501 and RFC 4954 leave the number
/// to the server; a person mistypes twice, a program repeats itself.
pub const ATTEMPTS: u32 = 5;

/// The descriptors that are left for everything but mail sessions: listeners, the console, the control
/// socket, requests to authorities, the store, the log, and lookups of names.
const OTHER_DESCRIPTORS: u64 = 96;

/// The most connections where the configuration names no number, whatever the system allows: before
/// their login each can make the bridge keep some tens of kilobytes.
pub const MOST_BY_DEFAULT: usize = 10_000;

/// How many connections a process may serve that may open `descriptors` files: a session takes two, one
/// for the client and one for its upstream.
#[must_use]
pub fn connections_for(descriptors: u64) -> usize {
    let connections = (descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2).max(1);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The descriptors that so many connections take, with what everything else takes.
#[must_use]
pub fn descriptors_for(connections: usize) -> u64 {
    (connections as u64).saturating_mul(2).saturating_add(OTHER_DESCRIPTORS)
}

/// What clients may ask of the bridge, from the `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line. RFC 4954 §4 wants 12,288 octets for a line of an AUTH exchange.
    pub line: usize,
    /// Bytes of one IMAP literal: a username or a password.
    pub literal: usize,
    /// Bytes in all before a login.
    pub before_login_bytes: usize,
    /// Connections at the same time. Unset: as many as there are descriptors for, [`connections_for`].
    pub max_connections: Option<usize>,
    /// Connections of one address, or one /64 of IPv6, at the same time. Not for loopback.
    pub max_connections_per_client: usize,
    /// Sessions of one account with one mailbox at the same time. Unset: [`PER_ACCOUNT`], and any number from
    /// loopback.
    pub max_connections_per_account: Option<usize>,
    /// Different logins or passwords that fail from one address, or one /64, within the window; what comes then is
    /// not looked at. Not for loopback.
    pub auth_failures: usize,
    /// How long a failed login counts.
    pub auth_failure_window: Duration,
}

/// Sessions of one account with one mailbox from elsewhere than loopback. Mail programs open about five,
/// Exchange Server's own default is 16; beyond this something opens connections and forgets them.
pub const PER_ACCOUNT: usize = 50;

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 16 * 1024,
            literal: 8 * 1024,
            before_login_bytes: 64 * 1024,
            max_connections: None,
            // An office of fifty people behind one address, with five connections each.
            max_connections_per_client: 250,
            max_connections_per_account: None,
            // A person mistypes a few times, each time in another way, and there may be several behind an address.
            auth_failures: 20,
            auth_failure_window: Duration::from_mins(5),
        }
    }
}

impl Limits {
    /// What the protocol rooms have to enforce.
    #[must_use]
    pub fn ceilings(&self) -> Ceilings {
        /// Commands in error before a login: scanners and strayed protocols send many, mail
        /// programs a handful while they find out what the server can do.
        const ERRORS: u32 = 20;
        /// Commands before a login, the fine ones too. Mail programs send fewer than ten, and four more for
        /// each refused password; who sends a hundred wants something else than to log in.
        const COMMANDS: u32 = 100;
        Ceilings { line: self.line, literal: self.literal, errors: ERRORS, commands: COMMANDS }
    }

    /// Sessions of one account with one mailbox, for a client at `from`.
    #[must_use]
    pub fn per_account(&self, from: IpAddr) -> usize {
        let unset = if from.is_loopback() { usize::MAX } else { PER_ACCOUNT };
        self.max_connections_per_account.unwrap_or(unset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_two_descriptors_and_the_rest_of_the_bridge_some() {
        let cases = [(1024, 464), (4096, 2000), (40_096, 20_000), (97, 1), (0, 1)];
        for (descriptors, connections) in cases {
            assert_eq!(connections_for(descriptors), connections, "{descriptors}");
        }
        assert_eq!(connections_for(descriptors_for(464)), 464);
        assert_eq!(descriptors_for(usize::MAX), u64::MAX);
    }

    #[test]
    fn local_programs_may_open_any_number_of_sessions_unless_the_configuration_says_otherwise() {
        let (local, remote) = ("127.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let limits = Limits::default();
        assert_eq!((limits.per_account(local), limits.per_account(remote)), (usize::MAX, PER_ACCOUNT));
        let limits = Limits { max_connections_per_account: Some(3), ..limits };
        assert_eq!((limits.per_account(local), limits.per_account(remote)), (3, 3));
    }
}
