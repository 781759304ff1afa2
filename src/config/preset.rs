//! Providers that need no table of their own.
//!
//! What no source names is not here: `check` asks for it.

use crate::{
    account::Grant,
    net::{
        Endpoint,
        UpstreamTls::{self, Implicit, StartTls},
    },
    sasl::Mechanism,
};

/// What is known of a provider.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) endpoints: Endpoints,
    /// The grants that the authority has for mail.
    pub(super) grants: &'static [Grant],
    /// Whether the authority is Microsoft Entra, whose rules `check` knows.
    pub(super) entra: bool,
    pub(super) application_scopes: &'static [&'static str],
    pub(super) delegated_scopes: Delegated,
    /// See [`crate::oauth::Consent::identity_scopes`].
    pub(super) identity_scopes: &'static [&'static str],
    /// See [`crate::oauth::Consent::parameters`].
    pub(super) parameters: &'static [(&'static str, &'static str)],
    pub(super) imap: Option<Host>,
    pub(super) smtp: Option<Host>,
    pub(super) pop3: Option<Host>,
    /// What to do about a host that is not here.
    pub(super) without_host: &'static str,
    /// What the submission host answers to EHLO, less what only concerns the line to it.
    pub(super) smtp_capabilities: &'static [&'static str],
    pub(super) mechanism: Mechanism,
}

/// Where the authority is asked; `{tenant}` unfilled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoints {
    pub(super) token: &'static str,
    pub(super) authorize: Option<&'static str>,
    pub(super) device: Option<&'static str>,
    /// The token endpoint that takes a `resource` in the place of scopes.
    pub(super) resource_token: Option<&'static str>,
}

/// Delegated scopes by protocol.
#[derive(Debug)]
pub(super) struct Delegated {
    pub(super) imap: &'static [&'static str],
    pub(super) smtp: &'static [&'static str],
    pub(super) pop3: &'static [&'static str],
}

/// An [`Endpoint`] as a constant.
#[derive(Debug)]
pub(super) struct Host(&'static str, u16, UpstreamTls);

impl Host {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.0.to_owned(), port: self.1, tls: self.2 }
    }
}

/// The endpoints of an Entra login host: Microsoft Learn, "National clouds", "OAuth 2.0 authorization
/// code flow", "OAuth 2.0 device authorization grant". The form without `v2.0` takes a `resource`.
macro_rules! entra {
    ($base:literal) => {
        Endpoints {
            token: concat!("https://", $base, "/oauth2/v2.0/token"),
            authorize: Some(concat!("https://", $base, "/oauth2/v2.0/authorize")),
            device: Some(concat!("https://", $base, "/oauth2/v2.0/devicecode")),
            resource_token: Some(concat!("https://", $base, "/oauth2/token")),
        }
    };
}

/// The delegated scopes of an Exchange Online, by its resource.
macro_rules! exchange {
    ($resource:literal) => {
        Delegated {
            imap: &[concat!($resource, "/IMAP.AccessAsUser.All")],
            smtp: &[concat!($resource, "/SMTP.Send")],
            pop3: &[concat!($resource, "/POP.AccessAsUser.All")],
        }
    };
}

const NO_SCOPES: Delegated = Delegated { imap: &[], smtp: &[], pop3: &[] };

/// Has the person choose an account instead of taking the one that the browser is signed in to.
const CHOOSE: &[(&str, &str)] = &[("prompt", "select_account")];

/// For an `id_token`, which says who signed in, and a refresh token (`OpenID` Connect Core §11).
pub(super) const OPENID: &[&str] = &["openid", "profile", "offline_access"];

const CONSENT: [Grant; 2] = [Grant::AuthorizationCode, Grant::DeviceCode];
const ENTRA: [Grant; 4] =
    [Grant::ClientCredentials, Grant::AuthorizationCode, Grant::DeviceCode, Grant::Password];

const ASK_FOR_HOST: &str = "write a [provider.NAME] that extends it and has the host";

// Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth"; port 465 is not
// supported for submission.
const MICROSOFT365: Preset = Preset {
    name: "microsoft365",
    endpoints: entra!("login.microsoftonline.com/{tenant}"),
    grants: &ENTRA,
    entra: true,
    application_scopes: &["https://outlook.office365.com/.default"],
    delegated_scopes: exchange!("https://outlook.office.com"),
    identity_scopes: OPENID,
    parameters: CHOOSE,
    imap: Some(Host("outlook.office365.com", 993, Implicit)),
    smtp: Some(Host("smtp.office365.com", 587, StartTls)),
    pop3: Some(Host("outlook.office365.com", 995, Implicit)),
    without_host: ASK_FOR_HOST,
    // As in jstedfast/MailKit#1770 of 2024 and the captures since 2021 that agree with it.
    smtp_capabilities: &[
        "SIZE 157286400",
        "PIPELINING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
    ],
    mechanism: Mechanism::Xoauth2,
};

/// The presets.
pub(super) const PRESETS: [Preset; 10] = [
    MICROSOFT365,
    // Microsoft 365 U.S. Government GCC High endpoints; the submission host is in posted logs, the
    // scopes are those of sasl-xoauth2.
    Preset {
        name: "microsoft365-gcc-high",
        endpoints: entra!("login.microsoftonline.us/{tenant}"),
        application_scopes: &["https://outlook.office365.us/.default"],
        delegated_scopes: exchange!("https://outlook.office365.us"),
        imap: Some(Host("outlook.office365.us", 993, Implicit)),
        smtp: Some(Host("smtp.office365.us", 587, StartTls)),
        pop3: Some(Host("outlook.office365.us", 995, Implicit)),
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
    // Microsoft 365 U.S. Government DoD endpoints, where no submission host has a name of its own.
    Preset {
        name: "microsoft365-dod",
        endpoints: entra!("login.microsoftonline.us/{tenant}"),
        application_scopes: &["https://outlook.office365.us/.default"],
        delegated_scopes: exchange!("https://outlook.office365.us"),
        imap: Some(Host("outlook-dod.office365.us", 993, Implicit)),
        smtp: None,
        pop3: Some(Host("outlook-dod.office365.us", 995, Implicit)),
        without_host: "write a [provider.NAME] that extends it and has the host that your administrator names; \
                       Microsoft lists port 587 for outlook-dod.office365.us",
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
    // URLs and IP address ranges for Office 365 operated by 21Vianet, where submission is only under
    // *.partner.outlook.cn.
    Preset {
        name: "microsoft365-china",
        endpoints: entra!("login.partner.microsoftonline.cn/{tenant}"),
        application_scopes: &["https://partner.outlook.cn/.default"],
        delegated_scopes: exchange!("https://partner.outlook.cn"),
        imap: Some(Host("partner.outlook.cn", 993, Implicit)),
        smtp: None,
        pop3: Some(Host("partner.outlook.cn", 995, Implicit)),
        without_host: "write a [provider.NAME] that extends it and has the host, a name under partner.outlook.cn: \
                       Outlook on the web shows it among its settings for POP and IMAP",
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
    // Microsoft Learn, "OAuth for High Volume Email": application permissions, and nothing to read.
    Preset {
        name: "microsoft365-hve",
        grants: &[Grant::ClientCredentials],
        delegated_scopes: NO_SCOPES,
        imap: None,
        smtp: Some(Host("smtp-hve.office365.com", 587, StartTls)),
        pop3: None,
        without_host: "High Volume Email only sends",
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
    // Microsoft Support, "POP, IMAP, and SMTP settings for Outlook.com". Personal accounts have one
    // tenant, no permissions for apps themselves and no password grant (Microsoft Learn, "OAuth 2.0
    // Resource Owner Password Credentials").
    Preset {
        name: "outlook",
        endpoints: entra!("login.microsoftonline.com/consumers"),
        grants: &CONSENT,
        application_scopes: &[],
        imap: Some(Host("outlook.office365.com", 993, Implicit)),
        smtp: Some(Host("smtp-mail.outlook.com", 587, StartTls)),
        pop3: Some(Host("outlook.office365.com", 995, Implicit)),
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
    GOOGLE,
    YAHOO,
    // Yahoo's guide: one infrastructure, "a separate set of client credentials for each namespace".
    // The hosts are those of AOL Help, "Use POP or IMAP to sync AOL Mail"; the endpoints those that
    // Thunderbird has for them.
    Preset {
        name: "aol",
        endpoints: Endpoints {
            token: "https://api.login.aol.com/oauth2/get_token",
            authorize: Some("https://api.login.aol.com/oauth2/request_auth"),
            ..YAHOO.endpoints
        },
        imap: Some(Host("imap.aol.com", 993, Implicit)),
        smtp: Some(Host("smtp.aol.com", 465, Implicit)),
        pop3: Some(Host("pop.aol.com", 995, Implicit)),
        ..YAHOO
    },
    // fastmail.com/for-developers/oauth has the flow; endpoints and scopes as in Thunderbird, hosts of
    // Fastmail Help, "Server names and ports". Nothing there speaks of OpenID Connect.
    Preset {
        name: "fastmail",
        endpoints: Endpoints {
            token: "https://api.fastmail.com/oauth/refresh",
            authorize: Some("https://api.fastmail.com/oauth/authorize"),
            device: None,
            resource_token: None,
        },
        grants: &[Grant::AuthorizationCode],
        entra: false,
        application_scopes: &[],
        delegated_scopes: Delegated {
            imap: &["https://www.fastmail.com/dev/protocol-imap"],
            smtp: &["https://www.fastmail.com/dev/protocol-smtp"],
            pop3: &["https://www.fastmail.com/dev/protocol-pop"],
        },
        identity_scopes: &[],
        parameters: &[],
        imap: Some(Host("imap.fastmail.com", 993, Implicit)),
        smtp: Some(Host("smtp.fastmail.com", 465, Implicit)),
        pop3: Some(Host("pop.fastmail.com", 995, Implicit)),
        smtp_capabilities: &[],
        ..MICROSOFT365
    },
];

// developers.google.com: "OAuth 2.0 for iOS & Desktop Apps", "OAuth 2.0 Mechanism" for the scope,
// "Using OAuth 2.0 for Server to Server Applications". A refresh token comes with access_type=offline,
// and after the first consent only with another: hence prompt=consent. The flow for devices allows no
// scope for mail.
const GOOGLE: Preset = Preset {
    name: "google",
    endpoints: Endpoints {
        token: "https://oauth2.googleapis.com/token",
        authorize: Some("https://accounts.google.com/o/oauth2/v2/auth"),
        device: None,
        resource_token: None,
    },
    grants: &[Grant::AuthorizationCode, Grant::ServiceAccount],
    entra: false,
    application_scopes: &["https://mail.google.com/"],
    delegated_scopes: Delegated {
        imap: &["https://mail.google.com/"],
        smtp: &["https://mail.google.com/"],
        pop3: &["https://mail.google.com/"],
    },
    identity_scopes: &["openid", "email"],
    parameters: &[("access_type", "offline"), ("prompt", "consent select_account")],
    imap: Some(Host("imap.gmail.com", 993, Implicit)),
    smtp: Some(Host("smtp.gmail.com", 465, Implicit)),
    pop3: Some(Host("pop.gmail.com", 995, Implicit)),
    smtp_capabilities: &[],
    ..MICROSOFT365
};

// senders.yahooinc.com/developer/documentation names OAUTHBEARER; developer.yahoo.com/oauth2/guide has
// the endpoints. mail-w is writing, and reading with it. An app has openid only where it was registered
// with it, so it is not asked for; refresh tokens come without being asked for.
const YAHOO: Preset = Preset {
    name: "yahoo",
    endpoints: Endpoints {
        token: "https://api.login.yahoo.com/oauth2/get_token",
        authorize: Some("https://api.login.yahoo.com/oauth2/request_auth"),
        device: None,
        resource_token: None,
    },
    grants: &[Grant::AuthorizationCode],
    entra: false,
    application_scopes: &[],
    delegated_scopes: Delegated { imap: &["mail-w"], smtp: &["mail-w"], pop3: &["mail-w"] },
    identity_scopes: &[],
    parameters: &[],
    imap: Some(Host("imap.mail.yahoo.com", 993, Implicit)),
    smtp: Some(Host("smtp.mail.yahoo.com", 465, Implicit)),
    pop3: Some(Host("pop.mail.yahoo.com", 995, Implicit)),
    smtp_capabilities: &[],
    mechanism: Mechanism::OauthBearer,
    ..MICROSOFT365
};

/// Words that stand for no tenant in particular, and no token for this grant can be had from:
/// AADSTS50194 and 9001023 for apps; for passwords, Microsoft Learn, "OAuth 2.0 Resource Owner
/// Password Credentials".
pub(super) fn no_tenants(grant: Grant) -> &'static [&'static str] {
    match grant {
        Grant::ClientCredentials | Grant::ServiceAccount => &["common", "organizations", "consumers"],
        Grant::Password => &["common", "consumers"],
        Grant::AuthorizationCode | Grant::DeviceCode => &[],
    }
}

/// The preset of a name.
pub(super) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
