//! What the mail server says after it has accepted the login: it passes unchanged, and the log, the console and the doctor explain it.

use crate::{
    curl::{converse, heard, last_failure, on_the_console},
    harness::{
        authority::Authority,
        certs::Certs,
        cli::Cli,
        config::Config,
        exchange::Exchange,
        world::{ANN, PASSWORD, World},
    },
    peer::Peer,
};

/// One fault.
struct Fault {
    name: &'static str,
    protocol: &'static str,
    /// To which command the server says what.
    on: &'static str,
    said: &'static str,
    /// The remark's name in the log.
    remark: &'static str,
    /// What cause and cure have to say.
    words: &'static [&'static str],
    /// Whether the doctor meets it, who opens INBOX, and sends nothing unless told to.
    examined: bool,
}

const FAULTS: [Fault; 12] = [
    Fault {
        name: "authenticated but not connected",
        protocol: "imap",
        on: "SELECT",
        said: "{tag} BAD User is authenticated but not connected.",
        remark: "authenticated_not_connected",
        words: &["mailbox", "Add-MailboxPermission", "New-ServicePrincipal"],
        examined: true,
    },
    Fault {
        name: "Connection closed. 14",
        protocol: "imap",
        on: "SELECT",
        said: "* BYE Connection closed. 14{end}",
        remark: "connection_closed_14",
        words: &["mailbox", "Add-MailboxPermission"],
        examined: true,
    },
    Fault {
        name: "throttled",
        protocol: "imap",
        on: "SELECT",
        said: "{tag} BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds",
        remark: "throttled",
        words: &["fewer commands"],
        examined: true,
    },
    Fault {
        name: "AccessTokenExpired",
        protocol: "imap",
        on: "FETCH",
        said: "* BYE Session invalidated - AccessTokenExpired{end}",
        remark: "access_token_expired",
        words: &["expire"],
        examined: false,
    },
    Fault {
        name: "sender is not the mailbox",
        protocol: "smtp",
        on: "MAIL",
        said: "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        remark: "send_as_denied",
        words: &["send as"],
        examined: false,
    },
    Fault {
        name: "SendAsDenied after the message",
        protocol: "smtp",
        on: ".",
        said: "554 5.2.252 SendAsDenied; ann@example.com not allowed to send as bob@example.com; \
               STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
        remark: "send_as_denied",
        words: &["send as"],
        examined: false,
    },
    Fault {
        name: "three messages at a time",
        protocol: "smtp",
        on: ".",
        said: "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        remark: "too_many_sends",
        words: &["at once"],
        examined: false,
    },
    Fault {
        name: "quota of recipients",
        protocol: "smtp",
        on: ".",
        said: "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
        remark: "submission_quota_exceeded",
        words: &["recipients"],
        examined: false,
    },
    Fault {
        name: "mailbox full",
        protocol: "smtp",
        on: ".",
        said: "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        remark: "mailbox_full",
        words: &["full"],
        examined: false,
    },
    Fault {
        name: "service principal without rights",
        protocol: "smtp",
        on: ".",
        said: "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:StoragePermanentException.MapiExceptionLogonFailed",
        remark: "mailbox_logon_failed",
        words: &["Add-MailboxPermission"],
        examined: false,
    },
    Fault {
        name: "mailbox on the list of bad senders",
        protocol: "smtp",
        on: "MAIL",
        said: "550 5.1.8 Access denied, bad outbound sender",
        remark: "sender_blocked",
        words: &["Restricted entities"],
        examined: false,
    },
    Fault {
        name: "mailbox in use",
        protocol: "pop3",
        on: "STAT",
        said: "-ERR [IN-USE] mailbox is locked by another POP3 session",
        remark: "mailbox_in_use",
        words: &["session"],
        examined: true,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_the_login_passes_and_is_explained() {
    for fault in &FAULTS {
        explained(fault);
    }
}

fn explained(fault: &Fault) {
    let Fault { name, protocol, on, said, remark, words, examined } = *fault;
    let mut peer = None;
    let world = World::built(|certs: &Certs, authority: &Authority, _: &Exchange| {
        // The table lives as long as the test.
        let table: &'static [(&str, &str)] = Box::leak(Box::new([(on, said)]));
        let server = Peer::speaking(protocol, Some(certs.acceptor()), table);
        let endpoint = server.endpoint();
        peer = Some(server);
        let config = Config::empty().app("app", authority, endpoint, endpoint).pop3(endpoint);
        config
            .account_of("app", ANN, PASSWORD, &format!("protocols = [\"{protocol}\"]"))
            .console("127.0.0.1:0")
    });
    let conversation = converse(&world, protocol, ANN, PASSWORD);
    let verbatim = said.trim_end_matches("{end}").split("\r\n").next().unwrap().trim_start_matches("{tag} ");
    let passed = heard(&conversation).into_iter().find(|line| line.ends_with(verbatim));
    let reply = passed.unwrap_or_else(|| panic!("{name}: curl has not heard {verbatim:?}: {conversation}"));

    let line = world.bridge.wait_for_logged("upstream ends or limits the session", 1).pop().unwrap();
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let (cause, cure) = (text("cause"), text("cure"));
    println!("| {name} | `{reply}` | {} | {cause}: {cure} |", text("fault"));
    assert_eq!(text("remark"), remark, "{name}");
    for word in words {
        assert!(cause.contains(word) || cure.contains(word), "{name}: no {word:?} in {cause:?}, {cure:?}");
    }
    let last = last_failure(&world, ANN);
    assert_eq!((&last["cause"], &last["cure"]), (&cause.as_str().into(), &cure.as_str().into()), "{name}");
    on_the_console(name, &world, &cause, &cure);
    if examined {
        let report = Cli::run(world.folder.path(), ["doctor", "--json", ANN]).expect(1).stdout;
        assert!(
            report.contains(verbatim.trim_end_matches('.')) && report.contains(&cure),
            "{name}: {cure:?}\n{report}"
        );
    }
    world.log_is_discreet();
}
