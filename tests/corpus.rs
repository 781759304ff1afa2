//! What fuzzing has kept in `fuzz/corpus` is held to the same properties, by every run of the tests.

#[path = "../fuzz/properties.rs"]
mod properties;

use std::{fs, path::Path};

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
