//! What is known of troubles: whether all is known that should be, and the page that is made of it.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod known;
mod page;
