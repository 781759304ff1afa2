//! Every may, must and how long: facts in, verdict out.
//!
//! [`access`] says who may log in from where with which protocol, and turns a
//! [`Verified`](crate::account::Verified) into a [`Permit`]; [`timing`] holds every duration;
//! [`throttle`] every ceiling, [`reach`] what
//! follows from an upstream that is not reached. Nothing here does I/O or asks the time.

pub mod access;
pub mod reach;
pub mod throttle;
pub mod timing;

pub use access::Permit;
