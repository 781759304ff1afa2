//! Where browsers are sent back to, and how consent is asked for.

use super::*;
use crate::oauth::{Pkce, Redirect};

/// Configurations with these lines in the app, and in a `[console]` where there are some.
fn main_with(app: &str, console: &str) -> String {
    let main = with(MAIN, "client_id =", &format!("{app}\nclient_id ="));
    if console.is_empty() {
        main
    } else {
        with(&main, "[limits]", &format!("[console]\n{console}\n[limits]"))
    }
}

fn redirect(app: &str, console: &str) -> Redirect {
    loaded(&main_with(app, console), MAPPINGS).config.apps[0].consent.redirect.clone()
}

const LOCAL: &str = "bind = \"127.0.0.1:8025\"";

#[test]
fn without_a_redirect_uri_it_is_the_console_or_any_port() {
    assert_eq!(redirect("", ""), Redirect::AnyPort);
    for (console, sent) in [
        (LOCAL, "http://localhost:8025"),
        ("bind = \"127.0.0.1:0\"", "http://localhost:0"),
        ("bind = \"127.0.0.1:8025\"\ntls = \"implicit\"", "https://localhost:8025"),
        ("bind = \"127.0.0.1:8025\"\npublic_url = \"https://mail.example.com/\"", "https://mail.example.com"),
    ] {
        let expected = Redirect::Console(sent.to_owned());
        assert_eq!(redirect("", console), expected, "{console}");
    }
}

#[test]
fn a_redirect_uri_of_its_own_port_is_served_on_both_loopback_addresses() {
    for (uri, port) in [
        ("http://localhost:3017/", 3017),
        ("http://127.0.0.1:3017/back?x=y", 3017),
        ("http://[::1]:3017", 3017),
        ("http://LOCALHOST:80", 80),
    ] {
        let redirect = redirect(&format!("redirect_uri = \"{uri}\""), LOCAL);
        let Redirect::Own { listen, uri: sent } = redirect else { panic!("{uri}: {redirect:?}") };
        assert_eq!(
            listen,
            [format!("127.0.0.1:{port}").parse().unwrap(), format!("[::1]:{port}").parse().unwrap()]
        );
        assert_eq!(sent, uri, "the URI is sent as it is registered");
    }
    for uri in ["http://localhost:3017/", "http://localhost", "https://mail.example.com/back"] {
        let redirect = redirect(&format!("redirect_uri = \"{uri}\"\nredirect_listen = \"0.0.0.0:3017\""), "");
        let Redirect::Own { listen, .. } = redirect else { panic!("{uri}: {redirect:?}") };
        assert_eq!(listen, ["0.0.0.0:3017".parse().unwrap()]);
    }
}

#[test]
fn a_redirect_uri_that_leads_to_the_console_is_served_by_it() {
    let public = "bind = \"127.0.0.1:8025\"\npublic_url = \"https://mail.example.com\"";
    for (uri, console) in [
        ("http://localhost:8025/back", LOCAL),
        ("http://[::1]:8025/", LOCAL),
        ("http://localhost:8025/", "bind = \"0.0.0.0:8025\"\npassword = { env = \"LONG_KEY\" }"),
        ("https://mail.example.com/any/path", public),
        ("https://other.example.com/", public),
        ("https://localhost:8025/back", "bind = \"127.0.0.1:8025\"\ntls = \"implicit\""),
    ] {
        let expected = Redirect::Console(uri.to_owned());
        assert_eq!(redirect(&format!("redirect_uri = \"{uri}\""), console), expected, "{uri}");
    }
}

#[test]
fn a_redirect_uri_speaks_what_the_console_speaks() {
    let implicit = "bind = \"127.0.0.1:8025\"\ntls = \"implicit\"";
    for (uri, console, cause) in [
        ("http://localhost:8025/", implicit, "http, and the console at its port speaks HTTPS"),
        ("https://localhost:8025/", LOCAL, "https, and the console at its port does not speak that"),
    ] {
        let printed = printed(&main_with(&format!("redirect_uri = \"{uri}\""), console), MAPPINGS);
        let causes = causes(&printed);
        assert!(causes.len() == 1 && causes[0].ends_with(&format!("redirect_uri is {cause}")), "{printed}");
    }
    let elsewhere = redirect("redirect_uri = \"http://localhost:3017/\"", implicit);
    assert!(matches!(elsewhere, Redirect::Own { .. }), "{elsewhere:?}");
}

#[test]
fn a_redirect_uri_that_nobody_could_serve_is_refused() {
    let at = "footbridge.toml:18:16: ";
    for (uri, cause) in [
        ("http://localhost:3017/#a", "redirect_uri has a fragment"),
        ("http://u:hunter2@localhost:3017/", "redirect_uri has a user or a password in it"),
        (
            "http://mail.example.com/",
            "\"http://mail.example.com/\" is neither https nor http on localhost, 127.0.0.1 or [::1]: the code would cross the network in clear",
        ),
        ("com.example:/back", "redirect_uri is no URL of a host"),
        ("localhost", "redirect_uri is no URL: relative URL without a base"),
        ("http://localhost:0/", "port 0 of redirect_uri is no port"),
        ("http://localhost/", "redirect_uri has no port, which means port 80"),
        (
            "https://mail.example.com/",
            "redirect_uri is https, which something before the bridge has to answer, and nothing says where it forwards to",
        ),
    ] {
        let printed = printed(&main_with(&format!("redirect_uri = \"{uri}\""), ""), MAPPINGS);
        assert_eq!(causes(&printed), [format!("{at}{cause}")]);
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn redirect_listen_is_an_address_beside_a_redirect_uri() {
    let uri = "redirect_uri = \"http://localhost:3017/\"\nredirect_listen = ";
    for (app, expected) in [
        (
            "redirect_listen = \"0.0.0.0:3017\"".to_owned(),
            "footbridge.toml:18:19: redirect_listen says where redirect_uri is served, and there is none",
        ),
        (format!("{uri}\"3017\""), "footbridge.toml:19:19: \"3017\" has no port"),
        (
            format!("{uri}\"host:3017\""),
            "footbridge.toml:19:19: \"host:3017\" has a name where an address is needed",
        ),
        (format!("{uri}\"0.0.0.0:0\""), "footbridge.toml:19:19: port 0 of redirect_listen is no port"),
    ] {
        assert_eq!(causes(&printed(&main_with(&app, ""), MAPPINGS)), [expected]);
    }
    let useless = printed(
        &main_with("redirect_uri = \"http://localhost:8025/\"\nredirect_listen = \"0.0.0.0:3017\"", LOCAL),
        MAPPINGS,
    );
    assert!(useless.contains("warning: redirect_listen has no effect"), "{useless}");
}

#[test]
fn pkce_is_on_unless_it_is_turned_off() {
    for (line, expected) in [
        ("", Pkce::S256),
        ("pkce = \"S256\"", Pkce::S256),
        ("pkce = \"plain\"", Pkce::Plain),
        ("pkce = \"off\"", Pkce::Off),
    ] {
        assert_eq!(loaded(&main_with(line, ""), MAPPINGS).config.apps[0].consent.pkce, expected);
    }
    let refused = printed(&main_with("pkce = \"none\"", ""), MAPPINGS);
    assert_eq!(causes(&refused), ["footbridge.toml:18:8: pkce cannot be \"none\""]);
}
