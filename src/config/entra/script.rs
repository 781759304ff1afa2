//! The scripts: templates, and what they are filled with.
//!
//! Whatever comes from the configuration reaches a template as [`PowerShell`] or [`Posix`], which quote
//! themselves; the rest is fixed here or has no character that means something.

use std::{collections::BTreeSet, fmt::Write as _};

use askama::Template;
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Posix, PowerShell, Proof, Registration, block::Block};
use crate::{
    ids::ProtocolKind,
    oauth::{ClientCertificate, Credential, Redirect, day},
};

/// Writes the script that is asked for.
pub(super) fn write(
    registration: &Registration<'_>,
    proof: &Proof,
    block: &Block,
) -> Result<String, askama::Error> {
    let asked = registration.asked;
    let exchange = Exchange::of(registration).render()?;
    if asked.azure_cli {
        let common = Common::of(registration, proof, block, Posix);
        let cloud = registration.cloud.azure_cli.unwrap_or_default();
        return AzureCli { cloud, graph: registration.cloud.graph, exchange: exchange.trim_end(), common }
            .render();
    }
    let common = Common::of(registration, proof, block, PowerShell);
    let cloud = &registration.cloud;
    let script = PowerShellScript {
        cloud: cloud.graph_environment,
        exchange_cloud: cloud.exchange_environment,
        exchange: exchange.trim_end(),
        common,
    };
    script.render()
}

#[derive(Template)]
#[template(path = "entra/setup.ps1", escape = "none")]
struct PowerShellScript<'r> {
    cloud: &'r str,
    exchange_cloud: &'r str,
    exchange: &'r str,
    common: Common<'r, PowerShell>,
}

#[derive(Template)]
#[template(path = "entra/setup.sh", escape = "none")]
struct AzureCli<'r> {
    cloud: &'r str,
    graph: &'r str,
    exchange: &'r str,
    common: Common<'r, Posix>,
}

/// What both scripts say, quoted by `Q`.
#[expect(clippy::struct_excessive_bools, reason = "parts of a template that are there or not")]
struct Common<'r, Q> {
    /// Letters, digits, `-`, `_` and `.`, which mean nothing in a comment.
    name: &'r str,
    display_name: Q,
    tenant: Q,
    client_id: Option<Q>,
    roles: Vec<Q>,
    mail_scopes: Vec<Q>,
    identity_scopes: Vec<Q>,
    certificate: Option<PublicPart<Q>>,
    secret: bool,
    /// The secret is what mail programs show as their password.
    login_secret: bool,
    federated: bool,
    /// Where a browser comes back to, and whether it is a client without a proof that it comes back for.
    redirect: Option<Q>,
    public: bool,
    public_flow: bool,
    /// `SMTP.SendAsApp` must not be granted: it would be asked for beside the role.
    smtp_rbac: bool,
    before: Vec<Q>,
    after: Vec<Q>,
}

impl<'r, Q> Common<'r, Q> {
    fn of(registration: &Registration<'r>, proof: &Proof, block: &Block, quote: fn(String) -> Q) -> Self {
        let needs = &registration.needs;
        let all = |texts: &mut dyn Iterator<Item = String>| texts.map(quote).collect::<Vec<_>>();
        let certificate = match proof {
            Proof::Certificate(certificate) => Some(PublicPart::of(certificate, quote)),
            Proof::Secret | Proof::FederatedToken | Proof::None => None,
        };
        Self {
            name: registration.app.name.as_str(),
            display_name: quote(registration.display_name()),
            tenant: quote(registration.tenant.to_owned()),
            client_id: registration.client_id.map(|id| quote(id.to_owned())),
            roles: all(&mut needs.roles.iter().map(|role| (*role).to_owned())),
            mail_scopes: all(&mut needs.mail_scopes.iter().cloned()),
            identity_scopes: all(&mut needs.identity_scopes.iter().cloned()),
            certificate,
            secret: matches!(proof, Proof::Secret),
            login_secret: registration.app.credential == Credential::LoginPassword,
            federated: matches!(proof, Proof::FederatedToken),
            redirect: needs.code_flow.then(|| quote(redirect(&registration.app.consent.redirect))),
            public: matches!(proof, Proof::None),
            public_flow: matches!(proof, Proof::None) && needs.public_flow,
            smtp_rbac: registration.asked.smtp_rbac,
            before: all(&mut block.before.iter().cloned()),
            after: all(&mut block.after.iter().cloned()),
        }
    }
}

/// As it is registered: Microsoft Learn, "Redirect URI (reply URL) best practices and limitations", has the port
/// of localhost ignored.
fn redirect(redirect: &Redirect) -> String {
    match redirect {
        Redirect::Console(uri) => uri.strip_suffix(":0").unwrap_or(uri).to_owned(),
        Redirect::Own { uri, .. } => uri.clone(),
        Redirect::AnyPort => "http://localhost".to_owned(),
    }
}

/// A certificate without its key, as a registration is given it.
struct PublicPart<Q> {
    /// The name that it has in the registration.
    name: Q,
    /// DER in base64.
    base64: Q,
    /// The lines of the same in PEM form.
    pem: Vec<String>,
    /// Its SHA-1 as the portal shows it, in hexadecimal.
    thumbprint: Q,
    /// The same, unquoted.
    hexadecimal: String,
    /// The same as Microsoft Graph may show it: letters, digits, `+`, `/` and `=`.
    encoded: String,
    /// Its last day.
    end: String,
}

