//! What is kept of one slot, and how it is written down before it is sealed.

use std::{io, time::SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The largest record in bytes, as it is written down. Two tokens of the largest answer that an
/// authority may give fit with their names.
pub(super) const LARGEST: usize = 1024 * 1024;

/// What is kept of one slot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The app that the tokens were issued to, for people.
    pub app: String,
    /// The account whose consent they come from, for people.
    pub account: String,
    /// The refresh token, RFC 6749 §1.5. It outlives every trouble but a new one.
    pub refresh_token: Option<Secret>,
    /// The latest access token.
    pub access: Option<Kept>,
    /// The scopes that were granted, RFC 6749 §3.3.
    pub scopes: Vec<String>,
    /// Who signed in.
    pub identity: Option<Identity>,
    /// When a refresh was sent whose outcome is not known: the refresh token may be spent.
    pub asked_at: Option<SystemTime>,
    /// Why a new consent is needed, for people.
    pub consent: Option<String>,
    /// An older refresh token that was set aside.
    pub previous: Option<Secret>,
    /// When the slot last served a login.
    pub last_used: Option<SystemTime>,
    /// Since when no account claims the slot.
    pub unclaimed_since: Option<SystemTime>,
    /// How often the record was written. The store counts: 0 says that it was never written.
    pub version: u64,
}

/// An access token and its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The access token, RFC 6749 §1.4.
    pub token: Secret,
    /// When it was issued.
    pub obtained_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// Who signed in, as the authority says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that was signed in with: `ann@example.com`.
    pub user: String,
    /// The tenant's id, where the authority has tenants: the claim `tid`.
    pub tenant: Option<String>,
    /// The user's id, which outlives a change of name: the claim `oid` or `sub`.
    pub object: Option<String>,
}

impl Record {
    /// Writes the record down in a buffer that is wiped. Its version stands beside the seal.
    ///
    /// # Errors
    /// Where it is larger than [`LARGEST`], or has a time before 1970.
    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let form = Form::from(self);
        let mut length = Length(0);
        serde_json::to_writer(&mut length, &form)?;
        // A buffer that grows would leave copies of tokens where it was.
        let mut written = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *written, &form)?;
        Ok(written)
    }

    /// Reads what [`Record::write`] wrote, or a later version that has more to say.
    ///
    /// # Errors
    /// Where it is no record.
    pub(super) fn read(written: &[u8], version: u64) -> Result<Self, serde_json::Error> {
        let form: Form = serde_json::from_slice(written)?;
        Ok(Self { version, ..form.into() })
    }
}

/// Counts what would be written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > LARGEST {
            return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The record as JSON. It stands apart from [`Record`], which must not be written anywhere else.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Form {
    app: String,
    account: String,
    refresh_token: Option<Text>,
    access: Option<KeptForm>,
    scopes: Vec<String>,
    identity: Option<Identity>,
    asked_at: Option<SystemTime>,
    consent: Option<String>,
    previous: Option<Text>,
    last_used: Option<SystemTime>,
    unclaimed_since: Option<SystemTime>,
}

#[derive(Serialize, Deserialize)]
struct KeptForm {
    token: Text,
    obtained_at: SystemTime,
    expires_at: SystemTime,
}

impl From<&Record> for Form {
    fn from(record: &Record) -> Self {
        let record = record.clone();
        Self {
            app: record.app,
            account: record.account,
            refresh_token: record.refresh_token.map(Text),
            access: record.access.map(|kept| KeptForm {
                token: Text(kept.token),
                obtained_at: kept.obtained_at,
                expires_at: kept.expires_at,
            }),
            scopes: record.scopes,
            identity: record.identity,
            asked_at: record.asked_at,
            consent: record.consent,
            previous: record.previous.map(Text),
            last_used: record.last_used,
            unclaimed_since: record.unclaimed_since,
        }
    }
}

impl From<Form> for Record {
    fn from(form: Form) -> Self {
        Self {
            app: form.app,
            account: form.account,
            refresh_token: form.refresh_token.map(|text| text.0),
            access: form.access.map(|kept| Kept {
                token: kept.token.0,
                obtained_at: kept.obtained_at,
                expires_at: kept.expires_at,
            }),
            scopes: form.scopes,
            identity: form.identity,
            asked_at: form.asked_at,
            consent: form.consent,
            previous: form.previous.map(|text| text.0),
            last_used: form.last_used,
            unclaimed_since: form.unclaimed_since,
            version: 0,
        }
    }
}

/// A secret in base64: it may be any bytes, and needs no escapes, for which JSON would be unescaped
/// into a buffer that nobody wipes.
struct Text(Secret);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64_STANDARD.encode(self.0.expose())))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is wrong with it would be quoted.
        let wrong = || D::Error::custom("a token is not base64");
        let written = <&str>::deserialize(deserializer).map_err(|_| wrong())?;
        let bytes = BASE64_STANDARD.decode(written).map_err(|_| wrong())?;
        Ok(Self(Secret::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
        let record = Record {
            app: "contoso".to_owned(),
            account: "änn\"@example.com".to_owned(),
            refresh_token: Some(Secret::new("refresh\n\"\\")),
            access: Some(Kept { token: Secret::new([0, 255, 7]), obtained_at: at(1), expires_at: at(2) }),
            scopes: vec!["IMAP.AccessAsUser.All".to_owned(), String::new()],
            identity: Some(Identity { user: "ann".to_owned(), tenant: Some("t".to_owned()), object: None }),
            asked_at: Some(at(3)),
            consent: Some("revoked".to_owned()),
            previous: Some(Secret::new("older")),
            last_used: Some(at(4)),
            unclaimed_since: Some(at(5)),
            version: 7,
        };
        assert_eq!(Record::read(&record.write().unwrap(), 7).unwrap(), record);
        assert_eq!(Record::read(&Record::default().write().unwrap(), 0).unwrap(), Record::default());
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let record = Record::read(br#"{"app":"contoso","colour":{"blue":[1]}}"#, 1).unwrap();
        assert_eq!(record, Record { app: "contoso".to_owned(), version: 1, ..Record::default() });
    }

    #[test]
    fn what_is_wrong_with_a_token_is_not_quoted() {
        for written in [&br#"{"refresh_token":"c2VjcmV0!"}"#[..], br#"{"refresh_token":"c2Vj\u0000"}"#] {
            let error = Record::read(written, 1).unwrap_err().to_string();
            assert!(!error.contains("c2Vj"), "{error}");
        }
    }

    #[test]
    fn a_record_that_is_too_large_is_refused() {
        let record = Record { refresh_token: Some(Secret::new(vec![0; LARGEST])), ..Record::default() };
        assert!(record.write().unwrap_err().to_string().contains("larger than 1048576 bytes"));
    }
}
