//! `footbridge man`: the manual, in the form that `man` reads.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use super::{CommandLine, fail};

/// Prints a page on stdout, the main one or that of a subcommand; with a folder, writes all into it.
#[must_use]
pub(super) fn run(subcommand: Option<&str>, out: Option<&Path>) -> ExitCode {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(trouble) => return fail(&trouble),
    };
    let done = match (out, find(&pages, subcommand)) {
        (Some(folder), _) => write_all(&pages, folder),
        (None, Some(page)) => {
            io::stdout().write_all(&page.text).map_err(|error| format!("cannot print the page: {error}"))
        }
        (None, None) => {
            let names: Vec<_> = pages.iter().filter_map(|page| page.name.strip_prefix(PREFIX)).collect();
            fail(&format!("there is no such subcommand\n  cure: write one of {}", names.join(", ")));
            return ExitCode::from(WRONG_COMMAND_LINE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => fail(&trouble),
    }
}

/// What the pages of subcommands begin with.
const PREFIX: &str = "footbridge-";

/// As clap ends where it finds the mistake itself.
const WRONG_COMMAND_LINE: u8 = 2;

/// One page of the manual.
struct Page {
    /// `footbridge-serve`.
    name: String,
    /// What it says, in roff.
    text: Vec<u8>,
}

fn find<'p>(pages: &'p [Page], subcommand: Option<&str>) -> Option<&'p Page> {
    let wanted = subcommand.map_or_else(|| "footbridge".to_owned(), |name| format!("{PREFIX}{name}"));
    pages.iter().find(|page| page.name == wanted)
}

fn write_all(pages: &[Page], folder: &Path) -> Result<(), String> {
    let unwritable = |path: &Path, error| format!("cannot write {}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    for page in pages {
        let path = folder.join(format!("{}.1", page.name));
        fs::write(&path, &page.text).map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

/// The command line without `help`, which a manual need not describe.
fn command() -> Command {
    let mut command = CommandLine::command().disable_help_subcommand(true);
    command.build();
    command
}

fn pages() -> Result<Vec<Page>, String> {
    let mut pages = Vec::new();
    add_pages(command(), "footbridge", None, &mut pages)?;
    Ok(pages)
}

/// Adds the page of a command and those of its subcommands, each of which leads to the one above it.
fn add_pages(command: Command, name: &str, above: Option<&str>, pages: &mut Vec<Page>) -> Result<(), String> {
    let below: Vec<_> = command.get_subcommands().cloned().collect();
    let names: Vec<_> = below.iter().map(|command| format!("{name}-{}", command.get_name())).collect();
    let others = above.into_iter().chain(names.iter().map(String::as_str));
    let see_also: Vec<_> = others.map(|name| format!("{name}(1)")).collect();
    let command = command.name(name.to_owned()).display_name(name.to_owned());
    pages.push(page(command, see_also.join(", "))?);
    for (command, below) in below.into_iter().zip(&names) {
        add_pages(command, below, Some(name), pages)?;
    }
    Ok(())
}

fn page(command: Command, see_also: String) -> Result<Page, String> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut text = Vec::new();
    written(command, see_also, &mut text)
        .map_err(|error| format!("cannot write the page {name}: {error}"))?;
    Ok(Page { name, text })
}

/// The page: what clap knows, with the examples as they are typed.
fn written(command: Command, see_also: String, text: &mut Vec<u8>) -> io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command).manual("Footbridge");
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    man.render_options_section(text)?;
    if has_subcommands {
        man.render_subcommands_section(text)?;
    }
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXITS {
        rest.control("TP", []);
        rest.text([bold(code)]);
        rest.text([roman(meaning)]);
    }
    rest.control("SH", ["EXAMPLES"]);
    rest.control("nf", []);
    for line in examples.lines().skip(1) {
        rest.text([Inline::Roman(line.trim_start().to_owned())]);
    }
    rest.control("fi", []);
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also)]);
    rest.to_writer(text)
}

/// What the program's exit codes mean.
const EXITS: [(&str, &str); 3] = [
    ("0", "Fine."),
    ("1", "Something is wrong with the account or the configuration, and is explained on standard error."),
    ("2", "The command line itself is wrong."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_with_its_examples_and_the_main_page_leads_to_it() {
        let pages = pages().unwrap();
        let text = |page: &Page| String::from_utf8(page.text.clone()).unwrap();
        let main = text(&pages[0]);
        for command in command().get_subcommands() {
            let name = command.get_name();
            let page = pages.iter().find(|page| page.name == format!("footbridge-{name}")).unwrap();
            let text = text(page);
            assert!(text.contains(&format!("footbridge {name}").replace('-', "\\-")), "{name}:\n{text}");
            assert!(text.contains("EXAMPLES\n.nf\nfootbridge"), "{name} has no example:\n{text}");
            let reference = format!("footbridge-{name}(1)").replace('-', "\\-");
            assert!(main.contains(&reference), "the main page does not lead to {name}");
        }
    }

    #[test]
    fn a_subcommand_of_a_subcommand_has_a_page_to_which_the_one_above_leads() {
        let pages = pages().unwrap();
        let text = |name: &str| {
            let page = pages.iter().find(|page| page.name == name).unwrap();
            String::from_utf8(page.text.clone()).unwrap()
        };
        assert!(text("footbridge-setup").contains("footbridge\\-setup\\-entra(1)"));
        let entra = text("footbridge-setup-entra");
        assert!(entra.contains("smtp\\-rbac") && entra.contains("footbridge\\-setup(1)"), "{entra}");
    }
}
