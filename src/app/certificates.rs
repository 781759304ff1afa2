//! The certificates that listeners show: from files, or of the bridge's own making.
//!
//! What is replaced on the disk is shown to the next client, without a reload: whoever renews
//! certificates does it at night. The files are read and compared, not watched, which also sees a
//! folder behind a symbolic link and a file server.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BuildError, accounts::written, private};
use crate::{
    clock::SharedClock,
    config::{CertificateFiles, Listener, OwnCertificate, TlsStart},
    net::{
        accept::Acceptor,
        certificate::{Certificate, Pair},
        self_signed::{self, KeyType},
    },
    secret::Source,
    session::Entrance,
};

/// How often the files are compared with what is shown.
const LOOKS: Duration = Duration::from_secs(5);

/// How long before its end the bridge's own certificate is replaced, and that of others is warned of.
const AHEAD: Duration = Duration::from_hours(30 * 24);

/// How often an end that comes closer is told.
const DAY: Duration = Duration::from_hours(24);

/// The files of the bridge's own certificate, in the state folder.
const OWN: (&str, &str) = ("listener.pem", "listener.key");

/// What listeners show, by the files that it comes from.
#[derive(Debug)]
pub(super) struct Certificates {
    own: CertificateFiles,
    clock: SharedClock,
    shown: Mutex<HashMap<CertificateFiles, Shown>>,
    /// What the bridge's own certificate is to be.
    wanted: Mutex<Wanted>,
}

#[derive(Debug, Clone)]
struct Shown {
    certificate: Arc<Certificate>,
    acceptor: Acceptor,
    /// What is wrong with the files since the last look, and whether that was told.
    refused: Option<(String, bool)>,
    /// When its end was told last.
    warned: Option<SystemTime>,
}

#[derive(Debug, Clone, Default)]
struct Wanted {
    key_type: KeyType,
    /// By these it is called.
    names: Vec<String>,
    /// By these it may be called: what this machine is called when it is made.
    more: Vec<String>,
}

impl Certificates {
    /// Shows nothing yet.
    pub(super) fn new(state_dir: &Path, clock: SharedClock) -> Self {
        let own = CertificateFiles { certificate: state_dir.join(OWN.0), key: state_dir.join(OWN.1) };
        Self { own, clock, shown: Mutex::default(), wanted: Mutex::default() }
    }

    /// Reads or makes what these listeners show. Call it once for a configuration, before
    /// [`Certificates::entrance`].
    ///
    /// # Errors
    /// [`BuildError::Certificate`] and [`BuildError::StateDir`].
    pub(super) async fn take_up(
        self: &Arc<Self>,
        listeners: &[Listener],
        own_certificate: &OwnCertificate,
    ) -> Result<(), BuildError> {
        let OwnCertificate { key_type, names } = own_certificate.clone();
        let own: Vec<_> = listeners.iter().filter(|listener| is_own(listener)).cloned().collect();
        let files = listeners.iter().filter_map(|listener| listener.tls.as_ref()?.files.clone());
        let mut files: Vec<_> = files.collect();
        let this = Arc::clone(self);
        let work = move || {
            if !own.is_empty() {
                *this.wanted() = Wanted::new(key_type, names, &own);
                this.make_where_needed()?;
                files.push(this.own.clone());
            }
            files.iter().try_for_each(|files| this.read(files))
        };
        spawn_blocking(work).await.unwrap_or(Err(BuildError::Internal))
    }

    /// How the line of a listener is encrypted.
    ///
    /// # Errors
    /// [`BuildError::Internal`] for a listener that was not taken up.
    pub(super) fn entrance(&self, listener: &Listener) -> Result<Entrance, BuildError> {
        let Some(tls) = &listener.tls else { return Ok(Entrance::Clear) };
        let shown = self.shown();
        let shown = shown.get(tls.files.as_ref().unwrap_or(&self.own)).ok_or(BuildError::Internal)?;
        let acceptor = shown.acceptor.clone();
        Ok(match tls.start {
            TlsStart::Implicit => Entrance::Implicit(acceptor),
            TlsStart::StartTls { required } => Entrance::StartTls { acceptor, required },
        })
    }

