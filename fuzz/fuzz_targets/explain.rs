//! See `properties::explain`.

#![no_main]

#[allow(dead_code, reason = "each target checks its own part")]
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::explain(input));
