//! Who may log in, with which protocol, from where, and which mailbox that opens.

use std::sync::Arc;

use crate::{
    account::{Account, Accounts, Claim, Recognised, Verified, normalise},
    dialogue::{Capabilities, Offer},
    failure::{Explanation, Failure, Refusal},
    ids::{AppName, ClientAddr, ProtocolKind},
    secret::Secret,
};

/// How a client's line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// In clear, and it stays so.
    Clear,
    /// In clear, and the client may encrypt it; or must, before it logs in.
    Encryptable {
        /// No login before.
        required: bool,
    },
    /// Encrypted.
    Encrypted,
}

impl Line {
    /// Whether the client may still encrypt it.
    #[must_use]
    pub fn is_encryptable(self) -> bool {
        matches!(self, Self::Encryptable { .. })
    }
}

/// What may be offered on a line. Credentials are not taken in clear where the listener wants TLS: a
/// client that is not told of a login does not show its password to everybody on the network first
/// (RFC 3501 §6.2.3, RFC 3207 §4, RFC 2595 §2.2). Nor is mail of a client that is known by its address, who
/// would show its messages.
#[must_use]
pub fn offer(line: Line, is_recognised: bool, capabilities: Capabilities) -> Offer {
    let (login, starttls) = match line {
        Line::Clear | Line::Encrypted => (true, false),
        Line::Encryptable { required } => (!required, true),
    };
    Offer { login, by_address: login && is_recognised, starttls, capabilities }
}

/// Why a claim is turned away before its password is looked at. Told to the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No account answers to the login.
    UnknownLogin,
    /// The authorization identity (RFC 4616 §2) is another than the login.
    ForeignAuthzid,
    /// The account may not use this protocol.
    Protocol,
    /// The account may not be used from this address.
    Network,
}

impl Denied {
    /// The name in logs: `unknown_login`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownLogin => "unknown_login",
            Self::ForeignAuthzid => "authzid_is_not_the_login",
            Self::Protocol => "forbidden_protocol",
            Self::Network => "forbidden_network",
        }
    }
}

/// Turns a claim that may not be made into one to nobody, whose check costs the same and fails, so
/// that a stranger cannot tell the two apart.
#[must_use]
pub fn screen(claim: Claim, kind: ProtocolKind, from: ClientAddr) -> (Claim, Option<Denied>) {
    match claim.account().map(|account| forbids(account, kind, from)) {
        None => (claim, Some(Denied::UnknownLogin)),
        Some(_) if !claim.acts_as_itself() => (claim.denied(), Some(Denied::ForeignAuthzid)),
        Some(Some(denied)) => (claim.denied(), Some(denied)),
        Some(None) => (claim, None),
    }
}

/// Whether a client stands for an account by its address alone: for mail, and where the account may be used
/// for it and from there. A load balancer that looks at the port on its own behalf stands for nobody.
#[must_use]
pub fn recognise(accounts: &Accounts, kind: ProtocolKind, from: ClientAddr) -> Option<Recognised> {
    match kind {
        ProtocolKind::Smtp => accounts.by_address(from),
        ProtocolKind::Imap | ProtocolKind::Pop3 => None,
    }
    .filter(|recognised| forbids(recognised.account(), kind, from).is_none())
}

/// Whether a client's address stands for an account, by a configuration that may have come later.
#[must_use]
pub fn stands_for(accounts: &Accounts, from: ClientAddr, account: &Account) -> bool {
    let recognised = recognise(accounts, ProtocolKind::Smtp, from);
    recognised.is_some_and(|recognised| recognised.account().name() == account.name())
}

