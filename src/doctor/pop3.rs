//! A maildrop that was opened: what it holds.

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};

use super::{Trial, notes::Notes, report::Step};
use crate::{
    dialogue::Protocol as _,
    explain::upstream::declined,
    net::conn::Conn,
    policy::timing,
    pop3::{Pop3, Stat},
};

/// Asks what the maildrop holds, and leaves.
pub(super) async fn examine(mut conn: Conn, trial: &Trial, notes: &Notes) {
    let began = Instant::now();
    let asked = timeout_at(began + timing::UPSTREAM_LOGIN, stat(&mut conn)).await;
    match asked.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
        Ok(Stat { messages, octets }) => {
            let found = format!("opens, {} in {octets} bytes", super::messages(messages));
            notes.found(Step::Mailbox, began, found).await;
        }
        Err(said) => {
            let meaning = Pop3::remark(said.as_bytes()).map(|remark| remark.meaning);
            let why = declined(&trial.endpoint.to_string(), "open INBOX", &said, meaning);
            notes.failed(Step::Mailbox, began, why).await;
        }
    }
    let mut out = BytesMut::new();
    Stat::leave(&mut out);
    // Nothing was changed that a goodbye would have to confirm.
    let _ = timeout_at(Instant::now() + timing::FAREWELL, conn.send(&mut out)).await;
    conn.close(timing::FAREWELL).await;
}

async fn stat(conn: &mut Conn) -> Result<Stat, String> {
    let mut out = BytesMut::new();
    Stat::ask(&mut out);
    let lost = |error: std::io::Error| format!("connection lost: {error}");
    conn.send(&mut out).await.map_err(lost)?;
    loop {
        if let Some(answer) = Stat::answer(&mut conn.input) {
            return answer;
        }
        if conn.fill(usize::MAX).await.map_err(lost)? == 0 {
            return Err("connection lost".to_owned());
        }
    }
}
