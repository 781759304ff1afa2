//! The mappings file: who may log in.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    account::{
        Kind, Login, address, grant, mailboxes, networks, opened, protocols, sign_in, stored_password,
    },
    app::{Apps, Entry},
    devices::{self, Around},
    grants,
    mistake::{Mistake, Severity, Spot, quoted},
    reader::{Item, Table},
    schema::{self, MOST_PASSWORDS},
    secret,
};
use crate::{
    account::{Account, Grant, LoginPattern, Rules, StoredPassword},
    ids::ProtocolKind,
    secret::{Environment, Source},
};

/// The accounts of a mappings file.
#[derive(Default)]
pub(super) struct Mapped {
    pub(super) accounts: Vec<Account>,
    pub(super) plain: Vec<PlainPassword>,
}

/// A password that is kept elsewhere in plain and not hashed yet.
#[derive(Debug)]
pub(super) struct PlainPassword {
    /// The account that it opens, by its place in the list.
    pub(super) account: usize,
    pub(super) source: Source,
    /// Where it stands in the mappings file.
    pub(super) line: usize,
    pub(super) column: usize,
}

impl PlainPassword {
    /// Says why it cannot be had.
    pub(super) fn mistake(&self, mappings: &Arc<Path>, cause: String) -> Mistake {
        let spot = Some(Spot { line: self.line, column: self.column, quote: None });
        let cure = Some("see to it that the password can be read there".to_owned());
        Mistake { severity: Severity::Error, path: Arc::clone(mappings), spot, cause, cure }
    }
}

/// Reads accounts one after the other, with what they have to agree with.
pub(super) struct Reader<'m> {
    pub(super) apps: &'m Apps<'m>,
    /// The protocols that have a listener; nothing where the listeners have mistakes.
    pub(super) listening: Option<&'m [ProtocolKind]>,
    pub(super) environment: &'m Environment<'m>,
    /// What the addresses of devices may be mistaken for.
    around: &'m Around,
    /// The addresses of devices so far.
    devices: devices::Taken,
    /// The lines of the logins so far.
    taken: HashMap<LoginPattern, usize>,
    mapped: Mapped,
    /// What accounts so far may be used for.
    rules: HashSet<Arc<Rules>>,
    /// The apps whose provider has been found to lack a protocol.
    warned: HashSet<(String, ProtocolKind)>,
}

/// The passwords of one account.
#[derive(Default)]
struct Passwords {
    stored: Vec<StoredPassword>,
    /// Those that are kept elsewhere, and where they stand in the file, in bytes.
    plain: Vec<(Source, usize)>,
}

impl Kind {
    /// Takes what is known: an app that is missing has no say, and one with mistakes an unknown one.
    fn of(grant: Option<Grant>, app_is_named: bool, entry: Option<&Entry<'_>>) -> Self {
        let app = entry.and_then(|entry| entry.app.as_ref());
        let checks = match grant {
            Some(grant) if grant == Grant::Password || app.is_some() || !app_is_named => {
                Some(grants::authority_checks(grant, app))
            }
            Some(_) | None => None,
        };
        Self { grant, authority_checks: checks }
    }
}

/// The user of SMTP where it is not the mailbox: Exchange Online's takes none but the token's own.
fn smtp_user_of(sign_in: &[Arc<str>], mailbox: Option<&str>) -> Option<Arc<str>> {
    let first = sign_in.first()?;
    (mailbox?.to_lowercase() != **first).then(|| Arc::clone(first))
}

impl<'m> Reader<'m> {
    pub(super) fn new(
        apps: &'m Apps<'m>,
        listening: Option<&'m [ProtocolKind]>,
        environment: &'m Environment<'m>,
        around: &'m Around,
    ) -> Self {
        Self {
            apps,
            listening,
            environment,
            around,
            devices: devices::Taken::default(),
            taken: HashMap::new(),
            mapped: Mapped::default(),
            rules: HashSet::new(),
            warned: HashSet::new(),
        }
    }

