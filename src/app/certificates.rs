//! The certificates that listeners and the console show: from files, or of the bridge's own making.
//!
//! What is replaced on the disk is shown to the next client, without a reload: whoever renews
//! certificates does it at night. The files are read and compared, not watched, which also sees a
//! folder behind a symbolic link and a file server.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    BuildError,
    accounts::written,
    names::{Wanted, encrypted, public_host},
};
use crate::{
    clock::SharedClock,
    config::{CertificateFiles, Config, Console, Listener, OwnCertificate, TlsStart},
    net::{
        accept::Acceptor,
        certificate::{Certificate, Pair, PairError},
        https::Https,
        self_signed,
    },
    secret::{Secret, Source},
    session::Entrance,
    store::write_whole,
};

/// How often the files are compared with what is shown.
const LOOKS: Duration = Duration::from_secs(5);

/// How long before its end the bridge's own certificate is replaced, and that of others is warned of.
const AHEAD: Duration = Duration::from_hours(30 * 24);

/// How often an end that comes closer is told.
const DAY: Duration = Duration::from_hours(24);

/// The files of the bridge's own certificate, in the state folder.
const OWN: (&str, &str) = ("listener.pem", "listener.key");

/// What listeners and the console show, by the files that it comes from.
#[derive(Debug)]
pub(super) struct Certificates {
    own: CertificateFiles,
    clock: SharedClock,
    shown: Mutex<Shown>,
}

/// What is shown, and what the bridge's own certificate is to be, where somebody is shown that.
#[derive(Debug, Clone, Default)]
struct Shown {
    by_files: HashMap<CertificateFiles, Item>,
    wanted: Option<Wanted>,
    /// What the console shakes hands with, as long as the process lives.
    https: Option<Https>,
}

#[derive(Debug, Clone)]
struct Item {
    certificate: Arc<Certificate>,
    acceptor: Acceptor,
    /// What is wrong with the files since the last look, and whether that was told.
    refused: Option<(String, bool)>,
    /// When its end was told last.
    warned: Option<SystemTime>,
}

/// A certificate that was made and is not on the disk yet.
#[derive(Debug)]
struct Made {
    key: Secret,
    is_new_key: bool,
    certificate: Secret,
}

/// What a configuration's listeners and its console will show, before any of it is.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    shown: Shown,
    /// What the console shows, where it speaks HTTPS.
    console: Option<Arc<Certificate>>,
    replaced: Vec<(CertificateFiles, Pair)>,
    made: Option<Made>,
    own: Option<CertificateFiles>,
}

impl Prepared {
    /// How the line of a listener is encrypted.
    ///
    /// # Errors
    /// [`BuildError::Internal`] for a listener that was not prepared.
    pub(super) fn entrance(&self, listener: &Listener) -> Result<Entrance, BuildError> {
        let Some(tls) = &listener.tls else { return Ok(Entrance::Clear) };
        let acceptor = self.item(tls.files.as_ref())?.acceptor.clone();
        Ok(match tls.start {
            TlsStart::Implicit => Entrance::Implicit(acceptor),
            TlsStart::StartTls { required } => Entrance::StartTls { acceptor, required },
        })
    }

    /// What the console shakes hands with, where it speaks HTTPS.
    pub(super) fn https(&self) -> Option<Https> {
        self.shown.https.clone()
    }

    /// What comes from these files, or is the bridge's own.
    fn item(&self, files: Option<&CertificateFiles>) -> Result<&Item, BuildError> {
        let files = files.or(self.own.as_ref()).ok_or(BuildError::Internal)?;
        self.shown.by_files.get(files).ok_or(BuildError::Internal)
    }
}

impl Certificates {
    /// Shows nothing yet.
    pub(super) fn new(state_dir: &Path, clock: SharedClock) -> Self {
        let own = CertificateFiles { certificate: state_dir.join(OWN.0), key: state_dir.join(OWN.1) };
        Self { own, clock, shown: Mutex::default() }
    }

