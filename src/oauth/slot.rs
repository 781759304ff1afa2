//! What a token is for: which logins share one, and under which name it is kept.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::App;
use crate::{
    account::{Account, Accounts, Grant},
    ids::{AppName, ProtocolKind, SlotId},
    policy::access,
    secret::Secret,
};

/// How a slot's token is got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// By the app itself.
    App,
    /// By a refresh token, which a person's consent has brought.
    Delegated,
    /// By showing the authority a user's password.
    Password {
        /// As the authority knows the user.
        user: String,
        /// As the mail program has shown it.
        password: Secret,
    },
    /// By the app itself, whose secret the mail program has shown.
    LoginSecret(Secret),
    /// By a service account that acts for a mailbox.
    ServiceAccount(String),
}

/// One slot: what its token is for and how it is got.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) id: SlotId,
    pub(super) app: Arc<App>,
    pub(super) kind: Kind,
    /// Whom it belongs to, in words: a person's address, or the app.
    pub(super) owner: String,
    /// A login of an account that uses it, for the cure that names a command.
    pub(super) login: String,
    /// Spellings of the address of the person who must have consented.
    pub(super) sign_in: Vec<String>,
    pub(super) scopes: Vec<String>,
    /// What the token is used for.
    pub(super) protocols: BTreeSet<ProtocolKind>,
}

impl Spec {
    /// Whether what is obtained is kept in the store. A token that a password has released must not
    /// outlive the proof of that password.
    pub(super) fn is_stored(&self) -> bool {
        match self.kind {
            Kind::App | Kind::Delegated | Kind::ServiceAccount(_) => true,
            Kind::Password { .. } | Kind::LoginSecret(_) => false,
        }
    }

    /// Whether a shown password is what the authority judges.
    pub(super) fn is_released_to_a_password(&self) -> bool {
        !self.is_stored()
    }

    /// The same slot with no more scopes than a person has consented to: an authority refuses to refresh
    /// what was not (RFC 6749 §6), and a listener that was added must not end what works.
    pub(super) fn covered_by(&self, consented: &[String]) -> Self {
        let mut covered = self.clone();
        if self.is_refreshed() && !consented.is_empty() {
            covered.scopes = consented.to_vec();
        }
        covered
    }

    /// What of the scopes that were asked for is granted, where the authority says which (RFC 6749 §5.1).
    /// One that says it in words of its own has granted all.
    pub(super) fn granted(&self, said: Option<&[String]>) -> Vec<String> {
        let same = |asked: &&String| {
            said.is_some_and(|said| said.iter().any(|granted| granted.eq_ignore_ascii_case(asked)))
        };
        let granted: Vec<_> = self.scopes.iter().filter(same).cloned().collect();
        if granted.is_empty() { self.scopes.clone() } else { granted }
    }

    /// The protocols for which a person would have to consent again.
    pub(super) fn uncovered_by(&self, consented: &[String]) -> Vec<ProtocolKind> {
        if !self.is_refreshed() || consented.is_empty() {
            return Vec::new();
        }
        let lacks = |kind: &&ProtocolKind| {
            let needed = self.app.delegated_scopes.get(kind);
            needed.is_some_and(|needed| needed.iter().any(|scope| !consented.contains(scope)))
        };
        self.protocols.iter().filter(lacks).copied().collect()
    }

    /// Whether a refresh token is what the token comes by.
    pub(super) fn is_refreshed(&self) -> bool {
        self.kind == Kind::Delegated
    }
}

/// The slots that the configuration asks for, and what it takes to make others.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) apps: HashMap<AppName, Arc<App>>,
    pub(super) specs: HashMap<SlotId, Arc<Spec>>,
    listening: Vec<ProtocolKind>,
}

impl Plan {
    /// Every slot whose user is known before anybody logs in.
    pub(super) fn new(apps: Vec<App>, accounts: &Accounts, listening: &[ProtocolKind]) -> Self {
        let apps: HashMap<_, _> = apps.into_iter().map(|app| (app.name.clone(), Arc::new(app))).collect();
        let mut specs = HashMap::<SlotId, Spec>::new();
        for account in accounts.iter().filter(|account| !account.authority_checks) {
            let Some(app) = apps.get(&account.app) else { continue };
            for spec in account.mailboxes().map(|mailbox| spec(app, account, mailbox, listening)) {
                specs.entry(spec.id.clone()).and_modify(|known| known.also_for(&spec)).or_insert(spec);
            }
        }
        let specs = specs.into_iter().map(|(id, spec)| (id, Arc::new(spec))).collect();
        Self { apps, specs, listening: listening.to_vec() }
    }

    /// The slot of an account that opens `mailbox`.
    pub(super) fn spec(&self, account: &Account, mailbox: &str) -> Option<Arc<Spec>> {
        let app = self.apps.get(&account.app)?;
        let id = id(app, account, mailbox);
        let known = self.specs.get(&id).map(Arc::clone);
        known.or_else(|| Some(Arc::new(spec(app, account, mailbox, &self.listening))))
    }
}