    /// Reads every `[[account]]` of a file or a piece of it, of which there must be one.
    pub(super) fn read_all(&mut self, top: &Table<'_>) {
        let mut any = false;
        for table in top.each("account", &schema::ACCOUNT) {
            any = true;
            let number = self.mapped.accounts.len();
            if let Some((account, plain)) = self.read(&table) {
                self.mapped.plain.extend(plain.into_iter().map(|(source, at)| {
                    let (line, column) = table.file.position(at);
                    PlainPassword { account: number, source, line, column }
                }));
                self.mapped.accounts.push(account);
            }
        }
        let empty = top.get("account").is_some_and(|item| item.is_list());
        if !any && (empty || top.lacks("account")) {
            let cause = "there is no [[account]], so nobody can log in";
            top.missing(cause, "add [[account]] with login, password, app and grant");
        }
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Mapped {
        self.mapped
    }

    fn read(&mut self, table: &Table<'_>) -> Option<(Account, Vec<(Source, usize)>)> {
        let logins = self.logins(table);
        let app = table.need("app", "add app = \"…\", the NAME of an [app.NAME] in footbridge.toml");
        let entry = app.as_ref().and_then(|item| self.apps.find(item));
        let grant_item = table.need("grant", "add grant = \"client_credentials\"");
        let grant = grant_item.as_ref().and_then(grant);
        let kind = Kind::of(grant, app.is_some(), entry);
        let passwords = self.passwords_of(table, &kind);
        let mailbox = table.get("mailbox").map(|item| address(&item, item.substituted(self.environment)?));
        let mailboxes = table.get("mailboxes").map(|item| mailboxes(&item));
        let sign_in = table.get("sign_in").map(|item| sign_in(&item));
        let smtp_user = table.get("smtp_user").map(|item| address(&item, item.string()?.to_owned()));
        let protocols = table.get("protocols").map(|item| protocols(&item));
        let from_networks = table.get("from_networks").map(|item| networks(&item));
        let senders = table.get("senders").map(|item| devices::senders(&item));
        if let (Some(app), Some(entry)) = (&app, entry) {
            self.check_protocols(app, entry, protocols.as_ref());
            if let (Some(item), Some(grant)) = (&grant_item, grant) {
                let usable = self.usable(entry, protocols.as_ref());
                grants::check(self.apps, entry, item, grant, &usable);
            }
        }
        let from_networks = from_networks.unwrap_or_else(|| Some(Vec::new()));
        let no_password_from =
            self.devices(table, logins.as_deref(), &kind, protocols.as_ref(), from_networks.as_deref());
        let logins = logins?;
        let (mailbox, mailboxes) = opened(table, &logins, &kind, mailbox, mailboxes)?;
        let grant = grant?;
        let sign_in = sign_in.map_or(Some(None), |all| all.map(Some))?;
        let sign_in = grants::sign_in(table, sign_in, grant, mailbox.as_ref())?;
        let smtp_user = smtp_user.map_or(Some(None), |user| user.map(|user| Some(Arc::from(user))))?;
        let Passwords { stored, plain } = passwords?;
        let rules = Rules {
            mailboxes,
            protocols: protocols
                .map_or(Some(Vec::new()), |all| Some(all?.into_iter().map(|(_, kind)| kind).collect()))?,
            from_networks: from_networks?,
            no_password_from: no_password_from?,
            senders: senders.unwrap_or_else(|| Some(Vec::new()))?,
        };
        let account = Account {
            smtp_user: smtp_user.or_else(|| smtp_user_of(&sign_in, mailbox.as_deref())),
            logins: logins.into_iter().map(|login| login.pattern).collect(),
            passwords: stored.into(),
            mailbox,
            app: entry?.name.clone(),
            grant,
            sign_in,
            authority_checks: kind.authority_checks.unwrap_or_default(),
            rules: self.shared(rules),
        };
        Some((account, plain))
    }

    /// The rules, by the copy of an account before that has the same.
    fn shared(&mut self, rules: Rules) -> Arc<Rules> {
        if let Some(known) = self.rules.get(&rules) {
            return Arc::clone(known);
        }
        let rules = Arc::new(rules);
        self.rules.insert(Arc::clone(&rules));
        rules
    }

    /// The passwords, of which there must be one unless the authority checks what is shown, or devices are
    /// known by their address.
    fn passwords_of(&self, table: &Table<'_>, kind: &Kind) -> Option<Passwords> {
        let cure = "add password = \"…\", as footbridge hash-password prints it";
        let needs_one = kind.authority_checks == Some(false) || kind.grant.is_none();
        let item = if needs_one && table.lacks("no_password_from") {
            table.need("password", cure)
        } else {
            table.get("password")
        };
        match item {
            Some(item) => self.passwords(&item),
            None if kind.authority_checks == Some(true) || table.has("no_password_from") => {
                Some(Passwords::default())
            }
            None => None,
        }
    }

    /// The addresses of devices that need no password.
    fn devices(
        &mut self,
        table: &Table<'_>,
        logins: Option<&[Login<'_>]>,
        kind: &Kind,
        protocols: Option<&Option<Vec<(Item<'_>, ProtocolKind)>>>,
        from_networks: Option<&[IpNet]>,
    ) -> Option<Vec<IpNet>> {
        let protocols: Option<Vec<_>> =
            protocols.and_then(|all| all.as_ref()).map(|all| all.iter().map(|(_, kind)| *kind).collect());
        let beside = devices::Beside {
            logins: logins.unwrap_or_default(),
            kind,
            protocols: protocols.as_deref(),
            listening: self.listening,
            from_networks: from_networks.unwrap_or_default(),
            around: self.around,
        };
        devices::no_password_from(table, &beside, &mut self.devices)
    }

    /// The protocols that an account can use, as far as that is known.
    fn usable(
        &self,
        entry: &Entry<'_>,
        protocols: Option<&Option<Vec<(Item<'_>, ProtocolKind)>>>,
    ) -> Vec<ProtocolKind> {
        let Some(settings) = &entry.settings else {
            return Vec::new();
        };
        let written = protocols.map(|all| all.iter().flatten().map(|(_, kind)| *kind).collect::<Vec<_>>());
        let may = |kind: &ProtocolKind| {
            settings.provider.endpoint(*kind).is_some()
                && written.as_ref().is_none_or(|written| written.contains(kind))
        };
        self.listening.unwrap_or_default().iter().copied().filter(may).collect()
    }

    fn logins<'t>(&mut self, table: &Table<'t>) -> Option<Vec<Login<'t>>> {
        let items =
            table.need("login", "add login = \"…\", what the mail program logs in as")?.one_or_more()?;
        let logins: Vec<_> = items.iter().map(|item| self.login(item)).collect();
        logins.into_iter().collect()
    }

    fn login<'t>(&mut self, item: &Item<'t>) -> Option<Login<'t>> {
        let written = item.string()?.trim();
        let unusual = |char: char| char.is_control() || char == '{';
        let Some(pattern) = LoginPattern::parse(written).filter(|_| !written.contains(unusual)) else {
            let cause = format!("{} is no login", quoted(written));
            item.wrong(
                cause,
                "write a name or an address; a * may only stand for all before the @: \"*@contoso.com\"",
            );
            return None;
        };
        if let Some(first) = self.taken.get(&pattern) {
            let cause = format!("login {} is there already, at {}", quoted(written), item.file.place(*first));
            item.wrong(cause, "a login opens one account: take out one of the two");
            return None;
        }
        self.taken.insert(pattern.clone(), item.file.position(item.span.start).0);
        Some(Login { written, pattern })
    }

