//! `outbound_proxy` of a provider.

use super::*;

/// The configuration with a line more in `[provider.lab]`.
fn with_proxy(value: &str) -> String {
    format!("{MAIN}outbound_proxy = {value}\n")
}

#[test]
fn a_proxy_is_for_mail_and_tokens_of_its_provider_alone() {
    for value in ["\"http://ann:hunter2@proxy.example.com:3128\"", "{ env = \"OUTBOUND_PROXY\" }"] {
        let loaded = loaded(&with_proxy(value), MAPPINGS);
        let (config, shown) = (&loaded.config, "http://proxy.example.com:3128");
        assert_eq!(config.apps[0].proxy.as_ref().unwrap().to_string(), shown);
        assert_eq!(config.upstreams[0].1.proxy, config.apps[0].proxy);
        assert!(!format!("{loaded:?}").contains("hunter2"));
    }
    let direct = loaded(
        &with(&with_proxy("\"socks5://h:1\""), "provider = \"lab\"", "provider = \"microsoft365\""),
        MAPPINGS,
    );
    assert!(direct.config.apps[0].proxy.is_none() && direct.config.upstreams[0].1.proxy.is_none());
}

#[test]
fn a_proxy_that_cannot_be_meant_is_refused_and_not_shown() {
    let at = "footbridge.toml:26:18: ";
    for (value, cause) in [
        ("\"proxy.example.com:1080\"", "outbound_proxy is neither socks5:// nor http://"),
        ("\"socks5h://h:1080\"", "outbound_proxy begins with socks5h://"),
        ("\"https://h:3128\"", "outbound_proxy begins with https://, and proxies are not spoken to by TLS"),
        ("\"socks5://h\"", "outbound_proxy has no port"),
        ("\"http://\"", "outbound_proxy has no host name"),
        ("\"http://h:1/path\"", "outbound_proxy has something behind its port"),
        ("\"http://hunter2@h:1\"", "outbound_proxy has a user or a password that cannot be sent"),
        ("{ env = \"OUTBOUND_HOST\" }", "outbound_proxy is neither socks5:// nor http://"),
        ("{ env = \"NOBODY\" }", "environment variable NOBODY is not set"),
        ("{ command = [\"sh\"] }", "outbound_proxy cannot be printed by a command"),
        ("3128", "outbound_proxy is an integer, not a URL"),
    ] {
        let printed = printed(&with_proxy(value), MAPPINGS);
        assert_eq!(causes(&printed), [format!("{at}{cause}")], "{printed}");
        assert!(printed.contains("  cure: ") && !printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn a_password_in_a_proxy_is_hidden_whatever_is_wrong_around_it() {
    let url = "socks5://ann:hunter2@proxy.example.com:1080";
    for line in [
        format!("outbound_prxoy = \"{url}\""),
        format!("outbound_proxy = \"{url}"),
        format!("outbound_proxy = {url}"),
        format!("outbound_proxy = {{ env = \"{url}\" }}"),
        format!("outbound_proxy = {{ url = \"{url}\" }}"),
        format!("outbound_proxy = [\"{url}\"]"),
    ] {
        let printed = printed(&format!("{MAIN}{line}\n"), MAPPINGS);
        assert!(!printed.is_empty() && !printed.contains("hunter2"), "{printed}");
    }
}
