//! The folder that a session has selected, as it was told to the client.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use super::super::mailbox::Folder;

/// What the client knows of its folder.
pub(super) struct Selected {
    pub(super) folder: String,
    pub(super) read_only: bool,
    /// UIDs by sequence number.
    pub(super) uids: Vec<u32>,
    flags: HashMap<u32, BTreeSet<String>>,
}

impl Selected {
    pub(super) fn new(name: &str, read_only: bool, folder: &Folder) -> Self {
        let mut selected =
            Self { folder: name.to_owned(), read_only, uids: Vec::new(), flags: HashMap::new() };
        selected.catch_up(folder);
        selected
    }

    /// Numbers that the client may name: sequence numbers, or UIDs.
    pub(super) fn numbers(&self, by_uid: bool) -> Vec<u32> {
        if by_uid { self.uids.clone() } else { (1..).take(self.uids.len()).collect() }
    }

    /// The UID that a number means.
    pub(super) fn uid(&self, number: u32, by_uid: bool) -> Option<u32> {
        if by_uid { Some(number) } else { self.uids.get(usize::try_from(number).ok()? - 1).copied() }
    }

    /// The sequence number of a UID.
    pub(super) fn sequence(&self, uid: u32) -> Option<usize> {
        self.uids.iter().position(|&known| known == uid).map(|index| index + 1)
    }

    /// Remembers flags that the client is told.
    pub(super) fn told(&mut self, uid: u32, flags: &BTreeSet<String>) {
        self.flags.insert(uid, flags.clone());
    }

    /// The lines that bring the client up to date.
    pub(super) fn catch_up(&mut self, folder: &Folder) -> String {
        let mut lines = String::new();
        while let Some(index) = self.uids.iter().position(|&uid| folder.by_uid(uid).is_none()) {
            self.uids.remove(index);
            let _ = write!(lines, "* {} EXPUNGE\r\n", index + 1);
        }
        for (index, uid) in self.uids.iter().enumerate() {
            if let Some(message) = folder.by_uid(*uid)
                && self.flags.get(uid) != Some(&message.flags)
            {
                self.flags.insert(*uid, message.flags.clone());
                let _ = write!(lines, "* {} FETCH (FLAGS ({}))\r\n", index + 1, list(&message.flags));
            }
        }
        let known = self.uids.len();
        for message in folder.messages.iter().filter(|message| !self.flags.contains_key(&message.uid)) {
            self.uids.push(message.uid);
        }
        for message in &folder.messages {
            self.flags.insert(message.uid, message.flags.clone());
        }
        if self.uids.len() > known {
            let _ = write!(lines, "* {} EXISTS\r\n* 0 RECENT\r\n", self.uids.len());
        }
        lines
    }
}

/// Flags as a list without its parentheses.
pub(super) fn list(flags: &BTreeSet<String>) -> String {
    flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