    /// Reads or makes what these listeners and the console are to show. Nobody is shown it before
    /// [`Certificates::show`].
    ///
    /// # Errors
    /// [`BuildError::Certificate`] and [`BuildError::Made`].
    pub(super) async fn prepare(
        self: &Arc<Self>,
        listeners: &[Listener],
        console: Option<&Console>,
        own_certificate: &OwnCertificate,
    ) -> Result<Prepared, BuildError> {
        let (this, listeners, console) = (Arc::clone(self), listeners.to_vec(), console.cloned());
        let own = own_certificate.clone();
        let reading = spawn_blocking(move || this.read_all(&listeners, console.as_ref(), own));
        reading.await.unwrap_or(Err(BuildError::Internal))
    }

    fn read_all(
        &self,
        listeners: &[Listener],
        console: Option<&Console>,
        own: OwnCertificate,
    ) -> Result<Prepared, BuildError> {
        let mut prepared = Prepared::default();
        let encrypted = encrypted(listeners, console);
        let showing_own: Vec<_> =
            encrypted.iter().filter(|(_, files)| files.is_none()).map(|(bind, _)| bind.as_str()).collect();
        if !showing_own.is_empty() {
            let names = own.names.into_iter().chain(console.and_then(public_host)).collect();
            let wanted = Wanted::new(own.key_type, names, &showing_own);
            prepared.made = self.make(&wanted)?;
            let pair = match &prepared.made {
                Some(made) => made.pair(&self.own),
                None => Pair::read(&self.own.certificate, &self.own.key),
            };
            self.add(&mut prepared, &self.own, pair.map_err(BuildError::Certificate)?);
            prepared.shown.wanted = Some(wanted);
            prepared.own = Some(self.own.clone());
        }
        for files in encrypted.iter().filter_map(|(_, files)| files.as_ref()) {
            if !prepared.shown.by_files.contains_key(files) {
                let pair = Pair::read(&files.certificate, &files.key).map_err(BuildError::Certificate)?;
                self.add(&mut prepared, files, pair);
            }
        }
        if let Some(tls) = console.and_then(|console| console.tls.as_ref()) {
            let certificate = Arc::clone(&prepared.item(tls.files.as_ref())?.certificate);
            let known = self.shown().https.clone();
            prepared.shown.https = Some(known.unwrap_or_else(|| Https::new(Arc::clone(&certificate))));
            prepared.console = Some(certificate);
        }
        Ok(prepared)
    }

    /// What is shown already keeps its place, so that open listeners need not be told.
    fn add(&self, prepared: &mut Prepared, files: &CertificateFiles, pair: Pair) {
        let known = self.shown().by_files.get(files).cloned();
        let item = known.unwrap_or_else(|| {
            let certificate = Arc::new(Certificate::new(pair.clone()));
            let acceptor = Acceptor::new(Arc::clone(&certificate));
            Item { certificate, acceptor, refused: None, warned: None }
        });
        prepared.replaced.push((files.clone(), pair));
        prepared.shown.by_files.insert(files.clone(), item);
    }

    /// Shows what was prepared, and nothing else any more.
    ///
    /// # Errors
    /// [`BuildError::StateDir`] where a certificate that was made cannot be kept. It is shown all the same.
    pub(super) fn show(&self, prepared: Prepared) -> Result<(), BuildError> {
        let Prepared { shown, console, replaced, made, own: _ } = prepared;
        let kept = made.map_or(Ok(()), |made| self.keep_made(&made));
        for (files, pair) in replaced {
            let Some(item) = shown.by_files.get(&files) else { continue };
            let what = if self.shown().by_files.contains_key(&files) {
                "certificate replaced"
            } else {
                "certificate"
            };
            if what == "certificate" || item.certificate.pair() != pair {
                item.certificate.replace(pair.clone());
                tell(&files, &pair, what);
            }
        }
        if let Some((https, certificate)) = shown.https.as_ref().zip(console) {
            https.show(certificate);
        }
        *self.shown() = shown;
        kept
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
        let Shown { by_files, wanted, https: _ } = self.shown().clone();
        for files in by_files.keys() {
            let renewed = match wanted.as_ref().filter(|_| *files == self.own) {
                Some(wanted) => self.renew(wanted),
                None => Ok(()),
            };
            let found = renewed
                .and_then(|()| Pair::read(&files.certificate, &files.key).map_err(BuildError::Certificate));
            self.take_up(files, found);
            self.warn_of_time(files);
        }
    }

