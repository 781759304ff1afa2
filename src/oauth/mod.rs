//! Tokens.
mod app;
pub use app::App;