/// Decides what a client may open that is known by its address. `latest` are the accounts of the moment: those by
/// which it was greeted may be older.
///
/// # Errors
/// [`Failure::BadCredentials`] where its address stands for the account no more; [`Failure::NotPermitted`] where the
/// sender is none of the account's, or the account has no mailbox of its own.
pub fn admit_recognised(
    recognised: &Recognised,
    latest: &Accounts,
    kind: ProtocolKind,
    from: ClientAddr,
    sender: &str,
) -> Result<Permit, Refusal> {
    let account = recognised.account();
    if !stands_for(latest, from, account) {
        let cause = format!("{} does not stand for account {} any more", from.ip(), account.name());
        let cure = "have the device log in, or name its address in no_password_from again";
        return Err(Refusal::explained(Failure::BadCredentials, Explanation::new(cause, cure)));
    }
    may_send(account, sender)?;
    let Some(mailbox) = account.mailbox.clone() else { return Err(other_mailbox(account, "")) };
    Ok(permit(account, mailbox, kind, None))
}

/// Whether an account may hand in mail with this envelope sender.
///
/// # Errors
/// [`Failure::NotPermitted`] where it may not.
pub fn may_send(account: &Account, sender: &str) -> Result<(), Refusal> {
    if account.may_send_as(sender) {
        return Ok(());
    }
    let cause = format!("<{sender}> is not among the senders of account {}", account.name());
    let cure = "have the program send as one of them, or add it to senders in the mappings file";
    Err(Refusal::explained(Failure::NotPermitted, Explanation::new(cause, cure)))
}

/// Whether an account may use a protocol.
#[must_use]
pub fn may_speak(account: &Account, kind: ProtocolKind) -> bool {
    account.rules.protocols.is_empty() || account.rules.protocols.contains(&kind)
}

fn forbids(account: &Account, kind: ProtocolKind, from: ClientAddr) -> Option<Denied> {
    if !may_speak(account, kind) {
        return Some(Denied::Protocol);
    }
    let networks = &account.rules.from_networks;
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&from.ip())) {
        return Some(Denied::Network);
    }
    None
}

/// Leave to open one mailbox with one protocol: what a token and an upstream connection ask for.
#[derive(Debug, Clone)]
pub struct Permit {
    account: Arc<Account>,
    mailbox: Arc<str>,
    user: Arc<str>,
    shown: Option<Secret>,
}

impl Permit {
    /// The account that logs in.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The app registration that gets the token.
    #[must_use]
    pub fn app(&self) -> &AppName {
        &self.account.app
    }

    /// The mailbox that may be opened.
    #[must_use]
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// The password that the authority has yet to judge, where that is how the account is checked.
    #[must_use]
    pub fn shown(&self) -> Option<&Secret> {
        self.shown.as_ref()
    }