    fn renew(&self, wanted: &Wanted) -> Result<(), BuildError> {
        self.make(wanted)?.map_or(Ok(()), |made| self.keep_made(&made))
    }

    /// Shows what is in the files now, where that is a certificate with its key.
    fn take_up(&self, files: &CertificateFiles, found: Result<Pair, BuildError>) {
        let mut shown = self.shown();
        let Some(item) = shown.by_files.get_mut(files) else { return };
        let why = match found {
            Ok(pair) => {
                item.refused = None;
                if pair != item.certificate.pair() {
                    item.warned = None;
                    item.certificate.replace(pair.clone());
                    tell(files, &pair, "certificate replaced");
                }
                return;
            }
            Err(why) => why.to_string(),
        };
        // The two files are seldom replaced in one moment: what is wrong at the next look still is worth a
        // word, and one is enough.
        let (is_old, told) = match &item.refused {
            Some((known, told)) => (*known == why, *told),
            None => (false, false),
        };
        if is_old && !told {
            warn!(cause = why, "certificate not replaced, the old one is shown");
        }
        item.refused = Some((why, is_old));
    }

    /// Tells once a day of a certificate that mail programs refuse, now or soon, because of its time.
    fn warn_of_time(&self, files: &CertificateFiles) {
        let now = self.clock.now();
        let mut shown = self.shown();
        let Some(item) = shown.by_files.get_mut(files) else { return };
        let pair = item.certificate.pair();
        let lately = item.warned.is_some_and(|at| at <= now && now < at + DAY);
        let date = |at| written(at).map(|at| at.date().to_string()).unwrap_or_default();
        let (when, cure) = if pair.begins > now {
            let cure = "set the machine's clock; where that is right, put another certificate in its place";
            (format!("is not valid before {}", date(pair.begins)), cure)
        } else if pair.ends <= now + AHEAD {
            let when = if pair.ends > now { "ends" } else { "has ended" };
            (
                format!("{when} on {}", date(pair.ends)),
                "put a new one in its place: it is used without a reload",
            )
        } else {
            return;
        };
        if lately {
            return;
        }
        item.warned = Some(now);
        let cause = format!("the certificate in {} {when}", files.certificate.display());
        warn!(cause, cure, "certificate out of its time");
    }

    /// Makes the bridge's own certificate where there is none, or not for these names, or where it ends
    /// soon. The key stays as long as its kind does, for those who know the bridge by it. One whose time
    /// has not begun stays as well: the clock of a machine without a battery begins in the past.
    ///
    /// # Errors
    /// [`BuildError::Certificate`] for a key that is there and cannot be used: it is not thrown away.
    fn make(&self, wanted: &Wanted) -> Result<Option<Made>, BuildError> {
        let CertificateFiles { certificate, key: key_path } = &self.own;
        let now = self.clock.now();
        let unreadable = |error| BuildError::Certificate(PairError::Unreadable(error));
        let known =
            if key_path.exists() { Some(Source::read_file(key_path).map_err(unreadable)?) } else { None };
        if let Some(key) = &known {
            Pair::check_key(key_path, key).map_err(BuildError::Certificate)?;
        }
        let known = known.filter(|key| wanted.key_type.is_of(key));
        let names = self_signed::names_in(&std::fs::read_to_string(certificate).unwrap_or_default());
        if known.is_some()
            && Pair::read(certificate, key_path).is_ok_and(|pair| pair.ends > now + AHEAD)
            && is_among(&wanted.names, &names)
        {
            return Ok(None);
        }
        let broken = |error: rcgen::Error| BuildError::Made(error.to_string());
        let (key, is_new_key) = match known {
            Some(key) => (key, false),
            None => (wanted.key_type.generate().map_err(broken)?, true),
        };
        let names = [wanted.names.clone(), wanted.more.clone()].concat();
        let certificate = self_signed::certificate(&key, &names, now).map_err(broken)?;
        Ok(Some(Made { key, is_new_key, certificate: Secret::new(certificate) }))
    }

