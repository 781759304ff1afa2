//! The rules for single keys of an `[[account]]`.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::{
    listener::protocol_kind,
    mistake::quoted,
    reader::{Item, Table},
};
use crate::{
    account::{Grant, InvalidHash, LoginPattern, StoredPassword, normalise},
    ids::ProtocolKind,
};

/// A login as it is written and as it is compared.
pub(super) struct Login<'t> {
    pub(super) written: &'t str,
    pub(super) pattern: LoginPattern,
}

impl Login<'_> {
    pub(super) fn is_wildcard(&self) -> bool {
        self.pattern.domain().is_some()
    }

    /// What is written, as a text that is shared where it is the pattern's.
    fn text(&self) -> Arc<str> {
        let pattern = self.pattern.text();
        if **pattern == *self.written { Arc::clone(pattern) } else { self.written.into() }
    }
}

/// The mailbox that an account opens, and those that a wildcard may.
pub(super) type Opened = (Option<Arc<str>>, Vec<Arc<str>>);

/// What decides about a wildcard, as far as it could be read.
pub(super) struct Kind {
    pub(super) grant: Option<Grant>,
    /// Nothing where the app has mistakes.
    pub(super) authority_checks: Option<bool>,
}

/// Which mailbox the account opens, or which ones a wildcard may: at most one of the two is there. With
/// neither, the login as typed is the mailbox.
#[expect(clippy::option_option, reason = "a key may be missing, or have a mistake")]
pub(super) fn opened(
    table: &Table<'_>,
    logins: &[Login<'_>],
    kind: &Kind,
    mailbox: Option<Option<String>>,
    mailboxes: Option<Option<Vec<Arc<str>>>>,
) -> Option<Opened> {
    let wildcard = logins.iter().any(Login::is_wildcard);
    if wildcard && kind.grant.is_some_and(Grant::needs_consent) {
        table.wrong(
            "a wildcard login stands for many people, whose consents one password would open",
            "make an account for each login; or write grant = \"password\", where each has a password of its own",
        );
        return None;
    }
    match (mailbox, mailboxes) {
        (Some(_), Some(_)) => {
            table.wrong("an account has either mailbox or mailboxes", "take out one of the two");
            None
        }
        (Some(mailbox), None) => Some((Some(mailbox?.into()), Vec::new())),
        (None, Some(_)) if !wildcard => {
            table.wrong("mailboxes is for accounts with a wildcard login", "write mailbox = \"…\"");
            None
        }
        (None, Some(mailboxes)) => {
            let mailboxes = mailboxes?;
            check_reach(table, logins, &mailboxes);
            Some((None, mailboxes))
        }
        (None, None) if wildcard && kind.authority_checks == Some(true) => as_typed(table, logins),
        (None, None) if wildcard && table.lacks("mailbox") && table.lacks("mailboxes") => {
            if kind.authority_checks == Some(false) && kind.grant.is_some() {
                table.wrong(
                    "a wildcard login would open every mailbox that the app may open",
                    "add mailbox = \"…\", or mailboxes = [\"…\"] with those that it may open",
                );
            }
            None
        }
        (None, None) => {
            let is_address = |login: &&Login<'_>| login.written.contains('@') && !login.is_wildcard();
            let address = logins.iter().find(is_address);
            if address.is_none() && table.lacks("mailbox") {
                table.missing(
                    "[[account]] has no mailbox, and its login is no address",
                    "add mailbox = \"…\"",
                );
            }
            Some((Some(address?.text()), Vec::new()))
        }
    }
}

/// The login as typed is the mailbox, for which the authority asks for the right password.
fn as_typed(table: &Table<'_>, logins: &[Login<'_>]) -> Option<Opened> {
    let nameless = logins.iter().find(|login| !login.written.contains('@'));
    if let Some(login) = nameless {
        let cause = format!("login {} is no address, and the login is the mailbox", quoted(login.written));
        table.wrong(cause, "give it an account of its own with mailbox = \"…\"");
        return None;
    }
    Some((None, Vec::new()))
}

