//! `footbridge setup entra`: the script that registers an app at Microsoft Entra and lets it at the mailboxes of
//! the mappings, and at no others.
//!
//! Everything here is text that a person reads and runs elsewhere. `needs` sums up what the accounts want, `quote`
//! keeps the configuration's words words, `block` finishes the `[app.NAME]`, and `script` fills the templates.

mod block;
mod cloud;
mod needs;
mod quote;
mod script;

use std::fmt::{self, Display, Formatter};

use self::{block::Block, cloud::Cloud, needs::Needs};
use super::{Loaded, NO_CLIENT_ID, mistake::quoted};
use crate::{
    oauth::{App, Certificate, ClientCertificate, Credential},
    secret::Secret,
};

pub use quote::{Posix, PowerShell};

/// What is asked for beside what the configuration says.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The `NAME` of an `[app.NAME]`; needed where there are several of Microsoft's.
    pub app: Option<String>,
    /// A script for the Azure CLI.
    pub azure_cli: bool,
    /// A client secret, whatever the configuration says.
    pub secret: bool,
    /// Sending by a role of Exchange's in the place of `SMTP.SendAsApp`.
    pub smtp_rbac: bool,
    /// A mail-enabled security group whose members are the mailboxes of a wildcard.
    pub group: Option<String>,
}

/// Why there is no script, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub cause: String,
    /// The way out.
    pub cure: String,
}

impl Trouble {
    fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: cure.into() }
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  cure: {}", self.cause, self.cure)
    }
}

/// How an app is to prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'s> {
    /// By a certificate, which has to be read.
    Certificate(&'s Certificate),
    /// By a client secret that the script makes.
    Secret,
    /// By the token of a workload, for which there is nothing to be made.
    FederatedToken,
    /// Not at all: it is a public client.
    Nothing,
}

/// The same, with what the registration is given.
#[derive(Debug)]
pub enum Proof {
    /// The public half of a certificate.
    Certificate(Box<ClientCertificate>),
    /// A secret.
    Secret,
    /// The token of a workload.
    FederatedToken,
    /// Nothing.
    None,
}

/// A registration to be made or completed.
#[derive(Debug)]
pub struct Registration<'l> {
    app: &'l App,
    asked: &'l Asked,
    cloud: Cloud,
    /// The tenant's domain or id, variables filled in.
    tenant: &'l str,
    /// Nothing where there is none yet.
    client_id: Option<&'l str>,
    needs: Needs,
}

/// Words in the place of a tenant that stand for several, where no registration can be made.
const NO_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

impl<'l> Registration<'l> {
    /// Finds the app, and what its accounts need.
    ///
    /// # Errors
    /// Where no app or several could be meant, its authority is none of Microsoft's for organisations, it has no
    /// accounts, an option has no effect, or a wildcard leaves open whose mailboxes are meant.
    pub fn of(loaded: &'l Loaded, asked: &'l Asked) -> Result<Self, Trouble> {
        let (app, provider, cloud) = choose(loaded, asked.app.as_deref())?;
        let name = quoted(app.name.as_str());
        let tenant =
            app.authority.token_url.path_segments().and_then(|mut path| path.next()).unwrap_or_default();
        if NO_TENANTS.contains(&tenant.to_lowercase().as_str()) {
            return Err(Trouble::new(
                format!("the tenant of app {name} is {}, which is no directory of its own", quoted(tenant)),
                "write the tenant's domain or id; for personal accounts docs/entra.md says how to register in the portal",
            ));
        }
        if asked.azure_cli && cloud.azure_cli.is_none() {
            return Err(Trouble::new(
                format!("the Azure CLI has no cloud with the Microsoft Graph of app {name}, {}", cloud.graph),
                "leave --az out: PowerShell knows it",
            ));
        }
        let accounts = loaded.accounts.iter().filter(|account| account.app == app.name);
        let listening = loaded.listeners().iter().map(|listener| listener.protocol).collect();
        let needs = Needs::of(app, provider, accounts, &listening, asked.smtp_rbac);
        if needs.is_nothing() {
            return Err(Trouble::new(
                format!("no account uses app {name} by a protocol that is listened for, so it needs nothing"),
                format!("add an [[account]] with app = {name} to the mappings, and a [[listener]] for it"),
            ));
        }
        needs.check_role(asked.smtp_rbac)?;
        needs.check_group(asked.group.as_deref())?;
        let client_id = app.client_id.as_str();
        let known = client_id != NO_CLIENT_ID && Secret::new(client_id).has_form_of_guid();
        Ok(Self { app, asked, cloud, tenant, client_id: known.then_some(client_id), needs })
    }

