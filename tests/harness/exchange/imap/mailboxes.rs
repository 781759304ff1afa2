//! Commands about folders: LIST, STATUS, SELECT, APPEND and their kin.

use std::{collections::BTreeSet, io};

use super::{Parser, Reply, Selected, Session};

/// There is one, for ever.
const UIDVALIDITY: u32 = 14;

impl Session {
    pub(super) async fn mailbox_command(
        &mut self,
        name: &str,
        user: &str,
        parser: &mut Parser<'_>,
    ) -> io::Result<Reply> {
        let done =
            match name {
                "NAMESPACE" => {
                    self.send(r#"* NAMESPACE (("" "/")) NIL NIL"#).await?;
                    Ok(String::new())
                }
                "LIST" | "LSUB" => return self.list(name, user, parser).await,
                "STATUS" => return self.status(user, parser).await,
                "SELECT" | "EXAMINE" => return self.select(name, user, parser).await,
                "APPEND" => self.append(user, parser),
                "CREATE" => self
                    .folder(parser, |session, folder| session.shared.mailboxes.create_folder(user, folder)),
                "DELETE" => self
                    .folder(parser, |session, folder| session.shared.mailboxes.delete_folder(user, folder)),
                _ => self.folder(parser, |session, folder| session.exists(user, folder)),
            };
        Ok(done.map(|code| format!("{code}{name} completed.")))
    }

    fn folder(&self, parser: &mut Parser<'_>, act: impl FnOnce(&Self, &str) -> bool) -> Reply {
        let folder = parser.next_text().ok_or_else(bad)?;
        if act(self, &folder) { Ok(String::new()) } else { Err(format!("NO {folder} cannot be used so.")) }
    }

    fn exists(&self, user: &str, folder: &str) -> bool {
        self.shared.mailboxes.look(user, folder, |_| ()).is_some()
    }

    async fn list(&mut self, name: &str, user: &str, parser: &mut Parser<'_>) -> io::Result<Reply> {
        let (Some(reference), Some(pattern)) = (parser.next_text(), parser.next_text()) else {
            return Ok(Err(bad()));
        };
        if pattern.is_empty() {
            self.send(&format!(r#"* {name} (\Noselect) "/" """#)).await?;
        }
        let pattern = format!("{reference}{pattern}");
        for (folder, special) in self.shared.mailboxes.folders(user) {
            if listed(pattern.as_bytes(), folder.as_bytes()) {
                self.send(&format!(r#"* {name} (\HasNoChildren{special}) "/" "{folder}""#)).await?;
            }
        }
        Ok(Ok(format!("{name} completed.")))
    }

    async fn status(&mut self, user: &str, parser: &mut Parser<'_>) -> io::Result<Reply> {
        let (Some(name), Some(())) = (parser.next_text(), parser.space()) else {
            return Ok(Err(bad()));
        };
        let Some(items) = parser.list(Parser::atom) else {
            return Ok(Err(bad()));
        };
        let told = self.shared.mailboxes.look(user, &name, |folder| {
            let number = |item: &str| match item.to_ascii_uppercase().as_str() {
                "MESSAGES" => Some(folder.messages.len()),
                "UNSEEN" => Some(folder.unseen()),
                "UIDNEXT" => usize::try_from(folder.uid_next()).ok(),
                "UIDVALIDITY" => usize::try_from(UIDVALIDITY).ok(),
                "RECENT" => Some(0),
                _ => None,
            };
            let told: Option<Vec<String>> =
                items.iter().map(|item| number(item).map(|number| format!("{item} {number}"))).collect();
            told.map(|told| told.join(" "))
        });
        match told {
            None => Ok(Err(format!("NO {name} doesn't exist."))),
            Some(None) => Ok(Err(bad())),
            Some(Some(told)) => {
                self.send(&format!(r#"* STATUS "{name}" ({told})"#)).await?;
                Ok(Ok("STATUS completed.".to_owned()))
            }
        }
    }

    async fn select(&mut self, name: &str, user: &str, parser: &mut Parser<'_>) -> io::Result<Reply> {
        let read_only = name == "EXAMINE";
        let Some(folder_name) = parser.next_text() else {
            return Ok(Err(bad()));
        };
        self.selected = None;
        let opened = self.shared.mailboxes.look(user, &folder_name, |folder| {
            let unseen = folder.messages.iter().position(|message| !message.has("\\Seen"));
            let unseen =
                unseen.map(|at| format!("* OK [UNSEEN {}] Is the first unseen message\r\n", at + 1));
            let lines = format!(
                "* {} EXISTS\r\n* 0 RECENT\r\n\
                 * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)\r\n\
                 * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)] Permanent flags\r\n\
                 {}* OK [UIDVALIDITY {UIDVALIDITY}] UIDVALIDITY value\r\n\
                 * OK [UIDNEXT {}] The next unique identifier value\r\n",
                folder.messages.len(),
                unseen.unwrap_or_default(),
                folder.uid_next(),
            );
            (lines, Selected::new(&folder_name, read_only, folder))
        });
        let Some((lines, selected)) = opened else {
            return Ok(Err(format!("NO {folder_name} doesn't exist.")));
        };
        self.wire.send(lines).await?;
        self.selected = Some(selected);
        let access = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        Ok(Ok(format!("[{access}] {name} completed.")))
    }

    /// `APPEND folder [(flags)] ["date"] literal`; the date is not kept.
    fn append(&self, user: &str, parser: &mut Parser<'_>) -> Reply {
        let folder = parser.next_text().ok_or_else(bad)?;
        parser.space().ok_or_else(bad)?;
        let mut flags = BTreeSet::new();
        if parser.peek() == Some(b'(') {
            flags = parser.list(Parser::atom).ok_or_else(bad)?.into_iter().collect();
            parser.space().ok_or_else(bad)?;
        }
        let mut raw = parser.string().ok_or_else(bad)?;
        if !parser.at_end() {
            raw = parser.next_string().ok_or_else(bad)?;
        }
        let added = self.shared.mailboxes.change(user, &folder, |folder| folder.add(raw, flags));
        let uid = added.ok_or_else(|| format!("NO [TRYCREATE] {folder} doesn't exist."))?;
        Ok(format!("[APPENDUID {UIDVALIDITY} {uid}] "))
    }
}

pub(super) fn bad() -> String {
    "Command Argument Error. 12".to_owned()
}

/// `*` is anything, `%` anything without the delimiter.
fn listed(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((wild @ (b'*' | b'%'), rest)) => (0..=name.len())
            .take_while(|&skip| *wild == b'*' || !name[..skip].contains(&b'/'))
            .any(|skip| listed(rest, &name[skip..])),
        Some((byte, rest)) => name
            .split_first()
            .is_some_and(|(first, name)| first.eq_ignore_ascii_case(byte) && listed(rest, name)),
    }
}
