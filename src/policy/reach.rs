//! What it means that an upstream could not be dialled, or has gone silent.

use std::time::Duration;

use crate::{
    dialogue::Rejected,
    explain::upstream::{Verdict, unreachable},
    failure::Failure,
    net::{dial::DialError, proxy::ProxyTrouble},
};

/// An upstream that has broken off, in words for a log.
#[must_use]
pub fn silence(said: &str) -> Rejected {
    Rejected { failure: Failure::UpstreamUnavailable, said: said.to_owned() }
}

/// What an upstream has not said in time; the phase is its dialogue's.
#[must_use]
pub fn too_slow(phase: &str, waited: Duration) -> Rejected {
    let waited = waited.as_secs().max(1);
    silence(&match phase {
        "await-greeting" => format!("no greeting in time ({waited} s)"),
        "await-continuation" | "await-challenge" | "await-outcome" => {
            format!("no answer to the login in time ({waited} s)")
        }
        phase => format!("no answer in time ({waited} s, {phase})"),
    })
}

/// Decides about an upstream that could not be dialled. A certificate that is wrong, bytes that somebody injected or
/// what a proxy forbids will be so in a moment too.
#[must_use]
pub fn undialled(error: &DialError) -> Verdict {
    let (failure, try_again) = match error {
        DialError::Certificate { .. } | DialError::Injected { .. } => (Failure::UpstreamViolation, false),
        DialError::Proxy { trouble, .. } => (Failure::UpstreamUnavailable, may_pass(trouble)),
        DialError::Lookup { .. }
        | DialError::Connect { .. }
        | DialError::Tls { .. }
        | DialError::TimedOut { .. } => (Failure::UpstreamUnavailable, true),
    };
    Verdict { refusal: unreachable(&error.to_string(), failure), token_may_help: false, try_again }
}

fn may_pass(trouble: &ProxyTrouble) -> bool {
    match trouble {
        ProxyTrouble::Unreachable(_) | ProxyTrouble::Lost(_) | ProxyTrouble::NoWay(..) => true,
        ProxyTrouble::Credentials(_) | ProxyTrouble::Forbidden(_) | ProxyTrouble::Stranger(..) => false,
    }
}
