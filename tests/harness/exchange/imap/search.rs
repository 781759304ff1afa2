//! SEARCH, as far as mail programs commonly go.

use super::{Parser, Selected, parse};
use crate::harness::{exchange::mailbox::Message, pattern};

/// Whether a message is what the client looks for.
pub(super) type Key = Box<dyn Fn(&Message) -> bool + Send>;

/// Reads keys up to the end, all of which must hold; `None` where one is not known here.
pub(super) fn keys(parser: &mut Parser<'_>, selected: &Selected) -> Option<Key> {
    let mut all: Vec<Key> = Vec::new();
    while !parser.at_end() {
        parser.space()?;
        if parser.eat("CHARSET ") {
            parser.string()?;
            continue;
        }
        all.push(key(parser, selected)?);
    }
    Some(Box::new(move |message| all.iter().all(|key| key(message))))
}

fn key(parser: &mut Parser<'_>, selected: &Selected) -> Option<Key> {
    if parser.peek() == Some(b'(') {
        let nested = parser.list(|parser| key(parser, selected))?;
        return Some(Box::new(move |message| nested.iter().all(|key| key(message))));
    }
    let name = parser.atom()?.to_ascii_uppercase();
    if let Some(wanted) = name.strip_prefix("UN").and_then(flag) {
        return Some(Box::new(move |message| !message.has(wanted)));
    }
    if let Some(wanted) = flag(&name) {
        return Some(Box::new(move |message| message.has(wanted)));
    }
    Some(match name.as_str() {
        "ALL" | "OLD" => Box::new(|_| true),
        "NEW" | "RECENT" => Box::new(|_| false),
        "NOT" => {
            parser.space()?;
            let inner = key(parser, selected)?;
            Box::new(move |message| !inner(message))
        }
        "OR" => {
            parser.space()?;
            let left = key(parser, selected)?;
            parser.space()?;
            let right = key(parser, selected)?;
            Box::new(move |message| left(message) || right(message))
        }
        "UID" => among(parse::set(&parser.next_atom()?, &selected.uids)?),
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => in_field(name, &parser.next_text()?),
        "HEADER" => {
            let field = parser.next_text()?;
            in_field(field, &parser.next_text()?)
        }
        "BODY" | "TEXT" => {
            let wanted = parser.next_text()?.to_lowercase();
            Box::new(move |message| {
                let text = String::from_utf8_lossy(&message.raw).to_lowercase();
                wanted.is_empty() || pattern::find(text.as_bytes(), wanted.as_bytes()).is_some()
            })
        }
        "LARGER" | "SMALLER" => {
            let size: usize = parser.next_atom()?.parse().ok()?;
            let larger = name == "LARGER";
            Box::new(move |message| if larger { message.raw.len() > size } else { message.raw.len() < size })
        }
        numbers => {
            let numbers = parse::set(numbers, &selected.numbers(false))?;
            among(numbers.into_iter().filter_map(|number| selected.uid(number, false)).collect())
        }
    })
}

fn among(uids: Vec<u32>) -> Key {
    Box::new(move |message| uids.contains(&message.uid))
}

fn in_field(field: String, wanted: &str) -> Key {
    let wanted = wanted.to_lowercase();
    Box::new(move |message| message.field(&field).to_lowercase().contains(&wanted))
}

fn flag(name: &str) -> Option<&'static str> {
    match name {
        "SEEN" => Some("\\Seen"),
        "ANSWERED" => Some("\\Answered"),
        "FLAGGED" => Some("\\Flagged"),
        "DELETED" => Some("\\Deleted"),
        "DRAFT" => Some("\\Draft"),
        _ => None,
    }
}
