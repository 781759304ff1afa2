//! `footbridge healthcheck`: does a bridge serve?

use std::{path::Path, process::ExitCode, time::Duration};

use super::{beside::Beside, block_on, check, fail};
use crate::{app::Health, config};

/// How long the bridge may take. Whoever runs health checks has a patience of their own, of 30 seconds at
/// Docker, and wants to hear why.
const PATIENCE: Duration = Duration::from_secs(5);

/// Succeeds where the bridge of the configuration's state folder is ready. Nothing else of the
/// configuration is looked at: it may be in the middle of a change, which the running bridge has not
/// taken up.
pub(super) fn run(path: &Path) -> ExitCode {
    let state_dir = match config::state_dir(path) {
        Ok(state_dir) => state_dir,
        Err(mistakes) => {
            check::report(&mistakes);
            return ExitCode::FAILURE;
        }
    };
    match block_on(Beside::of(&state_dir).with_patience(PATIENCE).get("/health")) {
        Ok(Ok(Health { ready: true })) => ExitCode::SUCCESS,
        Ok(Ok(Health { ready: false })) => fail(&"the bridge is draining: it stops"),
        Ok(Err(unanswered)) => fail(&unanswered),
        Err(error) => fail(&error),
    }
}
