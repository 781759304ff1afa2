//! How many files and sockets the process may have open.

use std::io;

/// What a system without such a limit is taken to allow.
#[cfg(not(unix))]
const UNLIMITED: u64 = 1 << 20;

/// Raises the process's own limit as far as `wanted`, and no further than the system lets it without privileges.
/// Returns what there is then.
///
/// # Errors
/// What the system said.
#[cfg(unix)]
pub fn raise(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    let raised = wanted.clamp(soft, hard.max(soft));
    if raised > soft {
        rlimit::Resource::NOFILE.set(raised, hard)?;
    }
    Ok(raised)
}

/// There is nothing to raise.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn raise(_wanted: u64) -> io::Result<u64> {
    Ok(UNLIMITED)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_wanted_and_never_lowered() {
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap();
        assert_eq!(raise(1).unwrap(), soft);
        let wanted = (soft + 10).min(hard);
        assert_eq!(raise(wanted).unwrap(), wanted);
        assert_eq!(raise(u64::MAX).unwrap(), hard);
        assert_eq!(rlimit::Resource::NOFILE.get().unwrap(), (hard, hard));
    }
}
