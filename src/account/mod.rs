//! Who may log in: the accounts of the mappings file, and the check of a shown password.
//!
//! [`Accounts`] finds the account that a login names, [`Verifier`] checks the password, and a
//! [`Verified`] is the proof of it: nothing else in the program makes one. Devices that cannot log in
//! are known by their address, of which [`Recognised`] is the proof.

mod password;
mod sender;
mod verify;

use std::{borrow::Borrow, collections::HashMap, mem, sync::Arc};

use ipnet::IpNet;

use crate::ids::{AppName, ProtocolKind};

pub use password::{InvalidHash, StoredPassword, hash, hash_or_known};
pub use sender::{Recognised, SenderPattern};
pub use verify::{Claim, Verified, Verifier};

/// One entry of the mappings file: who may log in, which mailbox that opens, how its token is got.
///
/// There may be a hundred thousand: texts that say the same are shared, and what many have alike stands in
/// [`Account::rules`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The logins that this entry answers to, in the order of the file.
    pub logins: Box<[LoginPattern]>,
    /// The passwords, one per application that uses the account. Empty where the authority checks what is
    /// shown, and may be so where devices are known by their address.
    pub passwords: Box<[StoredPassword]>,
    /// The mailbox that a login opens. `None` for a wildcard, where it is the login as typed.
    pub mailbox: Option<Arc<str>>,
    /// The app registration that gets the token.
    pub app: AppName,
    /// How the token is got.
    pub grant: Grant,
    /// Who signs in for the token of a delegated grant: spellings of one person's address, lower-cased.
    /// Empty for the grants of the app itself, and where it is whoever the login opens the mailbox of.
    pub sign_in: Box<[Arc<str>]>,
    /// Whether the authority decides about the shown password: [`Account::passwords`] may be empty then.
    pub authority_checks: bool,
    /// The user named to the upstream by XOAUTH2 for SMTP, where that is not the mailbox.
    pub smtp_user: Option<Arc<str>>,
    /// What it may be used for.
    pub rules: Arc<Rules>,
}

/// What an account may be used for, and from where. Accounts with the same rules share them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The mailboxes that a wildcard may open, lower-cased; empty where [`Account::mailbox`] is set.
    pub mailboxes: Vec<Arc<str>>,
    /// The protocols that this account may use; empty means all.
    pub protocols: Vec<ProtocolKind>,
    /// The networks that a login may come from; empty means any.
    pub from_networks: Vec<IpNet>,
    /// The networks of devices that may send without a password: their address is the proof. For SMTP alone.
    pub no_password_from: Vec<IpNet>,
    /// The envelope senders that may be named; empty means any.
    pub senders: Vec<SenderPattern>,
}

impl Account {
    /// The name of the account in logs and error texts: its first login.
    #[must_use]
    pub fn name(&self) -> &str {
        self.logins.first().map_or("", LoginPattern::as_str)
    }

    /// Every mailbox that it names: one, or for a wildcard any number.
    pub fn mailboxes(&self) -> impl Iterator<Item = &Arc<str>> {
        self.mailbox.iter().chain(&self.rules.mailboxes)
    }

    /// Lets one more application in.
    pub fn add_password(&mut self, password: StoredPassword) {
        let mut passwords = mem::take(&mut self.passwords).into_vec();
        passwords.push(password);
        self.passwords = passwords.into();
    }

    /// Whether there is nothing that a shown password could be compared with here.
    #[must_use]
    pub fn is_the_authoritys_to_check(&self) -> bool {
        self.authority_checks && self.passwords.is_empty()
    }
}

/// The OAuth flow by which an account's token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// RFC 6749 §4.4: the app itself, with application permissions.
    ClientCredentials,
    /// RFC 6749 §4.1 with RFC 7636: a person consents in a browser.
    AuthorizationCode,
    /// RFC 8628: a person consents in a browser elsewhere, with a code.
    DeviceCode,
    /// RFC 6749 §4.3: the login's own password is shown to the authority.
    Password,
    /// RFC 7523 §2.1: a Google service account acts for the mailbox.
    ServiceAccount,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Self; 5] = [
        Self::ClientCredentials,
        Self::AuthorizationCode,
        Self::DeviceCode,
        Self::Password,
        Self::ServiceAccount,
    ];

    /// The name in the configuration and in logs: `client_credentials`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::DeviceCode => "device_code",
            Self::Password => "password",
            Self::ServiceAccount => "service_account",
        }
    }

    /// Whether a person has to consent once, after which a refresh token lasts.
    #[must_use]
    pub fn needs_consent(self) -> bool {
        match self {
            Self::AuthorizationCode | Self::DeviceCode => true,
            Self::ClientCredentials | Self::Password | Self::ServiceAccount => false,
        }
    }

    /// Whether the token acts for a person and not for the app.
    #[must_use]
    pub fn is_delegated(self) -> bool {
        self.needs_consent() || self == Self::Password
    }
}

/// A login that an account answers to, lower-cased: `scanner@contoso.com`, `scanner`, or `*@contoso.com` for any
/// login of that domain. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LoginPattern(Arc<str>);

