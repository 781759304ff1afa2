//! From the two files to a [`Config`].

use std::{
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tokio::{
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
};
use toml::de::DeTable;

use super::{
    Config, Listener, OwnCertificate,
    app::{Apps, Purpose},
    console,
    devices::Around,
    file::{File, NOT_UTF8},
    gateway, limits, listener,
    mappings::{Mapped, PlainPassword, Reader},
    mistake::{Mistake, Mistakes, Severity, quoted},
    provider::Providers,
    reader::Table,
    schema, store, tls,
};
use crate::{
    account::{Account, Accounts, StoredPassword, hash_or_known},
    clock::{Clock as _, System},
    ids::ProtocolKind,
    oauth::App,
    policy::{throttle::Limits, timing::Timing},
    secret::{Environment, Source},
};

/// A configuration without mistakes, whose plain passwords have yet to be read and hashed.
#[derive(Debug)]
pub struct Loaded {
    pub(super) config: Config,
    pub(super) accounts: Vec<Account>,
    plain: Vec<PlainPassword>,
    mappings: Arc<Path>,
    warnings: Vec<Mistake>,
}

/// Reads `footbridge.toml` and the mappings file that it names.
///
/// Looks for secrets in the environment and in files, and runs no command. `state_dir` need not
/// exist.
///
/// # Errors
/// Every mistake of both files, in their order.
pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
    load_near(path, &|name| std::env::var_os(name), System.now(), &gateway::here())
}

/// As [`load`], before there is a registration: what it brings - a client id, a secret, a certificate -
/// may be missing. Of an app without a client id, or with that of a variable that is not set, it is
/// [`super::NO_CLIENT_ID`].
///
/// # Errors
/// As [`load`].
pub fn load_unregistered(path: &Path) -> Result<Loaded, Mistakes> {
    load_for(Purpose::Registering, path, &|name| std::env::var_os(name), System.now(), &gateway::here())
}

/// As [`load`], with another environment than that of the process, and at another time, on a machine whose
/// gateways are not known.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, environment: &Environment<'_>, now: SystemTime) -> Result<Loaded, Mistakes> {
    load_near(path, environment, now, &[])
}

/// As [`load_with`], on a machine whose default routes lead to `gateways`.
///
/// # Errors
/// As [`load`].
pub(super) fn load_near(
    path: &Path,
    environment: &Environment<'_>,
    now: SystemTime,
    gateways: &[IpAddr],
) -> Result<Loaded, Mistakes> {
    load_for(Purpose::Serving, path, environment, now, gateways)
}

fn load_for(
    purpose: Purpose,
    path: &Path,
    environment: &Environment<'_>,
    now: SystemTime,
    gateways: &[IpAddr],
) -> Result<Loaded, Mistakes> {
    let file = read(path)?;
    let tree = file.parse();
    let written = Written::read(&file, &tree, purpose, environment, now);
    let mappings = written.mappings.as_deref().and_then(|path| written.open(path));
    let mapped = mappings.map(|file| (Arc::clone(file.path()), written.map(&file, environment, gateways)));
    let mut mistakes = file.mistakes(&tree);
    let mapped = mapped.map(|(path, (mapped, found))| {
        mistakes.extend(found);
        (path, mapped)
    });
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(Mistakes::new(mistakes));
    }
    written.finish(mapped, mistakes)
}

/// The state folder of a configuration, whatever else is wrong with that: for commands that only look
/// for a running bridge.
///
/// # Errors
/// Where the file cannot be read, or what it says of its `state_dir` is wrong.
pub fn state_dir(path: &Path) -> Result<PathBuf, Mistakes> {
    let file = read(path)?;
    let tree = file.parse();
    let top = Table::top(&file, &tree, &schema::TOP);
    let found = read_state_dir(&top, &|name| std::env::var_os(name));
    found.ok_or_else(|| Mistakes::new(file.mistakes(&tree)))
}

fn read(path: &Path) -> Result<File, Mistakes> {
    File::read(path).map_err(|cause| {
        let cure = cure_for_unreadable(&cause, "name another with --config or FOOTBRIDGE_CONFIG");
        Mistakes::new(vec![in_whole_file(path, cause, cure)])
    })
}

/// What `footbridge.toml` says, as far as it could be read.
struct Written<'t> {
    top: Table<'t>,
    state_dir: Option<PathBuf>,
    mappings: Option<PathBuf>,
    listeners: Vec<Listener>,
    own_certificate: OwnCertificate,
    console: console::Written<'t>,
    store_keys: Option<Vec<Source>>,
    protocols: Vec<ProtocolKind>,
    limits: Limits,
    timing: Timing,
    apps: Apps<'t>,
}

