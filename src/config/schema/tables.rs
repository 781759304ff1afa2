//! The tables: each key with what may stand in it and what it is for.
//!
//! An editor shows the last of the three to who writes a file; defaults and reasons stand in the example files.

use super::{
    super::{
        limits::{COUNT, FAILURES},
        preset::PRESETS,
        tls::KEY_TYPES,
    },
    Keys,
    Kind::{
        Boolean, Count, Date, Duration, Either, List, Named, Pattern, Port, Size, Suggested, Table, Tables,
        Text, Word,
    },
    key,
};
use crate::{account::Grant, ids::ProtocolKind, net::self_signed::KeyType};

pub(in crate::config) const LISTENER_TLS: [&str; 3] = ["none", "starttls", "implicit"];
pub(in crate::config) const CONSOLE_TLS: [&str; 2] = ["none", "implicit"];
pub(in crate::config) const UPSTREAM_TLS: [&str; 2] = ["implicit", "starttls"];
pub(in crate::config) const SASL: [&str; 2] = ["xoauth2", "oauthbearer"];
pub(in crate::config) const PKCE: [&str; 3] = ["S256", "plain", "off"];
pub(in crate::config) const ASSERTION_ALGS: [&str; 2] = ["PS256", "RS256"];
pub(in crate::config) const STORES: [&str; 1] = ["embedded"];

/// The most passwords of one account: one per application that uses it.
pub(in crate::config) const MOST_PASSWORDS: usize = 5;

/// The most secrets of an app: one replaces another.
pub(in crate::config) const MOST_SECRETS: usize = 2;

/// The word for an app's secret that is what the mail program shows.
pub(in crate::config) const LOGIN_PASSWORD: &str = "login-password";

/// `host:port`.
const ADDRESS: super::Kind = Pattern("^.+:[0-9]+$");
/// As loose as parsers of URLs are; `footbridge check` sees the rest.
const URL: super::Kind = Pattern(r"^\s*[Hh][Tt][Tt][Pp][Ss]?:");
const TEXTS: super::Kind = List(&Text, usize::MAX);
const TEXT_OR_TEXTS: super::Kind = Either(&[Text, TEXTS]);
const KEPT: super::Kind = Table(&SECRET);

fn grants() -> Vec<&'static str> {
    Grant::ALL.map(Grant::name).to_vec()
}

fn protocols() -> Vec<&'static str> {
    ProtocolKind::ALL.map(ProtocolKind::name).to_vec()
}

fn presets() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

fn key_types() -> Vec<&'static str> {
    KEY_TYPES.map(KeyType::name).to_vec()
}

pub(in crate::config) const TOP: Keys = Keys {
    name: "top",
    place: "the top level of footbridge.toml",
    known: &[
        key("state_dir", Text, "The bridge's own folder: tokens, their key, the certificate that it makes."),
        key("mappings", Text, "The file that says who may log in; mappings.toml where nothing is written."),
        key("listener", Tables(&LISTENER), "Where mail programs connect; at least one.").needed(),
        key("tls", Table(&TLS), "What listeners that encrypt their line show to mail programs."),
        key("console", Table(&CONSOLE), "The web page on which people consent; none without this table."),
        key("limits", Table(&LIMITS), "How much clients may ask for, and how long things may take."),
        key("store", Table(&STORE), "Where tokens are kept, and what they are sealed with."),
        key("app", Named(&APP), "App registrations, by a name that accounts refer to.").needed(),
        key("provider", Named(&PROVIDER), "Mail services that no preset describes."),
    ],
    later: &["notify"],
};

pub(in crate::config) const LISTENER: Keys = Keys {
    name: "listener",
    place: "[[listener]]",
    known: &[
        key("protocol", Word(protocols), "What is spoken on it.").needed(),
        key(
            "bind",
            ADDRESS,
            "host:port to listen on; \"[::1]:1143\" for IPv6; port 0 has the system pick one.",
        )
        .needed(),
        key(
            "tls",
            Word(|| LISTENER_TLS.to_vec()),
            "How the line to mail programs is encrypted; none by default.",
        ),
        key("allow_plaintext", Boolean, "Passwords may cross a network in clear."),
        key(
            "require_tls",
            Boolean,
            "With starttls: no login before it. By default true, but false on loopback.",
        ),
        key("certificate", Text, "A PEM file to show in place of the certificate of [tls]."),
        key("key", Text, "The private key of that certificate, where it is in another file."),
        key(
            "proxy_protocol",
            TEXTS,
            "Load balancers whose PROXY header is required and believed, by network.",
        ),
    ],
    later: &["provider", "report_at"],
};

