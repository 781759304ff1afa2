//! What one mail program is asked to do, and where it finds what it needs for that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{self, run_with};

/// The name by which every program knows the bridge; its certificate has it.
pub const HOST: &str = "localhost";

/// The address that mail comes from.
pub const SENDER: &str = "sender@example.test";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Imap,
    Pop3,
    Smtp,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Imap, Self::Pop3, Self::Smtp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}

/// How a listener is protected. Its programs accept nothing less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::enum_variant_names, reason = "STARTTLS is its name")]
pub enum Tls {
    None,
    StartTls,
    Implicit,
}

impl Tls {
    pub const ALL: [Self; 3] = [Self::None, Self::StartTls, Self::Implicit];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// One login of one program.
pub struct Errand<'a> {
    /// A folder of this errand alone.
    pub dir: PathBuf,
    pub protocol: Protocol,
    pub tls: Tls,
    pub port: u16,
    /// The only authority whose certificates are to be believed.
    pub ca: &'a Path,
    pub login: &'a str,
    pub password: &'a str,
    /// Whom a message is sent to.
    pub mailbox: &'a str,
    /// What is to be sent, or what lies in the mailbox.
    pub message: &'a [u8],
}

/// What a program did, or why it did not.
pub type Done<T> = Result<T, String>;

impl Errand<'_> {
    /// A mail program that finds no home but the errand's folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = clients::command(program);
        command.env("HOME", &self.dir).env("TMPDIR", &self.dir).current_dir(&self.dir);
        command
    }

    /// Writes a file that nobody else may read, as some programs want their configuration to be.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// An empty maildir.
    pub fn maildir(&self, name: &str) -> PathBuf {
        let maildir = self.dir.join(name);
        for folder in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(folder)).unwrap();
        }
        maildir
    }

    /// The port as text.
    pub fn port(&self) -> String {
        self.port.to_string()
    }
}

/// Runs a program that ends with 0 when it has done its work, and returns what it printed.
pub fn finish(command: &mut Command, input: &[u8]) -> Done<Vec<u8>> {
    let outcome = run_with(command, input);
    if outcome.code == 0 { Ok(outcome.stdout) } else { Err(outcome.to_string()) }
}

/// Runs a program that leaves what it fetched in a file.
pub fn finish_with(target: &Path, command: &mut Command) -> Done<Vec<u8>> {
    let said = finish(command, b"")?;
    fs::read(target).map_err(|error| format!("{error}\n{}", String::from_utf8_lossy(&said)))
}

/// Runs a program that leaves what it fetched in a maildir.
pub fn finish_in(maildir: &Path, command: &mut Command) -> Done<Vec<u8>> {
    let outcome = run_with(command, b"");
    let files: Vec<PathBuf> = ["cur", "new"]
        .iter()
        .flat_map(|folder| fs::read_dir(maildir.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    match (outcome.code, files.as_slice()) {
        (0, [file]) => Ok(fs::read(file).unwrap()),
        (_, files) => Err(format!("{} messages here; {outcome}", files.len())),
    }
}

/// Puts between quotes, with a backslash before what would end or change them.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
