//! Whatever the files hold, reading them ends.

use proptest::prelude::*;

use super::*;

/// Pieces that files are made of, so that arbitrary ones are nearly right.
fn piece() -> impl Strategy<Value = String> {
    let pieces: Vec<String> = MAIN
        .lines()
        .chain(MAPPINGS.lines())
        .map(str::to_owned)
        .chain(
            [
                "[",
                "]",
                "[[",
                "]]",
                "{",
                "}",
                "\"",
                "\"\"\"",
                "'''",
                "=",
                ",",
                "\n",
                "\r\n",
                "\t",
                "ä",
                "\\",
                "1",
                "1979-05-27",
            ]
            .map(str::to_owned),
        )
        .chain(super::super::schema::ALL.iter().flat_map(|keys| keys.all()).map(|key| format!("{key} = ")))
        .collect();
    proptest::sample::select(pieces)
}

fn file() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec((piece(), prop_oneof![Just("\n"), Just(" "), Just("")]), 0..30)
            .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| piece + gap).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_files_are_read_without_panic(main in file(), mappings in file()) {
        printed(&main, &mappings);
    }

    #[test]
    fn arbitrary_mappings_are_read_without_panic(mappings in file()) {
        printed(MAIN, &mappings);
    }

    #[test]
    fn a_correct_file_with_a_part_cut_out_is_read_without_panic(at in 0..MAIN.len(), length in 0..40_usize) {
        let end = (at + length).min(MAIN.len());
        printed(&format!("{}{}", &MAIN[..at], &MAIN[end..]), MAPPINGS);
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_the_line() {
    let printed = printed_prepared(MAIN, MAPPINGS, |folder| {
        std::fs::write(folder.join("footbridge.toml"), b"mappings = \"x\"\n# \xe4\n").unwrap();
    });
    assert_eq!(causes(&printed), ["footbridge.toml: line 2 is not UTF-8"]);
}
