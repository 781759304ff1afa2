//! How an app proves who it is: `secret`, `certificate`, `federated_token_file` or `service_account`.
//!
//! What the keys name is read as far as that needs no command, so that what an authority would refuse
//! with a code is a mistake with a cure here.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use toml::value::{Datetime, Offset};
use x509_cert::der::DateTime;

use super::{
    app::Purpose,
    mistake::quoted,
    reader::{Item, Table},
    schema::{ASSERTION_ALGS, LOGIN_PASSWORD, MOST_SECRETS},
    secret,
};
use crate::{
    oauth::{
        AssertionAlgorithm, Certificate, ClientCertificate, Credential, KeyFileError, Part, Refusal,
        ServiceAccountKey, day, read_federated_token,
    },
    secret::{Environment, Secret, Source},
};

/// The keys of which an app has one at most.
const KINDS: [&str; 4] = ["secret", "certificate", "federated_token_file", "service_account"];

/// The keys that say more about a certificate.
const OF_CERTIFICATE: [&str; 3] = ["key", "key_password", "assertion_alg"];

/// How long before a credential ends its end is told: a month in which somebody is at work.
const AHEAD: Duration = Duration::from_hours(30 * 24);

/// What is read beside the table.
struct Reader<'r, 't> {
    /// The name of the app.
    name: &'r str,
    table: &'r Table<'t>,
    purpose: Purpose,
    environment: &'r Environment<'r>,
    now: SystemTime,
}

/// Reads an app's credential and when it ends, as far as that is known. An app without any of the keys
/// is a public client. What is yet to be registered is not looked for where it is to be kept.
pub(super) fn read(
    name: &str,
    table: &Table<'_>,
    purpose: Purpose,
    environment: &Environment<'_>,
    now: SystemTime,
) -> Option<(Credential, Option<SystemTime>)> {
    Reader { name, table, purpose, environment, now }.read()
}