/// Notes logins and mailboxes that do not meet.
fn check_reach(table: &Table<'_>, logins: &[Login<'_>], mailboxes: &[Arc<str>]) {
    for mailbox in mailboxes {
        if !logins.iter().any(|login| login.pattern.matches(mailbox)) {
            let cause = format!("no login of the account matches the mailbox {}", quoted(mailbox));
            table.doubtful(cause, "add the login that opens it, or take the mailbox out");
        }
    }
    for login in logins.iter().filter(|login| !mailboxes.iter().any(|mailbox| login.pattern.matches(mailbox)))
    {
        let cause = format!("login {} opens none of the mailboxes", quoted(login.written));
        table.wrong(cause, "add the mailbox that it opens, or give it an account of its own");
    }
}

pub(super) fn grant(item: &Item<'_>) -> Option<Grant> {
    let word = item.word(&Grant::ALL.map(Grant::name), &[])?;
    Grant::ALL.into_iter().find(|grant| grant.name() == word)
}

pub(super) fn stored_password(item: &Item<'_>) -> Option<StoredPassword> {
    let hash = StoredPassword::parse(item.string()?);
    let cure = match &hash {
        Ok(_) => "",
        Err(InvalidHash::NotPhc) => {
            "write what footbridge hash-password prints, or { env = \"…\" } or { file = \"…\" } for a plain one kept elsewhere"
        }
        Err(InvalidHash::CutOff(_)) => "copy the whole line that footbridge hash-password prints",
        Err(InvalidHash::OtherScheme(_) | InvalidHash::TooExpensive(_) | InvalidHash::Parameter { .. }) => {
            "write what footbridge hash-password prints"
        }
    };
    hash.map_err(|error| item.wrong(format!("the password is no usable hash: {error}"), cure)).ok()
}

/// What may be shown to an upstream as a user.
pub(super) fn address(item: &Item<'_>, written: String) -> Option<String> {
    if written.is_empty()
        || written.contains(|char: char| char.is_control() || char.is_whitespace() || "*{}".contains(char))
    {
        item.wrong(
            format!("{} is no mailbox", quoted(&written)),
            "write its address: \"scanner@contoso.com\"",
        );
        return None;
    }
    Some(written)
}

/// The spellings of the address of who signs in, in small letters.
pub(super) fn sign_in(item: &Item<'_>) -> Option<Box<[Arc<str>]>> {
    let spellings: Vec<_> =
        item.one_or_more()?.iter().map(|item| address(item, normalise(item.string()?))).collect();
    spellings.into_iter().map(|spelling| spelling.map(Arc::from)).collect()
}

pub(super) fn mailboxes(item: &Item<'_>) -> Option<Vec<Arc<str>>> {
    let mailboxes: Vec<_> =
        item.list()?.iter().map(|item| address(item, normalise(item.string()?))).collect();
    mailboxes.into_iter().map(|mailbox| mailbox.map(Arc::from)).collect()
}

pub(super) fn protocols<'t>(item: &Item<'t>) -> Option<Vec<(Item<'t>, ProtocolKind)>> {
    let with_kind = |item: Item<'t>| protocol_kind(&item).map(|kind| (item, kind));
    let protocols: Vec<_> = item.list()?.into_iter().map(with_kind).collect();
    protocols.into_iter().collect()
}

pub(super) fn networks(item: &Item<'_>) -> Option<Vec<IpNet>> {
    let networks: Vec<_> = item.list()?.iter().map(network).collect();
    networks.into_iter().collect()
}

pub(super) fn network(item: &Item<'_>) -> Option<IpNet> {
    let written = item.string()?;
    let network = written.parse::<IpNet>().ok().or_else(|| Some(written.parse::<IpAddr>().ok()?.into()));
    let Some(network) = network else {
        item.wrong(
            format!("{} is no network", quoted(written)),
            "write \"10.0.0.0/8\", \"fd00::/8\" or an address",
        );
        return None;
    };
    if network != network.trunc() {
        let cause = format!("{} names a host and a network at once", quoted(written));
        item.wrong(
            cause,
            format!("write \"{}\" for the network, or \"{}\" for the host", network.trunc(), network.addr()),
        );
        return None;
    }
    if network.addr() != network.addr().to_canonical() {
        let cause =
            format!("{} never matches: such clients are known by their IPv4 address", quoted(written));
        item.wrong(cause, format!("write \"{}\"", network.addr().to_canonical()));
        return None;
    }
    Some(network)
}
