//! `footbridge setup entra`: the scripts that it prints, parsed and, as far as bash is concerned, run.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;
#[path = "setup_entra/powershell.rs"]
mod powershell;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::cli::{Cli, Ended};
use powershell::Script;

const CLIENT_ID: &str = "22222222-2222-2222-2222-222222222222";

/// A configuration that is about to be registered.
struct Home(tempfile::TempDir);

impl Home {
    /// With listeners for these protocols, an app with these keys, and these accounts.
    fn new(protocols: &[&str], app: &str, accounts: &[String]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let listener =
            |(kind, port)| format!("[[listener]]\nprotocol = \"{kind}\"\nbind = \"127.0.0.1:{port}\"\n");
        let listeners = protocols.iter().zip(1143..).map(listener).collect::<Vec<_>>().concat();
        let app =
            if app.contains("[app.") { app.to_owned() } else { format!("[app.contoso]\n{TENANT}{app}\n") };
        home.write("footbridge.toml", &format!("state_dir = \"state\"\n{listeners}{app}"));
        home.write("mappings.toml", &accounts.concat());
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// With a certificate and its key.
    fn certified(self) -> Self {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=footbridge"])
            .args(["-keyout", "app.key", "-out", "app.pem"])
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self
    }

    fn setup(&self, options: &[&str]) -> Ended {
        Cli::run(self.path(), ["setup", "entra"].into_iter().chain(options.iter().copied()))
    }

    fn script(&self, options: &[&str]) -> String {
        let printed = self.setup(options);
        assert_eq!(printed.status, Some(0), "{}", printed.stderr);
        printed.stdout
    }

    fn powershell(&self, options: &[&str]) -> Script {
        Script::parse(&self.script(options))
    }

    fn trouble(&self, options: &[&str]) -> String {
        let refused = self.setup(options);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
        refused.stderr
    }
}

const TENANT: &str = "provider = \"microsoft365\"\ntenant = \"contoso.onmicrosoft.com\"\n";
const SECRET: &str = "secret = { env = \"CONTOSO_SECRET\" }";
const CERTIFICATE: &str = "certificate = \"app.pem\"\nkey = \"app.key\"";
const ALL: &[&str] = &["imap", "smtp", "pop3"];

fn account(login: &str, grant: &str, more: &str) -> String {
    let password =
        "$argon2id$v=19$m=19456,t=2,p=1$UGU/26b4IfIiDDkxEcCe7g$2qN5PMfrxodvOUclF+vUWhNQcLai6SETDpAYm4MMZEA";
    format!(
        "[[account]]\nlogin = \"{login}\"\npassword = \"{password}\"\napp = \"contoso\"\ngrant = \"{grant}\"\n{more}\n"
    )
}

fn scanner(more: &str) -> String {
    account("scanner@contoso.com", "client_credentials", more)
}

/// Configurations that differ in what they need.
fn matrix() -> Vec<(Home, &'static [&'static str])> {
    let ann = || account("ann@contoso.com", "authorization_code", "");
    let bob = || account("bob@contoso.com", "device_code", "protocols = [\"imap\"]");
    let shared = || {
        account("info", "authorization_code", "mailbox = \"info@contoso.com\"\nsign_in = \"ann@contoso.com\"")
    };
    let wild = || {
        "[[account]]\nlogin = \"*@contoso.com\"\napp = \"contoso\"\ngrant = \"client_credentials\"\n"
            .to_owned()
    };
    let own =
        || "[[account]]\nlogin = \"*@contoso.com\"\napp = \"contoso\"\ngrant = \"password\"\n".to_owned();
    let hve = "[app.contoso]\nprovider = \"microsoft365-hve\"\ntenant = \"contoso.com\"\nsecret = { env = \"S\" }\n";
    let console = "[console]\nbind = \"127.0.0.1:8025\"\n[app.contoso]\nprovider = \"microsoft365\"\ntenant = \"contoso.com\"\n";
    let federated = "federated_token_file = \"token.jwt\"";
    vec![
        (Home::new(ALL, SECRET, &[scanner("")]), &[]),
        (Home::new(ALL, CERTIFICATE, &[scanner("")]).certified(), &[]),
        (Home::new(ALL, "", &[scanner("")]), &["--secret"]),
        (Home::new(&["imap"], federated, &[scanner("")]), &[]),
        (Home::new(ALL, SECRET, &[scanner("")]), &["--smtp-rbac"]),
        (Home::new(&["smtp"], SECRET, &[scanner("")]), &["--smtp-rbac", "--group", "senders@contoso.com"]),
        (Home::new(ALL, "", &[ann(), bob()]), &[]),
        (Home::new(ALL, console, &[ann()]), &[]),
        (Home::new(ALL, CERTIFICATE, &[scanner(""), ann(), bob(), shared()]).certified(), &[]),
        (Home::new(ALL, "secret = \"login-password\"", &[wild()]), &["--group", "all@contoso.com"]),
        (
            Home::new(ALL, "secret = \"login-password\"", &[wild()]),
            &["--smtp-rbac", "--group", "all@contoso.com"],
        ),
        (Home::new(ALL, SECRET, &[scanner("senders = [\"erp@contoso.com\"]")]), &[]),
        (Home::new(ALL, "", &[own()]), &[]),
        (Home::new(ALL, "", &[own()]), &["--group", "all@contoso.com"]),
        (Home::new(&["smtp"], hve, &[scanner("")]), &[]),
    ]
}