    /// Looks after them until `stop`.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOKS)).await.is_some() {
            let this = Arc::clone(&self);
            // A task that breaks down has said so; the next look may do better.
            let _ = spawn_blocking(move || this.look()).await;
        }
    }

    /// Takes up what has changed on the disk, makes what ends soon, and warns of what will end.
    fn look(&self) {
        let all: Vec<_> = self.shown().keys().cloned().collect();
        for files in all {
            if files == self.own
                && let Err(error) = self.make_where_needed()
            {
                warn!(cause = %error, "the bridge's own certificate is not renewed");
            }
            self.refresh(&files);
            self.warn_of_end(&files);
        }
    }

    /// Shows what is in the files now, where that is a certificate with its key.
    fn refresh(&self, files: &CertificateFiles) {
        let found = Pair::read(&files.certificate, &files.key);
        let mut all = self.shown();
        let Some(shown) = all.get_mut(files) else { return };
        match found {
            Ok(pair) => {
                shown.refused = None;
                if pair.fingerprint != shown.certificate.pair().fingerprint {
                    shown.warned = None;
                    shown.certificate.replace(pair.clone());
                    tell(files, &pair, "certificate replaced");
                }
            }
            Err(why) => {
                let refused = why.to_string();
                // The two files are seldom replaced in one moment: what is wrong at the next look still
                // is worth a word, and one is enough.
                let (is_old, told) = match &shown.refused {
                    Some((known, told)) => (*known == refused, *told),
                    None => (false, false),
                };
                if is_old && !told {
                    warn!(
                        cause = refused,
                        cure = why.cure(),
                        "certificate not replaced, the old one is shown"
                    );
                }
                shown.refused = Some((refused, is_old));
            }
        }
    }

    fn warn_of_end(&self, files: &CertificateFiles) {
        let now = self.clock.now();
        let mut all = self.shown();
        let Some(shown) = all.get_mut(files) else { return };
        let pair = shown.certificate.pair();
        let lately = shown.warned.is_some_and(|at| now < at + DAY);
        if pair.ends > now + AHEAD || lately {
            return;
        }
        shown.warned = Some(now);
        let date = written(pair.ends).map(|ends| ends.date().to_string()).unwrap_or_default();
        let when = if pair.ends > now { "ends" } else { "has ended" };
        warn!(
            cause = format!("the certificate in {} {when} on {date}", files.certificate.display()),
            cure = "put a new one in its place: it is used without a reload",
            "certificate ends"
        );
    }

    fn read(&self, files: &CertificateFiles) -> Result<(), BuildError> {
        let pair = Pair::read(&files.certificate, &files.key).map_err(BuildError::Certificate)?;
        let mut shown = self.shown();
        if let Some(known) = shown.get(files) {
            if known.certificate.pair().fingerprint != pair.fingerprint {
                known.certificate.replace(pair.clone());
                tell(files, &pair, "certificate replaced");
            }
            return Ok(());
        }
        tell(files, &pair, "certificate");
        let certificate = Arc::new(Certificate::new(pair));
        let acceptor = Acceptor::new(Arc::clone(&certificate));
        shown.insert(files.clone(), Shown { certificate, acceptor, refused: None, warned: None });
        Ok(())
    }

    /// Makes the bridge's own certificate where there is none, or not for these names, or where it ends
    /// soon. The key stays as long as its kind does, for those who know the bridge by it.
    fn make_where_needed(&self) -> Result<(), BuildError> {
        let Wanted { key_type, mut names, more } = self.wanted().clone();
        let now = self.clock.now();
        let unusable = |path: &Path, error| BuildError::StateDir { path: path.to_owned(), error };
        let CertificateFiles { certificate: certificate_path, key: key_path } = &self.own;
        let known = Source::read_file(key_path).ok().filter(|key| key_type.is_of(key));
        let shown = std::fs::read_to_string(certificate_path).unwrap_or_default();
        if known.is_some()
            && Pair::read(certificate_path, key_path).is_ok_and(|pair| pair.ends > now + AHEAD)
            && is_among(&names, &self_signed::names_in(&shown))
        {
            return Ok(());
        }
        let broken = |error: rcgen::Error| BuildError::Made(error.to_string());
        let (key, is_new) = match known {
            Some(key) => (key, false),
            None => (key_type.generate().map_err(broken)?, true),
        };
        names.extend(more);
        let made = self_signed::certificate(&key, &names, now).map_err(broken)?;
        if is_new {
            // First: a certificate that has no key could not be shown.
            private::write(key_path, key.expose()).map_err(|error| unusable(key_path, error))?;
        }
        private::write(certificate_path, made.as_bytes())
            .map_err(|error| unusable(certificate_path, error))?;
        info!(path = %certificate_path.display(), names = names.join(" "), "certificate made: mail programs have to trust it");
        Ok(())
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<CertificateFiles, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    /// What the listeners that show it are called.
    fn new(key_type: KeyType, names: Vec<String>, listeners: &[Listener]) -> Self {
        let mut wanted = Self { key_type, names, more: Vec::new() };
        for host in
            listeners.iter().filter_map(|listener| listener.bind.rsplit_once(':')).map(|(host, _)| host)
        {
            match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) if address.is_unspecified() => wanted.more.extend(interfaces()),
                Ok(address) => wanted.names.push(address.to_string()),
                Err(_) => wanted.names.push(host.to_owned()),
            }
        }
        wanted.more.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
        wanted.more.extend(gethostname::gethostname().into_string().ok().filter(|name| is_dns_name(name)));
        let mut seen = HashSet::new();
        wanted.names.retain(|name| seen.insert(name.clone()));
        wanted.more.retain(|name| seen.insert(name.clone()));
        wanted
    }
}

