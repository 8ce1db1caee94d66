//! The real binary: started, spoken to, mistreated, killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod duplicates;
mod durable;
mod hostile;
mod kill;
mod policies;
mod schedule;
mod start;
mod wire;
