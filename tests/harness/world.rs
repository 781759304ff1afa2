//! Everything that a story needs: a pretend authority and Exchange, and a real bridge in front.

use std::sync::Arc;

use super::{
    authority::{Authority, Registration},
    bridge::Bridge,
    browser::Browser,
    certs::Certs,
    client::Client,
    config::{Config, Folder, Keys},
    exchange::Exchange,
};

/// A login, which is its mailbox as well.
pub const ANN: &str = "ann@example.com";

/// Another one.
pub const BOB: &str = "bob@example.com";

/// Both their passwords.
pub const PASSWORD: &str = "correct horse";

/// A bridge between its two ends.
pub struct World {
    /// Who vouches for both ends.
    pub certs: Arc<Certs>,
    /// The token authority.
    pub authority: Authority,
    /// The mail server.
    pub exchange: Exchange,
    /// The configuration and the state of the bridge.
    pub folder: Folder,
    /// The bridge.
    pub bridge: Bridge,
}

impl World {
    /// A world with accounts and mailboxes for [`ANN`] and [`BOB`].
    pub fn start() -> Self {
        Self::with(|config, _, _| config)
    }

    /// As [`World::start`], with more in the configuration; the certificates and the exchange are there to be
    /// led to by other authorities.
    pub fn with(more: impl FnOnce(Config, &Certs, &Exchange) -> Config) -> Self {
        Self::with_environment(more, |_| Vec::new())
    }

    /// As [`World::start`], with POP3 as well.
    pub fn with_pop3() -> Self {
        Self::with(|config, _, exchange| config.pop3(exchange.endpoint("pop3", false)))
    }

    /// As [`World::with`], with environment variables for the bridge.
    pub fn with_environment(
        more: impl FnOnce(Config, &Certs, &Exchange) -> Config,
        environment: impl FnOnce(&Folder) -> Vec<(&'static str, String)>,
    ) -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let exchange = Exchange::start(&certs, &authority);
        let mut config = Config::new(&authority, &exchange);
        for user in [ANN, BOB] {
            exchange.mailboxes().create(user);
            config = config.account(user, PASSWORD);
        }
        let config = more(config, &certs, &exchange);
        Self::of(certs, authority, exchange, &config, environment)
    }

    /// A world without accounts or mailboxes until `build` makes them: it registers apps and people at the authority and
    /// returns the configuration.
    pub fn built(build: impl FnOnce(&Certs, &Authority, &Exchange) -> Config) -> Self {
        let certs = Certs::new();
        let authority = Authority::start(&certs);
        let exchange = Exchange::start(&certs, &authority);
        let config = build(&certs, &authority, &exchange);
        Self::of(certs, authority, exchange, &config, |_| Vec::new())
    }

    /// A world with mailboxes for [`ANN`] and [`BOB`], the app `app`, and an account of it with this grant for [`ANN`].
    pub fn granted(
        grant: &str,
        password: Option<&str>,
        register: impl FnOnce(&Authority) -> Registration,
        keys: impl FnOnce(&Authority) -> Keys,
    ) -> Self {
        Self::built(|_, authority, exchange| {
            authority.register_app(register(authority));
            exchange.mailboxes().create(ANN);
            exchange.mailboxes().create(BOB);
            let config = Config::empty().delegated_app("app", authority, exchange, keys(authority));
            config.account_with("app", ANN, password, grant, "")
        })
    }

    fn of(
        certs: Arc<Certs>,
        authority: Authority,
        exchange: Exchange,
        config: &Config,
        environment: impl FnOnce(&Folder) -> Vec<(&'static str, String)>,
    ) -> Self {
        let folder = config.write(&certs);
        let environment = environment(&folder);
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let bridge = Bridge::start_with(folder.path(), &[], &environment);
        Self { certs, authority, exchange, folder, bridge }
    }

    /// Checks that the bridge's log, at its most talkative, holds nothing that the authority calls confidential.
    ///
    /// # Panics
    /// Where it does, with what it holds.
    pub fn log_is_discreet(&self) {
        let log = self.bridge.log();
        for secret in self.authority.confidential() {
            assert!(secret.is_empty() || !log.contains(&secret), "the log holds {secret}");
        }
    }

    /// A browser that trusts this world.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.certs)
    }

    /// A mail program that has connected and not said a word.
    pub async fn connect(&self, protocol: &str) -> Client {
        Client::connect(self.bridge.addr(protocol)).await
    }

    /// A mail program that has logged in by IMAP.
    pub async fn imap(&self, login: &str) -> Client {
        let mut client = self.connect("imap").await;
        let reply = client.imap_login(login, PASSWORD).await;
        assert!(reply.starts_with("in OK "), "{reply}");
        client
    }

    /// A mail program that has logged in by POP3, which the configuration must have.
    pub async fn pop3(&self, login: &str) -> Client {
        let mut client = self.connect("pop3").await;
        let reply = client.pop3_login(login, PASSWORD).await;
        assert!(reply.starts_with("+OK "), "{reply}");
        client
    }

    /// A mail program that has logged in by SMTP.
    pub async fn smtp(&self, login: &str) -> Client {
        let mut client = self.connect("smtp").await;
        let reply = client.smtp_login(login, PASSWORD).await;
        assert!(reply.starts_with("235 "), "{reply}");
        client
    }
}
