//! The subcommands, one file each.

pub mod check;
pub mod hash_password;
