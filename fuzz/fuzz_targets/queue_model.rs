//! Any sequence of operations on a queue, against a model.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/queue_model.rs"]
mod queue_model;

fuzz_target!(|bytes: &[u8]| queue_model::run(bytes));
