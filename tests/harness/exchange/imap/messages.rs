//! Commands about messages: FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE.

use std::{collections::BTreeSet, fmt::Write as _, io};

use super::{Parser, Reply, Selected, Session, fetch, mailboxes::bad, parse, search, selected};
use crate::harness::exchange::mailbox::Message;

impl Session {
    pub(super) async fn message_command(
        &mut self,
        name: &str,
        user: &str,
        parser: &mut Parser<'_>,
    ) -> io::Result<Reply> {
        let Some(mut selected) = self.selected.take() else {
            return Ok(Err("Command received in Invalid state.".to_owned()));
        };
        let command = if name == "UID" { parser.next_atom().unwrap_or_default() } else { name.to_owned() };
        let command = command.to_ascii_uppercase();
        let mut out = Vec::new();
        let by_uid = name == "UID";
        let done = match command.as_str() {
            "CLOSE" | "UNSELECT" => {
                if command == "CLOSE" && !selected.read_only {
                    self.expunge(user, &selected, None);
                }
                return Ok(Ok(format!("{command} completed.")));
            }
            "EXPUNGE" => self.expunge_command(user, &selected, by_uid, parser),
            "SEARCH" => self.search(user, &selected, by_uid, parser, &mut out),
            "FETCH" => self.fetch(user, &mut selected, by_uid, parser, &mut out),
            "STORE" => self.store(user, &mut selected, by_uid, parser, &mut out),
            "COPY" | "MOVE" => self.copy(&command, user, &selected, by_uid, parser),
            _ => Err("Command Error. 12".to_owned()),
        };
        self.selected = Some(selected);
        self.wire.send(out).await?;
        Ok(done.map(|code| format!("{code}{command} completed.")))
    }

    fn expunge_command(
        &self,
        user: &str,
        selected: &Selected,
        by_uid: bool,
        parser: &mut Parser<'_>,
    ) -> Reply {
        let only = if by_uid { Some(named(parser, selected, true)?) } else { None };
        if selected.read_only {
            return Err("NO The folder is read-only.".to_owned());
        }
        self.expunge(user, selected, only.as_deref());
        Ok(String::new())
    }

    fn expunge(&self, user: &str, selected: &Selected, only: Option<&[u32]>) {
        self.shared.mailboxes.change(user, &selected.folder, |folder| {
            folder.messages.retain(|message| {
                !message.has("\\Deleted") || only.is_some_and(|only| !only.contains(&message.uid))
            });
        });
    }

    fn search(
        &self,
        user: &str,
        selected: &Selected,
        by_uid: bool,
        parser: &mut Parser<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let key = search::keys(parser, selected).ok_or_else(bad)?;
        let mut line = "* SEARCH".to_owned();
        self.shared.mailboxes.look(user, &selected.folder, |folder| {
            for message in folder.messages.iter().filter(|message| key(message)) {
                if let Some(sequence) = selected.sequence(message.uid) {
                    let uid = usize::try_from(message.uid).unwrap();
                    let _ = write!(line, " {}", if by_uid { uid } else { sequence });
                }
            }
        });
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(String::new())
    }

    fn fetch(
        &self,
        user: &str,
        selected: &mut Selected,
        by_uid: bool,
        parser: &mut Parser<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let uids = named(parser, selected, by_uid)?;
        parser.space().ok_or_else(bad)?;
        let mut items = fetch::items(parser).ok_or_else(bad)?;
        if by_uid && !items.contains(&fetch::Item::Uid) {
            items.insert(0, fetch::Item::Uid);
        }
        let reads = !selected.read_only && items.iter().any(fetch::Item::marks_as_read);
        if reads {
            self.shared.mailboxes.change(user, &selected.folder, |folder| {
                for uid in &uids {
                    if let Some(message) = folder.by_uid_mut(*uid) {
                        message.flags.insert("\\Seen".to_owned());
                    }
                }
            });
            if !items.contains(&fetch::Item::Flags) {
                items.push(fetch::Item::Flags);
            }
        }
        let folder = selected.folder.clone();
        self.shared.mailboxes.look(user, &folder, |folder| {
            for uid in uids {
                let (Some(message), Some(sequence)) = (folder.by_uid(uid), selected.sequence(uid)) else {
                    continue;
                };
                if items.contains(&fetch::Item::Flags) {
                    selected.told(uid, &message.flags);
                }
                fetch::write(out, sequence, message, &items);
            }
        });
        Ok(String::new())
    }

    fn store(
        &self,
        user: &str,
        selected: &mut Selected,
        by_uid: bool,
        parser: &mut Parser<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let uids = named(parser, selected, by_uid)?;
        let how = parser.next_atom().ok_or_else(bad)?.to_ascii_uppercase();
        parser.space().ok_or_else(bad)?;
        let flags: BTreeSet<String> = parser.list(Parser::atom).ok_or_else(bad)?.into_iter().collect();
        let (how, silent) = how.strip_suffix(".SILENT").map_or((how.as_str(), false), |how| (how, true));
        if !matches!(how, "FLAGS" | "+FLAGS" | "-FLAGS") {
            return Err(bad());
        }
        if selected.read_only {
            return Err("NO The folder is read-only.".to_owned());
        }
        let folder = selected.folder.clone();
        self.shared.mailboxes.change(user, &folder, |folder| {
            for uid in uids {
                let (Some(message), Some(sequence)) = (folder.by_uid_mut(uid), selected.sequence(uid)) else {
                    continue;
                };
                match how {
                    "+FLAGS" => message.flags.extend(flags.iter().cloned()),
                    "-FLAGS" => message.flags.retain(|flag| !flags.contains(flag)),
                    _ => message.flags.clone_from(&flags),
                }
                selected.told(uid, &message.flags);
                if !silent {
                    let uid = if by_uid { format!(" UID {uid}") } else { String::new() };
                    let flags = selected::list(&message.flags);
                    out.extend_from_slice(
                        format!("* {sequence} FETCH (FLAGS ({flags}){uid})\r\n").as_bytes(),
                    );
                }
            }
        });
        Ok(String::new())
    }

    fn copy(
        &self,
        command: &str,
        user: &str,
        selected: &Selected,
        by_uid: bool,
        parser: &mut Parser<'_>,
    ) -> Reply {
        let uids = named(parser, selected, by_uid)?;
        let target = parser.next_text().ok_or_else(bad)?;
        let mailboxes = &self.shared.mailboxes;
        let messages: Vec<Message> = mailboxes
            .look(user, &selected.folder, |folder| {
                uids.iter().filter_map(|&uid| folder.by_uid(uid).cloned()).collect()
            })
            .unwrap_or_default();
        let copied = mailboxes.change(user, &target, |folder| {
            for message in messages {
                folder.add(message.raw, message.flags);
            }
        });
        copied.ok_or_else(|| format!("NO [TRYCREATE] {target} doesn't exist."))?;
        if command == "MOVE" {
            mailboxes.change(user, &selected.folder, |folder| {
                folder.messages.retain(|message| !uids.contains(&message.uid));
            });
        }
        Ok(String::new())
    }
}

/// A space and a set: the UIDs that it names.
fn named(parser: &mut Parser<'_>, selected: &Selected, by_uid: bool) -> Result<Vec<u32>, String> {
    let set = parser.next_atom().ok_or_else(bad)?;
    let numbers = parse::set(&set, &selected.numbers(by_uid)).ok_or_else(bad)?;
    Ok(numbers.into_iter().filter_map(|number| selected.uid(number, by_uid)).collect())
}
