//! `footbridge setup entra`: what an administrator runs once, so that the accounts of the mappings get in.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use super::{block_on, check, fail};
use crate::{
    clock::{Clock as _, System},
    config::{
        self,
        entra::{Asked, Proof, Registration, Wanted},
    },
    oauth::Certificate,
};

/// Prints the script on stdout.
#[must_use]
pub(super) fn entra(path: &Path, asked: &Asked) -> ExitCode {
    match script(path, asked) {
        Ok(script) => match io::stdout().write_all(script.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cannot print the script: {error}")),
        },
        Err(trouble) => fail(&trouble),
    }
}

fn script(path: &Path, asked: &Asked) -> Result<String, String> {
    let loaded = config::load_unregistered(path).map_err(|mistakes| check::reported(&mistakes))?;
    for warning in loaded.warnings() {
        eprintln!("{warning}");
    }
    let registration = Registration::of(&loaded, asked).map_err(|trouble| trouble.to_string())?;
    let proof = match registration.wanted().map_err(|trouble| trouble.to_string())? {
        Wanted::Certificate(certificate) => read(&registration, certificate)?,
        Wanted::Secret => Proof::Secret,
        Wanted::FederatedToken => Proof::FederatedToken,
        Wanted::Nothing => Proof::None,
    };
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    registration.script(&text, &proof).map(|script| script + "\n")
}

/// Reads the certificate with its key, so that what is registered is what the bridge will sign with.
fn read(registration: &Registration<'_>, certificate: &Certificate) -> Result<Proof, String> {
    let path = &certificate.certificate;
    if !path.exists() {
        let key = certificate.key.as_ref().unwrap_or(path);
        let command = registration.certificate_command(&path.to_string_lossy(), &key.to_string_lossy());
        return Err(format!(
            "there is no {}, by which the app is to prove itself\n  cure: make it, with its key, where the bridge runs:\n        {command}\n    and run this again; the key stays where it is, only the certificate goes into the script",
            path.display()
        ));
    }
    let password = match &certificate.key_password {
        Some(source) => Some(block_on(source.read())?.map_err(|error| error.to_string())?),
        None => None,
    };
    let read = certificate.load(password.as_ref());
    let read = read.and_then(|read| read.check_time(System.now()).map(|()| read));
    let read =
        read.map_err(|error| format!("{}: {error}\n  cure: {}", path.display(), error.reason.cure()))?;
    Ok(Proof::Certificate(Box::new(read)))
}
