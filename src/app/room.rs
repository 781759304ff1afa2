//! Room for connections: each takes descriptors, of which the system allows a number.

use tracing::{info, warn};

use crate::{
    net::descriptors,
    policy::throttle::{MOST_BY_DEFAULT, connections_for, descriptors_for},
};

/// The limit on open files that most systems begin with.
const USUAL: u64 = 1024;

/// Raises the limit on open files for as many connections as are wanted. Returns how many there may be
/// where nobody says.
pub(super) fn make(wanted: Option<usize>) -> usize {
    let descriptors = match descriptors::raise(descriptors_for(wanted.unwrap_or(MOST_BY_DEFAULT))) {
        Ok(descriptors) => descriptors,
        Err(error) => {
            warn!(%error, "cannot read or raise the limit on open files");
            USUAL
        }
    };
    let room = connections_for(descriptors);
    if let Some(wanted) = wanted.filter(|wanted| *wanted > room) {
        let needed = descriptors_for(wanted);
        warn!(
            cause = format!("max_connections is {wanted}, and the limit on open files has room for {room}"),
            cure = format!("set LimitNOFILE={needed} (systemd) or ulimit -n {needed}, or lower it"),
            "configuration"
        );
    }
    let by_default = room.min(MOST_BY_DEFAULT);
    info!(connections = wanted.unwrap_or(by_default), descriptors, "room for connections");
    by_default
}