fn shell(program: &str, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(file).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The part of a script for the Azure CLI that is written to a file for PowerShell.
fn exchange_part(script: &str) -> &str {
    let (_, part) = script.split_once("<< 'EXCHANGE'\n").unwrap();
    part.split_once("\nEXCHANGE\n").unwrap().0
}

#[test]
fn whatever_is_needed_the_script_is_powershell() {
    for (home, options) in matrix() {
        let script = home.powershell(options);
        assert_eq!(script.unknown_variables(), [].into(), "{options:?}");
        assert!(script.names().contains("Connect-ExchangeOnline"));
        assert!(script.names().contains("Connect-MgGraph"));
    }
}

/// What a script consists of between empty lines, but for its end, where the finished table is printed.
fn paragraphs(script: &str) -> impl Iterator<Item = &str> {
    script.split_once("# The finished table").unwrap().0.split("\n\n").filter(|text| !text.trim().is_empty())
}

#[test]
fn every_step_of_the_script_says_what_it_is_looks_before_it_makes_and_ends_with_a_check() {
    for (home, options) in matrix() {
        let text = home.script(options);
        // What begins without a comment goes on with the step before.
        let mut steps: Vec<String> = Vec::new();
        for paragraph in paragraphs(&text) {
            match steps.last_mut() {
                Some(step) if !paragraph.starts_with('#') => *step = [step.as_str(), paragraph].join("\n"),
                _ => steps.push(paragraph.to_owned()),
            }
        }
        let changes = |name: &str| {
            let verbs = ["New-", "Add-", "Set-", "Update-", "Remove-", "Grant-"];
            verbs.iter().any(|verb| name.starts_with(verb)) && name != "New-Object"
        };
        for (command, conditions) in Script::parse(&text).guarded(changes) {
            assert!(!conditions.is_empty(), "{command} is run again and again, with {options:?}");
            let step = steps.iter().find(|step| step.contains(&command)).unwrap();
            assert!(step.starts_with("# "), "{step}");
            let behind = step.split_once(&command).unwrap().1;
            let is_asked_for = command.starts_with("Update-MgApplication") && behind.trim() == "}";
            assert!(behind.contains("Confirm-Step") || is_asked_for, "{command} is not checked: {step}");
        }
    }
}

#[test]
fn whatever_is_needed_the_script_for_the_azure_cli_is_bash_of_which_shellcheck_thinks_well() {
    for (home, options) in matrix() {
        let options: Vec<_> = options.iter().copied().chain(["--az"]).collect();
        let script = home.script(&options);
        home.write("setup.sh", &script);
        for (program, arguments) in [("bash", ["-n"]), ("shellcheck", ["--norc"])] {
            let judged = shell(program, &arguments, &home.path().join("setup.sh"));
            let said = String::from_utf8_lossy(&judged.stdout);
            assert!(
                judged.status.success(),
                "{options:?}: {said}{}",
                String::from_utf8_lossy(&judged.stderr)
            );
        }
        let part = Script::parse(exchange_part(&script));
        assert_eq!(part.unknown_variables(), [].into(), "{options:?}");
    }
}

#[test]
fn an_app_gets_the_application_permissions_of_the_protocols_that_its_accounts_use_and_no_others() {
    let roles = |protocols: &[&str], more: &str, options: &[&str]| {
        Home::new(protocols, SECRET, &[scanner(more)]).powershell(options).list("$roles")
    };
    assert_eq!(roles(ALL, "", &[]), ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]);
    assert_eq!(roles(&["pop3"], "", &[]), ["POP.AccessAsApp"]);
    assert_eq!(roles(ALL, "protocols = [\"smtp\"]", &[]), ["SMTP.SendAsApp"]);
    assert_eq!(roles(ALL, "protocols = [\"imap\", \"smtp\"]", &["--smtp-rbac"]), ["IMAP.AccessAsApp"]);
    assert_eq!(roles(&["smtp"], "", &["--smtp-rbac"]), [""; 0]);
    let ann = account("ann@contoso.com", "device_code", "");
    assert_eq!(Home::new(ALL, "", &[ann]).powershell(&[]).list("$roles"), [""; 0]);
}