impl<'t> Reader<'_, 't> {
    fn read(&self) -> Option<(Credential, Option<SystemTime>)> {
        let told = self.told_end();
        let mut kinds = KINDS.into_iter().filter(|kind| self.table.has(kind));
        let kind = kinds.next();
        if let (Some(kind), Some(other)) = (kind, kinds.next()) {
            let item = self.table.get(other)?;
            let name = quoted(self.name);
            item.wrong(
                format!("app {name} has both {kind} and {other}, and proves itself in one way"),
                format!("take {kind} or {other} out"),
            );
            return None;
        }
        if !self.table.has("certificate") && self.table.lacks("certificate") {
            self.refuse_keys_of_certificate();
        }
        let item = kind.and_then(|kind| self.table.get(kind));
        let (credential, own_end) = match (kind, item) {
            (Some("secret"), Some(item)) => (self.secret(&item)?, None),
            (Some("certificate"), Some(item)) => self.certificate(&item)?,
            (Some("federated_token_file"), Some(item)) => (self.federated(&item)?, None),
            (Some(_), Some(item)) => (self.service_account(&item)?, None),
            // A key with a slip in it was meant to be one.
            _ if !KINDS.iter().all(|kind| self.table.lacks(kind)) => return None,
            _ => (Credential::None, None),
        };
        self.warn_of_idle_end(&credential);
        Some((credential, own_end.or(told?)))
    }

    fn secret(&self, item: &Item<'_>) -> Option<Credential> {
        if item.is_string() && item.string() == Some(LOGIN_PASSWORD) {
            return Some(Credential::LoginPassword);
        }
        let items = item.one_or_more()?;
        if items.len() > MOST_SECRETS {
            let cause = format!("{} secrets are too many: one replaces another", items.len());
            item.wrong(cause, "keep the old one and the new one");
            return None;
        }
        let sources: Vec<_> = items.iter().map(|item| self.one_secret(item)).collect();
        sources.into_iter().collect::<Option<_>>().map(Credential::Secrets)
    }

    fn one_secret(&self, item: &Item<'_>) -> Option<Source> {
        if item.is_string() {
            if item.string() == Some(LOGIN_PASSWORD) {
                let cause = "\"login-password\" stands in a list of secrets, where it means nothing";
                item.wrong(cause, "write secret = \"login-password\", or take it out");
            } else {
                let cause = "the secret stands in the configuration itself";
                item.wrong(cause, "keep it elsewhere: secret = { env = \"…\" } or { file = \"…\" }");
            }
            return None;
        }
        let (source, value) = self.kept(item)?;
        if value.is_some_and(|value| value.has_form_of_guid()) {
            let name = quoted(self.name);
            item.doubtful(
                format!("the secret of app {name} has the form of a GUID, as its id has, not its value"),
                "copy the column Value in Entra > App registrations > Certificates & secrets; it is shown only once",
            );
        }
        Some(source)
    }

    /// Where a secret is kept, and the secret where it can be read without a command and has to be there.
    fn kept(&self, item: &Item<'_>) -> Option<(Source, Option<Secret>)> {
        match self.purpose {
            Purpose::Serving => secret::read(item, self.environment),
            Purpose::Registering => secret::place(item).map(|source| (source, None)),
        }
    }

    fn federated(&self, item: &Item<'_>) -> Option<Credential> {
        let path = file(item)?;
        if self.purpose == Purpose::Serving
            && let Err(error) = read_federated_token(&path)
        {
            item.wrong(error.to_string(), error.cure());
            return None;
        }
        Some(Credential::FederatedToken(path))
    }

    fn certificate(&self, item: &Item<'t>) -> Option<(Credential, Option<SystemTime>)> {
        let certificate = file(item);
        let key = self.table.get("key").map(|item| file(&item));
        let password = self.table.get("key_password").map(|item| self.kept(&item));
        let algorithm = self.table.get("assertion_alg").map(|item| algorithm(&item));
        let (key_password, password) = match password {
            None => (None, None),
            Some(read) => read.map(|(source, password)| (Some(source), password))?,
        };
        let certificate = Certificate {
            certificate: certificate?,
            key: match key {
                None => None,
                Some(key) => Some(key?),
            },
            key_password,
            algorithm: algorithm.unwrap_or(Some(AssertionAlgorithm::default()))?,
        };
        let end = match self.purpose {
            Purpose::Serving => self.try_out(item, &certificate, password.as_ref())?,
            Purpose::Registering => None,
        };
        Some((Credential::Certificate(certificate), end))
    }

    /// Reads the files and returns when the certificate ends; not even that where only a command knows
    /// the password.
    #[expect(clippy::option_option, reason = "nothing where there is a mistake, as in all readers")]
    fn try_out(
        &self,
        item: &Item<'t>,
        certificate: &Certificate,
        password: Option<&Secret>,
    ) -> Option<Option<SystemTime>> {
        let checked = certificate.load(password).and_then(|read| read.check_time(self.now).map(|()| read));
        let read = match checked {
            Ok(read) => read,
            Err(error) if error.reason == Refusal::NoPassword && certificate.key_password.is_some() => {
                return Some(None);
            }
            Err(error) => {
                self.place_of(&error, item).wrong(error.to_string(), error.reason.cure());
                return None;
            }
        };
        let holder = self.table.get("key").unwrap_or_else(|| item.clone());
        secret::warn_of_world_readable(&holder, certificate.key.as_ref().unwrap_or(&certificate.certificate));
        self.warn_of_end(item, &read);
        Some(Some(read.not_after))
    }

    fn place_of(&self, error: &KeyFileError, certificate: &Item<'t>) -> Item<'t> {
        let keys: &[&'static str] = match error.part {
            Part::Certificate => &[],
            Part::Key => &["key"],
            Part::Password => &["key_password", "key"],
        };
        keys.iter().find_map(|key| self.table.get(key)).unwrap_or_else(|| certificate.clone())
    }

    fn warn_of_end(&self, item: &Item<'_>, certificate: &ClientCertificate) {
        if certificate.not_after < self.now + AHEAD {
            item.doubtful(
                format!(
                    "the certificate of app {} ends on {}",
                    quoted(self.name),
                    day(certificate.not_after)
                ),
                "make a new one, upload its public part to the app registration, and name it here",
            );
        }
    }

    fn refuse_keys_of_certificate(&self) {
        for key in OF_CERTIFICATE {
            if let Some(item) = self.table.get(key) {
                let cause = format!("{key} has no effect without certificate");
                item.wrong(cause, "add certificate = \"…\", or take it out");
            }
        }
    }

    fn service_account(&self, item: &Item<'_>) -> Option<Credential> {
        let (source, value) = self.kept(item)?;
        if let Some(Err(error)) = value.map(|json| ServiceAccountKey::read(&json)) {
            item.wrong(error.to_string(), error.cure());
            return None;
        }
        Some(Credential::ServiceAccount(source))
    }

    /// `secret_expires`; `Some(None)` where it is not written.
    #[expect(clippy::option_option, reason = "as said above")]
    fn told_end(&self) -> Option<Option<SystemTime>> {
        let Some(item) = self.table.get("secret_expires") else { return Some(None) };
        let Some(end) = item.datetime().and_then(moment) else {
            item.wrong("secret_expires is no date", "write secret_expires = 2027-04-05");
            return None;
        };
        let (name, on) = (quoted(self.name), day(end));
        let cure = "make a new one in the app registration, and change secret_expires with it";
        if end <= self.now {
            item.doubtful(format!("the secret of app {name} ended on {on}, as secret_expires says"), cure);
        } else if end < self.now + AHEAD {
            item.doubtful(format!("the secret of app {name} ends on {on}, as secret_expires says"), cure);
        }
        Some(Some(end))
    }

    fn warn_of_idle_end(&self, credential: &Credential) {
        let why = match credential {
            Credential::Secrets(_) | Credential::ServiceAccount(_) => return,
            Credential::Certificate(_) => "the certificate tells its end itself",
            Credential::None | Credential::FederatedToken(_) | Credential::LoginPassword => {
                "the app has no secret of its own"
            }
        };
        if let Some(item) = self.table.get("secret_expires") {
            item.doubtful(format!("secret_expires has no effect: {why}"), "take it out");
        }
    }
}