impl<Q> PublicPart<Q> {
    fn of(certificate: &ClientCertificate, quote: fn(String) -> Q) -> Self {
        let base64 = BASE64_STANDARD.encode(&certificate.der);
        let sha1 = BASE64_URL_SAFE_NO_PAD.decode(&certificate.sha1_thumbprint).unwrap_or_default();
        let hexadecimal = sha1.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        });
        let pem = pem::encode_config(
            &pem::Pem::new("CERTIFICATE", certificate.der.clone()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        );
        Self {
            name: quote(format!("footbridge {}", hexadecimal.get(..16).unwrap_or_default())),
            base64: quote(base64),
            pem: pem.lines().map(str::to_owned).collect(),
            thumbprint: quote(hexadecimal.clone()),
            hexadecimal,
            encoded: BASE64_STANDARD.encode(sha1),
            end: day(certificate.not_after),
        }
    }
}

/// What is done in Exchange Online, where there is PowerShell alone.
#[derive(Template)]
#[template(path = "entra/exchange.ps1", escape = "none")]
#[expect(clippy::struct_excessive_bools, reason = "as for Common")]
struct Exchange<'r> {
    name: &'r str,
    environment: &'r str,
    /// A file of its own, which is told the ids.
    own_file: bool,
    display_name: PowerShell,
    /// Whether Exchange has to know the app.
    principal: bool,
    opened: Vec<PowerShell>,
    senders: Vec<PowerShell>,
    switches: Vec<Switch>,
    delegates: Vec<(PowerShell, PowerShell)>,
    senders_as: Vec<(PowerShell, PowerShell)>,
    app_senders: Vec<PowerShell>,
    high_volume: Vec<PowerShell>,
    group: Option<PowerShell>,
    /// The app opens the members of the group.
    group_opens: bool,
    /// The app sends from the members of the group by the role.
    group_sends: bool,
    /// The mailboxes that the role is for are named beside the group's.
    names_senders: bool,
    rbac: bool,
    /// A wildcard of people whose mailboxes nobody knows here.
    strangers: bool,
}

/// The switch of a protocol, and whose has to be on.
struct Switch {
    /// `IMAP`.
    protocol: &'static str,
    /// `ImapEnabled`; nothing for SMTP, which is turned off and not on.
    enabled: Option<&'static str>,
    mailboxes: Vec<PowerShell>,
    /// The members of the group too.
    members: bool,
}

impl<'r> Exchange<'r> {
    fn of(registration: &Registration<'r>) -> Self {
        let (needs, asked) = (&registration.needs, registration.asked);
        let any = |kind| needs.any_mailbox.contains(&kind);
        let rbac = asked.smtp_rbac && (!needs.senders.is_empty() || any(ProtocolKind::Smtp));
        let by_access = needs.any_mailbox.iter().any(|kind| !asked.smtp_rbac || *kind != ProtocolKind::Smtp);
        let members =
            |kind: ProtocolKind| asked.group.is_some() && (any(kind) || needs.own_mailboxes.contains(&kind));
        let switch = |protocol, enabled, kind, mailboxes: &BTreeSet<String>| Switch {
            protocol,
            enabled,
            mailboxes: literals(mailboxes),
            members: members(kind),
        };
        let switches = [
            switch("IMAP", Some("ImapEnabled"), ProtocolKind::Imap, &needs.imap),
            switch("POP3", Some("PopEnabled"), ProtocolKind::Pop3, &needs.pop3),
            switch("SMTP AUTH", None, ProtocolKind::Smtp, &needs.smtp),
        ];
        let used = |switch: &Switch| !switch.mailboxes.is_empty() || switch.members;
        Self {
            name: registration.app.name.as_str(),
            environment: registration.cloud.exchange_environment,
            own_file: asked.azure_cli,
            display_name: PowerShell(registration.display_name()),
            principal: needs.app_only() && needs.high_volume.is_empty(),
            opened: literals(&needs.opened),
            senders: literals(&needs.senders),
            switches: switches.into_iter().filter(used).collect(),
            delegates: pairs(&needs.delegates),
            senders_as: pairs(&needs.senders_as),
            app_senders: literals(&needs.app_senders),
            high_volume: literals(&needs.high_volume),
            group: asked.group.clone().map(PowerShell),
            group_opens: by_access,
            group_sends: rbac && asked.group.is_some(),
            names_senders: !needs.senders.is_empty() && (asked.group.is_none() || any(ProtocolKind::Smtp)),
            rbac,
            strangers: !needs.own_mailboxes.is_empty() && asked.group.is_none(),
        }
    }
}

fn literals(texts: &BTreeSet<String>) -> Vec<PowerShell> {
    texts.iter().cloned().map(PowerShell).collect()
}

fn pairs(pairs: &BTreeSet<(String, String)>) -> Vec<(PowerShell, PowerShell)> {
    pairs.iter().map(|(one, other)| (PowerShell(one.clone()), PowerShell(other.clone()))).collect()
}