#[test]
fn people_consent_to_the_delegated_permissions_of_the_protocols_that_are_used() {
    let ann = account("ann@contoso.com", "device_code", "protocols = [\"imap\", \"smtp\"]");
    let script = Home::new(ALL, "", &[ann]).powershell(&[]);
    assert_eq!(script.list("$mailScopes"), ["IMAP.AccessAsUser.All", "SMTP.Send"]);
    assert_eq!(script.list("$identityScopes"), ["offline_access", "openid", "profile"]);
    assert!(!script.names().contains("New-ServicePrincipal"), "the app does nothing by itself");
    assert!(!script.names().contains("Add-MailboxPermission"), "everybody may open their own mailbox");
    let by_itself = Home::new(ALL, SECRET, &[scanner("")]).powershell(&[]);
    assert_eq!((by_itself.list("$mailScopes"), by_itself.list("$identityScopes")), (vec![], vec![]));
}

#[test]
fn the_app_opens_the_mailboxes_of_its_own_accounts_and_no_others() {
    let other = account("else@contoso.com", "client_credentials", "").replace("\"contoso\"", "\"other\"");
    let listed =
        account("*@contoso.com", "client_credentials", "mailboxes = [\"b@contoso.com\", \"C@contoso.com\"]");
    let mapped = account("erp", "client_credentials", "mailbox = \"a@contoso.com\"\nprotocols = [\"pop3\"]");
    let ann = account("ann@contoso.com", "device_code", "");
    let app = format!("[app.other]\n{TENANT}{SECRET}\n[app.contoso]\n{TENANT}{SECRET}\n");
    let home = Home::new(ALL, &app, &[other, listed, mapped, ann]);
    let script = home.powershell(&["--app", "contoso"]);
    assert_eq!(script.list("$opened"), ["a@contoso.com", "b@contoso.com", "c@contoso.com"]);
    let added = "Add-MailboxPermission -Identity $mailbox -User $objectId -AccessRights FullAccess";
    assert_eq!(script.calls("Add-MailboxPermission"), [added]);
    let users = ["ann@contoso.com", "b@contoso.com", "c@contoso.com"];
    // IMAP, POP3 and SMTP in turn.
    let pop3 = ["a@contoso.com", "ann@contoso.com", "b@contoso.com", "c@contoso.com"];
    assert_eq!(script.list("$users"), [users.as_slice(), &pop3, &users].concat());
    let switched = [
        "Set-CASMailbox -Identity $mailbox -ImapEnabled $true",
        "Set-CASMailbox -Identity $mailbox -PopEnabled $true",
        "Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $false",
    ];
    assert_eq!(script.calls("Set-CASMailbox"), switched);
}

#[test]
fn exchange_is_told_the_object_id_of_the_enterprise_application() {
    let text = Home::new(ALL, SECRET, &[scanner("")]).script(&[]);
    assert!(text.contains("$objectId = $servicePrincipal.Id\n"), "{text}");
    let made = "New-ServicePrincipal -AppId $appId -ObjectId $objectId -DisplayName 'footbridge-contoso'";
    assert_eq!(Script::parse(&text).calls("New-ServicePrincipal"), [made]);
}

#[test]
fn a_role_of_exchange_takes_the_place_of_the_permission_to_send() {
    let script = Home::new(ALL, SECRET, &[scanner("protocols = [\"smtp\"]")]).powershell(&["--smtp-rbac"]);
    assert_eq!(script.list("$senders"), ["scanner@contoso.com"]);
    assert_eq!(script.list("$role"), ["Application SMTP.SendAsApp"]);
    let assigned = "New-ManagementRoleAssignment -Name $scopeName -Role $role -App $objectId -CustomResourceScope $scopeName";
    assert_eq!(script.calls("New-ManagementRoleAssignment"), [assigned]);
    assert_eq!(script.list("$clauses")[0], "EmailAddresses -eq 'smtp:{0}'");
    assert_eq!(script.calls("Test-ServicePrincipalAuthorization").len(), 1);
    assert!(!script.names().contains("Add-MailboxPermission"), "the role needs no access to the mailbox");
}

