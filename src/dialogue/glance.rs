//! A look at what an upstream sends after the login, for what it says in its own name.

use super::{Protocol, Remark};

/// The longest read that is looked at, in bytes: a line of SMTP (RFC 5321 §4.5.3.1.5), which known replies of the others
/// do not exceed.
const LONGEST: usize = 512;

/// Looks at each read of an upstream. A short one of whole lines is replies; any other is mail, in which anything may
/// stand.
#[derive(Debug)]
pub struct Glance {
    /// What comes next begins a line.
    at_line: bool,
}

impl Default for Glance {
    fn default() -> Self {
        Self { at_line: true }
    }
}

impl Glance {
    /// What the upstream has said that a person should know of, as the room of the protocol knows it.
    #[must_use]
    pub fn at<P: Protocol>(&mut self, chunk: &[u8]) -> Option<Remark> {
        if chunk.is_empty() {
            return None;
        }
        let begins = std::mem::replace(&mut self.at_line, chunk.ends_with(b"\r\n"));
        let is_looked_at = begins && self.at_line && chunk.len() <= LONGEST;
        is_looked_at.then(|| P::remark(chunk)).flatten()
    }
}
