//! Memory that a thread lends to whoever reads or encrypts at the moment.

use std::cell::RefCell;

use super::line::RECORD;

/// What is read at once: as much as four full TLS records take on the wire, so that a reader who is behind finds whole
/// ones, without a piece of a fifth.
pub(super) const READ: usize = 4 * RECORD;

/// What is lent, in bytes: room for four full records of TLS 1.2, which are a little longer, and for what a TLS library
/// has to say before them.
const SCRATCH: usize = READ + 256;

thread_local! {
    static THREAD_SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// Lends the thread's memory, in which anything may stand. Who has it must not ask for it again.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    THREAD_SCRATCH.with_borrow_mut(|scratch| work(scratch))
}