impl LoginPattern {
    /// Reads a login of the mappings file; `None` where it is empty or has a `*` in another place
    /// than as the whole local part.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let login = normalise(written);
        let is_login = match login.strip_prefix(ANY_AT) {
            Some(domain) => !domain.is_empty() && !domain.contains(['*', '@']),
            None => !login.is_empty() && !login.contains('*'),
        };
        is_login.then(|| Self(login.into()))
    }

    /// The login, which no client means literally where it begins with a `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The login's text, to share it.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// The domain all of whose logins are meant, if it is so.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.strip_prefix(ANY_AT)
    }

    /// Whether a login as typed, lower-cased, is this one.
    #[must_use]
    pub fn matches(&self, typed: &str) -> bool {
        match self.domain() {
            Some(domain) => typed.rsplit_once('@').is_some_and(|(_, other)| other == domain),
            None => self.as_str() == typed,
        }
    }
}

/// What a wildcard begins with.
const ANY_AT: &str = "*@";

/// By its text, by which it is looked up.
impl Borrow<str> for LoginPattern {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LoginPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every account, found by login.
#[derive(Debug, Default)]
pub struct Accounts {
    all: Box<[Arc<Account>]>,
    by_login: HashMap<LoginPattern, Arc<Account>>,
    /// Those that devices stand for by their address.
    of_devices: Vec<Arc<Account>>,
}

impl Accounts {
    /// Takes the accounts of a mappings file. Where two claim one login the first has it; `config`
    /// has refused such a file before.
    #[must_use]
    pub fn new(accounts: Vec<Account>) -> Self {
        let all: Box<[Arc<Account>]> = accounts.into_iter().map(Arc::new).collect();
        let mut by_login = HashMap::with_capacity(all.iter().map(|account| account.logins.len()).sum());
        for account in &all {
            for login in &account.logins {
                by_login.entry(login.clone()).or_insert_with(|| Arc::clone(account));
            }
        }
        let has_devices = |account: &&Arc<Account>| !account.rules.no_password_from.is_empty();
        let of_devices = all.iter().filter(has_devices).map(Arc::clone).collect();
        Self { all, by_login, of_devices }
    }

    /// The account that answers to a login as typed: an exact entry before a wildcard.
    #[must_use]
    pub fn find(&self, typed: &str) -> Option<&Arc<Account>> {
        let login = normalise(typed);
        let by_domain = || {
            let (_, domain) = login.rsplit_once('@')?;
            self.by_login.get(format!("{ANY_AT}{domain}").as_str())
        };
        self.by_login.get(login.as_str()).or_else(by_domain)
    }

    /// The account that has this very login: a wildcard is named as it is written.
    #[must_use]
    pub fn with_login(&self, login: &LoginPattern) -> Option<&Arc<Account>> {
        self.by_login.get(login)
    }

    /// The account of the same name as another, which may be of another configuration.
    #[must_use]
    pub fn namesake(&self, account: &Account) -> Option<&Arc<Account>> {
        let name = account.logins.first()?;
        self.with_login(name).filter(|known| known.logins.first() == Some(name))
    }

    /// Whether an account, perhaps of another configuration, has a login that is still there.
    #[must_use]
    pub fn has_any_login_of(&self, account: &Account) -> bool {
        account.logins.iter().any(|login| self.by_login.contains_key(login))
    }

    /// Every account, in the order of the file.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Account>> {
        self.all.iter()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Logins are compared without regard to case, as mail servers do with the domain and Exchange with
/// the whole.
#[must_use]
pub fn normalise(login: &str) -> String {
    login.trim().to_lowercase()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An account of the app `contoso` with these logins, and nothing else.
    pub(crate) fn account(logins: &[&str]) -> Account {
        Account {
            logins: logins.iter().map(|login| LoginPattern::parse(login).unwrap()).collect(),
            passwords: Box::default(),
            mailbox: None,
            app: AppName::new("contoso"),
            grant: Grant::ClientCredentials,
            sign_in: Box::default(),
            authority_checks: false,
            smtp_user: None,
            rules: Arc::default(),
        }
    }

    #[test]
    fn a_login_is_found_in_any_case_and_exact_beats_wildcard() {
        let accounts =
            Accounts::new(vec![account(&["*@contoso.com"]), account(&["Scanner@Contoso.com", "scanner"])]);
        let cases = [
            ("SCANNER@contoso.COM", Some("scanner@contoso.com")),
            ("Scanner", Some("scanner@contoso.com")),
            ("ann@contoso.com", Some("*@contoso.com")),
            ("ann@other@contoso.com", Some("*@contoso.com")),
            ("ann", None),
            ("ann@fabrikam.com", None),
            ("*@contoso.com", Some("*@contoso.com")), // a login like any other of that domain
            ("", None),
        ];
        for (typed, expected) in cases {
            let found = accounts.find(typed).map(|account| account.name());
            assert_eq!(found, expected, "{typed}");
        }
    }

    #[test]
    fn a_star_stands_only_for_a_whole_local_part() {
        for written in ["", " ", "*", "*@", "a*@contoso.com", "*@*.com", "a@*", "*@a@b"] {
            assert_eq!(LoginPattern::parse(written), None, "{written}");
        }
    }
}
