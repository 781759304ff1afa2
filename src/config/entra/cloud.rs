//! Microsoft's clouds, as each tool calls them.

use crate::{ids::ProtocolKind, oauth::App, session::Provider};

/// A cloud of Microsoft's.
///
/// Sources: Microsoft Learn, "National clouds", "Connect-ExchangeOnline", "Get-MgEnvironment", "Manage clouds
/// with the Azure CLI".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cloud {
    /// For `Connect-MgGraph -Environment`.
    pub(super) graph_environment: &'static str,
    /// For `Connect-ExchangeOnline -ExchangeEnvironmentName`.
    pub(super) exchange_environment: &'static str,
    /// For `az cloud set`; nothing where the Azure CLI has no cloud whose Graph is this one's.
    pub(super) azure_cli: Option<&'static str>,
    /// Where Microsoft Graph is.
    pub(super) graph: &'static str,
}

const GLOBAL: Cloud = Cloud {
    graph_environment: "Global",
    exchange_environment: "O365Default",
    azure_cli: Some("AzureCloud"),
    graph: "https://graph.microsoft.com",
};

const GCC_HIGH: Cloud = Cloud {
    graph_environment: "USGov",
    exchange_environment: "O365USGovGCCHigh",
    azure_cli: Some("AzureUSGovernment"),
    graph: "https://graph.microsoft.us",
};

const DOD: Cloud = Cloud {
    graph_environment: "USGovDoD",
    exchange_environment: "O365USGovDoD",
    azure_cli: None,
    graph: "https://dod-graph.microsoft.us",
};

const CHINA: Cloud = Cloud {
    graph_environment: "China",
    exchange_environment: "O365China",
    azure_cli: Some("AzureChinaCloud"),
    graph: "https://microsoftgraph.chinacloudapi.cn",
};

impl Cloud {
    /// The cloud of an app, by where it asks for tokens; nothing where that is not Microsoft Entra. Both
    /// clouds of the U.S. government have one login host, and differ by their mail servers.
    pub(super) fn of(app: &App, provider: &Provider) -> Option<Self> {
        match app.authority.token_url.host_str()? {
            "login.microsoftonline.com" => Some(GLOBAL),
            "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => Some(CHINA),
            "login.microsoftonline.us" => {
                let hosts = ProtocolKind::ALL.into_iter().filter_map(|kind| provider.endpoint(kind));
                let is_dod = |host: &str| host.contains("-dod.") || host.ends_with(".apps.mil");
                let dod = hosts.into_iter().any(|endpoint| is_dod(&endpoint.host.to_lowercase()));
                Some(if dod { DOD } else { GCC_HIGH })
            }
            _ => None,
        }
    }
}

/// Whether mail is submitted to High Volume Email, which has accounts and no mailboxes.
pub(super) fn is_high_volume(provider: &Provider) -> bool {
    provider.smtp.as_ref().is_some_and(|smtp| smtp.host.eq_ignore_ascii_case("smtp-hve.office365.com"))
}
