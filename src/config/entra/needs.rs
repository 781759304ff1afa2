//! What the accounts of an app need, and nothing beyond it.

use std::collections::BTreeSet;

use super::{Trouble, cloud};
use crate::{
    account::{Account, Grant, SenderPattern},
    ids::ProtocolKind,
    oauth::App,
    policy::access,
    session::Provider,
};

/// What has to be granted, switched on and registered for the accounts of one app.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Application permissions of *Office 365 Exchange Online*.
    pub(super) roles: BTreeSet<&'static str>,
    /// Delegated permissions for mail.
    pub(super) mail_scopes: BTreeSet<String>,
    /// Delegated permissions of Microsoft Graph: who signs in, and a refresh token.
    pub(super) identity_scopes: BTreeSet<String>,
    /// The mailboxes that the app itself opens, with full access.
    pub(super) opened: BTreeSet<String>,
    /// The mailboxes that the app itself sends from by a role of Exchange.
    pub(super) senders: BTreeSet<String>,
    /// The mailboxes that are used by each protocol, whose switches have to be on.
    pub(super) imap: BTreeSet<String>,
    pub(super) pop3: BTreeSet<String>,
    pub(super) smtp: BTreeSet<String>,
    /// The mailboxes that somebody else opens, and who.
    pub(super) delegates: BTreeSet<(String, String)>,
    /// The mailboxes that somebody else sends from, and who.
    pub(super) senders_as: BTreeSet<(String, String)>,
    /// The addresses beside its mailboxes that the app itself names as senders.
    pub(super) app_senders: BTreeSet<String>,
    /// The accounts of High Volume Email.
    pub(super) high_volume: BTreeSet<String>,
    /// What a wildcard without a list of mailboxes opens by the app itself: the protocols of whatever mailbox.
    pub(super) any_mailbox: BTreeSet<ProtocolKind>,
    /// What wildcards of people who show their own passwords open, so that nobody knows their mailboxes here.
    pub(super) own_mailboxes: BTreeSet<ProtocolKind>,
    /// Whether a browser comes back with a code.
    pub(super) code_flow: bool,
    /// Whether tokens are got without a browser that comes back.
    pub(super) public_flow: bool,
}

