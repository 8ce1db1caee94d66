//! What survives when the power fails at any moment: shown on a disk that tears what was not flushed.

#[path = "../support/mod.rs"]
mod support;

mod socket;
mod store;