#[test]
fn a_group_is_the_scope_of_the_role() {
    let home = Home::new(&["smtp"], SECRET, &[scanner("")]);
    let script = home.powershell(&["--smtp-rbac", "--group", "senders@contoso.com"]);
    assert_eq!(
        script.calls("Get-DistributionGroup"),
        ["Get-DistributionGroup -Identity 'senders@contoso.com'"]
    );
    assert_eq!(script.list("$clauses")[0], "MemberOfGroup -eq '{0}'");
    assert!(!script.list("$clauses").contains(&"EmailAddresses -eq 'smtp:{0}'".to_owned()));
}

#[test]
fn a_wildcard_needs_a_group_and_a_group_needs_a_use() {
    let wild = "[[account]]\nlogin = \"*@contoso.com\"\napp = \"contoso\"\ngrant = \"client_credentials\"\n";
    let home = Home::new(ALL, "secret = \"login-password\"", &[wild.to_owned()]);
    let refused = home.trouble(&[]);
    assert!(refused.contains("wildcard") && refused.contains("cure: add --group ADDRESS"), "{refused}");
    let text = home.script(&["--group", "all@contoso.com"]);
    assert!(text.contains("$opened += $members") && text.contains("$users += $members"), "{text}");
    assert!(text.contains("'secret = \"login-password\"'"), "{text}");
    let refused = Home::new(ALL, SECRET, &[scanner("")]).trouble(&["--group", "all@contoso.com"]);
    assert!(refused.contains("--group has no effect"), "{refused}");
    let ann = account("ann@contoso.com", "authorization_code", "");
    let refused = Home::new(ALL, "", &[ann]).trouble(&["--smtp-rbac"]);
    assert!(refused.contains("--smtp-rbac has no effect"), "{refused}");
    let wrong = home.setup(&["--group", "'; calc"]);
    assert_eq!(wrong.status, Some(2), "{}", wrong.stderr);
}

#[test]
fn somebody_else_s_mailbox_is_shared_with_who_signs_in() {
    let shared = account(
        "info",
        "authorization_code",
        "mailbox = \"info@contoso.com\"\nsign_in = [\"ann@contoso.com\", \"ann@contoso.onmicrosoft.com\"]",
    );
    let script = Home::new(ALL, "", &[shared]).powershell(&[]);
    let pair = ["info@contoso.com", "ann@contoso.com"];
    assert_eq!(
        (script.list("$delegates"), script.list("$sendersAs")),
        (pair.map(Into::into).into(), pair.map(Into::into).into())
    );
    let opens = "Add-MailboxPermission -Identity $pair.Mailbox -User $pair.Person -AccessRights FullAccess -AutoMapping $false";
    assert_eq!(script.calls("Add-MailboxPermission"), [opens]);
    let sends = "Add-RecipientPermission -Identity $pair.Mailbox -Trustee $pair.Person -AccessRights SendAs -Confirm:$false";
    assert_eq!(script.calls("Add-RecipientPermission"), [sends]);
    // Exchange's SMTP knows who signs in, the others know the mailbox.
    assert_eq!(script.list("$users"), ["info@contoso.com", "info@contoso.com", "ann@contoso.com"]);
}

#[test]
fn a_sender_that_is_not_the_mailbox_takes_send_as() {
    let senders = "senders = [\"scanner@contoso.com\", \"erp@contoso.com\", \"*@contoso.com\", \"<>\"]";
    let script = Home::new(ALL, SECRET, &[scanner(senders)]).powershell(&[]);
    assert_eq!(script.list("$otherSenders"), ["erp@contoso.com"]);
    let sends =
        "Add-RecipientPermission -Identity $address -Trustee $objectId -AccessRights SendAs -Confirm:$false";
    assert_eq!(script.calls("Add-RecipientPermission"), [sends]);
    let ann = account("ann@contoso.com", "device_code", "senders = [\"info@contoso.com\"]");
    let script = Home::new(&["smtp"], "", &[ann]).powershell(&[]);
    assert_eq!(script.list("$sendersAs"), ["info@contoso.com", "ann@contoso.com"]);
    let reading = scanner("protocols = [\"imap\"]\nsenders = [\"erp@contoso.com\"]");
    assert_eq!(Home::new(ALL, SECRET, &[reading]).powershell(&[]).list("$otherSenders"), [""; 0]);
}

