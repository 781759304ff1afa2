//! The keys that the design names.

use crate::config::schema::{self, Keys};

/// Every key of the configuration by its table, whether it has an effect in this version or not.
const DESIGN: [(&Keys, &[&str]); 14] = [
    (
        &schema::TOP,
        &[
            "state_dir",
            "mappings",
            "listener",
            "tls",
            "console",
            "limits",
            "store",
            "app",
            "provider",
            "notify",
        ],
    ),
    (
        &schema::LISTENER,
        &[
            "protocol",
            "bind",
            "tls",
            "certificate",
            "key",
            "require_tls",
            "allow_plaintext",
            "provider",
            "proxy_protocol",
            "report_at",
        ],
    ),
    (&schema::TLS, &["certificate", "key", "key_type", "names"]),
    (&schema::CONSOLE, &["bind", "public_url", "password"]),
    (
        &schema::LIMITS,
        &[
            "max_connections",
            "max_connections_per_client",
            "max_connections_per_account",
            "auth_failures",
            "auth_failure_window",
            "login_timeout",
            "idle_timeout",
            "connect_timeout",
            "send_wait",
            "drain_grace",
            "line",
            "literal",
            "before_login_bytes",
        ],
    ),
    (&schema::STORE, &["kind", "url", "key"]),
    (
        &schema::APP,
        &[
            "provider",
            "tenant",
            "client_id",
            "secret",
            "certificate",
            "key",
            "assertion_alg",
            "federated_token_file",
            "service_account",
            "secret_expires",
            "redirect_uri",
            "redirect_listen",
            "pkce",
            "scopes",
            "resource",
        ],
    ),
    (
        &schema::PROVIDER,
        &[
            "extends",
            "authorize_url",
            "token_url",
            "device_url",
            "scopes",
            "imap",
            "smtp",
            "pop3",
            "sasl",
            "ca_file",
            "outbound_proxy",
        ],
    ),
    (&schema::SCOPES, &["delegated", "application"]),
    (&schema::DELEGATED, &["imap", "smtp", "pop3"]),
    (&schema::ENDPOINT, &["host", "port", "tls"]),
    (&schema::SECRET, &["env", "file", "command", "credential"]),
    (&schema::MAPPINGS, &["account"]),
    (
        &schema::ACCOUNT,
        &[
            "login",
            "password",
            "mailbox",
            "app",
            "grant",
            "mailboxes",
            "sign_in",
            "smtp_user",
            "protocols",
            "from_networks",
            "no_password_from",
            "senders",
            "max_sends",
            "accept_risk",
        ],
    ),
];

#[test]
fn every_key_of_the_design_is_known_or_refused_by_name() {
    for (keys, design) in DESIGN {
        for key in design {
            let times = keys.all().filter(|known| known == key).count();
            assert_eq!(times, 1, "{key} of {}", keys.place);
        }
    }
    for keys in schema::ALL {
        assert!(
            DESIGN.iter().any(|(known, _)| known.place == keys.place),
            "{} is not in the list",
            keys.place
        );
    }
}