impl<'t> Written<'t> {
    fn read(
        file: &'t File,
        tree: &'t DeTable<'t>,
        purpose: Purpose,
        environment: &Environment<'_>,
        now: SystemTime,
    ) -> Self {
        let top = Table::top(file, tree, &schema::TOP);
        let mut taken = HashMap::new();
        let tls = tls::read(&top, now);
        let listeners = listener::read_all(&top, &mut taken, tls.as_ref(), now);
        let console = console::read(&top, &mut taken, environment, (tls.as_ref(), now));
        let (limits, timing) = limits::read(&top);
        let providers = Providers::read(&top, environment);
        Self {
            state_dir: read_state_dir(&top, environment),
            mappings: mappings_path(&top),
            protocols: ProtocolKind::ALL
                .into_iter()
                .filter(|kind| listeners.iter().any(|listener| listener.protocol == *kind))
                .collect(),
            listeners,
            own_certificate: tls.map(|tls| tls.own).unwrap_or_default(),
            limits,
            timing,
            store_keys: store::read(&top, environment),
            apps: Apps::read(&top, &providers, &console, (purpose, environment, now)),
            console,
            top,
        }
    }

    fn open(&self, path: &Path) -> Option<File> {
        let file = File::read(path).map_err(|cause| {
            let cure = "write the accounts into it, or name another with mappings = \"…\"";
            let cure = cure_for_unreadable(&cause, cure);
            let cause = format!("mappings file {}: {cause}", quoted(&path.display().to_string()));
            match self.top.get("mappings") {
                Some(item) => item.wrong(cause, cure),
                None => self.top.missing(cause, cure),
            }
        });
        file.ok()
    }

    /// Reads the accounts, and notes the mistakes in them.
    fn map(&self, file: &File, environment: &Environment<'_>, gateways: &[IpAddr]) -> (Mapped, Vec<Mistake>) {
        let broken = self.top.file.is_broken();
        let listening = (!broken && !self.listeners.is_empty()).then_some(self.protocols.as_slice());
        let smtp = self.listeners.iter().filter(|listener| listener.protocol == ProtocolKind::Smtp);
        let announcers = smtp.flat_map(|listener| &listener.proxy_protocol).copied().collect();
        let around = Around { gateways: gateways.to_vec(), announcers };
        let reader = || Reader::new(&self.apps, listening, environment, &around);
        if let Some(mapped) = file.pieces().and_then(|pieces| map_pieces(pieces, reader())) {
            return mapped;
        }
        let (mut reader, tree) = (reader(), file.parse());
        reader.read_all(&Table::top(file, &tree, &schema::MAPPINGS));
        (reader.finish(), file.mistakes(&tree))
    }

    /// Puts the parts together, none of which has a mistake.
    fn finish(self, mapped: Option<(Arc<Path>, Mapped)>, warnings: Vec<Mistake>) -> Result<Loaded, Mistakes> {
        let (Some(state_dir), Some((mappings, mapped))) = (self.state_dir, mapped) else {
            return Err(Mistakes::new(warnings)); // Each that is missing is among the mistakes.
        };
        let (apps, upstreams) = self.apps.into_parts();
        let config = Config {
            state_dir,
            listeners: self.listeners,
            own_certificate: self.own_certificate,
            console: self.console.console(),
            store_keys: self.store_keys.unwrap_or_default(),
            apps,
            upstreams,
            accounts: Accounts::default(),
            limits: self.limits,
            timing: self.timing,
        };
        let Mapped { accounts, plain } = mapped;
        Ok(Loaded { config, accounts, plain, mappings, warnings })
    }
}

/// Reads a large file piece by piece; nothing where a piece is broken.
fn map_pieces(pieces: impl Iterator<Item = File>, mut reader: Reader<'_>) -> Option<(Mapped, Vec<Mistake>)> {
    let mut mistakes = Vec::new();
    for piece in pieces {
        let tree = piece.parse();
        if piece.is_broken() {
            return None;
        }
        reader.read_all(&Table::top(&piece, &tree, &schema::MAPPINGS));
        mistakes.extend(piece.mistakes(&tree));
    }
    Some((reader.finish(), mistakes))
}

/// What Windows' editors and PowerShell write is often no UTF-8, and no other file is wanted then.
fn cure_for_unreadable<'c>(cause: &str, cure: &'c str) -> &'c str {
    if cause.ends_with(NOT_UTF8) { "save it as UTF-8, not as UTF-16 or Latin-1" } else { cure }
}

fn in_whole_file(path: &Path, cause: String, cure: &str) -> Mistake {
    let cure = Some(cure.to_owned());
    Mistake { severity: Severity::Error, path: path.into(), spot: None, cause, cure }
}