    fn keep_made(&self, made: &Made) -> Result<(), BuildError> {
        let unusable = |path: &Path, error| BuildError::StateDir { path: path.to_owned(), error };
        let CertificateFiles { certificate, key } = &self.own;
        if made.is_new_key {
            // First: a certificate that has no key could not be shown.
            write_whole(key, made.key.expose()).map_err(|error| unusable(key, error))?;
        }
        write_whole(certificate, made.certificate.expose()).map_err(|error| unusable(certificate, error))?;
        info!(path = %certificate.display(), "certificate made: mail programs have to trust it");
        Ok(())
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the console shakes hands with where no bridge serves it, and it speaks HTTPS. A certificate that has to be made
/// is the one that the bridge will show.
///
/// # Errors
/// As [`Certificates::prepare`] and [`Certificates::show`].
pub(super) async fn https_alone(config: &Config, clock: &SharedClock) -> Result<Option<Https>, BuildError> {
    let Some(console) = config.console.as_ref().filter(|console| console.tls.is_some()) else {
        return Ok(None);
    };
    let certificates = Arc::new(Certificates::new(&config.state_dir, Arc::clone(clock)));
    let prepared = certificates.prepare(&config.listeners, Some(console), &config.own_certificate).await?;
    let https = prepared.https();
    certificates.show(prepared)?;
    Ok(https)
}

impl Made {
    fn pair(&self, files: &CertificateFiles) -> Result<Pair, PairError> {
        Pair::from_pem((&files.certificate, &self.certificate), (&files.key, &self.key))
    }
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
    use crate::{
        clock::Clock,
        config::{ConsoleTls, ListenerTls},
        ids::ProtocolKind,
    };

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
        let prepared = certificates.prepare(&listeners, None, &OwnCertificate::default()).await.unwrap();
        certificates.show(prepared).unwrap();
        let shown = || certificates.shown().by_files[&certificates.own].certificate.pair();
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

    #[tokio::test]
    async fn the_certificate_of_a_console_is_for_its_host_and_its_public_address() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Arc::new(Certificates::new(folder.path(), Arc::new(crate::clock::System)));
        let console = |tls| Console {
            bind: "192.0.2.7:8025".to_owned(),
            public_url: Some("https://Mail.example.com.:8443".parse().unwrap()),
            password: None,
            tls,
        };
        let prepare = async |tls| {
            let (console, own) = (console(tls), OwnCertificate::default());
            certificates.prepare(&[], Some(&console), &own).await.unwrap()
        };
        let none = prepare(None).await;
        assert!(none.https().is_none() && none.shown.by_files.is_empty());
        let own = prepare(Some(ConsoleTls { files: None })).await;
        assert!(own.https().is_some());
        assert_eq!(own.shown.wanted.as_ref().unwrap().names, ["mail.example.com", "192.0.2.7"]);
        certificates.show(own).unwrap();
        let files = Some(certificates.own.clone());
        let given = prepare(Some(ConsoleTls { files })).await;
        assert!(given.https().is_some() && given.shown.wanted.is_none());
    }
}
