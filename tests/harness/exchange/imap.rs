//! IMAP4rev1 as Exchange Online speaks it, as far as mail programs commonly go.

mod fetch;
mod mailboxes;
mod messages;
mod parse;
mod search;
mod selected;

use std::{io, sync::Arc};

use super::{Admission, Shared};
use crate::harness::wire::Wire;
use parse::Parser;
use selected::Selected;

/// The largest literal: a message to append.
const LITERAL: usize = 150 * 1024 * 1024;

/// The answer to a command, without its tag.
pub(super) type Reply = Result<String, String>;

struct Session {
    wire: Wire,
    shared: Arc<Shared>,
    encrypted: bool,
    user: Option<String>,
    /// The token was good and there is no mailbox.
    lost: bool,
    selected: Option<Selected>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(mut wire: Wire, encrypted: bool, shared: Arc<Shared>) -> io::Result<()> {
    wire.send(
        "* OK The Microsoft Exchange IMAP4 service is ready. [QQBNADAAUABSADAAMgBDAEEAMAAxADMANAA=]\r\n",
    )
    .await?;
    let mut session = Session { wire, shared, encrypted, user: None, lost: false, selected: None };
    while let Some(command) = session.command().await? {
        let mut parser = Parser::new(&command);
        let (Some(tag), Some(name)) = (parser.atom(), parser.next_atom()) else {
            session.send("* BAD Command Error. 10").await?;
            continue;
        };
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "LOGOUT" => {
                session.send("* BYE Microsoft Exchange Server IMAP4 server signing off.").await?;
                session.send(&format!("{tag} OK LOGOUT completed.")).await?;
                return session.wire.part().await;
            }
            "STARTTLS" if !session.encrypted => {
                session.send(&format!("{tag} OK Begin TLS negotiation now.")).await?;
                let wire = session.shared.encrypt(session.wire).await?;
                session = Session { wire, encrypted: true, ..session };
            }
            _ => {
                let reply = session.obey(&name, &mut parser).await?;
                if !matches!(name.as_str(), "FETCH" | "STORE" | "SEARCH") {
                    session.tell_changes().await?;
                }
                let (status, text) = match reply {
                    Ok(text) => ("OK", text),
                    Err(text) if text.starts_with("NO ") => ("NO", text[3..].to_owned()),
                    Err(text) => ("BAD", text),
                };
                session.send(&format!("{tag} {status} {text}")).await?;
            }
        }
    }
    Ok(())
}

impl Session {
    async fn send(&mut self, line: &str) -> io::Result<()> {
        self.wire.send(format!("{line}\r\n")).await
    }

    /// Reads one command, literals and their line ends included.
    async fn command(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut command = Vec::new();
        loop {
            let Some(line) = self.wire.line().await? else {
                return Ok(None);
            };
            command.extend_from_slice(&line);
            let Some((size, synchronising)) = parse::announced_literal(&line) else {
                return Ok(Some(command));
            };
            if size > LITERAL {
                self.send("* BYE Connection is closed. 15").await?;
                return Ok(None);
            }
            if synchronising {
                self.send("+ Ready for additional command text.").await?;
            }
            command.extend_from_slice(b"\r\n");
            command.extend(self.wire.exactly(size).await?);
        }
    }

    async fn obey(&mut self, name: &str, parser: &mut Parser<'_>) -> io::Result<Reply> {
        match name {
            "CAPABILITY" => {
                let line = format!("* CAPABILITY {}", self.capabilities());
                self.send(&line).await?;
            }
            "ID" => {
                self.send(r#"* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")"#)
                    .await?;
            }
            "NOOP" | "CHECK" => (),
            "AUTHENTICATE" => return self.authenticate(parser).await,
            "LOGIN" => return Ok(Err("NO LOGIN failed.".to_owned())),
            _ => {
                if self.lost {
                    return Ok(Err("User is authenticated but not connected.".to_owned()));
                }
                let Some(user) = self.user.clone() else {
                    return Ok(Err("Command received in Invalid state.".to_owned()));
                };
                return match name {
                    "IDLE" => self.idle().await,
                    "LIST" | "LSUB" | "STATUS" | "NAMESPACE" | "SELECT" | "EXAMINE" | "APPEND" | "CREATE"
                    | "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE" => {
                        self.mailbox_command(name, &user, parser).await
                    }
                    _ => self.message_command(name, &user, parser).await,
                };
            }
        }
        Ok(Ok(format!("{name} completed.")))
    }

    fn capabilities(&self) -> &'static str {
        match (self.encrypted, &self.user) {
            (false, _) => {
                "IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
            }
            (true, None) => {
                "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE \
                 NAMESPACE LITERAL+"
            }
            (true, Some(_)) => {
                "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES \
                 CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
            }
        }
    }

    async fn authenticate(&mut self, parser: &mut Parser<'_>) -> io::Result<Reply> {
        let mechanism = parser.next_atom().unwrap_or_default();
        if !self.encrypted || !mechanism.eq_ignore_ascii_case("XOAUTH2") {
            return Ok(Err("NO AUTHENTICATE failed.".to_owned()));
        }
        let response = if let Some(initial) = parser.next_atom() {
            initial.into_bytes()
        } else {
            self.send("+ ").await?;
            self.wire.line().await?.unwrap_or_default()
        };
        match self.shared.admit("imap", &response) {
            Admission::Opened(opened) => {
                self.user = Some(opened.user);
                Ok(Ok("AUTHENTICATE completed.".to_owned()))
            }
            Admission::NotConnected => {
                // The login succeeds, and every command that needs the mailbox fails.
                self.lost = true;
                Ok(Ok("AUTHENTICATE completed.".to_owned()))
            }
            Admission::Refused => {
                if let Some(challenge) = self.shared.challenge() {
                    self.send(&format!("+ {challenge}")).await?;
                    self.wire.line().await?;
                }
                Ok(Err("NO AUTHENTICATE failed.".to_owned()))
            }
        }
    }

    /// Tells what happens in the selected folder until the client says DONE.
    async fn idle(&mut self) -> io::Result<Reply> {
        let mut news = self.shared.mailboxes.changes();
        self.send("+ IDLE accepted, awaiting DONE command.").await?;
        loop {
            self.tell_changes().await?;
            // Both can be cancelled: what was read stays in the wire, a change stays seen.
            tokio::select! {
                line = self.wire.line() => {
                    return match line? {
                        Some(line) if line.eq_ignore_ascii_case(b"DONE") => Ok(Ok("IDLE completed.".to_owned())),
                        Some(_) => Ok(Err("Command Error. 12".to_owned())),
                        None => Err(io::ErrorKind::UnexpectedEof.into()),
                    };
                }
                changed = news.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }

    /// EXPUNGE, EXISTS and FETCH for what others did to the selected folder.
    async fn tell_changes(&mut self) -> io::Result<()> {
        let (Some(user), Some(selected)) = (&self.user, &mut self.selected) else {
            return Ok(());
        };
        let folder = selected.folder.clone();
        let told = self.shared.mailboxes.look(user, &folder, |folder| selected.catch_up(folder));
        match told {
            Some(lines) if !lines.is_empty() => self.wire.send(lines).await,
            _ => Ok(()),
        }
    }
}