fn mappings_path(top: &Table<'_>) -> Option<PathBuf> {
    match top.get("mappings") {
        Some(item) => item.path(),
        None => Some(top.file.resolve("mappings.toml")),
    }
}

fn read_state_dir(top: &Table<'_>, environment: &Environment<'_>) -> Option<PathBuf> {
    if let Some(item) = top.get("state_dir") {
        return item.path();
    }
    // systemd lists several with colons between them where StateDirectory= names several.
    let given = environment("STATE_DIRECTORY").and_then(|given| std::env::split_paths(&given).next());
    if let Some(given) = given.filter(|given| !given.as_os_str().is_empty()) {
        return Some(given);
    }
    let platform = dirs::state_dir().or_else(dirs::data_local_dir);
    if platform.is_none() {
        let cause = "there is no state_dir, and this system has no folder for it";
        top.missing(cause, "add state_dir = \"/var/lib/footbridge\"");
    }
    Some(platform?.join("footbridge"))
}

impl Loaded {
    /// What to listen on.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.config.listeners
    }

    /// The app registrations.
    #[must_use]
    pub fn apps(&self) -> &[App] {
        &self.config.apps
    }

    /// How many accounts there are.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// What is probably not meant, by file and line.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// The configuration without the passwords that are kept in plain elsewhere: for commands that let
    /// nobody in, and need not ask a vault.
    #[must_use]
    pub fn without_plain_passwords(self) -> Config {
        Config { accounts: Accounts::new(self.accounts), ..self.config }
    }

    /// Reads the passwords that are kept in plain elsewhere, running commands where they are to be
    /// asked, and hashes them. Returns the configuration and the warnings.
    ///
    /// # Errors
    /// Every password that cannot be read.
    pub async fn hash_plain_passwords(self) -> Result<(Config, Vec<Mistake>), Mistakes> {
        self.hash_plain_passwords_like(&Accounts::default()).await
    }

    /// The same, where a password that an account of `before` has a hash of gets no other one: an account
    /// is unchanged then, and what is remembered by its hashes stays true.
    ///
    /// # Errors
    /// As [`Loaded::hash_plain_passwords`].
    pub async fn hash_plain_passwords_like(
        self,
        before: &Accounts,
    ) -> Result<(Config, Vec<Mistake>), Mistakes> {
        let Self { mut config, mut accounts, plain, mappings, warnings } = self;
        let mut mistakes = Vec::new();
        let known = |plain: &PlainPassword| {
            let account = accounts.get(plain.account).and_then(|account| before.namesake(account));
            account.map(|account| account.passwords.to_vec()).unwrap_or_default()
        };
        let plain = plain.into_iter().map(|plain| (known(&plain), plain)).collect();
        for (plain, hashed) in hash_all(plain).await {
            match (hashed, accounts.get_mut(plain.account)) {
                (Ok(stored), Some(account)) => account.add_password(stored),
                (Ok(_), None) => {}
                (Err(cause), _) => mistakes.push(plain.mistake(&mappings, cause)),
            }
        }
        if mistakes.is_empty() {
            config.accounts = Accounts::new(accounts);
            return Ok((config, warnings));
        }
        mistakes.sort_by_key(|mistake| mistake.spot.as_ref().map(|spot| (spot.line, spot.column)));
        Err(Mistakes::new(mistakes))
    }
}

/// How many passwords are read and hashed at a time: a vault is not asked for hundreds at once, and
/// hashing takes 19 MiB for each.
const AT_ONCE: usize = 8;

/// Hashes each password, unless it is one of those whose hashes stand beside it.
async fn hash_all(
    plain: Vec<(Vec<StoredPassword>, PlainPassword)>,
) -> Vec<(PlainPassword, Result<StoredPassword, String>)> {
    let limit = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (number, (known, plain)) in plain.iter().enumerate() {
        let (known, source) = (known.clone(), plain.source.clone());
        let limit = Arc::clone(&limit);
        tasks.spawn(async move {
            let _permit = limit.acquire().await;
            (number, read_and_hash(&source, known).await)
        });
    }
    let broken = || Err("hashing the password broke down".to_owned());
    let mut hashed: Vec<_> = plain.into_iter().map(|(_, plain)| (plain, broken())).collect();
    while let Some(done) = tasks.join_next().await {
        if let Ok((number, result)) = done {
            hashed[number].1 = result;
        }
    }
    hashed
}

async fn read_and_hash(source: &Source, known: Vec<StoredPassword>) -> Result<StoredPassword, String> {
    let password = source.read().await.map_err(|error| error.to_string())?;
    if password.has_form_of_hash() {
        return Err(format!("{source} holds a hash, where a plain password is expected"));
    }
    spawn_blocking(move || hash_or_known(&password, known)).await.map_err(|error| error.to_string())
}
