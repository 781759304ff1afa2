//! `footbridge schema`: what an editor needs to complete the configuration and to mark mistakes in it.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use super::fail;
use crate::config::{Described, json_schema};

/// Prints the JSON Schema of a file on stdout.
#[must_use]
pub(super) fn run(file: Described) -> ExitCode {
    match writeln!(io::stdout(), "{:#}", json_schema(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot print the schema: {error}")),
    }
}
