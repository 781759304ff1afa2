//! The door: hands over to [`footbridge::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    footbridge::cli::run()
}
