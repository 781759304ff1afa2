//! `docs/performance.md` shows what the measurement of `benches/tunnel` measures, and its command line says what is wrong with it.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a part of another program")]

#[path = "../benches/tunnel/command.rs"]
mod command;
#[path = "../benches/tunnel/figures.rs"]
mod figures;

use std::{fs, path::Path};

use command::{Asked, Size};
use figures::SECTIONS;

/// The rows of the page's table, as their cells.
fn rows() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().skip_while(|line| !line.starts_with("| figure |"));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn parse(words: &str) -> Result<Asked, String> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    command::parse(&words)
}

#[test]
fn the_page_has_a_row_for_each_figure_with_what_is_wanted_of_it_and_what_limits_it() {
    let figures = SECTIONS.iter().flat_map(|section| section.parts.iter().copied().flatten());
    let wanted: Vec<[String; 3]> =
        figures.map(|figure| [figure.name.to_owned(), figure.wanted(), figure.limit.to_owned()]).collect();
    let shown: Vec<[String; 3]> = rows()
        .into_iter()
        .map(|row| [row[0].clone(), row[row.len() - 3].clone(), row[row.len() - 1].clone()])
        .collect();
    assert_eq!(shown, wanted, "cargo bench --bench tunnel -- --write puts today's table there");
}

#[test]
fn a_word_that_nobody_knows_is_answered_by_the_nearest_one() {
    for (word, answer) in [
        ("login", "there is no section login: did you mean logins?"),
        ("--quik", "there is no option --quik: did you mean --quick?"),
        ("everything", "there is no section everything: --help lists them"),
    ] {
        assert_eq!(parse(word).unwrap_err(), answer);
    }
}

#[test]
fn the_page_takes_only_a_whole_table() {
    for words in ["--write --quick", "--write fetch", "--smoke --write"] {
        assert!(parse(words).unwrap_err().starts_with("--write wants the whole measurement"), "{words}");
    }
}

#[test]
fn nothing_but_what_cargo_says_itself_means_everything() {
    let Ok(Asked::Measure(plan)) = parse("--bench") else { panic!("it does not measure") };
    assert_eq!((plan.size, plan.sections.len(), plan.write), (Size::Full, SECTIONS.len(), false));
}

#[test]
fn the_help_names_every_section_and_option() {
    let help = command::help();
    for word in SECTIONS.iter().map(|section| section.name).chain(["--quick", "--smoke", "--write", "--help"])
    {
        assert!(help.contains(&format!("  {word} ")), "{word} is missing");
    }
}
