//! `footbridge console`: a one-time link that signs in to the console of the running bridge.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use super::{beside::Beside, block_on, check, fail};
use crate::{app::ConsoleLink, config};

/// Prints the link on stdout, for a person or for a program that opens it.
pub(super) fn run(path: &Path) -> ExitCode {
    let state_dir = match config::state_dir(path) {
        Ok(state_dir) => state_dir,
        Err(mistakes) => {
            check::report(&mistakes);
            return ExitCode::FAILURE;
        }
    };
    match block_on(Beside::of(&state_dir).post::<ConsoleLink>("/console", &())) {
        Ok(Ok(ConsoleLink { url })) => {
            eprintln!("signs in once, within five minutes:");
            // A reader that has left has seen enough.
            let _ = writeln!(io::stdout(), "{url}");
            ExitCode::SUCCESS
        }
        Ok(Err(unanswered)) => fail(&unanswered),
        Err(error) => fail(&error),
    }
}
