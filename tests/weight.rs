//! What accounts cost: the memory that each keeps, and the work of reading them, counted in allocations and not in time.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use allocation_counter::{AllocationInfo, measure};
use footbridge::{
    account::{Account, Accounts},
    config::load_with,
};

/// What an account may keep beyond its text, in bytes, but what an allocator rounds up: 80, and a margin too small for a
/// list or two more.
const MOST_BYTES: u64 = 100;

/// Where the mappings lead.
const MAIN: &str = r#"
state_dir = "state"
[[listener]]
protocol = "imap"
bind = "127.0.0.1:1143"
[app.contoso]
provider = "microsoft365"
tenant = "contoso.onmicrosoft.com"
client_id = "22222222-2222-2222-2222-222222222222"
secret = { env = "SECRET" }
"#;

/// Mappings of so many accounts, each as a program or a person writes it.
fn mappings(accounts: usize) -> String {
    let mut text = String::new();
    for number in 0..accounts {
        let _ = write!(
            text,
            "[[account]]\nlogin = \"somebody.{number:06}@example.com\"\n\
             password = \"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRvZjE2Ynl0ZXM\
             $d2FzaGVyZXdhc2hlcmV3YXNoZXJld2FzaGVyZXdhc2g\"\n\
             app = \"contoso\"\ngrant = \"client_credentials\"\nprotocols = [\"imap\"]\n\
             from_networks = [\"10.0.0.0/8\"]\n\n"
        );
    }
    text
}

fn load(folder: &Path) -> Accounts {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let environment = |name: &str| (name == "SECRET").then(|| "a secret".into());
    let loaded = load_with(&folder.join("footbridge.toml"), &environment, now).unwrap();
    loaded.without_plain_passwords().accounts
}

/// Reads so many accounts: what that took and left, and how long the text is.
fn weigh(accounts: usize) -> (AllocationInfo, u64) {
    let folder = tempfile::tempdir().unwrap();
    let text = mappings(accounts);
    fs::write(folder.path().join("footbridge.toml"), MAIN).unwrap();
    fs::write(folder.path().join("mappings.toml"), &text).unwrap();
    let mut read = None;
    let info = measure(|| read = Some(load(folder.path())));
    assert_eq!(read.unwrap().len(), accounts);
    (info, text.len() as u64)
}

#[test]
fn an_account_keeps_little_beyond_its_text() {
    let ((few, few_text), (many, many_text)) = (weigh(2_000), weigh(6_000));
    let kept = u64::try_from(many.bytes_current - few.bytes_current).unwrap();
    let most = many_text - few_text + 4_000 * MOST_BYTES;
    assert!(kept <= most, "{kept} bytes are kept for 4,000 accounts, at most {most} may be");
}

#[test]
fn reading_accounts_is_as_much_work_for_each_however_many_they_are() {
    // Large enough to be read in pieces, as is what it is compared with.
    let (few, many) = (weigh(2_000).0, weigh(20_000).0);
    let (calls, bytes) = (many.count_total / few.count_total, many.bytes_total / few.bytes_total);
    assert!(calls <= 11, "ten times the accounts take {calls} times the allocations");
    assert!(bytes <= 12, "ten times the accounts take {bytes} times the memory");
}

#[test]
fn an_account_with_nothing_special_takes_fourteen_words_and_its_texts() {
    // Each word more is paid for by every account, and by few of them used.
    assert!(size_of::<Account>() <= 14 * size_of::<usize>(), "{} bytes", size_of::<Account>());
}
