//! Scripts that say that all is well where it is not: those that `footbridge setup entra` prints.

use std::{env, fs, path::Path, process::Command};

use crate::harness::cli::Cli;

const APP: &str = "\
[[listener]]
protocol = \"imap\"
bind = \"127.0.0.1:1143\"
[app.contoso]
provider = \"microsoft365\"
tenant = \"contoso.onmicrosoft.com\"
secret = { env = \"CONTOSO_SECRET\" }
";

const ACCOUNT: &str = "\
[[account]]
login = \"scanner@contoso.com\"
password = \"$argon2id$v=19$m=19456,t=2,p=1$UGU/26b4IfIiDDkxEcCe7g$2qN5PMfrxodvOUclF+vUWhNQcLai6SETDpAYm4MMZEA\"
app = \"contoso\"
";

/// Keeps a PowerShell that may be here from a script.
const NO_POWERSHELL: &str =
    "command() { if [ \"$*\" = '-v pwsh' ]; then return 1; fi; builtin command \"$@\"; }\n";

/// What `setup entra` prints for one account of a grant.
fn script(home: &Path, grant: &str, options: &[&str]) -> String {
    fs::write(home.join("footbridge.toml"), format!("state_dir = \"state\"\n{APP}")).unwrap();
    fs::write(home.join("mappings.toml"), format!("{ACCOUNT}grant = \"{grant}\"\n")).unwrap();
    let printed = Cli::run(home, ["setup", "entra"].into_iter().chain(options.iter().copied()));
    assert_eq!(printed.status, Some(0), "{}", printed.stderr);
    printed.stdout
}

/// Runs a script for the Azure CLI against its stand-in, where there is no PowerShell. `secret_ends` is the secret that
/// the registration has already. Returns what it said.
fn run(home: &Path, script: &str, secret_ends: Option<&str>) -> String {
    let state = home.join("azure");
    fs::create_dir_all(&state).unwrap();
    if let Some(end) = secret_ends {
        fs::write(state.join("secret-end"), format!("{end}\n")).unwrap();
    }
    fs::write(home.join("setup.sh"), format!("{NO_POWERSHELL}{script}")).unwrap();
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup_entra");
    let programs = env::var_os("PATH").unwrap();
    let path = env::join_paths(std::iter::once(stand_in).chain(env::split_paths(&programs))).unwrap();
    let ran = Command::new("bash")
        .arg("setup.sh")
        .current_dir(home)
        .env("PATH", path)
        .env("AZ_STATE", &state)
        .output()
        .unwrap();
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// Without PowerShell at hand half of the work is left: Exchange does not know the app, and no mailbox is opened to it. The
/// last line is the one that is read, and must not say that all is set up and that the doctor is next.
#[test]
fn the_script_for_the_azure_cli_does_not_call_all_set_up_what_is_half_done() {
    let home = tempfile::tempdir().unwrap();
    let said = run(home.path(), &script(home.path(), "client_credentials", &["--az"]), None);
    assert!(said.contains("Now run, where PowerShell is:"), "{said}");
    assert!(!said.contains("All is set up"), "{said}");
}

/// A secret that has ended, or ends tomorrow, lets nobody in. Another one is made then, and no day of the past
/// stands in the finished table.
#[test]
fn the_script_for_the_azure_cli_does_not_call_a_secret_well_that_has_ended() {
    let home = tempfile::tempdir().unwrap();
    let script = script(home.path(), "client_credentials", &["--az"]);
    let said = run(home.path(), &script, Some("2021-01-01T00:00:00Z"));
    let makes_another = said.contains("SECRET   ");
    assert!(makes_another || !said.contains("OK       client secret"), "{said}");
    assert!(!said.contains("secret_expires = 2021-01-01"), "{said}");
}

/// A window may have connections to several tenants, and commands go by the last one that was opened. Whoever was
/// connected to the right tenant before, and now picks the account of another one in the sign-in that opens, would open
/// mailboxes there, were the script content with any connection to the right one. What it looks for is a connection to
/// another tenant (`-ne`).
#[test]
fn the_scripts_look_for_connections_to_other_tenants_and_not_for_one_to_the_right_one() {
    let home = tempfile::tempdir().unwrap();
    for options in [&[][..], &["--az"]] {
        let script = script(home.path(), "client_credentials", options);
        let script = script.to_lowercase();
        let looks = script.contains("$connections | where-object { $_.tenantid -ne $tenantid }");
        assert!(looks, "{options:?} is content with any connection");
    }
}

/// `AppRoleAssignment.ReadWrite.All` can make its holder an administrator of everything, and what a person consents to
/// for Microsoft Graph's PowerShell stays behind. Where no application permission is to be granted it is not needed, nor
/// `DelegatedPermissionGrant.ReadWrite.All` where no delegated one is.
#[test]
fn the_script_for_powershell_signs_in_with_no_more_rights_than_its_steps_need() {
    let home = tempfile::tempdir().unwrap();
    let by_itself = script(home.path(), "client_credentials", &[]);
    let delegated = script(home.path(), "authorization_code", &[]);
    let roles = "AppRoleAssignment.ReadWrite.All";
    let consents = "DelegatedPermissionGrant.ReadWrite.All";
    assert!(by_itself.contains(roles) && delegated.contains(consents));
    let idle = [(by_itself, consents), (delegated, roles)];
    let idle: Vec<_> =
        idle.into_iter().filter(|(script, right)| script.contains(right)).map(|(_, right)| right).collect();
    assert_eq!(idle, [""; 0], "rights that no step needs");
}

/// `docs/first-hour.md` says that `setup entra` "prints a script that does all four" of its steps, so that by hand nothing
/// is granted that the script does not grant: full access is enough to send as the mailbox itself (Microsoft Learn,
/// "Authenticate an IMAP, POP or SMTP connection using OAuth").
#[test]
fn the_script_does_what_the_first_hour_says_that_it_does() {
    let home = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-hour.md")).unwrap();
    assert!(page.contains("`footbridge setup entra` prints a script that does all four"), "{page}");
    let (_, by_hand) = page.split_once("```powershell\n").unwrap();
    let (by_hand, _) = by_hand.split_once("```").unwrap();
    let smtp = APP.replace("imap", "smtp").replace("1143", "1587");
    let listeners = format!("{smtp}[[listener]]\nprotocol = \"imap\"\nbind = \"127.0.0.1:1143\"\n");
    fs::write(home.path().join("footbridge.toml"), format!("state_dir = \"state\"\n{listeners}")).unwrap();
    fs::write(home.path().join("mappings.toml"), format!("{ACCOUNT}grant = \"client_credentials\"\n"))
        .unwrap();
    let script = Cli::run(home.path(), ["setup", "entra"]).expect(0).stdout;
    let commands = by_hand.lines().filter_map(|line| line.split_whitespace().next());
    let not_done: Vec<_> = commands.filter(|command| !script.contains(command)).collect();
    assert_eq!(not_done, [""; 0], "commands of the page that the script does not run");
}

/// What was just written is not at once what is read: Microsoft Graph answers from copies. The secret is shown once, so that
/// a second run does not mend this one: the table has to be whole, and its day is known from the moment that the secret is
/// made.
#[cfg(unix)]
#[test]
fn the_table_is_one_of_toml_where_the_new_secret_is_not_seen_yet() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let script = script(home.path(), "client_credentials", &["--az"]);
    let az = home.path().join("az");
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup_entra/az");
    let late = format!(
        "#!/usr/bin/env bash\ncase \"$*\" in 'ad app credential list '*) exit 0 ;; esac\nexec '{}' \"$@\"\n",
        stand_in.display()
    );
    fs::write(&az, late).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!("PATH={}:$PATH\n{script}", home.path().display());
    let said = run(home.path(), &script, None);
    let (_, table) = said.split_once("[app.contoso]").unwrap_or_else(|| panic!("no table\n{said}"));
    for line in table.lines().filter(|line| line.starts_with("secret_expires")) {
        assert!(line.contains("= 2"), "{line:?} is no TOML");
    }
}
