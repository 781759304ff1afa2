//! What the command line says of itself: help, completions and the manual.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use harness::cli::Cli;

fn shell(program: &str, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(file).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

#[test]
fn bash_reads_its_completions_and_completes_a_subcommand() {
    let dir = tempfile::tempdir().unwrap();
    let printed = Cli::run(dir.path(), ["completions", "bash"]);
    assert_eq!(printed.status, Some(0), "{}", printed.stderr);
    let file = dir.path().join("footbridge.bash");
    let asks = "\nCOMP_WORDS=(footbridge hea) COMP_CWORD=1\n_footbridge footbridge hea footbridge\necho \"${COMPREPLY[@]}\"\n";
    fs::write(&file, format!("{}{asks}", printed.stdout)).unwrap();
    let parsed = shell("bash", &["-n"], &file);
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    let completed = shell("bash", &[], &file);
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "healthcheck\n");
}

#[test]
fn a_shell_that_is_unknown_is_a_wrong_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Cli::run(dir.path(), ["completions", "command.com"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("zsh"), "{}", refused.stderr);
}

#[test]
fn every_page_of_the_manual_is_formatted_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man/man1");
    let written = Cli::run(dir.path(), ["man", "--out", pages.to_str().unwrap()]);
    assert_eq!(written.status, Some(0), "{}", written.stderr);
    let names: Vec<_> = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() > 10, "{names:?}");
    for page in &names {
        // groff says with -ww what it finds odd; man itself would hide it.
        let formatted = shell("groff", &["-man", "-ww", "-Tutf8", "-P-cbou"], page);
        assert!(formatted.status.success());
        assert_eq!(String::from_utf8_lossy(&formatted.stderr), "", "{}", page.display());
        let text = String::from_utf8(formatted.stdout).unwrap();
        for heading in ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "EXAMPLE", "SEE ALSO"] {
            assert!(text.contains(heading), "{} has no {heading}:\n{text}", page.display());
        }
    }
}

#[test]
fn a_page_is_printed_for_the_program_and_for_each_of_its_subcommands() {
    let dir = tempfile::tempdir().unwrap();
    let main = Cli::run(dir.path(), ["man"]).stdout;
    assert!(main.contains(".TH footbridge 1") && main.contains("footbridge\\-serve(1)"), "{main}");
    let serve = Cli::run(dir.path(), ["man", "serve"]).stdout;
    assert!(serve.contains(".TH footbridge-serve 1"), "{serve}");
    let brew = Cli::run(dir.path(), ["man", "brew"]);
    assert_eq!(brew.status, Some(2));
    assert!(brew.stderr.contains("serve, check"), "{}", brew.stderr);
}

#[test]
fn a_schema_is_printed_for_each_file_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    for (file, key) in [("config", "listener"), ("mappings", "account")] {
        let printed = Cli::run(dir.path(), ["schema", file]);
        assert_eq!(printed.status, Some(0), "{}", printed.stderr);
        let schema: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["properties"][key]["type"], "array", "{}", printed.stdout);
    }
}

#[test]
fn the_help_of_every_subcommand_has_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let help = Cli::run(dir.path(), ["--help"]).stdout;
    let commands = help.split_once("Commands:\n").unwrap().1;
    let commands = commands.lines().take_while(|line| !line.is_empty()).map(str::trim_start);
    let names: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 9, "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = Cli::run(dir.path(), [name, "--help"]).stdout;
        assert!(help.contains("Example") && help.contains(&format!("footbridge {name}")), "{help}");
    }
}
