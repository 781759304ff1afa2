//! From what an authority or an upstream said to cause and cure, as data.
//!
//! Pure: words in, an [`Explanation`](crate::failure::Explanation) out. The reply tables and the log
//! print the same one, so that the app's own error text says what the log says. What is known stands in tables of
//! [`Entry`]; `docs/troubleshooting.md` is made of the same.

pub mod authority;
pub mod claims;
pub mod consent;
mod entry;
mod network;
pub mod upstream;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Met, Sign};

/// Everything that is known of troubles, in the order of the page for people.
pub fn table() -> impl Iterator<Item = &'static Entry> {
    let authority = authority::TABLES.into_iter();
    let others = [claims::TABLE, network::TABLE].into_iter();
    authority.chain(others).chain(upstream::TABLES).flatten()
}
