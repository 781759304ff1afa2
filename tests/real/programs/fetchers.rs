//! Programs that carry mail from a server to files: mbsync, fetchmail, getmail, offlineimap, mpop.

use super::errand::{Done, Errand, HOST, Protocol, Tls, finish_in, finish_with, quoted};

pub fn mbsync(errand: &Errand) -> Done<Vec<u8>> {
    let maildir = errand.maildir("maildir");
    let tls = match errand.tls {
        Tls::None => "None",
        Tls::StartTls => "STARTTLS",
        Tls::Implicit => "IMAPS",
    };
    let config = errand.write(
        "mbsyncrc",
        format!(
            "IMAPAccount bridge\nHost {HOST}\nPort {}\nUser {}\nPass {}\nSSLType {tls}\nSystemCertificates no\n\
             CertificateFile {}\n\n\
             IMAPStore far\nAccount bridge\n\n\
             MaildirStore near\nInbox {}\nPath {}/\n\n\
             Channel fetch\nFar :far:INBOX\nNear :near:INBOX\nSync Pull\nSyncState *\n",
            errand.port,
            errand.login,
            quoted(errand.password),
            errand.ca.display(),
            maildir.display(),
            errand.dir.display(),
        ),
    );
    let message = finish_in(&maildir, errand.command("mbsync").arg("-V").arg("-c").arg(config).arg("fetch"))?;
    // By a line of its own mbsync knows again what it has carried.
    let lines = message.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"X-TUID:"));
    Ok(lines.flatten().copied().collect())
}

pub fn fetchmail(errand: &Errand) -> Done<Vec<u8>> {
    let tls = match errand.tls {
        Tls::None => "sslproto \"\"",
        Tls::StartTls => "sslproto \"TLS1.2+\" sslcertck",
        Tls::Implicit => "ssl sslcertck",
    };
    let target = errand.dir.join("delivered");
    let config = errand.write(
        "fetchmailrc",
        format!(
            "poll {HOST} service {} protocol {} auth password\n\
             user {} password {} {tls} sslcertfile {} fetchall no rewrite no keep mda \"cat > {}\"\n",
            errand.port,
            errand.protocol.name(),
            escaped(errand.login),
            escaped(errand.password),
            errand.ca.display(),
            target.display(),
        ),
    );
    let mut fetchmail = errand.command("fetchmail");
    fetchmail.arg("-v").arg("-f").arg(config).arg("--pidfile").arg(errand.dir.join("fetchmail.pid"));
    finish_with(&target, &mut fetchmail)
}

/// fetchmail reads a quote by its number alone.
fn escaped(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\042"))
}

pub fn getmail(errand: &Errand) -> Done<Vec<u8>> {
    let target = errand.dir.join("delivered");
    let protocol = match errand.protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Smtp => unreachable!("getmail sends nothing"),
    };
    let (kind, trust) = match errand.tls {
        Tls::None => ("", String::new()),
        Tls::Implicit => ("SSL", format!("ca_certs = {}\n", errand.ca.display())),
        Tls::StartTls => unreachable!("getmail has no STARTTLS"),
    };
    errand.write(
        "getmailrc",
        format!(
            "[retriever]\ntype = Simple{protocol}{kind}Retriever\nserver = {HOST}\nport = {}\nusername = {}\n\
             password_command = (\"cat\", \"{}\")\n{trust}\
             [destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"-c\", \"cat >{}\")\n\
             allow_root_commands = true\nunixfrom = false\n\
             [options]\ndelete = true\nread_all = true\ndelivered_to = false\nreceived = false\n",
            errand.port,
            errand.login,
            errand.write("password", errand.password).display(),
            target.display(),
        ),
    );
    finish_with(&target, errand.command("getmail").arg("--getmaildir").arg(&errand.dir))
}

pub fn offlineimap(errand: &Errand) -> Done<Vec<u8>> {
    let tls = match errand.tls {
        Tls::None => "ssl = no\nstarttls = no".to_owned(),
        Tls::Implicit => format!("ssl = yes\nsslcacertfile = {}", errand.ca.display()),
        Tls::StartTls => unreachable!("offlineimap hangs over STARTTLS now and then, whatever the server is"),
    };
    let config = errand.write(
        "offlineimaprc",
        format!(
            "[general]\naccounts = bridge\nmetadata = {dir}/metadata\n\
             [Account bridge]\nlocalrepository = near\nremoterepository = far\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {dir}/mail\n\
             [Repository far]\ntype = IMAP\nremotehost = {HOST}\nremoteport = {}\nremoteuser = {}\n\
             remotepassfile = {}\nreadonly = yes\n{tls}\n",
            errand.port,
            errand.login,
            errand.write("password", errand.password).display(),
            dir = errand.dir.display(),
        ),
    );
    let maildir = errand.maildir("mail/INBOX");
    finish_in(&maildir, errand.command("offlineimap").args(["-o", "-u", "basic", "-c"]).arg(config))
}

pub fn mpop(errand: &Errand) -> Done<Vec<u8>> {
    let maildir = errand.maildir("maildir");
    let ask = format!("--passwordeval=cat {}", errand.write("password", errand.password).display());
    let mut mpop = errand.command("mpop");
    mpop.args(["--file=/dev/null", &format!("--host={HOST}"), "--port", &errand.port()]);
    mpop.args([auth(errand, "user"), "--user".to_owned(), errand.login.to_owned(), ask]);
    mpop.arg("--received-header=off");
    mpop.arg(format!("--delivery=maildir,{}", maildir.display()));
    mpop.args(tls_options(errand));
    finish_in(&maildir, &mut mpop)
}

/// By themselves msmtp and mpop show no password where there is no TLS; `plain` is then how.
pub fn auth(errand: &Errand, plain: &str) -> String {
    format!("--auth={}", if errand.tls == Tls::None { plain } else { "on" })
}

/// What msmtp and mpop call the kinds of TLS.
pub fn tls_options(errand: &Errand) -> Vec<String> {
    let starttls = match errand.tls {
        Tls::None => return vec!["--tls=off".to_owned()],
        Tls::StartTls => "on",
        Tls::Implicit => "off",
    };
    vec![
        "--tls=on".to_owned(),
        format!("--tls-starttls={starttls}"),
        format!("--tls-trust-file={}", errand.ca.display()),
    ]
}
