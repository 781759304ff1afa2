//! `[console]`: the web page, to which authorities may send a browser back.

use std::time::SystemTime;

use url::Url;

use super::{
    Console, ConsoleTls,
    listener::{self, Host, Taken},
    mistake::quoted,
    reader::{Item, Table},
    schema, secret, tls, urls,
};
use crate::secret::Environment;

/// The console as other tables see it.
pub(super) enum Written<'t> {
    /// There is none.
    Absent,
    /// There is one, whose table has mistakes.
    Broken,
    /// It is as it should be.
    Whole(Box<Console>, Host<'t>, u16),
}

impl Written<'_> {
    /// The console, where it is as it should be.
    pub(super) fn console(self) -> Option<Console> {
        match self {
            Self::Absent | Self::Broken => None,
            Self::Whole(console, ..) => Some(*console),
        }
    }

    /// Whether a URL leads to the console: to its socket, or to where the world sees it.
    pub(super) fn serves(&self, url: &Url) -> bool {
        let Self::Whole(console, ..) = self else {
            return false;
        };
        self.has_socket_of(url) && url.scheme() == scheme(console)
            || console.public_url.as_ref().is_some_and(|public| public.origin() == url.origin())
    }

    /// Whether a URL leads to the console's socket, where something else is spoken than the URL says. Where people have
    /// a public address, https may be what something before the console speaks.
    pub(super) fn speaks_otherwise(&self, url: &Url) -> bool {
        let Self::Whole(console, ..) = self else {
            return false;
        };
        let is_proxied = url.scheme() == "https" && self.is_public();
        self.has_socket_of(url) && url.scheme() != scheme(console) && !is_proxied
    }

    /// Whether this machine's browsers come to the console's socket by a URL, whatever its scheme.
    fn has_socket_of(&self, url: &Url) -> bool {
        let Self::Whole(_, host, port) = self else {
            return false;
        };
        *port != 0
            && url.port_or_known_default() == Some(*port)
            && urls::is_loopback(url)
            && (host.is_loopback() || host.is_unspecified())
    }

    /// Where the console is reached: as written, else the port of this machine that it listens on,
    /// which is 0 where the system will pick one.
    pub(super) fn address(&self) -> Option<Url> {
        let Self::Whole(console, _, port) = self else {
            return None;
        };
        let local = || Url::parse(&format!("{}://localhost:{port}", scheme(console))).ok();
        console.public_url.clone().or_else(local)
    }

    /// Where people open it, where that is known before the system has picked a port.
    pub(super) fn page(&self) -> Option<String> {
        let Self::Whole(_, host, port) = self else {
            return None;
        };
        let is_here = *port != 0 && (host.is_loopback() || host.is_unspecified());
        let page = self.address().filter(|_| is_here || self.is_public())?;
        Some(page.as_str().trim_end_matches('/').to_owned())
    }

    /// Whether it has an address of its own that people use.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Whole(console, ..) if console.public_url.is_some())
    }
}

/// What is spoken at its socket.
fn scheme(console: &Console) -> &'static str {
    if console.tls.is_some() { "https" } else { "http" }
}

/// What `[tls]` says, where that has no mistakes, and what time it is.
type Shown<'a> = (Option<&'a tls::Written>, SystemTime);

/// Reads `[console]`.
pub(super) fn read<'t>(
    top: &Table<'t>,
    taken: &mut Taken<'t>,
    environment: &Environment<'_>,
    shown: Shown<'_>,
) -> Written<'t> {
    match top.get("console") {
        Some(item) => whole(&item, taken, environment, shown).unwrap_or(Written::Broken),
        None => Written::Absent,
    }
}

fn whole<'t>(
    item: &Item<'t>,
    taken: &mut Taken<'t>,
    environment: &Environment<'_>,
    shown: Shown<'_>,
) -> Option<Written<'t>> {
    let table = item.table(&schema::CONSOLE)?;
    let bind = table.need("bind", "add bind = \"127.0.0.1:8025\", with a port of your choice");
    let public_url = table.get("public_url").map(|item| urls::public(&item));
    let password = table.get("password").map(|item| {
        let (source, _) = secret::value(&item, environment, "the password of the console")?;
        Some(source)
    });
    let tls = encryption(&table, shown);
    let public_url = public_url.map_or(Some(None), |url| url.map(Some));
    if let (Some(Some(_)), Some(Some(url)), Some(item)) = (&tls, &public_url, table.get("public_url")) {
        refuse_http(&item, url);
    }
    let bind = bind?;
    let (host, port) = listener::address(&bind)?;
    listener::refuse_second(&bind, host, port, taken);
    if !host.is_loopback() {
        refuse_strangers(&table, &bind, tls.as_ref())?;
    }
    let console = Console {
        bind: bind.string()?.to_owned(),
        public_url: public_url?,
        password: password.map_or(Some(None), |source| source.map(Some))?,
        tls: tls?,
    };
    Some(Written::Whole(Box::new(console), host, port))
}

/// How its line is encrypted, or that it is not; `None` where that has mistakes.
#[expect(clippy::option_option, reason = "there may be none, and that may be a mistake")]
fn encryption(table: &Table<'_>, (of_all, now): Shown<'_>) -> Option<Option<ConsoleTls>> {
    let files = tls::files(table, now);
    let word = match table.get("tls") {
        Some(item) if item.is_word("starttls") => {
            item.wrong(
                "tls = \"starttls\" is for mail: a browser encrypts from the first byte, or not at all",
                "write tls = \"implicit\"",
            );
            return None;
        }
        Some(item) => item.word(&schema::CONSOLE_TLS, &[])?,
        None if !table.lacks("tls") => return None,
        None => "none",
    };
    if word == "implicit" {
        // Where [tls] has mistakes, nothing is served all the same.
        return Some(Some(ConsoleTls { files: files?.or_else(|| of_all?.files.clone()) }));
    }
    listener::refuse_certificate(table, "add tls = \"implicit\"");
    Some(None)
}

/// Notes an address in clear of a console that speaks HTTPS.
fn refuse_http(item: &Item<'_>, url: &Url) {
    if url.scheme() == "http" {
        item.wrong(
            "public_url is http, and the console speaks HTTPS: its tls is \"implicit\"",
            "write https://, or take tls out",
        );
    }
}

/// Notes what a network would see of a console that is bound to one.
fn refuse_strangers(table: &Table<'_>, bind: &Item<'_>, tls: Option<&Option<ConsoleTls>>) -> Option<()> {
    let written = quoted(bind.string()?);
    if table.lacks("password") {
        let cause =
            format!("the console would be open to a network without a password: {written} is not loopback");
        bind.wrong(cause, "add password = { file = \"…\" } to [console], or bind to 127.0.0.1 or [::1]");
    } else if matches!(tls, Some(None)) && table.lacks("public_url") {
        let cause = format!(
            "the console's password crosses the network in clear: {written} is not loopback and tls is \"none\""
        );
        let cure =
            "add tls = \"implicit\" to [console], or public_url = \"https://…\" of a web server before it";
        bind.doubtful(cause, cure);
    }
    Some(())
}
