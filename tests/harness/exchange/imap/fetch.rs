//! What FETCH asks for, and how it is answered (RFC 3501 §6.4.5, §7.4.2).

use super::{Parser, selected};
use crate::harness::exchange::mailbox::Message;

/// Every message arrived then.
const INTERNAL_DATE: &str = "20-Nov-2026 12:00:00 +0000";

/// One thing that FETCH asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Flags,
    Uid,
    Size,
    InternalDate,
    Envelope,
    Structure(&'static str),
    Text { label: String, section: Section, peek: bool, partial: Option<(usize, usize)> },
}

/// A part of a message. Every message is taken for plain text in one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Section {
    All,
    Header,
    Body,
    Fields { names: Vec<String>, others: bool },
}

impl Item {
    /// Whether fetching it sets `\Seen`.
    pub(super) fn marks_as_read(&self) -> bool {
        matches!(self, Self::Text { peek: false, .. })
    }
}

/// Reads one item or a list of them; `None` where one is not known here.
pub(super) fn items(parser: &mut Parser<'_>) -> Option<Vec<Item>> {
    Some(parser.list(item)?.into_iter().flatten().collect())
}

fn item(parser: &mut Parser<'_>) -> Option<Vec<Item>> {
    let name = parser.atom()?.to_ascii_uppercase();
    let whole = |section, peek| Item::Text { label: name.clone(), section, peek, partial: None };
    let fast = [Item::Flags, Item::InternalDate, Item::Size];
    Some(match name.as_str() {
        "FAST" => fast.to_vec(),
        "ALL" => [&fast[..], &[Item::Envelope]].concat(),
        "FULL" => [&fast[..], &[Item::Envelope, Item::Structure("BODY")]].concat(),
        "FLAGS" => vec![Item::Flags],
        "UID" => vec![Item::Uid],
        "RFC822.SIZE" => vec![Item::Size],
        "INTERNALDATE" => vec![Item::InternalDate],
        "ENVELOPE" => vec![Item::Envelope],
        "BODYSTRUCTURE" => vec![Item::Structure("BODYSTRUCTURE")],
        "RFC822" => vec![whole(Section::All, false)],
        "RFC822.HEADER" => vec![whole(Section::Header, true)],
        "RFC822.TEXT" => vec![whole(Section::Body, false)],
        "BODY" | "BODY.PEEK" if parser.eat("[") => {
            let written = parser.until(b']')?;
            let section = section(&written.to_ascii_uppercase())?;
            let partial = if parser.eat("<") { Some(partial(&parser.until(b'>')?)?) } else { None };
            let origin = partial.map(|(from, _)| format!("<{from}>")).unwrap_or_default();
            let label = format!("BODY[{}]{origin}", written.to_ascii_uppercase());
            vec![Item::Text { label, section, peek: name == "BODY.PEEK", partial }]
        }
        "BODY" => vec![Item::Structure("BODY")],
        _ => return None,
    })
}

fn section(written: &str) -> Option<Section> {
    if let Some(fields) = written.strip_prefix("HEADER.FIELDS") {
        let (others, names) = fields.strip_prefix(".NOT").map_or((false, fields), |fields| (true, fields));
        let names = names.trim().strip_prefix('(')?.strip_suffix(')')?;
        let names = names.split_whitespace().map(|name| name.trim_matches('"').to_owned()).collect();
        return Some(Section::Fields { names, others });
    }
    match written {
        "" => Some(Section::All),
        "HEADER" | "1.MIME" => Some(Section::Header),
        "TEXT" | "1" => Some(Section::Body),
        _ => None,
    }
}

fn partial(written: &str) -> Option<(usize, usize)> {
    let (from, count) = written.split_once('.')?;
    Some((from.parse().ok()?, count.parse().ok()?))
}

/// Writes the answer for one message.
pub(super) fn write(out: &mut Vec<u8>, sequence: usize, message: &Message, items: &[Item]) {
    out.extend_from_slice(format!("* {sequence} FETCH (").as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        let text = match item {
            Item::Flags => format!("FLAGS ({})", selected::list(&message.flags)),
            Item::Uid => format!("UID {}", message.uid),
            Item::Size => format!("RFC822.SIZE {}", message.raw.len()),
            Item::InternalDate => format!("INTERNALDATE \"{INTERNAL_DATE}\""),
            Item::Envelope => format!("ENVELOPE {}", envelope(message)),
            Item::Structure(label) => format!("{label} {}", structure(message)),
            Item::Text { label, section, partial, .. } => {
                let mut part = part(message, section);
                if let Some((from, count)) = *partial {
                    let from = from.min(part.len());
                    part = part[from..part.len().min(from.saturating_add(count))].to_vec();
                }
                out.extend_from_slice(format!("{label} {{{}}}\r\n", part.len()).as_bytes());
                out.extend_from_slice(&part);
                continue;
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b")\r\n");
}

fn part(message: &Message, section: &Section) -> Vec<u8> {
    let (header, body) = message.split();
    match section {
        Section::All => message.raw.clone(),
        Section::Header => header.to_vec(),
        Section::Body => body.to_vec(),
        Section::Fields { names, others } => {
            let mut wanted = Vec::new();
            let mut keep = false;
            for line in header.split_inclusive(|&byte| byte == b'\n') {
                let folded = line.starts_with(b" ") || line.starts_with(b"\t");
                if !folded {
                    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
                    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
                    keep = line != b"\r\n" && names.contains(&name) != *others;
                }
                if keep {
                    wanted.extend_from_slice(line);
                }
            }
            wanted.extend_from_slice(b"\r\n");
            wanted
        }
    }
}

fn structure(message: &Message) -> String {
    let body = message.split().1;
    let lines = body.split(|&byte| byte == b'\n').count() - 1;
    format!(r#"("text" "plain" ("charset" "utf-8") NIL NIL "8bit" {} {lines})"#, body.len())
}

fn envelope(message: &Message) -> String {
    let text = |name: &str| nstring(&message.field(name));
    let from = addresses(&message.field("From"));
    format!(
        "({} {} {from} {from} {from} {} {} {} {} {})",
        text("Date"),
        text("Subject"),
        addresses(&message.field("To")),
        addresses(&message.field("Cc")),
        addresses(&message.field("Bcc")),
        text("In-Reply-To"),
        text("Message-ID"),
    )
}

/// `Ann <ann@example.com>, bob@example.com`; names with commas are beyond it.
fn addresses(field: &str) -> String {
    let list: String = field
        .split(',')
        .filter_map(|address| {
            let (name, address) = match address.split_once('<') {
                Some((name, address)) => {
                    (name.trim().trim_matches('"'), address.trim().trim_end_matches('>'))
                }
                None => ("", address.trim()),
            };
            let (local, domain) = address.split_once('@')?;
            Some(format!("({} NIL {} {})", nstring(name), nstring(local), nstring(domain)))
        })
        .collect();
    if list.is_empty() { "NIL".to_owned() } else { format!("({list})") }
}

fn nstring(text: &str) -> String {
    if text.is_empty() {
        return "NIL".to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