    fn passwords(&self, item: &Item<'_>) -> Option<Passwords> {
        let items = item.one_or_more()?;
        if items.len() > MOST_PASSWORDS {
            let cause = format!("{} passwords are too many: each costs time at every login", items.len());
            item.wrong(
                cause,
                format!("keep at most {MOST_PASSWORDS}, or make an account for each application"),
            );
            return None;
        }
        let mut passwords = Passwords { stored: Vec::with_capacity(items.len()), plain: Vec::new() };
        let mut whole = true;
        for item in &items {
            if item.is_table() {
                let read = secret::read(item, self.environment);
                whole &= read.is_some();
                if let Some((source, Some(value))) = &read
                    && value.has_form_of_hash()
                {
                    item.wrong(
                        format!("{source} holds a hash, where a plain password is expected"),
                        "write the hash itself: password = \"$argon2id$…\"",
                    );
                }
                passwords.plain.extend(read.map(|(source, _)| (source, item.span.start)));
            } else {
                let hash = stored_password(item);
                whole &= hash.is_some();
                passwords.stored.extend(hash);
            }
        }
        whole.then_some(passwords)
    }

    /// Compares the protocols that an account may use, or all where none are written, with those
    /// that are listened for and those that its provider speaks.
    fn check_protocols(
        &mut self,
        app: &Item<'_>,
        entry: &Entry<'_>,
        protocols: Option<&Option<Vec<(Item<'_>, ProtocolKind)>>>,
    ) {
        let (Some(listening), Some(settings)) = (self.listening, &entry.settings) else {
            return;
        };
        let provider = &settings.provider;
        let named = || quoted(&provider.name);
        if let Some(protocols) = protocols {
            for (item, kind) in protocols.iter().flatten() {
                if provider.endpoint(*kind).is_none() {
                    let cause = format!("provider {} has no {kind}", named());
                    let way = settings
                        .without_host
                        .map_or_else(|| format!("add {kind} to the provider"), str::to_owned);
                    item.wrong(cause, format!("take \"{kind}\" out, or {way}"));
                } else if !listening.contains(kind) {
                    let cause = format!("no [[listener]] speaks {kind}");
                    item.doubtful(cause, format!("add one, or take \"{kind}\" out"));
                }
            }
            return;
        }
        let (usable, lacking): (Vec<_>, Vec<_>) =
            listening.iter().copied().partition(|kind: &ProtocolKind| provider.endpoint(*kind).is_some());
        if usable.is_empty() && !listening.is_empty() {
            let spoken = lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let cause =
                format!("provider {} has nothing for the protocols that are listened for: {spoken}", named());
            app.wrong(cause, "add a [[listener]] for a protocol that it has, or an endpoint to the provider");
            return;
        }
        for kind in lacking {
            if self.warned.insert((entry.name.to_string(), kind)) {
                let cause = format!(
                    "accounts of app {} cannot use {kind}: provider {} has none",
                    quoted(entry.name.as_str()),
                    named()
                );
                let way = settings
                    .without_host
                    .map_or_else(|| format!("add {kind} to the provider"), str::to_owned);
                let cure = format!("{way}; or leave {kind} out of the accounts' protocols");
                app.doubtful(cause, cure);
            }
        }
    }
}