impl Spec {
    /// One consent serves every account of the person who gives it.
    fn also_for(&mut self, other: &Self) {
        for scope in &other.scopes {
            if !self.scopes.contains(scope) {
                self.scopes.push(scope.clone());
            }
        }
        for spelling in &other.sign_in {
            if !self.sign_in.contains(spelling) {
                self.sign_in.push(spelling.clone());
            }
        }
        self.protocols.extend(&other.protocols);
    }

    /// The slot of the one password that was shown: a token is released to that password alone.
    pub(super) fn released_to(&self, digest: &str, shown: Secret) -> Self {
        let kind = match &self.kind {
            Kind::Password { user, .. } => Kind::Password { user: user.clone(), password: shown },
            Kind::App | Kind::Delegated | Kind::LoginSecret(_) | Kind::ServiceAccount(_) => {
                Kind::LoginSecret(shown)
            }
        };
        Self { id: SlotId::of(&[self.id.as_str(), digest]), kind, ..self.clone() }
    }
}

fn spec(app: &Arc<App>, account: &Account, mailbox: &str, listening: &[ProtocolKind]) -> Spec {
    let may_speak = |kind: &&ProtocolKind| access::may_speak(account, **kind);
    let protocols: BTreeSet<_> = listening.iter().filter(may_speak).copied().collect();
    let user = signs_in(account, mailbox).to_owned();
    let (kind, owner) = match account.grant {
        Grant::ClientCredentials => (Kind::App, format!("app {}", app.name)),
        Grant::AuthorizationCode | Grant::DeviceCode => (Kind::Delegated, user.clone()),
        Grant::Password => (Kind::Password { user: user.clone(), password: Secret::new("") }, user.clone()),
        Grant::ServiceAccount => (Kind::ServiceAccount(mailbox.to_owned()), mailbox.to_owned()),
    };
    let sign_in = if account.sign_in.is_empty() {
        vec![user]
    } else {
        account.sign_in.iter().map(ToString::to_string).collect()
    };
    let scopes = if account.grant.is_delegated() {
        delegated_scopes(app, &protocols)
    } else {
        app.application_scopes.clone()
    };
    Spec {
        id: id(app, account, mailbox),
        app: Arc::clone(app),
        kind,
        owner,
        login: account.name().to_owned(),
        sign_in,
        scopes,
        protocols,
    }
}

