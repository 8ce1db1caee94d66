//! What survives when the power fails at any moment: shown on a disk that tears what was not flushed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod ring;
mod socket;
mod store;
