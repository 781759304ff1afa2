//! `[console]`: the web page, to which authorities may send a browser back.

use url::Url;

use super::{
    Console,
    listener::{self, Host, Taken},
    mistake::quoted,
    reader::{Item, Table},
    schema, secret, urls,
};
use crate::secret::Environment;

/// The console as other tables see it.
pub(super) enum Written<'t> {
    /// There is none.
    Absent,
    /// There is one, whose table has mistakes.
    Broken,
    /// It is as it should be.
    Whole(Console, Host<'t>, u16),
}

impl Written<'_> {
    /// The console, where it is as it should be.
    pub(super) fn console(self) -> Option<Console> {
        match self {
            Self::Absent | Self::Broken => None,
            Self::Whole(console, ..) => Some(console),
        }
    }

    /// Whether a URL leads to the console: to its socket, or to where the world sees it.
    pub(super) fn serves(&self, url: &Url) -> bool {
        let Self::Whole(console, host, port) = self else {
            return false;
        };
        let to_socket = *port != 0
            && url.scheme() == "http"
            && url.port_or_known_default() == Some(*port)
            && urls::is_loopback(url)
            && (host.is_loopback() || host.is_unspecified());
        to_socket || console.public_url.as_ref().is_some_and(|public| public.origin() == url.origin())
    }

    /// Where the console is reached: as written, else the port of this machine that it listens on,
    /// which is 0 where the system will pick one.
    pub(super) fn address(&self) -> Option<Url> {
        let Self::Whole(console, _, port) = self else {
            return None;
        };
        let local = || Url::parse(&format!("http://localhost:{port}")).ok();
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

/// Reads `[console]`.
pub(super) fn read<'t>(top: &Table<'t>, taken: &mut Taken<'t>, environment: &Environment<'_>) -> Written<'t> {
    match top.get("console") {
        Some(item) => whole(&item, taken, environment).unwrap_or(Written::Broken),
        None => Written::Absent,
    }
}

fn whole<'t>(item: &Item<'t>, taken: &mut Taken<'t>, environment: &Environment<'_>) -> Option<Written<'t>> {
    let table = item.table(&schema::CONSOLE)?;
    let bind = table.need("bind", "add bind = \"127.0.0.1:8025\", with a port of your choice");
    let public_url = table.get("public_url").map(|item| urls::public(&item));
    let password = table.get("password").map(|item| {
        let (source, _) = secret::value(&item, environment, "the password of the console")?;
        Some(source)
    });
    let bind = bind?;
    let (host, port) = listener::address(&bind)?;
    listener::refuse_second(&bind, host, port, taken);
    if !host.is_loopback() && table.lacks("password") {
        let cause = format!(
            "the console would be open to a network without a password: {} is not loopback",
            quoted(bind.string()?)
        );
        bind.wrong(cause, "add password = { file = \"…\" } to [console], or bind to 127.0.0.1 or [::1]");
    }
    let console = Console {
        bind: bind.string()?.to_owned(),
        public_url: public_url.map_or(Some(None), |url| url.map(Some))?,
        password: password.map_or(Some(None), |source| source.map(Some))?,
    };
    Some(Written::Whole(console, host, port))
}
