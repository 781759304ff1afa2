//! What tokens are for: lists of scopes, and tables of them.

use std::collections::BTreeMap;

use super::{
    mistake::quoted,
    preset::Preset,
    reader::{Item, Table},
    schema,
};
use crate::ids::ProtocolKind;

/// Scopes by the protocol that needs them.
pub(super) type ByProtocol = BTreeMap<ProtocolKind, Vec<String>>;

/// Reads a list of scopes.
pub(super) fn list(item: &Item<'_>) -> Option<Vec<String>> {
    let scopes: Vec<_> = item.list()?.iter().map(scope).collect();
    scopes.into_iter().collect()
}

fn scope(item: &Item<'_>) -> Option<String> {
    let scope = item.string()?;
    // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    let may_stand = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.is_empty() || !scope.bytes().all(may_stand) {
        item.wrong(format!("{} is no scope", quoted(scope)), "write each scope as an item of its own");
        return None;
    }
    Some(scope.to_owned())
}

/// The same scopes for each protocol.
pub(super) fn for_all(scopes: &[String]) -> ByProtocol {
    ProtocolKind::ALL.into_iter().map(|kind| (kind, scopes.to_vec())).collect()
}

/// The delegated scopes of a preset.
pub(super) fn of_preset(preset: &Preset) -> ByProtocol {
    let scopes = |kind| match kind {
        ProtocolKind::Imap => preset.delegated_scopes.imap,
        ProtocolKind::Smtp => preset.delegated_scopes.smtp,
        ProtocolKind::Pop3 => preset.delegated_scopes.pop3,
    };
    let of = |kind| Some((kind, owned(scopes(kind)))).filter(|(_, scopes)| !scopes.is_empty());
    ProtocolKind::ALL.into_iter().filter_map(of).collect()
}

/// The texts of a constant.
pub(super) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The `scopes` of a provider, over those of the preset that it extends.
pub(super) fn of_provider(table: &Table<'_>, base: Option<&Preset>) -> Option<(Vec<String>, ByProtocol)> {
    let inherited = (
        base.map_or_else(Vec::new, |base| owned(base.application_scopes)),
        base.map_or_else(BTreeMap::new, of_preset),
    );
    let Some(item) = table.get("scopes") else {
        return Some(inherited);
    };
    let table = item.table(&schema::SCOPES)?;
    let application = table.get("application").map_or(Some(inherited.0), |item| list(&item));
    let delegated = table.get("delegated").map_or(Some(inherited.1), |item| delegated(&item));
    Some((application?, delegated?))
}

/// One list for all protocols, or a table with a list for each.
fn delegated(item: &Item<'_>) -> Option<ByProtocol> {
    if !item.is_table() {
        return list(item).map(|scopes| for_all(&scopes));
    }
    let table = item.table(&schema::DELEGATED)?;
    let of = |kind: ProtocolKind| Some((kind, list(&table.get(kind.name())?)));
    let read: Vec<_> = ProtocolKind::ALL.into_iter().filter_map(of).collect();
    read.into_iter().map(|(kind, scopes)| Some((kind, scopes?))).collect()
}