/// The addresses of this machine by which others can reach it.
fn interfaces() -> Vec<String> {
    let found = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    found.filter(|found| !found.is_link_local()).map(|found| found.ip().to_string()).collect()
}

/// What no certificate could hold is left out: some machines have strange names.
fn is_dns_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(is_fine)
}

fn is_own(listener: &Listener) -> bool {
    listener.tls.as_ref().is_some_and(|tls| tls.files.is_none())
}

fn is_among(names: &[String], found: &[String]) -> bool {
    names.iter().all(|name| found.iter().any(|found| found.eq_ignore_ascii_case(name)))
}

fn tell(files: &CertificateFiles, pair: &Pair, what: &str) {
    let ends = written(pair.ends).map(|ends| ends.date().to_string());
    info!(path = %files.certificate.display(), fingerprint.sha256 = pair.fingerprint, ends, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, config::ListenerTls, ids::ProtocolKind};

    /// A clock that is set by hand.
    #[derive(Debug)]
    struct At(Mutex<SystemTime>);

    impl Clock for At {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }

        fn fraction(&self) -> f64 {
            0.5
        }
    }

    fn listener(bind: &str) -> Listener {
        let tls = Some(ListenerTls { start: TlsStart::Implicit, files: None });
        Listener { protocol: ProtocolKind::Imap, bind: bind.to_owned(), tls, proxy_protocol: Vec::new() }
    }

    #[tokio::test]
    async fn the_bridges_own_certificate_is_renewed_with_its_key_thirty_days_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let clock = Arc::new(At(Mutex::new(start)));
        let certificates = Arc::new(Certificates::new(folder.path(), Arc::clone(&clock) as SharedClock));
        let listeners = [listener("127.0.0.1:993")];
        certificates.take_up(&listeners, &OwnCertificate::default()).await.unwrap();
        let shown = || certificates.shown()[&certificates.own].certificate.pair();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let (first, key) = (shown(), read(OWN.1));

        *clock.0.lock().unwrap() = first.ends - AHEAD - Duration::from_mins(1);
        certificates.look();
        assert_eq!(shown().fingerprint, first.fingerprint);

        *clock.0.lock().unwrap() = first.ends - AHEAD;
        certificates.look();
        let second = shown();
        assert_ne!(second.fingerprint, first.fingerprint);
        assert!(second.ends > first.ends + Duration::from_hours(700 * 24));
        assert_eq!(read(OWN.1), key);
    }

    #[test]
    fn a_certificate_is_for_what_its_listeners_are_called() {
        let own = ["192.0.2.1:993", "[2001:db8::1]:993", "mail.example.com:993"].map(listener);
        let wanted = Wanted::new(KeyType::default(), vec!["bridge".to_owned()], &own);
        assert_eq!(wanted.names, ["bridge", "192.0.2.1", "2001:db8::1", "mail.example.com"]);
        assert!(wanted.more.starts_with(&["localhost", "127.0.0.1", "::1"].map(str::to_owned)));
        let everywhere = Wanted::new(KeyType::default(), Vec::new(), &[listener("0.0.0.0:993")]);
        assert!(everywhere.names.is_empty() && everywhere.more.contains(&"127.0.0.1".to_owned()));
    }
}
