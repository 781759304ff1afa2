//! From what an authority or an upstream said to cause and cure, as data.
//!
//! Pure: words in, an [`Explanation`](crate::failure::Explanation) out. The reply tables and the log
//! print the same one, so that the app's own error text says what the log says.

pub mod authority;
pub mod claims;
pub mod consent;
pub mod upstream;
