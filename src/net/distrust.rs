//! Why a peer's certificate is not accepted, in words for a person.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use time::OffsetDateTime;
use x509_cert::{Certificate as X509, der::Decode as _};

/// How many of a certificate's names are written out.
const NAMES: usize = 3;

/// The most characters of a name that a stranger has written.
const LONGEST_NAME: usize = 100;

/// A verifier that judges as another does, and adds to a refusal who issued what nobody vouches for: a proxy that
/// inspects TLS is known by that.
#[derive(Debug)]
pub(super) struct Naming(pub(super) Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        judged.map_err(|error| named(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

/// A certificate that nobody vouches for whom we trust.
#[derive(Debug)]
struct Unvouched {
    /// Who issued it; `None` where it did so itself.
    issuer: Option<String>,
}

impl fmt::Display for Unvouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "its issuer {issuer} is unknown"),
            None => f.write_str("it is self-signed"),
        }
    }
}

impl std::error::Error for Unvouched {}

fn named(error: Error, end_entity: &CertificateDer<'_>) -> Error {
    // A bad signature is that of an issuer who has the name of one that we trust and another key.
    let unvouched = [CertificateError::UnknownIssuer, CertificateError::BadSignature];
    if !unvouched.into_iter().any(|trouble| error == Error::InvalidCertificate(trouble)) {
        return error;
    }
    let Ok(read) = X509::from_der(end_entity) else { return error };
    let of = read.tbs_certificate();
    let issuer = (of.issuer() != of.subject()).then(|| short(&of.issuer().to_string()));
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Unvouched { issuer }))))
}

fn short(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME).chain("...".chars()).collect()
}

/// What is wrong with a peer's certificate; `None` where something else is wrong.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open, and its own words will do")]
pub fn in_words(error: &Error) -> Option<String> {
    let Error::InvalidCertificate(trouble) = error else { return None };
    Some(match trouble {
        CertificateError::UnknownIssuer => "its issuer is unknown".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("it expired on {}, and this clock says {}", day(*not_after), day(*time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("it begins on {}, and this clock says {}", day(*not_before), day(*time))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("it is for {}, not for {}", names(presented), expected.to_str())
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::Other(OtherError(other)) if other.is::<Unvouched>() => other.to_string(),
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is the certificate of a CA, not of a server".to_owned()
        }
        other => other.to_string(),
    })
}

/// The names of a certificate, which are spelled `DnsName("mail.example.com")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| short(name.split('"').nth(1).unwrap_or(name));
    let shown: Vec<_> = presented.iter().take(NAMES).map(bare).collect();
    match (shown.is_empty(), presented.len().saturating_sub(NAMES)) {
        (true, _) => "no name at all".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `2026-03-01`.
fn day(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).ok();
    let at = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.map_or_else(|| "a day out of all calendars".to_owned(), |at| at.date().to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(trouble: CertificateError) -> String {
        in_words(&Error::InvalidCertificate(trouble)).unwrap()
    }

    fn at(days: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_hours(24 * days))
    }

    #[test]
    fn the_names_and_the_days_of_a_certificate_are_told() {
        let expected = ServerName::try_from("mail.example.com").unwrap();
        let mismatch = |count: usize| CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented: (0..count).map(|n| format!("DnsName(\"h{n}.example.net\")")).collect(),
        };
        assert_eq!(told(mismatch(1)), "it is for h0.example.net, not for mail.example.com");
        assert!(told(mismatch(5)).contains("h2.example.net and 2 more, not for"));
        assert!(told(mismatch(0)).contains("no name at all"));
        let expired = CertificateError::ExpiredContext { time: at(20_000), not_after: at(10_000) };
        assert_eq!(told(expired), "it expired on 1997-05-19, and this clock says 2024-10-04");
        let early = CertificateError::NotValidYetContext { time: at(1), not_before: at(20_000) };
        assert_eq!(told(early), "it begins on 2024-10-04, and this clock says 1970-01-02");
        assert!(told(CertificateError::Expired).contains("Expired"));
        assert!(in_words(&Error::HandshakeNotComplete).is_none());
    }

    #[test]
    fn who_issued_what_nobody_vouches_for_is_named() {
        let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let mut params = rcgen::CertificateParams::new(vec!["mail.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "mail");
        let key = rcgen::KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        assert_eq!(in_words(&named(unknown(), own.der())).unwrap(), "it is self-signed");

        let mut inspector = rcgen::CertificateParams::default();
        inspector.distinguished_name = rcgen::DistinguishedName::new();
        inspector.distinguished_name.push(rcgen::DnType::CommonName, "Contoso TLS Inspection");
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(inspector, ca_key);
        let inspected = params.signed_by(&key, &issuer).unwrap();
        let told = in_words(&named(unknown(), inspected.der())).unwrap();
        assert_eq!(told, "its issuer CN=Contoso TLS Inspection is unknown");

        let junk = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(in_words(&named(unknown(), &junk)).unwrap(), "its issuer is unknown");
        let expired = Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!(named(expired.clone(), own.der()), expired);
    }
}