pub(in crate::config) const TLS: Keys = Keys {
    name: "tls",
    place: "[tls]",
    known: &[
        key("certificate", Text, "A PEM file with the certificate and those that lead to its root."),
        key("key", Text, "Its private key, where it is in another file."),
        key("key_type", Word(key_types), "The kind of key of the certificate that the bridge makes."),
        key("names", TEXTS, "How else the bridge is called, for the certificate that it makes."),
    ],
    later: &[],
};

pub(in crate::config) const CONSOLE: Keys = Keys {
    name: "console",
    place: "[console]",
    known: &[
        key("bind", ADDRESS, "host:port to listen on."),
        key(
            "public_url",
            URL,
            "Where people reach it, without a path; the redirect URI of apps that have none.",
        ),
        key("password", KEPT, "Where its password is kept; needed where bind is not loopback."),
        key("tls", Word(|| CONSOLE_TLS.to_vec()), "With implicit it speaks HTTPS; none by default."),
        key("certificate", Text, "A PEM file to show in place of the certificate of [tls]."),
        key("key", Text, "The private key of that certificate, where it is in another file."),
    ],
    later: &[],
};

pub(in crate::config) const STORE: Keys = Keys {
    name: "store",
    place: "[store]",
    known: &[
        key("kind", Word(|| STORES.to_vec()), "Where tokens are kept."),
        key(
            "key",
            Either(&[KEPT, List(&KEPT, usize::MAX)]),
            "Where the sealing key is kept; the newest first.",
        ),
    ],
    later: &["url"],
};

pub(in crate::config) const LIMITS: Keys = Keys {
    name: "limits",
    place: "[limits]",
    known: &[
        key(
            "login_timeout",
            Duration,
            "From connect to credentials, and again from there to an open mailbox.",
        ),
        key("idle_timeout", Duration, "Without a byte in either direction after the login."),
        key("connect_timeout", Duration, "For one attempt at a connection to a mail server."),
        key("drain_grace", Duration, "What open sessions get to finish after the signal to stop."),
        key("line", Size, "One line before the login."),
        key("literal", Size, "One IMAP literal before the login."),
        key("before_login_bytes", Size, "All that a client may send before the login."),
        key("max_connections", Count(COUNT), "Connections at the same time."),
        key(
            "max_connections_per_client",
            Count(COUNT),
            "Connections of one client: an IPv4 address, or a /64.",
        ),
        key("max_connections_per_account", Count(COUNT), "Sessions of one account with one mailbox."),
        key("auth_failures", Count(FAILURES), "Logins of one client that may fail within the window."),
        key("auth_failure_window", Duration, "How long a failed login counts."),
    ],
    later: &["send_wait"],
};

pub(in crate::config) const APP: Keys = Keys {
    name: "app",
    place: "[app.NAME]",
    known: &[
        key("provider", Suggested(presets), "A preset, or the NAME of a [provider.NAME].").needed(),
        key("tenant", Text, "The tenant's domain or id, where the provider's URLs have {tenant}."),
        key("client_id", Text, "What Entra calls the application (client) ID.").needed(),
        key(
            "secret",
            Either(&[Word(|| vec![LOGIN_PASSWORD]), KEPT, List(&KEPT, MOST_SECRETS)]),
            "Where the client secret is kept, two while one replaces the other; or \"login-password\".",
        ),
        key(
            "redirect_uri",
            URL,
            "Where the authority sends the browser back to, letter by letter as registered.",
        ),
        key("redirect_listen", ADDRESS, "Where that is listened for, if not on 127.0.0.1 and ::1."),
        key("pkce", Word(|| PKCE.to_vec()), "How the answer to a consent is bound to who asked (RFC 7636)."),
        key("scopes", TEXTS, "What tokens are for, in the place of the provider's scopes."),
        key("resource", Text, "What a token of the password grant is for, in an older form of that grant."),
        key("certificate", Text, "A PEM or PFX file: the app proves itself by it, in place of a secret."),
        key("key", Text, "The private key of the certificate, where it is in another file."),
        key("key_password", KEPT, "Where the password of an encrypted key or a PFX file is kept."),
        key("assertion_alg", Word(|| ASSERTION_ALGS.to_vec()), "How assertions are signed."),
        key(
            "federated_token_file",
            Text,
            "A file with a token that another authority issues to this workload.",
        ),
        key("service_account", KEPT, "Where the JSON key of a Google service account is kept."),
        key("secret_expires", Date, "When the secret ends, as the registration shows it."),
    ],
    later: &[],
};