    /// The user to name to the upstream beside the access token.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// Decides what a verified client may open.
///
/// # Errors
/// [`Failure::NotPermitted`] where a wildcard's login is none of the mailboxes that it may open.
pub fn admit(verified: &Verified, kind: ProtocolKind) -> Result<Permit, Refusal> {
    let account = verified.account();
    let mailbox = match &account.mailbox {
        Some(mailbox) => Arc::clone(mailbox),
        None if opens(account, verified.login()) => verified.login().into(),
        None => return Err(other_mailbox(account, verified.login())),
    };
    Ok(permit(account, mailbox, kind, verified.shown().cloned()))
}

/// Leave for the operator, who holds the state folder and with it every token, to try an account without its
/// password. `login` says which mailbox, where the account has several.
///
/// Nobody who came by a listener gets here: `tests/architecture.rs` holds who may call it.
///
/// # Errors
/// [`Failure::NotPermitted`] where the login does not say which of its mailboxes a wildcard shall open.
pub fn for_operator(account: &Arc<Account>, login: &str, kind: ProtocolKind) -> Result<Permit, Refusal> {
    let login = normalise(login);
    let mailbox = match &account.mailbox {
        Some(mailbox) => Arc::clone(mailbox),
        None if opens(account, &login) => login.into(),
        None => return Err(other_mailbox(account, &login)),
    };
    Ok(permit(account, mailbox, kind, None))
}

fn permit(account: &Arc<Account>, mailbox: Arc<str>, kind: ProtocolKind, shown: Option<Secret>) -> Permit {
    let user = match (kind, &account.smtp_user) {
        (ProtocolKind::Smtp, Some(user)) => Arc::clone(user),
        (ProtocolKind::Smtp, None) | (ProtocolKind::Imap | ProtocolKind::Pop3, _) => Arc::clone(&mailbox),
    };
    Permit { account: Arc::clone(account), mailbox, user, shown }
}

fn other_mailbox(account: &Account, login: &str) -> Refusal {
    let cause = format!("account {} may not open mailbox {login}", account.name());
    let cure = "add it to mailboxes in the mappings file";
    Refusal::explained(Failure::NotPermitted, Explanation::new(cause, cure))
}

/// Whether a login opens the mailbox of its own name.
fn opens(account: &Account, login: &str) -> bool {
    account.rules.mailboxes.iter().any(|mailbox| **mailbox == *login) || opens_login_as_typed(account, login)
}

/// Whether the login is the mailbox, whichever it is: the authority has found the password to be its
/// own. What could end the user's field of a SASL response, or be taken for two addresses, is none.
fn opens_login_as_typed(account: &Account, login: &str) -> bool {
    let is_plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|char: char| char.is_control() || char.is_whitespace() || char == '@')
    };
    let is_address = login.split_once('@').is_some_and(|(local, domain)| is_plain(local) && is_plain(domain));
    account.authority_checks && account.rules.mailboxes.is_empty() && is_address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{Accounts, Rules, Verifier, hash, tests::account as fixture},
        clock::System,
        sasl::Credentials,
        secret::Secret,
    };

    fn account(login: &str) -> Account {
        Account { passwords: [hash(&Secret::new("secret"))].into(), ..fixture(&[login]) }
    }

    fn denied(account: Account, kind: ProtocolKind, from: &str) -> Option<Denied> {
        let accounts = Accounts::new(vec![account]);
        let claim = Claim::new(&accounts, Credentials::new(b"ann@example.com", "secret"));
        let (claim, denied) = screen(claim, kind, ClientAddr::new(from.parse().unwrap()));
        assert_eq!(claim.account().is_none(), denied.is_some());
        denied
    }

    #[test]
    fn a_claim_is_denied_by_protocol_and_by_network() {
        let rules = || Rules {
            protocols: vec![ProtocolKind::Smtp],
            from_networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..Rules::default()
        };
        let limited = || Account { rules: rules().into(), ..account("ann@example.com") };
        let (imap, smtp) = (ProtocolKind::Imap, ProtocolKind::Smtp);
        assert_eq!(denied(account("ann@example.com"), imap, "192.0.2.1:9"), None);
        assert_eq!(denied(account("bob@example.com"), imap, "192.0.2.1:9"), Some(Denied::UnknownLogin));
        assert_eq!(denied(limited(), smtp, "10.255.0.1:9"), None);
        assert_eq!(denied(limited(), smtp, "[::ffff:10.255.0.1]:9"), None);
        assert_eq!(denied(limited(), smtp, "[fd00::1]:9"), None);
        assert_eq!(denied(limited(), imap, "10.255.0.1:9"), Some(Denied::Protocol));
        assert_eq!(denied(limited(), smtp, "11.0.0.1:9"), Some(Denied::Network));
    }

    #[test]
    fn an_address_stands_for_its_account_as_long_as_the_latest_accounts_give_it_to_that_account() {
        let from = ClientAddr::new("10.1.2.3:9".parse().unwrap());
        let device = |login: &str, network: &str| {
            let no_password_from = vec![network.parse().unwrap()];
            let rules = Rules { no_password_from, ..Rules::default() };
            Account { rules: rules.into(), ..fixture(&[login]) }
        };
        let before = device("ann@example.com", "10.1.2.3/32");
        let still = |account| stands_for(&Accounts::new(vec![account]), from, &before);
        assert!(still(device("ann@example.com", "10.1.2.0/24")));
        assert!(!still(device("ann@example.com", "10.1.2.4/32")));
        assert!(!still(device("bob@example.com", "10.1.2.3/32")), "it stands for somebody else now");
    }

    #[test]
    fn an_authzid_other_than_the_login_is_denied() {
        for (authzid, expected) in
            [("", None), ("Ann@Example.com", None), ("bob@example.com", Some(Denied::ForeignAuthzid))]
        {
            let accounts = Accounts::new(vec![account("ann@example.com"), account("bob@example.com")]);
            let shown =
                Credentials { authzid: authzid.to_owned(), ..Credentials::new(b"ann@example.com", "secret") };
            let from = ClientAddr::new("192.0.2.1:9".parse().unwrap());
            let (claim, denied) = screen(Claim::new(&accounts, shown), ProtocolKind::Imap, from);
            assert_eq!((denied, claim.account().is_none()), (expected, expected.is_some()), "{authzid}");
        }
    }

    async fn permit(account: Account, login: &str, kind: ProtocolKind) -> Result<Permit, Refusal> {
        let accounts = Accounts::new(vec![account]);
        let claim = Claim::new(&accounts, Credentials::new(login.as_bytes(), "secret"));
        let verifier = Verifier::new(&accounts, Arc::new(System));
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
        admit(&verifier.verify(claim, deadline).await.unwrap(), kind)
    }

    #[tokio::test]
    async fn a_wildcard_opens_the_mailboxes_that_it_names_and_no_other() {
        let rules = || Rules { mailboxes: vec!["ann@example.com".into()], ..Rules::default() };
        let wildcard = || Account { rules: rules().into(), ..account("*@example.com") };
        let opened = permit(wildcard(), "Ann@Example.com", ProtocolKind::Imap).await.unwrap();
        assert_eq!(opened.mailbox(), "ann@example.com");
        let refusal = permit(wildcard(), "bob@example.com", ProtocolKind::Imap).await.unwrap_err();
        assert_eq!(refusal.failure, Failure::NotPermitted);
    }

    #[tokio::test]
    async fn a_wildcard_opens_the_login_as_typed_where_the_authority_checks_the_password() {
        let wildcard = |authority_checks| Account { authority_checks, ..account("*@example.com") };
        let opened = permit(wildcard(true), "Ann@Example.com", ProtocolKind::Imap).await.unwrap();
        assert_eq!((opened.mailbox(), opened.user()), ("ann@example.com", "ann@example.com"));
        for login in ["@example.com", "ann@x@example.com", "a b@example.com", "a\u{1}auth=b@example.com"] {
            let refusal = permit(wildcard(true), login, ProtocolKind::Imap).await.unwrap_err();
            assert_eq!(refusal.failure, Failure::NotPermitted, "{login:?}");
        }
        let refusal = permit(wildcard(false), "ann@example.com", ProtocolKind::Imap).await.unwrap_err();
        assert_eq!(refusal.failure, Failure::NotPermitted);
        let rules = Rules { mailboxes: vec!["bob@example.com".into()], ..Rules::default() };
        let some = Account { rules: rules.into(), ..wildcard(true) };
        let refusal = permit(some, "ann@example.com", ProtocolKind::Imap).await.unwrap_err();
        assert_eq!(refusal.failure, Failure::NotPermitted);
    }

    #[tokio::test]
    async fn the_smtp_user_is_named_for_smtp_alone() {
        let delegate = || Account {
            mailbox: Some("info@example.com".into()),
            smtp_user: Some("ann@example.com".into()),
            ..account("info")
        };
        for kind in [ProtocolKind::Imap, ProtocolKind::Pop3] {
            assert_eq!(permit(delegate(), "info", kind).await.unwrap().user(), "info@example.com");
        }
        assert_eq!(permit(delegate(), "info", ProtocolKind::Smtp).await.unwrap().user(), "ann@example.com");
    }
}
