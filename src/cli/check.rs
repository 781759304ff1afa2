//! `footbridge check`: is the configuration right, without asking the network?

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use crate::config::{self, Loaded, Mistakes};

/// Reads the configuration and says on stdout what it holds, or on stderr every mistake in it.
/// Warnings go to stderr too and do not change the exit code.
#[must_use]
pub fn run(path: &Path) -> ExitCode {
    match config::load(path) {
        Ok(loaded) => {
            for warning in loaded.warnings() {
                eprintln!("{warning}");
            }
            // A reader that has left does not make the configuration wrong.
            let _ = writeln!(io::stdout(), "{}", summary(path, &loaded));
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            report(&mistakes);
            ExitCode::FAILURE
        }
    }
}

/// Prints every mistake on stderr, and how many there are.
pub fn report(mistakes: &Mistakes) {
    let (errors, all) = (mistakes.errors(), mistakes.iter().count());
    let warnings = match all - errors {
        0 => String::new(),
        warnings => format!(", {}", count(warnings, "warning")),
    };
    eprintln!("{mistakes}\n\n{}{warnings}", count(errors, "mistake"));
}

/// Prints every mistake, and says in a word why the command ends.
pub(super) fn reported(mistakes: &Mistakes) -> String {
    report(mistakes);
    "the configuration has mistakes".to_owned()
}

fn summary(path: &Path, loaded: &Loaded) -> String {
    let listeners: Vec<_> = loaded
        .listeners()
        .iter()
        .map(|listener| format!("{} on {}", listener.protocol, listener.bind))
        .collect();
    let apps: Vec<_> = loaded.apps().iter().map(|app| app.name.as_str()).collect();
    let lines = [
        format!("{}: no mistakes", path.display()),
        format!("{}: {}", count(listeners.len(), "listener"), listeners.join(", ")),
        format!("{}: {}", count(apps.len(), "app"), apps.join(", ")),
        count(loaded.account_count(), "account"),
    ];
    lines.join("\n")
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_in_words() {
        assert_eq!(count(0, "app"), "0 apps");
        assert_eq!(count(1, "app"), "1 app");
        assert_eq!(count(2, "app"), "2 apps");
    }
}
