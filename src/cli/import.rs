//! `footbridge import`: from Email OAuth 2.0 Proxy to here.

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use zeroize::Zeroizing;

use super::{block_on, check, fail};
use crate::{
    account::hash,
    app,
    config::{
        self,
        import::{Asked, Imported, Note, translate},
    },
    failure::printable,
    secret::{Secret, generated},
};

/// More than any such file has: one of a thousand accounts with their tokens is a tenth of it.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How the passwords of logins are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passwords {
    /// They are not: each login gets a new one.
    Unknown,
    /// By standard input, as chpasswd(8) reads it.
    Piped,
    /// By who sits at the terminal.
    Asked,
}

/// Writes the configuration into a folder, and says on stdout line by line what changed.
#[must_use]
pub(super) fn run(file: &Path, out: &Path, force: bool, passwords: Passwords) -> ExitCode {
    match import(file, out, force, passwords) {
        Ok(exit) => exit,
        Err(trouble) => fail(&trouble),
    }
}

fn import(file: &Path, out: &Path, force: bool, passwords: Passwords) -> Result<ExitCode, String> {
    let text = read(file)?;
    let folder = folder_of(file)?;
    let logins = Logins::new(passwords)?;
    let asked = Asked {
        folder: &folder,
        password: &|login| logins.password(login),
        hash: &|login| logins.hash(login),
    };
    let imported = translate(&text, &asked);
    if imported.is_foreign {
        return Err(format!(
            "{} is no emailproxy.config: it has no [section]\n  cure: name the file that Email OAuth 2.0 Proxy reads",
            file.display()
        ));
    }
    let written = write(&imported, out, force)?;
    let mut said = notes(file, &imported.notes);
    for path in written {
        let _ = writeln!(said, "{} is written", path.display());
    }
    print(&said)?;
    print(&logins.told())?;
    settle(&out.join("footbridge.toml"), imported.refresh_tokens)
}

/// Checks what was written, and keeps the refresh tokens where it is right.
fn settle(config: &Path, tokens: Vec<(String, Secret)>) -> Result<ExitCode, String> {
    let loaded = match config::load(config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            check::report(&mistakes);
            eprintln!(
                "mend what is said above, and run footbridge check; where refresh tokens were to be kept, import again"
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in loaded.warnings() {
        eprintln!("{warning}");
    }
    if !tokens.is_empty() {
        let kept = block_on(app::bring(loaded.without_plain_passwords(), tokens))?;
        for login in kept.map_err(|error| error.to_string())? {
            print(&format!("{login}: the refresh token is kept\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Zeroizing<String>, String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {error}", file.display());
    let mut text = Zeroizing::new(String::new());
    let opened = fs::File::open(file).map_err(unreadable)?;
    opened.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{} is larger than 64 MiB, and no configuration", file.display()));
    }
    Ok(text)
}

fn folder_of(file: &Path) -> Result<PathBuf, String> {
    let unknown = |error: io::Error| format!("cannot tell where {} is: {error}", file.display());
    let file = fs::canonicalize(file).map_err(unknown)?;
    Ok(file.parent().unwrap_or(Path::new("/")).to_owned())
}

/// Writes all files, or none where one of them is there already.
fn write(imported: &Imported, out: &Path, force: bool) -> Result<Vec<PathBuf>, String> {
    let mut files = vec![
        (out.join("mappings.toml"), imported.mappings.as_bytes(), true),
        (out.join("footbridge.toml"), imported.config.as_bytes(), false),
    ];
    files.extend(imported.secrets.iter().map(|(name, secret)| (out.join(name), secret.expose(), true)));
    if !force && let Some((there, ..)) = files.iter().find(|(path, ..)| path.symlink_metadata().is_ok()) {
        return Err(format!(
            "{} is there already, and nothing is written\n  cure: name another folder with --out DIR, or write over it with --force",
            there.display()
        ));
    }
    let unwritable = |path: &Path, error: io::Error| format!("cannot write {}: {error}", path.display());
    fs::create_dir_all(out).map_err(|error| unwritable(out, error))?;
    for (path, text, private) in &files {
        put(path, text, *private).map_err(|error| unwritable(path, error))?;
    }
    Ok(files.into_iter().map(|(path, ..)| path).collect())
}

/// Writes a new file in the place of what is there, so that the mode of that does not live on. What is there stays
/// until all of the new one is written.
fn put(path: &Path, text: &[u8], private: bool) -> io::Result<()> {
    let making = path.with_added_extension("new");
    if making.symlink_metadata().is_ok() {
        fs::remove_file(&making)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(if private { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(&making)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&making, path)
}

fn notes(file: &Path, notes: &[Note]) -> String {
    let mut said = String::new();
    for Note { line, lost, option, text } in notes {
        let what = if *lost { "lost" } else { "changed" };
        let _ =
            writeln!(said, "{}:{line}: {what}: {}: {}", file.display(), printable(option), printable(text));
    }
    said
}

fn print(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot print what changed: {error}"))
}

/// The passwords of logins, in small letters: what is known of them, and what is made.
struct Logins {
    ask: bool,
    known: RefCell<HashMap<String, Option<Secret>>>,
    made: RefCell<Zeroizing<String>>,
}

impl Logins {
    fn new(passwords: Passwords) -> Result<Self, String> {
        let known = if passwords == Passwords::Piped { piped()? } else { HashMap::new() };
        let ask = passwords == Passwords::Asked;
        Ok(Self { ask, known: known.into(), made: RefCell::default() })
    }

    fn password(&self, login: &str) -> Option<Secret> {
        let name = login.to_lowercase();
        let mut known = self.known.borrow_mut();
        if !self.ask {
            return known.get(&name).cloned().flatten();
        }
        let ask = || {
            let typed =
                rpassword::prompt_password(format!("Password of {login} (nothing: make a new one): "));
            typed.ok().filter(|typed| !typed.is_empty()).map(Secret::new)
        };
        known.entry(name).or_insert_with(ask).clone()
    }

    /// The hash of the password that is known, else of one that is made.
    fn hash(&self, login: &str) -> String {
        if let Some(password) = self.password(login).filter(|password| !password.is_unsendable()) {
            return hash(&password).to_string();
        }
        // Without randomness nobody gets in, and check says that this is no hash.
        let Some(password) = generated() else { return "none could be made".to_owned() };
        let _ = writeln!(self.made.borrow_mut(), "{login}: the password is now {}", *password);
        hash(&Secret::new(password.as_bytes())).to_string()
    }

    /// What has to be told to mail programs.
    fn told(&self) -> Zeroizing<String> {
        self.made.borrow().clone()
    }
}

/// `LOGIN:PASSWORD`, one on each line.
fn piped() -> Result<HashMap<String, Option<Secret>>, String> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().take(LARGEST).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read passwords from stdin: {error}"))?;
    let mut known = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let Some((login, password)) = line.split_once(':').filter(|(_, password)| !password.is_empty())
        else {
            let number = number + 1;
            return Err(format!(
                "line {number} of stdin is no LOGIN:PASSWORD\n  cure: write ann@contoso.com:password"
            ));
        };
        known.insert(login.trim().to_lowercase(), Some(Secret::new(password)));
    }
    Ok(known)
}
