//! The command line: one file for each subcommand.
//!
//! Exit codes: 0 fine, 1 something is wrong with the account or the configuration and is explained on
//! standard error, 2 the command line itself is wrong.

mod accounts;
mod authorize;
mod beside;
pub mod check;
mod completions;
mod console;
mod doctor;
pub mod hash_password;
mod healthcheck;
mod import;
mod man;
mod reload;
mod schema;
mod serve;
mod setup;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tracing::Level;

use crate::{
    app::{
        Authorize, Examine,
        logging::{self, Format},
    },
    config::{Described, entra},
};

/// Lets mail programs that know only a username and a password log in to mailboxes that take only
/// OAuth 2.0: point them at this bridge.
#[derive(Debug, Parser)]
#[command(name = "footbridge", version, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  footbridge check --config footbridge.toml && footbridge serve --config footbridge.toml"
)]
struct CommandLine {
    /// The configuration.
    #[arg(long, global = true, value_name = "PATH", help = CONFIG_HELP)]
    config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// The least level that is logged. Commands that answer on the terminal log nothing unless they are told to.
    #[arg(long, global = true, value_name = "LEVEL", help = LOG_HELP)]
    log: Option<LogLevel>,
    #[command(subcommand)]
    command: Command,
}

const CONFIG_HELP: &str =
    "The configuration [default: $FOOTBRIDGE_CONFIG, ./footbridge.toml, /etc/footbridge/footbridge.toml]";

const LOG_HELP: &str = "The least level that is logged [default: info for serve]";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Schema {
    /// Of footbridge.toml.
    Config,
    /// Of the mappings file.
    Mappings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge in the foreground, until SIGTERM or SIGINT.
    #[command(
        after_help = "Example:\n  footbridge serve --config /etc/footbridge/footbridge.toml --log-format json"
    )]
    Serve,
    /// Validate the configuration and the mappings without network: every mistake, with its cure.
    #[command(after_help = "Example:\n  footbridge check --config footbridge.toml")]
    Check,
    /// List the accounts: where each leads, how its token is, when it last logged in, what went wrong.
    #[command(
        after_help = "Examples:\n  footbridge accounts\n  footbridge accounts --json\n  footbridge accounts --forget scanner@contoso.com"
    )]
    Accounts {
        /// As an array of JSON objects.
        #[arg(long)]
        json: bool,
        /// Delete the tokens of an account.
        #[arg(long, value_name = "LOGIN")]
        forget: Option<String>,
    },
    /// Have the person whom an account acts for consent: in a browser, or with a code anywhere.
    #[command(
        after_help = "Examples:\n  footbridge authorize ann@contoso.com\n  footbridge authorize ann@contoso.com --device"
    )]
    Authorize {
        /// A login of the account.
        login: String,
        /// By a code that is entered anywhere, whatever the account's grant.
        #[arg(long)]
        device: bool,
        /// Print the address only.
        #[arg(long)]
        no_browser: bool,
    },
    /// Try each hop of an account - name lookup, connection, TLS, token, login, INBOX - and explain the first that fails.
    #[command(
        after_help = "Examples:\n  footbridge doctor\n  footbridge doctor scanner@contoso.com\n  footbridge doctor scanner@contoso.com --send-to scanner@contoso.com\n\nExit code 1 where a hop has failed."
    )]
    Doctor {
        /// Logins of the accounts to be examined [default: all accounts].
        #[arg(value_name = "LOGIN")]
        logins: Vec<String>,
        /// Send a test message there, and see it arrive where that is the account's own mailbox.
        #[arg(long, value_name = "ADDR", value_parser = doctor::address)]
        send_to: Option<String>,
        /// As one JSON document: ok, accounts, and their hops.
        #[arg(long)]
        json: bool,
    },
    /// Have the running bridge read its configuration and its mappings again, and say what has changed.
    #[command(after_help = "Example:\n  footbridge reload --config /etc/footbridge/footbridge.toml")]
    Reload,
    /// Print a link that signs in to the console of the running bridge, once and within five minutes.
    #[command(after_help = "Example:\n  footbridge console --config /etc/footbridge/footbridge.toml")]
    Console,
    /// Exit with 0 when a running bridge answers that it is ready, else with 1 and the reason.
    #[command(after_help = "Example:\n  footbridge healthcheck --config /etc/footbridge/footbridge.toml")]
    Healthcheck,
    /// Read a password from the terminal or standard input and print its hash for the mappings file.
    #[command(
        after_help = "Examples:\n  footbridge hash-password\n  printf %s \"$PASSWORD\" | footbridge hash-password\n  footbridge hash-password --generate"
    )]
    HashPassword {
        /// Make a password instead of reading one, and print it beside its hash.
        #[arg(long)]
        generate: bool,
    },
    /// Turn an emailproxy.config of Email OAuth 2.0 Proxy into footbridge.toml and mappings.toml.
    #[command(
        after_help = "Examples:\n  footbridge import emailproxy.config --out /etc/footbridge\n  printf 'ann@contoso.com:%s\\n' \"$PASSWORD\" | footbridge import emailproxy.config --password-stdin"
    )]
    Import {
        /// The file.
        file: PathBuf,
        /// Where to write.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// Write over files that are there.
        #[arg(long)]
        force: bool,
        /// Read the passwords of logins from standard input, one LOGIN:PASSWORD on each line: they stay as they are,
        /// and open what the file has encrypted with them.
        #[arg(long)]
        password_stdin: bool,
        /// Ask for the passwords of logins on the terminal.
        #[arg(long, conflicts_with = "password_stdin")]
        ask_passwords: bool,
    },
    /// Print what an administrator runs once, so that the accounts of the mappings get in.
    #[command(after_help = "Example:\n  footbridge setup entra > setup.ps1")]
    Setup {
        #[command(subcommand)]
        at: SetUp,
    },
    /// Print the JSON Schema of a file of the configuration, for editors.
    #[command(
        after_help = "Examples:\n  footbridge schema config > footbridge.schema.json\n  footbridge schema mappings > mappings.schema.json"
    )]
    Schema {
        /// The file.
        file: Schema,
    },
    /// Print what a shell needs to complete this command line.
    #[command(
        after_help = "Examples:\n  footbridge completions bash > /etc/bash_completion.d/footbridge\n  footbridge completions fish > ~/.config/fish/completions/footbridge.fish"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or that of a subcommand.
    #[command(
        after_help = "Examples:\n  footbridge man | man -l -\n  footbridge man serve | man -l -\n  footbridge man --out /usr/local/share/man/man1"
    )]
    Man {
        /// The subcommand.
        subcommand: Option<String>,
        /// Write all pages into this folder.
        #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum SetUp {
    /// Print the PowerShell script that registers an app at Microsoft Entra: permissions, admin consent, a certificate,
    /// and the mailboxes of the mappings in Exchange Online.
    #[command(
        after_help = "Examples:\n  footbridge setup entra > setup.ps1\n  footbridge setup entra --az > setup.sh\n  footbridge setup entra --smtp-rbac --group scanners@contoso.com > setup.ps1\n\nNothing is changed but by who runs the script, which says what it does. docs/entra.md does the same by hand."
    )]
    Entra {
        /// The NAME of the [app.NAME], where several are registered at Microsoft Entra.
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// For the Azure CLI and bash; the part that only PowerShell can do is in it too.
        #[arg(long)]
        az: bool,
        /// With a client secret, where the configuration has a certificate or nothing yet.
        #[arg(long)]
        secret: bool,
        /// Let the app send by a role of Exchange, for these mailboxes alone, in the place of SMTP.SendAsApp.
        #[arg(long)]
        smtp_rbac: bool,
        /// A mail-enabled security group, whose members are the mailboxes of a wildcard or of the role.
        #[arg(long, value_name = "ADDRESS", value_parser = doctor::address)]
        group: Option<String>,
    },
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    let format = match line.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let config = line.config.unwrap_or_else(default_config);
    match line.command {
        Command::Serve => serve::run(&config, format, line.log.map_or(Level::INFO, Into::into)),
        Command::Check => check::run(&config),
        Command::Accounts { json, forget } => accounts::run(&config, json, forget.as_deref()),
        Command::Authorize { login, device, no_browser } => {
            authorize::run(&config, &Authorize { login, device }, no_browser)
        }
        Command::Doctor { logins, send_to, json } => {
            let _writing = match line.log.map(|level| start_logging(format, level.into())).transpose() {
                Ok(writing) => writing,
                Err(code) => return code,
            };
            doctor::run(&config, &Examine { logins, send_to }, json)
        }
        Command::Reload => reload::run(&config),
        Command::Console => console::run(&config),
        Command::Healthcheck => healthcheck::run(&config),
        Command::HashPassword { generate } => hash_password::run(generate),
        Command::Import { file, out, force, password_stdin, ask_passwords } => {
            let passwords = match (password_stdin, ask_passwords) {
                (true, _) => import::Passwords::Piped,
                (false, true) => import::Passwords::Asked,
                (false, false) => import::Passwords::Unknown,
            };
            import::run(&file, &out, force, passwords)
        }
        Command::Setup { at: SetUp::Entra { app, az, secret, smtp_rbac, group } } => {
            setup::entra(&config, &entra::Asked { app, azure_cli: az, secret, smtp_rbac, group })
        }
        Command::Schema { file } => schema::run(file.into()),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { subcommand, out } => man::run(subcommand.as_deref(), out.as_deref()),
    }
}

