//! `[tls]`, and what a listener says otherwise: what is shown to mail programs.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use super::{
    CertificateFiles, OwnCertificate,
    listener::is_host_name,
    mistake::quoted,
    reader::{Item, Table},
    schema,
};
use crate::{
    net::{certificate::Pair, self_signed::KeyType},
    oauth::day,
};

/// How long before its end a certificate is worth a word: a month in which somebody is at work.
const AHEAD: Duration = Duration::from_hours(30 * 24);

/// The kinds of key that the bridge makes.
pub(super) const KEY_TYPES: [KeyType; 2] = [KeyType::EcdsaP256, KeyType::Rsa2048];

/// What `[tls]` says.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What listeners show that have nothing of their own; nothing where the bridge makes one.
    pub(super) files: Option<CertificateFiles>,
    /// The one that the bridge makes.
    pub(super) own: OwnCertificate,
}

/// Reads `[tls]`; `None` where it has mistakes.
pub(super) fn read(top: &Table<'_>, now: SystemTime) -> Option<Written> {
    let Some(item) = top.get("tls") else {
        return Some(Written::default());
    };
    let table = item.table(&schema::TLS)?;
    let key_type = table.get("key_type").map(|item| {
        let word = item.word(&KEY_TYPES.map(KeyType::name), &[])?;
        KEY_TYPES.into_iter().find(|kind| kind.name() == word)
    });
    let names = table.get("names").map(|item| names(&item));
    let files = files(&table, now);
    for item in ["key_type", "names"].into_iter().filter_map(|key| table.get(key)) {
        if matches!(files, Some(Some(_))) {
            let cause =
                format!("{} is for the certificate that the bridge makes, and one is given", item.key());
            item.doubtful(cause, "take it out, or certificate and key");
        }
    }
    let own = OwnCertificate {
        key_type: key_type.unwrap_or_else(|| Some(KeyType::default()))?,
        names: names.unwrap_or_else(|| Some(Vec::new()))?,
    };
    Some(Written { files: files?, own })
}

fn names(item: &Item<'_>) -> Option<Vec<String>> {
    let read = |item: Item<'_>| {
        let name = item.string()?;
        if let Ok(address) = name.parse::<IpAddr>() {
            // As a certificate gives it back: an address can be spelled in many ways.
            return Some(address.to_string());
        }
        if is_host_name(name) {
            // Mail programs compare without the dot that ends a name in full.
            return Some(name.trim_end_matches('.').to_owned());
        }
        let cause = format!("{} is no host name and no address", quoted(name));
        item.wrong(
            cause,
            "write it as mail programs do, without a port: \"mail.example.com\" or \"10.1.2.3\"",
        );
        None
    };
    let names: Vec<_> = item.list()?.into_iter().map(read).collect();
    names.into_iter().collect()
}

/// The `certificate` and `key` of a table; nothing where it has neither, `None` where they have mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
pub(super) fn files(table: &Table<'_>, now: SystemTime) -> Option<Option<CertificateFiles>> {
    let (certificate, key) = (table.get("certificate"), table.get("key"));
    let Some(certificate) = certificate else {
        if let Some(key) = key.filter(|_| table.lacks("certificate")) {
            key.wrong(
                "there is a key, and no certificate that it belongs to",
                "add certificate = \"…\", or take key out: without both the bridge makes its own",
            );
            return None;
        }
        return table.lacks("certificate").then_some(None);
    };
    let in_certificate = certificate.path()?;
    let files = CertificateFiles {
        // Both in one file is usual.
        key: key.as_ref().map_or_else(|| Some(in_certificate.clone()), Item::path)?,
        certificate: in_certificate,
    };
    match Pair::read(&files.certificate, &files.key) {
        Ok(pair) => warn_of_time(&certificate, &pair, now),
        Err(error) => {
            let item = key.filter(|_| error.concerns(&files.key)).unwrap_or(certificate);
            item.wrong(error.to_string(), error.cure());
            return None;
        }
    }
    Some(Some(files))
}

/// Notes a certificate that mail programs will refuse, now or soon. The bridge shows it all the same: the
/// accounts of other listeners are not to suffer from it.
fn warn_of_time(item: &Item<'_>, pair: &Pair, now: SystemTime) {
    let cause = if pair.ends < now {
        format!("the certificate has ended on {}", day(pair.ends))
    } else if pair.begins > now {
        format!("the certificate is not valid before {}", day(pair.begins))
    } else if pair.ends < now + AHEAD {
        format!("the certificate ends on {}", day(pair.ends))
    } else {
        return;
    };
    item.doubtful(cause, "put a new one in its place: it is used without a reload");
}
