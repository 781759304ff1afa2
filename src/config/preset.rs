//! Providers that need no table of their own.

use crate::{
    net::{Endpoint, UpstreamTls},
    sasl::Mechanism,
};

/// What is known of a provider.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) token_url: &'static str,
    pub(super) application_scopes: &'static [&'static str],
    pub(super) imap: Host,
    pub(super) smtp: Host,
    /// What the submission host answers to EHLO, less what only concerns the line to it.
    pub(super) smtp_capabilities: &'static [&'static str],
    pub(super) mechanism: Mechanism,
    /// Words that stand for no tenant in particular, with which an app cannot log in as itself.
    pub(super) no_tenants: &'static [&'static str],
}

/// An [`Endpoint`] as a constant.
#[derive(Debug)]
pub(super) struct Host(&'static str, u16, UpstreamTls);

impl Host {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.0.to_owned(), port: self.1, tls: self.2 }
    }
}

/// The presets of this version.
pub(super) const PRESETS: [Preset; 1] = [
    // Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth"; port 465 is not
    // supported for submission. The tenant's own id is asked for by AADSTS50194 and 9001023.
    Preset {
        name: "microsoft365",
        token_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        application_scopes: &["https://outlook.office365.com/.default"],
        imap: Host("outlook.office365.com", 993, UpstreamTls::Implicit),
        smtp: Host("smtp.office365.com", 587, UpstreamTls::StartTls),
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
        no_tenants: &["common", "organizations", "consumers"],
    },
];

/// The names of presets that this version does not have.
pub(super) const LATER: [&str; 9] = [
    "microsoft365-gcc-high",
    "microsoft365-dod",
    "microsoft365-china",
    "microsoft365-hve",
    "outlook",
    "google",
    "yahoo",
    "aol",
    "fastmail",
];

/// The preset of a name.
pub(super) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
