//! Every key that may be written, by table, as data.
//!
//! A key whose effect is not built is refused by its name: nobody may believe in a protection that
//! is not there.

/// The keys of one kind of table.
#[derive(Debug)]
pub(super) struct Keys {
    /// The table as it is spoken of: `[app.NAME]`.
    pub(super) place: &'static str,
    /// The keys that have an effect.
    pub(super) known: &'static [&'static str],
    /// The keys that have a meaning, and no effect in this version.
    pub(super) later: &'static [&'static str],
}

pub(super) const TOP: Keys = Keys {
    place: "the top level of footbridge.toml",
    known: &["state_dir", "mappings", "listener", "tls", "console", "limits", "store", "app", "provider"],
    later: &["notify"],
};

pub(super) const LISTENER: Keys = Keys {
    place: "[[listener]]",
    known: &[
        "protocol",
        "bind",
        "tls",
        "allow_plaintext",
        "require_tls",
        "certificate",
        "key",
        "proxy_protocol",
    ],
    later: &["provider", "report_at"],
};

pub(super) const TLS: Keys =
    Keys { place: "[tls]", known: &["certificate", "key", "key_type", "names"], later: &[] };

pub(super) const CONSOLE: Keys =
    Keys { place: "[console]", known: &["bind", "public_url", "password"], later: &[] };

pub(super) const STORE: Keys = Keys { place: "[store]", known: &["kind", "key"], later: &["url"] };

pub(super) const LIMITS: Keys = Keys {
    place: "[limits]",
    known: &[
        "login_timeout",
        "idle_timeout",
        "connect_timeout",
        "drain_grace",
        "line",
        "literal",
        "before_login_bytes",
        "max_connections",
        "max_connections_per_client",
        "max_connections_per_account",
        "auth_failures",
        "auth_failure_window",
    ],
    later: &["send_wait"],
};

pub(super) const APP: Keys = Keys {
    place: "[app.NAME]",
    known: &[
        "provider",
        "tenant",
        "client_id",
        "secret",
        "redirect_uri",
        "redirect_listen",
        "pkce",
        "scopes",
        "resource",
        "certificate",
        "key",
        "key_password",
        "assertion_alg",
        "federated_token_file",
        "service_account",
        "secret_expires",
    ],
    later: &[],
};

pub(super) const PROVIDER: Keys = Keys {
    place: "[provider.NAME]",
    known: &[
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
    later: &[],
};

pub(super) const SCOPES: Keys =
    Keys { place: "scopes of [provider.NAME]", known: &["application", "delegated"], later: &[] };

pub(super) const DELEGATED: Keys =
    Keys { place: "delegated of scopes", known: &["imap", "smtp", "pop3"], later: &[] };

pub(super) const ENDPOINT: Keys =
    Keys { place: "imap, smtp and pop3 of [provider.NAME]", known: &["host", "port", "tls"], later: &[] };

pub(super) const SECRET: Keys =
    Keys { place: "a secret value", known: &["env", "file", "command", "credential"], later: &[] };

pub(super) const MAPPINGS: Keys = Keys { place: "the mappings file", known: &["account"], later: &[] };

pub(super) const ACCOUNT: Keys = Keys {
    place: "[[account]]",
    known: &[
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
    ],
    later: &["no_password_from", "senders", "max_sends", "accept_risk"],
};

/// Every kind of table.
pub(super) const ALL: [&Keys; 14] = [
    &TOP, &LISTENER, &TLS, &CONSOLE, &LIMITS, &STORE, &APP, &PROVIDER, &SCOPES, &DELEGATED, &ENDPOINT,
    &SECRET, &MAPPINGS, &ACCOUNT,
];

/// What keys are called elsewhere, and what they are called here.
const SYNONYMS: [(&str, &str); 7] = [
    ("client_secret", "secret"),
    ("tenant_id", "tenant"),
    ("oauth2_scope", "scopes"),
    ("oauth2_flow", "grant"),
    ("permission_url", "authorize_url"),
    ("username", "login"),
    ("user", "login"),
];

/// The key of a table that was probably meant.
pub(super) fn meant(keys: &Keys, written: &str) -> Option<&'static str> {
    let all = || keys.known.iter().chain(keys.later).copied();
    let synonym = SYNONYMS.iter().find(|(other, ours)| *other == written && all().any(|key| key == *ours));
    synonym.map(|(_, ours)| *ours).or_else(|| nearest(written, all()))
}

/// How unlike two words may be to be taken for one another: 1 is alike, 0 has nothing in common.
/// One slip in a word of four letters is 0.75; `tls` and `line` have 0.25.
const ALIKE: f64 = 0.7;

/// The word that was probably meant.
pub(super) fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let written = written.to_lowercase();
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(&written, &word.to_lowercase());
    words
        .into_iter()
        .map(|word| (likeness(word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

/// The cure for a key that its table does not have, nor one like it.
pub(super) fn cure_for_unknown(keys: &Keys, written: &str) -> String {
    let elsewhere = ALL.iter().find(|other| other.known.contains(&written) && other.place != SECRET.place);
    match elsewhere {
        Some(other) => format!("\"{written}\" belongs to {}", other.place),
        None => format!("the keys of {} are {}", keys.place, keys.known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let cases = [
            ("tennant", Some("tenant")),
            ("clientid", Some("client_id")),
            ("Provider", Some("provider")),
            ("secert", Some("secret")),
            ("scope", Some("scopes")),
            ("password", None),
            ("", None),
        ];
        for (written, expected) in cases {
            assert_eq!(nearest(written, APP.known.iter().copied()), expected, "{written}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_to_the_right_one() {
        assert_eq!(
            cure_for_unknown(&LIMITS, "mappings"),
            "\"mappings\" belongs to the top level of footbridge.toml"
        );
        assert_eq!(cure_for_unknown(&APP, "bind"), "\"bind\" belongs to [[listener]]");
        assert_eq!(
            cure_for_unknown(&SCOPES, "colour"),
            "the keys of scopes of [provider.NAME] are application, delegated"
        );
    }
}