#[test]
fn a_browser_comes_back_to_the_platform_that_fits_the_proof() {
    let ann = || account("ann@contoso.com", "authorization_code", "");
    let public = Home::new(ALL, "", &[ann()]).script(&[]);
    assert!(public.contains("-PublicClient @{ RedirectUris") && !public.contains("-Web @{"), "{public}");
    assert!(
        public.contains("$redirect = 'http://localhost'\n") && !public.contains("IsFallbackPublicClient")
    );
    let web = Home::new(ALL, SECRET, &[ann()]).script(&[]);
    assert!(web.contains("-Web @{ RedirectUris") && !web.contains("-PublicClient @{"), "{web}");
    let own = Home::new(ALL, "redirect_uri = \"http://localhost:3017/\"", &[ann()]).script(&[]);
    assert!(own.contains("$redirect = 'http://localhost:3017/'\n"), "{own}");
    let console = format!("[console]\nbind = \"127.0.0.1:8025\"\n[app.contoso]\n{TENANT}");
    let console = Home::new(ALL, &console, &[ann()]).script(&[]);
    assert!(console.contains("$redirect = 'http://localhost:8025'\n"), "{console}");
}

#[test]
fn codes_that_are_entered_elsewhere_make_a_public_client_of_an_app_without_a_proof() {
    let bob = || account("bob@contoso.com", "device_code", "");
    let set = "Update-MgApplication -ApplicationId $application.Id -IsFallbackPublicClient:$true";
    let calls = |app| Home::new(ALL, app, &[bob()]).powershell(&[]).calls("Update-MgApplication");
    assert!(calls("").contains(&set.to_owned()));
    assert!(!calls(SECRET).contains(&set.to_owned()), "a secret that a public client shows is refused");
}

#[test]
fn high_volume_email_has_accounts_in_the_place_of_mailboxes() {
    let app = "[app.contoso]\nprovider = \"microsoft365-hve\"\ntenant = \"contoso.com\"\nsecret = { env = \"S\" }\n";
    let script = Home::new(&["smtp"], app, &[scanner("")]).powershell(&[]);
    assert_eq!(script.list("$roles"), ["Mail.Send"]);
    assert_eq!(script.list("$accounts"), ["scanner@contoso.com"]);
    assert_eq!(script.calls("Add-HVEAppAccess"), ["Add-HVEAppAccess -Identity $account -AppIds $objectId"]);
    for other in ["New-ServicePrincipal", "Add-MailboxPermission", "Set-CASMailbox"] {
        assert!(!script.names().contains(other), "{other}");
    }
}

#[test]
fn each_cloud_is_called_by_its_name() {
    let clouds = [
        ("microsoft365", "Global", "O365Default", "https://graph.microsoft.com", "AzureCloud"),
        (
            "microsoft365-gcc-high",
            "USGov",
            "O365USGovGCCHigh",
            "https://graph.microsoft.us",
            "AzureUSGovernment",
        ),
        ("microsoft365-dod", "USGovDoD", "O365USGovDoD", "https://dod-graph.microsoft.us", ""),
        (
            "microsoft365-china",
            "China",
            "O365China",
            "https://microsoftgraph.chinacloudapi.cn",
            "AzureChinaCloud",
        ),
    ];
    for (provider, graph, exchange, url, azure) in clouds {
        // Its own name for a provider changes nothing.
        let app = format!(
            "[provider.ours]\nextends = \"{provider}\"\n[app.contoso]\nprovider = \"ours\"\ntenant = \"contoso.us\"\n{SECRET}\n"
        );
        let home = Home::new(&["imap"], &app, &[scanner("")]);
        let script = home.powershell(&[]);
        assert!(
            script.calls("Connect-MgGraph")[0].starts_with(&format!("Connect-MgGraph -Environment {graph} "))
        );
        let connect =
            format!("Connect-ExchangeOnline -ExchangeEnvironmentName {exchange} -ShowBanner:$false");
        assert_eq!(script.calls("Connect-ExchangeOnline"), [connect]);
        if azure.is_empty() {
            let refused = home.trouble(&["--az"]);
            assert!(refused.contains(url) && refused.contains("cure: leave --az out"), "{refused}");
        } else {
            let script = home.script(&["--az"]);
            assert!(script.contains(&format!("graph={url} ")), "{script}");
            assert!(script.contains(&format!("az cloud set --name {azure}\n")), "{script}");
        }
    }
}

#[test]
fn a_registration_that_is_there_is_taken_and_one_that_is_not_is_made() {
    let script =
        |client_id: &str| Home::new(ALL, &format!("{client_id}\n{SECRET}"), &[scanner("")]).powershell(&[]);
    let made = "New-MgApplication -DisplayName $displayName -SignInAudience 'AzureADMyOrg'";
    let none = [
        "",
        "client_id = \"00000000-0000-0000-0000-000000000000\"",
        "client_id = \"${NOT_SET}\"",
        "client_id = \"none-yet\"",
    ];
    for none in none {
        assert_eq!(script(none).calls("New-MgApplication"), [made], "{none}");
    }
    let there = script(&format!("client_id = \"{CLIENT_ID}\""));
    assert!(!there.names().contains("New-MgApplication"));
    assert!(there.calls("Get-MgApplication")[0].contains(&format!("-f '{CLIENT_ID}'")));
}

