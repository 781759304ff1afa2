//! Files that are not TOML.

use super::*;

#[test]
fn a_syntax_error_is_shown_with_line_and_column() {
    let expected = "\
footbridge.toml:6:8: not valid TOML: invalid float
    6 | bind = 127.0.0.1:1143
      |        ^^^^^^^^^^^^^^
  cure: put it in quotes if it is meant as text";
    assert_eq!(printed(&with(MAIN, "\"127.0.0.1:1143\"", "127.0.0.1:1143"), MAPPINGS), expected);
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let expected = "\
footbridge.toml:18:1: \"tenant\" is there twice
   18 | tenant = \"b\"
      | ^^^^^^
  cure: take out one of the two";
    assert_eq!(printed(&with(MAIN, "\nclient_id", "\ntenant = \"b\"\nclient_id"), MAPPINGS), expected);
    footbridge_says(&[(
        "[provider.lab]",
        "[app.contoso]\ntennant = \"b\"\n[provider.lab]",
        &["footbridge.toml:21:6: \"contoso\" is there twice"],
    )]);
}

#[test]
fn all_syntax_errors_are_found_and_what_is_wrong_beside_them() {
    let main = with(MAIN, "\"mappings.toml\"", "mappings.toml");
    let main = with(&main, "[limits]", "[limits");
    let main = with(&main, "\"contoso.onmicrosoft.com\"", "\"contoso");
    let main = with(&main, "[\"mail\"]", "[\"mail\"");
    let main = with(&main, "port = 10587", "port = 0");
    let mappings = with(MAPPINGS, "grant = \"client_credentials\"", "grant\nmax_sends = 3");
    let printed = printed(&main, &mappings);
    let lines: Vec<_> = causes(&printed).iter().map(|cause| cause.split(": ").next().unwrap()).collect();
    let expected = [
        "footbridge.toml:2:12",
        "footbridge.toml:12:8",
        "footbridge.toml:17:18",
        "footbridge.toml:23:34",
        "footbridge.toml:25:37",
        "mappings.toml:5:6",
        "mappings.toml:6:1",
    ];
    assert_eq!(lines, expected, "{printed}");
}

#[test]
fn what_is_never_closed_is_shown_where_it_is_opened() {
    let expected = "\
footbridge.toml:24:1: not valid TOML: invalid multi-line basic string, expected `\"`
   24 | imap = \"\"\"
      | ^^^^^^^^^^
  cure: close the string with the three quotes that open it";
    assert_eq!(printed(&with(MAIN, "imap = ", "imap = \"\"\"\n"), MAPPINGS), expected);
}

#[test]
fn a_backslash_is_explained() {
    let printed = printed(&with(MAIN, "\"state\"", "\"C:\\state\""), MAPPINGS);
    assert!(
        printed.ends_with("cure: write each backslash twice, or put the text in single quotes"),
        "{printed}"
    );
}

#[test]
fn what_could_not_be_read_is_not_missed() {
    let main = with(MAIN, "[app.contoso]", "[app.contoso");
    let printed = printed(&main, MAPPINGS);
    assert_eq!(causes(&printed).len(), 1, "{printed}");
}

#[test]
fn a_file_with_windows_line_ends_is_read() {
    assert_eq!(printed(&MAIN.replace('\n', "\r\n"), &MAPPINGS.replace('\n', "\r\n")), "");
    let printed = printed(&with(MAIN, "\ntenant", "\ntennant").replace('\n', "\r\n"), MAPPINGS);
    assert!(
        printed.contains("   17 | tennant = \"contoso.onmicrosoft.com\"\n      | ^^^^^^^\n"),
        "{printed:?}"
    );
}