/// Scopes for protocols that nobody listens for are not asked a person for.
fn delegated_scopes(app: &App, protocols: &BTreeSet<ProtocolKind>) -> Vec<String> {
    let mut scopes = Vec::<String>::new();
    for scope in protocols.iter().filter_map(|kind| app.delegated_scopes.get(kind)).flatten() {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    scopes
}

/// Who signs in for an account, by the first spelling.
fn signs_in<'a>(account: &'a Account, mailbox: &'a str) -> &'a str {
    account.sign_in.first().map_or(mailbox, |person| person)
}

/// What makes a slot the same: not the app's secret, not the login and its password, and for what a
/// person has consented to not even the scopes or the app's name, so that no change of those costs a
/// consent.
fn id(app: &App, account: &Account, mailbox: &str) -> SlotId {
    let authority = app.authority.token_url.as_str();
    let scopes = app.application_scopes.join(" ");
    let user = signs_in(account, mailbox).to_lowercase();
    match account.grant {
        Grant::ClientCredentials => {
            SlotId::of(&["app", app.name.as_str(), authority, &app.client_id, &scopes])
        }
        Grant::AuthorizationCode | Grant::DeviceCode => {
            SlotId::of(&["delegated", authority, &app.client_id, &user])
        }
        Grant::Password => SlotId::of(&["password", authority, &app.client_id, &user]),
        Grant::ServiceAccount => {
            let mailbox = mailbox.to_lowercase();
            SlotId::of(&["service account", app.name.as_str(), authority, &mailbox, &scopes])
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        account::{Rules, tests::account as fixture},
        net::tls::Trust,
        oauth::{Authority, Consent, Credential, Pkce, Redirect},
        secret::Source,
    };

    pub(in crate::oauth) fn app() -> App {
        let scope = |name: &str| vec![format!("https://outlook.office.com/{name}")];
        App {
            name: AppName::new("contoso"),
            client_id: "id".to_owned(),
            credential: Credential::Secrets(vec![Source::Env("X".to_owned())]),
            authority: Authority {
                token_url: "https://login.example.com/t/token".parse().unwrap(),
                authorize_url: Some("https://login.example.com/t/authorize".parse().unwrap()),
                device_url: None,
            },
            application_scopes: Vec::new(),
            delegated_scopes: BTreeMap::from([
                (ProtocolKind::Imap, scope("IMAP.AccessAsUser.All")),
                (ProtocolKind::Smtp, scope("SMTP.Send")),
            ]),
            consent: Consent {
                redirect: Redirect::AnyPort,
                pkce: Pkce::S256,
                identity_scopes: ["openid", "profile", "offline_access"].map(str::to_owned).to_vec(),
                parameters: Vec::new(),
                page: None,
            },
            resource: None,
            credential_expires: None,
            trust: Arc::new(Trust::new(None).unwrap()),
            proxy: None,
        }
    }

    pub(in crate::oauth) fn account(grant: Grant, sign_in: &str) -> Account {
        Account {
            mailbox: Some("shared@example.com".into()),
            grant,
            sign_in: [sign_in.into()].into(),
            authority_checks: grant == Grant::Password,
            ..fixture(&["shared"])
        }
    }

    pub(in crate::oauth) fn spec() -> Spec {
        let account = account(Grant::AuthorizationCode, "alice@example.com");
        super::spec(&Arc::new(app()), &account, "shared@example.com", &ProtocolKind::ALL)
    }

    /// The rules of an account that may use one protocol.
    fn only(kind: ProtocolKind) -> Arc<Rules> {
        Rules { protocols: vec![kind], ..Rules::default() }.into()
    }

    fn plan(apps: Vec<App>, accounts: Vec<Account>) -> Plan {
        Plan::new(apps, &Accounts::new(accounts), &ProtocolKind::ALL)
    }

    #[test]
    fn mailboxes_of_one_delegate_share_a_slot_that_covers_what_they_need_together() {
        let imap = Account {
            rules: only(ProtocolKind::Imap),
            ..account(Grant::AuthorizationCode, "alice@example.com")
        };
        let smtp = Account {
            mailbox: Some("other@example.com".into()),
            rules: only(ProtocolKind::Smtp),
            grant: Grant::DeviceCode,
            sign_in: ["alice@example.com".into(), "a@example.com".into()].into(),
            ..imap.clone()
        };
        let plan = plan(vec![app()], vec![imap, smtp]);
        let specs: Vec<_> = plan.specs.values().collect();
        assert_eq!(specs.len(), 1);
        assert_eq!(specs[0].scopes.len(), 2);
        assert_eq!(specs[0].sign_in, ["alice@example.com", "a@example.com"]);
        assert_eq!(specs[0].protocols.len(), 2);
    }

    #[test]
    fn what_retires_a_consent_and_what_does_not() {
        let of = |app: &App, account: &Account| id(app, account, "shared@example.com");
        let (base, alice) = (app(), account(Grant::AuthorizationCode, "alice@example.com"));
        let kept = of(&base, &alice);
        let renamed = App { name: AppName::new("other"), application_scopes: vec!["x".to_owned()], ..app() };
        assert_eq!(of(&renamed, &alice), kept, "an app's name and scopes are not the consent's");
        let by_device =
            Account { grant: Grant::DeviceCode, rules: only(ProtocolKind::Imap), ..alice.clone() };
        assert_eq!(of(&base, &by_device), kept);
        let another = App { client_id: "other".to_owned(), ..app() };
        assert_ne!(of(&another, &alice), kept);
        let mut tenant = app();
        tenant.authority.token_url = "https://login.example.com/u/token".parse().unwrap();
        assert_ne!(of(&tenant, &alice), kept);
        assert_ne!(of(&base, &account(Grant::AuthorizationCode, "bob@example.com")), kept);
    }

    #[test]
    fn the_app_has_one_slot_for_all_its_mailboxes_and_a_service_account_one_for_each() {
        let two = |grant| {
            let first = account(grant, "");
            let second = Account { mailbox: Some("two@example.com".into()), ..first.clone() };
            plan(vec![app()], vec![first, second]).specs.len()
        };
        assert_eq!(two(Grant::ClientCredentials), 1);
        assert_eq!(two(Grant::ServiceAccount), 2);
        assert_eq!(two(Grant::Password), 0, "nothing is held before a password is shown");
    }

    #[test]
    fn a_protocol_that_was_added_after_the_consent_is_not_asked_for_and_is_named() {
        let spec = spec();
        let imap = vec!["https://outlook.office.com/IMAP.AccessAsUser.All".to_owned()];
        assert_eq!(spec.covered_by(&imap).scopes, imap);
        assert_eq!(spec.uncovered_by(&imap), [ProtocolKind::Smtp]);
        assert_eq!(spec.covered_by(&[]).scopes, spec.scopes);
        assert_eq!(spec.uncovered_by(&spec.scopes), []);
        assert_eq!(spec.granted(Some(&imap)), imap);
        assert_eq!(spec.granted(Some(&["mail".to_owned()])), spec.scopes);
    }

    #[test]
    fn a_slot_that_a_password_releases_is_another_for_another_password() {
        let plan = plan(vec![app()], Vec::new());
        let base = plan.spec(&account(Grant::Password, "alice@example.com"), "alice@example.com").unwrap();
        let (one, other) = (base.released_to("1", Secret::new("a")), base.released_to("2", Secret::new("b")));
        assert_ne!(one.id, other.id);
        assert!(one.is_released_to_a_password() && !one.is_stored());
    }
}
