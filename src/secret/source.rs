//! Where a secret of the configuration is kept: environment, file, command or systemd credential.
//!
//! A source is read each time the secret is needed, so that a rotated secret is used without a
//! restart. One trailing line end is stripped, because editors and `echo` add one.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use super::Secret;

/// How long a command may take to print a secret: a vault over a slow line, not a person.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest secret that is read, in bytes. PEM chains stay below it by a factor of ten.
const LARGEST: u64 = 256 * 1024;

/// Looks up an environment variable: [`std::env::var_os`], or a table in a test.
pub type Environment<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// One place that a secret is read from, as `{ env = "…" }` and its siblings in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An environment variable of the bridge.
    Env(String),
    /// A file; the configuration has made the path absolute or relative to itself.
    File(PathBuf),
    /// A program and its arguments, run without a shell; its standard output is the secret.
    Command(Vec<String>),
    /// A systemd credential: a file of that name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Why a secret could not be read. The text names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The environment variable is not set, or not UTF-8.
    #[error("environment variable {0} is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The command could not be run, failed or took too long.
    #[error("command {command} {trouble}")]
    Command {
        /// The program, without its arguments, which may be confidential.
        command: String,
        /// What went wrong with it.
        trouble: String,
    },
    /// A credential was asked for outside a systemd unit that loads one.
    #[error("credential {0} was not handed over: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    /// There is a value, and it is empty.
    #[error("{0} is empty")]
    Empty(String),
}

impl Source {
    /// Reads the secret, running the command where the source is one.
    ///
    /// # Errors
    /// [`SourceError`] says which place could not be read and why.
    pub async fn read(&self) -> Result<Secret, SourceError> {
        match self {
            Self::Command(command) => self.finish(run(command).await?),
            Self::Env(_) | Self::File(_) | Self::Credential(_) => {
                self.read_without_commands(&|name| env::var_os(name))
            }
        }
    }

    /// Reads the secret unless the source is a command, which is only checked for having a program.
    /// Returns `None` for a command.
    ///
    /// `footbridge check` validates with this: it reads files and environment and runs nothing.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn probe(&self, environment: &Environment<'_>) -> Result<Option<Secret>, SourceError> {
        match self {
            Self::Command(command) if program(command).is_empty() => {
                Err(SourceError::Empty("command".to_owned()))
            }
            Self::Command(command) if !is_there(program(command), environment) => Err(SourceError::Command {
                command: program(command).to_owned(),
                trouble: "is not there".to_owned(),
            }),
            Self::Command(_) => Ok(None),
            Self::Env(_) | Self::File(_) | Self::Credential(_) => {
                self.read_without_commands(environment).map(Some)
            }
        }
    }

    /// Reads a file as a source would.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn read_file(path: &Path) -> Result<Secret, SourceError> {
        Self::File(path.to_owned()).finish(read_file(path)?)
    }

    fn read_without_commands(&self, environment: &Environment<'_>) -> Result<Secret, SourceError> {
        let bytes = match self {
            Self::Env(name) => environment(name)
                .and_then(|value| value.into_string().ok())
                .ok_or_else(|| SourceError::NoVariable(name.clone()))?
                .into_bytes(),
            Self::File(path) => read_file(path)?,
            Self::Credential(name) => {
                let folder = environment("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SourceError::NoCredentials(name.clone()))?;
                read_file(&Path::new(&folder).join(name))?
            }
            Self::Command(_) => Vec::new(),
        };
        self.finish(bytes)
    }

    fn finish(&self, mut bytes: Vec<u8>) -> Result<Secret, SourceError> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(SourceError::Empty(self.to_string()));
        }
        Ok(Secret::new(bytes))
    }
}

impl std::fmt::Display for Source {
    /// Names the place, for error texts.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(command) => write!(f, "command {}", program(command)),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

fn program(command: &[String]) -> &str {
    command.first().map_or("", String::as_str)
}

/// Whether a program can be found as the system will look for it: by its path, or in `PATH`. Without a
/// `PATH` the system has places of its own.
fn is_there(program: &str, environment: &Environment<'_>) -> bool {
    if program.contains(std::path::is_separator) {
        return Path::new(program).is_file();
    }
    let Some(folders) = environment("PATH") else { return true };
    env::split_paths(&folders).any(|folder| {
        let path = folder.join(program);
        path.is_file() || path.with_extension(env::consts::EXE_EXTENSION).is_file()
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, SourceError> {
    let unreadable = |error| SourceError::Unreadable { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // A pipe that nobody writes to would be waited for without end.
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    if metadata.len() > LARGEST {
        return Err(unreadable(io::Error::other(format!("larger than {LARGEST} bytes"))));
    }
    fs::read(path).map_err(unreadable)
}

async fn run(command: &[String]) -> Result<Vec<u8>, SourceError> {
    let trouble = |trouble: String| SourceError::Command { command: program(command).to_owned(), trouble };
    let mut child = Command::new(program(command))
        .args(command.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| trouble(format!("cannot be started: {error}")))?;
    let mut printed = Vec::new();
    let stdout = child.stdout.take();
    let finished = timeout(COMMAND_TIMEOUT, async {
        if let Some(stdout) = stdout {
            stdout.take(LARGEST).read_to_end(&mut printed).await?;
        }
        child.wait().await
    })
    .await
    .map_err(|_| trouble(format!("took longer than {} s", COMMAND_TIMEOUT.as_secs())))?
    .map_err(|error| trouble(format!("failed: {error}")))?;
    if finished.success() { Ok(printed) } else { Err(trouble(format!("failed with {finished}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Source {
        Source::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn one_trailing_line_end_is_stripped_and_no_more() {
        for (printed, expected) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), (" a ", " a ")]
        {
            let secret = command(&["printf", "%s", printed]).read().await.unwrap();
            assert_eq!(secret.expose(), expected.as_bytes(), "{printed:?}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_is_named_without_its_arguments() {
        let error = command(&["false", "hunter2"]).read().await.unwrap_err().to_string();
        assert!(error.starts_with("command false failed"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn an_empty_secret_is_an_error_that_names_the_place() {
        let error = command(&["true"]).read().await.unwrap_err().to_string();
        assert_eq!(error, "command true is empty");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "\n").unwrap();
        let error = Source::File(path.clone()).read().await.unwrap_err().to_string();
        assert_eq!(error, format!("file {} is empty", path.display()));
    }

    #[test]
    fn a_command_that_is_not_there_is_found_out_without_running_it() {
        let environment = |name: &str| (name == "PATH").then(|| env::var_os("PATH")).flatten();
        command(&["true", "x"]).probe(&environment).unwrap();
        for missing in ["no-such-program", "/no/such/program"] {
            let error = command(&[missing, "hunter2"]).probe(&environment).unwrap_err().to_string();
            assert_eq!(error, format!("command {missing} is not there"));
        }
    }

    #[test]
    fn probing_runs_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let touch = Source::Command(vec!["touch".to_owned(), trace.display().to_string()]);
        assert_eq!(touch.probe(&|_| None).unwrap(), None);
        assert!(!trace.exists());
    }
}
