//! Every may, must and how long: facts in, verdict out.
//!
//! [`access`] says who may log in from where with which protocol, and turns a
//! [`Verified`](crate::account::Verified) into a [`Permit`]; [`timing`] holds every duration;
//! [`throttle`] every ceiling. Nothing here does I/O or asks the time.

pub mod access;
pub mod throttle;
pub mod timing;

pub use access::Permit;