impl From<Schema> for Described {
    fn from(schema: Schema) -> Self {
        match schema {
            Schema::Config => Self::Config,
            Schema::Mappings => Self::Mappings,
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// What `FOOTBRIDGE_CONFIG` says, where it says something: container environments set it to nothing.
/// Else the first of the usual places that is there; the first of all where none is, for the error text.
fn default_config() -> PathBuf {
    if let Some(path) = env::var_os("FOOTBRIDGE_CONFIG").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let here = Path::new("footbridge.toml");
    let system = Path::new("/etc/footbridge/footbridge.toml");
    if !here.exists() && system.exists() { system } else { here }.to_owned()
}

/// Runs what waits for the network, on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map(|runtime| runtime.block_on(future))
        .map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Refuses to write into the folder of another user, who could not use what is made there.
#[cfg(target_os = "linux")]
fn ours(state_dir: &Path, command: &str) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    // This process' own entry belongs to the user that it acts as, proc(5).
    let (Ok(me), Ok(folder)) = (std::fs::metadata("/proc/self"), std::fs::metadata(state_dir)) else {
        return Ok(());
    };
    if me.uid() == folder.uid() {
        return Ok(());
    }
    Err(format!(
        "state_dir {} belongs to the user with id {}\n  cure: run this as that user: sudo -u '#{}' footbridge {command}",
        state_dir.display(),
        folder.uid(),
        folder.uid()
    ))
}

#[cfg(not(target_os = "linux"))]
fn ours(_: &Path, _: &str) -> Result<(), String> {
    Ok(())
}

/// Prints why a command failed, and what to do where that is known.
fn fail(trouble: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {trouble}");
    ExitCode::FAILURE
}

fn start_logging(format: Format, level: Level) -> Result<logging::Writing, ExitCode> {
    logging::start(format, level).map_err(|error| fail(&format!("cannot start logging: {error}")))
}
