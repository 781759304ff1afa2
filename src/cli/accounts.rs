//! `footbridge accounts`: where each account leads, how its token is, how its logins go.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;

use super::{
    beside::{Beside, Unanswered},
    block_on, check, fail, ours,
};
use crate::{
    app::{AccountRow, FailureRow, Forget, Forgotten, Stored, credential_warning},
    clock::{Clock as _, System, ago, ahead},
    config,
    failure::{Explanation, printable},
    ids::AppName,
};

/// How long a running bridge may take: a slot that is being renewed is not deleted before.
const PATIENCE: Duration = Duration::from_secs(40);

/// Asks the running bridge, or where there is none the configuration and the store.
pub(super) fn run(path: &Path, json: bool, forget: Option<&str>) -> ExitCode {
    let state_dir = match config::state_dir(path) {
        Ok(state_dir) => state_dir,
        Err(mistakes) => return fail(&check::reported(&mistakes)),
    };
    let beside = Beside::of(&state_dir).with_patience(PATIENCE);
    if let Some(login) = forget {
        let asked = block_on(beside.post("/accounts/forget", &Forget { login: login.to_owned() }));
        let done = |stored: &Stored| stored.forget(login).map_err(|why| explained(&why));
        return match answer(asked, path, &state_dir, done) {
            Ok(forgotten) => print(&told(&forgotten, json)),
            Err(trouble) => fail(&trouble),
        };
    }
    let asked = block_on(beside.get("/accounts"));
    match answer(asked, path, &state_dir, |stored| Ok(stored.rows())) {
        Ok(rows) => {
            print(&listed(&rows, json));
            judged(&rows)
        }
        Err(trouble) => fail(&trouble),
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that has left has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Fails where somebody has to do something about a token, as `doctor` does at a cross.
fn judged(rows: &[AccountRow]) -> ExitCode {
    let ill: Vec<_> = rows.iter().filter(|row| !row.is_well()).map(|row| row.login.as_str()).collect();
    match ill.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            let (count, of) = (ill.len(), rows.len());
            fail(&format!("{count} of {of} accounts cannot get a token; try: footbridge doctor {first}"))
        }
    }
}

/// What the running bridge said, or where none runs what the store has.
fn answer<T>(
    asked: Result<Result<T, Unanswered>, String>,
    path: &Path,
    state_dir: &Path,
    stored: impl FnOnce(&Stored) -> Result<T, String>,
) -> Result<T, String> {
    match asked? {
        Ok(answer) => Ok(answer),
        Err(Unanswered::NoServe(_) | Unanswered::NotHere) => {
            ours(state_dir, "accounts")?;
            let loaded = config::load(path).map_err(|mistakes| check::reported(&mistakes))?;
            let opened = block_on(Stored::open(loaded.without_plain_passwords()))?;
            stored(&opened.map_err(|error| error.to_string())?)
        }
        Err(unanswered) => Err(unanswered.to_string()),
    }
}

fn explained(why: &Explanation) -> String {
    if why.cure.is_empty() { why.cause.clone() } else { format!("{}\n  cure: {}", why.cause, why.cure) }
}

fn told(forgotten: &Forgotten, json: bool) -> String {
    if json {
        return as_json(forgotten);
    }
    let Forgotten { login, any, shared_with, needs_consent } = forgotten;
    let mut text = match any {
        true => format!("{login}: its tokens are deleted\n"),
        false => format!("{login}: nothing was kept for it\n"),
    };
    if !shared_with.is_empty() {
        let _ = writeln!(text, "the same tokens were used by: {}", shared_with.join(", "));
    }
    if *needs_consent {
        let _ =
            writeln!(text, "a person must sign in again before the next login: footbridge authorize {login}");
    } else {
        text.push_str("the next login gets a new one\n");
    }
    text
}

fn listed(rows: &[AccountRow], json: bool) -> String {
    let now = System.now();
    for why in warnings(rows, now) {
        eprintln!("warning: {}", explained(&why));
    }
    if json { as_json(&rows) } else { table(rows, now) }
}

