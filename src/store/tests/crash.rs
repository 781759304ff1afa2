//! Processes that are killed: this test's own program, started again as the one to be killed.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use super::*;

/// Tells the program that it is the child, and in which folder.
const FOLDER: &str = "FOOTBRIDGE_TEST_STORE";

/// What the child says before a line that its parent waits for; the test's own words come between.
const SAYS: &str = "child: ";

/// A child that does what the test `name` does where [`FOLDER`] is set.
struct Killed {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Killed {
    fn start(name: &str, folder: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1", &format!("store::tests::crash::{name}")])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next word of the child, or `None` where it ended.
    fn next(&mut self) -> Option<String> {
        self.lines.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once(SAYS)?.1.to_owned()))
    }

    /// Kills the child (SIGKILL) and returns the last word it has said.
    fn kill(mut self) -> Option<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next()).last()
    }
}

fn say(word: &dyn std::fmt::Display) {
    println!("\n{SAYS}{word}");
}

/// The record of write `number`, every part of which says so.
fn numbered(number: u64) -> Record {
    // Over several pages of the file, so that a write has a middle.
    let token = |kind| Secret::new(format!("{kind}-{number}-").repeat(900));
    Record { refresh_token: Some(token("refresh")), previous: Some(token("older")), ..record("ann") }
}

#[test]
fn a_writer_may_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let store = Store::open(Path::new(&folder), &[]).unwrap();
    let mut version = store.get(&slot("ann")).unwrap().map_or(0, |record| record.version);
    // A parent that fails does not kill; no more than this is needed.
    for _ in 0..2_000 {
        let mut next = Record { version, ..numbered(version + 1) };
        store.put(&slot("ann"), &mut next).unwrap();
        version = next.version;
        say(&version);
    }
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_record_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[], &["ben"]);
    let mut last = 0;
    for round in 0..25 {
        let mut writer = Killed::start("a_writer_may_be_killed", folder.path());
        let first: u64 = writer.next().expect("the child writes").parse().unwrap();
        assert_eq!(first, last + 1);
        // At another moment of a write each time.
        thread::sleep(Duration::from_micros(137 * round));
        let said: u64 = writer.kill().map_or(first, |number| number.parse().unwrap());

        let store = Store::open(folder.path(), &[]).unwrap();
        let found = store.get(&slot("ann")).unwrap().expect("the old record or the new one");
        assert!(found.version == said || found.version == said + 1, "{} after {said}", found.version);
        assert_eq!(found, Record { version: found.version, ..numbered(found.version) });
        assert_eq!(store.all().unwrap().len(), 2);
        last = found.version;
    }
}

#[test]
fn a_maker_may_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    say(&"begin");
    let store = Store::open(Path::new(&folder), &[]).unwrap();
    store.put(&slot("ann"), &mut record("ann")).unwrap();
    say(&"end");
}

#[test]
fn a_creation_that_is_interrupted_leaves_a_usable_folder() {
    for round in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut maker = Killed::start("a_maker_may_be_killed", &state);
        maker.next().expect("the child begins");
        thread::sleep(Duration::from_micros(293 * round));
        let has_put = maker.kill().is_some();
        let store = Store::open(&state, &[]).unwrap();
        let found = store.get(&slot("ann")).unwrap();
        assert!(found.is_some() || !has_put, "what was put is lost");
        if found.is_none() {
            store.put(&slot("ann"), &mut record("ann")).unwrap();
        }
    }
}

#[test]
fn a_holder_may_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let store = Store::open(Path::new(&folder), &[]).unwrap();
    let _held = store.lock(&slot("ann")).unwrap();
    say(&"held");
    // Until the parent kills, or is gone and has closed the pipe.
    while std::io::Write::write(&mut std::io::stdout(), b"\n").is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_slot_whose_holder_is_killed_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &[]).unwrap();
    let mut holder = Killed::start("a_holder_may_be_killed", folder.path());
    assert_eq!(holder.next().as_deref(), Some("held"));
    assert!(store.try_lock(&slot("ann")).unwrap().is_none());
    holder.kill();
    assert!(store.try_lock(&slot("ann")).unwrap().is_some());
}
