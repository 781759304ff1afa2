//! `outbound_proxy` of `[provider.NAME]`: the way out for mail and tokens.

use std::sync::Arc;

use super::{
    reader::{Item, Table},
    secret,
};
use crate::{
    net::proxy::{Proxy, ProxyMistake},
    secret::Environment,
};

/// The proxy of a provider, or that there is none; `None` where it has mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
pub(super) fn read(table: &Table<'_>, environment: &Environment<'_>) -> Option<Option<Arc<Proxy>>> {
    let Some(item) = table.get("outbound_proxy") else {
        return Some(None);
    };
    let proxy = if item.is_string() { Proxy::parse(item.string()?) } else { kept(&item, environment)? };
    match proxy {
        Ok(proxy) => Some(Some(Arc::new(proxy))),
        Err(mistake) => {
            // The text may hold a password, right or wrong as its form is.
            let span = item.span.clone();
            item.file.wrong_hiding(span.clone(), span, format!("outbound_proxy {mistake}"), mistake.cure());
            None
        }
    }
}

/// Reads the URL from where it is kept. It is needed before anything else, so that no command is run for it.
fn kept(item: &Item<'_>, environment: &Environment<'_>) -> Option<Result<Proxy, ProxyMistake>> {
    if !item.is_table() {
        item.wrong(
            format!("outbound_proxy is {}, not a URL", item.kind()),
            "write outbound_proxy = \"socks5://host:1080\", or { env = \"NAME\" } where it holds a password",
        );
        return None;
    }
    let (_, secret) = secret::read(item, environment)?;
    let Some(secret) = secret else {
        item.wrong(
            "outbound_proxy cannot be printed by a command",
            "keep it in { env = \"…\" }, { file = \"…\" } or { credential = \"…\" }",
        );
        return None;
    };
    Some(secret.expose_str().map_or(Err(ProxyMistake::Scheme), Proxy::parse))
}