pub(in crate::config) const PROVIDER: Keys = Keys {
    name: "provider",
    place: "[provider.NAME]",
    known: &[
        key("extends", Word(presets), "A preset to take everything from that is not written here."),
        key("authorize_url", URL, "Where a browser consents."),
        key("token_url", URL, "The authority's token endpoint."),
        key("device_url", URL, "Where consent with a code begins (RFC 8628)."),
        key("scopes", Table(&SCOPES), "What tokens are for."),
        key("imap", Table(&ENDPOINT), "Where mailboxes are read."),
        key("smtp", Table(&ENDPOINT), "Where mail is handed in."),
        key("pop3", Table(&ENDPOINT), "Where mail is fetched by POP3."),
        key("sasl", Word(|| SASL.to_vec()), "How the token is shown to the mail server."),
        key("ca_file", Text, "More certificates to trust beside the system's, in PEM form."),
        key(
            "outbound_proxy",
            Either(&[Text, KEPT]),
            "socks5:// or http://: the way out for mail and tokens.",
        ),
    ],
    later: &[],
};

pub(in crate::config) const SCOPES: Keys = Keys {
    name: "scopes",
    place: "scopes of [provider.NAME]",
    known: &[
        key("application", TEXTS, "Those of tokens of the app itself."),
        key("delegated", Either(&[TEXTS, Table(&DELEGATED)]), "Those of tokens that act for a person."),
    ],
    later: &[],
};

pub(in crate::config) const DELEGATED: Keys = Keys {
    name: "delegated",
    place: "delegated of scopes",
    known: &[
        key("imap", TEXTS, "For accounts that may use IMAP."),
        key("smtp", TEXTS, "For accounts that may use SMTP."),
        key("pop3", TEXTS, "For accounts that may use POP3."),
    ],
    later: &[],
};

pub(in crate::config) const ENDPOINT: Keys = Keys {
    name: "endpoint",
    place: "imap, smtp and pop3 of [provider.NAME]",
    known: &[
        key("host", Text, "The name of the mail server."),
        key("port", Port, "Its port; the usual one where none is written."),
        key("tls", Word(|| UPSTREAM_TLS.to_vec()), "How the line to it is encrypted; there is no none."),
    ],
    later: &[],
};

pub(in crate::config) const SECRET: Keys = Keys {
    name: "secret",
    place: "a secret value",
    known: &[
        key("env", Pattern("^[A-Za-z_][A-Za-z0-9_]*$"), "The name of an environment variable."),
        key("file", Text, "A file, which only the bridge should be able to read."),
        key("command", TEXTS, "A program and its arguments, which prints it; no shell is between."),
        key("credential", Text, "The name of a credential of systemd's LoadCredential=."),
    ],
    later: &[],
};

pub(in crate::config) const MAPPINGS: Keys = Keys {
    name: "mappings",
    place: "the mappings file",
    known: &[key("account", Tables(&ACCOUNT), "Who may log in, and which mailbox that opens.").needed()],
    later: &[],
};

pub(in crate::config) const ACCOUNT: Keys = Keys {
    name: "account",
    place: "[[account]]",
    known: &[
        key(
            "login",
            TEXT_OR_TEXTS,
            "What the mail program logs in as, in any case; \"*@contoso.com\" is a domain.",
        )
        .needed(),
        key(
            "password",
            Either(&[HASH, KEPT, List(&Either(&[HASH, KEPT]), MOST_PASSWORDS)]),
            "What footbridge hash-password prints, or where a plain one is kept; one for each program.",
        ),
        key("mailbox", Text, "The mailbox that is opened; by default the first login that is an address."),
        key("app", Text, "The NAME of the [app.NAME] that gets the token.").needed(),
        key("grant", Word(grants), "How the token is got.").needed(),
        key("mailboxes", TEXTS, "The mailboxes that a wildcard login may open."),
        key("sign_in", TEXT_OR_TEXTS, "Who consents, in one or several spellings; by default the mailbox."),
        key("smtp_user", Text, "The user that is named to the upstream for SMTP."),
        key("protocols", List(&Word(protocols), usize::MAX), "What the account may be used for."),
        key("from_networks", TEXTS, "Where its logins may come from: networks or single addresses."),
        key(
            "no_password_from",
            TEXTS,
            "Devices that cannot log in to SMTP are this account, by their address; needs senders.",
        ),
        key("senders", TEXTS, "The envelope senders that mail may have: addresses, or \"*@contoso.com\"."),
        key(
            "accept_risk",
            Boolean,
            "no_password_from may have wide networks and this machine's gateway, and proxy_protocol wide networks.",
        ),
    ],
    later: &["max_sends"],
};

/// The beginning of the one kind of hash that is taken.
const HASH: super::Kind = Pattern(r"^\$argon2id\$");

/// Every kind of table.
pub(in crate::config) const ALL: [&Keys; 14] = [
    &TOP, &LISTENER, &TLS, &CONSOLE, &LIMITS, &STORE, &APP, &PROVIDER, &SCOPES, &DELEGATED, &ENDPOINT,
    &SECRET, &MAPPINGS, &ACCOUNT,
];