#[test]
fn a_certificate_is_made_where_the_bridge_runs_and_only_its_public_half_is_in_the_script() {
    let home = Home::new(ALL, CERTIFICATE, &[scanner("")]);
    let refused = home.trouble(&[]);
    let commands: Vec<_> = refused
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("openssl") || line.starts_with("chmod"))
        .collect();
    assert_eq!(commands.len(), 2, "{refused}");
    let made =
        Command::new("sh").args(["-ec", &commands.join("\n")]).current_dir(home.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let script = home.script(&[]);
    let pem = fs::read_to_string(home.path().join("app.pem")).unwrap();
    let key = fs::read_to_string(home.path().join("app.key")).unwrap();
    let body = |pem: &str| pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>();
    assert!(script.contains(&format!("FromBase64String('{}')", body(&pem))), "{script}");
    let fingerprint =
        shell("openssl", &["x509", "-noout", "-fingerprint", "-sha1", "-in"], &home.path().join("app.pem"));
    let fingerprint =
        String::from_utf8(fingerprint.stdout).unwrap().trim().split_once('=').unwrap().1.replace(':', "");
    assert!(script.contains(&fingerprint), "{script}");
    for script in [script, home.script(&["--az"])] {
        assert!(!script.contains("PRIVATE KEY"));
        assert!(
            body(&key).as_bytes().chunks(40).all(|part| !script.contains(std::str::from_utf8(part).unwrap()))
        );
    }
}

#[test]
fn an_app_without_a_proof_is_told_how_to_make_one() {
    let home = Home::new(ALL, "", &[scanner("")]);
    let refused = home.trouble(&[]);
    for part in ["openssl req -x509", "certificate = \"contoso.pem\"", "key = \"contoso.key\"", "--secret"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let script = home.script(&["--secret"]);
    assert!(
        script.contains("Add-MgApplicationPassword")
            && script.contains("'secret = { env = \"CONTOSO_SECRET\" }'"),
        "{script}"
    );
}

#[test]
fn a_secret_in_the_configuration_itself_is_not_printed() {
    let home = Home::new(ALL, "secret = \"hunter2-hunter2\"", &[scanner("")]);
    let refused = home.trouble(&[]);
    assert!(
        refused.contains("stands in the configuration itself") && !refused.contains("hunter2"),
        "{refused}"
    );
}

#[test]
fn troubles_name_a_way_out() {
    let microsofts = |name: &str| format!("[app.{name}]\n{TENANT}{SECRET}\n");
    let google = "[app.contoso]\nprovider = \"google\"\nclient_id = \"x\"\nsecret = { env = \"S\" }\n";
    let ann = account("ann@contoso.com", "authorization_code", "");
    let home = Home::new(ALL, google, std::slice::from_ref(&ann));
    assert!(home.trouble(&[]).contains("no app of the configuration is registered at Microsoft Entra"));
    assert!(home.trouble(&["--app", "contoso"]).contains("is not Microsoft Entra"));
    assert!(home.trouble(&["--app", "nobody"]).contains("cure: write --app with one of \"contoso\""));
    let two = microsofts("contoso") + &microsofts("other");
    let several = Home::new(ALL, &two, std::slice::from_ref(&ann));
    assert!(several.trouble(&[]).contains("cure: say which: --app contoso"));
    assert!(several.trouble(&["--app", "other"]).contains("no account uses app \"other\""));
    let personal = "[app.contoso]\nprovider = \"outlook\"\n";
    let refused = Home::new(ALL, personal, &[ann]).trouble(&[]);
    assert!(refused.contains("\"consumers\"") && refused.contains("docs/entra.md"), "{refused}");
}

#[test]
fn names_of_the_configuration_stay_names_whatever_is_in_them() {
    let evil = "o'neil';calc;'@contoso.com";
    let curly = "o’neil’;calc;’@contoso.com";
    let accounts = [
        account("a", "client_credentials", &format!("mailbox = \"{evil}\"")),
        account("b", "client_credentials", &format!("mailbox = \"{curly}\"")),
        account(
            "c",
            "authorization_code",
            &format!("mailbox = \"$(calc)`calc`@contoso.com\"\nsign_in = \"{evil}\""),
        ),
    ];
    let home = Home::new(
        ALL,
        &format!("redirect_uri = \"http://localhost:1/';calc;'$(calc)\"\n{SECRET}"),
        &accounts,
    );
    let text = home.script(&[]);
    assert!(text.is_ascii());
    let script = Script::parse(&text);
    assert!(!script.names().contains("calc"), "{text}");
    assert_eq!(script.list("$opened")[0], evil);
    let bash = home.script(&["--az"]);
    assert!(!Script::parse(exchange_part(&bash)).names().contains("calc"));
    assert!(bash.contains(r"redirect='http://localhost:1/'\'';calc;'\''$(calc)'"), "{bash}");
    home.write("setup.sh", &bash);
    assert!(shell("bash", &["-n"], &home.path().join("setup.sh")).status.success());
}

/// Runs a script for the Azure CLI against the stand-in; what it said, and what was called.
fn run(home: &Home, script: &str) -> (Output, Vec<String>) {
    let state = home.path().join("azure");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("calls"), "").unwrap();
    home.write("setup.sh", script);
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup_entra");
    let path: Vec<PathBuf> =
        std::iter::once(stand_in).chain(env::split_paths(&env::var_os("PATH").unwrap())).collect();
    let ran = Command::new("bash")
        .arg("setup.sh")
        .current_dir(home.path())
        .env("PATH", env::join_paths(path).unwrap())
        .env("AZ_STATE", &state)
        .output()
        .unwrap();
    let calls = fs::read_to_string(state.join("calls")).unwrap();
    (ran, calls.lines().map(str::to_owned).collect())
}

