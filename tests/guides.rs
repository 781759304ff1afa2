//! Every command of the README and of every page of `docs/` is run, in the order of its page.
//!
//! What a block is, its first line says:
//!
//! - `sh`: commands. They are run as they stand, in one shell for each page.
//! - `console`: commands behind `$ `, and what they print. In what is printed `…` stands for anything, and a line of it for any number of lines;
//!   numbers may differ.
//! - `toml`, `yaml`, `ini`: a file where the first line is a comment with nothing but its name; it is written there. `$argon2id$…` stands for the
//!   hash of `legacy-password`.
//! - `text`, `powershell`: to be read. Nothing is run.
//!
//! A page has a machine of its own ([`island`]), on which the pretend Microsoft and Google know the tenant `contoso.onmicrosoft.com`, and every address
//! of it on the page has a mailbox. Whoever is asked to sign in does. `footbridge serve` stays in another terminal. What no test can have - docker, kubectl,
//! a service manager, sudo - is stood in for by `guides/standins`, which check what they are given. Any other program is unknown, and fails the page.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a broken test has to break, and what it needs is no interface of the crate"
)]

mod harness;

#[path = "guides/island.rs"]
mod island;
#[path = "guides/page.rs"]
mod page;
#[path = "guides/reader.rs"]
mod reader;

use std::{fs, path::Path};

/// The pages, by their paths in the repository.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<String> = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap()))
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

fn text(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

#[test]
fn every_command_of_every_page_works() {
    let with_commands: Vec<String> = pages()
        .into_iter()
        .filter(|page| page::blocks(&text(page)).iter().any(page::Block::is_run))
        .collect();
    island::on_each("every_command_of_every_page_works", &with_commands, async |island, page| {
        reader::follow(&island, &page, &text(&page)).await;
    });
}

#[test]
fn every_page_stands_in_the_index_and_no_link_leads_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let index = text("docs/README.md");
    for page in pages().iter().filter_map(|page| page.strip_prefix("docs/")) {
        assert!(
            page == "README.md" || index.contains(&format!("({page})")),
            "{page} is not in docs/README.md"
        );
    }
    for page in pages() {
        for target in page::links(&text(&page)) {
            let path = root.join(&page).parent().unwrap().join(target.split('#').next().unwrap());
            assert!(path.exists(), "{page} leads to {target}");
        }
    }
}