fn as_json(value: &impl serde::Serialize) -> String {
    // Nothing of ours has a form that JSON has not.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// One warning for each app whose secret or certificate ends soon.
fn warnings(rows: &[AccountRow], now: SystemTime) -> Vec<Explanation> {
    let ends: BTreeMap<_, _> =
        rows.iter().filter_map(|row| Some((&row.app, row.credential_expires?))).collect();
    let warning = |(app, ends): (&String, OffsetDateTime)| {
        credential_warning(&AppName::new(app), SystemTime::from(ends), now)
    };
    ends.into_iter().filter_map(warning).collect()
}

const HEADER: [&str; 7] = ["LOGIN", "MAILBOX", "APP", "GRANT", "TOKEN", "EXPIRES", "LAST LOGIN"];

/// Aligned columns, and below each account that is not well why.
fn table(rows: &[AccountRow], now: SystemTime) -> String {
    let cells: Vec<_> = rows.iter().map(|row| cells(row, now)).collect();
    let width = |column: usize| {
        let all = cells.iter().map(|cells| cells[column].chars().count());
        all.chain([HEADER[column].len()]).max().unwrap_or_default()
    };
    let widths: [usize; HEADER.len()] = std::array::from_fn(width);
    let line = |cells: &[String; HEADER.len()]| {
        let padded: Vec<_> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&HEADER.map(str::to_owned));
    for (row, cells) in rows.iter().zip(&cells) {
        text.push_str(&line(cells));
        if let Some(trouble) = &row.trouble {
            let _ = writeln!(text, "    token: {}", printable(trouble));
        }
        if let Some(FailureRow { at, failure, cause, cure }) = &row.last_failure {
            let ago = at.map_or_else(String::new, |at| format!(" {}", ago(at.into(), now)));
            let _ = writeln!(text, "    last failure{ago}: {failure}: {}", printable(cause));
            if !cure.is_empty() {
                let _ = writeln!(text, "    cure: {}", printable(cure));
            }
        }
    }
    text
}

fn cells(row: &AccountRow, now: SystemTime) -> [String; HEADER.len()] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.login.clone(),
        row.mailbox.clone().unwrap_or_else(|| "by login".to_owned()),
        row.app.clone(),
        row.grant.clone(),
        row.state.clone(),
        or_dash(row.expires_at.map(|at| ahead(at.into(), now))),
        or_dash(row.last_login.map(|at| ago(at.into(), now))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(login: &str) -> AccountRow {
        AccountRow {
            login: login.to_owned(),
            logins: vec![login.to_owned()],
            mailbox: Some(login.to_owned()),
            app: "contoso".to_owned(),
            grant: "client_credentials".to_owned(),
            state: "ready".to_owned(),
            trouble: None,
            expires_at: None,
            last_login: None,
            last_failure: None,
            credential_expires: None,
        }
    }

    #[test]
    fn the_table_is_aligned_and_explains_what_is_not_well() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let now = SystemTime::from(at(1_000_000));
        let well =
            AccountRow { expires_at: Some(at(1_002_550)), last_login: Some(at(999_995)), ..row("a@b.c") };
        let failure = FailureRow {
            at: Some(at(1_000_000 - 7200)),
            failure: "upstream_refused".to_owned(),
            cause: "no\x1b[31m mailbox".to_owned(),
            cure: "make one".to_owned(),
        };
        let ill = AccountRow {
            mailbox: None,
            trouble: Some("nobody signed in".to_owned()),
            last_failure: Some(failure),
            ..row("*@contoso.com")
        };
        let expected = "\
LOGIN          MAILBOX   APP      GRANT               TOKEN  EXPIRES    LAST LOGIN
a@b.c          a@b.c     contoso  client_credentials  ready  in 42 min  5 s ago
*@contoso.com  by login  contoso  client_credentials  ready  -          -
    token: nobody signed in
    last failure 2 h ago: upstream_refused: no [31m mailbox
    cure: make one
";
        assert_eq!(table(&[well, ill], now), expected);
    }

    #[test]
    fn an_app_is_warned_of_once_however_many_accounts_it_has() {
        let now = System.now();
        let soon = OffsetDateTime::from(now + Duration::from_hours(240));
        let rows = ["a", "b"].map(|login| AccountRow { credential_expires: Some(soon), ..row(login) });
        assert_eq!(warnings(&rows, now).len(), 1);
    }
}