/// Whether a call changes something.
fn changes(call: &str) -> bool {
    let words = ["create", "add", "update", "reset", "post", "patch", "set", "login"];
    call.split_whitespace().any(|word| words.contains(&word))
}

#[test]
fn the_script_for_the_azure_cli_makes_what_is_needed_and_nothing_when_it_runs_again() {
    for (home, options) in matrix() {
        let options: Vec<_> = options.iter().copied().chain(["--az"]).collect();
        let script = home.script(&options);
        fs::create_dir_all(home.path().join("azure")).unwrap();
        // What is made by hand.
        home.write("azure/federated", "there\n");
        let (first, made) = run(&home, &script);
        let said = String::from_utf8_lossy(&first.stdout).into_owned();
        assert!(first.status.success(), "{options:?}\n{said}\n{}", String::from_utf8_lossy(&first.stderr));
        assert!(
            said.contains(&format!("client_id = \"{CLIENT_ID}\"")) && !said.contains("MISSING"),
            "{said}"
        );
        assert!(made.iter().filter(|call| call.starts_with("ad app create ")).count() == 1, "{made:#?}");

        let (again, made) = run(&home, &script);
        let said = String::from_utf8_lossy(&again.stdout).into_owned();
        assert!(again.status.success(), "{said}\n{}", String::from_utf8_lossy(&again.stderr));
        let changed: Vec<_> = made.iter().filter(|call| changes(call)).collect();
        assert!(changed.is_empty(), "{changed:#?}");
        assert!(!said.contains("MISSING") && !said.contains("SECRET "), "{said}");
    }
}

#[test]
fn the_azure_cli_grants_exactly_the_permissions_and_the_finished_table_is_one_that_check_takes() {
    let ann = account("ann@contoso.com", "authorization_code", "");
    let home = Home::new(ALL, SECRET, &[scanner("protocols = [\"imap\"]"), ann]);
    let (ran, _) = run(&home, &home.script(&["--az"]));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let state = |name: &str| fs::read_to_string(home.path().join("azure").join(name)).unwrap();
    assert_eq!(state("assigned"), "role-IMAP.AccessAsApp\n");
    assert_eq!(state("grant-exchange"), "IMAP.AccessAsUser.All SMTP.Send\n");
    // Exchange Online does not list it in this tenant.
    assert_eq!(state("grant-graph"), "POP.AccessAsUser.All offline_access openid profile\n");
    assert_eq!(state("redirects"), "http://localhost\n");

    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.contains("SECRET   the~value~of~the~secret"), "{said}");
    let table = said.split_once("[app.contoso]").unwrap().1.split_once("\n\n").unwrap().0;
    let before = fs::read_to_string(home.path().join("footbridge.toml")).unwrap();
    let listeners = before.split_once("[app.contoso]").unwrap().0;
    home.write("footbridge.toml", &format!("{listeners}[app.contoso]{table}\n"));
    let end = state("secret-end").split_once('T').unwrap().0.to_owned();
    assert!(table.ends_with(&format!("\nsecret_expires = {end}")), "{table}");
    let checked = Cli::run_with(home.path(), ["check"], &[("CONTOSO_SECRET", "the~value~of~the~secret")]);
    assert_eq!((checked.status, checked.stderr.as_str()), (Some(0), ""), "{table}");
}

