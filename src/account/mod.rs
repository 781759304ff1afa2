//! Who may log in: the accounts of the mappings file, and the check of a shown password.
//!
//! [`Accounts`] finds the account that a login names, [`Verifier`] checks the password, and a
//! [`Verified`] is the proof of it: nothing else in the program makes one. Devices that cannot log in
//! are known by their address, of which [`Recognised`] is the proof.

mod password;
mod sender;
mod verify;

use std::{collections::HashMap, sync::Arc};

use ipnet::IpNet;

use crate::ids::{AppName, ProtocolKind};

pub use password::{InvalidHash, StoredPassword, hash, hash_or_known};
pub use sender::{Recognised, SenderPattern};
pub use verify::{Claim, Verified, Verifier};

/// One entry of the mappings file: who may log in, which mailbox that opens, how its token is got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The logins that this entry answers to, in the order of the file.
    pub logins: Vec<LoginPattern>,
    /// The passwords, one per application that uses the account. Empty where the authority checks what is
    /// shown, and may be so where devices are known by their address.
    pub passwords: Vec<StoredPassword>,
    /// The mailbox that a login opens. `None` for a wildcard, where it is the login as typed.
    pub mailbox: Option<String>,
    /// The mailboxes that a wildcard may open, lower-cased; empty where [`Account::mailbox`] is set.
    pub mailboxes: Vec<String>,
    /// The app registration that gets the token.
    pub app: AppName,
    /// How the token is got.
    pub grant: Grant,
    /// Who signs in for the token of a delegated grant: spellings of one person's address, lower-cased.
    /// Empty for the grants of the app itself, and where it is whoever the login opens the mailbox of.
    pub sign_in: Vec<String>,
    /// Whether the authority decides about the shown password: [`Account::passwords`] may be empty then.
    pub authority_checks: bool,
    /// The user named to the upstream by XOAUTH2 for SMTP, where that is not the mailbox.
    pub smtp_user: Option<String>,
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
    pub fn name(&self) -> String {
        self.logins.first().map(ToString::to_string).unwrap_or_default()
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

/// A login that an account answers to, lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LoginPattern {
    /// `scanner@contoso.com` or `scanner`.
    Exact(String),
    /// `*@contoso.com`: any login of that domain; the domain without the `*@`.
    AnyAt(String),
}

impl LoginPattern {
    /// Reads a login of the mappings file; `None` where it is empty or has a `*` in another place
    /// than as the whole local part.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let login = normalise(written);
        if let Some(domain) = login.strip_prefix("*@") {
            return (!domain.is_empty() && !domain.contains(['*', '@']))
                .then(|| Self::AnyAt(domain.to_owned()));
        }
        (!login.is_empty() && !login.contains('*')).then_some(Self::Exact(login))
    }
}

impl std::fmt::Display for LoginPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(login) => f.write_str(login),
            Self::AnyAt(domain) => write!(f, "*@{domain}"),
        }
    }
}

/// Every account, found by login.
#[derive(Debug, Default)]
pub struct Accounts {
    all: Vec<Arc<Account>>,
    by_login: HashMap<LoginPattern, Arc<Account>>,
}

impl Accounts {
    /// Takes the accounts of a mappings file. Where two claim one login the first has it; `config`
    /// has refused such a file before.
    #[must_use]
    pub fn new(accounts: Vec<Account>) -> Self {
        let all: Vec<Arc<Account>> = accounts.into_iter().map(Arc::new).collect();
        let mut by_login = HashMap::with_capacity(all.len());
        for account in &all {
            for login in &account.logins {
                by_login.entry(login.clone()).or_insert_with(|| Arc::clone(account));
            }
        }
        Self { all, by_login }
    }

    /// The account that answers to a login as typed: an exact entry before a wildcard.
    #[must_use]
    pub fn find(&self, typed: &str) -> Option<&Arc<Account>> {
        let login = normalise(typed);
        let domain = login.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        self.by_login
            .get(&LoginPattern::Exact(login))
            .or_else(|| self.by_login.get(&LoginPattern::AnyAt(domain?)))
    }

    /// Whether an account, perhaps of another configuration, has a login that is still there.
    #[must_use]
    pub fn has_any_login_of(&self, account: &Account) -> bool {
        account.logins.iter().any(|login| self.by_login.contains_key(login))
    }

    /// Every account, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.all.iter()
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
            passwords: Vec::new(),
            mailbox: None,
            mailboxes: Vec::new(),
            app: AppName::new("contoso"),
            grant: Grant::ClientCredentials,
            sign_in: Vec::new(),
            authority_checks: false,
            smtp_user: None,
            protocols: Vec::new(),
            from_networks: Vec::new(),
            no_password_from: Vec::new(),
            senders: Vec::new(),
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
            assert_eq!(found.as_deref(), expected, "{typed}");
        }
    }

    #[test]
    fn a_star_stands_only_for_a_whole_local_part() {
        for written in ["", " ", "*", "*@", "a*@contoso.com", "*@*.com", "a@*", "*@a@b"] {
            assert_eq!(LoginPattern::parse(written), None, "{written}");
        }
    }
}
