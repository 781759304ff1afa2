//! Certificates and keys for tests, made once for all of them: an RSA key takes a while.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use tempfile::TempDir;

/// The 1st of June 2026, noon: within the time of [`Samples::certificate`].
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(494_532)
}

/// What tests read.
pub(super) struct Samples {
    /// The key in PKCS #8.
    pub(super) key: String,
    /// Its certificate, for 2026.
    pub(super) certificate: String,
    /// Another certificate with the same key, for 2026 and 2027.
    pub(super) renewed: String,
    /// Another RSA key.
    pub(super) other_key: String,
    /// Its certificate.
    pub(super) other_certificate: String,
    /// An EC key.
    pub(super) ec_key: String,
    /// Its certificate.
    pub(super) ec_certificate: String,
}

/// The samples.
pub(super) fn samples() -> &'static Samples {
    static SAMPLES: OnceLock<Samples> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let rsa = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let (key, other, ec) = (rsa(), rsa(), KeyPair::generate().unwrap());
        Samples {
            certificate: certificate(&key, 2027),
            renewed: certificate(&key, 2028),
            key: key.serialize_pem(),
            other_certificate: certificate(&other, 2027),
            other_key: other.serialize_pem(),
            ec_certificate: certificate(&ec, 2027),
            ec_key: ec.serialize_pem(),
        }
    })
}

/// A certificate from the beginning of 2026 to that of another year.
fn certificate(key: &KeyPair, until: i32) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "footbridge");
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(until, 1, 1));
    params.self_signed(key).unwrap().pem()
}

/// A folder in which the `openssl` command works.
pub(super) struct Workshop(TempDir);

impl Workshop {
    /// A folder with `app.pem`, the certificate, and `app.key`, its key.
    pub(super) fn new() -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        workshop.write("app.pem", &samples().certificate);
        workshop.write("app.key", &samples().key);
        workshop
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).unwrap();
    }

    /// Reads a file.
    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    /// Runs `openssl` with the words of a line; what it prints.
    pub(super) fn openssl(&self, line: &str) -> String {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(self.path()).output().unwrap();
        let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "openssl {line}: {trouble}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `openssl` with the words of a line, which writes the file `out`; what is in it.
    pub(super) fn made(&self, line: &str) -> Vec<u8> {
        self.openssl(&format!("{line} -out out"));
        self.read("out")
    }
}
