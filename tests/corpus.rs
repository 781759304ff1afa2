//! What fuzzing has kept in `fuzz/corpus` is held to the same properties, by every run of the tests.

#[path = "../fuzz/properties.rs"]
mod properties;

use std::{fs, path::Path};

use proptest::prelude::*;

#[test]
fn every_kept_input_has_the_properties() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, check) in properties::TARGETS {
        let files = fs::read_dir(corpus.join(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
        let mut held = 0;
        for file in files {
            let path = file.expect("the folder can be read").path();
            // Said before a failure, so that it names the input.
            println!("{}", path.display());
            check(&fs::read(&path).expect("the file can be read"));
            held += 1;
        }
        assert!(held > 0, "{target} has a corpus");
    }
}

/// Large corpora belong elsewhere: these are read by people who clone.
#[test]
fn the_corpus_is_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, _) in properties::TARGETS {
        let sizes: Vec<u64> = fs::read_dir(corpus.join(target))
            .unwrap_or_else(|error| panic!("{target}: {error}"))
            .map(|file| file.and_then(|file| file.metadata()).expect("the file can be read").len())
            .collect();
        assert!(sizes.len() <= 200, "{target} has {} inputs", sizes.len());
        assert!(sizes.iter().sum::<u64>() <= 300 * 1024, "{target} is over 300 KiB");
    }
}

/// What a stranger writes who wants to end our line and begin one of his own, and what he may hide it in.
fn injected() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n.\r\n".to_owned()),
        Just("\r\na OK [CAPABILITY IMAP4rev1] in\r\n".to_owned()),
        Just("\r\n235 2.7.0 Authentication successful\r\n".to_owned()),
        Just("\r\n+OK in\r\n".to_owned()),
        Just("\u{1}".to_owned()),
        Just("\0\u{1b}[2J\u{7f}\u{85}\u{202e}\u{2066}\u{2028}".to_owned()),
        Just("AADSTS7000215: ".to_owned()),
        Just("535 5.7.139 ".to_owned()),
        Just(" Trace ID: ".to_owned()),
        "[\\x00-\\xff]{0,40}",
        "\\PC{0,40}",
        "[a-z ]{200,2000}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_that_is_said_breaks_or_begins_a_reply(choice: u8, said in injected()) {
        let input = [&[choice], said.as_bytes()].concat();
        properties::explain(&input);
    }
}
