//! Envelope senders that an account may name, and the addresses that stand for an account by themselves.

use std::sync::Arc;

use super::{Account, Accounts};
use crate::ids::ClientAddr;

/// An envelope sender that an account may name, lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SenderPattern {
    /// `<>`: the sender of bounces (RFC 5321 §4.5.5). No other pattern stands for it.
    Null,
    /// `scanner@contoso.com`.
    Exact(String),
    /// `*@contoso.com`: any sender of that very domain; the domain without the `*@`.
    AnyAt(String),
}

impl SenderPattern {
    /// Reads a sender of the mappings file; `None` where it is no address and stands for none.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let written = written.trim().to_ascii_lowercase();
        if written == "<>" {
            return Some(Self::Null);
        }
        let is_plain = |text: &str| {
            !text.is_empty()
                && !text.contains(|char: char| {
                    char.is_control() || char.is_whitespace() || "*<>()[]\\,;:\"@".contains(char)
                })
        };
        let (local, domain) = written.split_once('@')?;
        if local == "*" && is_plain(domain) {
            return Some(Self::AnyAt(domain.to_owned()));
        }
        (is_plain(local) && is_plain(domain)).then_some(Self::Exact(written))
    }

    fn matches(&self, sender: &str) -> bool {
        match self {
            Self::Null => sender.is_empty(),
            Self::Exact(address) => address == sender,
            Self::AnyAt(domain) => sender.rsplit_once('@').is_some_and(|(_, other)| other == domain),
        }
    }
}

impl Account {
    /// Whether mail may be handed in with this envelope sender, which is empty for that of bounces. In any
    /// case of ASCII letters: Exchange takes no heed of it. Others have none that all servers agree on.
    #[must_use]
    pub fn may_send_as(&self, sender: &str) -> bool {
        let sender = sender.to_ascii_lowercase();
        self.rules.senders.is_empty() || self.rules.senders.iter().any(|pattern| pattern.matches(&sender))
    }
}

/// Proof that a client comes from an address that stands for an account by itself.
#[derive(Debug, Clone)]
pub struct Recognised {
    account: Arc<Account>,
}

impl Recognised {
    /// The account whose address it is.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Accounts {
    /// The account that a client's address stands for, if it does: of mail alone, and of devices that
    /// cannot log in. `policy::access` asks, and nobody else.
    #[must_use]
    pub fn by_address(&self, from: ClientAddr) -> Option<Recognised> {
        let is_from = |account: &&Arc<Account>| {
            account.rules.no_password_from.iter().any(|network| network.contains(&from.ip()))
        };
        self.of_devices.iter().find(is_from).map(|account| Recognised { account: Arc::clone(account) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Rules, tests::account};

    #[test]
    fn a_sender_is_an_address_a_domain_or_the_one_of_bounces() {
        let exact = |text: &str| Some(SenderPattern::Exact(text.to_owned()));
        assert_eq!(SenderPattern::parse(" Scan@Contoso.com "), exact("scan@contoso.com"));
        assert_eq!(SenderPattern::parse("*@Contoso.com"), Some(SenderPattern::AnyAt("contoso.com".into())));
        assert_eq!(SenderPattern::parse("<>"), Some(SenderPattern::Null));
        for written in
            ["", "*", "scan", "a*@b", "*@*", "*@", "@b", "a@b@c", "<a@b>", "\"a\"@b", "a b@c", "*@[::1]"]
        {
            assert_eq!(SenderPattern::parse(written), None, "{written}");
        }
    }

    #[test]
    fn senders_match_in_any_case_by_their_very_domain_and_bounces_where_they_are_named() {
        let patterns = |written: &[&str]| {
            let senders = written.iter().map(|text| SenderPattern::parse(text).unwrap()).collect();
            Account { rules: Rules { senders, ..Rules::default() }.into(), ..account(&["ann"]) }
        };
        let some = patterns(&["*@contoso.com", "scan@fabrikam.com"]);
        for sender in ["ANN@Contoso.COM", "scan@fabrikam.com"] {
            assert!(some.may_send_as(sender), "{sender}");
        }
        for sender in ["", "ann@mail.contoso.com", "ann@xcontoso.com", "bob@fabrikam.com", "contoso.com", "@"]
        {
            assert!(!some.may_send_as(sender), "{sender}");
        }
        assert!(patterns(&["<>"]).may_send_as("") && !patterns(&["<>"]).may_send_as("ann@contoso.com"));
        assert!(patterns(&[]).may_send_as("anybody@example.com") && patterns(&[]).may_send_as(""));
    }

    #[test]
    fn an_address_stands_for_the_account_that_names_its_network() {
        let no_password_from = vec!["10.1.2.0/30".parse().unwrap(), "fd00::7/128".parse().unwrap()];
        let rules = Rules { no_password_from, ..Rules::default() };
        let printer = Account { rules: rules.into(), ..account(&["printer"]) };
        let accounts = Accounts::new(vec![account(&["ann"]), printer]);
        let at = |addr: &str| {
            let from = ClientAddr::new(addr.parse().unwrap());
            accounts.by_address(from).map(|recognised| recognised.account().name().to_owned())
        };
        for addr in ["10.1.2.3:9", "[::ffff:10.1.2.3]:9", "[fd00::7]:9"] {
            assert_eq!(at(addr).as_deref(), Some("printer"), "{addr}");
        }
        for addr in ["10.1.2.4:9", "[fd00::8]:9", "127.0.0.1:9"] {
            assert_eq!(at(addr), None, "{addr}");
        }
    }
}