fn algorithm(item: &Item<'_>) -> Option<AssertionAlgorithm> {
    let word = item.word(&ASSERTION_ALGS, &[])?;
    Some(if word == "RS256" { AssertionAlgorithm::Rs256 } else { AssertionAlgorithm::Ps256 })
}

/// The path of a file that holds a certificate, a key or a token, which are sometimes pasted in its place
/// and must then not be shown.
fn file(item: &Item<'_>) -> Option<PathBuf> {
    if item.is_string() && item.string().is_some_and(|written| written.contains("-----BEGIN")) {
        let cause = "the content of a file stands here, where its path belongs";
        item.file.wrong_hiding(
            item.span.clone(),
            item.span.clone(),
            cause,
            "keep it in a file, and give its path",
        );
        return None;
    }
    item.path()
}

/// A date is meant from its beginning, in UTC where nothing else is said: a warning too early is no
/// harm.
fn moment(datetime: Datetime) -> Option<SystemTime> {
    let date = datetime.date?;
    let (hour, minute, second) =
        datetime.time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0).min(59)));
    let utc = DateTime::new(date.year, date.month, date.day, hour, minute, second).ok()?;
    let ahead = match datetime.offset {
        Some(Offset::Custom { minutes }) => i64::from(minutes) * 60,
        Some(Offset::Z) | None => 0,
    };
    let seconds = i64::try_from(utc.unix_duration().as_secs()).ok()? - ahead;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}