#[test]
fn a_sign_in_to_another_tenant_ends_the_script_before_anything_is_made() {
    let home = Home::new(ALL, SECRET, &[scanner("")]);
    let script = home.script(&["--az"]).replace("'contoso.onmicrosoft.com'", "'fabrikam.com'");
    let (ran, calls) = run(&home, &script);
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("az login --tenant fabrikam.com"));
    assert!(!calls.iter().any(|call| call.starts_with("ad ")), "{calls:#?}");
}

/// The page that does the same by hand.
fn by_hand() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/entra.md")).unwrap()
}

/// The blocks of a language in a page, without what a list indents them by.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    let mut inside = false;
    for line in page.lines().map(str::trim_start) {
        match (inside, line.starts_with("```")) {
            (false, true) if line == fence => {
                inside = true;
                blocks.push(Vec::new());
            }
            (_, true) => inside = false,
            (true, false) => blocks.last_mut().unwrap().push(line),
            (false, false) => {}
        }
    }
    blocks.into_iter().map(|lines| lines.join("\n")).collect()
}

#[test]
fn by_hand_the_same_cmdlets_are_used_as_by_script() {
    let mut known = String::new();
    for (home, options) in matrix() {
        known += &home.script(options);
    }
    let known = Script::parse(&known);
    let blocks = blocks(&by_hand(), "powershell");
    assert!(blocks.len() >= 3, "{blocks:#?}");
    for command in blocks.iter().flat_map(|block| Script::parse(block).commands()) {
        let mut words = command.split_whitespace();
        let name = words.next().unwrap();
        if ["Format-List", "Install-Module"].contains(&name) {
            continue;
        }
        let calls = known.calls(name);
        assert!(!calls.is_empty(), "no script calls {name}");
        for parameter in words.filter(|word| word.starts_with('-') && word.len() > 3) {
            let it = format!(" {parameter} ");
            assert!(
                calls.iter().any(|call| format!("{call} ").contains(&it)),
                "{command}: {parameter} in {calls:#?}"
            );
        }
    }
}

#[test]
fn by_hand_and_by_script_an_app_is_registered_without_a_client_id_and_with_the_certificate_of_the_page() {
    let page = by_hand();
    // The file of the page has listeners of its own.
    let app = &blocks(&page, "toml")[0];
    let home = Home::new(&[], app, &[scanner("")]);
    let command = blocks(&page, "sh").into_iter().find(|block| block.starts_with("openssl")).unwrap();
    let made = Command::new("sh").args(["-ec", &command]).current_dir(home.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    home.powershell(&[]);
}

#[test]
fn the_page_names_every_permission_and_option() {
    let page = by_hand();
    let mut wanted: Vec<String> = Vec::new();
    for (home, options) in matrix() {
        let script = home.powershell(options);
        wanted.extend(["$roles", "$mailScopes", "$identityScopes"].iter().flat_map(|list| script.list(list)));
    }
    let help = Cli::run(Path::new("."), ["setup", "entra", "--help"]).stdout;
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let general = ["config", "log-format", "log"];
    let options = options.map(|line| line.split([' ', '<']).next().unwrap());
    wanted.extend(options.filter(|option| !general.contains(option)).map(|option| format!("--{option}")));
    assert!(wanted.len() > 10, "{wanted:?}");
    for name in wanted {
        assert!(page.contains(&format!("`{name}")), "docs/entra.md does not name {name}");
    }
}

#[test]
fn a_variable_that_nothing_is_assigned_to_is_seen() {
    let unknown = |text: &str| Script::parse(text).unknown_variables().into_iter().collect::<Vec<_>>();
    assert_eq!(
        unknown("$a = @($b)\nforeach ($c in $a) { Get-It -Id $c }\nGet-It \"$d and $($e.F)\"\n"),
        ["b", "d", "e"]
    );
    assert_eq!(unknown("function F { param([string] $A)\n $a }\n$g.H = 1\n"), ["g"]);
}

#[test]
fn the_day_of_a_secret_that_powershell_makes_is_that_of_the_answer_and_not_of_a_second_look() {
    let script = Home::new(ALL, SECRET, &[scanner("")]).script(&[]);
    let (_, made) = script.split_once("$made = Add-MgApplicationPassword").unwrap();
    assert!(made.contains("$secretEnd = $made.EndDateTime"), "{script}");
    assert!(!made.contains("& $lasting"), "{script}");
}