    /// What the app is called in Entra, where it is yet to be made.
    #[must_use]
    pub fn display_name(&self) -> String {
        // Exchange's names have at most 64 characters, of which some are added.
        format!("footbridge-{}", self.app.name).chars().take(48).collect()
    }

    /// How the app is to prove itself: as the configuration says, else by a certificate where it acts by itself.
    ///
    /// # Errors
    /// Where that is a certificate of which the configuration does not say where it is.
    pub fn wanted(&self) -> Result<Wanted<'l>, Trouble> {
        match &self.app.credential {
            _ if self.asked.secret => Ok(Wanted::Secret),
            Credential::Certificate(certificate) => Ok(Wanted::Certificate(certificate)),
            Credential::Secrets(_) | Credential::LoginPassword => Ok(Wanted::Secret),
            Credential::FederatedToken(_) => Ok(Wanted::FederatedToken),
            Credential::None | Credential::ServiceAccount(_) if self.needs.app_only() => {
                Err(self.no_certificate())
            }
            Credential::None | Credential::ServiceAccount(_) => Ok(Wanted::Nothing),
        }
    }

    /// The command that makes a certificate and its key where the bridge runs, so that the key stays there.
    #[must_use]
    pub fn certificate_command(&self, certificate: &str, key: &str) -> String {
        format!(
            "openssl req -x509 -newkey rsa:3072 -sha256 -nodes -utf8 -days 730 -subj {} -keyout {} -out {}\n        chmod 600 {}",
            Posix(format!("/CN={}", self.display_name())),
            Posix(key.to_owned()),
            Posix(certificate.to_owned()),
            Posix(key.to_owned()),
        )
    }

    /// Writes the script. `text` is that of `footbridge.toml`, whose table of the app is finished at the end.
    ///
    /// # Errors
    /// Where the template cannot be filled.
    pub fn script(&self, text: &str, proof: &Proof) -> Result<String, String> {
        let block = Block::of(text, &self.app.name, proof);
        script::write(self, proof, &block).map_err(|error| format!("cannot write the script: {error}"))
    }

    fn no_certificate(&self) -> Trouble {
        let name = &self.app.name;
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        Trouble::new(
            format!("app {} has no certificate yet, by which it proves itself", quoted(name.as_str())),
            format!(
                "make one where the bridge runs, so that its key never leaves that machine:\n        {}\n    \
                 then add certificate = \"{certificate}\" and key = \"{key}\" to [app.{name}], and run this again;\n    \
                 or add --secret, for a client secret",
                self.certificate_command(&certificate, &key)
            ),
        )
    }
}

type Chosen<'l> = (&'l App, &'l super::Provider, Cloud);

fn choose<'l>(loaded: &'l Loaded, name: Option<&str>) -> Result<Chosen<'l>, Trouble> {
    let apps = loaded.apps().iter().zip(&loaded.config.upstreams);
    let apps = apps.map(|(app, (_, provider))| (app, &**provider));
    if let Some(name) = name {
        let it = apps.clone().find(|(app, _)| app.name.as_str() == name);
        let Some((app, provider)) = it else {
            let names: Vec<_> = loaded.apps().iter().map(|app| quoted(app.name.as_str())).collect();
            return Err(Trouble::new(
                format!("there is no app {}", quoted(name)),
                format!("write --app with one of {}", names.join(", ")),
            ));
        };
        let none = || {
            Trouble::new(
                format!(
                    "app {} asks {} for its tokens, which is not Microsoft Entra",
                    quoted(name),
                    app.authority.token_url
                ),
                "name an app whose provider is microsoft365 or one of its clouds",
            )
        };
        return Cloud::of(app, provider).map(|cloud| (app, provider, cloud)).ok_or_else(none);
    }
    let entra: Vec<_> =
        apps.filter_map(|(app, provider)| Some((app, provider, Cloud::of(app, provider)?))).collect();
    match entra.as_slice() {
        [] => Err(Trouble::new(
            "no app of the configuration is registered at Microsoft Entra",
            "add [app.NAME] with provider = \"microsoft365\" and tenant = \"…\"; a client_id may be missing yet",
        )),
        [one] => Ok(*one),
        several => {
            let names: Vec<_> = several.iter().map(|(app, ..)| app.name.as_str()).collect();
            Err(Trouble::new(
                format!("several apps are registered at Microsoft Entra: {}", names.join(", ")),
                format!("say which: --app {}", names[0]),
            ))
        }
    }
}