impl Needs {
    /// Sums up accounts, each of this app.
    pub(super) fn of<'a>(
        app: &App,
        provider: &Provider,
        accounts: impl Iterator<Item = &'a Account>,
        listening: &BTreeSet<ProtocolKind>,
        smtp_rbac: bool,
    ) -> Self {
        let mut needs = Self::default();
        for account in accounts {
            let spoken = |kind: &&ProtocolKind| access::may_speak(account, **kind);
            let spoken: BTreeSet<_> = listening.iter().filter(spoken).copied().collect();
            let usable: BTreeSet<_> =
                spoken.iter().filter(|kind| provider.endpoint(**kind).is_some()).copied().collect();
            match account.grant {
                Grant::ClientCredentials if cloud::is_high_volume(provider) => {
                    needs.high_volume(account, &usable);
                }
                Grant::ClientCredentials => needs.app_itself(account, &usable, smtp_rbac),
                Grant::AuthorizationCode | Grant::DeviceCode | Grant::Password => {
                    needs.delegated(app, account, &spoken);
                    needs.person(account, &usable);
                }
                Grant::ServiceAccount => {}
            }
        }
        needs
    }

    /// Whether the app opens or sends by itself.
    pub(super) fn app_only(&self) -> bool {
        !self.opened.is_empty()
            || !self.senders.is_empty()
            || !self.any_mailbox.is_empty()
            || !self.high_volume.is_empty()
    }

    /// Whether there is nothing to set up.
    pub(super) fn is_nothing(&self) -> bool {
        !self.app_only() && self.mail_scopes.is_empty()
    }

    fn app_itself(&mut self, account: &Account, usable: &BTreeSet<ProtocolKind>, smtp_rbac: bool) {
        for kind in usable {
            let role = match kind {
                ProtocolKind::Imap => Some("IMAP.AccessAsApp"),
                ProtocolKind::Pop3 => Some("POP.AccessAsApp"),
                ProtocolKind::Smtp => Some("SMTP.SendAsApp").filter(|_| !smtp_rbac),
            };
            self.roles.extend(role);
            let mailboxes = mailboxes(account, *kind);
            if mailboxes.is_empty() {
                self.any_mailbox.insert(*kind);
            }
            let by_role = smtp_rbac && *kind == ProtocolKind::Smtp;
            let allowed = if by_role { &mut self.senders } else { &mut self.opened };
            allowed.extend(mailboxes.iter().cloned());
            if *kind == ProtocolKind::Smtp {
                self.app_senders.extend(other_senders(account, &mailboxes));
            }
            self.switched(*kind).extend(mailboxes);
        }
    }

    /// Microsoft Learn, "OAuth authentication for High Volume Email": `Mail.Send`, and an app's place on the
    /// list of the account.
    fn high_volume(&mut self, account: &Account, usable: &BTreeSet<ProtocolKind>) {
        if usable.contains(&ProtocolKind::Smtp) {
            self.roles.insert("Mail.Send");
            self.high_volume.extend(mailboxes(account, ProtocolKind::Smtp));
        }
    }

    fn delegated(&mut self, app: &App, account: &Account, spoken: &BTreeSet<ProtocolKind>) {
        let scopes = spoken.iter().filter_map(|kind| app.delegated_scopes.get(kind)).flatten();
        let scopes = scopes.chain(&app.consent.identity_scopes);
        for scope in scopes {
            // A scope of OpenID Connect has no resource before it.
            match scope.rsplit_once('/') {
                Some((_, name)) => _ = self.mail_scopes.insert(name.to_owned()),
                None => _ = self.identity_scopes.insert(scope.clone()),
            }
        }
        match account.grant {
            Grant::AuthorizationCode => self.code_flow = true,
            Grant::DeviceCode | Grant::Password => self.public_flow = true,
            Grant::ClientCredentials | Grant::ServiceAccount => {}
        }
    }

    /// Somebody may open their own mailbox; another one has to be shared with them.
    fn person(&mut self, account: &Account, usable: &BTreeSet<ProtocolKind>) {
        if account.mailboxes().next().is_none() {
            self.own_mailboxes.extend(usable);
        }
        for kind in usable {
            let users = mailboxes(account, *kind);
            if let (ProtocolKind::Smtp, Some(person)) = (kind, account.sign_in.first()) {
                let senders = other_senders(account, &account.sign_in);
                self.senders_as.extend(senders.map(|sender| (sender, person.to_string())));
            }
            self.switched(*kind).extend(users);
            let (Some(mailbox), Some(person)) = (&account.mailbox, account.sign_in.first()) else { continue };
            if account.sign_in.contains(&mailbox.to_lowercase().into()) {
                continue;
            }
            let shared = if *kind == ProtocolKind::Smtp { &mut self.senders_as } else { &mut self.delegates };
            shared.insert((mailbox.to_lowercase(), person.to_string()));
        }
    }

    fn switched(&mut self, kind: ProtocolKind) -> &mut BTreeSet<String> {
        match kind {
            ProtocolKind::Imap => &mut self.imap,
            ProtocolKind::Smtp => &mut self.smtp,
            ProtocolKind::Pop3 => &mut self.pop3,
        }
    }

    /// Whether a role of Exchange's is of use.
    pub(super) fn check_role(&self, smtp_rbac: bool) -> Result<(), Trouble> {
        if smtp_rbac && self.senders.is_empty() && !self.any_mailbox.contains(&ProtocolKind::Smtp) {
            return Err(Trouble::new(
                "--smtp-rbac has no effect: no account sends by the app itself, to which the role is given",
                "leave it out; it is for SMTP with grant = \"client_credentials\", and not for High Volume Email",
            ));
        }
        Ok(())
    }

    /// What a group is for, and whether one is needed or useless.
    pub(super) fn check_group(&self, group: Option<&str>) -> Result<(), Trouble> {
        if group.is_none() && !self.any_mailbox.is_empty() {
            return Err(Trouble::new(
                "an account with a wildcard login opens whatever mailbox is asked for, so that no list of them is known",
                "add --group ADDRESS, a mail-enabled security group whose members are the mailboxes; or write \
                 mailboxes = [\"…\"] to the account",
            ));
        }
        let useful =
            !self.any_mailbox.is_empty() || !self.senders.is_empty() || !self.own_mailboxes.is_empty();
        if group.is_some() && !useful {
            return Err(Trouble::new(
                "--group has no effect: the mappings name every mailbox",
                "leave it out; it is for wildcards, and for --smtp-rbac",
            ));
        }
        Ok(())
    }
}

/// The addresses that an account may name as senders beside those of its user: Exchange asks for *Send As* there.
fn other_senders<'a>(
    account: &'a Account,
    users: &'a [impl AsRef<str>],
) -> impl Iterator<Item = String> + 'a {
    let address = |sender: &SenderPattern| match sender {
        SenderPattern::Exact(address) => Some(address.clone()),
        SenderPattern::Null | SenderPattern::AnyAt(_) => None,
    };
    let is_user = |address: &String| users.iter().any(|user| user.as_ref() == address);
    account.rules.senders.iter().filter_map(address).filter(move |address| !is_user(address))
}

/// The mailboxes that an account's user is upstream, for a protocol; none where a wildcard leaves them open.
fn mailboxes(account: &Account, kind: ProtocolKind) -> Vec<String> {
    let smtp_user = account.smtp_user.as_ref().filter(|_| kind == ProtocolKind::Smtp);
    match smtp_user.or(account.mailbox.as_ref()) {
        Some(user) => vec![user.to_lowercase()],
        None => account.rules.mailboxes.iter().map(ToString::to_string).collect(),
    }
}
