//! `footbridge reload`: what SIGHUP does, with the answer on the terminal.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use super::{
    beside::{Beside, Unanswered},
    block_on, check, fail,
};
use crate::{
    app::{Changes, Declined},
    config,
};

/// How long a reload may take. The bridge itself gives up before.
const PATIENCE: Duration = Duration::from_secs(70);

/// Has the running bridge read its files again, and says on stdout what has changed, or on stderr every
/// mistake in them. The files are those that the bridge was started with.
pub(super) fn run(path: &Path) -> ExitCode {
    let state_dir = match config::state_dir(path) {
        Ok(state_dir) => state_dir,
        Err(mistakes) => {
            check::report(&mistakes);
            return ExitCode::FAILURE;
        }
    };
    let beside = Beside::of(&state_dir).with_patience(PATIENCE);
    match block_on(beside.post::<Changes>("/reload", &())) {
        Ok(Ok(changes)) => {
            for warning in &changes.warnings {
                eprintln!("{warning}");
            }
            let _ = writeln!(io::stdout(), "{changes}");
            ExitCode::SUCCESS
        }
        Ok(Err(Unanswered::Declined(Declined { cause, .. }))) => {
            eprintln!("{cause}\n\nnot reloaded: the running bridge keeps the configuration that it has");
            ExitCode::FAILURE
        }
        Ok(Err(unanswered)) => fail(&unanswered),
        Err(error) => fail(&error),
    }
}
