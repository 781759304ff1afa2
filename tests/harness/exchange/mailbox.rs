//! Mailboxes in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use tokio::sync::watch;

/// The folders that every mailbox has, with what RFC 6154 calls them.
const FOLDERS: [(&str, &str); 4] =
    [("INBOX", ""), ("Drafts", " \\Drafts"), ("Sent Items", " \\Sent"), ("Deleted Items", " \\Trash")];

/// Everybody's mailboxes.
pub struct Mailboxes {
    users: Mutex<HashMap<String, BTreeMap<String, Folder>>>,
    /// The mailbox, and who else may open it and send as it.
    shares: Mutex<BTreeSet<(String, String)>>,
    changes: watch::Sender<u64>,
}

/// One folder.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// The messages in the order of their UIDs.
    pub messages: Vec<Message>,
    last_uid: u32,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number for good.
    pub uid: u32,
    /// `\Seen` and its like.
    pub flags: BTreeSet<String>,
    /// The message, to the byte.
    pub raw: Vec<u8>,
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self { users: Mutex::default(), shares: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Mailboxes {
    /// Makes an empty mailbox, unless there is one.
    pub fn create(&self, user: &str) {
        self.users.lock().unwrap().entry(user.to_lowercase()).or_insert_with(|| {
            FOLDERS.iter().map(|(name, _)| ((*name).to_owned(), Folder::default())).collect()
        });
    }

    /// Whether a user has a mailbox.
    pub fn has(&self, user: &str) -> bool {
        self.users.lock().unwrap().contains_key(&user.to_lowercase())
    }

    /// Lets somebody else open a mailbox and send as it.
    pub fn share(&self, mailbox: &str, with: &str) {
        self.shares.lock().unwrap().insert((mailbox.to_lowercase(), with.to_lowercase()));
    }

    /// Whether a mailbox is somebody's own, or was shared with them.
    pub(super) fn belongs_to(&self, mailbox: &str, person: &str) -> bool {
        let (mailbox, person) = (mailbox.to_lowercase(), person.to_lowercase());
        mailbox == person || self.shares.lock().unwrap().contains(&(mailbox, person))
    }

    /// Puts a message into a user's inbox; says whether there is such a mailbox.
    pub fn deliver(&self, user: &str, raw: impl Into<Vec<u8>>) -> bool {
        self.change(user, "INBOX", |folder| folder.add(raw.into(), BTreeSet::new())).is_some()
    }

    /// The messages in a folder, for a test to look at.
    pub fn messages(&self, user: &str, folder: &str) -> Vec<Message> {
        self.look(user, folder, |folder| folder.messages.clone()).unwrap_or_default()
    }

    /// Looks at a folder; `None` where there is no such thing.
    pub(super) fn look<R>(&self, user: &str, folder: &str, look: impl FnOnce(&Folder) -> R) -> Option<R> {
        let users = self.users.lock().unwrap();
        users.get(&user.to_lowercase())?.get(&canonical(folder)).map(look)
    }

    /// Changes a folder and tells everybody who is idle; `None` where there is no such thing.
    pub(super) fn change<R>(
        &self,
        user: &str,
        folder: &str,
        change: impl FnOnce(&mut Folder) -> R,
    ) -> Option<R> {
        let done = {
            let mut users = self.users.lock().unwrap();
            users.get_mut(&user.to_lowercase())?.get_mut(&canonical(folder)).map(change)
        };
        self.changes.send_modify(|version| *version += 1);
        done
    }

    /// A user's folders, with their special use.
    pub(super) fn folders(&self, user: &str) -> Vec<(String, &'static str)> {
        let users = self.users.lock().unwrap();
        let folders = users.get(&user.to_lowercase()).into_iter().flat_map(BTreeMap::keys);
        let special =
            |name: &str| FOLDERS.iter().find(|(known, _)| *known == name).map_or("", |(_, use_)| *use_);
        folders.map(|name| (name.clone(), special(name))).collect()
    }

    /// Makes a folder; says whether there was none.
    pub(super) fn create_folder(&self, user: &str, name: &str) -> bool {
        let mut users = self.users.lock().unwrap();
        let Some(folders) = users.get_mut(&user.to_lowercase()) else {
            return false;
        };
        let fresh = !folders.contains_key(&canonical(name));
        folders.entry(canonical(name)).or_default();
        fresh
    }

    /// Removes a folder that is not one of those that everybody has.
    pub(super) fn delete_folder(&self, user: &str, name: &str) -> bool {
        let mut users = self.users.lock().unwrap();
        let name = canonical(name);
        let fixed = FOLDERS.iter().any(|(known, _)| *known == name);
        !fixed && users.get_mut(&user.to_lowercase()).is_some_and(|folders| folders.remove(&name).is_some())
    }

    /// Hears of every change from here on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Folder {
    /// Adds a message and returns its UID.
    pub(super) fn add(&mut self, raw: Vec<u8>, flags: BTreeSet<String>) -> u32 {
        self.last_uid += 1;
        self.messages.push(Message { uid: self.last_uid, flags, raw });
        self.last_uid
    }

    /// The UID that the next message will have.
    pub(super) fn uid_next(&self) -> u32 {
        self.last_uid + 1
    }

    /// How many messages were not read.
    pub(super) fn unseen(&self) -> usize {
        self.messages.iter().filter(|message| !message.has("\\Seen")).count()
    }

    /// The message with a UID.
    pub(super) fn by_uid(&self, uid: u32) -> Option<&Message> {
        self.messages.iter().find(|message| message.uid == uid)
    }

    /// The message with a UID, to change.
    pub(super) fn by_uid_mut(&mut self, uid: u32) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.uid == uid)
    }
}

impl Message {
    /// Whether it has a flag, in any case.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have.eq_ignore_ascii_case(flag))
    }

    /// The header with its empty line, and the rest.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        let end = super::super::pattern::find(&self.raw, b"\r\n\r\n").map_or(self.raw.len(), |at| at + 4);
        self.raw.split_at(end)
    }

    /// A header field's text, unfolded; empty where there is none.
    pub(super) fn field(&self, name: &str) -> String {
        let header = String::from_utf8_lossy(self.split().0).replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut fields = header.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, text)| text.trim().to_owned())
            .unwrap_or_default()
    }
}

/// INBOX is INBOX in any case.
fn canonical(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { folder.to_owned() }
}
